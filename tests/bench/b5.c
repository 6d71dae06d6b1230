// SPDX-License-Identifier: GPL-2.0
/*
 * B5: how slow I/O of the consumer becomes while a job copies, and how fast
 * that copies, without and with latency_bound. Devices of 8 places, 400 us.
 */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "bench.h"

#define SIZE_MIB	16384ULL

static const struct bound p99_bound = { LOWER, 1.5, 1.2 };
static const struct bound rate_bound = { HIGHER, 0.60, 0.80 };

static struct nullb from, to;

static void wait_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

struct seen {
	double p99;	/* us */
	double rate;	/* MiB/s */
};

/* The consumer works for a while; what both got. */
static struct seen together(struct dmdev *job, bool write, unsigned int ms)
{
	struct foreground *f = foreground_start(job->path, write,
						SIZE_MIB * MIB);
	uint64_t start = now_ns(), copied = nullb_bytes(&to, true);
	struct seen s;

	wait_ms(ms);
	s.rate = (nullb_bytes(&to, true) - copied) / (double)MIB * 1e9 /
		 (now_ns() - start);
	foreground_stop(f);
	s.p99 = foreground_p99(f);
	foreground_free(f);
	return s;
}

static void one_kind(bool write, double limit)
{
	struct seen idle, full, bound;
	struct dmdev job;

	report_title("B5", write ? "4 KiB writes, one at a time, beside a copy" :
				   "4 KiB reads, one at a time, beside a copy");
	job_create(&job, "job", &from, &to, "2 paused on");
	dm_resume(&job);
	idle = together(&job, write, 500);
	report_value("no copy", idle.p99, "us p99", "");
	dm_message(&job, "resume");
	full = together(&job, write, 500);
	report_value("no bound", full.p99 / idle.p99, "x p99",
		     "at %.3f of the device", full.rate / limit);
	dm_message(&job, "set latency_bound 150");
	together(&job, write, 1000);	/* to find the window */
	bound = together(&job, write, 1500);
	report_gate("latency_bound 150", bound.p99 / idle.p99, "x p99",
		    p99_bound);
	report_gate("latency_bound 150, copy / device", bound.rate / limit, "x",
		    rate_bound);
	dm_message(&job, "cancel force");
	dm_wait_state(&job, "concluded");
	dm_remove(&job);
}

void bench_b5(void)
{
	struct nullb_opts opts = {
		.mib = SIZE_MIB, .slots = 8, .latency_us = 400,
	};
	double limit;

	if (!sys_have_blkjob())
		return;
	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	limit = fmin(load_limit(&from, false), load_limit(&to, true));
	one_kind(false, limit);
	one_kind(true, limit);
	nullb_remove(&to);
	nullb_remove(&from);
}
