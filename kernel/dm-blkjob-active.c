// SPDX-License-Identifier: GPL-2.0
/*
 * Active writes (QEMU's word, block/mirror.c): a write of the consumer goes to
 * both legs, in parallel, from one private copy of its data. The copy is
 * needed because pages may change while they are being written; sent twice,
 * they could leave two legs that differ.
 *
 * A leg that fails leaves the range dirty. In the commit window (state
 * pending) that is not enough, since the caller may be about to rely on the
 * leg that failed: the write is held until finalize, rollback or cancel has
 * decided which leg counts.
 */
#include <linux/blk-cgroup.h>

#include "dm-blkjob-mirror.h"

#define BJ_ACTIVE_RESERVE	16
#define BJ_ACTIVE_PAGES		((BJ_ACTIVE_SECTORS << SECTOR_SHIFT) / PAGE_SIZE)
#define BJ_ACTIVE_VECS		4	/* enough for most writes */

struct bj_active {
	/* As the legs were when it was sent, see turned. */
	struct bio source;		/* has the copy of the data */
	struct bio target;		/* uses it */
	struct bio_vec inline_vecs[BJ_ACTIVE_VECS];
	struct list_head list;		/* mirror->in_flight, until finished */
	/* All that follows is zero at first; bios are as far as bi_bdev is set. */
	struct bj_mirror *mirror;
	struct bio *orig;		/* dm's clone, never submitted itself */
	struct bio_vec *vecs;		/* of both */
	unsigned int size;		/* bytes */
	bool zero_pages;		/* the data are of the zero page */
	bool zeroing;			/* counted in mirror->zeroing */
	unsigned int turned;		/* job->turned when it was sent */
	blk_status_t status[2];
	unsigned long missing;		/* bit per side; in_flight_lock. If orig
					 * is NULL, it did not wait for them.
					 */
	sector_t sector;
	unsigned int nr_sectors;	/* busy range, 0 = none (flush) */
	struct list_head held;
	u64 held_since;
	u64 begun;			/* ns, 0 = not timed */
};

static struct kmem_cache *active_cache;
static struct kmem_cache *page_cache;

static void active_free(struct bj_active *active)
{
	struct bj_mirror *mirror = active->mirror;
	unsigned int i;

	if (active->zeroing && atomic_dec_and_test(&mirror->zeroing))
		bj_kick(mirror->job);
	if (active->vecs && !active->zero_pages)
		for (i = 0; i < active->source.bi_vcnt; i++)
			mempool_free(bvec_virt(&active->vecs[i]),
				     &mirror->pages);
	if (active->source.bi_bdev)
		bio_uninit(&active->source);
	if (active->target.bi_bdev)
		bio_uninit(&active->target);
	if (active->vecs && active->vecs != active->inline_vecs)
		mempool_free(active->vecs, &mirror->vecs);
	mempool_free(active, &mirror->actives);
}

/*
 * The range is free: tell whoever found it busy. The full barrier in
 * bj_busy_unlock() pairs with the one between "I wait" and the last try.
 */
static void active_finish(struct bj_active *active, blk_status_t status)
{
	struct bj_mirror *mirror = active->mirror;
	struct blkjob *job = mirror->job;
	struct bio *orig = active->orig;
	unsigned long flags;

	if (active->nr_sectors)
		bj_busy_unlock(job->busy, active->sector, active->nr_sectors);
	/* The destructor waits for an empty list and then for this section. */
	rcu_read_lock();
	spin_lock_irqsave(&mirror->in_flight_lock, flags);
	list_del(&active->list);
	spin_unlock_irqrestore(&mirror->in_flight_lock, flags);
	if (READ_ONCE(job->pipe.blocked) || atomic_read(&mirror->nr_parked) ||
	    READ_ONCE(mirror->abandoned))
		bj_kick(job);
	active_free(active);
	rcu_read_unlock();
	if (!orig)
		return;
	orig->bi_status = status;
	bio_endio(orig);
}

