// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshot views, the job's side: where what they read is, and what becomes of
 * it when it is not there yet, or not wanted any more.
 *
 * A region whose bit is set was not saved yet, which means that no write was
 * let go to it: the source has the old data. When that read has ended the bit
 * is looked at once more. If it is clear by then a write may have been quicker,
 * but then the old data were saved before, and are read again, from the target
 * device of the job. So nobody has to wait for a reader, however slow it is. A
 * region that is clean but busy is still being written to the target device:
 * who wants to read it waits for the worker. So does who wants one that is
 * away: with a spill device the old data may be underway for long, and a region
 * that has been read is not busy any more.
 */
#include <linux/mutex.h>

#include "dm-blkjob.h"

/* At once, and not so many that they are never all free. */
#define BJ_GIVE_UP_SECTORS	(BJ_BUSY_MAX_SECTORS / 2)

static DEFINE_MUTEX(views_lock);
static LIST_HEAD(jobs);			/* views_lock; all that can be viewed */

struct blkjob *bj_view_job_get(struct bj_view *view)
{
	struct blkjob *job;

	rcu_read_lock();
	job = rcu_dereference(view->job);
	if (job && !refcount_inc_not_zero(&job->views.users))
		job = NULL;
	rcu_read_unlock();
	return job;
}

void bj_view_job_put(struct blkjob *job)
{
	if (refcount_dec_and_test(&job->views.users))
		complete(&job->views.unused);
}

/*-------------------------- Which way? ---------------------------*/

enum bj_way bj_view_way(struct blkjob *job, const struct bj_view_io *io)
{
	u64 region = bj_first_region(job, io->sector);
	enum bj_reach reach;

	if (bj_region_dirty(&job->map, region)) {
		reach = READ_ONCE(job->views.reach);
		return reach == BJ_REACH_ALL ? BJ_WAY_SOURCE : BJ_WAY_LOST;
	}
	/* It was left out, or taken, before. Pairs with bj_regions_clear(). */
	smp_rmb();
	if (bj_region_dirty(&job->views.left_out, region) ||
	    READ_ONCE(job->views.reach) == BJ_REACH_NOTHING)
		return BJ_WAY_LOST;
	if (!bj_busy_free(job->busy, io->sector, io->nr_sectors))
		return BJ_WAY_WAIT;
	/* What is not busy any more may be away. Pairs with extent_saved(). */
	smp_rmb();
	if (job->views.away.nr && bj_region_dirty(&job->views.away, region))
		return BJ_WAY_WAIT;
	/*
	 * Or it was stored, unless the job was given up before. Pairs with
	 * extent_release(), and the reach is lowered before that.
	 */
	smp_rmb();
	reach = READ_ONCE(job->views.reach);
	return reach == BJ_REACH_NOTHING ? BJ_WAY_LOST : BJ_WAY_TARGET;
}

void bj_view_aim(struct bio *bio)
{
	struct bj_view_io *io = bj_view_io(bio);
	enum bj_side side = io->way == BJ_WAY_SOURCE ? BJ_SOURCE : BJ_TARGET;

	bio_set_dev(bio, bj_bdev(io->job, side));
	bio->bi_iter.bi_sector = bj_leg_sector(io->job, side, io->sector);
}

void bj_view_park(struct blkjob *job, struct bio *bio)
{
	unsigned long flags;

	/* It may be over before the kick: bj_views_leave() waits for this. */
	rcu_read_lock();
	spin_lock_irqsave(&job->views.lock, flags);
	bio_list_add(&job->views.parked, bio);
	spin_unlock_irqrestore(&job->views.lock, flags);
	bj_kick(job);
	rcu_read_unlock();
}

/*----------------------------- Worker ----------------------------*/

static void send_released(struct work_struct *work)
{
	struct bj_views *views = container_of(work, struct bj_views, send);
	struct bio_list list;
	struct blk_plug plug;
	struct bio *bio;

	spin_lock_irq(&views->lock);
	list = views->released;
	bio_list_init(&views->released);
	spin_unlock_irq(&views->lock);

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&list)))
		dm_submit_bio_remap(bio, NULL);
	blk_finish_plug(&plug);
}

