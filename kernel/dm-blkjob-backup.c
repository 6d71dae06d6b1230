// SPDX-License-Identifier: GPL-2.0
/*
 * Backup: the target device becomes what the source was at one instant, which
 * is when the table was resumed first, while the source stays in use.
 *
 * Reads go to the source. A set bit says that the old data of the region are
 * still to be saved. A write to clean regions goes straight to the source; any
 * other one is parked, and what it is about to overwrite is copied first
 * (copy-before-write, QEMU block/copy-before-write.c), in the urgent lane of
 * the pipeline: neither the speed limit nor a pause is in its way. It is let
 * go when its regions are clean. That is (enum bj_clear_at)
 *
 *   READ	by default, when the old data are in a buffer. A target device that
 *		is slow or dead does not delay a write before the buffers are
 *		full.
 *   STORED	with on_cbw_error break-guest-write: a write that fails must not
 *		have been sent. On the spill device they are stored, too.
 *   FLUSHED	with cbw_stored: the image never has less than a crash leaves of
 *		the source
 *
 * A bit once cleared is never set again. So foreground I/O needs no lock and
 * no count, and the order of map and worker does not matter: who sees a clear
 * bit may write.
 */
#include "dm-blkjob-copy.h"
#include "dm-blkjob-held.h"

#define BJ_SKIPS	256	/* busy regions of a write looked at in one go */

enum bj_backup_mode {
	BJ_SAVE,	/* a write waits for the old data */
	BJ_END,		/* only for what is being read; for good */
	BJ_SOURCE_ONLY,	/* aborting, concluded */
};

struct bj_backup {
	struct blkjob *job;
	enum bj_backup_mode mode;	/* written under job->lock */
	bool stopping;
	struct bj_held held;
	unsigned int nr_waiting;	/* worker; as of its last look at all */
	u64 ticket;			/* worker; the last flush, 0 = none */
	char note[BLKJOB_NOTE + 1];
};

/*-------------------------- Foreground ---------------------------*/

