// SPDX-License-Identifier: GPL-2.0
/*
 * dm-blkjob: the device-mapper target "blkjob".
 *
 * Moves the data of a block device to another one while the device is in use.
 * See Documentation/admin-guide/device-mapper/blkjob.rst.
 */
#include <linux/module.h>

#include "dm-blkjob.h"

/* The map of one job takes at most 128 MiB. */
#define BJ_REGIONS_MAX		BIT_ULL(30)
#define BJ_CHECKSUMS_MAX	BIT_ULL(26)	/* 256 MiB of memory */
/* A suspend does not wait longer for a target device that does not answer. */
#define BJ_SUSPEND_TIMEOUT	(10 * HZ)

static const struct blkjob_type * const types[BJ_NR_KINDS] = {
	[BJ_MIRROR] = &bj_mirror_type,
	[BJ_BACKUP] = &bj_backup_type,
	[BJ_TRACK] = &bj_track_type,
	[BJ_STREAM] = &bj_stream_type,
};

/*
 * dm prints ti->error after the constructor has returned and freed everything,
 * so the sentence lives here. Used in turn; with more refusals at one moment
 * than there are places one of them is printed with another's words.
 */
static char refusals[16][BJ_ERROR_LEN];
static atomic_t refusals_next;

char *bj_refusal(void)
{
	unsigned int turn = atomic_inc_return(&refusals_next);

	return refusals[turn % ARRAY_SIZE(refusals)];
}

/*--------------------------- The worker ---------------------------*/

/* Nothing but a dirty bit is lacking. Who changes that kicks the worker. */
static bool may_copy(struct blkjob *job)
{
	u64 wait;

	spin_lock_irq(&job->lock);
	wait = __bj_copy_wait(job);
	spin_unlock_irq(&job->lock);
	return !wait;
}

static void job_work(struct work_struct *work)
{
	struct blkjob *job = container_of(work, struct blkjob, work);
	bool again;

	WRITE_ONCE(job->idle, false);
	do {
		again = bj_pipe_run(job);
		again |= job->type->step(job);
		cond_resched();
	} while (again);

	/* With own bios in flight their end brings us back. */
	if (atomic_read(&job->ios) || !may_copy(job))
		return;
	WRITE_ONCE(job->idle, true);
	/* The next write has to, or its bits are seen: bj_mirror_end_io(). */
	smp_mb();
	if (!READ_ONCE(job->pipe.blocked) && bj_sweep_left(job))
		bj_wake(job);
}

static void job_tick(struct work_struct *work)
{
	struct blkjob *job = container_of(to_delayed_work(work), struct blkjob,
					  tick);

	/* The worker may hang in the device that is given up here. */
	spin_lock_irq(&job->lock);
	if (job->state == BLKJOB_ABORTING &&
	    time_after_eq(jiffies, job->abort_deadline))
		__bj_conclude(job, "cancelled", job->active);
	spin_unlock_irq(&job->lock);
	bj_kick(job);
}

static void job_event(struct work_struct *work)
{
	struct blkjob *job = container_of(work, struct blkjob, event);

	bj_group_follow(job);
	dm_table_event(job->ti->table);
}

/*------------------- Constructor and destructor -------------------*/

/*
 * Set the granularity; the default one grows until the map is small enough,
 * unless there are metadata that have one.
 */
static int init_geometry(struct blkjob *job, char *error)
{
	u64 max = job->opt.checksum ? BJ_CHECKSUMS_MAX : BJ_REGIONS_MAX;
	u64 granularity = job->opt.granularity, nr;
	bool given = granularity;

	if (!given && job->leg[BJ_METADATA].dev) {
		granularity = bj_md_granularity(job);
		given = granularity;
	}
	if (!given) {
		struct block_device *source = bj_bdev(job, BJ_SOURCE);

		granularity = max_t(u64, job->type->granularity,
				    bdev_logical_block_size(source));
	}
	for (;; granularity <<= 1) {
		job->region_shift = ilog2(granularity) - SECTOR_SHIFT;
		nr = (job->nr_sectors + (1ULL << job->region_shift) - 1) >>
		     job->region_shift;
		if (nr <= max)
			return 0;
		if (given || granularity >= BLKJOB_GRANULARITY_MAX)
			break;
	}
	snprintf(error, BJ_ERROR_LEN,
		 "granularity %llu makes %llu regions, at most %llu are possible",
		 granularity, nr, max);
	return -EINVAL;
}

