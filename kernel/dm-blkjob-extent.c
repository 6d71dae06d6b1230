// SPDX-License-Identifier: GPL-2.0
/*
 * Extents: runs of dirty regions that were taken out of the map, to be copied.
 * Here is which one comes next, how large it is, and what becomes of it when
 * all its pieces are back.
 *
 * The rule that keeps the data safe: take the range (busy), clear its bits,
 * full barrier, then read the source. A foreground write that ends later sets
 * the bits again (bj_regions_set()). Busy also keeps two copies of one region
 * from being in flight together.
 *
 * Where a foreground write waits until its regions are clean the bits are
 * cleared later (enum bj_clear_at), and nobody ever sets them again. Then what
 * is taken is marked and busy, and counts as in flight, not as dirty.
 */
#include "dm-blkjob-copy.h"

#define BJ_SKIPS		256	/* busy extents passed over in one go */
#define BJ_NARROW		16	/* part of what is left, at most in flight */

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

/* All of it or, if that is busy, its first region. */
static bool extent_lock(struct blkjob *job, struct bj_extent *extent)
{
	extent_sectors(job, extent);
	while (!bj_busy_trylock(job->busy, extent->sector, extent->nr_sectors)) {
		if (extent->nr <= 1)
			return false;
		extent->nr = 1;
		extent_sectors(job, extent);
	}
	return true;
}

/*
 * ... and no more than may be copied, now that nobody can write it: some of it
 * may have been written in the meantime.
 */
static bool extent_lock_absent(struct blkjob *job, struct bj_extent *extent)
{
	u64 nr;

	while (extent_lock(job, extent)) {
		nr = !job->type->absent ? extent->nr :
		     job->type->absent(job, extent->first, extent->nr);
		if (nr == extent->nr)
			return true;
		bj_busy_unlock(job->busy, extent->sector, extent->nr_sectors);
		if (!nr)
			return false;
		extent->nr = nr;
	}
	return false;
}

/* Take up to @max regions from @first on, as many as are dirty and not busy. */
static bool extent_take(struct blkjob *job, struct bj_extent *extent, u64 first,
			u64 max)
{
	extent->first = first;
	extent->nr = bj_regions_run(&job->map, first, max);
	if (!extent->nr)
		return false;	/* unmarked just now */
	if (!extent_lock_absent(job, extent))
		return false;
	if (job->pipe.clear_at != BJ_CLEAR_TAKEN ||
	    bj_bug(BJ_BUG_CLEAR_AFTER_COPY) ||
	    bj_regions_clear(&job->map, extent->first,
			     extent->first + extent->nr - 1) >= 0)
		return true;
	/* No memory to note that less is dirty: put back, and try later. */
	bj_mark_dirty(job, extent->sector, extent->nr_sectors);
	bj_busy_unlock(job->busy, extent->sector, extent->nr_sectors);
	bj_wake(job);
	return false;
}

/* It was taken: from now on it is in flight. */
static void extent_begin(struct blkjob *job, struct bj_extent *extent,
			 struct bj_lane *lane)
{
	struct bj_pipe *pipe = &job->pipe;

	list_del(&extent->list);
	extent->lane = lane;
	extent->unread = extent->nr_sectors;
	extent->marked = pipe->clear_at != BJ_CLEAR_TAKEN;
	bj_checksums_begin(job, extent);
	/* Together, for the status line. */
	spin_lock_irq(&job->lock);
	extent->first_pass = extent->marked || job->stats.passes == 1;
	pipe->in_flight += extent_bytes(extent);
	if (extent->marked)
		pipe->marked += extent_bytes(extent);
	spin_unlock_irq(&job->lock);
}

/*
 * Bytes that may be in flight. A write that meets a region in flight makes it
 * dirty again (mirror, mode SYNC), and the longer the queue the longer each
 * region is in it: a set of regions that are written all the time becomes
 * clean only if few of them are in flight at once.
 */
u64 bj_copy_window(struct blkjob *job)
{
	u64 left;

	if (!READ_ONCE(job->narrow))
		return U64_MAX;
	left = bj_dirty_bytes(job) + job->pipe.in_flight;
	return max_t(u64, left / BJ_NARROW, 1);
}

