/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Latency control: how much the copy may have in flight while the consumer
 * is at work too.
 */
#ifndef DM_BLKJOB_WINDOW_H
#define DM_BLKJOB_WINDOW_H

#include "dm-blkjob-pure.h"

#define BJ_WINDOW_TICK		((u64)5 * NSEC_PER_MSEC)
#define BJ_WINDOW_PROBES	5

/* The consumer's I/Os that ended in one tick. */
struct bj_window_seen {
	u64 ios;
	u64 slow;	/* of them, took longer than limit_ns */
	u64 max_ns;
};

/* The caller serializes. Bytes, unless said otherwise. */
struct bj_window {
	unsigned int bound;	/* percent of the idle p99, 0 = no control */
	u64 limit_ns;		/* that, 0 = not known yet */
	u64 bytes;		/* what may be in flight on a leg now */
	u64 under_load;		/* ... when the consumer is at work */
	bool growing;		/* no limit was found yet: twice as much */
	unsigned int quiet;	/* ticks without an I/O */
	u64 since;		/* what began before that is not counted */
	u64 last_tick;
	u64 longest_ns;		/* I/O since the last probe, with that */
	u64 ios;		/* since the last judgement */
	u64 slow;
	/* The p99 without a copy: what was longest in some short breaks of it. */
	bool probing;
	unsigned int probe_ticks;
	u64 probe_ios;
	u64 probe_max_ns;
	u64 next_probe;		/* ns */
	u64 idle_ns[BJ_WINDOW_PROBES];
	unsigned int nr_idle;	/* probes so far */
};

/* Begin, or change the bound. 0 ends it: then the window is U64_MAX. */
void bj_window_set(struct bj_window *c, unsigned int bound);

/*
 * A tick is over: what was seen in it, and what the copy has in flight on the
 * busier leg. @now in ns. Sets the window.
 */
void bj_window_tick(struct bj_window *c, const struct bj_window_seen *seen,
		    u64 in_flight, u64 now);

#endif
