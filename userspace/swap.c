// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#include "blkjob.h"
#include "cleanup.h"
#include "guard.h"
#include "job.h"
#include "kmsg.h"
#include "swap.h"

#define TOUCH_STACK	65536
#define TOUCH_HEAP	(4 << 20)

/*
 * The device whose table we swap can hold our own pages. If the swap leaves it
 * suspended, the next RESUME must not need a page from it. (Signals are
 * blocked anyway, except while waiting.)
 */
void swap_memory_lock(void)
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

static bool is_live(const struct swap *s, const struct table *t)
{
	autotable struct table live = { 0 };

	return !dm_get_table(s->dev->devno, false, &live) &&
	       table_equal(&live, t);
}

/*
 * After a failure: nothing loaded, not suspended, and the old table. 0 or a
 * negative errno.
 */
static int undo(const struct swap *s, struct dm_cookie *c)
{
	struct dm_dev now;
	bool resume;
	int err = dm_find(s->dev->devno, &now);

	if (err)
		return err;
	resume = now.suspended;
	if (now.inactive)
		err = dm_clear(s->dev->devno);
	if (!err && is_live(s, s->new) && !table_equal(s->new, s->old)) {
		err = dm_load(s->dev->devno, s->old, s->dev->read_only);
		resume = true;
	}
	/* Whatever came before: nothing stays suspended that need not. */
	if (resume && dm_resume(s->dev, c, 0))
		return -EIO;
	return err;
}

static bool loaded_ours(const struct swap *s)
{
	autotable struct table inactive = { 0 };

	/* There is one inactive slot, and the last writer wins. */
	return !dm_get_table(s->dev->devno, true, &inactive) &&
	       table_equal(&inactive, s->new) && is_live(s, s->old);
}

static bool is_done(const struct swap *s)
{
	struct dm_dev now;

	return !dm_find(s->dev->devno, &now) && !now.suspended &&
	       is_live(s, s->new);
}

static int load(struct swap *s)
{
	s->touched = true;
	s->err = dm_load(s->dev->devno, s->new, s->dev->read_only);
	if (!s->err && !loaded_ours(s))
		s->err = -EBUSY;
	return s->err;
}

struct section {
	struct swap *s;
	size_t n;
	const struct swap_how *how;
	struct dm_cookie cookie;
	struct guard guard;
	uint64_t us;
};

/* All at rest, so that one instant is in the images of all. */
static struct swap *stop_all(struct section *sec)
{
	struct swap *s;

	for (s = sec->s; s < sec->s + sec->n; s++) {
		s->stopped = true;
		s->err = dm_suspend(s->dev, sec->how->freeze);
		if (s->err)
			return s;
	}
	if (guard_pass(&sec->guard))
		return NULL;
	sec->s->err = -ETIMEDOUT;
	return sec->s;
}

static struct swap *switch_all(struct section *sec)
{
	unsigned int flags = sec->how->freeze ? DM_RESUME_FREEZE : 0;
	struct swap *s;

	for (s = sec->s; s < sec->s + sec->n; s++) {
		s->stopped = true;
		s->err = dm_resume(s->dev, &sec->cookie, flags);
		if (s->err)
			return s;
	}
	return NULL;
}

/*
 * The critical section: no output, no files, no other programs. Returns the
 * first that failed.
 */
static struct swap *swap_tables(struct section *sec)
{
	struct swap *s, *failed = NULL;
	uint64_t start;

	for (s = sec->s; s < sec->s + sec->n; s++)
		if (load(s))
			return s;
	for (s = sec->s; s < sec->s + sec->n; s++) {
		s->status = s->commit ? s->commit(s->arg) : 0;
		if (s->status)
			return s;
	}
	start = now_us();
	if (sec->how->together && sec->n > 1)
		failed = stop_all(sec);
	if (!failed)
		failed = switch_all(sec);
	sec->us = now_us() - start;
	for (s = sec->s; !failed && s < sec->s + sec->n; s++) {
		if (!is_done(s)) {
			s->err = -EIO;
			failed = s;
		}
	}
	return failed;
}

/* True if all are as they were. */
static bool undo_all(struct section *sec)
{
	struct swap *s;
	bool all = true;

	for (s = sec->s; s < sec->s + sec->n; s++) {
		s->stopped = s->touched && undo(s, &sec->cookie);
		all &= !s->stopped;
	}
	return all;
}

static int not_taken(const struct swap *s, bool freezing, int log)
{
	autofree char *label = dm_dev_label(s->dev), *why = kmsg_reason(log);

	if (s->status)
		return s->status;
	if (s->err == -ETIMEDOUT)
		return fail(EX_ROLLED_BACK,
			    "the file systems did not freeze in time, so nothing was started: does one of them need another device of the group to be written (an external journal, a loop device)? Name that device last, or use --no-freeze");
	if (freezing)
		return fail(EX_ROLLED_BACK,
			    "%s could not be frozen (%s), so nothing was started; is its file system frozen already (fsfreeze -u thaws it)? Or use --no-freeze",
			    label, why ? why : strerror(-s->err));
	return fail(EX_ROLLED_BACK,
		    "the new table of %s was not taken: %s; the old one is in place. Is another tool changing it?",
		    label, why ? why : strerror(-s->err));
}

static int stuck(const struct section *sec, int err)
{
	const struct swap *s;

	for (s = sec->s; s < sec->s + sec->n; s++) {
		autofree char *label = dm_dev_label(s->dev);

		if (s->stopped)
			fail(EX_ATTENTION,
			     "%s may be SUSPENDED or have a wrong table loaded (%s); run now: dmsetup clear %s; dmsetup resume %s",
			     label, strerror(-err), s->dev->name, s->dev->name);
	}
	return EX_ATTENTION;
}

static int prepare(struct section *sec)
{
	autofree char *label = dm_dev_label(sec->s->dev);

	if (dm_cookie(&sec->cookie))
		return fail(EX_ROLLED_BACK,
			    "cannot create a udev cookie: no semaphores left (ipcs -s); %s is unchanged. Free some with: dmsetup udevcomplete_all",
			    label);
	if (!sec->how->together || sec->n == 1 ||
	    !guard_start(&sec->guard, sec->s, sec->n,
			 sec->how->freeze_timeout_us))
		return 0;
	dm_cookie_wait(&sec->cookie);
	return fail(EX_ROLLED_BACK,
		    "cannot start a second process: %s; %s is unchanged. See: ulimit -u",
		    strerror(errno), label);
}

int swap_all(struct swap *s, size_t n, const struct swap_how *how, uint64_t *us)
{
	struct section sec = { .s = s, .n = n, .how = how,
			       .guard = GUARD_NONE };
	autoclose int log = kmsg_open();
	struct swap *failed;
	bool freezing, undone = true;
	int err = prepare(&sec);

	if (err)
		return err;
	swap_memory_lock();
	failed = swap_tables(&sec);
	/* Before anybody else resumes what we undo. */
	freezing = failed && how->freeze && failed->stopped;
	if (failed)
		undone = undo_all(&sec);
	guard_stop(&sec.guard);
	munlockall();
	dm_cookie_wait(&sec.cookie);
	*us = sec.us;
	if (!failed)
		return 0;
	return undone ? not_taken(failed, freezing, log) :
			stuck(&sec, failed->err);
}
