// SPDX-License-Identifier: GPL-2.0
/*
 * The device-mapper target "blkjob-snapshot": the source of a backup as it was
 * at the instant, to be read (QEMU's snapshot-access).
 *
 *   <start> <length> blkjob-snapshot <device of the job>
 *
 * The view keeps both devices open, not that of the job, which somebody may
 * have mounted. When the job goes, all further reads fail.
 */
#include "dm-blkjob.h"

/*------------------------------ I/O -------------------------------*/

/* Once, whatever comes after it. */
static void say_broken(struct dm_target *ti, const char *why)
{
	struct bj_view *view = ti->private;

	if (!test_and_set_bit(0, &view->said))
		DMERR("%s: reads fail from now on: %s",
		      dm_table_device_name(ti->table), why);
}

static void say_lost(struct dm_target *ti, const struct bj_view_io *io)
{
	u64 sector = io->sector;

	switch (READ_ONCE(io->job->views.reach)) {
	case BJ_REACH_ALL:
		DMERR_LIMIT("%s: sector %llu was discarded, or taken out of the backup",
			    dm_table_device_name(ti->table), sector);
		break;
	case BJ_REACH_SAVED:
		say_broken(ti, "the backup has ended, and there is only what was saved by then");
		break;
	case BJ_REACH_NOTHING:
		say_broken(ti, "the backup was cancelled, or has failed");
		break;
	}
}

