// SPDX-License-Identifier: GPL-2.0
/*
 * B6: how soon latency_bound holds when a consumer begins to work, and how
 * soon the copy has its full rate again when it stops. Half a second of each.
 */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "bench.h"

#define SIZE_MIB	32768ULL
#define HALF_MS		500
#define WAVES		4	/* the first one is for finding the window */
#define BOUND		150

static const struct bound held_bound = { LOWER, 100, 20 };
static const struct bound free_bound = { LOWER, 50, 10 };

static struct nullb from, to;

static void wait_ms(unsigned int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

/* Bytes that are copied in @ms ms. */
static double copied_in(unsigned int ms)
{
	uint64_t before = nullb_bytes(&to, true);

	wait_ms(ms);
	return nullb_bytes(&to, true) - before;
}

/* ms until 5 ms bring what they should, on the average of a free copy. */
static double until_full(double in_5ms)
{
	uint64_t start = now_ns();
	double ms;

	do {
		ms = (now_ns() - start) / 1e6;
		if (ms > HALF_MS)
			break;
	} while (copied_in(5) < in_5ms * 0.95);
	return ms;
}

void bench_b6(void)
{
	struct nullb_opts opts = {
		.mib = SIZE_MIB, .slots = 8, .latency_us = 400,
	};
	double idle, in_5ms, held = 0, full = 0;
	struct foreground *f;
	struct dmdev job;
	char line[64];
	int i;

	if (!sys_have_blkjob())
		return;
	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	report_title("B6", "latency_bound 150, a consumer that works every other 500 ms");
	snprintf(line, sizeof(line), "4 paused on latency_bound %u", BOUND);
	job_create(&job, "job", &from, &to, line);
	dm_resume(&job);
	f = foreground_start(job.path, false, SIZE_MIB * MIB);
	wait_ms(HALF_MS);
	foreground_stop(f);
	idle = foreground_p99(f);
	foreground_free(f);
	dm_message(&job, "resume");
	wait_ms(100);
	in_5ms = copied_in(HALF_MS) / (HALF_MS / 5.0);
	for (i = 0; i < WAVES; i++) {
		f = foreground_start(job.path, false, SIZE_MIB * MIB);
		wait_ms(HALF_MS);
		foreground_stop(f);
		if (i)
			held = fmax(held, foreground_unsettled(f, idle * BOUND /
							       100) / 1e6);
		foreground_free(f);
		full = fmax(full, until_full(in_5ms));
		wait_ms(100);
	}
	report_gate("bound holds after", held, "ms", held_bound);
	report_gate("full rate after", full, "ms", free_bound);
	dm_message(&job, "cancel force");
	dm_wait_state(&job, "concluded");
	dm_remove(&job);
	nullb_remove(&to);
	nullb_remove(&from);
}
