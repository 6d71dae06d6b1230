// SPDX-License-Identifier: GPL-2.0
/*
 * B13: writes that go to both legs at once, in copy mode write-blocking:
 * instructions beside dm-mirror in sync, with a second leg that costs next to
 * nothing (dm-zero); and the time of one write beside the slower leg's.
 */
#include <stdio.h>

#include "bench.h"

#define IOS	32768ULL
#define QD1_IOS	512ULL

static const struct bound cost_bound = { LOWER, 0.5, 0.4 };
static const struct bound time_bound = { LOWER, 1.02, 1.00 };

static double per_write(const char *path, uint64_t span, unsigned int qd,
			uint64_t ios)
{
	struct load l = {
		.path = path,
		.write = true,
		.random = true,
		.bs = 4096,
		.qd = qd,
		.span = span,
		.spacing = 64 * KIB,
		.ios = ios,
	};

	return load_run(&l) / (double)ios;
}

/* A job that has nothing to copy, and sends every write to both legs. */
static void job_in_step(struct dmdev *job, const char *source,
			const char *target, uint64_t sectors)
{
	dm_create(job, "job", sectors);
	dm_load(job, "blkjob",
		"mirror %s 0 %s 0 4 sync none copy_mode write-blocking", source,
		target);
	dm_resume(job);
	dm_wait_state(job, "ready");
	sys_settle();
}

static void instructions(void)
{
	struct nullb_opts opts = { .mib = 65536, .slots = 64 };
	struct dmdev zero, mirror, job;
	struct nullb disk;
	double device, theirs, ours;
	uint64_t span;

	nullb_create(&disk, &opts);
	span = disk.sectors * SECTOR;
	dm_create(&zero, "zero", disk.sectors);
	dm_load(&zero, "zero", "%s", "");
	dm_resume(&zero);

	report_title("B13", "instructions per 4 KiB write to both legs, 32 queued");
	device = per_write(disk.path, span, 32, IOS);
	report_value("device", device, "/IO", "");
	dm_create(&mirror, "mirror", disk.sectors);
	dm_load(&mirror, "mirror", "core 2 4096 nosync 2 %s 0 %s 0", disk.path,
		zero.path);
	dm_resume(&mirror);
	sys_settle();
	theirs = per_write(mirror.path, span, 32, IOS) - device;
	report_value("dm-mirror, in sync", theirs, "/IO more", "");
	dm_remove(&mirror);
	if (sys_have_blkjob()) {
		job_in_step(&job, disk.path, zero.path, disk.sectors);
		ours = per_write(job.path, span, 32, IOS) - device;
		report_value("blkjob, in step", ours, "/IO more", "");
		report_gate("blkjob / dm-mirror", ours / theirs, "x",
			    cost_bound);
		dm_remove(&job);
	}
	dm_remove(&zero);
	nullb_remove(&disk);
}

static void latency(void)
{
	struct nullb_opts fast = { .mib = 1024, .latency_us = 200, .slots = 64 };
	struct nullb_opts slow = { .mib = 1024, .latency_us = 400, .slots = 64 };
	struct nullb source, target;
	struct dmdev job;
	double legs, ours;

	nullb_create(&source, &fast);
	nullb_create(&target, &slow);
	report_title("B13", "time of one 4 KiB write, legs of 200 and 400 us");
	legs = per_write(target.path, GIB, 1, QD1_IOS) / 1000;
	report_value("slower leg", legs, "us", "");
	if (sys_have_blkjob()) {
		job_in_step(&job, source.path, target.path, source.sectors);
		ours = per_write(job.path, GIB, 1, QD1_IOS) / 1000;
		report_value("blkjob, in step", ours, "us", "");
		report_gate("blkjob / slower leg", ours / legs, "x",
			    time_bound);
		dm_remove(&job);
	}
	nullb_remove(&target);
	nullb_remove(&source);
}

void bench_b13(void)
{
	instructions();
	latency();
}
