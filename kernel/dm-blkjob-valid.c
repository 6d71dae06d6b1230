// SPDX-License-Identifier: GPL-2.0
/*
 * Which regions are on the target device: in memory and on disk.
 *
 * A bit is set when the target device has the region, and never cleared. It
 * must not be on disk before the region is on stable storage, and a flush of
 * the consumer must not end before all that it covers is, bits included. So a
 * commit
 *
 *   1. takes what waits for it, and freezes the new bits,
 *   2. flushes the target device, which has the data of these,
 *   3. writes them, each block into both slots,
 *   4. ends what it was for.
 *
 * A block is both its slots: after step 4 either of them is enough, so one
 * that is damaged costs nothing. Before it nothing was promised.
 *
 * A commit is made when a flush or a FUA write waits for one, and otherwise a
 * second after the first new bit.
 *
 * If a step fails, nobody knows what is on stable storage, now or ever: a
 * device that has failed a flush may have lost what a later one cannot find.
 * What is on disk stays as it is, and whatever needs more fails.
 */
#include "dm-blkjob-valid.h"

#define BJ_COMMIT_AFTER	((u64)NSEC_PER_SEC)
#define BJ_BLOCK_LONGS	(BLKJOB_MD_BLOCK_BITS / BITS_PER_LONG)

/* bj_valid.phase */
enum { COMMIT_IDLE, COMMIT_FLUSH, COMMIT_WRITE };

/*-------------------------- Any context ---------------------------*/

/* Returns how many are new. A full barrier. */
static unsigned int bits_set(unsigned long *bits, u64 first, u64 last)
{
	unsigned int nr = 0;
	u64 at = first;

	while (at <= last) {
		unsigned int lo = at % BITS_PER_LONG;
		unsigned int n = min_t(u64, BITS_PER_LONG - lo, last - at + 1);
		unsigned long mask = GENMASK(lo + n - 1, lo), old;
		atomic_long_t *word = (atomic_long_t *)&bits[at / BITS_PER_LONG];

		old = atomic_long_fetch_or(mask, word);
		nr += hweight_long(mask & ~old);
		at += n;
	}
	return nr;
}

void bj_valid_add(struct bj_valid *valid, u64 first, u64 last)
{
	u32 block = div_u64(first, BLKJOB_MD_BLOCK_BITS);
	u32 end = div_u64(last, BLKJOB_MD_BLOCK_BITS);

	atomic64_add(bits_set(valid->bits, first, last), &valid->nr);
	/* Pairs with freeze(): the bits are seen by who sees this one. */
	for (; block <= end; block++)
		if (!test_bit(block, valid->fresh))
			set_bit(block, valid->fresh);
}

void bj_valid_promise(struct bj_valid *valid, u64 first, u64 last)
{
	bj_valid_add(valid, first, last);
	/* Pairs with commit_begin(): fresh is seen by who takes this one. */
	smp_mb__before_atomic();
	set_bit(BJ_VALID_PROMISED, &valid->flags);
}

bool bj_valid_settled(struct bj_valid *valid)
{
	/*
	 * Pairs with commit_begin(): who finds the promise taken sees that it
	 * is being kept. And with bj_valid_frozen(), by the end of that write.
	 */
	if (test_bit(BJ_VALID_PROMISED, &valid->flags))
		return false;
	/* See above. */
	smp_rmb();
	return !test_bit(BJ_VALID_COMMITTING, &valid->flags) &&
	       !bj_valid_broken(valid);
}

void bj_valid_hold(struct bj_valid *valid, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&valid->lock, flags);
	bio_list_add(&valid->waiting, bio);
	spin_unlock_irqrestore(&valid->lock, flags);
	bj_kick(valid->job);
}

/*----------------------------- Worker -----------------------------*/

static void end_all(struct bio_list *list, blk_status_t status)
{
	struct bio *bio;

	while ((bio = bio_list_pop(list))) {
		bio->bi_status = status;
		/* A write has ended once already: this is for dm alone. */
		if (bio->bi_opf & REQ_PREFLUSH)
			bio_endio(bio);
		else
			bio->bi_end_io(bio);
	}
}

