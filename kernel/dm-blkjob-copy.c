// SPDX-License-Identifier: GPL-2.0
/*
 * The copy pipeline.
 *
 * An extent is a run of dirty regions that was taken out of the map; a slot is
 * a buffer with one bio, which carries a piece of an extent from the source to
 * the target device. Slots and extents are kept and used again, so copying
 * allocates nothing. Reads and writes overlap, up to buf_size bytes in flight.
 *
 * bio ends only queue. All decisions are the worker's, without a lock; what
 * may sleep, submitting, is done by a thread for each leg.
 */
#include <linux/sizes.h>

#include "dm-blkjob-copy.h"

#define BJ_WINDOW_PIECES	4	/* at least, of latency control */

/*----------------------------- Pieces -----------------------------*/

static void piece_done(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;
	struct blkjob *job = slot->job;

	/* A failed extent goes no further. */
	if ((extent->status || extent->abandoned) &&
	    job->pipe.extent == extent)
		job->pipe.extent = NULL;
	if (!--extent->pieces && job->pipe.extent != extent)
		bj_extent_done(job, extent);
	/* Last: a free slot promises a free extent. */
	bj_slot_put(slot);
	if (atomic_dec_and_test(&job->ios))
		wake_up(&job->drained);
}

static void piece_queue(struct bj_slot *slot, enum bj_side side)
{
	slot->job->pipe.on_leg[side] += slot->bytes;
	bj_slot_queue(slot, side);
}

/*
 * Write the next run of data or of zeroes of a piece that was read. Returns
 * false if there is none. Looking for zeroes pays if they can be written
 * without data, or need not be written.
 */
static bool piece_write(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;
	struct blkjob *job = slot->job;
	bool skip = extent->first_pass && READ_ONCE(job->target_is_zero);
	bool detect = skip || (!job->pipe.no_zeroes &&
		      bdev_write_zeroes_sectors(bj_bdev(job, BJ_TARGET)));

	while (slot->at < slot->bytes) {
		bj_slot_find_run(slot, detect);
		if (!slot->zeroes || !skip) {
			piece_queue(slot, BJ_TARGET);
			return true;
		}
		extent->zeroed += slot->run;
		slot->at += slot->run;
	}
	return false;
}

/* A run is on the target device, or not. */
static blk_status_t run_ended(struct bj_slot *slot, blk_status_t status)
{
	/*
	 * Zeroes as data, then: the buffer has them. Whoever was in flight
	 * with the first one that was refused comes by here as well.
	 */
	if (status && bio_op(&slot->bio) == REQ_OP_WRITE_ZEROES) {
		slot->job->pipe.no_zeroes = true;
		return BLK_STS_OK;
	}
	if (status)
		return status;
	if (slot->zeroes)
		slot->extent->zeroed += slot->run;
	slot->at += slot->run;
	return BLK_STS_OK;
}

/* A bio ended: go on with the piece, or it is finished. */
static void piece_ended(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;
	struct blkjob *job = slot->job;
	blk_status_t status = slot->bio.bi_status;

	job->pipe.on_leg[slot->writing ? BJ_TARGET : BJ_SOURCE] -= slot->bytes;
	bio_uninit(&slot->bio);
	/* Given up, and the status may be our own doing. */
	if (READ_ONCE(job->state) >= BLKJOB_ABORTING) {
		extent->abandoned = true;
		piece_done(slot);
		return;
	}
	if (slot->writing)
		status = run_ended(slot, status);
	if (status && !extent->status) {
		extent->status = status;
		extent->failed_op = slot->writing ? "write" : "read";
		extent->failed_sector = slot->sector + (slot->at >> SECTOR_SHIFT);
	}
	if (status || !piece_write(slot))
		piece_done(slot);
}

static void reap(struct blkjob *job)
{
	struct llist_node *node = llist_del_all(&job->pipe.done);
	struct bj_slot *slot, *next;

	node = llist_reverse_order(node);
	llist_for_each_entry_safe(slot, next, node, done)
		piece_ended(slot);
}

static u64 copy_wait(struct blkjob *job)
{
	u64 wait;

	spin_lock_irq(&job->lock);
	wait = __bj_copy_wait(job);
	spin_unlock_irq(&job->lock);
	return wait;
}

/* What the copy has on the leg where the consumer meets most of it. */
static u64 leg_load(struct blkjob *job)
{
	const u64 *on_leg = job->pipe.on_leg;

	/* In background mode that is the source. */
	if (!READ_ONCE(job->narrow))
		return on_leg[BJ_SOURCE];
	return max(on_leg[BJ_SOURCE], on_leg[BJ_TARGET]);
}

/* Latency control: is there room for another piece? */
static bool legs_full(struct blkjob *job)
{
	return !READ_ONCE(job->urgent) &&
	       leg_load(job) >= READ_ONCE(job->window.bytes);
}