static int map_flush(struct blkjob *job, struct bj_io *io, struct bio *bio)
{
	/* dm sends one for each leg; no write of the consumer is on the target. */
	if (dm_bio_get_target_bio_nr(bio)) {
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	this_cpu_inc(job->cpu_stats->flushes);
	bj_time_bio(job, bio);
	return bj_send_to(job, BJ_SOURCE, io->sector, bio);
}

static bool is_saved(struct blkjob *job, const struct bj_io *io)
{
	u64 first = bj_first_region(job, io->sector);
	u64 last = bj_last_region(job, io->sector, io->nr_sectors);

	if (likely(first == last))
		return !bj_region_dirty(&job->map, first);
	return bj_regions_next(&job->map, first) > last;
}

static int backup_map(struct blkjob *job, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_backup *backup = job->private;

	io->sector = dm_target_offset(job->ti, bio->bi_iter.bi_sector);
	io->nr_sectors = bio_sectors(bio);
	if (unlikely(bio->bi_opf & REQ_PREFLUSH))
		return map_flush(job, io, bio);
	if (unlikely(bj_sampled(&job->cpu_stats->writes,
				READ_ONCE(job->sample_mask))))
		bj_time_bio(job, bio);
	if (READ_ONCE(backup->mode) == BJ_SOURCE_ONLY || is_saved(job, io))
		return bj_send_to(job, BJ_SOURCE, io->sector, bio);
	return bj_held_park(&backup->held, io, bio);
}

static int backup_end_io(struct blkjob *job, struct bio *bio,
			 blk_status_t *error)
{
	return DM_ENDIO_DONE;
}

/*------------------- Old data cannot be saved --------------------*/

static u64 timeout_ns(struct blkjob *job)
{
	u64 seconds = READ_ONCE(job->opt.cbw_timeout);

	if (!seconds && job->opt.on_cbw_error == BJ_BREAK_SNAPSHOT)
		seconds = BLKJOB_CBW_TIMEOUT;
	return seconds * NSEC_PER_SEC;
}

/*
 * job->lock held, and the error is noted. With break-snapshot the consumer
 * comes first, and there will be no image; otherwise the caller has to end
 * those writes.
 */
static void __cbw_failed(struct blkjob *job, const char *error)
{
	enum bj_on_cbw_error policy = job->opt.on_cbw_error;

	if (policy == BJ_BREAK_GUEST_WRITE) {
		__bj_event_error_limited(job, bj_on_cbw_error_name(policy));
		return;
	}
	if (job->state < BLKJOB_ABORTING)
		__bj_event_error(job, bj_on_cbw_error_name(policy));
	__bj_abort(job, error);
}

/* Worker. */
static void backup_urgent_failed(struct blkjob *job,
				 const struct bj_extent *extent)
{
	enum bj_side side = bj_extent_side(extent);
	struct bj_backup *backup = job->private;

	spin_lock_irq(&job->lock);
	__bj_error_note(job, side, extent->failed_op, extent->status,
			extent->failed_sector);
	__cbw_failed(job, bj_error_word(side, extent->failed_op,
					extent->status));
	spin_unlock_irq(&job->lock);
	if (job->opt.on_cbw_error == BJ_BREAK_GUEST_WRITE)
		bj_held_end_in(&backup->held, extent->sector,
			       extent->nr_sectors, extent->status);
}

/* It has waited for long enough. */
static void timed_out(struct bj_backup *backup, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct blkjob *job = backup->job;

	/* No more than a hint, and no reason to break anything. */
	if (bio_op(bio) == REQ_OP_DISCARD) {
		bj_held_end(&backup->held, bio, BLK_STS_OK);
		return;
	}
	DMWARN_LIMIT("%s: old data at sector %llu could not be saved in %llu s: %s",
		     bj_name(job), (u64)io->sector,
		     div_u64(timeout_ns(job), NSEC_PER_SEC),
		     bj_on_cbw_error_name(job->opt.on_cbw_error));
	spin_lock_irq(&job->lock);
	job->stats.last_op = "cbw";
	job->stats.last_errno = ETIMEDOUT;
	job->stats.last_sector = io->sector;
	__cbw_failed(job, "cbw-timeout");
	spin_unlock_irq(&job->lock);
	if (job->opt.on_cbw_error == BJ_BREAK_GUEST_WRITE)
		bj_held_end(&backup->held, bio, BLK_STS_TIMEOUT);
	else
		bj_held_let_go(&backup->held, bio);
}

/*----------------------------- Worker ----------------------------*/

/* What this write has to wait for no more; false: for something. */
static bool may_go(struct bj_backup *backup, const struct bj_io *io)
{
	switch (READ_ONCE(backup->mode)) {
	case BJ_SOURCE_ONLY:
		return true;
	case BJ_END:
		/* What is being read is read whole, and no more is begun. */
		return !backup->job->pipe.marked || is_saved(backup->job, io);
	default:
		return is_saved(backup->job, io) || bj_bug(BJ_BUG_CBW_EARLY);
	}
}

/* Look at all that wait. Returns ns until the first one has waited too long. */
static u64 look_at_held(struct bj_backup *backup)
{
	u64 timeout = timeout_ns(backup->job);
	struct blkjob *job = backup->job;
	u64 now, first = U64_MAX;
	struct bio_list list;
	struct bio *bio;

	bj_held_take(&backup->held, &list);
	/* Not earlier: none of them has begun to wait after it. */
	now = ktime_get_ns();
	backup->nr_waiting = 0;
	while ((bio = bio_list_pop(&list))) {
		struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

		if (READ_ONCE(job->noflush)) {
			bj_held_end(&backup->held, bio, BLK_STS_DM_REQUEUE);
		} else if (may_go(backup, io)) {
			bj_held_let_go(&backup->held, bio);
		} else if (timeout && now - io->held_since >= timeout) {
			timed_out(backup, bio);
		} else {
			bio_list_add(&backup->held.waiting, bio);
			backup->nr_waiting++;
			first = min(first, io->held_since + timeout - now);
		}
	}
	return timeout ? first : U64_MAX;
}

/* Begin with one piece of what is in the way of this write; as bj_copy_now(). */
static int save_for(struct blkjob *job, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	u64 region = bj_first_region(job, io->sector);
	u64 last = bj_last_region(job, io->sector, io->nr_sectors);
	unsigned int skips;
	int r;

	for (skips = 0; skips < BJ_SKIPS; skips++) {
		region = bj_regions_next(&job->map, region);
		if (region > last)
			break;
		r = bj_copy_now(job, region, last);
		if (r != -EBUSY)
			return r;
		region++;
	}
	return -EBUSY;
}

/* In turn, so that a long discard does not keep others from being served. */
static void save_old_data(struct bj_backup *backup)
{
	struct bio_list *waiting = &backup->held.waiting;
	unsigned int idle = 0;
	struct bio *bio;

	while (idle < backup->nr_waiting && (bio = bio_list_pop(waiting))) {
		int r = save_for(backup->job, bio);

		if (r == -EAGAIN) {
			bio_list_add_head(waiting, bio);
			break;
		}
		bio_list_add(waiting, bio);
		idle = r ? idle + 1 : 0;
	}
}

/* Before the sweep goes on, which would take the same again. */
static void backup_urgent(struct blkjob *job)
{
	struct bj_backup *backup = job->private;
	u64 wait;

	if (!atomic_read(&backup->held.nr))
		return;
	wait = look_at_held(backup);
	if (READ_ONCE(backup->mode) == BJ_SAVE)
		save_old_data(backup);
	if (wait != U64_MAX && backup->nr_waiting)
		bj_come_back(job, wait);
}

/* All that is to be in the image is there, and on stable storage. */
static bool step_last(struct bj_backup *backup, enum blkjob_state state)
{
	struct blkjob *job = backup->job;
	bool done;

	if (job->pipe.in_flight || (state == BLKJOB_RUNNING &&
				    (!job->pipe.swept || bj_sweep_left(job)))) {
		backup->ticket = 0;
		return false;
	}
	if (!backup->ticket)
		backup->ticket = bj_flush_ticket(bj_flush_of(job, BJ_TARGET));
	if (!bj_flushed(bj_flush_of(job, BJ_TARGET), backup->ticket))
		return false;
	spin_lock_irq(&job->lock);
	done = job->state == state;
	if (done)
		__bj_conclude(job, "completed", BJ_SOURCE);
	spin_unlock_irq(&job->lock);
	return done;
}

static bool backup_step(struct blkjob *job)
{
	struct bj_backup *backup = job->private;
	enum blkjob_state state;
	bool suspended;

	bj_views_step(job);
	if (READ_ONCE(backup->stopping)) {
		wake_up(&job->drained);
		return false;
	}

	spin_lock_irq(&job->lock);
	state = job->state;
	suspended = job->suspended;
	spin_unlock_irq(&job->lock);
	if (state == BLKJOB_ABORTING)
		return bj_aborted(job);
	if (!suspended &&
	    (state == BLKJOB_RUNNING || state == BLKJOB_WAITING))
		return step_last(backup, state);
	return false;
}

/*---------------------------- The type ---------------------------*/

static void backup_state_changed(struct blkjob *job)
{
	struct bj_backup *backup = job->private;

	lockdep_assert_held(&job->lock);
	/* First: its readers must know before a write is let go unsaved. */
	bj_views_follow(job);
	if (job->state >= BLKJOB_ABORTING)
		WRITE_ONCE(backup->mode, BJ_SOURCE_ONLY);
	else if (job->state == BLKJOB_WAITING)
		WRITE_ONCE(backup->mode, BJ_END);
}

/* All others end by themselves. */
static bool backup_may_complete(struct blkjob *job)
{
	return !job->pipe.swept;
}

/* What waits is served meanwhile; or dm takes it back (noflush). */
static void backup_presuspend(struct blkjob *job)
{
	bj_kick(job);
}

static void backup_stop(struct blkjob *job)
{
	struct bj_backup *backup = job->private;

	WRITE_ONCE(backup->stopping, true);
}

static bool backup_stopped(struct blkjob *job)
{
	return true;
}

static unsigned int backup_held(struct blkjob *job)
{
	struct bj_backup *backup = job->private;

	return atomic_read(&backup->held.nr);
}

static bool backup_never(struct blkjob *job)
{
	return false;
}

static enum bj_clear_at clear_at(const struct bj_options *opt)
{
	if (opt->cbw_stored && !bj_bug(BJ_BUG_CBW_NOT_STORED))
		return BJ_CLEAR_FLUSHED;
	return opt->on_cbw_error == BJ_BREAK_GUEST_WRITE ? BJ_CLEAR_STORED :
							   BJ_CLEAR_READ;
}

static int backup_ctr(struct blkjob *job, char *error)
{
	struct bj_backup *backup = kzalloc_obj(*backup);
	int r;

	snprintf(error, BJ_ERROR_LEN, "there is no memory for the backup");
	if (!backup)
		return -ENOMEM;
	job->private = backup;
	backup->job = job;
	/* The words of the table line do not stay. */
	if (job->opt.note)
		strscpy(backup->note, job->opt.note, sizeof(backup->note));
	job->opt.note = backup->note;
	bj_held_init(&backup->held, job, BJ_SOURCE);

	job->reads = &job->leg[BJ_SOURCE];
	job->pipe.swept = job->opt.sync == BJ_SYNC_FULL;
	job->pipe.clear_at = clear_at(&job->opt);
	/* With sync none too: all of it may be overwritten. */
	bj_regions_set(&job->map, 0, job->map.nr - 1);
	if (bj_regions_prepare(&job->map) || bj_pipe_add_urgent(job) ||
	    bj_views_init(job))
		return -ENOMEM;
	r = bj_spill_init(job, error);
	if (r)
		return r;
	if (job->opt.checksum && bj_checksums_init(job, error))
		return -ENOMEM;
	return bj_legs_source_alone(job, error);
}

static void backup_dtr(struct blkjob *job)
{
	bj_spill_exit(job);
	bj_views_exit(job);
	bj_checksums_exit(job);
	kfree(job->private);
}

const struct blkjob_type bj_backup_type = {
	.kind = BJ_BACKUP,
	.granularity = BLKJOB_GRANULARITY,
	.copies = true,
	.before_waiting = BLKJOB_RUNNING,
	.ctr = backup_ctr,
	.dtr = backup_dtr,
	.map = backup_map,
	.end_io = backup_end_io,
	.urgent = backup_urgent,
	.urgent_failed = backup_urgent_failed,
	.step = backup_step,
	.state_changed = backup_state_changed,
	.may_complete = backup_may_complete,
	.presuspend = backup_presuspend,
	.stop = backup_stop,
	.stopped = backup_stopped,
	.held = backup_held,
	.synced = backup_never,
	.diverged = backup_never,
	.message = bj_checksums_message,
	.status = bj_spill_status,
	.help = "checksums [<region>]           of what was copied, when completed\n",
};
