// SPDX-License-Identifier: GPL-2.0-or-later
/* From plans to running jobs: all of them, or none. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "commit.h"
#include "complete.h"
#include "device.h"
#include "remember.h"
#include "since.h"
#include "stack.h"
#include "start.h"

struct start {
	struct plan *plans;
	struct insertion *in;	/* one for each */
	struct lv *spares;	/* volumes that were allocated */
	struct job *jobs;
	size_t n;
	const struct start_options *o;
};

static void start_free(struct start *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->in[i].layer.options);
		lv_free(&s->spares[i]);
	}
	free(s->in);
	free(s->spares);
}

const char *word_key(enum word_option word)
{
	static const char * const keys[NR_WORDS] = {
		[WORD_COPY_MODE] = "copy_mode",
		[WORD_SOURCE_ERROR] = "on_source_error",
		[WORD_TARGET_ERROR] = "on_target_error",
		[WORD_COPY_ON_READ] = "copy_on_read",
		[WORD_CBW_ERROR] = "on_cbw_error",
		[WORD_CBW_STORED] = "cbw_stored",
		[WORD_CHECKSUM] = "checksum",
		[WORD_SYNC] = "sync",
		[WORD_UNMAP] = "unmap",
		[WORD_TARGET_IS_ZERO] = "target_is_zero",
	};

	return keys[word];
}

/*
 * top and bitmap are made of what the kernel has. A mirror begins with nothing,
 * and what is listed is marked when every write is tracked. The image of a
 * backup is of the instant at which the layer comes: it begins with everything,
 * and what is not listed is dropped.
 */
static const char *sync_word(const struct start_options *o)
{
	if (start_sync_is(o, "full") || start_sync_is(o, "none"))
		return o->words[WORD_SYNC];
	return o->backup ? "full" : "none";
}

void start_layer_options(struct layer *layer, const struct plan *p,
			 const struct start_options *o)
{
	autofree char *note = since_note(o), *spill = NULL;
	uint64_t granularity = o->granularity;
	int i;

	if (granularity == UNKNOWN && o->since)
		granularity = p->tracker.st.granularity;

	layer_add_word(layer, "group", o->group);
	layer_add_number(layer, "speed", o->speed);
	layer_add_number(layer, "granularity", granularity);
	layer_add_number(layer, "buf_size", o->buf_size);
	layer_add_number(layer, "latency_bound", o->latency_bound);
	layer_add_number(layer, "cbw_timeout", o->cbw_timeout_us == UNKNOWN ?
			 UNKNOWN : o->cbw_timeout_us / 1000000);
	for (i = 0; i < NR_WORDS; i++)
		layer_add_word(layer, word_key(i),
			       i == WORD_SYNC ? sync_word(o) : o->words[i]);
	if (p->spill)
		spill = xasprintf("%u:%u", major(p->spill), minor(p->spill));
	layer_add_word(layer, "spill", spill);
	layer_add_word(layer, "note", note ?: p->md.identity[0]);
	metadata_plan_options(&p->md, layer);
}

static int send_range(const struct job *job, const char *verb, uint64_t first,
		      uint64_t end)
{
	if (first >= end)
		return 0;
	return job_send(job, "%s %llu %llu", verb, (unsigned long long)first,
			(unsigned long long)(end - first));
}

/* @listed is sorted, in bytes; the kernel counts sectors. */
static int choose(const struct job *job, const struct ranges *listed,
		  bool backup)
{
	uint64_t first, end, at = 0;
	size_t i;
	int err = 0;

	for (i = 0; i < listed->n && !err; i++) {
		first = listed->r[i].start / 512;
		end = (listed->r[i].start + listed->r[i].len + 511) / 512;
		err = backup ? send_range(job, "unmark", at, first) :
			       send_range(job, "mark", first, end);
		at = end;
	}
	return err || !backup ? err : send_range(job, "unmark", at, job->length);
}

