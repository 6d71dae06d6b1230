// SPDX-License-Identifier: GPL-2.0
/*
 * B4: what a second processor brings to 4 KiB random writes through a job whose
 * bits are set, beside what it brings to dm-linear. In a guest of two
 * processors, so in time and not in instructions: the least of many rounds, in
 * turn.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "bench.h"

#define IOS	8192ULL
#define SPAN	(32ULL * GIB)
#define ROUNDS	30
#define BUSY	1.5	/* two processors bring less than this to anybody */

static const struct bound bound = { HIGHER, 0.97, 1.0 };

static struct nullb disk, copy;

struct worker {
	pthread_t thread;
	unsigned int cpu;
	struct load load;
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(w->cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("cannot stay on a processor");
	load_run(&w->load);
	return NULL;
}

/* ns for IOS writes on each of @cpus processors. */
static uint64_t together(const char *path, unsigned int cpus)
{
	struct worker w[2] = { 0 };
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < cpus; i++) {
		w[i].cpu = i;
		w[i].load = (struct load) {
			.path = path,
			.write = true,
			.random = true,
			.bs = 4096,
			.qd = 32,
			.span = SPAN,
			.spacing = 64 * KIB,
			.ios = IOS,
		};
		if (pthread_create(&w[i].thread, NULL, worker_main, &w[i]))
			die("no thread");
	}
	for (i = 0; i < cpus; i++)
		pthread_join(w[i].thread, NULL);
	return now_ns() - start;
}

struct scaling {
	const char *who;
	const char *path;
	uint64_t best[2];	/* ns on one, on two processors */
};

static void measure(struct scaling *s)
{
	unsigned int cpus;
	uint64_t ns;

	for (cpus = 1; cpus <= 2; cpus++) {
		ns = together(s->path, cpus);
		if (!s->best[cpus - 1] || ns < s->best[cpus - 1])
			s->best[cpus - 1] = ns;
	}
}

static double factor(const struct scaling *s)
{
	double f = 2.0 * s->best[0] / s->best[1];

	report_value(s->who, f, "x", "%.0f us per 1000 on one",
		     s->best[0] * 1e3 / IOS / 1e3);
	return f;
}

void bench_b4(void)
{
	struct nullb_opts opts = { .mib = 65536, .slots = 64, .queues = 2 };
	struct dmdev linear, job;
	struct scaling s[2];
	unsigned int round;
	double theirs, ours;

	if (!sys_have_blkjob())
		return;
	nullb_create(&disk, &opts);
	nullb_create(&copy, &opts);
	dm_create(&linear, "linear", disk.sectors);
	dm_load(&linear, "linear", "%s 0", disk.path);
	dm_resume(&linear);
	job_create(&job, "job", &disk, &copy, "4 sync none paused on");
	dm_resume(&job);
	s[0] = (struct scaling) { "dm-linear", linear.path, { 0 } };
	s[1] = (struct scaling) { "blkjob, bits set", job.path, { 0 } };
	together(job.path, 1);
	for (round = 0; round < ROUNDS; round++) {
		measure(&s[round % 2]);
		measure(&s[!(round % 2)]);
	}
	report_title("B4", "writes on two processors / on one");
	theirs = factor(&s[0]);
	ours = factor(&s[1]);
	if (theirs >= BUSY)
		report_gate("blkjob / dm-linear", ours / theirs, "x", bound);
	else
		report_value("blkjob / dm-linear", ours / theirs, "x",
			     "no figure: the host has no second processor to spare");
	dm_remove(&job);
	dm_remove(&linear);
	nullb_remove(&copy);
	nullb_remove(&disk);
}