static void take_waiting(struct bj_valid *valid, struct bio_list *list)
{
	spin_lock_irq(&valid->lock);
	bio_list_merge(list, &valid->waiting);
	bio_list_init(&valid->waiting);
	spin_unlock_irq(&valid->lock);
}

static bool any_fresh(const struct bj_valid *valid)
{
	u32 blocks = valid->md.super->bitmap_blocks;

	return find_first_bit(valid->fresh, blocks) < blocks;
}

bool bj_valid_clean(struct bj_valid *valid)
{
	return bj_valid_broken(valid) ||
	       (valid->phase == COMMIT_IDLE && !any_fresh(valid));
}

static void freeze(struct bj_valid *valid)
{
	struct bj_md_map *map = &valid->md.map[0];
	unsigned long block;
	unsigned int i;

	for_each_set_bit(block, valid->fresh, valid->md.super->bitmap_blocks) {
		unsigned long *to = map->bits + block * BJ_BLOCK_LONGS;
		unsigned long *from = valid->bits + block * BJ_BLOCK_LONGS;

		clear_bit(block, valid->fresh);
		/* Pairs with bj_valid_add(): these bits now, or fresh again. */
		smp_mb__after_atomic();
		for (i = 0; i < BJ_BLOCK_LONGS; i++)
			WRITE_ONCE(to[i], READ_ONCE(from[i]));
		__set_bit(block, map->stale);
	}
}

static void commit_begin(struct bj_valid *valid)
{
	set_bit(BJ_VALID_COMMITTING, &valid->flags);
	/* Pairs with bj_valid_settled(): who does not see the promise ... */
	smp_mb__after_atomic();
	clear_bit(BJ_VALID_PROMISED, &valid->flags);
	/* Pairs with bj_valid_promise(): what was promised by now is fresh. */
	smp_mb__after_atomic();
	take_waiting(valid, &valid->committing);
	freeze(valid);
	valid->ticket = bj_flush_ticket(bj_flush_of(valid->job,
						    BJ_TARGET));
	valid->phase = bj_bug(BJ_BUG_VALID_BEFORE_DATA) ? COMMIT_WRITE :
							 COMMIT_FLUSH;
	valid->due = 0;
}

static void commit_end(struct bj_valid *valid, blk_status_t status)
{
	valid->phase = COMMIT_IDLE;
	valid->commits += !status;
	/* All of it is on disk before a flush is sent past us. */
	smp_mb__before_atomic();
	clear_bit(BJ_VALID_COMMITTING, &valid->flags);
	end_all(&valid->committing, status);
}

void bj_valid_break(struct bj_valid *valid, enum bj_side side, const char *op,
		    blk_status_t status, sector_t sector)
{
	const char *error = side == BJ_METADATA ? "metadata-write-error" :
						  bj_error_word(side, op, status);
	struct blkjob *job = valid->job;

	set_bit(BJ_VALID_BROKEN, &valid->flags);
	spin_lock_irq(&job->lock);
	__bj_error_note(job, side, op, status, sector);
	job->io_failed = true;
	__bj_event_error(job, "report");
	__bj_abort(job, error);
	/* Also of one that has ended before, and was still in use. */
	job->error = error;
	spin_unlock_irq(&job->lock);
	bj_raise_event(job);
	commit_end(valid, BLK_STS_IOERR);
}

/* Begin to write the next blocks; false: there are none. */
static bool write_next(struct bj_valid *valid)
{
	struct bj_md *md = &valid->md;
	struct bj_md_map *map = &md->map[0];
	u64 generation = md->super->bitmap[0].generation;
	unsigned long block;
	unsigned int slot;

	for_each_set_bit(block, map->stale, md->super->bitmap_blocks) {
		if (md->nr + BLKJOB_MD_SLOTS > BJ_MD_BATCH)
			break;
		__clear_bit(block, map->stale);
		map->sequence[block]++;
		for (slot = 0; slot < BLKJOB_MD_SLOTS; slot++) {
			u64 sector = bj_md_bitmap_sector(md->super, 0, block,
							 slot);

			bj_md_bits_encode(bj_md_add(md, sector), map->bits,
					  generation, map->sequence[block],
					  block, slot);
		}
		/* The checksums of a batch take long. */
		cond_resched();
	}
	if (!md->nr)
		return false;
	bj_md_write(md, REQ_FUA);
	return true;
}