/* Only whole regions can be given up. */
static int map_discard(struct bio *bio)
{
	struct bj_view_io *io = bj_view_io(bio);
	struct blkjob *job = io->job;
	sector_t end = io->sector + io->nr_sectors;
	u64 size = 1ULL << job->region_shift;

	io->way = BJ_WAY_GIVE_UP;
	io->first = (io->sector + size - 1) >> job->region_shift;
	io->end = end >> job->region_shift;
	if (end == job->nr_sectors)
		io->end = job->map.nr;
	if (io->first >= io->end) {
		io->nr_sectors = 0;
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	io->sector = io->first << job->region_shift;
	io->nr_sectors = min(io->end << job->region_shift, job->nr_sectors) -
			 io->sector;
	bio->bi_iter.bi_size = io->nr_sectors << SECTOR_SHIFT;
	bj_view_aim(bio);
	bj_view_park(job, bio);
	return DM_MAPIO_SUBMITTED;
}

static int view_map(struct dm_target *ti, struct bio *bio)
{
	struct bj_view_io *io = bj_view_io(bio);
	struct bj_view *view = ti->private;

	if (bio_op(bio) != REQ_OP_READ && bio_op(bio) != REQ_OP_DISCARD)
		return DM_MAPIO_KILL;
	io->job = bj_view_job_get(view);
	if (!io->job) {
		say_broken(ti, "the backup job has gone");
		return DM_MAPIO_KILL;
	}
	io->sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	io->nr_sectors = bio_sectors(bio);
	if (bio_op(bio) == REQ_OP_DISCARD)
		return map_discard(bio);

	io->iter = bio->bi_iter;
	io->flags = bio->bi_flags;
	io->way = bj_view_way(io->job, io);
	switch (io->way) {
	case BJ_WAY_SOURCE:
	case BJ_WAY_TARGET:
		bj_view_aim(bio);
		return DM_MAPIO_REMAPPED;
	case BJ_WAY_WAIT:
		/* For its cgroup: the worker has another one. */
		bj_view_aim(bio);
		bj_view_park(io->job, bio);
		return DM_MAPIO_SUBMITTED;
	default:
		say_lost(ti, io);
		bj_view_job_put(io->job);
		return DM_MAPIO_KILL;
	}
}

static int view_end_io(struct dm_target *ti, struct bio *bio,
		       blk_status_t *error)
{
	struct bj_view_io *io = bj_view_io(bio);
	struct bj_view *view = ti->private;

	switch (io->way) {
	case BJ_WAY_SOURCE:
		atomic64_inc(&view->from_source);
		/*
		 * Read first, then look. A write that this read may have seen
		 * was sent after the bit was cleared, or the reach lowered:
		 * pairs with bj_regions_clear() and bj_views_follow().
		 */
		smp_mb();
		io->way = bj_view_way(io->job, io);
		if (io->way == BJ_WAY_SOURCE)
			break;
		if (io->way != BJ_WAY_LOST) {
			atomic64_inc(&view->again);
			bj_view_park(io->job, bio);
			return DM_ENDIO_INCOMPLETE;
		}
		*error = BLK_STS_IOERR;
		say_lost(ti, io);
		break;
	case BJ_WAY_TARGET:
		atomic64_inc(&view->from_target);
		/* As above; a discard on the view may have been quicker. */
		smp_mb();
		if (bj_view_way(io->job, io) == BJ_WAY_LOST) {
			*error = BLK_STS_IOERR;
			say_lost(ti, io);
		}
		break;
	case BJ_WAY_GIVE_UP:
		atomic64_add(io->nr_sectors, &view->discarded);
		break;
	default:
		say_lost(ti, io);
		break;
	}
	bj_view_job_put(io->job);
	return DM_ENDIO_DONE;
}

/*------------------- Constructor and destructor -------------------*/

static __printf(2, 3) int refuse(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, BJ_ERROR_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* "<major>:<minor>", as dm has it, or a path. */
static int dev_of(const char *word, dev_t *dev)
{
	unsigned int major, minor;
	char rest;

	if (sscanf(word, "%u:%u%c", &major, &minor, &rest) == 2) {
		*dev = MKDEV(major, minor);
		return 0;
	}
	return lookup_bdev(word, dev);
}

static int open_legs(struct bj_view *view, struct blkjob *job)
{
	enum bj_side side;
	int r;

	for (side = BJ_SOURCE; side <= BJ_TARGET; side++) {
		r = dm_get_device(view->ti, job->leg[side].dev->name,
				  BLK_OPEN_READ, &view->dev[side]);
		if (r) {
			view->dev[side] = NULL;
			refuse(view->ti->error,
			       "device %s of the backup cannot be opened (%d)",
			       job->leg[side].dev->name, r);
			return r;
		}
		view->start[side] = job->leg[side].start;
	}
	return 0;
}

/* The job stays as long as this runs. */
static int view_begin(struct bj_view *view, struct blkjob *job)
{
	struct dm_target *ti = view->ti;
	int r;

	if (ti->len > job->nr_sectors)
		return refuse(ti->error,
			      "the backup job has %llu sectors, not %llu",
			      job->nr_sectors, (u64)ti->len);
	r = dm_set_target_max_io_len(ti, 1ULL << job->region_shift);
	if (!r)
		r = open_legs(view, job);
	/* What is given up is not in the image. */
	if (job->opt.sync == BJ_SYNC_NONE) {
		ti->num_discard_bios = 1;
		ti->discards_supported = true;
	}
	return r;
}

static void view_free(struct bj_view *view)
{
	enum bj_side side;

	for (side = BJ_SOURCE; side <= BJ_TARGET; side++)
		if (view->dev[side])
			dm_put_device(view->ti, view->dev[side]);
	kfree(view);
}

static int view_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	char *error = bj_refusal();
	struct bj_view *view;
	int r;

	ti->error = error;
	if (argc != 1)
		return refuse(error, "there are %u words, not one: the device of a backup job",
			      argc);
	view = kzalloc_obj(*view);
	if (!view) {
		ti->error = "there is no memory for the view";
		return -ENOMEM;
	}
	view->ti = ti;
	INIT_LIST_HEAD(&view->list);
	r = dev_of(argv[0], &view->job_dev);
	if (r) {
		refuse(error, "there is no device %.60s (%d)", argv[0], r);
		goto failed;
	}
	r = bj_view_attach(view, view_begin);
	if (r == -ENXIO)
		refuse(error, "device %.60s has no backup job at work",
		       argv[0]);
	if (r)
		goto failed;
	ti->per_io_data_size = sizeof(struct bj_view_io);
	ti->accounts_remapped_io = true;
	ti->private = view;
	return 0;

failed:
	view_free(view);
	return r;
}

static void view_dtr(struct dm_target *ti)
{
	struct bj_view *view = ti->private;

	/* None of its I/O is in flight, so none has the job. */
	bj_view_detach(view);
	view_free(view);
}

/*--------------------- The rest of the target ---------------------*/

static const char *view_word(struct bj_view *view)
{
	struct blkjob *job = bj_view_job_get(view);
	enum bj_reach reach;

	if (!job)
		return "gone";
	reach = READ_ONCE(job->views.reach);
	bj_view_job_put(job);
	switch (reach) {
	case BJ_REACH_ALL:
		return "whole";
	case BJ_REACH_SAVED:
		return "saved";
	default:
		return "broken";
	}
}

static void view_status(struct dm_target *ti, status_type_t type,
			unsigned int flags, char *result, unsigned int maxlen)
{
	struct bj_view *view = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("snapshot %s from_source=%llu from_target=%llu again=%llu discarded=%llu",
		       view_word(view),
		       (u64)atomic64_read(&view->from_source),
		       (u64)atomic64_read(&view->from_target),
		       (u64)atomic64_read(&view->again),
		       (u64)atomic64_read(&view->discarded) << SECTOR_SHIFT);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%u:%u", MAJOR(view->job_dev), MINOR(view->job_dev));
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int view_iterate_devices(struct dm_target *ti,
				iterate_devices_callout_fn fn, void *data)
{
	struct bj_view *view = ti->private;
	enum bj_side side;
	int r = 0;

	for (side = BJ_SOURCE; side <= BJ_TARGET && !r; side++)
		r = fn(ti, view->dev[side], view->start[side], ti->len, data);
	return r;
}

static void view_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	if (!ti->num_discard_bios)
		return;
	/* Also where neither device can: a region is given up by itself. */
	limits->discard_granularity = ti->max_io_len << SECTOR_SHIFT;
	limits->max_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
	limits->max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
}

struct target_type bj_view_target = {
	.name = BLKJOB_SNAPSHOT_TARGET,
	.version = { BLKJOB_VERSION_MAJOR, BLKJOB_VERSION_MINOR,
		     BLKJOB_VERSION_PATCH },
	.module = THIS_MODULE,
	.ctr = view_ctr,
	.dtr = view_dtr,
	.map = view_map,
	.end_io = view_end_io,
	.status = view_status,
	.iterate_devices = view_iterate_devices,
	.io_hints = view_io_hints,
};
