// SPDX-License-Identifier: GPL-2.0-or-later
/* Ending a job: on the target device, or back on the source. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "commit.h"
#include "complete.h"
#include "device.h"
#include "group.h"
#include "lock.h"
#include "lvm.h"
#include "metadata.h"
#include "progress.h"
#include "remember.h"
#include "replaces.h"
#include "since.h"
#include "stack.h"

uint64_t complete_deadline(uint64_t timeout_us)
{
	return timeout_us ? now_us() + timeout_us : 0;
}

static int job_gone(const struct job *job)
{
	autofree char *dev = job_device(job);

	return fail(EX_ROLLED_BACK,
		    "the layer of job %s was removed by another command or tool; %s has the table that it was given there. See: dmsetup table, lvs",
		    job->id, dev);
}

int complete_wait_failed(const struct job *job, int err)
{
	if (err == -ENXIO)
		return job_gone(job);
	return fail(EX_ATTENTION, "cannot follow job %s: %s; see: blkjob status %s",
		    job->id, strerror(-err), job->id);
}

/* The layer goes; also the volume that was allocated for the job. */
static int remove_layer(const struct job *job)
{
	autolv struct lv spare = { 0 };
	bool own = lvm_is_spare(job, &spare);
	dev_t metadata = job_metadata(job);
	int err = stack_restore(job);

	if (!err)
		remember_cancelled(job, metadata);
	if (!err && own)
		lvm_remove(&spare);
	return err;
}

/* The job has ended by itself, or somebody has cancelled it. */
int complete_ended(const struct job *job)
{
	autofree char *dev = job_device(job), *again = remember_again(job);
	/* In this order: it cannot be taken up any more. */
	int removed = remove_layer(job), err = job_error(job);

	if (removed)
		return removed;
	remember_tell_again(again, dev);
	return err ? err : fail(EX_ROLLED_BACK,
				"job %s was cancelled; %s is on its source",
				job->id, dev);
}

int complete_check(const struct job *job)
{
	if (job_is_track(job))
		return fail(EX_REFUSED,
			    "job %s tracks and copies nothing, so it never completes; 'blkjob untrack %s' ends it",
			    job->id, job->id);
	if (job_in(job, STATE(PAUSED) | STATE(STANDBY)))
		return fail(EX_REFUSED,
			    "job %s is paused; 'blkjob resume %s' first",
			    job->id, job->id);
	return 0;
}

int complete_check_upper(const struct job *job)
{
	autofree char *dev = job->below ? job_device(job) : NULL;

	return dev ? fail(EX_REFUSED,
			  "another job stands on job %s; end that one first: blkjob cancel %s",
			  job->id, dev) : 0;
}

int complete_refuse_lv(const struct job *job)
{
	const char *ref = *job->st.group ? job->st.group : job->id;

	return fail(EX_REFUSED,
		    "LVM's metadata would still name the old extents of this volume, so job %s cannot switch it; 'blkjob cancel %s' leaves a consistent copy on the target device",
		    job->id, ref);
}

int complete_until_ready(struct job *job, uint64_t deadline_us, bool quiet)
{
	struct progress p;
	int err;

	progress_start(&p, quiet);
	err = job_wait(job, STATE(READY) | STATE(WAITING) | STATE(PENDING) |
		       STATE(CONCLUDED), deadline_us, &p);
	progress_end(&p);
	if (err < 0)
		return complete_wait_failed(job, err);
	return err ? job_detached(job, true) : 0;
}

int complete_to_pending(struct job *job, uint64_t timeout_us)
{
	int err = 0;

	if (job_in(job, STATE(READY)))
		err = job_send(job, "complete");
	if (err)
		return err;
	err = job_wait(job, STATE(PENDING) | STATE(READY) | STATE(CONCLUDED),
		       complete_deadline(timeout_us), NULL);
	if (err < 0)
		return complete_wait_failed(job, err);
	if (err) {
		if (job_send(job, "rollback"))
			return EX_ATTENTION;
		return fail(EX_DETACHED,
			    "source and target did not get in step in time, or were interrupted; job %s stays ready. 'blkjob complete --switch-timeout TIME %s' to try again",
			    job->id, job->id);
	}
	if (job_in(job, STATE(READY)))
		return fail(EX_ROLLED_BACK,
			    "another command rolled job %s back; it is ready. 'blkjob complete %s' to try again",
			    job->id, job->id);
	return job_in(job, STATE(CONCLUDED)) ? complete_ended(job) : 0;
}

