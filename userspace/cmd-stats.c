// SPDX-License-Identifier: GPL-2.0-or-later
/* stats: counters, and how long I/O takes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "output.h"
#include "size.h"
#include "stats.h"

static const char *us_format(char *buf, size_t len, uint64_t us)
{
	if (us < 1000)
		snprintf(buf, len, "%u us", (unsigned int)us);
	else if (us < 1000000)
		snprintf(buf, len, "%.1f ms", us / 1e3);
	else
		snprintf(buf, len, "%.1f s", us / 1e6);
	return buf;
}

static void print_latency(const struct latency_kind *kind,
			  const struct histogram *h)
{
	char p50[16], p99[16], max[16];

	printf("%-8s %-8s %12llu %10s %10s %10s\n", kind->op,
	       kind->leg ? kind->leg : "consumer", (unsigned long long)h->count,
	       us_format(p50, sizeof(p50), histogram_percentile(h, 50)),
	       us_format(p99, sizeof(p99), histogram_percentile(h, 99)),
	       us_format(max, sizeof(max), h->max_us));
}

static void print_count(const char *name, uint64_t count)
{
	if (count != UNKNOWN)
		printf("%-17s %12llu\n", name, (unsigned long long)count);
}

static void print_bytes(const char *name, uint64_t bytes)
{
	char buf[32];

	if (bytes != UNKNOWN)
		printf("%-17s %12s\n", name,
		       size_format(buf, sizeof(buf), bytes));
}

static void print_stats(const struct job_stats *js)
{
	const struct stats *stats = &js->stats;
	const struct status *st = &js->job.st;
	autofree char *device = job_device(&js->job);
	unsigned int k;

	printf("job %s of %s: %s\n", js->job.id, device,
	       status_state_name(st->state));
	print_count("reads", stats->reads);
	print_count("writes", stats->writes);
	print_count("flushes", stats->flushes);
	print_bytes("copied", st->copied);
	print_bytes("zeroed", st->zeroed);
	print_bytes("recopied", st->recopied);
	print_count("passes", st->passes);
	print_count("source errors", st->source_errors);
	print_count("target errors", st->target_errors);
	printf("%-8s %-8s %12s %10s %10s %10s\n", "LATENCY", "LEG", "COUNT",
	       "P50", "P99", "MAX");
	for (k = 0; k < NR_LATENCIES; k++)
		if (stats->latency[k].count)
			print_latency(&latency_kinds[k], &stats->latency[k]);
	if (stats->sample != UNKNOWN)
		printf("(the consumer's reads and writes: one of %llu is timed)\n",
		       (unsigned long long)stats->sample);
}

static void json_latency(struct json *j, const struct latency_kind *kind,
			 const struct histogram *h)
{
	unsigned int b;

	json_begin(j, NULL, '{');
	json_string(j, "op", kind->op);
	json_string(j, "leg", kind->leg);
	json_number(j, "count", h->count);
	json_number(j, "sum_us", h->sum_us);
	json_number(j, "max_us", h->max_us);
	json_number(j, "p50_us", histogram_percentile(h, 50));
	json_number(j, "p99_us", histogram_percentile(h, 99));
	json_begin(j, "buckets", '[');
	for (b = 0; b < HISTOGRAM_BUCKETS; b++) {
		if (!h->bucket[b])
			continue;
		json_begin(j, NULL, '{');
		json_number(j, "le_us", b < HISTOGRAM_BUCKETS - 1 ? 1ULL << b :
								    UNKNOWN);
		json_number(j, "count", h->bucket[b]);
		json_end(j, '}');
	}
	json_end(j, ']');
	json_end(j, '}');
}

static void json_stats(struct json *j, const struct job_stats *js)
{
	const struct stats *stats = &js->stats;
	const struct status *st = &js->job.st;
	autofree char *device = job_device(&js->job);
	unsigned int k;

	json_begin(j, NULL, '{');
	json_string(j, "id", js->job.id);
	json_string(j, "status", status_state_name(st->state));
	json_string(j, "device", device);
	json_number(j, "sample", stats->sample);
	json_number(j, "reads", stats->reads);
	json_number(j, "writes", stats->writes);
	json_number(j, "flushes", stats->flushes);
	json_number(j, "copied", st->copied);
	json_number(j, "zeroed", st->zeroed);
	json_number(j, "recopied", st->recopied);
	json_number(j, "passes", st->passes);
	json_number(j, "source_errors", st->source_errors);
	json_number(j, "target_errors", st->target_errors);
	json_begin(j, "latency", '[');
	for (k = 0; k < NR_LATENCIES; k++)
		json_latency(j, &latency_kinds[k], &stats->latency[k]);
	json_end(j, ']');
	json_end(j, '}');
}

/* 0 or a negative errno. */
static int job_stats_read(struct job_stats *js)
{
	autofree char *reply = NULL;
	int err = dm_message_reply(js->job.dev.devno, "stats", &reply);

	return err ? err : stats_parse(reply ? reply : "", &js->stats);
}