static void let_go(struct blkjob *job, struct bio *bio)
{
	spin_lock_irq(&job->views.lock);
	bio_list_add(&job->views.released, bio);
	spin_unlock_irq(&job->views.lock);
	queue_work(job->wq, &job->views.send);
}

static void end_lost(struct bio *bio)
{
	bj_view_io(bio)->way = BJ_WAY_LOST;
	bio_io_error(bio);
}

/* As it came, though it may have been on the source already. */
static void renew(struct bio *bio)
{
	struct bj_view_io *io = bj_view_io(bio);

	bio->bi_status = BLK_STS_OK;
	bio->bi_iter = io->iter;
	bio->bi_flags = io->flags;
	bio->bi_opf &= ~REQ_POLLED;
	/* Who splits it counts from here, and has left nothing. */
	atomic_set(&bio->__bi_remaining, 1);
}

/* Returns false if it still has to wait. */
static bool try_read(struct blkjob *job, struct bio *bio)
{
	struct bj_view_io *io = bj_view_io(bio);
	enum bj_way way = bj_view_way(job, io);

	if (way == BJ_WAY_WAIT)
		return false;
	renew(bio);
	if (way == BJ_WAY_LOST) {
		end_lost(bio);
		return true;
	}
	io->way = way;
	bj_view_aim(bio);
	let_go(job, bio);
	return true;
}

int bj_views_leave_out(struct blkjob *job, u64 first, u64 last)
{
	struct bj_regions *left_out = &job->views.left_out;

	if (!left_out->nr)
		return 0;
	if (bj_regions_reserve(left_out, first, last))
		return -ENOMEM;
	bj_regions_set(left_out, first, last);
	return 0;
}

/* Nobody copies them just now. 0, -EBUSY or -ENOMEM. */
static int give_up(struct blkjob *job, u64 first, u64 nr)
{
	sector_t sector = first << job->region_shift;
	u64 sectors = min((first + nr) << job->region_shift, job->nr_sectors) -
		      sector;
	int r;

	if (!bj_busy_trylock(job->busy, sector, sectors))
		return -EBUSY;
	r = job->views.away.nr && bj_regions_dirty(&job->views.away, first,
						   first + nr - 1) ? -EBUSY :
	    bj_views_leave_out(job, first, first + nr - 1);
	if (!r) {
		/* With the bytes in flight, for the status line. */
		spin_lock_irq(&job->lock);
		bj_regions_clear(&job->map, first, first + nr - 1);
		spin_unlock_irq(&job->lock);
	}
	bj_busy_unlock(job->busy, sector, sectors);
	return r;
}

/*
 * What is not saved yet need not be, and what is saved is discarded. Returns
 * false if it still has to wait.
 */
static bool try_discard(struct blkjob *job, struct bio *bio)
{
	struct bj_view_io *io = bj_view_io(bio);
	u64 nr = min_t(u64, io->end - io->first,
		       max(BJ_GIVE_UP_SECTORS >> job->region_shift, 1));
	int r;

	if (READ_ONCE(job->views.reach) == BJ_REACH_NOTHING) {
		end_lost(bio);
		return true;
	}
	r = give_up(job, io->first, nr);
	if (r == -EBUSY && nr > 1) {
		nr = 1;
		r = give_up(job, io->first, nr);
	}
	if (r == -EBUSY)
		return false;
	if (!r) {
		io->first += nr;
		if (io->first < io->end) {
			bj_kick(job);
			return false;
		}
	}
	/* No more than a hint: it may be that nothing comes of it. */
	if (r)
		io->nr_sectors = 0;
	if (r || !bdev_max_discard_sectors(bj_bdev(job, BJ_TARGET)))
		bio_endio(bio);
	else
		let_go(job, bio);
	return true;
}

void bj_views_step(struct blkjob *job)
{
	struct bj_views *views = &job->views;
	struct bio_list list;
	struct bio *bio;

	if (bio_list_empty(&views->waiting) &&
	    !READ_ONCE(views->parked.head))
		return;
	list = views->waiting;
	spin_lock_irq(&views->lock);
	bio_list_merge(&list, &views->parked);
	bio_list_init(&views->parked);
	spin_unlock_irq(&views->lock);

	bio_list_init(&views->waiting);
	while ((bio = bio_list_pop(&list))) {
		bool done = bio_op(bio) == REQ_OP_DISCARD ?
			    try_discard(job, bio) : try_read(job, bio);

		if (!done)
			bio_list_add(&views->waiting, bio);
	}
}

