// SPDX-License-Identifier: GPL-2.0
/*
 * Groups: jobs that switch at one instant, or not at all. QEMU's grouped
 * completion mode; a job without the option is a group of its own.
 *
 * What a group has in common is the end. Each member gets in step by itself;
 * finalize needs all of them in pending, and rollback takes all of them back,
 * as does a member that ends otherwise or is removed meanwhile. As long as a
 * member that has ended is still there the others cannot switch; without it
 * they can.
 */
#include "dm-blkjob.h"

/*
 * Taken before any job->lock. Only its owner takes more than one of those, so
 * their order does not matter.
 */
static DEFINE_SPINLOCK(groups_lock);
static LIST_HEAD(named_jobs);

/* for (member = job; member; member = next_member(member, job)) */
static struct blkjob *next_member(struct blkjob *member, struct blkjob *first)
{
	struct blkjob *next = list_next_entry(member, ring);

	return next == first ? NULL : next;
}

static void lock_members(struct blkjob *job)
{
	struct blkjob *member;

	lockdep_assert_held(&groups_lock);
	for (member = job; member; member = next_member(member, job)) {
		spin_lock_nest_lock(&member->lock, &groups_lock);
		__release(&member->lock);	/* sparse counts no loops */
	}
}

static void unlock_members(struct blkjob *job)
{
	struct blkjob *member;

	for (member = job; member; member = next_member(member, job)) {
		__acquire(&member->lock);
		spin_unlock(&member->lock);
	}
}

void bj_group_lock(struct blkjob *job)
	__acquires(&groups_lock)
{
	spin_lock_irq(&groups_lock);
	lock_members(job);
}

void bj_group_unlock(struct blkjob *job)
	__releases(&groups_lock)
{
	unlock_members(job);
	spin_unlock_irq(&groups_lock);
}

/*-------------------------- Membership ---------------------------*/

static struct blkjob *find_member(const char *name)
{
	struct blkjob *job;

	lockdep_assert_held(&groups_lock);
	list_for_each_entry(job, &named_jobs, named)
		if (!strcmp(job->group, name))
			return job;
	return NULL;
}

/* Who comes now cannot be part of a switch that has begun. */
static int may_join(struct blkjob *member, char *error)
{
	struct blkjob *other;
	unsigned int nr = 0;

	for (other = member; other; other = next_member(other, member)) {
		enum blkjob_state state = READ_ONCE(other->state);

		nr++;
		if (state >= BLKJOB_WAITING) {
			snprintf(error, BJ_ERROR_LEN,
				 "group %s takes no more jobs, %s of it is %s",
				 other->group, bj_name(other),
				 bj_state_name(state));
			return -EBUSY;
		}
	}
	if (nr < BLKJOB_GROUP_MEMBERS)
		return 0;
	snprintf(error, BJ_ERROR_LEN, "group %s has %u jobs, no more are possible",
		 member->group, nr);
	return -EBUSY;
}

/* 0, or -EBUSY and a sentence in @error (BJ_ERROR_LEN). */
int bj_group_join(struct blkjob *job, char *error)
{
	struct blkjob *member;
	int r = 0;

	if (!*job->group || !job->type->ends_in_group)
		return 0;
	spin_lock_irq(&groups_lock);
	member = find_member(job->group);
	if (member)
		r = may_join(member, error);
	if (!r) {
		if (member)
			list_add_tail(&job->ring, &member->ring);
		list_add_tail(&job->named, &named_jobs);
	}
	spin_unlock_irq(&groups_lock);
	return r;
}

/*------------------------ The way back ---------------------------*/

/*
 * Whoever is at the switch goes back to ready; past the instant of a soft
 * cancel there is no way back, only an end without an image. True if anybody.
 */
static bool roll_back(struct blkjob *job, const struct blkjob *except)
{
	struct blkjob *member;
	bool any = false;

	for (member = job; member; member = next_member(member, job)) {
		if (member == except)
			continue;
		member->wait_on_resume = false;
		if (member->state != BLKJOB_WAITING &&
		    member->state != BLKJOB_PENDING)
			continue;
		any = true;
		if (member->past_instant) {
			__bj_abort(member, NULL);
		} else {
			member->io_failed = false;
			__bj_state_set(member, BLKJOB_READY);
		}
	}
	return any;
}

void __bj_group_rollback(struct blkjob *job)
{
	roll_back(job, NULL);
}

/* A removed member has not switched: nor do the others, this time. */
void bj_group_leave(struct blkjob *job)
{
	spin_lock_irq(&groups_lock);
	lock_members(job);
	roll_back(job, job);
	unlock_members(job);
	list_del_init(&job->ring);
	list_del_init(&job->named);
	spin_unlock_irq(&groups_lock);
}