bool complete_leg_failed(struct job *job)
{
	return !job_update(job) && job->st.held != UNKNOWN && job->st.held;
}

int complete_give_up(struct job *job)
{
	if (job_send(job, "cancel force"))
		return EX_ATTENTION;
	return fail(EX_TARGET,
		    "a write failed at the switchover (last error %s); job %s is cancelled, its source keeps everything",
		    *job->st.last_error ? job->st.last_error : "unknown", job->id);
}

int complete_finalize(struct job *job)
{
	int err = job_send(job, "finalize");

	/* From here on there is only forward. */
	signals_ignore();
	if (err)
		return err;
	err = job_wait(job, STATE(CONCLUDED), complete_deadline(SWITCH_TIMEOUT_US), NULL);
	if (err < 0)
		return complete_wait_failed(job, err);
	if (err || strcmp(job->st.active, "target"))
		return fail(EX_ATTENTION,
			    "job %s did not conclude on the target device; see: blkjob status %s",
			    job->id, job->id);
	return 0;
}

static int completed_already(const struct job *job)
{
	return fail(EX_REFUSED,
		    "job %s has completed, without --keep-source-synced; 'blkjob complete %s' removes its layer",
		    job->id, job->id);
}

int complete_check_reverse(const struct job *job)
{
	autolv struct lv spare = { 0 };
	struct commit c;

	if (job_is_backup(job))
		return fail(EX_REFUSED,
			    "job %s is a backup, which never switches: its source stays in use",
			    job->id);
	if (job_in(job, STATE(CONCLUDED)) && !strcmp(job->st.active, "target"))
		return completed_already(job);
	if (job->reversed)
		return fail(EX_REFUSED,
			    "job %s has been switched already, and keeps the old source equal; 'blkjob undo %s' goes back, 'blkjob complete %s' lets it go",
			    job->id, job->id, job->id);
	if (commit_find(job, &c))
		return fail(EX_REFUSED,
			    "job %s commits: what it has lies over the source, and cannot be kept apart from it; complete it without --keep-source-synced",
			    job->id);
	if (job->replaces)
		return fail(EX_REFUSED,
			    "job %s replaces one device of another's table, and from there is no way back; complete it without --keep-source-synced",
			    job->id);
	if (lvm_is_spare(job, &spare))
		return fail(EX_REFUSED,
			    "LVM's metadata can name only one place of a volume, and the other one could not be kept equal safely; 'blkjob complete --keep-source %s' switches, and keeps the old extents as they are then",
			    job->id);
	return lvm_owns(&job->user) ? complete_refuse_lv(job) : 0;
}

int complete_report_reversed(const struct job *job)
{
	autofree char *dev = job_device(job), *source = device_path(job->source);

	if (!job->reversed)
		return fail(EX_ROLLED_BACK,
			    "another command has ended job %s; see: blkjob list",
			    job->id);
	if (job->st.pause_us != UNKNOWN)
		say("switched: no write was held longer than %.1f ms",
		    job->st.pause_us / 1e3);
	say("%s is now on %s, and its old source is kept equal: 'blkjob undo %s' goes back, 'blkjob complete %s' lets the old source go",
	    dev, source, job->id, job->id);
	return 0;
}

/* The kernel names what is in the way: then nothing has happened. */
static int reverse_refused(struct job *job, int err)
{
	msg_quiet(true);
	job_send(job, "rollback");
	msg_quiet(false);
	return err == EX_REFUSED ? EX_ROLLED_BACK : err;
}

static int reverse_commit(struct job *job, uint64_t timeout_us)
{
	int err;

	if (job_in(job, STATE(CONCLUDED)))
		return completed_already(job);
	err = complete_to_pending(job, timeout_us);
	if (!err && complete_leg_failed(job))
		return complete_give_up(job);
	if (err)
		return err;
	err = job_send(job, "finalize reverse");
	if (err)
		return reverse_refused(job, err);
	err = job_update(job);
	return err ? complete_wait_failed(job, err) :
		     complete_report_reversed(job);
}

static int plain_commit(struct job *job, uint64_t timeout_us, uint64_t *us)
{
	dev_t metadata = job_metadata(job);
	int err = 0;

	if (!job_in(job, STATE(CONCLUDED)))
		err = complete_to_pending(job, timeout_us);
	if (!err && job_in(job, STATE(PENDING)))
		err = complete_leg_failed(job) ? complete_give_up(job) :
						 complete_finalize(job);
	if (!err)
		err = stack_pivot(job, us);
	return err ? err : metadata_forget(job, metadata);
}

