// SPDX-License-Identifier: GPL-2.0
/* The copiers inside the kernel, timed from the first resume to in sync. */
#include <linux/dm-blkjob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* opts: the optional part of the table line, with its count of words. */
void job_create(struct dmdev *d, const char *name, const struct nullb *src,
		const struct nullb *dst, const char *opts)
{
	dm_create(d, name, src->sectors);
	dm_load(d, BLKJOB_TARGET, "mirror %s 0 %s 0 %s", src->path, dst->path,
		opts);
}

/* "<legs> <dev>... <in sync>/<regions> ..." */
static bool mirror_in_sync(const char *status)
{
	const char *slash = strchr(status, '/');
	const char *n = slash;

	if (!slash)
		die("odd status '%s'", status);
	while (n > status && n[-1] != ' ')
		n--;
	return atoll(n) == atoll(slash + 1);
}

static bool job_ready(const char *status)
{
	return !strncmp(status, "mirror ready ", 13);
}

/* A copy that moved too little is no figure but a fault. */
static struct copied copy_run(struct dmdev *d, bool (*done)(const char *),
			      const struct nullb *from, const struct nullb *to)
{
	uint64_t read = nullb_bytes(from, false), size = from->sectors * SECTOR;
	uint64_t written = nullb_bytes(to, true);
	struct copied c;

	sys_settle();
	c.idle = idle_ns();
	c.ns = now_ns();
	dm_resume(d);
	dm_wait(d, done);
	c.ns = now_ns() - c.ns;
	c.idle = idle_ns() - c.idle;
	dm_remove(d);
	if (nullb_bytes(from, false) - read < size ||
	    nullb_bytes(to, true) - written < size)
		die("%s did not copy everything", d->name);
	return c;
}

struct copied copy_dm_mirror(const struct nullb *from, const struct nullb *to,
			     unsigned int region_kib)
{
	struct dmdev d;

	dm_create(&d, "mirror", from->sectors);
	dm_load(&d, "mirror", "core 1 %u 2 %s 0 %s 0", region_kib * 2,
		from->path, to->path);
	return copy_run(&d, mirror_in_sync, from, to);
}

struct copied copy_blkjob(const struct nullb *from, const struct nullb *to)
{
	struct dmdev d;

	job_create(&d, "job", from, to, "");
	return copy_run(&d, job_ready, from, to);
}
