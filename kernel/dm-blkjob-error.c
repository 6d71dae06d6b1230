// SPDX-License-Identifier: GPL-2.0
/*
 * What follows from an I/O error of the job's own: the policies.
 */
#include "dm-blkjob.h"

/* Policy ignore: time until the next try, doubled each time. */
#define BJ_BACKOFF_MIN		((u64)10 * NSEC_PER_MSEC)
#define BJ_BACKOFF_MAX		((u64)NSEC_PER_SEC)

const char *bj_error_word(enum bj_side side, const char *op,
			  blk_status_t status)
{
	if (side == BJ_SOURCE)
		return op[0] == 'f' ? "source-flush-error" :
				      "source-read-error";
	if (status == BLK_STS_NOSPC)
		return "target-no-space";
	return op[0] == 'f' ? "target-flush-error" : "target-write-error";
}

/* Stop until resumed; what was asked for is asked again then. */
static void __error_stop(struct blkjob *job)
{
	if (job->state == BLKJOB_WAITING) {
		job->wait_on_resume = true;
		__bj_state_set(job, job->type->before_waiting);
	}
	if (job->state == BLKJOB_RUNNING)
		__bj_state_set(job, BLKJOB_PAUSED);
	else if (job->state == BLKJOB_READY)
		__bj_state_set(job, BLKJOB_STANDBY);
}

/* Of what may come again and again; once in a second. */
void __bj_event_error_limited(struct blkjob *job, const char *action)
{
	if (!time_after_eq(jiffies, job->next_error_event))
		return;
	job->next_error_event = jiffies + HZ;
	__bj_event_error(job, action);
	bj_raise_event(job);
}

/* Go on, later and later while nothing but errors comes. */
static void __error_ignore(struct blkjob *job)
{
	job->backoff = clamp(2 * job->backoff, BJ_BACKOFF_MIN, BJ_BACKOFF_MAX);
	job->retry_at = ktime_get_ns() + job->backoff;
	bj_kick(job);
	__bj_event_error_limited(job, bj_on_error_name(BJ_ON_ERROR_IGNORE));
}

static const char * const leg_names[BJ_NR_LEGS] = {
	[BJ_SOURCE] = "source",
	[BJ_TARGET] = "target device",
	[BJ_METADATA] = "metadata device",
};

void __bj_error_note(struct blkjob *job, enum bj_side side, const char *op,
		     blk_status_t status, sector_t sector)
{
	DMWARN_LIMIT("%s: %s error %d at sector %llu of the %s", bj_name(job),
		     op, blk_status_to_errno(status), (u64)sector,
		     leg_names[side]);
	job->stats.errors[side]++;
	job->stats.last_op = op;
	job->stats.last_errno = -blk_status_to_errno(status);
	job->stats.last_sector = sector;
}

/*
 * An operation of the job itself failed. In the commit window nobody but the
 * caller may decide what follows, otherwise the policy of that side does.
 */
void __bj_error(struct blkjob *job, enum bj_side side, const char *op,
		blk_status_t status, sector_t sector)
{
	enum bj_on_error policy = job->opt.on_error[side];

	__bj_error_note(job, side, op, status, sector);
	job->io_failed = true;

	if (policy == BJ_ON_ERROR_ENOSPC)
		policy = status == BLK_STS_NOSPC ? BJ_ON_ERROR_STOP :
						   BJ_ON_ERROR_REPORT;
	/* The source has moved on: there is no way back to ready. */
	if (job->past_instant)
		policy = BJ_ON_ERROR_REPORT;
	if (job->state == BLKJOB_PENDING) {
		__bj_event_error(job, "hold");
		bj_raise_event(job);
	} else if (policy == BJ_ON_ERROR_IGNORE) {
		__error_ignore(job);
	} else {
		/* Not those that were in flight with the first one. */
		if (__bj_copying(job))
			__bj_event_error(job, bj_on_error_name(policy));
		if (policy == BJ_ON_ERROR_REPORT)
			__bj_abort(job, bj_error_word(side, op, status));
		else
			__error_stop(job);
	}
}

void bj_error(struct blkjob *job, enum bj_side side, const char *op,
	      blk_status_t status, sector_t sector)
{
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	__bj_error(job, side, op, status, sector);
	spin_unlock_irqrestore(&job->lock, flags);
}

/*
 * Worker, after something went well: if nothing is left of what had failed,
 * io_status is ok again. Not while that is for the caller to say.
 */
void bj_recovered(struct blkjob *job)
{
	if (!READ_ONCE(job->io_failed) || job->pipe.in_flight)
		return;
	/* The lock: who sets it has made its range dirty before. */
	spin_lock_irq(&job->lock);
	if ((job->state == BLKJOB_RUNNING || job->state == BLKJOB_READY ||
	     job->state == BLKJOB_WAITING) && !bj_sweep_left(job))
		job->io_failed = false;
	spin_unlock_irq(&job->lock);
}

/* Is the job waiting for its next try, after an error that is ignored? */
bool bj_backing_off(struct blkjob *job)
{
	return READ_ONCE(job->retry_at) > ktime_get_ns();
}
