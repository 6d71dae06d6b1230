// SPDX-License-Identifier: GPL-2.0-or-later
/* Putting a layer under a live device, and taking it away again. */
#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "kmsg.h"
#include "stack.h"

#define GONE_TIMEOUT_US 10000000
#define TOUCH_STACK	65536
#define TOUCH_HEAP	(4 << 20)

/*
 * The device whose table we swap can hold our own pages. If the swap leaves it
 * suspended, the next RESUME must not need a page from it. (Signals are
 * blocked anyway, except while waiting.)
 */
static void memory_lock(void)
{
	volatile char stack[TOUCH_STACK];
	char *heap;
	size_t i;

	mallopt(M_TRIM_THRESHOLD, 2 * TOUCH_HEAP);
	mallopt(M_MMAP_THRESHOLD, 2 * TOUCH_HEAP);
	heap = malloc(TOUCH_HEAP);
	if (heap)
		memset(heap, 1, TOUCH_HEAP);
	free(heap);
	for (i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 1;
	mlockall(MCL_CURRENT);
}

/* After a failed swap: nothing loaded, not suspended. 0 or a negative errno. */
static int swap_undo(const struct dm_dev *dev, struct dm_cookie *c)
{
	struct dm_dev now;
	int err = dm_find(dev->devno, &now);

	if (!err && now.inactive)
		err = dm_clear(dev->devno);
	if (!err && now.suspended)
		err = dm_resume(dev, c, false);
	return err;
}

enum swap_result { SWAPPED, SWAP_UNDONE, SWAP_STUCK };

struct swap {
	const struct dm_dev *dev;
	const struct table *old, *new;
	/* With the new table loaded: the last moment to say no. */
	int (*commit)(void *arg);
	void *arg;
	int status;	/* what commit has told the user */
	int err;
	uint64_t us;	/* of the one ioctl that matters */
};

static bool swap_loaded_ours(const struct swap *s)
{
	autotable struct table inactive = { 0 }, live = { 0 };

	/* There is one inactive slot, and the last writer wins. */
	return !dm_get_table(s->dev->devno, true, &inactive) &&
	       table_equal(&inactive, s->new) &&
	       !dm_get_table(s->dev->devno, false, &live) &&
	       table_equal(&live, s->old);
}

static bool swap_done(const struct swap *s)
{
	autotable struct table live = { 0 };
	struct dm_dev now;

	return !dm_find(s->dev->devno, &now) && !now.suspended &&
	       !dm_get_table(s->dev->devno, false, &live) &&
	       table_equal(&live, s->new);
}

/* The critical section: no output, no files, no other programs. */
static enum swap_result swap_tables(struct swap *s, struct dm_cookie *c)
{
	uint64_t start;

	s->err = dm_load(s->dev->devno, s->new, s->dev->read_only);
	if (!s->err && !swap_loaded_ours(s))
		s->err = -EBUSY;
	if (!s->err && s->commit)
		s->status = s->commit(s->arg);
	if (!s->err && !s->status) {
		start = now_us();
		s->err = dm_resume(s->dev, c, false);
		s->us = now_us() - start;
		if (!s->err && swap_done(s))
			return SWAPPED;
		if (!s->err)
			s->err = -EIO;
	}
	return swap_undo(s->dev, c) ? SWAP_STUCK : SWAP_UNDONE;
}

static int swap(struct swap *s)
{
	autofree char *label = dm_dev_label(s->dev), *why = NULL;
	autoclose int log = kmsg_open();
	enum swap_result result;
	struct dm_cookie c;
	int err;

	err = dm_cookie(&c);
	if (err)
		return fail(EX_ROLLED_BACK,
			    "cannot create a udev cookie: no semaphores left (ipcs -s); %s is unchanged. Free some with: dmsetup udevcomplete_all",
			    label);
	memory_lock();
	result = swap_tables(s, &c);
	munlockall();
	dm_cookie_wait(&c);
	if (result == SWAPPED)
		return 0;
	if (result == SWAP_STUCK)
		return fail(EX_ATTENTION,
			    "%s may be SUSPENDED or have a wrong table loaded (%s); run now: dmsetup clear %s; dmsetup resume %s",
			    label, strerror(-s->err), s->dev->name, s->dev->name);
	if (s->status)
		return s->status;
	why = kmsg_reason(log);
	return fail(EX_ROLLED_BACK,
		    "the new table of %s was not taken: %s; the old one is in place. Is another tool changing it?",
		    label, why ? why : strerror(-s->err));
}

int stack_swap(const struct dm_dev *dev, const struct table *old,
	       const struct table *new, int (*commit)(void *arg), void *arg,
	       uint64_t *us)
{
	struct swap s = { .dev = dev, .old = old, .new = new,
			  .commit = commit, .arg = arg };
	int err = swap(&s);

	*us = s.us;
	return err;
}

int stack_new_id(char id[JOB_ID_LEN + 1])
{
	FILE *f = fopen("/proc/sys/kernel/random/uuid", "re");
	char *ok = f ? fgets(id, JOB_ID_LEN + 1, f) : NULL;

	if (f)
		fclose(f);
	return ok && strlen(id) == JOB_ID_LEN ? 0 :
		fail(EX_REFUSED, "cannot read /proc/sys/kernel/random/uuid; is /proc mounted?");
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
		err = dm_resume(&dev, &c, true);
		dm_cookie_wait(&c);
	}
	if (err) {
		dm_remove(*devno);
		*devno = 0;
	}
	return err;
}