int complete_report(const struct job *job, uint64_t us)
{
	autofree char *dev = job_device(job), *target = device_path(job->target);

	if (job->st.pause_us != UNKNOWN)
		say("switched: no write was held longer than %.1f ms, table reloaded in %.1f ms",
		    job->st.pause_us / 1e3, us / 1e3);
	if (job->reversed)
		say("%s is on its old source again", dev);
	else
		say("%s is now on %s", dev, target);
	return 0;
}

static int complete_lv(struct job *job, const struct lv *spare,
		       const struct complete_options *opt)
{
	autolv struct lv lv = { 0 };
	uint64_t us = 0;
	int err = lvm_lookup(&job->user, &lv);

	if (!err)
		err = lvm_commit(job, &lv, spare, opt->switch_timeout_us, &us);
	if (err)
		return err;
	if (!stack_wait_gone(job))
		warning("done, but %s is still held by something", job->dev.name);
	say("switched: no write was held longer than %.1f ms, LVM's metadata written and volume refreshed in %.1f ms",
	    job->st.pause_us / 1e3, us / 1e3);
	say("%s/%s is now on the target", lv.vg, lv.name);
	if (!opt->keep_source) {
		lvm_remove(spare);
	} else {
		err = lvm_keep(spare);
		say("the old extents are kept as %s/%s", spare->vg, spare->name);
	}
	return err;
}

static int complete_locked(struct job *job, const struct complete_options *opt)
{
	autolv struct lv spare = { 0 };
	uint64_t us = 0;
	int err = job_update(job);
	struct commit c;
	bool commits;

	if (err)
		return complete_wait_failed(job, err);
	commits = commit_find(job, &c);
	if (commits && strcmp(job->st.active, "target"))
		err = commit_open(&c);
	if (err)
		return err;
	if (job_in(job, STATE(CONCLUDED)) && strcmp(job->st.active, "target")) {
		err = complete_ended(job);
		if (commits)
			commit_cancelled(job, &c);
		return err;
	}
	if (commits) {
		err = commit_complete(job, &c, opt);
	} else if (opt->keep_synced) {
		err = reverse_commit(job, opt->switch_timeout_us);
	} else if (job->replaces) {
		err = replaces_complete(job, opt->switch_timeout_us);
	} else if (lvm_is_spare(job, &spare)) {
		err = complete_lv(job, &spare, opt);
	} else if (lvm_owns(&job->user)) {
		return complete_refuse_lv(job);
	} else {
		err = plain_commit(job, opt->switch_timeout_us, &us);
		if (!err)
			err = complete_report(job, us);
	}
	/* complete_give_up() has cancelled; nothing of the job is to remain. */
	if (err == EX_TARGET && !job_update(job) &&
	    !job_wait(job, STATE(CONCLUDED), complete_deadline(SWITCH_TIMEOUT_US), NULL))
		remove_layer(job);
	return err;
}

int job_complete(struct job *job, const struct complete_options *opt)
{
	autolock struct lock lock = NO_LOCK;
	int err = job_update(job);

	if (err)
		return complete_wait_failed(job, err);
	err = complete_check(job);
	if (!err && opt->keep_synced)
		err = complete_check_reverse(job);
	if (!err)
		err = group_check_alone(job);
	if (!err)
		err = complete_until_ready(job,
					   complete_deadline(opt->timeout_us),
					   opt->quiet);
	if (!err)
		err = lock_device(&lock, job->user.devno);
	return err ? err : complete_locked(job, opt);
}

static int cancel_running(struct job *job, bool force, uint64_t timeout_us)
{
	int err;

	if (job_in(job, STATE(STANDBY)) && !force)
		return fail(EX_REFUSED,
			    "job %s is paused, so its target device cannot become a consistent copy; 'blkjob resume %s' first, or 'blkjob cancel --force %s'",
			    job->id, job->id, job->id);
	err = job_send(job, force ? "cancel force" : "cancel");
	if (err)
		return err;
	err = job_wait(job, STATE(CONCLUDED), complete_deadline(timeout_us), NULL);
	if (err < 0)
		return complete_wait_failed(job, err);
	if (err)
		return fail(EX_DETACHED,
			    "job %s has been told to end but is still %s; 'blkjob cancel %s' again to remove its layer, --force not to wait for an exact copy",
			    job->id, status_state_name(job->st.state), job->id);
	return 0;
}

