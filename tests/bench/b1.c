// SPDX-License-Identifier: GPL-2.0
/* B1: instructions for one GiB copied between devices that cost nothing. */
#include <stdio.h>

#include "bench.h"

/* In millions of instructions; the gate is half of what kcopyd needs. */
static const struct bound bound = { LOWER, 288, 190 };

static struct nullb from, to;
static double kcopyd;

static uint64_t raw(const char *path, bool write)
{
	struct load l = {
		.path = path,
		.write = write,
		.bs = 512 * KIB,
		.qd = 32,
		.span = GIB,
		.ios = GIB / (512 * KIB),
	};

	return load_run(&l);
}

static void peer(const char *who, uint64_t ns)
{
	report_value(who, ns / 1e6, "M/GiB", "");
}

static void dm_mirror(unsigned int region_kib)
{
	struct copied c = copy_dm_mirror(&from, &to, region_kib);
	char who[64];

	snprintf(who, sizeof(who), "dm-mirror, regions of %u KiB", region_kib);
	if (region_kib == 2048)
		kcopyd = (c.ns - c.idle) / 1e6;
	peer(who, c.ns - c.idle);
}

void bench_b1(void)
{
	struct nullb_opts opts = { .mib = 1024, .slots = 64 };
	struct copied c;

	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	report_title("B1", "instructions per GiB copied");
	peer("raw reads + raw writes, queued",
	     raw(from.path, false) + raw(to.path, true));
	peer("raw copy by 16 threads, 1 MiB",
	     load_copy(from.path, to.path, GIB, MIB, 16));
	peer("dd bs=1M, direct",
	     load_copy(from.path, to.path, GIB, MIB, 1));
	dm_mirror(64);
	dm_mirror(2048);
	dm_mirror(16384);
	if (sys_have_blkjob()) {
		c = copy_blkjob(&from, &to);
		report_gate("blkjob", (c.ns - c.idle) / 1e6, "M/GiB", bound);
		report_value("blkjob / dm-mirror 2048 KiB",
			     (c.ns - c.idle) / 1e6 / kcopyd, "x",
			     "idle %.3f ms", c.idle / 1e6);
	}
	nullb_remove(&to);
	nullb_remove(&from);
}
