// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "view.h"

int view_check(const char *name)
{
	struct dm_dev dev;

	if (!*name || strchr(name, '/') || strlen(name) >= sizeof(dev.name))
		return fail(EX_USAGE,
			    "--snapshot takes the name that the device is to have below /dev/mapper, not \"%s\"",
			    name);
	if (!dm_find_name(name, &dev))
		return fail(EX_REFUSED,
			    "there is a device /dev/mapper/%s already; choose another name",
			    name);
	return 0;
}

/* Hidden from udev's rules: what is on it has the uuids of what is in use. */
static int show(const struct dm_dev *dev, const struct table *t, bool discard)
{
	struct dm_cookie c = { 0 };
	int err = dm_load(dev->devno, t, !discard);

	if (!err)
		err = dm_cookie(&c);
	if (!err) {
		err = dm_resume(dev, &c, DM_RESUME_HIDDEN);
		dm_cookie_wait(&c);
	}
	return err;
}

static char *view_params(const struct job *job)
{
	return xasprintf("%u:%u", major(job->dev.devno),
			 minor(job->dev.devno));
}

int view_create(const char *name, const struct job *job, bool discard)
{
	autofree char *uuid = xasprintf("BLKJOB-%s-view", job->id);
	autofree char *params = view_params(job);
	autotable struct table t = { 0 };
	struct dm_dev dev;
	int err = dm_create(name, uuid, &dev);

	table_add(&t, 0, job->length, BLKJOB_SNAPSHOT_TARGET, params);
	if (!err) {
		err = show(&dev, &t, discard);
		if (err)
			dm_remove(dev.devno);
	}
	if (err)
		return fail(EX_REFUSED, "cannot make /dev/mapper/%s: %s; see: dmesg",
			    name, strerror(-err));
	return 0;
}

static bool is_view_of(const struct dm_dev *dev, const char *params)
{
	autotable struct table t = { 0 };

	return !dm_get_table(dev->devno, false, &t) && t.n == 1 &&
	       !strcmp(t.seg[0].type, BLKJOB_SNAPSHOT_TARGET) &&
	       !strcmp(t.seg[0].params, params);
}

static int in_use(const struct job *job, const struct dm_dev *dev)
{
	return fail(EX_REFUSED,
		    "/dev/mapper/%s, which shows the source of job %s as it was, is in use; close it first",
		    dev->name, job->id);
}

static int each_view(const struct job *job,
		     int (*what)(const struct job *job,
				 const struct dm_dev *dev))
{
	autofree char *params = view_params(job);
	autofree struct dm_dev *devs = NULL;
	int err = 0;
	size_t i, n;

	if (!job_is_backup(job))
		return 0;
	if (dm_list_all(&devs, &n))
		return fail(EX_ATTENTION,
			    "cannot list the devices: %s; see: dmsetup ls",
			    dm_error());
	for (i = 0; i < n && !err; i++)
		if (is_view_of(&devs[i], params))
			err = what(job, &devs[i]);
	return err;
}

static int check_unused(const struct job *job, const struct dm_dev *dev)
{
	return dm_open_count(dev->devno) > 0 ? in_use(job, dev) : 0;
}

static int remove_one(const struct job *job, const struct dm_dev *dev)
{
	int err = dm_remove(dev->devno);

	if (err == -EBUSY)
		return in_use(job, dev);
	return !err || err == -ENXIO ? 0 :
		fail(EX_ATTENTION, "cannot remove /dev/mapper/%s: %s",
		     dev->name, strerror(-err));
}

int view_check_unused(const struct job *job)
{
	return each_view(job, check_unused);
}

int view_remove_all(const struct job *job)
{
	return each_view(job, remove_one);
}
