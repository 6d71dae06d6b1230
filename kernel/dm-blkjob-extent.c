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
u64 bj_copy_window(struct blkjob *job)
{
	u64 left;

	if (!READ_ONCE(job->narrow))
		return U64_MAX;
	left = bj_dirty_bytes(job) + job->pipe.in_flight;
	return max_t(u64, left / BJ_NARROW, 1);
}

static u64 extent_max_regions(struct blkjob *job, u64 first)
{
	u64 unit = bj_pace_unit(&job->pace, job->pipe.slot_bytes) >>
		   SECTOR_SHIFT;
	u64 max = max_t(u64, min(unit, bj_copy_window(job) >> SECTOR_SHIFT) >>
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
struct bj_extent *bj_extent_next(struct blkjob *job)
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
void bj_extent_done(struct blkjob *job, struct bj_extent *extent)
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
