// SPDX-License-Identifier: GPL-2.0
/*
 * B11: a device that is used at once and filled from a slow source behind:
 * how fast it fills, alone and beside readers, and what the first read and
 * the first write of a place cost. Beside dm-clone as it comes, and as somebody
 * who knows it sets it up.
 */
#include <linux/dm-blkjob.h>
#include <stdio.h>
#include <time.h>

#include "bench.h"

#define SIZE_MIB	65536ULL
#define FAST_US		50	/* target and metadata */
#define MAX_READERS	4
#define LATENCY_IOS	512ULL
#define SETTLE		3	/* so often as long, to find the window */

static const struct bound default_bound = { HIGHER, 10, 10 };
static const struct bound tuned_bound = { HIGHER, 1.0, 1.0 };
static const struct bound share_bound = { HIGHER, 0.5, 0.8 };
static const struct bound p99_bound = { LOWER, 1.5, 1.2 };
static const struct bound touch_bound = { LOWER, 1.1, 1.05 };

static struct nullb source, target, metadata;

struct filler {
	const char *who;
	bool clone;
	const char *opts;
};

static const struct filler clone_default = { "dm-clone", true, "0" };
static const struct filler clone_tuned = {
	"dm-clone, threshold 256, batch 16", true,
	"0 4 hydration_threshold 256 hydration_batch_size 16",
};
static const struct filler clone_still = {
	"dm-clone", true, "1 no_hydration",
};
static const struct filler job_free = { "blkjob", false, "" };
static const struct filler job_bound = {
	"blkjob, latency_bound 150", false, "latency_bound 150",
};

static const struct filler job_still = { "blkjob", false, "paused on" };

static void filler_start(struct dmdev *d, const struct filler *f)
{
	struct nullb_opts opts = {
		.mib = 64, .latency_us = FAST_US, .slots = 64, .data = true,
	};

	nullb_create(&metadata, &opts);
	dm_create(d, "filled", source.sectors);
	if (f->clone)
		dm_load(d, "clone", "%s %s %s 128 %s", metadata.path,
			target.path, source.path, f->opts);
	else
		dm_load(d, BLKJOB_TARGET, "stream %s 0 %s 0 %d metadata %s %s",
			source.path, target.path, *f->opts ? 4 : 2,
			metadata.path, f->opts);
	dm_resume(d);
}

static void filler_end(struct dmdev *d)
{
	dm_remove(d);
	nullb_remove(&metadata);
}

struct seen {
	double rate;	/* MiB/s */
	double p99;	/* us */
};

static void wait_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static struct seen together(const struct dmdev *d, unsigned int readers,
			    unsigned int ms)
{
	struct foreground *f[MAX_READERS];
	struct seen s = { 0 };
	uint64_t start = now_ns(), filled = nullb_bytes(&target, true);
	unsigned int i;

	for (i = 0; i < readers; i++)
		f[i] = foreground_start(d->path, false, SIZE_MIB * MIB);
	wait_ms(ms);
	s.rate = (nullb_bytes(&target, true) - filled) / (double)MIB * 1e9 /
		 (now_ns() - start);
	for (i = 0; i < readers; i++)
		foreground_stop(f[i]);
	if (readers)
		s.p99 = foreground_p99_of(f, readers);
	for (i = 0; i < readers; i++)
		foreground_free(f[i]);
	return s;
}

static struct seen fill(const struct filler *f, unsigned int readers,
			unsigned int ms)
{
	struct dmdev d;
	struct seen s;

	filler_start(&d, f);
	together(&d, readers, readers ? ms * SETTLE : ms);
	s = together(&d, readers, ms);
	filler_end(&d);
	return s;
}

static void beside_readers(unsigned int readers, unsigned int ms, double alone)
{
	static const struct filler *const clones[] = {
		&clone_default, &clone_tuned,
	};
	struct seen idle = fill(&job_still, readers, ms), s;
	unsigned int i;
	char line[64];

	printf("  beside %u reader%s, p99 without filling %.0f us\n", readers,
	       readers == 1 ? "" : "s", idle.p99);
	for (i = 0; i < 2 && sys_have("dm_clone"); i++) {
		s = fill(clones[i], readers, ms);
		report_value(clones[i]->who, s.rate, "MiB/s", "p99 %.2f x",
			     s.p99 / idle.p99);
	}
	s = fill(&job_bound, readers, ms);
	report_value(job_bound.who, s.rate, "MiB/s", "");
	snprintf(line, sizeof(line), "%s / alone", job_bound.who);
	report_gate(line, s.rate / alone, "x", share_bound);
	report_gate(job_bound.who, s.p99 / idle.p99, "x p99", p99_bound);
}

