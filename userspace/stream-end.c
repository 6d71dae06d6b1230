// SPDX-License-Identifier: GPL-2.0-or-later
/* The end of a stream: the source is dropped, or what is there is kept. */
#include <errno.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "lock.h"
#include "progress.h"
#include "stack.h"
#include "stream.h"

/* A device that was made for the stream; its name is in the note. */
static bool was_made(const struct job *job)
{
	autofree char *text = job_option(job, "note");
	struct stream_note note;

	return text && stream_note_parse(text, &note) && *note.name;
}

/* The command that goes on. */
static char *again(const struct job *job)
{
	dev_t devno = job_metadata(job);
	autofree char *metadata = devno ? device_path(devno) : xstrdup("DEVICE");
	autofree char *dev = job_device(job), *target = device_path(job->target);

	return was_made(job) ?
	       xasprintf("blkjob stream SOURCE %s --name %s --metadata %s",
			 target, job->user.name, metadata) :
	       xasprintf("blkjob stream %s %s --metadata %s", dev, target,
			 metadata);
}

int stream_failed(const struct job *job)
{
	autofree char *dev = job_device(job), *more = again(job);
	const struct status *st = &job->st;
	bool source = !strncmp(st->last_error, "read", 4);

	return fail(source ? EX_SOURCE : EX_TARGET,
		    "job %s: a %s failed (%s, last error %s), so %s is not filled; it stays in use on both devices. See: blkjob map %s, dmesg; to go on: %s",
		    job->id, source ? "read of the source" :
		    "write of the target or metadata device", st->error,
		    *st->last_error ? st->last_error : "unknown", dev, job->id,
		    more);
}

static int was_cancelled(const struct job *job)
{
	autofree char *dev = job_device(job), *more = again(job);

	return fail(EX_ROLLED_BACK,
		    "job %s was cancelled; what is there is kept, and %s stays in use on both devices. To go on: %s",
		    job->id, dev, more);
}

static int drop_source(struct job *job)
{
	autofree char *dev = job_device(job), *target = device_path(job->target);
	autolock struct lock lock = NO_LOCK;
	dev_t metadata = job_metadata(job);
	uint64_t us = 0;
	int err = lock_device(&lock, job->user.devno ?: job->dev.devno);

	if (!err && job_update(job))
		return fail(EX_ROLLED_BACK,
			    "job %s is gone: another command has taken its layer out. See: dmsetup table %s",
			    job->id, job->user.name);
	if (err)
		return err;
	if (strcmp(job->st.active, "target"))
		return fail(EX_REFUSED,
			    "all of %s that was to be filled is there; the rest, its base, is on the source, which it still needs",
			    dev);
	err = stack_pivot(job, &us);
	if (!err)
		err = metadata_forget(job, metadata);
	if (!err)
		say("%s is now on %s alone; table reloaded in %.1f ms", dev,
		    target, us / 1e3);
	return err;
}

int stream_complete(struct job *job, const struct complete_options *opt)
{
	struct progress p;
	int err = job_update(job);

	if (err)
		return complete_wait_failed(job, err);
	err = complete_check(job);
	if (!err)
		err = complete_check_upper(job);
	if (err)
		return err;
	progress_start(&p, opt->quiet);
	err = job_wait(job, STATE(CONCLUDED), complete_deadline(opt->timeout_us),
		       &p);
	progress_end(&p);
	if (err < 0)
		return complete_wait_failed(job, err);
	if (err)
		return job_detached(job, false);
	if (*job->st.error)
		return stream_failed(job);
	if (strcmp(job->st.result, "completed"))
		return was_cancelled(job);
	return drop_source(job);
}

/* The metadata keep everything. */
static int take_down(const struct job *job)
{
	autofree char *dev = job_device(job);
	dev_t devno = job_metadata(job);
	autofree char *metadata = devno ? device_path(devno) : xstrdup("METADATA");
	int err = dm_remove(job->user.devno);

	if (err)
		return fail(err == -EBUSY ? EX_REFUSED : EX_ATTENTION,
			    "cannot remove %s: %s; see: dmsetup info %s", dev,
			    strerror(-err), job->user.name);
	if (!stack_wait_gone(job))
		warning("%s is still held by something", job->dev.name);
	say("%s is removed; 'blkjob recover %s' brings it back", dev, metadata);
	return 0;
}

static int check_force(const struct job *job)
{
	autofree char *dev = job_device(job);

	if (!was_made(job) || !job->user.devno)
		return fail(EX_REFUSED,
			    "%s was there before job %s, and its source lacks what was written since; without --force it stays in use on both devices",
			    dev, job->id);
	if (dm_open_count(job->user.devno) > 0)
		return fail(EX_REFUSED,
			    "%s is in use; close it first, or cancel without --force: then it stays",
			    dev);
	return 0;
}

int stream_stop_filling(struct job *job, uint64_t timeout_us)
{
	int err = job_send(job, "cancel");

	if (err)
		return err;
	err = job_wait(job, STATE(CONCLUDED), complete_deadline(timeout_us),
		       NULL);
	if (err < 0)
		return complete_wait_failed(job, err);
	return err ? fail(EX_DETACHED,
			  "job %s has been told to end but is still %s; see: blkjob wait --concluded %s",
			  job->id, status_state_name(job->st.state), job->id) : 0;
}

int stream_cancel(struct job *job, bool force, uint64_t timeout_us)
{
	autofree char *dev = job_device(job), *more = again(job);
	autolock struct lock lock = NO_LOCK;
	int err = lock_device(&lock, job->user.devno ?: job->dev.devno);
	bool ended;

	if (!err && job_update(job))
		return complete_wait_failed(job, -ENXIO);
	if (!err)
		err = complete_check_upper(job);
	if (!err && force)
		err = check_force(job);
	if (err)
		return err;
	if (job_in(job, STATE(ABORTING)))
		return fail(EX_REFUSED,
			    "job %s: cancellation already in progress; see: blkjob wait --concluded %s",
			    job->id, job->id);
	ended = job_in(job, STATE(CONCLUDED));
	if (ended && !strcmp(job->st.active, "target"))
		return fail(EX_REFUSED,
			    "job %s has completed: everything is on the target device. 'blkjob complete %s' drops the source",
			    job->id, job->id);
	if (!ended)
		err = stream_stop_filling(job, timeout_us);
	if (err)
		return err;
	if (force)
		return take_down(job);
	say("job %s cancelled; what is there is kept, and %s stays in use on both devices. To go on: %s",
	    job->id, dev, more);
	return 0;
}
