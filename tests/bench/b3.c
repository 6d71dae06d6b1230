// SPDX-License-Identifier: GPL-2.0
/*
 * B3: what a job costs the foreground: instructions per 4 KiB I/O, 32 queued,
 * over dm-linear on the same device. Every stack sees the same offsets, not
 * two of them in one region of 64 KiB.
 */
#include <stdio.h>

#include "bench.h"

#define IOS	32768ULL
#define REGION	(64 * KIB)
#define ROUNDS	3

static const struct bound read_bound = { LOWER, 60, 30 };
static const struct bound write_bound = { LOWER, 200, 100 };

static struct nullb disk, copy, meta;
static struct dmdev linear, era, zero, mirror, job;

static double per_io(const char *path, bool write)
{
	struct load l = {
		.path = path,
		.write = write,
		.random = true,
		.bs = 4096,
		.qd = 32,
		.span = disk.sectors * SECTOR,
		.spacing = REGION,
		.ios = IOS,
	};

	return load_run(&l) / (double)IOS;
}

static double cost_read(const char *path)
{
	return per_io(path, false);
}

static double cost_write(const char *path)
{
	return per_io(path, true);
}

/* Each write hits a region that was clean: its bit has to be set. */
static double cost_job_clean(const char *unused)
{
	double cost;

	(void)unused;
	job_create(&job, "job", &disk, &copy, "4 sync none paused on");
	dm_resume(&job);
	sys_settle();
	cost = per_io(job.path, true);
	dm_remove(&job);
	return cost;
}

static double job_twice(bool write)
{
	double cost;

	job_create(&job, "job", &disk, &copy, "4 sync none paused on");
	dm_resume(&job);
	per_io(job.path, true);
	cost = per_io(job.path, write);
	dm_remove(&job);
	return cost;
}

/* ... that an earlier write has made dirty. */
static double cost_job_again(const char *unused)
{
	(void)unused;
	return job_twice(true);
}

/* ... of a job that has everything still to copy. */
static double cost_job_all_dirty(const char *unused)
{
	double cost;

	(void)unused;
	job_create(&job, "job", &disk, &copy, "4 sync full paused on");
	dm_resume(&job);
	sys_settle();
	cost = per_io(job.path, true);
	dm_remove(&job);
	return cost;
}

static double cost_job_read(const char *unused)
{
	(void)unused;
	return job_twice(false);
}

struct stack {
	const char *who;
	double (*cost)(const char *path);
	const char *path;
	const struct bound *bound;	/* NULL: a peer */
	double best;
};

/*
 * Rounds over all stacks, and the least of each: timer ticks and the
 * placement of objects add a little to single runs.
 */
static void measure(struct stack *s, unsigned int n)
{
	unsigned int round, i;
	double cost;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < n; i++) {
			cost = s[i].cost(s[i].path);
			if (!round || cost < s[i].best)
				s[i].best = cost;
		}
	}
}

/* s[0] is the device, s[1] dm-linear. */
static void print(const struct stack *s, unsigned int n)
{
	unsigned int i;
	double over;

	report_value(s[0].who, s[0].best, "/IO", "");
	report_value(s[1].who, s[1].best, "/IO", "%+.0f over the device",
		     s[1].best - s[0].best);
	for (i = 2; i < n; i++) {
		over = s[i].best - s[1].best;
		if (s[i].bound)
			report_gate(s[i].who, over, "/IO more", *s[i].bound);
		else
			report_value(s[i].who, over, "/IO more",
				     "%+.0f over the device",
				     s[i].best - s[0].best);
	}
}

static void setup(void)
{
	struct nullb_opts big = { .mib = 65536, .slots = 64 };
	struct nullb_opts small = { .mib = 64, .slots = 64, .data = true };

	nullb_create(&disk, &big);
	nullb_create(&copy, &big);
	nullb_create(&meta, &small);
	dm_create(&linear, "linear", disk.sectors);
	dm_load(&linear, "linear", "%s 0", disk.path);
	dm_resume(&linear);
	dm_create(&era, "era", disk.sectors);
	dm_load(&era, "era", "%s %s %llu", meta.path, disk.path,
		REGION / SECTOR);
	dm_resume(&era);
	dm_create(&zero, "zero", disk.sectors);
	dm_load(&zero, "zero", "%s", "");
	dm_resume(&zero);
	dm_create(&mirror, "mirror", disk.sectors);
	dm_load(&mirror, "mirror", "core 2 4096 nosync 2 %s 0 %s 0", disk.path,
		zero.path);
	dm_resume(&mirror);
	per_io(era.path, true);		/* the first touch of each block is dear */
	sys_settle();
}

static void cleanup(void)
{
	dm_remove(&mirror);
	dm_remove(&zero);
	dm_remove(&era);
	dm_remove(&linear);
	nullb_remove(&meta);
	nullb_remove(&copy);
	nullb_remove(&disk);
}

void bench_b3(void)
{
	struct stack reads[] = {
		{ "device", cost_read, disk.path },
		{ "dm-linear", cost_read, linear.path },
		{ "dm-era", cost_read, era.path },
		{ "dm-mirror, in sync", cost_read, mirror.path },
		{ "blkjob, attached", cost_job_read, NULL, &read_bound },
	};
	struct stack writes[] = {
		{ "device", cost_write, disk.path },
		{ "dm-linear", cost_write, linear.path },
		{ "dm-era, block known", cost_write, era.path },
		{ "dm-mirror, in sync", cost_write, mirror.path },
		{ "blkjob, clean bit", cost_job_clean, NULL, &write_bound },
		{ "blkjob, dirty bit", cost_job_again, NULL, &write_bound },
		{ "blkjob, all dirty", cost_job_all_dirty, NULL, &write_bound },
	};
	unsigned int nr_reads = sizeof(reads) / sizeof(reads[0]);
	unsigned int nr_writes = sizeof(writes) / sizeof(writes[0]);

	if (!sys_have_blkjob()) {
		nr_reads -= 1;
		nr_writes -= 3;
	}
	setup();
	measure(reads, nr_reads);
	measure(writes, nr_writes);
	report_title("B3", "instructions per 4 KiB random read, 32 queued");
	print(reads, nr_reads);
	report_title("B3", "instructions per 4 KiB random write, 32 queued");
	print(writes, nr_writes);
	cleanup();
}
