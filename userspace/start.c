// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "bitmap.h"
#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "preflight.h"
#include "remember.h"
#include "replaces.h"
#include "since.h"
#include "stack.h"
#include "start.h"

void plan_free(struct plan *p)
{
	table_free(&p->old);
	lv_free(&p->lv);
	ranges_free(&p->given);
	ranges_free(&p->differ);
	metadata_plan_free(&p->md);
}

bool start_sync_is(const struct start_options *o, const char *mode)
{
	return !strcmp(o->words[WORD_SYNC] ?: "full", mode);
}

int start_check(const struct command *cmd, const struct start_options *o)
{
	if (start_sync_is(o, "bitmap") == !!o->bitmap)
		return 0;
	return usage_error(cmd, "--sync bitmap and --bitmap FILE belong together");
}

/* What the target device already has must be what is not copied. */
static int check_sync(const struct plan *p, const char *source,
		      const struct start_options *o)
{
	if (p->allocate && !start_sync_is(o, "full"))
		return fail(EX_REFUSED,
			    "--sync %s needs a target device that holds the rest already, and the new extents of %s hold nothing; use --sync full",
			    o->words[WORD_SYNC], source);
	return start_sync_is(o, "top") ? top_check(&p->top, source) : 0;
}

static int check_target(const struct plan *p, const char *source,
			const struct start_options *o)
{
	uint64_t length = table_length(&p->old) * 512;

	if (o->backup || !p->top.origin || p->target != p->top.origin)
		/* It has the image that is brought up to date. */
		return preflight_target(p->target, p->user.devno, length,
					o->force || o->since || p->md.goes_on);
	if (!start_sync_is(o, "top") || p->top.offset)
		return fail(EX_REFUSED,
			    "the snapshot below %s stands on the target: only what a whole snapshot holds can be copied there; use --sync top, or name a target elsewhere",
			    source);
	return preflight_commit(p->target, p->top.devno, &p->user, length);
}

/* Below a layer that tracks there must be what LVM knows. */
static int check_lvm_table(const struct plan *p)
{
	autotable struct table below = { 0 };

	if (!p->tracker.dev.devno)
		return lvm_check_table(&p->lv, &p->old);
	if (stack_source_table(&p->tracker, &below))
		return fail(EX_REFUSED, "cannot read the table below job %s; see: dmsetup table",
			    p->tracker.id);
	return lvm_check_table(&p->lv, &below);
}

int plan_make(struct plan *p, const char *source, const char *target,
	      const struct start_options *o)
{
	bool lvm;
	int err;

	*p = (struct plan) { 0 };
	err = preflight_source(source, &p->user, &p->old,
			       o->backup ? &p->tracker : NULL);
	if (err)
		return err;
	lvm = lvm_owns(&p->user);
	if (lvm)
		err = lvm_lookup(&p->user, &p->lv);
	if (!err && lvm)
		err = check_lvm_table(p);
	if (err || !target)
		return err;
	err = preflight_resolve(target, &p->target);
	if (err)
		return err;
	/* With replaces, LVM keeps its volume: nothing of it moves. */
	p->allocate = lvm && o->migrate && !o->replaces;
	top_find(&p->old, &p->top);
	err = check_sync(p, source, o);
	if (!err && o->metadata)
		err = remember_plan(p, o, false);
	if (err)
		return err;
	err = p->allocate ? lvm_check_pv(&p->lv, p->target) :
			    check_target(p, source, o);
	if (!err && o->spill)
		err = preflight_resolve(o->spill, &p->spill);
	if (!err && p->spill)
		err = preflight_spill(p->spill, p->target, p->user.devno,
				      o->granularity, o->force);
	if (!err && p->md.goes_on)
		err = remember_check(p, o);
	return err ? err : since_check(p, source, o);
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
	return err ? err : start_planned(&p, 1, o, job);
}
