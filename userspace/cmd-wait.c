// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "complete.h"
#include "output.h"
#include "progress.h"
#include "start.h"

/* Whoever completes a job takes its layer away at once: look what is left. */
static int job_left(const struct job *job, const struct table *target)
{
	autofree char *dev = job_device(job);
	autofree char *params = xasprintf("%u:%u %llu", major(job->target),
					  minor(job->target),
					  (unsigned long long)job->target_offset);
	autotable struct table live = { 0 }, linear = { 0 };

	if (job_is_backup(job))
		return fail(EX_ROLLED_BACK,
			    "job %s is gone; whoever took its layer out knows whether the image is complete",
			    job->id);
	table_add(&linear, 0, job->length, "linear", params);
	if (!dm_get_table(job->user.devno, false, &live) &&
	    (table_equal(&live, &linear) || (target->n && table_equal(&live, target)))) {
		say("job %s has completed; %s is on its target device", job->id,
		    dev);
		return EX_DONE;
	}
	return fail(EX_ROLLED_BACK,
		    "job %s is gone without having switched %s: it was cancelled, or another tool removed its layer",
		    job->id, dev);
}

static int wait_for(struct job *job, unsigned int states, uint64_t deadline_us,
		    bool json)
{
	autotable struct table target = { 0 };
	struct progress p;
	int err;

	dm_get_table(job->target, false, &target);
	progress_start(&p, json);
	err = job_wait(job, states, deadline_us, &p);
	progress_end(&p);
	if (err == -ENXIO)
		return job_left(job, &target);
	if (err < 0)
		return fail(EX_ATTENTION, "cannot follow job %s: %s", job->id,
			    strerror(-err));
	if (json)
		output_job(job);
	return err ? job_detached(job, false) : job_error(job);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	unsigned int ready = STATE(READY) | STATE(STANDBY) | STATE(PENDING);
	bool concluded = false, json = false;
	uint64_t timeout_us = 0;
	const struct arg args[] = {
		ARG("concluded", FLAG, &concluded),
		ARG_TIMEOUT(&timeout_us), ARG_JSON(&json), { 0 }
	};
	autofree struct job *jobs = NULL;
	uint64_t deadline_us;
	size_t n, i;
	int one, err = args_jobs(cmd, argc, argv, args, &jobs, &n);

	if (err)
		return err;
	deadline_us = timeout_us ? now_us() + timeout_us : 0;
	for (i = 0; i < n && !concluded; i++)
		if (job_is_track(&jobs[i]))
			return complete_check(&jobs[i]);
	for (i = 0; i < n && err != EX_DETACHED; i++) {
		one = wait_for(&jobs[i],
			       (concluded ? 0 : ready) | STATE(CONCLUDED),
			       deadline_us, json);
		if (!err || one == EX_DETACHED)
			err = one;
	}
	return err;
}

const struct command cmd_wait = {
	.name = "wait",
	.args = "JOB",
	.summary = "Wait until a job is ready, or has ended",
	.options =
	"  --concluded          until it has ended: ready is not enough\n"
	"  --timeout TIME       detach after this, such as 90, 90s, 5m\n"
	"  --json               no progress; an object for each job at the end\n",
	.run = run,
};
