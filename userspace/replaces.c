// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "complete.h"
#include "device.h"
#include "lock.h"
#include "lvm.h"
#include "preflight.h"
#include "replaces.h"
#include "stack.h"

/* How long udev may have the source open, after something has happened to it. */
#define OPEN_TIMEOUT_US 2000000

/*-------------------------- Tables, as text --------------------------*/

/* The next word of a table line; its length, 0 at the end. */
static size_t next_word(const char **at)
{
	*at += strspn(*at, " ");
	return strcspn(*at, " ");
}

static bool word_is(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(at, word, len);
}

static void devno_word(char *word, size_t size, dev_t devno)
{
	snprintf(word, size, "%u:%u", major(devno), minor(devno));
}

static size_t count_words(const char *params, const char *word)
{
	size_t n = 0, len;

	for (; (len = next_word(&params)); params += len)
		n += word_is(params, len, word);
	return n;
}

/*
 * Spaces stay, so that the kernel's words can be compared with ours. To be
 * wiped and freed: it can hold the key of a crypt table.
 */
static char *replace_words(const char *params, const char *word,
			   const char *with)
{
	size_t n = count_words(params, word), len;
	char *text = xcalloc(1, strlen(params) + n * strlen(with) + 1);
	const char *done = params;
	char *end = text;

	for (; (len = next_word(&params)); params += len) {
		if (!word_is(params, len, word))
			continue;
		end = mempcpy(end, done, params - done);
		end = mempcpy(end, with, strlen(with));
		done = params + len;
	}
	strcpy(end, done);
	return text;
}

/*
 * A mirror whose log is in memory would copy everything again after a reload.
 * Its legs are equal (see check_mirror()), so it is told that they are.
 */
static char *in_sync(const char *params)
{
	unsigned long long region;
	int args, end = 0;

	if (sscanf(params, " core %d %llu%n", &args, &region, &end) != 2)
		return NULL;
	params += end;
	if (args == 2) {
		params += strspn(params, " ");
		params += strcspn(params, " ");
	}
	return xasprintf("core 2 %llu nosync%s", region, params);
}

static bool table_names(const struct table *t, dev_t devno)
{
	char word[32];
	size_t i;

	devno_word(word, sizeof(word), devno);
	for (i = 0; i < t->n; i++)
		if (count_words(t->seg[i].params, word))
			return true;
	return false;
}

void replaces_table(const struct table *from, dev_t leg, dev_t target,
		    struct table *to)
{
	char old[32], new[32];
	size_t i;

	devno_word(old, sizeof(old), leg);
	devno_word(new, sizeof(new), target);
	for (i = 0; i < from->n; i++) {
		const struct segment *seg = &from->seg[i];
		char *params = replace_words(seg->params, old, new);
		autofree char *synced = strcmp(seg->type, "mirror") ? NULL :
					in_sync(params);

		table_add(to, seg->start, seg->len, seg->type,
			  synced ? synced : params);
		explicit_bzero(params, strlen(params));
		free(params);
	}
}

/*----------------------------- The parent -----------------------------*/

struct parent {
	struct dm_dev dev;
	struct table live;
};

static void parent_free(struct parent *p)
{
	table_free(&p->live);
}

#define autoparent __attribute__((cleanup(parent_free)))

/*
 * "2 253:1 253:2 16/16 1 AA 3 disk 253:0 A": a leg that is not in sync or not
 * alive must not become one that counts as equal.
 */
static int check_mirror(const char *label, const struct segment *seg,
			const char *status)
{
	unsigned long long done, all;
	const char *at = status;
	char alive[64];
	int legs, n;
	size_t len;

	if (strncmp(seg->params, "core ", 5) && strncmp(seg->params, "disk ", 5))
		return fail(EX_REFUSED,
			    "%s is a mirror with a log that is neither core nor disk; give it one of those first",
			    label);
	n = sscanf(at, "%d", &legs) == 1 ? legs + 1 : 0;
	for (; n > 0 && (len = next_word(&at)); n--)
		at += len;
	if (sscanf(at, "%llu/%llu %*d %63s", &done, &all, alive) == 3 &&
	    done == all && strspn(alive, "A") == strlen(alive))
		return 0;
	return fail(EX_REFUSED,
		    "the legs of mirror %s are not in sync (%s); wait, or repair it, and try again. See: dmsetup status",
		    label, status);
}

/* A reload makes a new table of every segment: only where that loses nothing. */
static int check_types(const char *label, const struct parent *p)
{
	static const char * const types[] = {
		"linear", "striped", "crypt", "mirror", "multipath"
	};
	autotable struct table status = { 0 };
	size_t i, j;
	int err = 0;

	if (dm_get_status(p->dev.devno, &status) || status.n != p->live.n)
		return fail(EX_REFUSED, "cannot read the status of %s: %s",
			    label, dm_error());
	for (i = 0; i < p->live.n && !err; i++) {
		const struct segment *seg = &p->live.seg[i];

		for (j = 0; j < ARRAY_SIZE(types); j++)
			if (!strcmp(seg->type, types[j]))
				break;
		if (j == ARRAY_SIZE(types))
			return fail(EX_REFUSED,
				    "%s has a table of type \"%s\"; only in linear, striped, crypt, mirror and multipath ones a device can be replaced. Use migrate without --replaces, which moves the source itself",
				    label, seg->type);
		if (!strcmp(seg->type, "mirror"))
			err = check_mirror(label, seg, status.seg[i].params);
	}
	return err;
}

