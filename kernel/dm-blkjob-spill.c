// SPDX-License-Identifier: GPL-2.0
/*
 * The spill device of a backup: a local device that takes old data first, so
 * that a target device which is slow does not delay a write of the consumer.
 *
 * Without one, a piece of the urgent lane stays in its buffer until the target
 * device has it, and when all buffers are full the next write waits. With one,
 * the piece goes to a free place of the spill device, and its buffer is free as
 * soon as that is written. It comes back in order, in buffers of a lane of its
 * own, and goes the way of every other piece from there: zeroes, errors, the
 * target device's policy. Its extent is not done before that, and so counts as
 * in flight. Where its pieces are is known in memory only, as the job is.
 *
 * Nothing depends on the spill device but what is there: if it is full, does
 * not work, or memory is lacking, a piece goes to the target device at once, as
 * without one. What cannot be read back is lost, and the job fails.
 *
 * All of it is the worker's, but for the constructor and bj_spill_submit().
 */
#include <linux/bitmap.h>

#include "dm-blkjob-copy.h"

/* The bitmap of the places takes at most 2 MiB; what is behind is not used. */
#define BJ_SPILL_PLACES		BIT_ULL(24)

/* A piece that is on the spill device, or on the way there. */
struct bj_spilled {
	struct list_head list;		/* spill.queue */
	struct bj_extent *extent;
	struct bj_extent *spare;	/* for its lane, while it is away */
	sector_t sector;
	unsigned int bytes;
	unsigned long place;
};

struct bj_spill {
	struct bj_leg leg;
	unsigned int place_bytes;	/* constant */
	unsigned long nr_places;
	unsigned long nr_free;
	unsigned long cursor;		/* look for the next ones from here */
	unsigned long *used;		/* bit per place */
	struct list_head queue;		/* of struct bj_spilled, the oldest first */
	struct bj_submitter submitter;
	bool broken;			/* take nothing more */
	/* For the status line: */
	u64 bytes;			/* there now */
	u64 errors;
	u64 full;			/* pieces that found no place */
};

/*----------------------------- Places -----------------------------*/

static unsigned long nr_places(const struct bj_spill *spill, unsigned int bytes)
{
	return DIV_ROUND_UP(bytes, spill->place_bytes);
}

/* The first of some that are in a row, or nr_places. */
static unsigned long places_get(struct bj_spill *spill, unsigned long nr)
{
	unsigned long place = spill->nr_places;

	if (spill->nr_free < nr)
		return place;
	place = bitmap_find_next_zero_area(spill->used, spill->nr_places,
					   spill->cursor, nr, 0);
	if (place >= spill->nr_places)
		place = bitmap_find_next_zero_area(spill->used,
						   spill->nr_places, 0, nr, 0);
	if (place >= spill->nr_places)
		return spill->nr_places;
	bitmap_set(spill->used, place, nr);
	spill->nr_free -= nr;
	spill->cursor = place + nr;
	return place;
}

static struct bj_spilled *spilled_new(struct blkjob *job, struct bj_slot *slot)
{
	gfp_t gfp = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN;
	struct bj_spilled *spilled = kzalloc(sizeof(*spilled), gfp);

	if (!spilled)
		return NULL;
	spilled->spare = kzalloc(sizeof(*spilled->spare), gfp);
	if (!spilled->spare) {
		kfree(spilled);
		return NULL;
	}
	spilled->extent = slot->extent;
	spilled->sector = slot->sector;
	spilled->bytes = slot->bytes;
	return spilled;
}

/* It is not there any more, and its place is free. */
static void spilled_free(struct bj_spill *spill, struct bj_spilled *spilled)
{
	unsigned long nr = nr_places(spill, spilled->bytes);

	bitmap_clear(spill->used, spilled->place, nr);
	spill->nr_free += nr;
	WRITE_ONCE(spill->bytes, spill->bytes - spilled->bytes);
	kfree(spilled->spare);
	kfree(spilled);
}

/*---------------------------- There, back --------------------------*/

void bj_spill_submit(struct bj_slot *slot)
{
	struct bj_spill *spill = slot->job->spill;

	bj_slot_submit_at(slot, spill->leg.dev->bdev, slot->spilled->place *
			  (spill->place_bytes >> SECTOR_SHIFT));
}

static void spill_queue(struct bj_slot *slot, bool writing)
{
	slot->writing = writing;
	bj_submitter_add(&slot->job->spill->submitter, slot);
}