static void job_free(struct blkjob *job)
{
	if (job->type)
		job->type->dtr(job);
	bj_slots_exit(job);
	if (job->wq)
		destroy_workqueue(job->wq);
	free_percpu(job->cpu_stats);
	kvfree(job->busy);
	kfree(job->flush);
	bj_regions_exit(&job->map);
	bj_legs_close(job);
	kfree(job);
}

static int job_init(struct blkjob *job, const struct bj_args *args,
		    char *error)
{
	u64 nr;
	int r;

	INIT_WORK(&job->work, job_work);
	INIT_DELAYED_WORK(&job->tick, job_tick);
	INIT_WORK(&job->event, job_event);
	init_waitqueue_head(&job->drained);
	INIT_LIST_HEAD(&job->ring);
	INIT_LIST_HEAD(&job->named);
	spin_lock_init(&job->lock);
	if (args->opt.group)
		strscpy(job->group, args->opt.group, sizeof(job->group));
	job->opt = args->opt;
	job->opt.group = job->group;
	job->pace.speed = args->opt.speed;
	/* Only then nothing but copies of dirty regions comes to it first. */
	job->target_is_zero = args->opt.target_is_zero &&
			      args->opt.sync == BJ_SYNC_FULL;

	job->type = types[args->kind];
	job->map_bio = job->type->map;
	job->end_io = job->type->end_io;
	job->nr_sectors = job->ti->len;
	r = bj_legs_open(job, args, error);
	if (!r)
		r = init_geometry(job, error);
	if (r)
		return r;

	snprintf(error, BJ_ERROR_LEN, "there is no memory for the job");
	nr = (job->nr_sectors + (1ULL << job->region_shift) - 1) >>
	     job->region_shift;
	job->busy = kvzalloc(sizeof(*job->busy), GFP_KERNEL);
	/* Reclaim may write to the device, and every job to another one. */
	job->wq = alloc_workqueue("dm-blkjob", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	job->cpu_stats = alloc_percpu(struct bj_cpu_stats);
	if (!job->busy || !job->wq || !job->cpu_stats)
		return -ENOMEM;
	r = bj_regions_init(&job->map, nr, job->type->copies &&
			    args->opt.sync == BJ_SYNC_FULL);
	if (!r)
		r = bj_pipe_init(job);
	if (r)
		return r;

	r = job->type->ctr(job, error);
	if (r)
		return r;
	/* Nobody else can know the job, but it is the type's rule. */
	spin_lock_irq(&job->lock);
	job->type->state_changed(job);
	__bj_event_state(job);
	__bj_latency_bound_set(job);
	spin_unlock_irq(&job->lock);
	/* Last, as nobody leaves it but in the destructor. */
	return bj_group_join(job, error);
}

static void set_features(struct dm_target *ti, struct blkjob *job)
{
	enum bj_side side = job->type->overlay ? BJ_TARGET : BJ_SOURCE;

	/* One for each that may be written to. */
	ti->num_flush_bios = job->type->overlay ? 1 : bj_nr_copies(job);
	/* Also over devices without a cache: the metadata have to know. */
	ti->flush_supported = job->type->overlay;
	ti->num_write_zeroes_bios = 1;
	/* Where it has no use, a leg without it costs nothing. */
	if (bdev_max_discard_sectors(bj_bdev(job, side))) {
		ti->num_discard_bios = 1;
		ti->discards_supported = true;
	}
	ti->per_io_data_size = sizeof(struct bj_io);
	ti->accounts_remapped_io = true;
}

static int blkjob_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	char *error = bj_refusal();
	struct bj_args args;
	struct blkjob *job;
	int r;

	ti->error = error;
	r = bj_args_parse(&args, argc, argv, ti->len, error);
	if (r)
		return r;
	job = kzalloc_obj(*job);
	if (!job) {
		ti->error = "there is no memory for the job";
		return -ENOMEM;
	}
	job->ti = ti;
	r = job_init(job, &args, error);
	if (r) {
		job_free(job);
		return r;
	}
	set_features(ti, job);
	ti->private = job;
	return 0;
}

static void blkjob_dtr(struct dm_target *ti)
{
	struct blkjob *job = ti->private;

	bj_group_leave(job);
	bj_views_leave(job);
	spin_lock_irq(&job->lock);
	job->suspended = true;
	job->type->stop(job);
	spin_unlock_irq(&job->lock);
	bj_kick(job);
	wait_event(job->drained,
		   !atomic_read(&job->ios) && job->type->stopped(job));
	/* Ends of bios still in their last lines, see slot_end_bio(). */
	synchronize_rcu();
	/* Who begins after this sets no timer any more. */
	flush_work(&job->work);
	hrtimer_cancel(&job->copy_timer);
	cancel_delayed_work_sync(&job->tick);
	flush_workqueue(job->wq);
	job_free(job);
}