static int read_failed(const struct job *job, int err)
{
	if (err == -ENXIO)
		return fail(EX_ROLLED_BACK, "job %s is gone; its layer was removed",
			    job->id);
	if (err == -EINVAL)
		return fail(EX_REFUSED,
			    "the loaded dm-blkjob does not give the statistics of job %s; load the module that belongs to this command",
			    job->id);
	return fail(EX_ATTENTION, "cannot read the statistics of job %s: %s",
		    job->id, strerror(-err));
}

/* Of one job, or of all: those that end meanwhile are not there. */
static int collect(const char *ref, struct job_stats **all, size_t *n)
{
	autofree struct job *jobs = NULL;
	size_t count, i;
	int err;

	*n = 0;
	if (ref) {
		*all = xcalloc(1, sizeof(**all));
		err = job_find(ref, &(*all)->job);
		if (err)
			return err;
		err = job_stats_read(*all);
		*n = 1;
		return err ? read_failed(&(*all)->job, err) : 0;
	}
	err = job_list(&jobs, &count);
	if (err)
		return err;
	*all = xcalloc(count + 1, sizeof(**all));
	for (i = 0; i < count; i++) {
		(*all)[*n].job = jobs[i];
		err = job_stats_read(&(*all)[*n]);
		if (!err)
			(*n)++;
		else if (err != -ENXIO)
			return read_failed(&jobs[i], err);
	}
	return 0;
}

static void print_json(const struct job_stats *all, size_t n, bool array)
{
	struct json j = { .f = stdout };
	size_t i;

	if (array)
		json_begin(&j, NULL, '[');
	for (i = 0; i < n; i++)
		json_stats(&j, &all[i]);
	if (array)
		json_end(&j, ']');
	putchar('\n');
}

static int run(const struct command *cmd, int argc, char **argv)
{
	autofree struct job_stats *all = NULL;
	bool json = false, prometheus = false;
	const struct arg args[] = {
		ARG_JSON(&json), ARG("prometheus", FLAG, &prometheus), { 0 }
	};
	const char *ref;
	size_t n, i;
	int err;

	err = args_parse(cmd, argc, argv, args, 0, 1, "takes one JOB, or none",
			 &ref);
	if (!err && json && prometheus)
		err = usage_error(cmd, "prints JSON or for Prometheus, not both");
	if (!err)
		err = collect(ref, &all, &n);
	if (err)
		return err;
	if (json)
		print_json(all, n, !ref);
	else if (prometheus)
		prometheus_print(all, n);
	else
		for (i = 0; i < n; i++)
			print_stats(&all[i]);
	return EX_DONE;
}

const struct command cmd_stats = {
	.name = "stats",
	.args = "[JOB] [--json | --prometheus]",
	.summary = "Show counters and how long I/O takes",
	.options =
	"  --json               one object, without JOB an array of them\n"
	"  --prometheus         text for Prometheus, of all jobs or of one\n",
	.run = run,
};
