// SPDX-License-Identifier: GPL-2.0-or-later
/* After a command was killed: what stands half-way, and nobody uses. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "lock.h"
#include "lvm.h"
#include "preflight.h"
#include "recover.h"

/* A command that is at work holds a lock; files of killed ones go away. */
static int check_idle(void)
{
	glob_t files;
	size_t i;
	int err = 0;

	if (glob("/run/lock/blkjob.*.lock", 0, NULL, &files))
		return 0;
	for (i = 0; i < files.gl_pathc && !err; i++) {
		autolock struct lock lock = NO_LOCK;

		if (lock_take(&lock, files.gl_pathv[i], 0) == -EAGAIN)
			err = fail(EX_REFUSED,
				   "another blkjob command is at work (%s); try again when it has finished",
				   files.gl_pathv[i]);
	}
	globfree(&files);
	return err;
}

static bool leads_to_layer(const struct table *t)
{
	unsigned int maj, min;
	struct dm_dev dev;

	return t->n && !strcmp(t->seg[0].type, "linear") &&
	       sscanf(t->seg[0].params, "%u:%u", &maj, &min) == 2 &&
	       !dm_find(makedev(maj, min), &dev) && job_is_private(&dev);
}

/* The device in which a job replaces its source. */
static bool is_parent(const struct dm_dev *dev)
{
	autofree struct job *jobs = NULL;
	size_t n, i;

	if (job_list(&jobs, &n))
		return false;
	for (i = 0; i < n; i++)
		if (jobs[i].replaces == dev->devno)
			return true;
	return false;
}

/* Killed while several devices stood still, and its second process as well. */
static int resume(const struct dm_dev *dev)
{
	struct dm_cookie c;
	int err = dm_cookie(&c);

	if (!err)
		err = dm_resume(dev, &c, 0);
	dm_cookie_wait(&c);
	return err ? fail(EX_ATTENTION,
			  "cannot resume it: %s; run: dmsetup resume %s",
			  strerror(-err), dev->name) : 0;
}

/*
 * A table was loaded to put a layer in place, or to take one away. The next
 * resume by anybody would switch to it.
 */
static int clear_table(const struct dm_dev *dev, bool dry)
{
	autotable struct table loaded = { 0 }, live = { 0 };

	if (!dev->inactive || dm_get_table(dev->devno, true, &loaded) ||
	    dm_get_table(dev->devno, false, &live) ||
	    (!leads_to_layer(&loaded) && !leads_to_layer(&live) &&
	     !is_parent(dev)))
		return 0;
	say("%s: a table that was loaded, but not switched to%s", dev->name,
	    dev->suspended ? ", and it is suspended" : "");
	if (dry)
		return 0;
	if (dm_clear(dev->devno))
		return fail(EX_ATTENTION, "cannot clear it: %s; run: dmsetup clear %s",
			    dm_error(), dev->name);
	return dev->suspended ? resume(dev) : 0;
}

static int remove_unused(const struct dm_dev *dev, bool dry)
{
	autofree dev_t *holders = NULL;

	if (!job_is_private(dev) ||
	    device_related(dev->devno, "holders", &holders))
		return 0;
	say("%s: a private device that nothing stands on", dev->name);
	if (!dry && dm_remove(dev->devno))
		return fail(EX_ATTENTION, "cannot remove it: %s; run: dmsetup remove %s",
			    dm_error(), dev->name);
	return 0;
}

static int for_each_device(int (*fn)(const struct dm_dev *, bool), bool dry)
{
	autofree struct dm_dev *devs = NULL;
	size_t n, i;
	int err = 0;

	if (dm_list_all(&devs, &n))
		return fail(EX_REFUSED, "cannot list the devices: %s; is dm-mod loaded?",
			    dm_error());
	for (i = 0; i < n && !err; i++)
		err = fn(&devs[i], dry);
	return err;
}

static bool has_job(const char *id, const struct job *jobs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(jobs[i].id, id))
			return true;
	return false;
}

