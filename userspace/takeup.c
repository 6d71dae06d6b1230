// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "lock.h"
#include "preflight.h"
#include "remember.h"
#include "stack.h"
#include "takeup.h"

static bool is_left(const struct job *job)
{
	return !job->by_hand && !job->below && !job->reversed &&
	       !strcmp(job->st.type, "mirror") &&
	       job_in(job, STATE(CONCLUDED)) &&
	       !strcmp(job->st.active, "source");
}

static int find(dev_t source, dev_t metadata, struct job *job, bool *taken)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	for (i = 0; !err && i < n; i++) {
		if (jobs[i].user.devno == source && is_left(&jobs[i]) &&
		    job_metadata(&jobs[i]) == metadata) {
			*job = jobs[i];
			*taken = true;
		}
	}
	return err;
}

static int plan(struct plan *p, const struct job *job, const char *source,
		const struct start_options *o)
{
	autotable struct table live = { 0 };
	int err;

	if (!job->st.remembers)
		return fail(EX_REFUSED,
			    "job %s could not write its metadata, so nobody knows what differs: 'blkjob cancel %s', and begin anew with --reset --force",
			    job->id, job->id);
	err = preflight_idle(source, job->user.devno, &p->user, &live);
	if (err)
		return err;
	if (stack_source_table(job, &p->old))
		return fail(EX_REFUSED, "cannot read the table below job %s; see: dmsetup table",
			    job->id);
	err = remember_plan(p, o, true);
	/* What the job still holds was looked at when it began. */
	if (!err && p->target != job->target)
		err = preflight_target(p->target, p->user.devno,
				       job->length * 512, true);
	return err;
}

/* Without a job, and with writes that nobody knows of: as it was before both. */
static int give_up(struct job *job, const struct plan *p, int err)
{
	autofree char *dev = job_device(job);

	if (metadata_wipe(p->md.device) || err == EX_ATTENTION)
		return EX_ATTENTION;
	msg_quiet(true);
	if (!job_update(job) && !job_in(job, STATE(CONCLUDED)))
		job_send(job, "cancel force");
	msg_quiet(false);
	if (stack_restore(job))
		return EX_ATTENTION;
	say("%s is on its source without a job, and the metadata are wiped: the next mirror copies everything",
	    dev);
	return err;
}

static int renew(struct job *job, const struct plan *p,
		 const struct start_options *o)
{
	autofree char *label = job_device(job), *path = device_path(p->target);
	struct layer l = { .type = "mirror", .target = p->target };
	uint64_t us = 0;
	bool touched;
	int err;

	start_layer_options(&l, p, o);
	err = stack_renew(job, &l, &touched, &us);
	free(l.options);
	if (err)
		return touched ? give_up(job, p, err) : err;
	err = job_find(job->dev.name, job);
	if (!err)
		err = job_send(job, "resume");
	if (err)
		return err;
	say("job %s started again: %s to %s; %s stood still for %.1f ms",
	    job->id, label, path, label, us / 1e3);
	remember_tell(p);
	return 0;
}

int takeup_job(const char *source, const char *target,
	       const struct start_options *o, struct job *job, bool *taken)
{
	autolock struct lock lock = NO_LOCK;
	autoplan struct plan p = { 0 };
	dev_t devno, metadata;
	uint32_t version[3];
	int err;

	*taken = false;
	if (!o->metadata || o->reset)
		return 0;
	err = preflight_kernel(version);
	if (!err)
		err = preflight_resolve(source, &devno);
	if (!err)
		err = preflight_resolve(target, &p.target);
	if (!err)
		err = preflight_resolve(o->metadata, &metadata);
	if (!err)
		err = lock_device(&lock, devno);
	if (!err)
		err = find(devno, metadata, job, taken);
	if (!err && *taken)
		err = plan(&p, job, source, o);
	return err || !*taken ? err : renew(job, &p, o);
}