bool bj_spill_take(struct bj_slot *slot)
{
	struct blkjob *job = slot->job;
	struct bj_spill *spill = job->spill;
	struct bj_spilled *spilled;

	if (!spill || spill->broken ||
	    slot->lane != &job->pipe.lane[BJ_URGENT] ||
	    slot->extent->status || slot->extent->abandoned)
		return false;
	spilled = spilled_new(job, slot);
	if (!spilled)
		return false;
	spilled->place = places_get(spill, nr_places(spill, slot->bytes));
	if (spilled->place == spill->nr_places) {
		WRITE_ONCE(spill->full, spill->full + 1);
		kfree(spilled->spare);
		kfree(spilled);
		return false;
	}
	WRITE_ONCE(spill->bytes, spill->bytes + spilled->bytes);
	slot->spilled = spilled;
	spill_queue(slot, true);
	return true;
}

/* The spill device has the piece: the buffer is free, the extent stays. */
static void spill_stored(struct bj_slot *slot)
{
	struct bj_spilled *spilled = slot->spilled;
	struct bj_extent *extent = slot->extent;
	struct bj_lane *lane = slot->lane;

	slot->spilled = NULL;
	list_add_tail(&spilled->list, &slot->job->spill->queue);
	/* A free slot promises a free extent. */
	if (!extent->replaced) {
		list_add(&spilled->spare->list, &lane->extents);
		spilled->spare = NULL;
		extent->replaced = true;
	}
	extent->spilled++;
	bj_slot_put(slot);
	bj_extent_spilled(slot->job, extent);
}

static void spill_error(struct bj_slot *slot, const char *op, const char *action)
{
	struct blkjob *job = slot->job;
	struct bj_spill *spill = job->spill;
	blk_status_t status = slot->bio.bi_status;

	DMWARN_LIMIT("%s: %s error %d at sector %llu of the data", bj_name(job),
		     op, blk_status_to_errno(status), (u64)slot->sector);
	spin_lock_irq(&job->lock);
	WRITE_ONCE(spill->errors, spill->errors + 1);
	job->stats.last_op = op;
	job->stats.last_errno = -blk_status_to_errno(status);
	job->stats.last_sector = slot->sector;
	/* Once, not for all that were in flight with the first one. */
	if (!spill->broken && job->state < BLKJOB_ABORTING) {
		__bj_event_error(job, action);
		bj_raise_event(job);
	}
	spill->broken = true;
	spin_unlock_irq(&job->lock);
}

/* The old data are nowhere else: there is no image. */
static void spill_lost(struct bj_slot *slot)
{
	struct blkjob *job = slot->job;

	spill_error(slot, "spill-read", bj_on_error_name(BJ_ON_ERROR_REPORT));
	spin_lock_irq(&job->lock);
	__bj_abort(job, "spill-read-error");
	spin_unlock_irq(&job->lock);
	slot->extent->abandoned = true;
}

enum bj_spill_next bj_spill_ended(struct bj_slot *slot)
{
	blk_status_t status = slot->bio.bi_status;
	struct bj_extent *extent = slot->extent;
	struct blkjob *job = slot->job;
	bool wanted;

	/* Given up, and the status may be our own doing. */
	if (READ_ONCE(job->state) >= BLKJOB_ABORTING)
		extent->abandoned = true;
	wanted = !extent->status && !extent->abandoned;
	if (wanted && !status && slot->writing) {
		spill_stored(slot);
		return BJ_SPILL_STORED;
	}
	if (wanted && status && slot->writing)
		spill_error(slot, "spill-write", "no-spill");
	else if (wanted && status)
		spill_lost(slot);
	/* From here on the buffer has the only copy, or nobody wants it. */
	spilled_free(job->spill, slot->spilled);
	slot->spilled = NULL;
	return extent->status || extent->abandoned ? BJ_SPILL_DONE :
						     BJ_SPILL_WRITE;
}

void bj_spill_drop(struct blkjob *job, struct bj_extent *extent)
{
	struct bj_spilled *spilled, *next;
	struct bj_spill *spill = job->spill;

	list_for_each_entry_safe(spilled, next, &spill->queue, list) {
		struct bj_extent *its = spilled->extent;

		if (extent && its != extent)
			continue;
		list_del(&spilled->list);
		spilled_free(spill, spilled);
		if (extent) {
			extent->pieces--;
			continue;
		}
		its->abandoned = true;
		bj_piece_back(job, its);
	}
}

