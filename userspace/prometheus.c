// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prometheus' text exposition format 0.0.4: all samples of a metric stand
 * together, behind its HELP and TYPE.
 */
#include <stdio.h>

#include "blkjob.h"
#include "cleanup.h"
#include "stats.h"

/* Single numbers; those that the kernel did not give are left out. */
static const struct metric {
	const char *name, *type, *help;
	size_t offset;		/* of the number in struct job_stats */
	const char *leg;	/* or NULL */
	bool us;		/* else as it is */
} metrics[] = {
#define AT(field) offsetof(struct job_stats, field), NULL, false
#define STATUS(k) AT(job.st.k)
#define STATS(k) AT(stats.k)
	{ "blkjob_len_bytes", "gauge", "Bytes to do in all.", STATUS(len) },
	{ "blkjob_offset_bytes", "gauge", "Bytes done of them.", STATUS(offset) },
	{ "blkjob_dirty_bytes", "gauge", "Bytes still to be copied.", STATUS(dirty) },
	{ "blkjob_in_flight_bytes", "gauge", "Bytes being copied.", STATUS(in_flight) },
	{ "blkjob_rate_bytes", "gauge", "Bytes copied in the last second.", STATUS(rate) },
	{ "blkjob_dirty_rate_bytes", "gauge", "Bytes that writes made dirty in the last second.", STATUS(dirty_rate) },
	{ "blkjob_speed_bytes", "gauge", "Limit in bytes per second, 0 = none.", STATUS(speed) },
	{ "blkjob_ready", "gauge", "1: the target device has caught up once.", STATUS(ready) },
	{ "blkjob_paused", "gauge", "1: paused.", STATUS(paused) },
	{ "blkjob_actively_synced", "gauge", "1: every write reaches both legs, and they are equal.", STATUS(actively_synced) },
	{ "blkjob_rework_bytes", "gauge", "Bytes that are equal, and would be copied again after a crash.", STATUS(rework) },
	{ "blkjob_remembers", "gauge", "0: the metadata of a mirror could not be written.", STATUS(remembers) },
	{ "blkjob_held_writes", "gauge", "Writes held because a leg failed in the commit window.", STATUS(held) },
	{ "blkjob_pause_seconds", "gauge", "Longest time that a write was held for the switch.", offsetof(struct job_stats, job.st.pause_us), NULL, true },
	{ "blkjob_copied_bytes_total", "counter", "Bytes copied as data.", STATUS(copied) },
	{ "blkjob_zeroed_bytes_total", "counter", "Bytes copied as zeroes.", STATUS(zeroed) },
	{ "blkjob_recopied_bytes_total", "counter", "Bytes of both after the first sweep.", STATUS(recopied) },
	{ "blkjob_passes_total", "counter", "Sweeps over the map.", STATUS(passes) },
	{ "blkjob_errors_total", "counter", "Failed operations of the job.", offsetof(struct job_stats, job.st.source_errors), "source", false },
	{ "blkjob_errors_total", NULL, NULL, offsetof(struct job_stats, job.st.target_errors), "target", false },
	{ "blkjob_reads_total", "counter", "Reads of the consumer.", STATS(reads) },
	{ "blkjob_writes_total", "counter", "Writes of the consumer, with zeroes and discards.", STATS(writes) },
	{ "blkjob_flushes_total", "counter", "Flushes of the consumer.", STATS(flushes) },
	{ "blkjob_sample", "gauge", "One of so many reads and writes of the consumer is timed.", STATS(sample) },
};

static void label(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", stdout);
		else if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else
			putchar(*value);
	}
	putchar('"');
}

static void sample(const char *name, const char *suffix, const struct job *job)
{
	autofree char *device = job_device(job);

	printf("%s%s{", name, suffix);
	label("job", job->id);
	putchar(',');
	label("device", device);
}

static void header(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_us(uint64_t us)
{
	printf("%llu.%06llu", (unsigned long long)us / 1000000,
	       (unsigned long long)us % 1000000);
}

static void print_metric(const struct metric *m, const struct job_stats *js)
{
	uint64_t value = *(const uint64_t *)((const char *)js + m->offset);

	if (value == UNKNOWN)
		return;
	sample(m->name, "", &js->job);
	if (m->leg) {
		putchar(',');
		label("leg", m->leg);
	}
	printf("} ");
	if (m->us)
		print_us(value);
	else
		printf("%llu", (unsigned long long)value);
	putchar('\n');
}

static void kind_labels(const struct latency_kind *kind)
{
	putchar(',');
	label("op", kind->op);
	if (kind->leg) {
		putchar(',');
		label("leg", kind->leg);
	}
}

static void print_histogram(const char *name, const struct job *job,
			    const struct latency_kind *kind,
			    const struct histogram *h)
{
	unsigned long long sum = 0;
	unsigned int b;

	for (b = 0; b < HISTOGRAM_BUCKETS; b++) {
		sum += h->bucket[b];
		sample(name, "_bucket", job);
		kind_labels(kind);
		printf(",le=\"");
		if (b < HISTOGRAM_BUCKETS - 1)
			print_us(1ULL << b);
		else
			printf("+Inf");
		printf("\"} %llu\n", sum);
	}
	sample(name, "_sum", job);
	kind_labels(kind);
	printf("} ");
	print_us(h->sum_us);
	putchar('\n');
	sample(name, "_count", job);
	kind_labels(kind);
	printf("} %llu\n", sum);
}

static void print_histograms(const char *name, bool of_legs,
			     const struct job_stats *jobs, size_t n)
{
	unsigned int k;
	size_t i;

	for (i = 0; i < n; i++)
		for (k = 0; k < NR_LATENCIES; k++)
			if (!latency_kinds[k].leg != of_legs)
				print_histogram(name, &jobs[i].job,
						&latency_kinds[k],
						&jobs[i].stats.latency[k]);
}

static void print_states(const struct job_stats *jobs, size_t n)
{
	size_t i;

	header("blkjob_state", "gauge", "1, with the state of the job.");
	for (i = 0; i < n; i++) {
		const struct job *job = &jobs[i].job;

		sample("blkjob_state", "", job);
		putchar(',');
		label("type", job->st.type);
		putchar(',');
		label("state", status_state_name(job->st.state));
		printf("} 1\n");
	}
}

void prometheus_print(const struct job_stats *jobs, size_t n)
{
	const struct metric *m;
	size_t i;

	if (!n)
		return;
	print_states(jobs, n);
	for (m = metrics; m < metrics + ARRAY_SIZE(metrics); m++) {
		if (m->type)
			header(m->name, m->type, m->help);
		for (i = 0; i < n; i++)
			print_metric(m, &jobs[i]);
	}
	header("blkjob_foreground_latency_seconds", "histogram",
	       "Time of the consumer's I/O, of one in blkjob_sample.");
	print_histograms("blkjob_foreground_latency_seconds", false, jobs, n);
	header("blkjob_leg_latency_seconds", "histogram",
	       "Time of I/O to a leg: copy, active writes, flush.");
	print_histograms("blkjob_leg_latency_seconds", true, jobs, n);
}