/* As what it was sent to the leg that is @side now. */
static enum bj_side sent_as(const struct bj_active *active, enum bj_side side)
{
	return side ^ active->turned ^ READ_ONCE(active->mirror->job->turned);
}

/* The bio to end if only the target device is still to answer, or NULL. */
static struct bio *active_let_go(struct bj_active *active)
{
	struct bio *orig = active->orig;

	lockdep_assert_held(&active->mirror->in_flight_lock);
	if (active->missing != BIT(sent_as(active, BJ_TARGET)) || !orig)
		return NULL;
	orig->bi_status = active->status[sent_as(active, BJ_SOURCE)];
	active->orig = NULL;
	return orig;
}

static bool refused_zeroes(struct bj_active *active, blk_status_t status)
{
	return active->zeroing && !active->zero_pages &&
	       (status == BLK_STS_NOTSUPP || status == BLK_STS_TARGET);
}

/* All legs have answered. Any context. */
static void active_done(struct bj_active *active)
{
	struct bj_mirror *mirror = active->mirror;
	struct blkjob *job = mirror->job;
	const char *op = active->nr_sectors ? "write" : "flush";
	blk_status_t source, target;
	unsigned long flags;
	bool held;

	if (likely(!active->status[BJ_SOURCE] && !active->status[BJ_TARGET])) {
		active_finish(active, BLK_STS_OK);
		return;
	}
	/*
	 * Dirty first, then look at the state: legs_equal() looks the other
	 * way round before it declares the legs equal.
	 */
	if (active->nr_sectors && !bj_bug(BJ_BUG_FAILED_WRITE_CLEAN))
		bj_mark_dirty(job, active->sector, active->nr_sectors);

	spin_lock_irqsave(&job->lock, flags);
	source = active->status[sent_as(active, BJ_SOURCE)];
	target = active->status[sent_as(active, BJ_TARGET)];
	/* The copy will bring them; it knows what to do. */
	if (refused_zeroes(active, target))
		target = BLK_STS_OK;
	held = job->state == BLKJOB_PENDING && (source || target);
	if (held) {
		active->held_since = ktime_get_ns();
		list_add_tail(&active->held, &mirror->held);
		mirror->nr_held++;
	}
	if (target)
		__bj_error(job, BJ_TARGET, op, target, active->sector);
	else if (held)
		__bj_error(job, BJ_SOURCE, op, source, active->sector);
	if (job->active == BJ_TARGET)
		source = target;
	spin_unlock_irqrestore(&job->lock, flags);

	if (held)
		return;
	/* For the dirty range; nobody else may come by. */
	bj_wake(job);
	active_finish(active, source);
}

static void active_end_bio(struct bio *bio)
{
	struct bj_active *active = bio->bi_private;
	enum bj_side side = bio == &active->target ? BJ_TARGET : BJ_SOURCE;
	struct bj_mirror *mirror = active->mirror;
	struct bio *early = NULL;
	unsigned long flags;
	bool last;

	if (unlikely(active->begun))
		bj_latency_add(mirror->job, BJ_LATENCY_ACTIVE + side,
			       active->begun);
	spin_lock_irqsave(&mirror->in_flight_lock, flags);
	active->status[side] = bio->bi_status;
	active->missing &= ~BIT(side);
	last = !active->missing;
	if (!last && (mirror->abandoned || bj_bug(BJ_BUG_ONE_LEG)))
		early = active_let_go(active);
	spin_unlock_irqrestore(&mirror->in_flight_lock, flags);

	if (early)
		bio_endio(early);
	if (last)
		active_done(active);
}

/*
 * The target device does not count any more: what waits for nothing else ends
 * now. The rest of it, buffer and busy range, waits for the device.
 */
