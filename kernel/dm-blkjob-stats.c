// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and latency histograms.
 */
#include "dm-blkjob.h"

static const char * const latency_names[BJ_NR_LATENCIES] =
	BLKJOB_LATENCY_NAMES;

/* Bucket b ends at 2^b us, that included. */
static unsigned int bucket_of(u64 ns)
{
	u64 us = ns ? div_u64(ns - 1, NSEC_PER_USEC) : 0;

	return min_t(unsigned int, fls64(us), BJ_LATENCY_BUCKETS - 1);
}

static void window_add(struct blkjob *job, struct bj_window_seen *seen, u64 ns)
{
	u64 limit = READ_ONCE(job->window.limit_ns);

	seen->ios++;
	seen->slow += limit && ns > limit;
	seen->max_ns = max(seen->max_ns, ns);
}

/* One that comes in between is lost, and no harm done. */
void bj_window_collect(struct blkjob *job, struct bj_window_seen *sum)
{
	struct bj_window_seen *seen;
	int cpu;

	*sum = (struct bj_window_seen) {};
	for_each_possible_cpu(cpu) {
		seen = &per_cpu_ptr(job->cpu_stats, cpu)->seen;
		sum->ios += READ_ONCE(seen->ios);
		sum->slow += READ_ONCE(seen->slow);
		sum->max_ns = max(sum->max_ns, READ_ONCE(seen->max_ns));
		WRITE_ONCE(seen->ios, 0);
		WRITE_ONCE(seen->slow, 0);
		WRITE_ONCE(seen->max_ns, 0);
	}
}

void bj_latency_add(struct blkjob *job, unsigned int which, u64 since)
{
	u64 ns = ktime_get_ns() - since;
	struct bj_histogram *latency;
	struct bj_cpu_stats *stats;
	unsigned long flags;

	/* Ends of bios come in interrupts, too. */
	local_irq_save(flags);
	stats = this_cpu_ptr(job->cpu_stats);
	if (which <= BJ_LATENCY_WRITE)
		window_add(job, &stats->seen, ns);
	latency = &stats->latency[which];
	latency->bucket[bucket_of(ns)]++;
	latency->sum += ns;
	latency->max = max(latency->max, ns);
	local_irq_restore(flags);
}

void bj_time_bio(struct blkjob *job, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

	io->job = job;
	io->begun = ktime_get_ns();
	io->end_io = bio->bi_end_io;
	bio->bi_end_io = bj_timed_end_io;
}

void bj_timed_end_io(struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

	if (!op_is_write(bio_op(bio)))
		bj_latency_add(io->job, BJ_LATENCY_READ, io->begun);
	else if (!io->nr_sectors)
		/* Known by its size: a device without a cache drops the flag. */
		bj_latency_add(io->job, BJ_LATENCY_FLUSH +
			       dm_bio_get_target_bio_nr(bio), io->begun);
	else if (bio_op(bio) == REQ_OP_WRITE)
		bj_latency_add(io->job, BJ_LATENCY_WRITE, io->begun);
	bio->bi_end_io = io->end_io;
	bio->bi_end_io(bio);
}

void bj_latency_sum(struct blkjob *job, unsigned int which,
		    struct bj_histogram *sum)
{
	const struct bj_histogram *latency;
	unsigned int b;
	int cpu;

	*sum = (struct bj_histogram) {};
	for_each_possible_cpu(cpu) {
		latency = &per_cpu_ptr(job->cpu_stats, cpu)->latency[which];
		sum->sum += READ_ONCE(latency->sum);
		sum->max = max(sum->max, READ_ONCE(latency->max));
		for (b = 0; b < BJ_LATENCY_BUCKETS; b++)
			sum->bucket[b] += READ_ONCE(latency->bucket[b]);
	}
}

static unsigned int emit_latency(struct blkjob *job, unsigned int which,
				 char *result, unsigned int sz,
				 unsigned int maxlen)
{
	struct bj_histogram sum;
	u64 count = 0;
	unsigned int b;

	bj_latency_sum(job, which, &sum);
	for (b = 0; b < BJ_LATENCY_BUCKETS; b++)
		count += sum.bucket[b];
	if (!count)
		return sz;
	DMEMIT("latency %s count=%llu sum_us=%llu max_us=%llu",
	       latency_names[which], count, div_u64(sum.sum, NSEC_PER_USEC),
	       div_u64(sum.max, NSEC_PER_USEC));
	for (b = 0; b < BJ_LATENCY_BUCKETS - 1; b++)
		if (sum.bucket[b])
			DMEMIT(" %u:%llu", 1U << b, sum.bucket[b]);
	if (sum.bucket[b])
		DMEMIT(" inf:%llu", sum.bucket[b]);
	DMEMIT("\n");
	return sz;
}

/* What does not fit is cut off; dm then asks for a larger buffer. */
int bj_stats_reply(struct blkjob *job, char *result, unsigned int maxlen)
{
	u64 reads = 0, writes = 0, flushes = 0;
	unsigned int sz = 0, which;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct bj_cpu_stats *stats = per_cpu_ptr(job->cpu_stats, cpu);

		reads += READ_ONCE(stats->reads);
		writes += READ_ONCE(stats->writes);
		flushes += READ_ONCE(stats->flushes);
	}
	DMEMIT("sample %u\nreads %llu\nwrites %llu\nflushes %llu\n",
	       READ_ONCE(job->sample_mask) + 1, reads, writes, flushes);
	for (which = 0; which < BJ_NR_LATENCIES; which++)
		sz = emit_latency(job, which, result, sz, maxlen);
	return 1;
}
