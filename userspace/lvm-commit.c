// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commit of a migration inside a volume group.
 *
 * At every instant, whichever side the metadata on disk names must hold every
 * acknowledged write. So the metadata is written in the commit window, when
 * the kernel keeps both sides equal, with nothing suspended, and with the
 * group's lock held from reading the metadata to the refresh: vgcfgrestore
 * would silently drop what somebody else changed in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "complete.h"
#include "lvm.h"
#include "run.h"
#include "stack.h"

struct commit {
	struct job *job;
	const struct lv *lv, *spare;
	struct table source, target;	/* live tables of the two legs */
	char *before, *after;		/* files */
};

static void commit_free(struct commit *c)
{
	table_free(&c->source);
	table_free(&c->target);
	free(c->before);
	free(c->after);
}

enum named { NAMES_SOURCE, NAMES_TARGET, NAMES_NEITHER };

/* Which leg does this metadata give to the user's volume? */
static enum named who_is_named(struct meta *m, const struct commit *c)
{
	autotable struct table t = { 0 };

	if (!m || meta_table(m, c->lv->name, lvm_pv_device, NULL, &t))
		return NAMES_NEITHER;
	if (table_equal(&t, &c->source))
		return NAMES_SOURCE;
	return table_equal(&t, &c->target) ? NAMES_TARGET : NAMES_NEITHER;
}

static int write_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				0600);
	size_t len = strlen(text);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd))
		return -errno;
	return 0;
}

static int restore(const struct commit *c, const char *file, bool test)
{
	const char *const argv[] = {
		"lvm", "vgcfgrestore", "--nolocking", "--yes", "-f", file,
		c->lv->vg, test ? "--test" : NULL, NULL
	};
	autorun struct run r;

	if (!run(&r, argv))
		return 0;
	return fail(EX_ROLLED_BACK, "vgcfgrestore%s of %s failed: %s",
		    test ? " --test" : "", c->lv->vg, run_reason(&r));
}

/* The two volumes exchange their extents, after which @goal is named. */
static int write_metadata(const struct commit *c, enum named goal)
{
	autometa struct meta *m = lvm_read_meta(c->lv->vg, c->before);
	autofree char *text = NULL;
	int err;

	if (!m)
		return EX_ROLLED_BACK;
	err = meta_swap(m, c->lv->name, c->spare->name);
	if (!err && who_is_named(m, c) != goal)
		err = -EINVAL;
	text = err ? NULL : meta_text(m);
	if (!text)
		return fail(EX_ROLLED_BACK,
			    "the metadata of %s has an unknown form; nothing written",
			    c->lv->vg);
	err = write_file(c->after, text);
	if (err)
		return fail(EX_ROLLED_BACK, "cannot write %s: %s", c->after,
			    strerror(-err));
	err = restore(c, c->after, true);
	return err ? err : restore(c, c->after, false);
}

static int back_to_ready(const struct commit *c, int status)
{
	if (job_send(c->job, "rollback"))
		return EX_ATTENTION;
	return fail(status,
		    "%s/%s stays on its source, and job %s is ready again; 'blkjob complete %s' to retry, 'blkjob cancel %s' to give up",
		    c->lv->vg, c->lv->name, c->job->id, c->job->id, c->job->id);
}

/*
 * Makes the metadata on disk name @goal. What counts is what can be read back
 * in the end, whatever vgcfgrestore has said.
 */
static enum named name_leg(const struct commit *c, enum named goal, int *err)
{
	autometa struct meta *m = lvm_read_meta(c->lv->vg, NULL);
	enum named named = who_is_named(m, c);

	*err = 0;
	if (named == goal || named == NAMES_NEITHER)
		return named;
	*err = write_metadata(c, goal);
	meta_free(&m);
	m = lvm_read_meta(c->lv->vg, NULL);
	return who_is_named(m, c);
}

static int unclear(const struct commit *c)
{
	return fail(EX_ATTENTION,
		    "the metadata of %s does not name the right side of job %s, which keeps both equal; before: %s. Look at: lvs --segments -o +devices %s",
		    c->lv->vg, c->job->id, c->before, c->lv->vg);
}

