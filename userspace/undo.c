// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "group.h"
#include "undo.h"

static const char *name_of(const struct job *jobs, size_t n)
{
	return n > 1 ? jobs->st.group : jobs->id;
}

static int complete(struct job *jobs, size_t n,
		    const struct complete_options *opt)
{
	return n == 1 ? job_complete(jobs, opt) : group_complete(jobs, n, opt);
}

bool undo_kept(const struct job *jobs, size_t n)
{
	size_t i;

	/* One that was told to go back, by a command that was killed, does. */
	for (i = 0; i < n; i++)
		if (jobs[i].reversed && strcmp(jobs[i].st.active, "target"))
			return true;
	return false;
}

int undo_let_go(struct job *jobs, size_t n)
{
	return n == 1 ? job_cancel(jobs, true, SWITCH_TIMEOUT_US) :
			group_cancel(jobs, n, true, SWITCH_TIMEOUT_US);
}

static int say_decided(const struct job *job)
{
	say("job %s has been ended by another command", job->id);
	return EX_DONE;
}

/* Somebody else has decided meanwhile, and not an error. */
static bool decided(struct job *job, int *err)
{
	*err = job_update(job);
	if (*err && *err != -ENXIO)
		*err = complete_wait_failed(job, *err);
	else if (*err || (job_in(job, STATE(CONCLUDED)) && !*job->st.error))
		*err = say_decided(job);
	else if (!job_in(job, STATE(READY) | STATE(STANDBY) | STATE(CONCLUDED)))
		*err = fail(EX_DETACHED,
			    "another command is about to end job %s, and that is left to it; see: blkjob status %s",
			    job->id, job->id);
	else
		return false;
	return true;
}

/* Until the time is up, or the job has ended: then nothing is kept any more. */
static int wait_and_let_go(struct job *jobs, size_t n, uint64_t for_us)
{
	uint64_t deadline_us = now_us() + for_us;
	const char *name = name_of(jobs, n);
	size_t i;
	int err = job_wait(jobs, STATE(CONCLUDED), deadline_us, NULL);

	if (err == EX_DETACHED && now_us() < deadline_us)
		return fail(EX_DETACHED,
			    "detached; the old source of job %s is kept equal until somebody ends that: 'blkjob complete %s' lets it go, 'blkjob undo %s' goes back to it",
			    jobs->id, name, name);
	for (i = 0; i < n; i++)
		if (decided(&jobs[i], &err))
			return err;
	return undo_let_go(jobs, n);
}

int undo_keep(struct job *jobs, size_t n, const struct complete_options *opt,
	      uint64_t for_us)
{
	int err = complete(jobs, n, opt);

	return err || !for_us ? err : wait_and_let_go(jobs, n, for_us);
}

static int check_undo(const struct job *job, const char *name)
{
	autofree char *dev = job_device(job);

	if (!job->reversed)
		return fail(EX_REFUSED,
			    "job %s has not been switched with --keep-source-synced, so there is nothing to undo; %s is on its source, and 'blkjob cancel %s' leaves it there",
			    job->id, dev, name);
	if (!job_can_undo(job) && strcmp(job->st.active, "target"))
		return fail(EX_REFUSED,
			    "job %s has ended (%s), and the old source of %s is not kept equal any more; 'blkjob complete %s' removes the layer",
			    job->id, *job->st.error ? job->st.error : "cancelled",
			    dev, name);
	return 0;
}

int undo_jobs(struct job *jobs, size_t n, const struct complete_options *opt)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = check_undo(&jobs[i], name_of(jobs, n));
	return err ? err : complete(jobs, n, opt);
}
