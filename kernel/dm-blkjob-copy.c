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

/* Of this extent no more is issued. */
static void extent_stop(struct bj_extent *extent)
{
	if (extent->lane->extent == extent)
		extent->lane->extent = NULL;
}

/* Not on a device any more. */
static void piece_landed(struct blkjob *job)
{
	if (atomic_dec_and_test(&job->ios))
		wake_up(&job->drained);
}

void bj_piece_back(struct blkjob *job, struct bj_extent *extent)
{
	/* A failed extent goes no further. */
	if (extent->status || extent->abandoned)
		extent_stop(extent);
	if (!--extent->pieces && extent->lane->extent != extent)
		bj_extent_done(job, extent);
	else
		bj_extent_spilled(job, extent);
}

static void piece_done(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;

	if (slot->lane == &slot->job->pipe.lane[BJ_MOVE])
		extent->spilled--;
	if (extent->spilled && (extent->status || extent->abandoned))
		bj_spill_drop(slot->job, extent);
	bj_piece_back(slot->job, extent);
	/* Last: a free slot promises a free extent, but for pipe.stored. */
	bj_slot_put(slot);
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

/*
 * The buffer has the only copy of the old data: then it stays in it until the
 * target device takes it.
 */
static bool piece_keep(struct bj_slot *slot, blk_status_t status)
{
	struct bj_extent *extent = slot->extent;
	struct blkjob *job = slot->job;

	if (!slot->writing || extent->marked ||
	    job->pipe.clear_at == BJ_CLEAR_TAKEN)
		return false;
	list_add_tail(&slot->list, &job->pipe.kept);
	bj_error(job, BJ_TARGET, "write", status,
		 slot->sector + (slot->at >> SECTOR_SHIFT));
	return true;
}

/* The bio went well: what comes next? False if the piece is finished. */
static bool piece_go_on(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;

	if (!slot->writing) {
		bj_checksums_add(slot);
		extent->unread -= slot->bytes >> SECTOR_SHIFT;
		if (!extent->unread)
			bj_extent_read(slot->job, extent);
	}
	if (!slot->writing && bj_spill_take(slot))
		return true;
	return piece_write(slot);
}

/* The same, of a bio to or from the spill device. */
static void piece_spill_ended(struct bj_slot *slot)
{
	struct blkjob *job = slot->job;
	enum bj_spill_next next;

	next = bj_spill_ended(slot);
	if (next == BJ_SPILL_WRITE && piece_write(slot))
		return;
	if (next != BJ_SPILL_STORED)
		piece_done(slot);
	piece_landed(job);
}

/* A bio ended: go on with the piece, or it is finished. */
static void piece_ended(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;
	struct blkjob *job = slot->job;
	blk_status_t status = slot->bio.bi_status;

	bio_uninit(&slot->bio);
	if (slot->spilled) {
		piece_spill_ended(slot);
		return;
	}
	job->pipe.on_leg[slot->writing ? BJ_TARGET : BJ_SOURCE] -= slot->bytes;
	/* Given up, and the status may be our own doing. */
	if (bj_given_up(job)) {
		extent->abandoned = true;
	} else {
		if (slot->writing)
			status = run_ended(slot, status);
		if (!status && piece_go_on(slot))
			return;
		if (status && piece_keep(slot, status)) {
			piece_landed(job);
			return;
		}
		if (status && !extent->status) {
			extent->status = status;
			extent->failed_op = slot->writing ? "write" : "read";
			extent->failed_sector = slot->sector +
						(slot->at >> SECTOR_SHIFT);
		}
	}
	piece_done(slot);
	piece_landed(job);
}

/* The target device may take now what it did not; or it is of no use. */
static void try_kept(struct blkjob *job)
{
	struct bj_slot *slot, *next;
	LIST_HEAD(kept);

	list_splice_init(&job->pipe.kept, &kept);
	list_for_each_entry_safe(slot, next, &kept, list) {
		if (READ_ONCE(job->state) >= BLKJOB_ABORTING) {
			slot->extent->abandoned = true;
			piece_done(slot);
			continue;
		}
		atomic_inc(&job->ios);
		piece_queue(slot, BJ_TARGET);
	}
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
 * less than one request of the device takes as long as that. And there are only
 * so many slots: where the window is large, for a device that is far away, they
 * have to be fuller.
 */
static u64 piece_max_bytes(struct blkjob *job)
{
	unsigned int block = bdev_logical_block_size(bj_bdev(job, BJ_TARGET));
	unsigned int most = job->pipe.lane[BJ_SWEEP].slot_bytes;
	u64 unit = bj_pace_unit(&job->pace, most);
	u64 window = READ_ONCE(job->window.bytes);
	u64 request = job->pipe.request_bytes;
	u64 share;

	if (window != U64_MAX) {
		share = div_u64(window, bj_slots_most(job, BJ_SWEEP));
		request *= max(div_u64(share, request), 1ULL);
		unit = min3(unit, request,
			    max_t(u64, round_down(window / BJ_WINDOW_PIECES,
						  SZ_4K), SZ_64K));
	}
	return min_t(u64, round_up(unit, max_t(unsigned int, block, SZ_4K)),
		     most);
}

/* Start to read the next piece of the lane's extent, of @max bytes at most. */
static void piece_issue(struct bj_slot *slot, u64 max)
{
	struct bj_extent *extent = slot->lane->extent;
	u64 sectors = min_t(u64, extent->nr_sectors - extent->issued,
			    max >> SECTOR_SHIFT);

	slot->extent = extent;
	slot->sector = extent->sector + extent->issued;
	slot->bytes = sectors << SECTOR_SHIFT;
	slot->at = 0;
	extent->issued += sectors;
	extent->pieces++;
	if (extent->issued == extent->nr_sectors)
		extent_stop(extent);
	atomic_inc(&slot->job->ios);
	piece_queue(slot, BJ_SOURCE);
}

/* One more piece of the sweep. Returns false when there is none to start. */
static bool issue(struct blkjob *job)
{
	struct bj_pipe *pipe = &job->pipe;
	struct bj_lane *lane = &pipe->lane[BJ_SWEEP];
	struct bj_slot *slot;

	if (legs_full(job) ||
	    (!lane->extent && pipe->in_flight >= bj_copy_window(job)))
		return false;
	slot = bj_slot_get(job, lane);
	if (!slot)
		return false;
	if (!lane->extent)
		lane->extent = bj_extent_next(job);
	if (!lane->extent) {
		bj_slot_put(slot);
		return false;
	}
	piece_issue(slot, piece_max_bytes(job));
	spin_lock_irq(&job->lock);
	bj_pace_charge(&job->pace, slot->bytes, ktime_get_ns());
	spin_unlock_irq(&job->lock);
	return true;
}

/* The rest of the extent that the consumer waits for. */
static void issue_urgent(struct blkjob *job)
{
	struct bj_lane *lane = &job->pipe.lane[BJ_URGENT];
	struct bj_slot *slot;

	while (lane->extent) {
		slot = bj_slot_get(job, lane);
		if (!slot)
			return;
		piece_issue(slot, lane->slot_bytes);
	}
}

/* An extent begun before a pause or an error gives back what is not issued. */
static void sweep_abandon(struct blkjob *job)
{
	struct bj_extent *extent = job->pipe.lane[BJ_SWEEP].extent;

	if (!extent)
		return;
	extent_stop(extent);
	extent->abandoned = true;
	if (!extent->pieces)
		bj_extent_done(job, extent);
}

int bj_copy_now(struct blkjob *job, u64 first, u64 last)
{
	struct bj_extent *sweep = job->pipe.lane[BJ_SWEEP].extent;
	struct bj_lane *lane = &job->pipe.lane[BJ_URGENT];
	struct bj_slot *slot;

	if (lane->extent)
		return -EAGAIN;
	slot = bj_slot_get(job, lane);
	if (!slot)
		return -EAGAIN;
	/* Neither at the pace nor with the buffers of the sweep. */
	if (sweep && first >= sweep->first && first < sweep->first + sweep->nr)
		lane->extent = bj_extent_hand_over(job);
	else
		lane->extent = bj_extent_now(job, first, last);
	if (!lane->extent) {
		bj_slot_put(slot);
		return -EBUSY;
	}
	piece_issue(slot, lane->slot_bytes);
	issue_urgent(job);
	return 0;
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

bool bj_sweep_left(struct blkjob *job)
{
	return job->pipe.swept &&
	       bj_regions_next(&job->map, 0) < job->map.nr;
}

void bj_come_back(struct blkjob *job, u64 ns)
{
	struct hrtimer *timer = &job->copy_timer;

	/* Not hrtimer_active(): one that has kicked us may still be running. */
	if (!hrtimer_is_queued(timer) ||
	    ktime_to_ns(hrtimer_get_remaining(timer)) > (s64)ns)
		hrtimer_start(timer, ns_to_ktime(ns), HRTIMER_MODE_REL);
}

/* Come back when more may be copied in @wait ns, or for the next tick. */
static void wait_for_more(struct blkjob *job, u64 wait)
{
	struct bj_pipe *pipe = &job->pipe;

	if (READ_ONCE(job->opt.latency_bound) &&
	    (pipe->in_flight || bj_sweep_left(job)))
		wait = min_not_zero(wait, BJ_WINDOW_TICK);
	if (wait)
		bj_come_back(job, wait);
}

/*
 * One turn of the pipeline. Returns true if the map should be looked at again
 * at once, that is if something ended or began.
 */
bool bj_pipe_run(struct blkjob *job)
{
	bool moved;
	u64 wait;

	moved = !llist_empty(&job->pipe.done);
	latency_tick(job);
	moved |= bj_flush_reap(job);
	bj_extents_flushed(job);
	reap(job);
	issue_urgent(job);
	if (job->type->urgent)
		job->type->urgent(job);
	while (!(wait = copy_wait(job)) && issue(job))
		moved = true;

	if ((wait != U64_MAX && !bj_backing_off(job)) ||
	    READ_ONCE(job->state) >= BLKJOB_ABORTING) {
		try_kept(job);
		bj_spill_move(job);
	}
	if (wait == U64_MAX)
		sweep_abandon(job);
	else
		wait_for_more(job, wait);
	return moved;
}

static enum hrtimer_restart copy_timer_fired(struct hrtimer *timer)
{
	bj_kick(container_of(timer, struct blkjob, copy_timer));
	return HRTIMER_NORESTART;
}

int bj_pipe_init(struct blkjob *job)
{
	int r;

	init_llist_head(&job->pipe.done);
	/* A tick of the jiffies would be as long as several operations. */
	hrtimer_setup(&job->copy_timer, copy_timer_fired, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	job->pipe.wrapped = true;
	job->pipe.swept = true;
	r = bj_flush_init(job);
	return r ? r : bj_slots_init(job);
}
