// SPDX-License-Identifier: GPL-2.0-or-later
/* Finding jobs, asking after them and sending them verbs. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "job.h"
#include "kmsg.h"
#include "remember.h"
#include "stream.h"

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && !strcmp(s + len - n, end);
}

/*
 * "BLKJOB-<id>-job", or under a logical volume "LVM-<vgid><lvid>-blkjob". What
 * the target device is to replace the source in stands before the last word:
 * "BLKJOB-<id>-253:5-job".
 */
static bool is_job_uuid(const char *uuid)
{
	return (!strncmp(uuid, "BLKJOB-", 7) && ends_with(uuid, "-job")) ||
	       (!strncmp(uuid, "LVM-", 4) && ends_with(uuid, "-blkjob"));
}

bool job_is_private(const struct dm_dev *dev)
{
	return is_job_uuid(dev->uuid) ||
	       (!strncmp(dev->uuid, "BLKJOB-", 7) && ends_with(dev->uuid, "-src")) ||
	       (!strncmp(dev->uuid, "LVM-", 4) && ends_with(dev->uuid, "-blkjobsrc"));
}

static dev_t parse_replaces(const char *uuid)
{
	const char *last = strrchr(uuid, '-'), *at = last;
	unsigned int maj, min;

	while (at && at > uuid && at[-1] != '-')
		at--;
	if (!at || sscanf(at, "%u:%u-", &maj, &min) != 2)
		return 0;
	return makedev(maj, min);
}

/* Named "blkjob.3f2a91c4", with a uuid of ours -> true, and the id. */
static bool own_stack(const struct dm_dev *dev, char *id)
{
	size_t prefix = strlen(JOB_PREFIX), i;

	if (strncmp(dev->name, JOB_PREFIX, prefix) || !is_job_uuid(dev->uuid) ||
	    strlen(dev->name) != prefix + JOB_ID_LEN)
		return false;
	for (i = prefix; dev->name[i]; i++)
		if (!isxdigit((unsigned char)dev->name[i]))
			return false;
	strcpy(id, dev->name + prefix);
	return true;
}

static int parse_table(struct job *job, const struct table *t)
{
	unsigned int smaj, smin, tmaj, tmin;
	unsigned long long soff, toff;

	if (t->n != 1 || strcmp(t->seg[0].type, BLKJOB_TARGET))
		return -EINVAL;
	if (sscanf(t->seg[0].params, "%*s %u:%u %llu %u:%u %llu",
		   &smaj, &smin, &soff, &tmaj, &tmin, &toff) != 6)
		return -EINVAL;
	job->source = makedev(smaj, smin);
	job->target = makedev(tmaj, tmin);
	job->source_offset = soff;
	job->target_offset = toff;
	job->length = t->seg[0].len;
	return 0;
}

/* What stands on it, and rather the user's than a device of ours. */
static dev_t find_holder(dev_t devno, struct dm_dev *holder)
{
	autofree dev_t *holders = NULL;
	size_t n = device_related(devno, "holders", &holders), i;

	for (i = 0; i < n; i++)
		if (!dm_find(holders[i], holder) && !job_is_private(holder))
			return holder->devno;
	if (!n || dm_find(holders[0], holder))
		*holder = (struct dm_dev) { 0 };
	return holder->devno;
}

/*
 * The device that stands on a stack of ours, if there is one; a backup is on top
 * of what tracks.
 */
static void find_user(struct job *job)
{
	dev_t at = job->dev.devno;

	while ((at = find_holder(at, &job->user)) && job_is_private(&job->user))
		job->below = true;
	job->below &= at != 0;
}

static int read_status(struct job *job)
{
	autotable struct table t = { 0 };
	int err = dm_get_status(job->dev.devno, &t);

	if (err)
		return err;
	if (t.n != 1 || strcmp(t.seg[0].type, BLKJOB_TARGET))
		return -ENXIO;
	return status_parse(t.seg[0].params, &job->st);
}

static bool is_reversed(const struct job *job)
{
	return job->st.reversed == 1;
}

int job_update(struct job *job)
{
	struct job was = *job;
	int err = read_status(job);

	if (err || is_reversed(job) == job->reversed)
		return err;
	job->source = was.target;
	job->source_offset = was.target_offset;
	job->target = was.source;
	job->target_offset = was.source_offset;
	job->reversed = !was.reversed;
	return 0;
}