static int create(struct start *s, size_t i)
{
	struct plan *p = &s->plans[i];
	struct insertion *in = &s->in[i];
	struct layer *layer = &in->layer;
	int err = stack_new_id(layer->id);

	in->user = &p->user;
	in->old = &p->old;
	layer->type = s->o->backup ? "backup" : "mirror";
	layer->target = p->target;
	layer->target_offset = p->target_offset;
	layer->replaces = p->replaces;
	layer->above = p->tracker.dev.devno;
	start_layer_options(layer, p, s->o);
	if (!err && p->allocate)
		err = lvm_allocate(&p->lv, p->target, layer->id, &s->spares[i],
				   &layer->target);
	if (!err && p->md.device)
		err = metadata_plan_write(&p->md);
	if (!err)
		err = stack_create(in, &s->jobs[i]);
	/* A list can come at once: what is written from then on is added. */
	if (!err && s->o->bitmap)
		err = choose(&s->jobs[i], &p->given, s->o->backup);
	return err;
}

/* Now every write is tracked, and what is there may be asked for. */
static int begin(struct start *s, size_t i)
{
	autoranges struct ranges top = { 0 }, changed = { 0 };
	int err = 0;

	if (s->o->since) {
		err = since_changed(&s->plans[i].tracker, s->o->since, &changed);
		if (!err)
			err = choose(&s->jobs[i], &changed, true);
	}

	if (s->plans[i].stream.dev.devno) {
		err = commit_ranges(&s->plans[i].stream, &top);
		if (!err)
			err = choose(&s->jobs[i], &top, false);
	}
	if (start_sync_is(s->o, "top")) {
		err = top_read(&s->plans[i].top, &top);
		if (!err)
			err = choose(&s->jobs[i], &top, s->o->backup);
	}
	return err;
}

static void tell(const struct start *s, uint64_t us)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		autofree char *label = job_device(&s->jobs[i]);
		autofree char *path = device_path(s->jobs[i].target);

		say("job %s started: %s to %s%s; %s stays in use",
		    s->jobs[i].id, label, path,
		    s->plans[i].stream.dev.devno ? ", its source" : "", label);
		remember_tell(&s->plans[i]);
	}
	if (s->o->backup)
		say("the image is of one instant, %s file systems frozen; no write was held longer than %.1f ms",
		    s->o->no_freeze ? "without" : "with", us / 1e3);
}

static int take_out(struct start *s, int err)
{
	size_t i;

	if (s->o->group)
		say("taking out again what was started of group %s",
		    s->o->group);
	for (i = 0; i < s->n; i++)
		if (job_undo(&s->jobs[i]))
			err = EX_ATTENTION;
	return err;
}

/* Freezing does it again, while writers wait: let there be little left to do. */
static void sync_first(const struct plan *p)
{
	autofree char *path = device_mountpoint(p->user.devno);
	autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		syncfs(fd);
}

static int insert(struct start *s)
{
	const struct swap_how how = {
		.freeze = s->o->backup && !s->o->no_freeze,
		.together = s->o->backup,
		.freeze_timeout_us = s->o->freeze_timeout_us,
	};
	uint64_t us = 0;
	size_t i;
	int err;

	for (i = 0; how.freeze && i < s->n; i++)
		sync_first(&s->plans[i]);
	err = stack_insert(s->in, s->n, &how, s->jobs, &us);
	if (err)
		return err;
	/* Paused until all are ready for it: a command that is killed starts none. */
	for (i = 0; i < s->n && !err; i++)
		err = begin(s, i);
	for (i = 0; i < s->n && !err; i++)
		err = job_send(&s->jobs[i], "resume");
	if (err)
		return take_out(s, err);
	tell(s, us);
	return 0;
}

int start_planned(struct plan *plans, size_t n, const struct start_options *o,
		  struct job *jobs)
{
	__attribute__((cleanup(start_free))) struct start s = {
		.plans = plans, .jobs = jobs, .n = n, .o = o,
		.in = xcalloc(n, sizeof(*s.in)),
		.spares = xcalloc(n, sizeof(*s.spares)),
	};
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = create(&s, i);
	/*
	 * Before the instant: what is written until then is in the image, and
	 * counts as changed after it too.
	 */
	if (!err)
		err = since_begin(plans, n, o);
	if (!err) {
		err = insert(&s);
		if (err && err != EX_ATTENTION)
			since_drop(plans, n, o);
	}
	for (i = 0; err && err != EX_ATTENTION && i < n; i++) {
		stack_discard(&s.in[i]);
		if (s.spares[i].name)
			lvm_remove(&s.spares[i]);
	}
	return err;
}