/*------------------------------ I/O -------------------------------*/

static int blkjob_map(struct dm_target *ti, struct bio *bio)
{
	struct blkjob *job = ti->private;
	struct bj_leg *leg;

	if (op_is_write(bio_op(bio)))
		return job->map_bio(job, bio);
	if (unlikely(bj_sampled(&job->cpu_stats->reads,
				READ_ONCE(job->sample_mask))))
		bj_time_bio(job, bio);
	/* Pairs with the release by the type: writes may tell of the switch. */
	leg = READ_ONCE(job->reads);
	if (!leg)
		return job->map_bio(job, bio);
	bio_set_dev(bio, leg->dev->bdev);
	bio->bi_iter.bi_sector += leg->shift;
	return DM_MAPIO_REMAPPED;
}

static int blkjob_end_io(struct dm_target *ti, struct bio *bio,
			 blk_status_t *error)
{
	struct blkjob *job = ti->private;

	if (!op_is_write(bio_op(bio)))
		return DM_ENDIO_DONE;
	return job->end_io(job, bio, error);
}

/*----------------------- Suspend and resume -----------------------*/

/* Nothing new. Undone by presuspend_undo as well as by resume. */
static void blkjob_presuspend(struct dm_target *ti)
{
	struct blkjob *job = ti->private;

	spin_lock_irq(&job->lock);
	job->suspended = true;
	job->noflush = dm_noflush_suspending(ti);
	spin_unlock_irq(&job->lock);
	job->type->presuspend(job);
}

static void blkjob_presuspend_undo(struct dm_target *ti)
{
	bj_start(ti->private);
}

/* Nothing in flight, unless a dead device would keep the consumer waiting. */
static void blkjob_postsuspend(struct dm_target *ti)
{
	struct blkjob *job = ti->private;

	/* After this the worker knows, and begins nothing but what it must. */
	bj_kick(job);
	flush_work(&job->work);
	if (!wait_event_timeout(job->drained, !atomic_read(&job->ios),
				BJ_SUSPEND_TIMEOUT))
		DMWARN("%s: suspended while %d copies do not end", bj_name(job),
		       atomic_read(&job->ios));
}

static void blkjob_resume(struct dm_target *ti)
{
	bj_start(ti->private);
}

/*--------------------- The rest of the target ---------------------*/

static void blkjob_status(struct dm_target *ti, status_type_t type,
			  unsigned int flags, char *result, unsigned int maxlen)
{
	bj_status(ti->private, type, result, maxlen);
}

static int blkjob_message(struct dm_target *ti, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	return bj_message(ti->private, argc, argv, result, maxlen);
}

static int blkjob_iterate_devices(struct dm_target *ti,
				  iterate_devices_callout_fn fn, void *data)
{
	struct blkjob *job = ti->private;
	unsigned int i;
	int r = 0;

	for (i = 0; i < bj_nr_copies(job) && !r; i++)
		r = fn(ti, job->leg[i].dev, job->leg[i].start, ti->len, data);
	return r;
}

static struct target_type blkjob_target = {
	.name = BLKJOB_TARGET,
	.version = { BLKJOB_VERSION_MAJOR, BLKJOB_VERSION_MINOR,
		     BLKJOB_VERSION_PATCH },
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = blkjob_ctr,
	.dtr = blkjob_dtr,
	.map = blkjob_map,
	.end_io = blkjob_end_io,
	.presuspend = blkjob_presuspend,
	.presuspend_undo = blkjob_presuspend_undo,
	.postsuspend = blkjob_postsuspend,
	.resume = blkjob_resume,
	.status = blkjob_status,
	.message = blkjob_message,
	.iterate_devices = blkjob_iterate_devices,
};

static int __init blkjob_init(void)
{
	int r = bj_active_caches_init();

	if (r)
		return r;
	r = dm_register_target(&blkjob_target);
	if (r)
		goto no_target;
	r = dm_register_target(&bj_view_target);
	if (!r)
		return 0;

	dm_unregister_target(&blkjob_target);
no_target:
	bj_active_caches_exit();
	return r;
}

static void __exit blkjob_exit(void)
{
	dm_unregister_target(&bj_view_target);
	dm_unregister_target(&blkjob_target);
	bj_active_caches_exit();
}

module_init(blkjob_init);
module_exit(blkjob_exit);

MODULE_DESCRIPTION(DM_NAME " block jobs target");
MODULE_AUTHOR("The dm-blkjob developers");
MODULE_LICENSE("GPL");
