/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much I/O there is, and how long it takes: counters and histograms for
 * the message "stats" (see include/uapi/linux/dm-blkjob.h). Per CPU, so that
 * counting shares no cache line.
 */
#ifndef DM_BLKJOB_STATS_H
#define DM_BLKJOB_STATS_H

#include <linux/bio.h>
#include <linux/percpu.h>

#include "dm-blkjob-window.h"

struct blkjob;

/*
 * The clock costs more than all else that a job does to a read. So one read
 * out of so many on a CPU is timed, and one write; a power of two.
 */
#define BJ_SAMPLE		64

/* Up to 1 us, 2 us, 4 us ... 2^24 us, and above. */
#define BJ_LATENCY_BUCKETS	26

/* COPY, ACTIVE and FLUSH come for each leg: add an enum bj_side. */
enum bj_latency {
	BJ_LATENCY_READ,	/* of the consumer, sampled */
	BJ_LATENCY_WRITE,	/* the same; without zeroes and discards */
	BJ_LATENCY_COPY,	/* read the source, write the target device */
	BJ_LATENCY_ACTIVE = BJ_LATENCY_COPY + 2, /* halves of a timed write */
	BJ_LATENCY_FLUSH = BJ_LATENCY_ACTIVE + 2,
	BJ_NR_LATENCIES = BJ_LATENCY_FLUSH + 2
};

struct bj_histogram {
	u64 sum;		/* ns */
	u64 max;		/* ns */
	u64 bucket[BJ_LATENCY_BUCKETS];
};

struct bj_cpu_stats {
	struct bj_window_seen seen;	/* since bj_window_collect() */
	u64 reads;		/* of the consumer */
	u64 writes;		/* and zeroes and discards */
	u64 flushes;
	struct bj_histogram latency[BJ_NR_LATENCIES];
};

/*
 * Count one more on this CPU: is it to be timed? The first one is, and all are
 * while a bound is kept (@mask 0).
 */
static __always_inline bool bj_sampled(u64 __percpu *count, unsigned int mask)
{
	return ((this_cpu_inc_return(*count) - 1) & mask) == 0;
}

/*
 * Time the consumer's bio until dm ends it. In its place and not in the
 * target's end_io, so that bios that are not timed cost nothing there.
 */
void bj_time_bio(struct blkjob *job, struct bio *bio);
void bj_timed_end_io(struct bio *bio);

static inline bool bj_is_timed(const struct bio *bio)
{
	return bio->bi_end_io == bj_timed_end_io;
}

/* What began at @since (ns) has ended. Any context. */
void bj_latency_add(struct blkjob *job, unsigned int which, u64 since);
/* The histogram of all CPUs; while they count. */
void bj_latency_sum(struct blkjob *job, unsigned int which,
		    struct bj_histogram *sum);
/* What latency control has to know of all CPUs; then it begins anew. */
void bj_window_collect(struct blkjob *job, struct bj_window_seen *sum);
/* Reply to the message "stats". Never waits. Always 1. */
int bj_stats_reply(struct blkjob *job, char *result, unsigned int maxlen);

#endif