void bj_group_follow(struct blkjob *job)
{
	enum blkjob_state state;
	bool any = false;

	if (!*job->group)
		return;
	bj_group_lock(job);
	state = job->state;
	if (state >= BLKJOB_ABORTING)
		any = roll_back(job, job);
	bj_group_unlock(job);
	if (any)
		DMWARN("%s: group %s does not switch, this job of it is %s",
		       bj_name(job), job->group, bj_state_name(state));
}

/*--------------------------- The switch --------------------------*/

static int refused(struct blkjob *job, struct blkjob *member, const char *what,
		   char *why)
{
	snprintf(why, BJ_ERROR_LEN, "%s%s %s",
		 member == job ? "it" : bj_name(member),
		 member == job ? "" : " of its group", what);
	return -EPERM;
}

int __bj_group_complete(struct blkjob *job, char *why)
{
	struct blkjob *member;

	for (member = job; member; member = next_member(member, job))
		if (member->state >= BLKJOB_ABORTING)
			return refused(job, member, "has ended, remove that first",
				       why);
	return 0;
}

/*
 * A held write is on one leg only. A single job may still be told which one
 * counts, and the target device gets it once more; for a group that would be
 * one more thing that can fail after the instant. No image can be without it.
 */
static int may_finalize(struct blkjob *job, enum bj_side active, char *why)
{
	bool single = list_empty(&job->ring);
	struct blkjob *member;
	char what[32];

	for (member = job; member; member = next_member(member, job)) {
		if (member->state != BLKJOB_PENDING) {
			snprintf(what, sizeof(what), "is %s",
				 bj_state_name(member->state));
			return refused(job, member, what, why);
		}
		if (member->type->held(member) &&
		    (!single || active == BJ_SOURCE))
			return refused(job, member,
				       "holds a write that failed on one leg",
				       why);
	}
	return 0;
}

/*
 * The instant, for the whole group. The leg that is let go keeps exactly what
 * was written before it, on all members: a write that depends on another is
 * sent after that one was acknowledged. Was the first one sent to a single leg,
 * then after the second loop had begun, when no member sends writes to both
 * any more. (In pending, what is acknowledged is on both. Writes in flight may
 * or may not get to the leg that is let go, so nothing that depends on them is
 * there.)
 */
int __bj_group_finalize(struct blkjob *job, enum bj_side active, char *why)
{
	int r = may_finalize(job, active, why);
	struct blkjob *member;

	if (r)
		return r;
	for (member = job; member; member = next_member(member, job))
		member->type->hold(member);
	for (member = job; member; member = next_member(member, job)) {
		if (active == BJ_TARGET) {
			__bj_conclude(member, "completed", BJ_TARGET);
			continue;
		}
		member->soft_cancel = true;
		member->past_instant = true;
		__bj_state_set(member, BLKJOB_WAITING);
	}
	return 0;
}

/*
 * They change places. What is known of the target device is not of the other
 * one; errors are counted for each device.
 */
static void reverse(struct blkjob *job)
{
	bj_legs_turn(job);
	swap(job->opt.identity, job->opt.target_identity);
	WRITE_ONCE(job->target_is_zero, false);
	WRITE_ONCE(job->pipe.no_zeroes, false);
	swap(job->stats.errors[BJ_SOURCE], job->stats.errors[BJ_TARGET]);
	job->io_failed = false;
	__bj_state_set(job, BLKJOB_READY);
}

/*
 * The instant here, too, is one for the whole group: until they are sent to one
 * leg alone, writes go to both, which are equal.
 */
int __bj_group_reverse(struct blkjob *job, char *why)
{
	int r = may_finalize(job, BJ_SOURCE, why);
	struct blkjob *member, *taken;

	for (member = job; !r && member; member = next_member(member, job)) {
		r = bj_legs_take_source(member, why);
		if (!r)
			continue;
		for (taken = job; taken != member;
		     taken = next_member(taken, job))
			bj_legs_give_source(taken);
	}
	if (r)
		return r;
	for (member = job; member; member = next_member(member, job))
		member->type->hold(member);
	for (member = job; member; member = next_member(member, job))
		reverse(member);
	return 0;
}

bool bj_group_settled(struct blkjob *job)
{
	struct blkjob *member;
	bool all = true;

	bj_group_lock(job);
	job->settled = true;
	for (member = job; member; member = next_member(member, job))
		all = all && member->settled && member->state == BLKJOB_WAITING;
	for (member = job; all && member; member = next_member(member, job))
		__bj_conclude(member, "completed", BJ_SOURCE);
	bj_group_unlock(job);
	return all;
}