/* The table says which leg is which, and they can change places any time. */
static int read_legs(struct job *job)
{
	int err = read_status(job);

	do {
		autotable struct table t = { 0 };

		job->reversed = is_reversed(job);
		if (!err)
			err = dm_get_table(job->dev.devno, false, &t);
		if (!err)
			err = parse_table(job, &t);
		if (!err)
			err = read_status(job);
	} while (!err && is_reversed(job) != job->reversed);
	return err;
}

/* -EINVAL if the device is no job. */
static int job_read(const struct dm_dev *dev, struct job *job)
{
	int err;

	*job = (struct job) { .dev = *dev };
	err = read_legs(job);
	if (err)
		return err;
	if (own_stack(dev, job->id)) {
		find_user(job);
		job->replaces = parse_replaces(dev->uuid);
	} else {
		strcpy(job->id, dev->name);
		job->by_hand = true;
		job->user = *dev;
	}
	return 0;
}

int job_list(struct job **jobs, size_t *n)
{
	autofree struct dm_dev *devs = NULL;
	size_t count, i;
	int err;

	*jobs = NULL;
	*n = 0;
	err = dm_list_all(&devs, &count);
	if (err)
		return fail(EX_REFUSED,
			    "cannot talk to device-mapper: %s; this needs root and the kernel module dm-mod",
			    strerror(-err));
	for (i = 0; i < count; i++) {
		*jobs = xrealloc(*jobs, (*n + 1) * sizeof(**jobs));
		if (!job_read(&devs[i], &(*jobs)[*n]))
			(*n)++;
	}
	return 0;
}

/* Is the option in the table of the job? */
static bool has_option(const struct job *job, const char *option)
{
	autotable struct table t = { 0 };

	return !dm_get_table(job->dev.devno, false, &t) && t.n == 1 &&
	       strstr(t.seg[0].params, option);
}

char *job_option(const struct job *job, const char *key)
{
	autofree char *word = xasprintf(" %s ", key);
	autotable struct table t = { 0 };
	const char *at = NULL;

	if (!dm_get_table(job->dev.devno, false, &t) && t.n == 1)
		at = strstr(t.seg[0].params, word);
	return at ? xasprintf("%.*s", (int)strcspn(at + strlen(word), " "),
			      at + strlen(word)) : NULL;
}

dev_t job_metadata(const struct job *job)
{
	autofree char *word = job_option(job, "metadata");
	unsigned int maj, min;

	if (!word || sscanf(word, "%u:%u", &maj, &min) != 2)
		return 0;
	return makedev(maj, min);
}

bool job_is_backup(const struct job *job)
{
	return !strcmp(job->st.type, "backup");
}

bool job_is_track(const struct job *job)
{
	return !strcmp(job->st.type, "track");
}

dev_t job_old_source(const struct job *job)
{
	return job->reversed ? job->target : job->source;
}

bool job_can_undo(const struct job *job)
{
	return job->reversed && !job_in(job, STATE(ABORTING) | STATE(CONCLUDED));
}

bool job_is_stream(const struct job *job)
{
	return !strcmp(job->st.type, "stream");
}

bool job_is_endless(const struct job *job)
{
	return job_is_backup(job) && has_option(job, " sync none ");
}

bool job_has_checksums(const struct job *job)
{
	return has_option(job, " checksum on ");
}

bool job_unprepared(const struct job *job)
{
	autofree char *events = NULL;

	/* Of a backup, the others of its group may lack as well. */
	if (job->by_hand || job->st.state != BLKJOB_PAUSED ||
	    (!job_is_backup(job) && !has_option(job, " sync none ")))
		return false;
	/* Created and paused, and nothing since. */
	return !dm_message_reply(job->dev.devno, "events 2", &events) &&
	       (!events || !*events);
}

bool job_matches(const struct job *job, const char *ref, dev_t devno)
{
	if (!strcmp(job->id, ref) || !strcmp(job->dev.name, ref))
		return true;
	return devno && (devno == job->user.devno || devno == job->dev.devno ||
			 (job->by_hand && devno == job->source));
}

int job_find_all(const char *ref, struct job **jobs, size_t *n)
{
	size_t all, i;
	dev_t devno = 0;
	int err = job_list(jobs, &all);

	*n = 0;
	if (err)
		return err;
	if (device_resolve(ref, &devno))
		devno = 0;
	/* Of a device with two layers, the upper one is meant. */
	for (i = 0; i < all; i++) {
		if (job_matches(&(*jobs)[i], ref, devno) &&
		    (!*n || (*jobs)[0].below)) {
			(*jobs)[0] = (*jobs)[i];
			*n = 1;
		}
	}
	if (*n)
		return 0;
	for (i = 0; i < all; i++)
		if (!strcmp((*jobs)[i].st.group, ref))
			(*jobs)[(*n)++] = (*jobs)[i];
	return *n ? 0 : fail(EX_REFUSED, "no job \"%s\"; see: blkjob list",
			     ref);
}

