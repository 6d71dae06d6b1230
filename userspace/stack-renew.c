// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Another job in the place of one that has ended, on the same private device.
 * The first must have gone before the second can have its metadata, and what is
 * written between the two would be in nobody's: so the user's device stands still
 * meanwhile, and a second process watches, see guard.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "guard.h"
#include "kmsg.h"
#include "stack.h"

#define RENEW_TIMEOUT_US 10000000

struct renewal {
	const struct job *job;
	struct table idle, new;
	struct dm_cookie cookie;
	struct guard guard;
	uint64_t us;
};

static int swap_in(struct renewal *r, const struct table *t)
{
	int err = dm_load(r->job->dev.devno, t, false);

	return err ? err : dm_resume(&r->job->dev, &r->cookie, DM_RESUME_HIDDEN);
}

/* The critical section: no output, no files, no other programs. */
static int swap_both(struct renewal *r)
{
	uint64_t start = now_us();
	int err = dm_suspend(&r->job->user, false), resumed;

	if (!err)
		err = swap_in(r, &r->idle);
	if (!err)
		err = swap_in(r, &r->new);
	/* Too late: it has been resumed, and was written in between. */
	if (!guard_pass(&r->guard) && !err)
		err = -ETIMEDOUT;
	resumed = dm_resume(&r->job->user, &r->cookie, 0);
	r->us = now_us() - start;
	return resumed ? -EIO : err;
}

static int prepare(struct renewal *r, const struct swap *s)
{
	autofree char *label = job_device(r->job);

	if (dm_cookie(&r->cookie))
		return fail(EX_ROLLED_BACK,
			    "cannot create a udev cookie: no semaphores left (ipcs -s); %s is unchanged. Free some with: dmsetup udevcomplete_all",
			    label);
	if (!guard_start(&r->guard, s, 1, RENEW_TIMEOUT_US))
		return 0;
	dm_cookie_wait(&r->cookie);
	return fail(EX_ROLLED_BACK,
		    "cannot start a second process: %s; %s is unchanged. See: ulimit -u",
		    strerror(errno), label);
}

static int renew(struct renewal *r, bool *touched)
{
	const struct swap s = { .dev = &r->job->user };
	autofree char *why = NULL, *label = job_device(r->job);
	autoclose int log = kmsg_open();
	int err = prepare(r, &s);

	if (err)
		return err;
	*touched = true;
	swap_memory_lock();
	err = swap_both(r);
	guard_stop(&r->guard);
	munlockall();
	dm_cookie_wait(&r->cookie);
	if (!err)
		return 0;
	if (err == -EIO)
		return fail(EX_ATTENTION,
			    "%s may be SUSPENDED; run now: dmsetup resume %s",
			    label, r->job->user.name);
	why = kmsg_reason(log);
	return fail(EX_ROLLED_BACK, "job %s cannot be taken up: %s", r->job->id,
		    err == -ETIMEDOUT ? "its devices do not answer" :
		    why ? why : strerror(-err));
}

int stack_renew(const struct job *job, const struct layer *l, bool *touched,
		uint64_t *us)
{
	struct renewal r = { .job = job, .guard = GUARD_NONE };
	autofree char *params = stack_job_params(l, job->source);
	autofree char *source = xasprintf("%u:%u 0", major(job->source),
					  minor(job->source));
	int err;

	*touched = false;
	table_add(&r.idle, 0, job->length, "linear", source);
	table_add(&r.new, 0, job->length, BLKJOB_TARGET, params);
	err = renew(&r, touched);
	table_free(&r.idle);
	table_free(&r.new);
	*us = r.us;
	return err;
}
