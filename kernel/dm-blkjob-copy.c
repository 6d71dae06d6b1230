// SPDX-License-Identifier: GPL-2.0
/*
 * The copy pipeline.
 *
 * An extent is a run of dirty regions that was taken out of the map; a slot is
 * a buffer with one bio, which carries a piece of an extent from the source to
 * the target device. Slots and extents are kept and used again, so copying
 * allocates nothing. Reads and writes overlap, up to buf_size bytes in flight.
 *
 * The rule that keeps the data safe: take the range (busy), clear its bits,
 * full barrier, then read the source. A foreground write that ends later sets
 * the bits again (bj_regions_set()). Busy also keeps two copies of one region
 * from being in flight together.
 *
 * bio ends only queue. All decisions are the worker's, without a lock; what
 * may sleep, submitting, is done by a thread for each leg.
 */
#include <linux/sizes.h>

#include "dm-blkjob-copy.h"

#define BJ_SKIPS		256	/* busy extents passed over in one go */
#define BJ_WINDOW_PIECES	4	/* at least, of latency control */
#define BJ_NARROW		16	/* part of what is left, at most in flight */

/*----------------- The cache of the target device -----------------*/

static void flush_end_bio(struct bio *bio)
{
	struct blkjob *job = bio->bi_private;

	rcu_read_lock();
	bj_latency_add(job, BJ_LATENCY_FLUSH + BJ_TARGET, job->flush.submitted);
	/* Pairs with flush_reap(): bi_status is there. */
	smp_store_release(&job->flush.ended, true);
	bj_kick(job);
	rcu_read_unlock();
}

static void flush_submit(struct work_struct *work)
{
	struct blkjob *job = container_of(work, struct blkjob, flush.submit);
	struct bio *bio = &job->flush.bio;

	bio_init(bio, bj_bdev(job, BJ_TARGET), NULL, 0,
		 REQ_OP_WRITE | REQ_PREFLUSH);
	bio->bi_private = job;
	bio->bi_end_io = flush_end_bio;
	job->flush.submitted = ktime_get_ns();
	submit_bio(bio);
}

static void flush_reap(struct blkjob *job)
{
	struct bj_flush *flush = &job->flush;
	blk_status_t status;

	/* Pairs with flush_end_bio(). */
	if (!smp_load_acquire(&flush->ended))
		return;
	status = flush->bio.bi_status;
	bio_uninit(&flush->bio);
	flush->ended = false;
	flush->running = false;
	if (atomic_dec_and_test(&job->ios))
		wake_up(&job->drained);
	if (status) {
		bj_error(job, BJ_TARGET, "flush", status, 0);
	} else {
		flush->done = flush->begun;
		bj_recovered(job);
	}
}

u64 bj_flush_ticket(struct blkjob *job)
{
	return ++job->flush.wanted;
}

bool bj_flushed(struct blkjob *job, u64 ticket)
{
	struct bj_flush *flush = &job->flush;

	if (flush->done >= ticket)
		return true;
	if (flush->running || bj_backing_off(job))
		return false;
	flush->begun = flush->wanted;
	flush->running = true;
	atomic_inc(&job->ios);
	queue_work(job->wq, &flush->submit);
	return false;
}

/*---------------------------- Extents -----------------------------*/

static void extent_sectors(struct blkjob *job, struct bj_extent *extent)
{
	u64 end = min((extent->first + extent->nr) << job->region_shift,
		      job->nr_sectors);

	extent->sector = extent->first << job->region_shift;
	extent->nr_sectors = end - extent->sector;
}

static u64 extent_bytes(const struct bj_extent *extent)
{
	return extent->nr_sectors << SECTOR_SHIFT;
}

/* Take up to @max regions from @first on, as many as are dirty and not busy. */
static bool extent_take(struct blkjob *job, struct bj_extent *extent, u64 first,
			u64 max)
{
	long cleared;

	extent->first = first;
	extent->nr = bj_regions_run(&job->map, first, max);
	extent_sectors(job, extent);
	while (!bj_busy_trylock(job->busy, extent->sector, extent->nr_sectors)) {
		if (extent->nr <= 1)
			return false;
		extent->nr = 1;
		extent_sectors(job, extent);
	}
	cleared = bj_regions_clear(&job->map, extent->first,
				   extent->first + extent->nr - 1);
	if (cleared >= 0)
		return true;
	/* No memory to note that less is dirty: put back, and try later. */
	bj_mark_dirty(job, extent->sector, extent->nr_sectors);
	bj_busy_unlock(job->busy, extent->sector, extent->nr_sectors);
	bj_wake(job);
	return false;
}

/*
 * Bytes that may be in flight. A write that meets a region in flight makes it
 * dirty again (mirror, mode SYNC), and the longer the queue the longer each
 * region is in it: a set of regions that are written all the time becomes
 * clean only if few of them are in flight at once.
 */