/*------------------------- Coming, going -------------------------*/

static bool may_be_viewed(struct blkjob *job)
{
	bool may;

	spin_lock_irq(&job->lock);
	may = job->state == BLKJOB_RUNNING || job->state == BLKJOB_PAUSED;
	spin_unlock_irq(&job->lock);
	return may;
}

/* The backup of the device whose instant has come. */
static struct blkjob *__find_job(dev_t dev)
{
	struct blkjob *job;

	list_for_each_entry(job, &jobs, views.jobs) {
		struct mapped_device *md = dm_table_get_md(job->ti->table);

		if (disk_devt(dm_disk(md)) == dev && may_be_viewed(job))
			return job;
	}
	return NULL;
}

int bj_view_attach(struct bj_view *view,
		   int (*begin)(struct bj_view *view, struct blkjob *job))
{
	struct blkjob *job;
	int r = -ENXIO;

	mutex_lock(&views_lock);
	job = __find_job(view->job_dev);
	if (job)
		r = begin(view, job);
	if (!r) {
		rcu_assign_pointer(view->job, job);
		list_add(&view->list, &job->views.list);
	}
	mutex_unlock(&views_lock);
	return r;
}

void bj_view_detach(struct bj_view *view)
{
	mutex_lock(&views_lock);
	list_del_init(&view->list);
	mutex_unlock(&views_lock);
}

/*---------------------------- The job ----------------------------*/

void bj_views_follow(struct blkjob *job)
{
	enum bj_reach reach = job->views.reach;

	lockdep_assert_held(&job->lock);
	if (job->state == BLKJOB_ABORTING)
		reach = BJ_REACH_NOTHING;
	else if (job->state >= BLKJOB_WAITING)
		reach = max(reach, BJ_REACH_SAVED);
	WRITE_ONCE(job->views.reach, reach);
	/* Before a write goes to the source unsaved. Pairs with view_end_io(). */
	smp_wmb();
}

int bj_views_init(struct blkjob *job)
{
	struct bj_views *views = &job->views;

	INIT_LIST_HEAD(&views->list);
	INIT_LIST_HEAD(&views->jobs);
	INIT_WORK(&views->send, send_released);
	spin_lock_init(&views->lock);
	bio_list_init(&views->parked);
	bio_list_init(&views->waiting);
	bio_list_init(&views->released);
	refcount_set(&views->users, 1);
	init_completion(&views->unused);
	if (bj_regions_init(&views->left_out, job->map.nr, false))
		return -ENOMEM;
	mutex_lock(&views_lock);
	list_add(&views->jobs, &jobs);
	mutex_unlock(&views_lock);
	return 0;
}

int bj_views_prepare_away(struct blkjob *job)
{
	struct bj_regions *away = &job->views.away;

	return bj_regions_init(away, job->map.nr, false) ?:
	       bj_regions_reserve(away, 0, job->map.nr - 1);
}

/* Also after a failed bj_views_init(), or none. */
void bj_views_exit(struct blkjob *job)
{
	struct bj_views *views = &job->views;

	if (views->left_out.leaves) {
		mutex_lock(&views_lock);
		list_del_init(&views->jobs);
		mutex_unlock(&views_lock);
	}
	bj_regions_exit(&views->left_out);
	bj_regions_exit(&views->away);
}

void bj_views_leave(struct blkjob *job)
{
	struct bj_views *views = &job->views;
	struct bj_view *view, *next;

	if (!views->left_out.nr)
		return;
	mutex_lock(&views_lock);
	list_del_init(&views->jobs);
	list_for_each_entry_safe(view, next, &views->list, list) {
		list_del_init(&view->list);
		rcu_assign_pointer(view->job, NULL);
	}
	mutex_unlock(&views_lock);

	spin_lock_irq(&job->lock);
	WRITE_ONCE(views->reach, BJ_REACH_NOTHING);
	spin_unlock_irq(&job->lock);
	bj_kick(job);
	if (!refcount_dec_and_test(&views->users))
		wait_for_completion(&views->unused);
	/* Those that found the job, and those in park(). */
	synchronize_rcu();
}
