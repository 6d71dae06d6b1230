// SPDX-License-Identifier: GPL-2.0
/*
 * B8: how long a writer of one block after the other is held up when a job
 * switches over, beside the shortest thing that dm could do instead: an empty
 * cycle of suspend and resume. Devices take 400 us.
 */
#include <stdio.h>
#include <time.h>

#include "bench.h"

#define LATENCY_US	400
#define CYCLES		5

static struct nullb from, to;

static void wait_ms(unsigned int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

static void swap_table(struct dmdev *d, const struct nullb *nb)
{
	dm_load(d, "linear", "%s 0", nb->path);
	dm_suspend(d);
	dm_resume(d);
}

/* Longest of some cycles, in us: of the calls alone, and as a writer sees it. */
static double empty_cycle_idle(void)
{
	uint64_t start, worst = 0;
	struct dmdev d;
	int i;

	dm_create(&d, "linear", from.sectors);
	dm_load(&d, "linear", "%s 0", from.path);
	dm_resume(&d);
	for (i = 0; i < CYCLES; i++) {
		dm_load(&d, "linear", "%s 0", from.path);
		wait_ms(10);
		start = now_ns();
		dm_suspend(&d);
		dm_resume(&d);
		start = now_ns() - start;
		if (start > worst)
			worst = start;
	}
	dm_remove(&d);
	return worst / 1e3;
}

static double empty_cycle(double *undisturbed)
{
	uint64_t start, end, gap, worst = 0;
	struct writer *w;
	struct dmdev d;
	int i;

	dm_create(&d, "linear", from.sectors);
	dm_load(&d, "linear", "%s 0", from.path);
	dm_resume(&d);
	for (i = 0; i < CYCLES; i++) {
		w = writer_start(d.path, from.sectors * SECTOR);
		wait_ms(20);
		start = now_ns();
		swap_table(&d, &from);
		end = now_ns();
		wait_ms(20);
		writer_stop(w);
		gap = writer_gap(w, start, end);
		*undisturbed = writer_gap(w, 0, start - 5000000) / 1e3;
		if (gap > worst)
			worst = gap;
		writer_free(w);
	}
	dm_remove(&d);
	return worst / 1e3;
}

/* From "complete" to the end of "finalize"; then the table swap on its own. */
static double switchover(double *swap)
{
	uint64_t start, end, gap, worst = 0, swapped = 0;
	struct writer *w;
	struct dmdev d;
	int i;

	for (i = 0; i < CYCLES; i++) {
		job_create(&d, "job", &from, &to, "");
		dm_resume(&d);
		dm_wait_state(&d, "ready");
		w = writer_start(d.path, from.sectors * SECTOR);
		wait_ms(20);
		start = now_ns();
		dm_message(&d, "complete");
		dm_wait_state(&d, "pending");
		dm_message(&d, "finalize");
		dm_wait_state(&d, "concluded");
		wait_ms(2);
		end = now_ns();
		wait_ms(20);
		swap_table(&d, &to);
		wait_ms(20);
		writer_stop(w);
		gap = writer_gap(w, start, end);
		if (gap > worst)
			worst = gap;
		gap = writer_gap(w, end + 5000000, UINT64_MAX);
		if (gap > swapped)
			swapped = gap;
		writer_free(w);
		dm_remove(&d);
	}
	*swap = swapped / 1e3;
	return worst / 1e3;
}

static void one_setting(bool expedited)
{
	double empty, ours, undisturbed, swap;

	sys_rcu_expedited(expedited);
	report_title("B8", expedited ?
		     "longest gap of a writer at the switchover, RCU expedited" :
		     "longest gap of a writer at the switchover");
	report_value("empty cycle, no load (calls)", empty_cycle_idle(), "us", "");
	empty = empty_cycle(&undisturbed);
	report_value("writer undisturbed", undisturbed, "us", "");
	report_value("empty cycle", empty, "us", "");
	if (sys_have_blkjob()) {
		ours = switchover(&swap);
		report_gate("blkjob, complete to finalize", ours, "us",
			    (struct bound){ LOWER, 2000, LATENCY_US + 200 });
		report_gate("blkjob / empty cycle", ours / empty, "x",
			    (struct bound){ LOWER, 1.1, 1.0 });
		report_value("blkjob, table swap afterwards", swap, "us", "");
	}
	sys_rcu_expedited(false);
}

void bench_b8(void)
{
	struct nullb_opts opts = {
		.mib = 256, .slots = 64, .latency_us = LATENCY_US,
	};

	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	one_setting(false);
	one_setting(true);
	nullb_remove(&to);
	nullb_remove(&from);
}