static u64 copy_window(struct blkjob *job)
{
	u64 left;

	if (!READ_ONCE(job->narrow))
		return U64_MAX;
	left = bj_dirty_bytes(job) + job->pipe.in_flight;
	return max_t(u64, left / BJ_NARROW, 1);
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

static u64 extent_max_regions(struct blkjob *job, u64 first)
{
	u64 unit = bj_pace_unit(&job->pace, job->pipe.slot_bytes) >>
		   SECTOR_SHIFT;
	u64 max = max_t(u64, min(unit, copy_window(job) >> SECTOR_SHIFT) >>
			job->region_shift, 1);

	if (first >= job->pipe.careful_first && first < job->pipe.careful_end)
		return 1;
	/* Not into the range that is tried one by one. */
	if (job->pipe.careful_first < job->pipe.careful_end &&
	    first < job->pipe.careful_first)
		max = min(max, job->pipe.careful_first - first);
	return max;
}

/*
 * Once more, one region at a time, so that a bad one costs only itself. The
 * range lasts until a whole sweep has gone by without a failure like this.
 */
static void be_careful(struct bj_pipe *pipe, const struct bj_extent *extent)
{
	u64 end = extent->first + extent->nr;

	if (pipe->careful_first == pipe->careful_end) {
		pipe->careful_first = extent->first;
		pipe->careful_end = end;
	}
	pipe->careful_first = min(pipe->careful_first, extent->first);
	pipe->careful_end = max(pipe->careful_end, end);
	pipe->careful_again = true;
}

static void careful_pass_begins(struct bj_pipe *pipe)
{
	if (!pipe->careful_again)
		pipe->careful_first = pipe->careful_end;
	pipe->careful_again = false;
}

static void pass_begins(struct blkjob *job)
{
	job->pipe.wrapped = false;
	careful_pass_begins(&job->pipe);
	spin_lock_irq(&job->lock);
	job->stats.passes++;
	spin_unlock_irq(&job->lock);
}

/* The next extent of the sweep that nobody else is busy with. */
static struct bj_extent *extent_next(struct blkjob *job)
{
	struct bj_pipe *pipe = &job->pipe;
	struct bj_extent *extent;
	u64 from = pipe->cursor;
	unsigned int skips = 0;
	bool round = false;

	extent = list_first_entry(&pipe->extents, struct bj_extent, list);
	WRITE_ONCE(pipe->blocked, false);
	while (skips < BJ_SKIPS) {
		u64 region = bj_regions_next(&job->map, from);

		if (region >= job->map.nr) {
			if (round || !from)
				break;
			round = true;
			pipe->wrapped = true;
			from = 0;
			continue;
		}
		if (extent_take(job, extent, region,
				extent_max_regions(job, region))) {
			pipe->cursor = extent->first + extent->nr;
			pipe->in_flight += extent_bytes(extent);
			if (pipe->wrapped)
				pass_begins(job);
			extent->first_pass = job->stats.passes == 1;
			list_del(&extent->list);
			return extent;
		}
		if (!pipe->blocked) {
			WRITE_ONCE(pipe->blocked, true);
			/*
			 * Who holds it must know that it is waited for, and
			 * may have let go just before: try again. Pairs with
			 * bj_busy_unlock() in active_finish().
			 */
			smp_mb();
			continue;
		}
		skips++;
		from = region + 1;
	}
	return NULL;
}

/* All pieces are back: the range is free again. */
static void extent_done(struct blkjob *job, struct bj_extent *extent)
{
	struct bj_pipe *pipe = &job->pipe;
	u64 bytes = extent_bytes(extent);

	if (extent->status || extent->abandoned)
		bj_mark_dirty(job, extent->sector, extent->nr_sectors);
	if (extent->status && extent->nr > 1)
		be_careful(pipe, extent);
	bj_busy_unlock(job->busy, extent->sector, extent->nr_sectors);
	pipe->in_flight -= bytes;

	spin_lock_irq(&job->lock);
	if (!extent->status && !extent->abandoned) {
		job->stats.copied += bytes - extent->zeroed;
		job->stats.zeroed += extent->zeroed;
		job->backoff = 0;
		if (!extent->first_pass)
			job->stats.recopied += bytes;
	}
	__bj_rate_update(job, ktime_get_ns());
	spin_unlock_irq(&job->lock);

	if (extent->status && extent->nr == 1)
		bj_error(job, extent->failed_op[0] == 'r' ? BJ_SOURCE : BJ_TARGET,
			 extent->failed_op, extent->status,
			 extent->failed_sector);
	if (!extent->status)
		bj_recovered(job);
	*extent = (struct bj_extent) {};
	list_add(&extent->list, &pipe->extents);
}

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
		extent_done(job, extent);
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
	    (!pipe->extent && pipe->in_flight >= copy_window(job)))
		return false;
	slot = bj_slot_get(job);
	if (!slot)
		return false;
	if (!pipe->extent)
		pipe->extent = extent_next(job);
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
		extent_done(job, extent);
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
	flush_reap(job);
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
	INIT_WORK(&job->flush.submit, flush_submit);
	job->pipe.wrapped = true;
	return bj_slots_init(job);
}