static int commit_metadata(const struct commit *c)
{
	int err;

	switch (name_leg(c, NAMES_TARGET, &err)) {
	case NAMES_TARGET:
		return 0;
	case NAMES_SOURCE:
		return back_to_ready(c, err ? err : EX_ROLLED_BACK);
	default:
		return unclear(c);
	}
}

static int revert_metadata(const struct commit *c)
{
	int err;

	return name_leg(c, NAMES_SOURCE, &err) == NAMES_SOURCE ? 0 : unclear(c);
}

/* Writes are held: the target is given up, in the metadata first. */
static int check_legs(const struct commit *c)
{
	if (!job_in(c->job, STATE(PENDING)) || !complete_leg_failed(c->job))
		return 0;
	return revert_metadata(c) ? EX_ATTENTION : complete_give_up(c->job);
}

static int refresh(const struct commit *c, uint64_t *us)
{
	autofree char *ref = xasprintf("%s/%s", c->lv->vg, c->lv->name);
	const char *const argv[] = {
		"lvm", "lvchange", "--refresh", "--nolocking", ref, NULL
	};
	autotable struct table live = { 0 };
	autorun struct run r;
	uint64_t start = now_us();

	run(&r, argv);
	*us = now_us() - start;
	if (!dm_get_table(c->job->user.devno, false, &live) &&
	    table_equal(&live, &c->target))
		return 0;
	return fail(EX_ATTENTION,
		    "LVM's metadata now names the target of %s, which is in use through the layer, but the table could not be reloaded (%s). Run: lvchange --refresh %s",
		    ref, run_reason(&r), ref);
}

/* Before anything is asked of the kernel. */
static int check_metadata(const struct commit *c)
{
	autometa struct meta *m = lvm_read_meta(c->lv->vg, NULL);

	if (who_is_named(m, c) != NAMES_NEITHER)
		return 0;
	return fail(EX_ROLLED_BACK,
		    "the metadata of %s/%s has changed since job %s started, which goes on; see: lvs --segments -o +devices %s. 'blkjob cancel %s' gives up",
		    c->lv->vg, c->lv->name, c->job->id, c->lv->vg, c->job->id);
}

static int locked_commit(struct commit *c, uint64_t timeout_us, uint64_t *us)
{
	int err = 0;

	if (job_in(c->job, STATE(READY)))
		err = check_metadata(c);
	if (!err && !job_in(c->job, STATE(CONCLUDED)))
		err = complete_to_pending(c->job, timeout_us);
	if (!err)
		err = check_legs(c);
	if (!err)
		err = commit_metadata(c);
	if (!err)
		err = check_legs(c);
	if (!err && job_in(c->job, STATE(PENDING)))
		err = complete_finalize(c->job) ? EX_ATTENTION : 0;
	return err ? err : refresh(c, us);
}

/* What commit and revert have in common: the legs' tables, files, the lock. */
static int commit_begin(struct commit *c, struct lock *lock)
{
	const char *vg = c->lv->vg, *id = c->job->id;

	c->before = xasprintf("/run/blkjob-%s-%s.before", vg, id);
	c->after = xasprintf("/run/blkjob-%s-%s.after", vg, id);
	if (dm_get_table(c->job->source, false, &c->source) ||
	    dm_get_table(c->job->target, false, &c->target))
		return fail(EX_ROLLED_BACK, "cannot read the tables of job %s: %s",
			    id, dm_error());
	return lvm_lock(lock, vg);
}

static int commit_end(const struct commit *c, int err)
{
	if (err != EX_ATTENTION)
		unlink(c->before);
	unlink(c->after);
	return err;
}

#define autocommit __attribute__((cleanup(commit_free)))

int lvm_commit(struct job *job, const struct lv *lv, const struct lv *spare,
	       uint64_t timeout_us, uint64_t *us)
{
	autocommit struct commit c = { .job = job, .lv = lv, .spare = spare };
	autolock struct lock lock = NO_LOCK;
	int err = commit_begin(&c, &lock);

	if (!err)
		err = locked_commit(&c, timeout_us, us);
	return commit_end(&c, err);
}

int lvm_revert(struct job *job, const struct lv *lv, const struct lv *spare)
{
	autocommit struct commit c = { .job = job, .lv = lv, .spare = spare };
	autolock struct lock lock = NO_LOCK;
	int err = commit_begin(&c, &lock);

	if (!err)
		err = revert_metadata(&c);
	return commit_end(&c, err);
}