static void rates(const char *what, unsigned int us, unsigned int slots,
		  unsigned int ms)
{
	struct nullb_opts opts = {
		.mib = SIZE_MIB, .latency_us = us, .slots = slots,
	};
	struct seen theirs, tuned, ours;

	nullb_create(&source, &opts);
	opts.latency_us = FAST_US;
	opts.slots = 64;
	nullb_create(&target, &opts);
	report_title("B11", what);
	ours = fill(&job_free, 0, ms);
	if (sys_have("dm_clone")) {
		theirs = fill(&clone_default, 0, ms);
		report_value(clone_default.who, theirs.rate, "MiB/s", "");
		tuned = fill(&clone_tuned, 0, ms);
		report_value(clone_tuned.who, tuned.rate, "MiB/s", "");
		report_value(job_free.who, ours.rate, "MiB/s", "");
		report_gate("blkjob / dm-clone", ours.rate / theirs.rate, "x",
			    default_bound);
		report_gate("blkjob / dm-clone, 256 and 16",
			    ours.rate / tuned.rate, "x", tuned_bound);
	} else {
		report_value(job_free.who, ours.rate, "MiB/s", "");
	}
	beside_readers(1, ms, ours.rate);
	beside_readers(MAX_READERS, ms, ours.rate);
	nullb_remove(&target);
	nullb_remove(&source);
}

/* Of one I/O where none has been yet; us. */
static double touch(const char *path, bool write, uint64_t bs)
{
	struct load l = {
		.path = path,
		.write = write,
		.random = true,
		.bs = bs,
		.qd = 1,
		.span = 1024 * MIB,
		.spacing = 64 * KIB,
		.ios = LATENCY_IOS,
	};

	return load_run(&l) / 1000.0 / LATENCY_IOS;
}

struct touched {
	double read, write, part;
};

static struct touched touch_filler(const struct filler *f)
{
	struct touched t;
	struct dmdev d;

	filler_start(&d, f);
	sys_settle();
	t.read = touch(d.path, false, 4096);
	t.write = touch(d.path, true, 4096);
	filler_end(&d);
	filler_start(&d, f);
	sys_settle();
	t.part = touch(d.path, true, 512);
	filler_end(&d);
	return t;
}

static void latencies(void)
{
	struct nullb_opts opts = {
		.mib = 1024, .latency_us = 400, .slots = 64,
	};
	struct touched device, theirs, ours;

	nullb_create(&source, &opts);
	opts.latency_us = FAST_US;
	nullb_create(&target, &opts);
	report_title("B11", "the first I/O of a place, source 400 us, target 50 us");
	device.read = touch(source.path, false, 4096);
	device.write = touch(target.path, true, 4096);
	report_value("source, read", device.read, "us", "");
	report_value("target, write", device.write, "us", "");
	if (sys_have("dm_clone")) {
		theirs = touch_filler(&clone_still);
		report_value("dm-clone, 64 KiB, read", theirs.read, "us", "");
		report_value("dm-clone, 64 KiB, write", theirs.write, "us", "");
	}
	ours = touch_filler(&job_still);
	report_value("blkjob, write of 512 bytes", ours.part, "us", "");
	report_gate("blkjob, read / source", ours.read / device.read, "x",
		    touch_bound);
	report_gate("blkjob, write / target", ours.write / device.write, "x",
		    touch_bound);
	nullb_remove(&target);
	nullb_remove(&source);
}

void bench_b11(void)
{
	if (!sys_have_blkjob())
		return;
	rates("MiB/s filled, source 20 ms, 64 places", 20000, 64, 10000);
	rates("MiB/s filled, source 400 us, 8 places", 400, 8, 1000);
	latencies();
}