void bj_spill_move(struct blkjob *job)
{
	struct bj_lane *lane = &job->pipe.lane[BJ_MOVE];
	struct bj_spill *spill = job->spill;
	struct bj_spilled *spilled;
	struct bj_slot *slot;

	if (!spill)
		return;
	if (READ_ONCE(job->state) >= BLKJOB_ABORTING)
		bj_spill_drop(job, NULL);
	while (!list_empty(&spill->queue)) {
		slot = bj_slot_get(job, lane);
		if (!slot)
			return;
		spilled = list_first_entry(&spill->queue, struct bj_spilled,
					   list);
		list_del(&spilled->list);
		slot->extent = spilled->extent;
		slot->sector = spilled->sector;
		slot->bytes = spilled->bytes;
		slot->at = 0;
		slot->spilled = spilled;
		atomic_inc(&job->ios);
		spill_queue(slot, false);
	}
}

/*-------------------------- Coming, going --------------------------*/

static __printf(2, 3) int refuse(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, BJ_ERROR_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int check_device(struct blkjob *job, struct bj_spill *spill,
			const char *path, char *error)
{
	unsigned int source = bdev_logical_block_size(bj_bdev(job, BJ_SOURCE));
	unsigned int block = bdev_logical_block_size(spill->leg.dev->bdev);
	u64 bytes = spill->leg.nr_sectors << SECTOR_SHIFT;
	unsigned int most = job->pipe.lane[BJ_URGENT].slot_bytes;

	if (block > source)
		return refuse(error,
			      "spill device %.60s has logical blocks of %u bytes, the source of %u",
			      path, block, source);
	if (bytes < most)
		return refuse(error,
			      "spill device %.60s has %llu bytes, at least %u are needed",
			      path, bytes, most);
	spill->place_bytes = min_t(u64, most,
				   1ULL << (job->region_shift + SECTOR_SHIFT));
	spill->nr_places = min(div_u64(bytes, spill->place_bytes),
			       BJ_SPILL_PLACES);
	spill->nr_free = spill->nr_places;
	return 0;
}

int bj_spill_init(struct blkjob *job, char *error)
{
	const char *path = job->opt.spill;
	struct bj_spill *spill;
	int r;

	if (!path)
		return 0;
	if (job->opt.cbw_stored)
		return refuse(error,
			      "cbw_stored waits for the target device, and a spill device is there so that nothing does: use one of them");
	spill = kzalloc_obj(*spill);
	if (!spill)
		return -ENOMEM;
	job->spill = spill;
	INIT_LIST_HEAD(&spill->queue);
	INIT_LIST_HEAD(&spill->leg.claim.list);
	bj_submitter_init(&spill->submitter);
	r = bj_legs_open_spill(job, &spill->leg, path, error);
	if (!r)
		r = check_device(job, spill, path, error);
	if (r)
		return r;
	job->opt.spill = spill->leg.dev->name;
	snprintf(error, BJ_ERROR_LEN, "there is no memory for the spill device");
	spill->used = kvcalloc(BITS_TO_LONGS(spill->nr_places),
			       sizeof(*spill->used), GFP_KERNEL);
	if (!spill->used)
		return -ENOMEM;
	r = bj_views_prepare_away(job);
	return r ? r : bj_pipe_add_move(job);
}

/* Also after a failed bj_spill_init(), or none. Nothing is in flight. */
void bj_spill_exit(struct blkjob *job)
{
	struct bj_spill *spill = job->spill;
	struct bj_spilled *spilled, *next;

	if (!spill)
		return;
	list_for_each_entry_safe(spilled, next, &spill->queue, list) {
		struct bj_extent *extent = spilled->extent;

		spilled_free(spill, spilled);
		/* One that is being issued goes with its lane. */
		if (!--extent->pieces && extent->lane->extent != extent)
			kfree(extent);
	}
	bj_legs_close_one(job, &spill->leg);
	kvfree(spill->used);
	kfree(spill);
	job->spill = NULL;
}

void bj_spill_status(struct blkjob *job, char *result, unsigned int maxlen)
{
	struct bj_spill *spill = job->spill;
	unsigned int sz = 0;

	if (spill)
		DMEMIT(" spilled=%llu spill_full=%llu spill_errors=%llu",
		       READ_ONCE(spill->bytes), READ_ONCE(spill->full),
		       READ_ONCE(spill->errors));
}
