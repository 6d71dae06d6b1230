/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reply of a blkjob target to the message "stats", parsed. */
#ifndef BLKJOB_STATS_H
#define BLKJOB_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "job.h"

/* Bucket b: at most 2^b us; the last one: above. */
#define HISTOGRAM_BUCKETS 26

struct histogram {
	uint64_t count, sum_us, max_us;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* In the order of BLKJOB_LATENCY_NAMES. */
#define NR_LATENCIES 8

struct latency_kind {
	const char *op;		/* read, write, copy, active, flush */
	const char *leg;	/* source, target; NULL: the consumer, sampled */
};

extern const struct latency_kind latency_kinds[NR_LATENCIES];

struct stats {
	uint64_t sample, reads, writes, flushes;
	struct histogram latency[NR_LATENCIES];
};

/* A job, and what it has counted. */
struct job_stats {
	struct job job;
	struct stats stats;
};

/* 0 or -EINVAL. Unknown lines and keys are skipped: later kernels may add some. */
int stats_parse(const char *reply, struct stats *stats);
/*
 * The time (us) within which @percent of all were done: the bound of a bucket,
 * so up to twice too much, but never more than the longest. 0 if there is none.
 */
uint64_t histogram_percentile(const struct histogram *h, unsigned int percent);

/* prometheus.c: the text exposition format, on stdout. */
void prometheus_print(const struct job_stats *jobs, size_t n);

#endif