/* Of a job that replaces: the only place where it is recorded, see job.c. */
static char *private_uuid(const struct dm_dev *user, const char *id, bool src,
			  dev_t replaces)
{
	autofree char *parent = replaces ? xasprintf("%u:%u-", major(replaces),
						     minor(replaces)) :
					   xstrdup("");

	/*
	 * LVM takes a device with a longer uuid than its volume's for a layer
	 * inside that volume: it neither scans nor reports it.
	 */
	if (!strncmp(user->uuid, "LVM-", 4))
		return xasprintf("%s-%sblkjob%s", user->uuid, parent,
				 src ? "src" : "");
	return xasprintf("BLKJOB-%s-%s%s", id, parent, src ? "src" : "job");
}

static int create_src(const struct dm_dev *user, const struct table *old,
		      const char *id, dev_t *src)
{
	autofree char *name = xasprintf(JOB_PREFIX "%s.src", id);
	autofree char *uuid = private_uuid(user, id, true, 0);
	autofree char *label = dm_dev_label(user);
	int err = private_device(name, uuid, old, user->read_only, src);

	if (err)
		return fail(EX_REFUSED,
			    "cannot copy the table of %s to a private device: %s; does \"blkjob list\" show a job on it already?",
			    label, strerror(-err));
	return 0;
}

static int create_job(const struct dm_dev *user, const struct layer *l,
		      dev_t src, uint64_t sectors, dev_t *job)
{
	autofree char *name = xasprintf(JOB_PREFIX "%s", l->id);
	autofree char *uuid = private_uuid(user, l->id, false, l->replaces);
	autofree char *params = NULL, *why = NULL;
	autotable struct table t = { 0 };
	autoclose int log = kmsg_open();
	int err;

	/* Paused: what is written before the layer is in place goes unseen. */
	params = xasprintf("mirror %u:%u 0 %u:%u %llu %u paused on%s%s",
			   major(src), minor(src), major(l->target),
			   minor(l->target),
			   (unsigned long long)l->target_offset,
			   l->nr_words + 2, l->nr_words ? " " : "",
			   l->nr_words ? l->options : "");
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

int stack_insert(const struct dm_dev *user, const struct table *old,
		 const struct layer *layer, struct job *job)
{
	autotable struct table shim = { 0 };
	struct swap s = { .dev = user, .old = old, .new = &shim };
	dev_t src = 0, dev = 0;
	int err;

	*job = (struct job) { 0 };
	err = create_src(user, old, layer->id, &src);
	if (!err)
		err = create_job(user, layer, src, table_length(old), &dev);
	if (!err) {
		shim_table(old, dev, &shim);
		err = swap(&s);
	}
	if (err) {
		if (dev && err != EX_ATTENTION)
			dm_remove(dev);
		if (src && err != EX_ATTENTION)
			dm_remove(src);
		return err;
	}
	/* Whoever takes the user device's table away removes the layer too. */
	dm_remove_deferred(dev);
	dm_remove_deferred(src);
	err = find_new_job(layer->id, job);
	if (err && job->dev.devno && stack_restore(job))
		return EX_ATTENTION;
	return err;
}

int stack_old_table(const struct job *job, struct table *t)
{
	autofree char *params = NULL;

	if (!job->by_hand)
		return dm_get_table(job->source, false, t);
	params = xasprintf("%u:%u %llu", major(job->source),
			   minor(job->source),
			   (unsigned long long)job->source_offset);
	table_add(t, 0, job->length, "linear", params);
	return 0;
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
	int err = 0;

	if (job->user.devno) {
		if (dm_get_table(job->user.devno, false, &live))
			return fail(EX_ATTENTION,
				    "cannot read the table of %s: %s; see: dmsetup table",
				    job->user.name, dm_error());
		err = swap(&s);
	}
	if (err)
		return err;
	if (us)
		*us = s.us;
	if (!job->by_hand) {
		dm_remove_deferred(job->dev.devno);
		dm_remove_deferred(job->source);
	}
	if (!stack_wait_gone(job))
		warning("done, but %s is still held by something; remove with: dmsetup remove %s %s.src",
			job->dev.name, job->dev.name, job->dev.name);
	return 0;
}

int stack_restore(const struct job *job)
{
	autotable struct table old = { 0 };

	if (stack_old_table(job, &old))
		return fail(EX_ATTENTION,
			    "cannot read the old table of %s from the layer; it goes on working. See: dmsetup table",
			    job->user.name);
	return leave(job, &old, NULL);
}

int stack_pivot(const struct job *job, uint64_t *us)
{
	autofree char *params = xasprintf("%u:%u %llu", major(job->target),
					  minor(job->target),
					  (unsigned long long)job->target_offset);
	autotable struct table new = { 0 };

	table_add(&new, 0, job->length, "linear", params);
	return leave(job, &new, us);
}
