// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ending the jobs of a group. The kernel decides for all of them in one step;
 * before it nothing has happened, after it there is only forward, and a command
 * that was killed in between is simply given again.
 */
#include <errno.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "group.h"
#include "since.h"
#include "lock.h"
#include "lvm.h"
#include "stack.h"

static bool all_in(const struct job *jobs, size_t n, unsigned int states)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!job_in(&jobs[i], states))
			return false;
	return true;
}

static int update_all(struct job *jobs, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = job_update(&jobs[i]);
	return err ? complete_wait_failed(&jobs[i - 1], err) : 0;
}

static int lock_all(struct locks *locks, struct job *jobs, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = locks_add(locks, jobs[i].user.devno ? jobs[i].user.devno :
							    jobs[i].dev.devno);
	return err ? err : update_all(jobs, n);
}

int group_check_alone(const struct job *job)
{
	autofree struct job *jobs = NULL;
	size_t n, i, members = 0;
	int err = *job->st.group ? job_list(&jobs, &n) : 0;

	if (err || !*job->st.group)
		return err;
	for (i = 0; i < n; i++)
		members += !strcmp(jobs[i].st.group, job->st.group);
	if (members < 2)
		return 0;
	return fail(EX_REFUSED,
		    "job %s is one of %zu in group %s, which end at one instant: name the group, or 'blkjob cancel --force %s' to take this one out of it",
		    job->id, members, job->st.group, job->id);
}

/* The kernel takes all members back with any of them; some may be there. */
static void roll_back(struct job *jobs, size_t n)
{
	size_t i;

	msg_quiet(true);
	for (i = 0; i < n; i++)
		if (!job_update(&jobs[i]) &&
		    job_in(&jobs[i], STATE(WAITING) | STATE(PENDING)))
			job_send(&jobs[i], "rollback");
	msg_quiet(false);
}

/* One has ended by itself: the others cannot switch while it is there. */
static int check_ended(const struct job *jobs, size_t n)
{
	const struct job *job = jobs;
	int err;

	if (all_in(jobs, n, STATE(CONCLUDED)))
		return 0;
	while (job < jobs + n && !job_in(job, STATE(ABORTING) | STATE(CONCLUDED)))
		job++;
	if (job == jobs + n)
		return 0;
	err = job_error(job);
	fail(EX_ROLLED_BACK,
	     "job %s of group %s has ended, so the others cannot switch; 'blkjob cancel %s' takes it out of the group, 'blkjob cancel %s' ends all",
	     job->id, job->st.group, job->id, job->st.group);
	return err ? err : EX_ROLLED_BACK;
}

static int wait_in_step(struct job *job, uint64_t deadline_us)
{
	const char *group = job->st.group;
	int err = job_wait(job, STATE(PENDING) | STATE(READY) | STATE(CONCLUDED),
			   deadline_us, NULL);

	if (err < 0)
		return complete_wait_failed(job, err);
	if (err)
		return fail(EX_DETACHED,
			    "source and target of job %s did not get in step in time, or were interrupted; group %s stays ready. Try again, or with a longer time",
			    job->id, group);
	if (job_in(job, STATE(READY)))
		return fail(EX_ROLLED_BACK,
			    "another command, or a job that failed, rolled group %s back; see: blkjob status %s",
			    group, group);
	return 0;
}

/* From ready to pending; or all have concluded meanwhile. */
static int in_step(struct job *jobs, size_t n, uint64_t timeout_us)
{
	uint64_t deadline_us = complete_deadline(timeout_us);
	int err = check_ended(jobs, n);
	size_t i;

	for (i = 0; i < n && !err; i++)
		if (job_in(&jobs[i], STATE(READY)))
			err = job_send(&jobs[i], "complete");
	for (i = 0; i < n && !err; i++)
		err = wait_in_step(&jobs[i], deadline_us);
	return err ? err : check_ended(jobs, n);
}

/* The one step. @side is the leg that counts from then on. */
static int switch_to(struct job *jobs, size_t n, const char *side)
{
	size_t i;
	int err;

	for (i = 0; i < n; i++)
		if (complete_leg_failed(&jobs[i]))
			return fail(EX_ROLLED_BACK,
				    "a write failed at the switchover (job %s, last error %s); group %s is ready again, nothing was switched",
				    jobs[i].id, jobs[i].st.last_error,
				    jobs[i].st.group);
	err = job_send(&jobs[0], "finalize %s", side);
	return err == EX_REFUSED ? EX_ROLLED_BACK : err;
}

static int end_together(struct job *jobs, size_t n, const char *side,
			uint64_t timeout_us)
{
	int err = in_step(jobs, n, timeout_us);

	if (!err && !all_in(jobs, n, STATE(CONCLUDED)))
		err = switch_to(jobs, n, side);
	if (err)
		roll_back(jobs, n);
	return err;
}

static int wait_concluded(struct job *jobs, size_t n, uint64_t timeout_us)
{
	uint64_t deadline_us = complete_deadline(timeout_us);
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = job_wait(&jobs[i], STATE(CONCLUDED), deadline_us, NULL);
		if (err < 0)
			return complete_wait_failed(&jobs[i], err);
		if (err)
			return fail(EX_DETACHED,
				    "group %s has been told to end but job %s is still %s; the same command again to go on, 'blkjob cancel --force %s' not to wait",
				    jobs[i].st.group, jobs[i].id,
				    status_state_name(jobs[i].st.state),
				    jobs[i].st.group);
	}
	return 0;
}