int job_find(const char *ref, struct job *job)
{
	autofree struct job *jobs = NULL;
	size_t n;
	int err = job_find_all(ref, &jobs, &n);

	if (err)
		return err;
	*job = jobs[0];
	return n == 1 ? 0 :
	       fail(EX_REFUSED,
		    "%s is a group of %zu jobs, and this is for one job; see: blkjob list",
		    ref, n);
}

bool job_in(const struct job *job, unsigned int states)
{
	return states & (1u << job->st.state);
}

char *dm_dev_label(const struct dm_dev *dev)
{
	autofree char *vg = NULL, *lv = NULL;

	if (!dev->devno)
		return xstrdup("-");
	if (!strncmp(dev->uuid, "LVM-", 4) &&
	    dm_split_lv_name(dev->name, &vg, &lv))
		return xasprintf("%s/%s", vg, lv);
	return xasprintf("/dev/mapper/%s", dev->name);
}

char *devno_label(dev_t devno)
{
	struct dm_dev dev;

	return dm_find(devno, &dev) ? device_path(devno) : dm_dev_label(&dev);
}

char *job_device(const struct job *job)
{
	return dm_dev_label(job->user.devno ? &job->user : &job->dev);
}

int job_send(const struct job *job, const char *fmt, ...)
{
	autoclose int log = kmsg_open();
	autofree char *why = NULL, *text = NULL;
	struct job now = *job;
	va_list ap;
	int err;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = xstrdup(fmt);
	va_end(ap);
	err = dm_message(job->dev.devno, text);
	if (!err)
		return 0;
	if (err == -ENXIO || job_update(&now) == -ENXIO)
		return fail(EX_ROLLED_BACK,
			    "job %s is gone; its layer was removed", job->id);
	why = kmsg_reason(log);
	return fail(EX_REFUSED,
		    "job %s (%s) refused \"%s\": %s; see: blkjob status %s",
		    job->id, status_state_name(now.st.state), text,
		    why ? why : strerror(-err), job->id);
}

int job_error(const struct job *job)
{
	const struct status *st = &job->st;
	autofree char *dev = job_device(job), *again = NULL;
	bool source;

	if (!*st->error)
		return 0;
	if (job_is_stream(job))
		return stream_failed(job);
	if (!strcmp(st->error, "cbw-timeout"))
		return fail(EX_TARGET,
			    "job %s: what was about to be overwritten could not be saved in time (%s), so there is no image; %s keeps running on its source. Try again with a longer --cbw-timeout, or with a faster target device",
			    job->id, st->error, dev);
	if (!strcmp(st->error, "spill-read-error"))
		return fail(EX_TARGET,
			    "job %s: old data that were on the spill device could not be read back (%s, last error %s), so there is no image; %s keeps running on its source. Try again with another spill device, or without one",
			    job->id, st->error,
			    *st->last_error ? st->last_error : "unknown", dev);
	source = !strncmp(st->last_error, "read", 4);
	again = remember_again(job);
	return fail(source ? EX_SOURCE : EX_TARGET,
		    "job %s: %s of the %s failed (%s, last error %s); %s keeps running on its source%s%s",
		    job->id, source ? "a read" : "a write",
		    source ? "source" : "target device", st->error,
		    *st->last_error ? st->last_error : "unknown", dev,
		    again ? ". What differs by then is copied by: " : "",
		    again ?: "");
}

int job_detached(const struct job *job, bool will_switch)
{
	if (job_is_backup(job) || job_is_stream(job))
		return fail(EX_DETACHED,
			    "detached; job %s goes on in the kernel. 'blkjob complete %s' to come back and take its layer out, 'blkjob cancel %s' to stop",
			    job->id, job->id, job->id);
	if (will_switch)
		return fail(EX_DETACHED,
			    "detached; job %s goes on in the kernel but will not switch by itself. 'blkjob complete %s' to continue, 'blkjob cancel %s' to stop",
			    job->id, job->id, job->id);
	return fail(EX_DETACHED,
		    "detached; job %s goes on in the kernel. 'blkjob wait %s' to come back, 'blkjob cancel %s' to stop",
		    job->id, job->id, job->id);
}