static int remove_spares(bool dry)
{
	autofree struct job *jobs = NULL;
	struct lv *spares = NULL;
	size_t n, nr_spares, i;
	int err = job_list(&jobs, &n);

	if (err)
		return err;
	nr_spares = lvm_list_spares(&spares);
	for (i = 0; i < nr_spares; i++) {
		if (!has_job(spares[i].id, jobs, n)) {
			say("%s/%s: allocated for job %s, which is gone",
			    spares[i].vg, spares[i].name, spares[i].id);
			if (!dry && lvm_remove(&spares[i]))
				err = EX_ATTENTION;
		}
		lv_free(&spares[i]);
	}
	free(spares);
	return err;
}

/* The other jobs of a group end with it. */
static void name_job(const struct job *job)
{
	const char *group = job->st.group, *ref = *group ? group : job->id;
	autofree char *label = job_device(job);

	if (job_is_stream(job) && strcmp(job->st.result, "completed")) {
		say("job %s is %s, and %s stays in use on both devices",
		    job->id, *job->st.error ? "failed" : "cancelled", label);
		return;
	}
	say("job %s%s%s is %s: 'blkjob complete %s' or 'blkjob cancel %s' ends it",
	    job->id, *group ? " of group " : "", group,
	    status_state_name(job->st.state), ref, ref);
}

/* Jobs that a killed command left at the switch. */
static int name_jobs(void)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	for (i = 0; !err && i < n; i++) {
		if (job_unprepared(&jobs[i]))
			say("job %s was never started: 'blkjob cancel %s' ends it",
			    jobs[i].id, jobs[i].id);
		if (job_in(&jobs[i], STATE(WAITING) | STATE(PENDING) |
				     STATE(CONCLUDED)))
			name_job(&jobs[i]);
	}
	return err;
}

static int clean_up(bool dry)
{
	int err = check_idle();

	if (!err)
		err = for_each_device(clear_table, dry);
	/* Twice: a private device stands on another. */
	if (!err)
		err = for_each_device(remove_unused, dry);
	if (!err && !dry)
		err = for_each_device(remove_unused, dry);
	if (!err)
		err = remove_spares(dry);
	return err ? err : name_jobs();
}

static int run(const struct command *cmd, int argc, char **argv)
{
	static const char usage[] = "takes METADATA devices, or --all";
	bool dry = false, all = false, unwritten = false;
	const char *metadata[BLKJOB_GROUP_MEMBERS];
	const struct arg args[] = {
		{ "dry-run", ARG_FLAG, &dry, NULL, 'n' },
		ARG("all", FLAG, &all),
		ARG("unwritten", FLAG, &unwritten), { 0 }
	};
	uint32_t version[3];
	size_t i;
	int one, err;

	err = args_parse(cmd, argc, argv, args, 0, ARRAY_SIZE(metadata), usage,
			 metadata);
	if (!err && all && *metadata)
		err = usage_error(cmd, "%s", usage);
	if (!err && unwritten && !all && !*metadata)
		err = usage_error(cmd, "--unwritten is about what is put back: %s", usage);
	if (!err)
		err = preflight_kernel(version);
	if (!err)
		err = clean_up(dry);
	if (!err && all)
		return recover_metadata(NULL, unwritten, dry);
	/* One that cannot be put back does not keep the others away. */
	for (i = 0; i < ARRAY_SIZE(metadata) && metadata[i]; i++) {
		one = recover_metadata(metadata[i], unwritten, dry);
		err = err ? err : one;
	}
	return err;
}

const struct command cmd_recover = {
	.name = "recover",
	.args = "[METADATA... | --all]",
	.summary = "Put streams and mirrors back after a reboot, and clean up",
	.options =
	"Clears tables that were loaded but not switched to, removes private devices that\n"
	"nothing stands on and volumes of jobs that are gone, and names jobs that wait for\n"
	"a decision.\n"
	"Then it begins the streams and mirrors again that METADATA know of. Do that before\n"
	"anything opens their devices.\n\n"
	"  --all                all whose metadata are on any device of this machine\n"
	"  --unwritten          a promise: nothing was written to their sources meanwhile\n"
	"  -n, --dry-run        only say what would be done\n",
	.run = run,
};