/* All have concluded: their tables follow, in any order. */
static int pivot_all(struct job *jobs, size_t n)
{
	bool left = false;
	uint64_t us;
	size_t i;

	for (i = 0; i < n; i++) {
		us = 0;
		if (strcmp(jobs[i].st.active, "target"))
			left |= complete_ended(&jobs[i]) == EX_ATTENTION;
		else if (stack_pivot(&jobs[i], &us))
			left = true;
		else
			complete_report(&jobs[i], us);
	}
	if (left)
		return fail(EX_ATTENTION,
			    "group %s has ended, but a layer is still in place and works on; 'blkjob complete %s' again to remove it",
			    jobs[0].st.group, jobs[0].st.group);
	return strcmp(jobs[0].st.active, "target") ? EX_ROLLED_BACK : 0;
}

static int report_reversed(struct job *jobs, size_t n)
{
	size_t i;
	int err = update_all(jobs, n);

	for (i = 0; i < n && !err; i++)
		err = complete_report_reversed(&jobs[i]);
	return err;
}

static int check_all(struct job *jobs, size_t n, bool reverse)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		err = complete_check(&jobs[i]);
		if (!err && lvm_owns(&jobs[i].user))
			err = complete_refuse_lv(&jobs[i]);
		if (!err && reverse)
			err = complete_check_reverse(&jobs[i]);
	}
	return err;
}

int group_complete(struct job *jobs, size_t n,
		   const struct complete_options *opt)
{
	uint64_t deadline_us = complete_deadline(opt->timeout_us);
	autolocks struct locks locks = { 0 };
	int err = check_all(jobs, n, opt->keep_synced);
	size_t i;

	for (i = 0; i < n && !err; i++)
		err = complete_until_ready(&jobs[i], deadline_us, opt->quiet);
	if (!err)
		err = lock_all(&locks, jobs, n);
	if (!err)
		err = end_together(jobs, n, opt->keep_synced ? "reverse" :
				   "target", opt->switch_timeout_us);
	if (err)
		return err;
	if (opt->keep_synced)
		return report_reversed(jobs, n);
	signals_ignore();
	err = wait_concluded(jobs, n, SWITCH_TIMEOUT_US);
	return err ? err : pivot_all(jobs, n);
}

static int stop_all(struct job *jobs, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		if (!job_in(&jobs[i], STATE(ABORTING) | STATE(CONCLUDED)))
			err = job_send(&jobs[i], "cancel force");
	return err;
}

static int check_cancel(const struct job *jobs, size_t n, bool force)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (job_in(&jobs[i], STATE(CONCLUDED)) &&
		    !strcmp(jobs[i].st.active, "target"))
			return fail(EX_REFUSED,
				    "group %s has completed; 'blkjob complete %s' removes its layers",
				    jobs[i].st.group, jobs[i].st.group);
		if (job_in(&jobs[i], STATE(STANDBY)) && !force)
			return fail(EX_REFUSED,
				    "job %s is paused, so the target devices cannot become consistent copies; 'blkjob resume %s' first, or 'blkjob cancel --force %s'",
				    jobs[i].id, jobs[i].id, jobs[i].st.group);
	}
	return 0;
}

/* Whoever wanted copies must hear that there are none. */
static int restore_all(const struct job *jobs, size_t n, bool force)
{
	bool exact = true;
	size_t i;
	int err = 0, one;

	for (i = 0; i < n; i++)
		exact &= !strcmp(jobs[i].st.result, "completed");
	for (i = 0; i < n; i++) {
		if (since_end(&jobs[i], exact))
			warning("%s", since_stays);
		one = force ? 0 : job_error(&jobs[i]);
		if (stack_restore(&jobs[i]))
			one = EX_ATTENTION;
		if (!err || one == EX_ATTENTION)
			err = one;
	}
	if (jobs[0].reversed)
		say("group %s has ended: its devices stay where they are, and their old sources %s",
		    jobs[0].st.group, exact ? "are consistent copies of one instant" :
		    "are not kept equal any more");
	else if (exact)
		say("group %s cancelled; its target devices are consistent copies of one instant",
		    jobs[0].st.group);
	else
		say("group %s cancelled; its devices are on their sources, the copies are incomplete",
		    jobs[0].st.group);
	return err;
}

int group_cancel(struct job *jobs, size_t n, bool force, uint64_t timeout_us)
{
	autolocks struct locks locks = { 0 };
	int err = lock_all(&locks, jobs, n);

	if (!err)
		err = check_cancel(jobs, n, force);
	if (!err && !force &&
	    all_in(jobs, n, STATE(READY) | STATE(WAITING) | STATE(PENDING)))
		err = end_together(jobs, n, "source", timeout_us);
	else if (!err)
		err = stop_all(jobs, n);
	if (!err)
		err = wait_concluded(jobs, n, timeout_us);
	return err ? err : restore_all(jobs, n, force);
}
