// SPDX-License-Identifier: GPL-2.0
/* B2: copy rate against what the devices can do. */
#include <math.h>
#include <stdio.h>

#include "bench.h"

#define MIB_PER_S(bytes, ns) ((bytes) / (double)MIB * 1e9 / (ns))

/* Of the limit. */
static const struct bound bound = { HIGHER, 0.90, 0.97 };

static double peer(const char *who, uint64_t ns, double limit)
{
	double rate = MIB_PER_S(GIB, ns);

	report_value(who, rate, "MiB/s", "%.3f of the limit", rate / limit);
	return rate;
}

static void one_device(unsigned int slots, unsigned int latency_us)
{
	struct nullb_opts opts = {
		.mib = 1024, .slots = slots, .latency_us = latency_us,
	};
	struct nullb from, to;
	double reads, writes, limit, best, ours;
	unsigned int kib;
	char title[64];
	struct copied c;

	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	snprintf(title, sizeof(title), "copy rate, %u us, %u slots",
		 latency_us, slots);
	report_title("B2", title);
	reads = load_limit(&from, false);
	writes = load_limit(&to, true);
	limit = fmin(reads, writes);
	report_value("device, reads", reads, "MiB/s", "");
	report_value("device, writes", writes, "MiB/s", "");
	peer("raw copy by 16 threads, 1 MiB",
	     load_copy(from.path, to.path, GIB, MIB, 16), limit);
	peer("dd bs=1M, direct", load_copy(from.path, to.path, GIB, MIB, 1),
	     limit);
	best = 0;
	for (kib = 2048; kib <= 16384; kib *= 8) {
		c = copy_dm_mirror(&from, &to, kib);
		snprintf(title, sizeof(title), "dm-mirror, regions of %u KiB",
			 kib);
		best = fmax(best, peer(title, c.ns, limit));
	}
	if (sys_have_blkjob()) {
		c = copy_blkjob(&from, &to);
		ours = MIB_PER_S(GIB, c.ns);
		report_value("blkjob", ours, "MiB/s", "CPU idle %.3f of the time",
			     c.idle / (double)c.ns);
		report_gate("blkjob / limit", ours / limit, "x", bound);
		report_gate("blkjob / best dm-mirror", ours / best, "x",
			    (struct bound){ HIGHER, 2, 2 });
	}
	nullb_remove(&to);
	nullb_remove(&from);
}

void bench_b2(void)
{
	one_device(8, 400);
	one_device(64, 400);
	one_device(64, 1600);
}
