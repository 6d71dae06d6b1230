// SPDX-License-Identifier: GPL-2.0
/*
 * copy_mode auto: background mode, which costs the consumer nothing, as long
 * as it costs the job little; writes to both legs while it does not.
 *
 * In background mode what was copied and is written again has to be copied
 * again, and with enough such writes the copy never ends. With writes to both
 * legs it always ends. So the job allows itself to do an eighth more than it
 * had to do at first; when the writers have made more than that dirty again,
 * their writes go through. Whatever they do, little more than that is copied in
 * vain. Once the job was ready it may fall behind by an eighth of the device.
 *
 * And back again, when all that is written in a second, taken as whole
 * regions, is less than a third of what the copy did in one.
 */
#include "dm-blkjob-mirror.h"

#define BJ_AUTO_PART		8
#define BJ_AUTO_LEAST		(4ULL << 20)	/* not worth it, bytes */
#define BJ_AUTO_LOOK		(20 * NSEC_PER_MSEC)
#define BJ_AUTO_BACK		3
#define BJ_AUTO_WINDOW		NSEC_PER_SEC

static u64 bytes_done(struct blkjob *job)
{
	u64 done;

	spin_lock_irq(&job->lock);
	done = job->stats.copied + job->stats.zeroed;
	spin_unlock_irq(&job->lock);
	return done;
}

/*
 * In background mode: have the writers used up what is allowed? While running
 * that is what they made dirty again, copied since or not; once the job was
 * ready, what they have made dirty and is not copied yet.
 */
static bool too_much(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	u64 device = job->nr_sectors << SECTOR_SHIFT;
	struct bj_auto *a = &mirror->automatic;
	u64 now = ktime_get_ns(), done, left;

	/* Counting takes a while on a large device. */
	if (now < a->look_at)
		return false;
	a->look_at = now + BJ_AUTO_LOOK;
	done = bytes_done(job);
	left = bj_dirty_bytes(job) + job->pipe.in_flight;
	if (!a->begun_at) {
		a->begun_at = now;
		a->begun_done = done;
		a->begun_left = left;
	}
	if (READ_ONCE(job->state) == BLKJOB_READY)
		return left > max(device / BJ_AUTO_PART, BJ_AUTO_LEAST);
	a->copy_rate = mul_u64_u64_div_u64(done - a->begun_done, NSEC_PER_SEC,
					   now - a->begun_at + 1);
	return done - a->begun_done + left > a->begun_left +
	       max(a->begun_left / BJ_AUTO_PART, BJ_AUTO_LEAST);
}

static u64 writes_so_far(struct blkjob *job)
{
	u64 writes = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		writes += READ_ONCE(per_cpu_ptr(job->cpu_stats, cpu)->writes);
	return writes;
}

/* Writing through: have the writers become few enough? */
static bool little_enough(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	struct bj_auto *a = &mirror->automatic;
	u64 now = ktime_get_ns(), writes, bytes;

	/* Nobody may come by when there is nothing to do. */
	if (!hrtimer_is_queued(&job->copy_timer))
		hrtimer_start(&job->copy_timer, ns_to_ktime(BJ_AUTO_WINDOW),
			      HRTIMER_MODE_REL);
	if (!a->window_at)
		a->window_at = now;
	if (now - a->window_at < BJ_AUTO_WINDOW)
		return false;
	writes = writes_so_far(job) - a->window_writes;
	bytes = writes << (job->region_shift + SECTOR_SHIFT);
	a->window_writes += writes;
	a->window_at = now;
	return bytes * BJ_AUTO_BACK <= min_not_zero(READ_ONCE(job->opt.speed),
						    a->copy_rate);
}

bool bj_auto_judge(struct bj_mirror *mirror)
{
	struct bj_auto *a = &mirror->automatic;
	bool through = READ_ONCE(mirror->diverges);

	if (through ? !little_enough(mirror) : !too_much(mirror))
		return through;
	a->begun_at = 0;
	a->window_at = 0;
	a->window_writes = writes_so_far(mirror->job);
	return !through;
}