void bj_active_abandon(struct bj_mirror *mirror)
{
	struct bj_active *active;
	struct bio_list list;
	struct bio *bio;

	bio_list_init(&list);
	spin_lock_irq(&mirror->in_flight_lock);
	mirror->abandoned = true;
	list_for_each_entry(active, &mirror->in_flight, list) {
		bio = active_let_go(active);
		if (bio)
			bio_list_add(&list, bio);
	}
	spin_unlock_irq(&mirror->in_flight_lock);
	while ((bio = bio_list_pop(&list)))
		bio_endio(bio);
}

static void active_submit(struct bj_active *active, unsigned long sides)
{
	struct bj_mirror *mirror = active->mirror;
	struct bio *orig = active->orig;
	unsigned long flags;

	active->missing = sides;
	spin_lock_irqsave(&mirror->in_flight_lock, flags);
	if (list_empty(&active->list))
		list_add_tail(&active->list, &mirror->in_flight);
	spin_unlock_irqrestore(&mirror->in_flight_lock, flags);
	/* The source first: submitting to a dead target device may hang. */
	if (sides & BIT(BJ_SOURCE))
		dm_submit_bio_remap(orig, &active->source);
	submit_bio_noacct(&active->target);
}

/*
 * Nothing of the consumer's flags but these: polled and nowait bios would
 * never end, or end early, on a device that the consumer does not know.
 */
static blk_opf_t active_opf(const struct bio *orig, bool without_data)
{
	blk_opf_t flags = REQ_SYNC | REQ_META | REQ_PRIO | REQ_IDLE;

	if (without_data)
		return REQ_OP_WRITE_ZEROES |
		       (orig->bi_opf & (flags | REQ_NOUNMAP));
	return REQ_OP_WRITE | (orig->bi_opf & (flags | REQ_FUA));
}

/*
 * The device, charged to the cgroup of the consumer. dm's clone has none until
 * it gets a device: in map the consumer is current, and see park().
 */
static void active_set_dev(struct bj_active *active, const struct bj_leg *leg,
			   struct bio *bio)
{
	struct cgroup_subsys_state *css = bio_blkcg_css(active->orig);

	bio->bi_bdev = leg->dev->bdev;
	if (css)
		bio_associate_blkg_from_css(bio, css);
	else
		bio_associate_blkg(bio);
}

static void active_address(struct bj_active *active, enum bj_side side,
			   struct bio *bio)
{
	const struct bj_leg *leg;

	leg = &active->mirror->job->leg[side ^ active->turned];
	active_set_dev(active, leg, bio);
	/* From the beginning, also for a bio that has been sent before. */
	bio->bi_iter = (struct bvec_iter) {
		.bi_sector = leg->start + active->sector,
		.bi_size = active->size,
	};
	bio->bi_private = active;
	bio->bi_end_io = active_end_bio;
}