/* After the switch, others would go on with the source and be alone there. */
static int check_users(const struct parent *p, const char *label,
		       const struct dm_dev *leg)
{
	autofree dev_t *holders = NULL;
	autofree char *source = dm_dev_label(leg), *other = NULL;
	uint64_t end = now_us() + OPEN_TIMEOUT_US;
	size_t n = device_related(leg->devno, "holders", &holders), i;

	for (i = 0; i < n; i++) {
		if (holders[i] == p->dev.devno)
			continue;
		other = device_path(holders[i]);
		return fail(EX_REFUSED,
			    "%s is used by %s as well as by %s, and would stay on the old data; take that away first",
			    source, other, label);
	}
	/* The parent's table has it open once; udev may have a look. */
	while (dm_open_count(leg->devno) != 1) {
		if (now_us() > end)
			return fail(EX_REFUSED,
				    "%s is open in another program than %s, and that would stay on the old data; see: lsof, fuser",
				    source, label);
		usleep(20000);
	}
	return 0;
}

/* The parent as it is now; whoever may have changed it meanwhile. */
static int parent_read(struct parent *p, dev_t devno)
{
	autofree char *path = device_path(devno), *label = NULL;
	int err;

	if (!device_is_dm(devno))
		return fail(EX_REFUSED,
			    "%s is not a device-mapper device, so it has no table in which a device could be replaced; name the one that uses the source",
			    path);
	err = preflight_idle(path, devno, &p->dev, &p->live);
	if (err)
		return err;
	label = dm_dev_label(&p->dev);
	if (lvm_owns(&p->dev))
		return fail(EX_REFUSED,
			    "%s is a logical volume: LVM's metadata would still name the old device; use pvmove, or lvconvert --replace",
			    label);
	return check_types(label, p);
}

static int parent_check(struct parent *p, const struct dm_dev *leg)
{
	autofree char *label = dm_dev_label(&p->dev);
	autofree char *source = dm_dev_label(leg);

	if (!table_names(&p->live, leg->devno))
		return fail(EX_REFUSED,
			    "the table of %s does not name %s, so nothing could be replaced there; see: dmsetup table %s",
			    label, source, p->dev.name);
	return check_users(p, label, leg);
}

int replaces_check(const char *ref, const struct dm_dev *leg, dev_t *devno)
{
	autoparent struct parent p = { 0 };
	int err = preflight_resolve(ref, devno);

	if (!err)
		err = parent_read(&p, *devno);
	return err ? err : parent_check(&p, leg);
}

/*------------------------------ The end ------------------------------*/

/* The parent's new table is loaded; now the target device is to count. */
static int finalize(void *arg)
{
	struct job *job = arg;

	if (!job_in(job, STATE(PENDING)))
		return 0;
	return complete_leg_failed(job) ? complete_give_up(job) :
					  complete_finalize(job);
}

static int switch_failed(const struct parent *p, struct job *job, int err)
{
	autofree char *label = dm_dev_label(&p->dev), *dev = job_device(job);

	if (err == EX_TARGET || err == EX_ATTENTION)
		return err;
	if (job_in(job, STATE(CONCLUDED)))
		return fail(EX_ATTENTION,
			    "job %s has completed, and its layer leads %s to the target device; to give it a table without the layer: blkjob complete %s",
			    job->id, label, job->id);
	if (job_send(job, "rollback"))
		return EX_ATTENTION;
	return fail(err,
		    "%s stays on %s, and job %s is ready again; 'blkjob complete %s' to retry, 'blkjob cancel %s' to give up",
		    label, dev, job->id, job->id, job->id);
}

static int switch_parent(const struct parent *p, struct job *job)
{
	autofree char *label = dm_dev_label(&p->dev), *dev = job_device(job);
	autofree char *target = device_path(job->target);
	autotable struct table new = { 0 };
	struct swap s = { .dev = &p->dev, .old = &p->live, .new = &new,
			  .commit = finalize, .arg = job };
	const struct swap_how how = { .freeze = false };
	uint64_t us;
	int err;

	replaces_table(&p->live, job->user.devno, job->target, &new);
	err = swap_all(&s, 1, &how, &us);
	if (err)
		return switch_failed(p, job, err);
	if (job->st.pause_us != UNKNOWN)
		say("switched: no write was held longer than %.1f ms, table reloaded in %.1f ms",
		    job->st.pause_us / 1e3, us / 1e3);
	say("%s is now on %s in place of %s, which gets its old table back",
	    label, target, dev);
	return stack_restore(job);
}

/*
 * A command that was killed has left the job concluded: the target device has
 * the last data. If the parent is gone since, they must not go with the layer.
 */
static int finish(const struct parent *p, struct job *job)
{
	autofree char *dev = job_device(job), *target = device_path(job->target);
	uint64_t us;
	int err;

	if (table_names(&p->live, job->user.devno))
		return switch_parent(p, job);
	if (table_names(&p->live, job->target))
		return stack_restore(job);
	err = stack_pivot(job, &us);
	if (!err)
		say("nothing uses %s any more; it is now on %s itself", dev,
		    target);
	return err;
}

int replaces_complete(struct job *job, uint64_t timeout_us)
{
	bool concluded = job_in(job, STATE(CONCLUDED));
	autolock struct lock lock = NO_LOCK;
	autoparent struct parent p = { 0 };
	int err = lock_device(&lock, job->replaces);

	if (!err && !(concluded && dm_find(job->replaces, &p.dev)))
		err = parent_read(&p, job->replaces);
	if (!err && concluded)
		return finish(&p, job);
	if (!err)
		err = parent_check(&p, &job->user);
	if (!err)
		err = complete_to_pending(job, timeout_us);
	return err ? err : switch_parent(&p, job);
}
