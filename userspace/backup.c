// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "backup.h"
#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "image.h"
#include "lock.h"
#include "progress.h"
#include "since.h"
#include "size.h"
#include "stack.h"

static int wait_failed(const struct job *job, int err)
{
	if (err != -ENXIO)
		return complete_wait_failed(job, err);
	return fail(EX_ROLLED_BACK,
		    "job %s is gone: another command or tool has taken its layer out. Unless that one has said that the image is complete, it is not",
		    job->id);
}

static int tell_to_end(struct job *job)
{
	int err = job_update(job);

	if (err)
		return wait_failed(job, err);
	if (job_in(job, STATE(ABORTING) | STATE(CONCLUDED)))
		return 0;
	return job_is_endless(job) ? job_send(job, "complete") :
				     complete_check(job);
}

static int wait_concluded(struct job *job, uint64_t deadline_us, bool quiet)
{
	struct progress p;
	int err;

	progress_start(&p, quiet);
	err = job_wait(job, STATE(CONCLUDED), deadline_us, &p);
	progress_end(&p);
	return err < 0 ? wait_failed(job, err) :
	       err ? job_detached(job, false) : 0;
}

/*
 * Whatever became of it, the consumer goes on without the layer. @all: the whole
 * group has completed, and is what it should be; @bad: what is wrong with this
 * image.
 */
static int take_out(struct job *job, bool all, int bad)
{
	autofree char *dev = job_device(job), *path = device_path(job->target);
	autolock struct lock lock = NO_LOCK;
	char copied[32];
	int err = lock_device(&lock, job->user.devno ? job->user.devno :
						       job->dev.devno);
	int moved = 0;

	/* Another command may have been faster. */
	if (!err && job_update(job))
		return wait_failed(job, -ENXIO);
	if (!err)
		moved = since_end(job, all);
	if (!err)
		err = stack_restore(job);
	if (err)
		return err;
	err = job_error(job);
	if (err)
		return err;
	if (strcmp(job->st.result, "completed"))
		return fail(EX_ROLLED_BACK,
			    "job %s was cancelled; the image on %s is incomplete",
			    job->id, path);
	if (bad)
		return bad;
	say("%s is an image of %s: %s saved, no write was held longer than %.1f ms",
	    path, dev, size_format(copied, sizeof(copied), job->st.offset),
	    job->st.pause_us == UNKNOWN ? 0 : job->st.pause_us / 1e3);
	return moved ? fail(EX_ATTENTION, "%s", since_stays) : 0;
}

/* The checksums go with the layer. */
static int verify_one(struct job *job, bool quiet)
{
	if (strcmp(job->st.result, "completed") || !job_has_checksums(job))
		return 0;
	return image_verify(job, quiet);
}

int backup_end(struct job *jobs, size_t n, bool end,
	       const struct complete_options *opt)
{
	uint64_t deadline_us = complete_deadline(opt->timeout_us);
	int err = 0, one, bad[BLKJOB_GROUP_MEMBERS] = { 0 };
	bool all = true;
	size_t i;

	for (i = 0; i < n && end && !err; i++)
		err = tell_to_end(&jobs[i]);
	for (i = 0; i < n && !err; i++)
		err = wait_concluded(&jobs[i], deadline_us, opt->quiet);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		bad[i] = verify_one(&jobs[i], opt->quiet);
		/* Not known yet: it can be tried again. */
		if (bad[i] && bad[i] != EX_TARGET)
			return bad[i];
		all &= !bad[i] && !strcmp(jobs[i].st.result, "completed");
	}
	for (i = 0; i < n; i++) {
		one = take_out(&jobs[i], all, bad[i]);
		if (!err || one == EX_ATTENTION)
			err = one;
	}
	return err;
}