/* The target device's bio: the source's data, or a flush. */
static void active_init_target(struct bj_active *active)
{
	struct bio *source = &active->source, *target = &active->target;

	if (active->nr_sectors) {
		bio_init(target, NULL, active->vecs, source->bi_max_vecs,
			 source->bi_opf);
		bio_set_flag(target, BIO_CLONED);	/* of vecs */
		target->bi_vcnt = source->bi_vcnt;
		target->bi_ioprio = source->bi_ioprio;
	} else {
		bio_init(target, NULL, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	}
	active_address(active, BJ_TARGET, target);
}

/* Give the bio the data of the original, which must not change any more. */
static bool active_copy_data(struct bj_active *active, gfp_t gfp)
{
	struct bio *bio = &active->source;
	mempool_t *pages = &active->mirror->pages;
	unsigned int left = active->size;

	bio->bi_iter.bi_size = 0;
	while (left) {
		unsigned int len = min_t(unsigned int, left, PAGE_SIZE);
		void *page = active->zero_pages ? page_address(ZERO_PAGE(0)) :
						  mempool_alloc(pages, gfp);

		if (!page)
			return false;
		__bio_add_page(bio, virt_to_page(page), len, 0);
		left -= len;
	}
	if (!active->zero_pages)
		bio_copy_data(bio, active->orig);
	return true;
}

/*
 * Zeroes are written without data if possible. A device may refuse that though
 * it has announced it, and in COMMIT a write must not fail for such a reason:
 * there, zeroes are data. Pairs with enter_commit(): either zeroing is seen
 * there, or the new mode here.
 */
static bool active_without_data(struct bj_active *active)
{
	struct bj_mirror *mirror = active->mirror;

	if (bio_op(active->orig) != REQ_OP_WRITE_ZEROES)
		return false;
	active->zeroing = true;
	atomic_inc(&mirror->zeroing);
	/* See above. */
	smp_mb__after_atomic();
	if (READ_ONCE(mirror->mode) == BJ_MODE_SYNC)
		return true;
	active->zero_pages = true;
	return false;
}

/* The source's bio, with a copy of the data. */
static bool active_init_source(struct bj_active *active, gfp_t gfp)
{
	struct bj_mirror *mirror = active->mirror;
	struct bio *orig = active->orig, *bio = &active->source;
	bool without = active_without_data(active);
	unsigned int nr = without ? 0 : DIV_ROUND_UP(active->size, PAGE_SIZE);

	active->vecs = active->inline_vecs;
	if (nr > BJ_ACTIVE_VECS)
		active->vecs = mempool_alloc(&mirror->vecs, gfp);
	if (!active->vecs)
		return false;
	bio_init(bio, NULL, active->vecs, nr, active_opf(orig, without));
	active_address(active, BJ_SOURCE, bio);
	bio->bi_ioprio = orig->bi_ioprio;
	return without || active_copy_data(active, gfp);
}

static struct bj_active *active_alloc(struct bj_mirror *mirror,
				      struct bio *orig, gfp_t gfp)
{
	struct bj_active *active = mempool_alloc(&mirror->actives, gfp);

	if (!active)
		return NULL;
	memset_startat(active, 0, mirror);
	active->source.bi_bdev = NULL;
	active->target.bi_bdev = NULL;
	INIT_LIST_HEAD(&active->list);
	active->mirror = mirror;
	active->orig = orig;
	/* Once for both bios: whichever way round, they go to both legs. */
	active->turned = READ_ONCE(mirror->job->turned);
	return active;
}

int bj_active_write(struct bj_mirror *mirror, struct bj_io *io,
		    struct bio *bio, gfp_t gfp)
{
	struct blkjob *job = mirror->job;
	struct bj_active *active;
	int r = -EBUSY;

	if (!bj_busy_trylock(job->busy, io->sector, io->nr_sectors))
		return r;
	/*
	 * That was a full barrier: step_cancelled() sees the range busy, or
	 * here its mode is seen.
	 */
	if (!bj_in_step_mode(READ_ONCE(mirror->mode)))
		goto unlock;
	/* Under the lock no copy can change this answer to "clean". */
	if (bj_regions_dirty(&job->map, bj_first_region(job, io->sector),
			     bj_last_region(job, io->sector, io->nr_sectors)))
		goto unlock;

	r = -ENOMEM;
	active = active_alloc(mirror, bio, gfp);
	if (!active)
		goto unlock;
	active->sector = io->sector;
	active->nr_sectors = io->nr_sectors;
	active->size = bio->bi_iter.bi_size;
	if (!active_init_source(active, gfp)) {
		active_free(active);
		goto unlock;
	}
	active_init_target(active);
	/* Sampled as the consumer's write is, for the same reason. */
	active->begun = bj_is_timed(bio) ? ktime_get_ns() : 0;
	active_submit(active, BIT(BJ_SOURCE) | BIT(BJ_TARGET));
	return 0;

unlock:
	bj_busy_unlock(job->busy, io->sector, io->nr_sectors);
	/* Another one: it may have seen it busy for this moment. */
	if (!bj_in_step_mode(READ_ONCE(mirror->mode)))
		bj_kick(job);
	return r;
}

int bj_active_flush(struct bj_mirror *mirror, struct bio *bio, gfp_t gfp)
{
	struct bj_active *active = active_alloc(mirror, bio, gfp);

	if (!active)
		return -ENOMEM;
	/* To the leg that it is for, see send_flush(). */
	active->turned = dm_bio_get_target_bio_nr(bio) ^ BJ_TARGET;
	active_init_target(active);
	bj_time_bio(mirror->job, bio);
	active_submit(active, BIT(BJ_TARGET));
	return 0;
}

/* The target device counts, but has not got this: once more, to it alone. */
static void active_retry(struct bj_active *active)
{
	bio_uninit(&active->target);
	active->turned = READ_ONCE(active->mirror->job->turned);
	active_init_target(active);
	active->begun = 0;
	active->status[BJ_SOURCE] = BLK_STS_OK;
	active->status[BJ_TARGET] = BLK_STS_OK;
	active_submit(active, BIT(BJ_TARGET));
}

void bj_active_release(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	struct bj_active *active, *next;
	enum bj_side side;
	LIST_HEAD(list);
	bool requeue;
	u64 now;

	spin_lock_irq(&job->lock);
	/* Under the lock: none of them was held after it. */
	now = ktime_get_ns();
	requeue = job->noflush && job->state == BLKJOB_PENDING;
	if (requeue || job->state != BLKJOB_PENDING) {
		list_splice_init(&mirror->held, &list);
		mirror->nr_held = 0;
	}
	side = job->active;
	list_for_each_entry(active, &list, held)
		job->stats.pause_ns = max(job->stats.pause_ns,
					  now - active->held_since);
	spin_unlock_irq(&job->lock);

	list_for_each_entry_safe(active, next, &list, held) {
		if (requeue)
			active_finish(active, BLK_STS_DM_REQUEUE);
		else if (side == BJ_TARGET &&
			 active->status[sent_as(active, side)])
			active_retry(active);
		else
			active_finish(active,
				      active->status[sent_as(active, side)]);
	}
}

int bj_active_init(struct bj_mirror *mirror)
{
	int r;

	INIT_LIST_HEAD(&mirror->held);
	INIT_LIST_HEAD(&mirror->in_flight);
	spin_lock_init(&mirror->in_flight_lock);
	r = mempool_init_slab_pool(&mirror->actives, BJ_ACTIVE_RESERVE,
				   active_cache);
	if (!r)
		r = mempool_init_slab_pool(&mirror->pages, BJ_ACTIVE_PAGES,
					   page_cache);
	if (!r)
		r = mempool_init_kmalloc_pool(&mirror->vecs, BJ_ACTIVE_RESERVE,
					      BJ_ACTIVE_PAGES *
					      sizeof(struct bio_vec));
	return r;
}

/* Also after a failed, or no, bj_active_init(). */
void bj_active_exit(struct bj_mirror *mirror)
{
	mempool_exit(&mirror->vecs);
	mempool_exit(&mirror->pages);
	mempool_exit(&mirror->actives);
}

/* For a cache with a constructor nothing is cleared (init_on_alloc). */
static void not_cleared(void *object)
{
}

/*
 * Caches of our own, for all that is in them is written before it is used: an
 * allocation that clears it first costs more than all the rest of it.
 */
int __init bj_active_caches_init(void)
{
	active_cache = kmem_cache_create("dm_blkjob_active",
					 sizeof(struct bj_active), 0,
					 SLAB_HWCACHE_ALIGN, not_cleared);
	page_cache = kmem_cache_create("dm_blkjob_page", PAGE_SIZE, PAGE_SIZE,
				       0, not_cleared);
	if (active_cache && page_cache)
		return 0;
	bj_active_caches_exit();
	return -ENOMEM;
}

void bj_active_caches_exit(void)
{
	kmem_cache_destroy(page_cache);
	kmem_cache_destroy(active_cache);
}