/* How many of @max regions from @first on may be taken together. */
static u64 careful_max(const struct bj_pipe *pipe, u64 first, u64 max)
{
	if (first >= pipe->careful_first && first < pipe->careful_end)
		return 1;
	/* Not into the range that is tried one by one. */
	if (pipe->careful_first < pipe->careful_end &&
	    first < pipe->careful_first)
		return min(max, pipe->careful_first - first);
	return max;
}

static u64 extent_max_regions(struct blkjob *job, u64 first)
{
	u64 unit = bj_pace_unit(&job->pace,
				job->pipe.lane[BJ_SWEEP].slot_bytes) >>
		   SECTOR_SHIFT;
	u64 max = max_t(u64, min(unit, bj_copy_window(job) >> SECTOR_SHIFT) >>
			job->region_shift, 1);

	return careful_max(&job->pipe, first, max);
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

/* One that is free; those that wait for a flush are not. */
static struct bj_extent *extent_get(struct bj_lane *lane)
{
	return list_first_entry_or_null(&lane->extents, struct bj_extent, list);
}

/* The next extent of the sweep that nobody else is busy with. */
struct bj_extent *bj_extent_next(struct blkjob *job)
{
	struct bj_pipe *pipe = &job->pipe;
	struct bj_extent *extent;
	u64 from = pipe->cursor;
	unsigned int skips = 0;
	bool round = false;

	WRITE_ONCE(pipe->blocked, false);
	extent = extent_get(&pipe->lane[BJ_SWEEP]);
	if (!extent || !pipe->swept)
		return NULL;
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
			if (pipe->wrapped)
				pass_begins(job);
			extent_begin(job, extent, &pipe->lane[BJ_SWEEP]);
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

/* For the consumer: as many as one buffer holds. */
struct bj_extent *bj_extent_now(struct blkjob *job, u64 first, u64 last)
{
	struct bj_lane *lane = &job->pipe.lane[BJ_URGENT];
	struct bj_extent *extent = extent_get(lane);
	u64 max = max_t(u64, lane->slot_bytes >> SECTOR_SHIFT >>
			job->region_shift, 1);

	max = careful_max(&job->pipe, first, min(max, last - first + 1));
	if (!extent || !extent_take(job, extent, first, max))
		return NULL;
	extent_begin(job, extent, lane);
	return extent;
}

/*
 * The consumer waits for what the sweep has begun. The pieces of it that are in
 * the sweep's buffers may stay there for as long as the target device likes;
 * given back, it could not be taken again before they have landed. So the
 * urgent lane reads the rest, and the sweep has another extent.
 */
struct bj_extent *bj_extent_hand_over(struct blkjob *job)
{
	struct bj_lane *urgent = &job->pipe.lane[BJ_URGENT];
	struct bj_lane *sweep = &job->pipe.lane[BJ_SWEEP];
	struct bj_extent *extent = sweep->extent;
	struct bj_extent *other = extent_get(urgent);

	if (!other)
		return NULL;
	list_move(&other->list, &sweep->extents);
	sweep->extent = NULL;
	extent->lane = urgent;
	return extent;
}

/* Needs no memory: see enum bj_clear_at. */
static void extent_clear(struct blkjob *job, struct bj_extent *extent)
{
	spin_lock_irq(&job->lock);
	bj_regions_clear(&job->map, extent->first,
			 extent->first + extent->nr - 1);
	job->pipe.marked -= extent_bytes(extent);
	spin_unlock_irq(&job->lock);
	extent->marked = false;
}

/*
 * The old data are safe from the consumer. With a spill device they may be
 * underway for long: then the range is not kept busy, as that would be in the
 * way of others that have the same bits of the table. Nobody takes it again, as
 * it stays clean; the views look at the map of what is away.
 */
static void extent_saved(struct blkjob *job, struct bj_extent *extent)
{
	struct bj_regions *away = &job->views.away;

	/* In this order: see bj_view_way(). */
	if (away->nr)
		bj_regions_set(away, extent->first,
			       extent->first + extent->nr - 1);
	extent_clear(job, extent);
	if (!away->nr)
		return;
	bj_busy_unlock(job->busy, extent->sector, extent->nr_sectors);
	extent->away = true;
}

static void extent_release(struct blkjob *job, struct bj_extent *extent)
{
	if (extent->away)
		bj_regions_clear(&job->views.away, extent->first,
				 extent->first + extent->nr - 1);
	else
		bj_busy_unlock(job->busy, extent->sector, extent->nr_sectors);
}

void bj_extent_read(struct blkjob *job, struct bj_extent *extent)
{
	if (job->pipe.clear_at == BJ_CLEAR_READ && !extent->status &&
	    !extent->abandoned)
		extent_saved(job, extent);
}

/* That saves the old data as well as the target device does. */
void bj_extent_spilled(struct blkjob *job, struct bj_extent *extent)
{
	if (extent->marked && extent->spilled &&
	    extent->spilled == extent->pieces &&
	    extent->lane->extent != extent && !extent->status &&
	    !extent->abandoned)
		extent_saved(job, extent);
}

static void extent_count(struct blkjob *job, const struct bj_extent *extent,
			 bool copied)
{
	struct bj_pipe *pipe = &job->pipe;
	u64 bytes = extent_bytes(extent);

	spin_lock_irq(&job->lock);
	pipe->in_flight -= bytes;
	if (extent->marked)
		pipe->marked -= bytes;
	if (copied) {
		job->stats.copied += bytes - extent->zeroed;
		job->stats.zeroed += extent->zeroed;
		job->backoff = 0;
		if (!extent->first_pass)
			job->stats.recopied += bytes;
		if (extent->lane == &pipe->lane[BJ_URGENT])
			job->stats.urgent += bytes;
	}
	__bj_rate_update(job, ktime_get_ns());
	spin_unlock_irq(&job->lock);
}

/* The range is free again. */
static void extent_end(struct blkjob *job, struct bj_extent *extent)
{
	bool copied = !extent->status && !extent->abandoned;
	struct bj_pipe *pipe = &job->pipe;
	struct bj_lane *lane = extent->lane;

	if (copied)
		bj_checksums_end(job, extent);
	if (copied && job->type->copied)
		job->type->copied(job, extent->first, extent->nr);
	if (copied && extent->marked)
		extent_clear(job, extent);
	if (!copied && pipe->clear_at == BJ_CLEAR_TAKEN &&
	    !bj_bug(BJ_BUG_FAILED_CLEAN))
		bj_mark_dirty(job, extent->sector, extent->nr_sectors);
	if (copied && bj_bug(BJ_BUG_CLEAR_AFTER_COPY))
		bj_regions_clear(&job->map, extent->first,
				 extent->first + extent->nr - 1);
	/* It may be in flight when the next sweep but one begins. */
	if (extent->status)
		pipe->trusted_pass = job->stats.passes + 3;
	if (extent->status && extent->nr > 1)
		be_careful(pipe, extent);
	extent_release(job, extent);
	extent_count(job, extent, copied);

	if (extent->status && extent->nr == 1) {
		if (lane == &pipe->lane[BJ_URGENT])
			job->type->urgent_failed(job, extent);
		else
			bj_error(job, bj_extent_side(extent), extent->failed_op,
				 extent->status, extent->failed_sector);
	}
	if (!extent->status)
		bj_recovered(job);
	if (extent->replaced) {
		kfree(extent);
		return;
	}
	*extent = (struct bj_extent) {};
	list_add(&extent->list, &lane->extents);
}

void bj_extent_done(struct blkjob *job, struct bj_extent *extent)
{
	if (job->pipe.clear_at == BJ_CLEAR_FLUSHED && !extent->status &&
	    !extent->abandoned) {
		extent->ticket = bj_flush_ticket(bj_flush_of(job, BJ_TARGET));
		list_add_tail(&extent->list, &job->pipe.stored);
		return;
	}
	extent_end(job, extent);
}

void bj_extents_flushed(struct blkjob *job)
{
	struct bj_extent *extent, *next;

	/* Stopped by an error, which may be that of the flush. */
	if (READ_ONCE(job->state) == BLKJOB_PAUSED && READ_ONCE(job->io_failed))
		return;
	list_for_each_entry_safe(extent, next, &job->pipe.stored, list) {
		if (READ_ONCE(job->state) >= BLKJOB_ABORTING)
			extent->abandoned = true;
		else if (!bj_flushed(bj_flush_of(job, BJ_TARGET),
				     extent->ticket))
			return;
		list_del(&extent->list);
		extent_end(job, extent);
	}
}
