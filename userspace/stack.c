// SPDX-License-Identifier: GPL-2.0-or-later
/* Putting a layer under a live device, and taking it away again. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "kmsg.h"
#include "stack.h"
#include "view.h"

#define GONE_TIMEOUT_US 10000000

int stack_new_id(char id[JOB_ID_LEN + 1])
{
	FILE *f = fopen("/proc/sys/kernel/random/uuid", "re");
	char *ok = f ? fgets(id, JOB_ID_LEN + 1, f) : NULL;

	if (f)
		fclose(f);
	return ok && strlen(id) == JOB_ID_LEN ? 0 :
		fail(EX_REFUSED, "cannot read /proc/sys/kernel/random/uuid; is /proc mounted?");
}

void layer_add_word(struct layer *layer, const char *key, const char *value)
{
	char *longer;

	if (!value)
		return;
	longer = xasprintf("%s%s%s %s", layer->options ?: "",
			   layer->options ? " " : "", key, value);
	free(layer->options);
	layer->options = longer;
	layer->nr_words += 2;
}

void layer_add_number(struct layer *layer, const char *key, uint64_t value)
{
	autofree char *word = NULL;

	if (value != UNKNOWN)
		word = xasprintf("%llu", (unsigned long long)value);
	layer_add_word(layer, key, word);
}

/* Resumed with the flags that hide it from blkid, LVM and systemd. */
static int private_device(const char *name, const char *uuid,
			  const struct table *t, bool read_only, dev_t *devno)
{
	struct dm_cookie c = { 0 };
	struct dm_dev dev;
	int err;

	err = dm_create(name, uuid, &dev);
	if (err)
		return err;
	*devno = dev.devno;
	err = dm_load(*devno, t, read_only);
	if (!err)
		err = dm_cookie(&c);
	if (!err) {
		err = dm_resume(&dev, &c, DM_RESUME_HIDDEN);
		dm_cookie_wait(&c);
	}
	if (err) {
		dm_remove(*devno);
		*devno = 0;
	}
	return err;
}

/* Of a job that replaces: the only place where it is recorded, see job.c. */
static char *private_uuid(const struct dm_dev *user, const struct layer *l,
			  bool src)
{
	dev_t parent_no = src ? 0 : l->replaces;
	autofree char *parent = parent_no ? xasprintf("%u:%u-", major(parent_no),
						      minor(parent_no)) :
					    xstrdup("");

	/*
	 * LVM takes a device with a longer uuid than its volume's for a layer
	 * inside that volume: it neither scans nor reports it.
	 */
	if (!strncmp(user->uuid, "LVM-", 4))
		return xasprintf("%s-%s%s%sblkjob%s", user->uuid,
				 l->above ? l->id : "", l->above ? "-" : "",
				 parent, src ? "src" : "");
	return xasprintf("BLKJOB-%s-%s%s", l->id, parent, src ? "src" : "job");
}

static int create_src(const struct dm_dev *user, const struct table *old,
		      const struct layer *l, dev_t *src)
{
	autofree char *name = xasprintf(JOB_PREFIX "%s.src", l->id);
	autofree char *uuid = private_uuid(user, l, true);
	autofree char *label = dm_dev_label(user);
	int err = private_device(name, uuid, old,
				 user->read_only || l->reads_source, src);

	if (err)
		return fail(EX_REFUSED,
			    "cannot copy the table of %s to a private device: %s; does \"blkjob list\" show a job on it already?",
			    label, strerror(-err));
	return 0;
}

char *stack_job_params(const struct layer *l, dev_t src)
{
	/* Paused: what is written before the layer is in place goes unseen. */
	return xasprintf("%s %u:%u 0 %u:%u %llu %u paused on%s%s", l->type,
			 major(src), minor(src), major(l->target),
			 minor(l->target), (unsigned long long)l->target_offset,
			 l->nr_words + 2, l->nr_words ? " " : "",
			 l->nr_words ? l->options : "");
}

static int create_job(const struct dm_dev *user, const struct layer *l,
		      dev_t src, uint64_t sectors, dev_t *job)
{
	autofree char *name = xasprintf(JOB_PREFIX "%s", l->id);
	autofree char *uuid = private_uuid(user, l, false);
	autofree char *params = stack_job_params(l, src), *why = NULL;
	autotable struct table t = { 0 };
	autoclose int log = kmsg_open();
	int err;

	table_add(&t, 0, sectors, BLKJOB_TARGET, params);
	err = private_device(name, uuid, &t, false, job);
	if (err) {
		why = kmsg_reason(log);
		return fail(EX_REFUSED, "the kernel refused the job: %s",
			    why ? why : strerror(-err));
	}
	return 0;
}

static void shim_table(const struct table *old, dev_t job, struct table *shim)
{
	size_t i;

	/* LVM compares segment by segment with its metadata. */
	for (i = 0; i < old->n; i++) {
		autofree char *params =
			xasprintf("%u:%u %llu", major(job), minor(job),
				  (unsigned long long)old->seg[i].start);

		table_add(shim, old->seg[i].start, old->seg[i].len, "linear",
			  params);
	}
}

