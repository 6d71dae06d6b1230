// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Beginning a stream, and going on with one. From the insertion on there is no
 * way back to the source: what is written is on the target device alone.
 */
#include <errno.h>
#include <string.h>

#include "bitmap.h"
#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "preflight.h"
#include "stack.h"
#include "stream.h"
#include "stream-plan.h"

static void plan_release(struct stream_plan *p)
{
	table_free(&p->old);
	ranges_free(&p->base);
	metadata_plan_free(&p->md);
}

static int resolve(struct stream_plan *p, const char *source,
		   const char *target, const char *metadata)
{
	int err = preflight_resolve(source, &p->source);

	if (!err)
		err = preflight_resolve(target, &p->target);
	p->md.type = "stream";
	p->md.force = p->o->force;
	p->md.reset = p->o->reset;
	p->md.recover = p->o->recover;
	return err ? err : metadata_plan_resolve(&p->md, metadata, p->source,
						 p->target);
}

/* A job that has these metadata: running, or cancelled. */
static int find_live(const struct stream_plan *p, struct job *job)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	*job = (struct job) { 0 };
	for (i = 0; !err && i < n; i++)
		if (job_is_stream(&jobs[i]) &&
		    job_metadata(&jobs[i]) == p->md.device)
			*job = jobs[i];
	return err;
}

/* Rounded inwards, as the kernel does: what is in it only in part is filled. */
static int drop_base(const struct job *job, const struct ranges *base)
{
	uint64_t first, end;
	size_t i;
	int err = 0;

	for (i = 0; i < base->n && !err; i++) {
		first = (base->r[i].start + 511) / 512;
		end = (base->r[i].start + base->r[i].len) / 512;
		if (first < end)
			err = job_send(job, "unmark %llu %llu",
				       (unsigned long long)first,
				       (unsigned long long)(end - first));
	}
	return err;
}

/* The layer is in place, and paused. */
static int run_it(const struct stream_plan *p, const struct job *job)
{
	const char *source = p->ref;
	autofree char *label = job_device(job), *target = device_path(p->target);
	int err = drop_base(job, &p->base);

	if (p->o->paused && p->note.commit == STREAM_COMMITS) {
		say("job %s started, and paused, because it was being committed: %s is in use on both devices. To go on with that: blkjob commit %s. 'blkjob resume %s' would fill it instead",
		    job->id, label, label, job->id);
		return 0;
	}
	if (p->o->paused) {
		say("job %s started, and paused, because of a base: %s is in use on both devices. To fill the rest, give the same 'blkjob stream' with its --base again; 'blkjob resume %s' would fill the base too",
		    job->id, label, job->id);
		return 0;
	}
	if (!err)
		err = job_send(job, "resume");
	if (err)
		return fail(EX_ATTENTION,
			    "%s is in use on %s already, and is not filled: 'blkjob resume %s' does that, 'blkjob cancel %s' leaves it as it is",
			    label, target, job->id, job->id);
	say("job %s started: what is written to %s goes to %s, which is filled from %s behind",
	    job->id, label, target, source);
	return 0;
}

/*------------------------- Once more, alive -------------------------*/

static int check_ended(const struct stream_plan *p, const struct job *job)
{
	bool same = job->target == p->target &&
		    (p->o->name ? device_stands_on(job->source, p->source) :
				  job->user.devno == p->source);
	autofree char *label = job_device(job);

	if (same && job->below)
		return complete_check_upper(job);
	if (!same)
		return fail(EX_REFUSED,
			    "the metadata device is in use by job %s, of %s; name another one",
			    job->id, label);
	if (job_in(job, STATE(ABORTING)))
		return fail(EX_REFUSED,
			    "job %s: cancellation already in progress; again when it has ended: blkjob wait --concluded %s",
			    job->id, job->id);
	/* Put back, and waiting for somebody to say what is not to be filled. */
	if (p->o->base && job_in(job, STATE(PAUSED)))
		return 0;
	if (!job_in(job, STATE(CONCLUDED)))
		return fail(EX_REFUSED,
			    "%s is in use by job %s, which is %s; see: blkjob status %s",
			    label, job->id, status_state_name(job->st.state),
			    job->id);
	if (!strcmp(job->st.active, "target"))
		return fail(EX_REFUSED,
			    "job %s has completed; 'blkjob complete %s' drops its source",
			    job->id, job->id);
	return 0;
}

static int begin_again(const struct stream_plan *p, struct job *job)
{
	int err = check_ended(p, job);

	if (err)
		return err;
	if (p->o->base && !job_in(job, STATE(PAUSED)))
		return fail(EX_REFUSED,
			    "job %s knows already what is not to be filled; go on without --base",
			    job->id);
	if (p->o->speed != UNKNOWN)
		err = job_send(job, "set speed %llu",
			       (unsigned long long)p->o->speed);
	return err ? err : run_it(p, job);
}

/*----------------------------- A new layer -----------------------------*/

static void add_options(struct layer *layer, const struct stream_plan *p)
{
	const struct stream_options *o = p->o;
	autofree char *note = stream_note_text(&p->note);
	int i;

	metadata_plan_options(&p->md, layer);
	layer_add_word(layer, "note", note);
	layer_add_number(layer, "speed", o->speed);
	layer_add_number(layer, "granularity", o->granularity);
	layer_add_number(layer, "buf_size", o->buf_size);
	layer_add_number(layer, "latency_bound", o->latency_bound);
	for (i = 0; i < NR_WORDS; i++)
		layer_add_word(layer, word_key(i), o->words[i]);
}

static int create_device(struct stream_plan *p)
{
	int err;

	if (!p->o->name)
		return 0;
	err = dm_create(p->o->name, "", &p->user);
	return err ? fail(EX_REFUSED, "cannot make /dev/mapper/%s: %s; see: dmesg",
			  p->o->name, strerror(-err)) : 0;
}

static int insert(struct stream_plan *p, struct job *job)
{
	const struct swap_how how = { .freeze = false };
	struct insertion in = {
		.user = &p->user, .old = &p->old, .created = p->o->name,
		.layer = { .type = "stream", .target = p->target,
			   .reads_source = true },
	};
	uint64_t us = 0;
	int err = stack_new_id(in.layer.id);

	add_options(&in.layer, p);
	if (!err)
		err = create_device(p);
	if (!err)
		err = stack_create(&in, job);
	if (!err)
		err = stack_insert(&in, 1, &how, job, &us);
	free(in.layer.options);
	if (!err || err == EX_ATTENTION)
		return err;
	stack_discard(&in);
	if (in.created && p->user.devno)
		dm_remove(p->user.devno);
	return err;
}

int stream_start(const char *source, const char *target, const char *metadata,
		 const struct stream_options *o, struct job *job)
{
	__attribute__((cleanup(plan_release)))
	struct stream_plan p = { .o = o, .ref = source };
	autolock struct lock lock = NO_LOCK;
	uint32_t version[3];
	int err;

	*job = (struct job) { 0 };
	err = preflight_kernel(version);
	if (!err)
		err = resolve(&p, source, target, metadata);
	if (!err)
		err = lock_device(&lock, p.source);
	if (!err)
		err = find_live(&p, job);
	if (!err && !job->dev.devno)
		err = stream_plan_make(&p);
	else
		p.length = job->length * 512;
	if (!err && o->base)
		err = bitmap_read(o->base, p.length, &p.base);
	if (!err && job->dev.devno)
		return begin_again(&p, job);
	if (!err && p.md.wipe)
		err = metadata_wipe(p.md.device);
	if (!err)
		err = insert(&p, job);
	return err ? err : run_it(&p, job);
}