/*
 * A region may be more than the speed limit allows in one go. And a window of
 * latency control is made of several pieces, that do not end all at once; but
 * less than one request of the device takes as long as that.
 */
static u64 piece_max_bytes(struct blkjob *job)
{
	unsigned int block = bdev_logical_block_size(bj_bdev(job, BJ_TARGET));
	u64 unit = bj_pace_unit(&job->pace, job->pipe.slot_bytes);
	u64 window = READ_ONCE(job->window.bytes);

	if (window != U64_MAX)
		unit = min3(unit, (u64)job->pipe.request_bytes,
			    max_t(u64, round_down(window / BJ_WINDOW_PIECES,
						  SZ_4K), SZ_64K));
	return min_t(u64, round_up(unit, max_t(unsigned int, block, SZ_4K)),
		     job->pipe.slot_bytes);
}

/* Start to read the next piece. Returns false when there is none to start. */
static bool issue(struct blkjob *job)
{
	struct bj_pipe *pipe = &job->pipe;
	struct bj_extent *extent;
	struct bj_slot *slot;
	u64 sectors;

	if (legs_full(job) ||
	    (!pipe->extent && pipe->in_flight >= bj_copy_window(job)))
		return false;
	slot = bj_slot_get(job);
	if (!slot)
		return false;
	if (!pipe->extent)
		pipe->extent = bj_extent_next(job);
	extent = pipe->extent;
	if (!extent) {
		bj_slot_put(slot);
		return false;
	}
	sectors = min_t(u64, extent->nr_sectors - extent->issued,
			piece_max_bytes(job) >> SECTOR_SHIFT);
	slot->extent = extent;
	slot->sector = extent->sector + extent->issued;
	slot->bytes = sectors << SECTOR_SHIFT;
	slot->at = 0;
	extent->issued += sectors;
	extent->pieces++;
	if (extent->issued == extent->nr_sectors)
		pipe->extent = NULL;

	spin_lock_irq(&job->lock);
	bj_pace_charge(&job->pace, slot->bytes, ktime_get_ns());
	spin_unlock_irq(&job->lock);
	atomic_inc(&job->ios);
	piece_queue(slot, BJ_SOURCE);
	return true;
}

/* An extent begun before a pause or an error gives back what is not issued. */
static void extent_abandon(struct blkjob *job)
{
	struct bj_extent *extent = job->pipe.extent;

	if (!extent)
		return;
	job->pipe.extent = NULL;
	extent->abandoned = true;
	if (!extent->pieces)
		bj_extent_done(job, extent);
}

/* Latency control: look at the consumer's I/O once in a tick. */
static void latency_tick(struct blkjob *job)
{
	struct bj_window_seen seen;
	u64 now = ktime_get_ns();

	if (!READ_ONCE(job->opt.latency_bound) || now < job->pipe.next_tick)
		return;
	job->pipe.next_tick = now + BJ_WINDOW_TICK;
	bj_window_collect(job, &seen);
	spin_lock_irq(&job->lock);
	bj_window_tick(&job->window, &seen, leg_load(job), now);
	spin_unlock_irq(&job->lock);
}

/* Come back when more may be copied in @wait ns, or for the next tick. */
static void come_back(struct blkjob *job, u64 wait)
{
	struct bj_pipe *pipe = &job->pipe;

	if (READ_ONCE(job->opt.latency_bound) &&
	    (pipe->in_flight || bj_regions_next(&job->map, 0) < job->map.nr))
		wait = min_not_zero(wait, BJ_WINDOW_TICK);
	if (wait)
		hrtimer_start(&job->copy_timer, ns_to_ktime(wait),
			      HRTIMER_MODE_REL);
}

/*
 * One turn of the pipeline. Returns true if the map should be looked at again
 * at once, that is if something ended or began.
 */
bool bj_pipe_run(struct blkjob *job)
{
	bool moved;
	u64 wait;

	moved = !llist_empty(&job->pipe.done) || READ_ONCE(job->flush.ended);
	latency_tick(job);
	bj_flush_reap(job);
	reap(job);
	while (!(wait = copy_wait(job)) && issue(job))
		moved = true;

	if (wait == U64_MAX)
		extent_abandon(job);
	else
		come_back(job, wait);
	return moved;
}

static enum hrtimer_restart copy_timer_fired(struct hrtimer *timer)
{
	bj_kick(container_of(timer, struct blkjob, copy_timer));
	return HRTIMER_NORESTART;
}

int bj_pipe_init(struct blkjob *job)
{
	init_llist_head(&job->pipe.done);
	/* A tick of the jiffies would be as long as several operations. */
	hrtimer_setup(&job->copy_timer, copy_timer_fired, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	bj_flush_init(job);
	job->pipe.wrapped = true;
	return bj_slots_init(job);
}