/* Ends the job; a soft cancel that is in the way already is waited for. */
static int conclude(struct job *job, bool force, uint64_t timeout_us)
{
	unsigned int ending = STATE(ABORTING) | STATE(CONCLUDED);
	int err;

	if (!job_in(job, ending))
		return cancel_running(job, force, timeout_us);
	err = job_wait(job, STATE(CONCLUDED), complete_deadline(timeout_us), NULL);
	return err < 0 ? complete_wait_failed(job, err) :
	       err ? job_detached(job, false) : 0;
}

/* A killed command can have written metadata that names the target. */
static int revert_lv(struct job *job, const struct lv *spare)
{
	autolv struct lv lv = { 0 };
	int err = lvm_lookup(&job->user, &lv);

	return err ? err : lvm_revert(job, &lv, spare);
}

static int cancel_locked(struct job *job, bool force, uint64_t timeout_us)
{
	autofree char *dev = job_device(job), *target = device_path(job->target);
	autofree char *again = remember_again(job);
	dev_t metadata = job_metadata(job);
	autolv struct lv spare = { 0 };
	bool own, unverified = job_has_checksums(job), commits;
	int err = job_update(job);
	struct commit c;

	if (err)
		return complete_wait_failed(job, err);
	commits = commit_find(job, &c);
	if (commits && strcmp(job->st.active, "target"))
		err = commit_open(&c);
	if (err)
		return err;
	/* A volume that is removed afterwards need not become a copy. */
	own = lvm_is_spare(job, &spare);
	if (own && job_in(job, STATE(PENDING)))
		err = revert_lv(job, &spare);
	if (!err)
		err = conclude(job, force || own, timeout_us);
	if (err)
		return err;
	if (!strcmp(job->st.active, "target"))
		return fail(EX_REFUSED,
			    "job %s has completed: %s is on %s. 'blkjob complete %s' removes the layer",
			    job->id, dev, target, job->id);
	err = since_end(job, !strcmp(job->st.result, "completed"));
	if (err)
		warning("%s", since_stays);
	err = stack_restore(job);
	/* The source of which they tell is not the one that stays in use. */
	if (!err && job->reversed)
		err = metadata_forget(job, metadata);
	else if (!err)
		remember_cancelled(job, metadata);
	if (err)
		return err;
	if (own)
		lvm_remove(&spare);
	if (commits)
		commit_cancelled(job, &c);
	else if (job->reversed)
		say("job %s has ended: %s stays where it is, and its old source %s",
		    job->id, dev, strcmp(job->st.result, "completed") ?
		    "is not kept equal any more" : "is a consistent copy of it");
	else if (!own && !strcmp(job->st.result, "completed"))
		say("job %s %s; %s is a consistent copy of %s%s", job->id,
		    job_is_backup(job) ? "had completed" : "cancelled", target,
		    dev, unverified ? ", and was not verified" : "");
	else if (job_is_track(job))
		say("job %s cancelled; %s is not tracked any more", job->id,
		    dev);
	else
		say("job %s cancelled; %s is on its source, the copy is incomplete",
		    job->id, dev);
	if (!job->reversed)
		remember_tell_again(again, dev);
	/* Whoever wanted a copy must hear that there is none. */
	return force || own ? 0 : job_error(job);
}

int job_undo(struct job *job)
{
	int err = job_update(job);

	if (err)
		return complete_wait_failed(job, err);
	err = conclude(job, true, SWITCH_TIMEOUT_US);
	return err ? err : stack_restore(job);
}

int job_cancel(struct job *job, bool force, uint64_t timeout_us)
{
	autolock struct lock lock = NO_LOCK;
	int err = complete_check_upper(job);

	if (err)
		return err;
	/* An exact copy is the group's business, and its kernel verb. */
	if (*job->st.group && !force &&
	    job_in(job, STATE(READY) | STATE(WAITING) | STATE(PENDING))) {
		err = group_check_alone(job);
		return err ? err : group_cancel(job, 1, false, timeout_us);
	}
	err = lock_device(&lock, job->user.devno ? job->user.devno :
						   job->dev.devno);
	return err ? err : cancel_locked(job, force, timeout_us);
}
