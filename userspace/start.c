// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "bitmap.h"
#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "preflight.h"
#include "replaces.h"
#include "stack.h"
#include "start.h"

void plan_free(struct plan *p)
{
	table_free(&p->old);
	lv_free(&p->lv);
	ranges_free(&p->given);
}

static bool is_sync(const struct start_options *o, const char *mode)
{
	return !strcmp(o->words[WORD_SYNC] ?: "full", mode);
}

int start_check(const struct command *cmd, const struct start_options *o)
{
	if (is_sync(o, "bitmap") == !!o->bitmap)
		return 0;
	return usage_error(cmd, "--sync bitmap and --bitmap FILE belong together");
}

/* What the target device already has must be what is not copied. */
static int check_sync(const struct plan *p, const char *source,
		      const struct start_options *o)
{
	if (p->allocate && !is_sync(o, "full"))
		return fail(EX_REFUSED,
			    "--sync %s needs a target device that holds the rest already, and the new extents of %s hold nothing; use --sync full",
			    o->words[WORD_SYNC], source);
	return is_sync(o, "top") ? top_check(&p->top, source) : 0;
}

static int check_target(const struct plan *p, const char *source,
			const struct start_options *o)
{
	uint64_t length = table_length(&p->old) * 512;

	if (!p->top.origin || p->target != p->top.origin)
		return preflight_target(p->target, &p->user, length, o->force);
	if (!is_sync(o, "top") || p->top.offset)
		return fail(EX_REFUSED,
			    "the snapshot below %s stands on the target: only what a whole snapshot holds can be copied there; use --sync top, or name a target elsewhere",
			    source);
	return preflight_commit(p->target, p->top.devno, &p->user, length);
}

int plan_make(struct plan *p, const char *source, const char *target,
	      const struct start_options *o)
{
	bool lvm;
	int err;

	*p = (struct plan) { 0 };
	err = preflight_source(source, &p->user, &p->old);
	if (err)
		return err;
	lvm = lvm_owns(&p->user);
	if (lvm)
		err = lvm_lookup(&p->user, &p->lv);
	if (!err && lvm)
		err = lvm_check_table(&p->lv, &p->old);
	if (err || !target)
		return err;
	err = preflight_resolve(target, &p->target);
	if (err)
		return err;
	/* With replaces, LVM keeps its volume: nothing of it moves. */
	p->allocate = lvm && o->migrate && !o->replaces;
	top_find(&p->old, &p->top);
	err = check_sync(p, source, o);
	if (err)
		return err;
	return p->allocate ? lvm_check_pv(&p->lv, p->target) :
			     check_target(p, source, o);
}

const char *word_key(enum word_option word)
{
	static const char * const keys[NR_WORDS] = {
		[WORD_COPY_MODE] = "copy_mode",
		[WORD_SOURCE_ERROR] = "on_source_error",
		[WORD_TARGET_ERROR] = "on_target_error",
		[WORD_SYNC] = "sync",
		[WORD_UNMAP] = "unmap",
		[WORD_TARGET_IS_ZERO] = "target_is_zero",
	};

	return keys[word];
}

static void add_word(struct layer *layer, char **text, const char *key,
		     const char *value)
{
	char *longer;

	if (!value)
		return;
	longer = xasprintf("%s%s%s %s", *text, **text ? " " : "", key, value);
	free(*text);
	*text = longer;
	layer->nr_words += 2;
}

static void add_number(struct layer *layer, char **text, const char *key,
		       uint64_t value)
{
	autofree char *word = NULL;

	if (value != UNKNOWN)
		word = xasprintf("%llu", (unsigned long long)value);
	add_word(layer, text, key, word);
}

/* What a job begins with, if the kernel has not marked all or nothing. */
static int mark(const struct job *job, const struct plan *p,
		const struct start_options *o)
{
	const struct ranges *given = &p->given;
	autoranges struct ranges ranges = { 0 };
	uint64_t first, end;
	size_t i;
	int err = 0;

	/* Now: every write from the insertion on is tracked. */
	if (is_sync(o, "top")) {
		err = top_read(&p->top, &ranges);
		given = &ranges;
	}
	for (i = 0; i < given->n && !err; i++) {
		first = given->r[i].start / 512;
		end = (given->r[i].start + given->r[i].len + 511) / 512;
		err = job_send(job, "mark %llu %llu", (unsigned long long)first,
			       (unsigned long long)(end - first));
	}
	return err;
}

static int insert(struct plan *p, const struct start_options *o, bool paused,
		  struct layer *layer, struct job *job)
{
	autofree char *options = xstrdup("");
	autolv struct lv spare = { 0 };
	int i, err = 0;

	add_word(layer, &options, "group", o->group);
	add_number(layer, &options, "speed", o->speed);
	add_number(layer, &options, "granularity", o->granularity);
	add_number(layer, &options, "buf_size", o->buf_size);
	add_number(layer, &options, "latency_bound", o->latency_bound);
	for (i = 0; i < NR_WORDS; i++)
		add_word(layer, &options, word_key(i),
			 i != WORD_SYNC || is_sync(o, "full") ? o->words[i] :
								"none");
	layer->options = options;
	layer->target = p->target;
	if (p->allocate)
		err = lvm_allocate(&p->lv, p->target, layer->id, &spare,
				   &layer->target);
	if (err)
		return err;
	err = stack_insert(&p->user, &p->old, layer, job);
	if (!err) {
		err = mark(job, p, o);
		if (!err && !paused)
			err = job_send(job, "resume");
		if (err && stack_restore(job))
			err = EX_ATTENTION;
	}
	if (err && err != EX_ATTENTION && p->allocate)
		lvm_remove(&spare);
	layer->options = NULL;
	return err;
}

int start_planned(struct plan *p, const struct start_options *o, bool paused,
		  struct job *job)
{
	autofree char *label = NULL, *path = NULL;
	struct layer layer = { .replaces = p->replaces };
	int err = stack_new_id(layer.id);

	if (!err)
		err = insert(p, o, paused, &layer, job);
	if (err)
		return err;
	label = job_device(job);
	path = device_path(job->target);
	say("job %s started: %s to %s; %s stays in use", job->id, label, path,
	    label);
	return 0;
}

int start_job(const char *source, const char *target,
	      const struct start_options *o, struct job *job)
{
	autolock struct lock lock = NO_LOCK;
	autoplan struct plan p = { 0 };
	uint32_t version[3];
	dev_t devno;
	int err;

	if (o->replaces && o->words[WORD_SYNC] &&
	    strcmp(o->words[WORD_SYNC], "full"))
		return fail(EX_USAGE,
			    "--replaces needs --sync full: what is not copied would be missing in %s",
			    o->replaces);
	err = preflight_kernel(version);
	if (!err)
		err = preflight_resolve(source, &devno);
	if (!err)
		err = lock_device(&lock, devno);
	if (!err)
		err = plan_make(&p, source, target, o);
	if (!err && o->bitmap)
		err = bitmap_read(o->bitmap, table_length(&p.old) * 512,
				  &p.given);
	if (!err && o->replaces)
		err = replaces_check(o->replaces, &p.user, &p.replaces);
	return err ? err : start_planned(&p, o, false, job);
}
