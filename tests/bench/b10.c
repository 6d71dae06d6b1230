// SPDX-License-Identifier: GPL-2.0
/*
 * B10: what a write costs that is the first one to its region since a backup
 * began, so that the old data have to be saved: beside the device alone, and
 * beside dm-snapshot with a store that keeps no records (which is its fastest).
 */
#include <stdio.h>

#include "bench.h"

#define QD1_IOS		512ULL
#define QD16_IOS	8192ULL

static const struct bound time_bound = { LOWER, 2.2, 2.05 };
static const struct bound stored_bound = { LOWER, 3.1, 3.0 };
static const struct bound rate_bound = { HIGHER, 1.3, 1.5 };
static const struct bound again_bound = { LOWER, 1.02, 1.01 };

struct rates {
	double us;		/* of a write, one at a time */
	double iops;		/* 16 queued */
	double again_us;	/* of a write to where one has been */
};

static uint64_t writes(const char *path, unsigned int qd, uint64_t ios)
{
	struct load l = {
		.path = path,
		.write = true,
		.random = true,
		.bs = 4096,
		.qd = qd,
		.span = GIB,
		.spacing = 64 * KIB,
		.ios = ios,
	};

	return load_run(&l);
}

static struct rates measure_one(const char *path)
{
	struct rates r;

	r.us = writes(path, 1, QD1_IOS) / 1000.0 / QD1_IOS;
	r.again_us = writes(path, 1, QD1_IOS) / 1000.0 / QD1_IOS;
	return r;
}

static double measure_many(const char *path)
{
	return QD16_IOS * 1e9 / writes(path, 16, QD16_IOS);
}

static struct rates snapshot(const struct nullb *source,
			     const struct nullb *store)
{
	struct dmdev origin, snap;
	struct rates r = { 0 };
	bool many;
	int i;

	for (i = 0; i < 2; i++) {
		many = i;
		dm_create(&origin, "origin", source->sectors);
		dm_load(&origin, "snapshot-origin", "%s", source->path);
		dm_resume(&origin);
		dm_create(&snap, "snap", source->sectors);
		dm_load(&snap, "snapshot", "%s %s N 8", source->path,
			store->path);
		dm_resume(&snap);
		sys_settle();
		if (many)
			r.iops = measure_many(origin.path);
		else
			r = measure_one(origin.path);
		dm_remove(&snap);
		dm_remove(&origin);
	}
	return r;
}

static struct rates backup(const struct nullb *source,
			   const struct nullb *target, const char *opts)
{
	struct rates r = { 0 };
	struct dmdev job;
	bool many;
	int i;

	for (i = 0; i < 2; i++) {
		many = i;
		dm_create(&job, "job", source->sectors);
		dm_load(&job, "blkjob", "backup %s 0 %s 0 %s", source->path,
			target->path, opts);
		dm_resume(&job);
		sys_settle();
		if (many)
			r.iops = measure_many(job.path);
		else
			r = measure_one(job.path);
		dm_remove(&job);
	}
	return r;
}

static void show(const char *who, struct rates r, struct rates device)
{
	report_value(who, r.us, "us", "%.2f of the device, again %.2f; QD16 %.0f IOPS",
		     r.us / device.us, r.again_us / device.us, r.iops);
}

void bench_b10(void)
{
	struct nullb_opts opts = { .mib = 1024, .latency_us = 400, .slots = 64 };
	struct rates device, theirs, stored, ours;
	struct nullb source, target;

	nullb_create(&source, &opts);
	nullb_create(&target, &opts);
	report_title("B10", "first 4 KiB write while a backup runs, 400 us devices");
	device = measure_one(source.path);
	device.iops = measure_many(source.path);
	show("device", device, device);
	theirs = snapshot(&source, &target);
	show("dm-snapshot, transient, 4 KiB", theirs, device);
	if (sys_have_blkjob()) {
		stored = backup(&source, &target, "4 sync none cbw_stored on");
		show("blkjob, cbw_stored", stored, device);
		ours = backup(&source, &target, "4 sync none granularity 4096");
		show("blkjob, regions of 4 KiB", ours, device);
		ours = backup(&source, &target, "2 sync none");
		show("blkjob", ours, device);
		report_gate("blkjob / device", ours.us / device.us, "x",
			    time_bound);
		report_gate("blkjob, cbw_stored / device",
			    stored.us / device.us, "x", stored_bound);
		report_gate("blkjob / device, again",
			    ours.again_us / device.us, "x", again_bound);
		report_gate("blkjob / dm-snapshot, QD16",
			    ours.iops / theirs.iops, "x", rate_bound);
	}
	nullb_remove(&target);
	nullb_remove(&source);
}