/* True if it has ended. */
static bool commit_step(struct bj_valid *valid)
{
	blk_status_t status = BLK_STS_OK;
	sector_t sector = 0;

	if (valid->phase == COMMIT_FLUSH) {
		if (!bj_flushed(bj_flush_of(valid->job, BJ_TARGET),
				valid->ticket))
			return false;
		valid->phase = COMMIT_WRITE;
	}
	if (valid->md.running) {
		if (!bj_md_ended(&valid->md, &status, &sector))
			return false;
		valid->md.nr = 0;
	}
	if (status) {
		bj_valid_break(valid, BJ_METADATA, "write", status, sector);
		return true;
	}
	if (write_next(valid))
		return false;
	commit_end(valid, BLK_STS_OK);
	return true;
}

/* A reason for a commit? If it is for later, the worker comes back. */
static bool is_due(struct bj_valid *valid, bool now)
{
	u64 time;

	/* Who adds one kicks us afterwards. */
	if (READ_ONCE(valid->waiting.head))
		return true;
	if (!any_fresh(valid))
		return false;
	if (now)
		return true;
	time = ktime_get_ns();
	if (!valid->due)
		valid->due = time + BJ_COMMIT_AFTER;
	if (time >= valid->due)
		return true;
	bj_come_back(valid->job, valid->due - time);
	return false;
}

/* What waits cannot be served: nothing is committed, or dm takes it back. */
static void turn_away(struct bj_valid *valid, blk_status_t status)
{
	struct bio_list list;

	bio_list_init(&list);
	take_waiting(valid, &list);
	end_all(&list, status);
}

bool bj_valid_step(struct bj_valid *valid, bool now)
{
	struct blkjob *job = valid->job;
	bool again = false, running;

	if (valid->phase != COMMIT_IDLE)
		again = commit_step(valid);
	if (bj_valid_broken(valid))
		turn_away(valid, BLK_STS_IOERR);
	else if (READ_ONCE(job->noflush))
		turn_away(valid, BLK_STS_DM_REQUEUE);
	if (valid->phase == COMMIT_IDLE && !bj_valid_broken(valid) &&
	    is_due(valid, now)) {
		commit_begin(valid);
		again = true;
	}
	/* From its begin to its end it is in flight, for who waits for that. */
	running = valid->phase != COMMIT_IDLE;
	if (valid->counted == running)
		return again;
	valid->counted = running;
	if (valid->counted)
		atomic_inc(&job->ios);
	else if (atomic_dec_and_test(&job->ios))
		wake_up(&job->drained);
	return again;
}

/*-------------------------- Constructor ---------------------------*/

int bj_valid_init(struct bj_valid *valid, struct blkjob *job, char *error)
{
	size_t bytes;
	int r;

	valid->job = job;
	spin_lock_init(&valid->lock);
	bio_list_init(&valid->waiting);
	bio_list_init(&valid->committing);
	valid->md.fixed = "valid";
	r = bj_md_init(&valid->md, job, error);
	if (r)
		return r;
	bytes = (size_t)valid->md.super->bitmap_blocks *
		(BLKJOB_MD_BLOCK_BITS / BITS_PER_BYTE);
	valid->bits = kvmalloc(bytes, GFP_KERNEL);
	valid->fresh = kvcalloc(BITS_TO_LONGS(valid->md.super->bitmap_blocks),
				sizeof(long), GFP_KERNEL);
	if (!valid->bits || !valid->fresh) {
		snprintf(error, BJ_ERROR_LEN,
			 "there is no memory for what is valid");
		return -ENOMEM;
	}
	memcpy(valid->bits, valid->md.map[0].bits, bytes);
	atomic64_set(&valid->nr, bitmap_weight(valid->bits, job->map.nr));
	/* A block that was found damaged is written again. */
	bitmap_copy(valid->fresh, valid->md.map[0].stale,
		    valid->md.super->bitmap_blocks);
	return 0;
}

void bj_valid_exit(struct bj_valid *valid)
{
	bj_md_exit(&valid->md);
	kvfree(valid->bits);
	kvfree(valid->fresh);
}