static int find_new_job(const char *id, struct job *job)
{
	autofree char *name = xasprintf(JOB_PREFIX "%s", id);

	return job_find(name, job);
}

int stack_create(struct insertion *in, struct job *job)
{
	int err = create_src(in->user, in->old, &in->layer, &in->src);

	if (!err)
		err = create_job(in->user, &in->layer, in->src,
				 table_length(in->old), &in->dev);
	if (!err)
		err = find_new_job(in->layer.id, job);
	if (err)
		stack_discard(in);
	else
		shim_table(in->old, in->dev, &in->shim);
	return err;
}

void stack_discard(struct insertion *in)
{
	if (in->dev)
		dm_remove(in->dev);
	if (in->src)
		dm_remove(in->src);
	in->dev = in->src = 0;
	table_free(&in->shim);
}

/* Whoever takes the user device's table away removes the layer too. */
static void stack_inserted(struct insertion *in, struct job *job)
{
	dm_remove_deferred(in->dev);
	dm_remove_deferred(in->src);
	in->dev = in->src = 0;
	table_free(&in->shim);
	job->user = *in->user;
}

int stack_insert(struct insertion *in, size_t n, const struct swap_how *how,
		 struct job *jobs, uint64_t *us)
{
	autofree struct swap *s = xcalloc(n, sizeof(*s));
	static const struct table none;
	size_t i;
	int err;

	for (i = 0; i < n; i++)
		s[i] = (struct swap) { .dev = in[i].user,
				       .old = in[i].created ? &none : in[i].old,
				       .new = &in[i].shim };
	err = swap_all(s, n, how, us);
	for (i = 0; i < n && !err; i++)
		stack_inserted(&in[i], &jobs[i]);
	/* They may be in use: for who reads the message. */
	for (i = 0; i < n && err == EX_ATTENTION; i++)
		in[i].dev = in[i].src = 0;
	return err;
}

/* For the user's device, to be on that leg without the layer. */
static int leg_table(const struct job *job, dev_t leg, uint64_t offset,
		     struct table *t)
{
	autofree char *params = NULL;

	/* The private device has the table that was there before. */
	if (!job->by_hand && leg == job_old_source(job))
		return dm_get_table(leg, false, t);
	params = xasprintf("%u:%u %llu", major(leg), minor(leg),
			   (unsigned long long)offset);
	table_add(t, 0, job->length, "linear", params);
	return 0;
}

int stack_source_table(const struct job *job, struct table *t)
{
	return leg_table(job, job->source, job->source_offset, t);
}

bool stack_wait_gone(const struct job *job)
{
	autofree char *src = xasprintf("%s.src", job->dev.name);
	uint64_t end = now_us() + GONE_TIMEOUT_US;
	struct dm_dev dev;

	if (job->by_hand)
		return true;
	while (!dm_find_name(job->dev.name, &dev) || !dm_find_name(src, &dev)) {
		if (now_us() > end)
			return false;
		usleep(5000);
	}
	dm_drop_node(job->dev.name);
	dm_drop_node(src);
	return true;
}

/* Gives the user's device its final table, and lets the layer go. */
static int leave(const struct job *job, const struct table *new, uint64_t *us)
{
	autotable struct table live = { 0 };
	struct swap s = { .dev = &job->user, .old = &live, .new = new };
	const struct swap_how how = { .freeze = false };
	uint64_t took = 0;
	int err = view_remove_all(job);

	if (err)
		return err;
	if (job->user.devno) {
		if (dm_get_table(job->user.devno, false, &live))
			return fail(EX_ATTENTION,
				    "cannot read the table of %s: %s; see: dmsetup table",
				    job->user.name, dm_error());
		err = swap_all(&s, 1, &how, &took);
	}
	if (err)
		return err;
	if (us)
		*us = took;
	if (!job->by_hand) {
		dm_remove_deferred(job->dev.devno);
		dm_remove_deferred(job_old_source(job));
	}
	if (!stack_wait_gone(job))
		warning("done, but %s is still held by something; remove with: dmsetup remove %s %s.src",
			job->dev.name, job->dev.name, job->dev.name);
	return 0;
}

static int leave_on(const struct job *job, dev_t leg, uint64_t offset,
		    uint64_t *us)
{
	autotable struct table new = { 0 };

	if (leg_table(job, leg, offset, &new))
		return fail(EX_ATTENTION,
			    "cannot read the old table of %s from the layer; it goes on working. See: dmsetup table",
			    job->user.name);
	return leave(job, &new, us);
}

int stack_restore(const struct job *job)
{
	autofree char *target = device_path(job->target);
	autofree char *label = job_device(job);

	if (job_is_stream(job))
		return fail(EX_ATTENTION,
			    "job %s is a stream: what was written since it began is on %s, so %s cannot go back to its source",
			    job->id, target, label);
	return leave_on(job, job->source, job->source_offset, NULL);
}

int stack_pivot(const struct job *job, uint64_t *us)
{
	return leave_on(job, job->target, job->target_offset, us);
}
