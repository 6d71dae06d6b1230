// SPDX-License-Identifier: GPL-2.0
/*
 * Foreground I/O of a mirror: what becomes of the consumer's bios in each mode
 * (see dm-blkjob-mirror.c). Runs in dm's map and end_io, and never waits;
 * what cannot be sent in COMMIT is parked for the worker.
 */
#include "dm-blkjob-intent.h"

/* Beside DM_MAPIO_SUBMITTED and DM_MAPIO_REMAPPED. */
#define PARKED		(-1)	/* the worker has it */
#define MODE_OVER	(-2)	/* look at the mode again */

/* bj_io.path: what end_io has to do. */
enum {
	PATH_DONE,		/* nothing */
	PATH_TRACKED,		/* dirty; mirror->tracked */
	PATH_UNSYNCED,		/* dirty; mirror->unsynced */
};

static int end_now(struct bio *bio)
{
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

/*
 * Wait for the worker, which tries again whenever a range becomes free. The
 * mode is checked under the lock, so that nobody waits for one that is over.
 * Returns false if it is. @again: in the worker, and counted already.
 */
static bool park(struct bj_mirror *mirror, enum bj_mode mode, struct bj_io *io,
		 struct bio *bio, bool again)
{
	struct blkjob *job = mirror->job;
	unsigned long flags;
	bool parked;

	/* For its cgroup: the worker, which sends it on, has another one. */
	if (!again)
		bio_set_dev(bio, bj_bdev(job, BJ_SOURCE));
	spin_lock_irqsave(&job->lock, flags);
	parked = mirror->mode == mode;
	if (parked) {
		bio_list_add(&mirror->parked, bio);
		if (!again) {
			io->held_since = ktime_get_ns();
			atomic_inc(&mirror->nr_parked);
		}
	}
	spin_unlock_irqrestore(&job->lock, flags);
	if (parked && !again)
		bj_kick(job);
	return parked;
}

/*
 * To the source only, and counted. Pairs with enter_commit(): either the
 * counter is seen there, or the new mode here.
 */
static bool send_unsynced(struct bj_mirror *mirror, struct bj_io *io,
			  struct bio *bio)
{
	enum bj_mode mode;

	atomic_inc(&mirror->unsynced);
	/* See above. */
	smp_mb__after_atomic();
	/* The mode before the legs, see set_mode(). */
	mode = smp_load_acquire(&mirror->mode);
	if (mode == BJ_MODE_TRACK || mode == BJ_MODE_SYNC) {
		io->path = PATH_UNSYNCED;
		bj_send_to(mirror->job, BJ_SOURCE, io->sector, bio);
		return true;
	}
	if (atomic_dec_and_test(&mirror->unsynced))
		bj_kick(mirror->job);
	return false;
}

/* Can it be sent to both legs at all? Cut it to a size that can. */
static bool active_possible(struct bj_io *io, struct bio *bio, bool in_map)
{
	if (bio_op(bio) != REQ_OP_WRITE && bio_op(bio) != REQ_OP_WRITE_ZEROES)
		return false;
	if (in_map && io->nr_sectors > BJ_ACTIVE_SECTORS) {
		dm_accept_partial_bio(bio, BJ_ACTIVE_SECTORS);
		io->nr_sectors = BJ_ACTIVE_SECTORS;
	}
	return true;
}

/*
 * In COMMIT. A discard may be ignored, and is: what it leaves behind may
 * differ between the legs.
 */
static int send_committed(struct bj_mirror *mirror, struct bj_io *io,
			  struct bio *bio, gfp_t gfp)
{
	bool again = gfp != GFP_NOWAIT;

	if (!active_possible(io, bio, !again))
		return end_now(bio);
	if (!bj_active_write(mirror, io, bio, gfp))
		return DM_MAPIO_SUBMITTED;
	return park(mirror, BJ_MODE_COMMIT, io, bio, again) ? PARKED :
							      MODE_OVER;
}

/*
 * To the source, while TRACK lasts. The mode is read and the write counted in
 * one RCU read section, for tracked_drained().
 */
static __always_inline bool send_tracked(struct bj_mirror *mirror,
					 struct bj_io *io, struct bio *bio)
{
	bool tracked;

	preempt_disable();
	/* Then the legs, which stay as they are until it is counted as ended. */
	tracked = smp_load_acquire(&mirror->mode) == BJ_MODE_TRACK;
	if (likely(tracked))
		this_cpu_inc(mirror->tracked->begun);
	preempt_enable();
	if (likely(tracked)) {
		io->path = PATH_TRACKED;
		if (bj_bug(BJ_BUG_DIRTY_AT_MAP))
			bj_mark_dirty(mirror->job, io->sector, io->nr_sectors);
		bj_send_to(mirror->job, BJ_SOURCE, io->sector, bio);
	}
	return tracked;
}

/* HOLD lasts no longer than that; see __bj_group_finalize(). */
static void wait_for_switch(struct blkjob *job)
{
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	spin_unlock_irqrestore(&job->lock, flags);
}

/* Any write. @gfp is GFP_NOWAIT in map. Returns DM_MAPIO_* or PARKED. */
static int send_write(struct bj_mirror *mirror, struct bj_io *io,
		      struct bio *bio, gfp_t gfp)
{
	struct blkjob *job = mirror->job;

	io->path = PATH_DONE;
	for (;;) {
		/* The mode before the legs, see set_mode(). */
		enum bj_mode mode = smp_load_acquire(&mirror->mode);

		switch (mode) {
		case BJ_MODE_SOURCE:
			return bj_send_to(job, BJ_SOURCE, io->sector, bio);
		case BJ_MODE_TARGET:
			return bj_send_to(job, BJ_TARGET, io->sector, bio);
		case BJ_MODE_TRACK:
			if (send_tracked(mirror, io, bio))
				return DM_MAPIO_REMAPPED;
			continue;
		case BJ_MODE_HOLD:
			wait_for_switch(job);
			continue;
		case BJ_MODE_SYNC:
		case BJ_MODE_COMMIT:
			/* Two submissions, and the first may have to wait. */
			if (bio->bi_opf & REQ_NOWAIT) {
				bio_wouldblock_error(bio);
				return DM_MAPIO_SUBMITTED;
			}
			if (mode == BJ_MODE_COMMIT) {
				int r = send_committed(mirror, io, bio, gfp);

				if (r == MODE_OVER)
					continue;
				return r;
			}
			if (active_possible(io, bio, gfp == GFP_NOWAIT) &&
			    !bj_active_write(mirror, io, bio, gfp))
				return DM_MAPIO_SUBMITTED;
			break;
		}
		if (send_unsynced(mirror, io, bio))
			return DM_MAPIO_REMAPPED;
	}
}

static int flush_leg(struct blkjob *job, unsigned int leg, struct bj_io *io,
		     struct bio *bio)
{
	bj_time_bio(job, bio);
	return bj_send(&job->leg[leg], io->sector, bio);
}

/*
 * dm sends two empty flushes, one for each leg as opened, so that if the legs
 * change places between the two both are flushed or need not be. That of the
 * target device counts where writes go to both legs.
 */
static int send_flush(struct bj_mirror *mirror, struct bj_io *io,
		      struct bio *bio, gfp_t gfp)
{
	unsigned int leg = dm_bio_get_target_bio_nr(bio);
	struct blkjob *job = mirror->job;
	enum bj_mode mode;
	bool target;

	io->path = PATH_DONE;
	for (;;) {
		/* The mode before the legs, see set_mode(). */
		mode = smp_load_acquire(&mirror->mode);
		target = &job->leg[leg] == bj_leg(job, BJ_TARGET);
		if (mode == BJ_MODE_HOLD) {
			wait_for_switch(job);
			continue;
		}
		if (mode == BJ_MODE_TARGET)
			return target ? flush_leg(job, leg, io, bio) :
					end_now(bio);
		if (!target)
			return bj_bug(BJ_BUG_FLUSH_DROPPED) ? end_now(bio) :
			       flush_leg(job, leg, io, bio);
		if ((mode != BJ_MODE_SYNC && mode != BJ_MODE_COMMIT) ||
		    bj_bug(BJ_BUG_FLUSH_SOURCE_ONLY))
			return end_now(bio);
		if (!bj_active_flush(mirror, bio, gfp))
			return DM_MAPIO_SUBMITTED;
		if (park(mirror, mode, io, bio, gfp != GFP_NOWAIT))
			return PARKED;
	}
}

/* Is it known on disk that the legs may differ there? Or it waits until it is. */
static bool is_remembered(struct bj_mirror *mirror, struct bj_io *io,
			  struct bio *bio)
{
	struct bj_track *track = mirror->intent->track;

	/* What has waited is not cut any more. */
	io->path = PATH_DONE;
	active_possible(io, bio, true);
	if (bj_track_pass(track, io))
		return true;
	bj_held_park(&track->held, io, bio);
	return false;
}

/* Writes and flushes; reads follow job->reads. @remembers: constant. */
static __always_inline int map_write(struct blkjob *job, struct bio *bio,
				     bool remembers)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_mirror *mirror = job->private;
	int r;

	/* The clone's own iterator has moved on when it ends. */
	io->sector = dm_target_offset(job->ti, bio->bi_iter.bi_sector);
	io->nr_sectors = bio_sectors(bio);
	if (unlikely(bio->bi_opf & REQ_PREFLUSH)) {
		if (!dm_bio_get_target_bio_nr(bio))
			this_cpu_inc(job->cpu_stats->flushes);
		if (remembers)
			io->epoch = BJ_EPOCH_NONE;
		r = send_flush(mirror, io, bio, GFP_NOWAIT);
	} else {
		if (unlikely(bj_sampled(&job->cpu_stats->writes,
					READ_ONCE(job->sample_mask))))
			bj_time_bio(job, bio);
		if (remembers && !is_remembered(mirror, io, bio))
			return DM_MAPIO_SUBMITTED;
		if (likely(send_tracked(mirror, io, bio)))
			return DM_MAPIO_REMAPPED;
		r = send_write(mirror, io, bio, GFP_NOWAIT);
	}
	return r == PARKED ? DM_MAPIO_SUBMITTED : r;
}

int bj_mirror_map(struct blkjob *job, struct bio *bio)
{
	return map_write(job, bio, false);
}

int bj_mirror_map_remembering(struct blkjob *job, struct bio *bio)
{
	return map_write(job, bio, true);
}

int bj_mirror_end_io(struct blkjob *job, struct bio *bio, blk_status_t *error)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_mirror *mirror = job->private;
	bool left;

	/* Also after an error: then nobody knows what the source holds. */
	switch (io->path) {
	case PATH_TRACKED:
		if (!bj_bug(BJ_BUG_DIRTY_AT_MAP) &&
		    !(bj_bug(BJ_BUG_ZEROES_CLEAN) &&
		      bio_op(bio) == REQ_OP_WRITE_ZEROES))
			bj_mark_dirty(job, io->sector, io->nr_sectors);
		/*
		 * Setting a bit was a full barrier, and if it was set before,
		 * its setter comes by here too. Pairs with job_work().
		 */
		if (READ_ONCE(job->idle))
			bj_wake(job);
		preempt_disable();
		this_cpu_inc(mirror->tracked->ended);
		left = READ_ONCE(mirror->mode) != BJ_MODE_TRACK;
		preempt_enable();
		if (unlikely(left))
			bj_kick(job);
		break;
	case PATH_UNSYNCED:
		bj_mark_dirty(job, io->sector, io->nr_sectors);
		if (atomic_dec_and_test(&mirror->unsynced))
			bj_kick(job);
		break;
	}
	return DM_ENDIO_DONE;
}

int bj_mirror_end_io_remembering(struct blkjob *job, struct bio *bio,
				 blk_status_t *error)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_mirror *mirror = job->private;

	bj_mirror_end_io(job, bio, error);
	/* Whoever waits for that has its regions dirty, or equal. */
	bj_track_ended(mirror->intent->track, io);
	return DM_ENDIO_DONE;
}

/* One that counts as parked. False: it still is. */
static bool send_again(struct bj_mirror *mirror, struct bj_io *io,
		       struct bio *bio)
{
	int r = DM_MAPIO_SUBMITTED;

	if (READ_ONCE(mirror->job->noflush)) {
		bio->bi_status = BLK_STS_DM_REQUEUE;
		bio_endio(bio);
	} else if (bio->bi_opf & REQ_PREFLUSH) {
		r = send_flush(mirror, io, bio, GFP_NOIO);
	} else {
		r = send_write(mirror, io, bio, GFP_NOIO);
	}
	if (r == PARKED)
		return false;
	atomic_dec(&mirror->nr_parked);
	if (r == DM_MAPIO_REMAPPED)
		dm_submit_bio_remap(bio, NULL);
	return true;
}

void bj_mirror_send_held(struct blkjob *job, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_mirror *mirror = job->private;

	io->held_since = ktime_get_ns();
	atomic_inc(&mirror->nr_parked);
	/* Whoever was in its way may have gone before it was in the list. */
	if (!send_again(mirror, io, bio))
		bj_kick(job);
}

/*
 * Worker: try the parked bios again, let them go if COMMIT is over, or give
 * them back to dm if that is suspending without flush. They stay counted until
 * they are gone, see active_finish().
 */
void bj_mirror_unpark(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	struct bio_list list;
	u64 now, longest = 0;
	struct bio *bio;

	if (!atomic_read(&mirror->nr_parked))
		return;
	spin_lock_irq(&job->lock);
	list = mirror->parked;
	bio_list_init(&mirror->parked);
	spin_unlock_irq(&job->lock);
	/* Not earlier: none of them has begun to wait after it. */
	now = ktime_get_ns();

	while ((bio = bio_list_pop(&list))) {
		struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
		u64 since = io->held_since;	/* bio may end at once */

		if (send_again(mirror, io, bio))
			longest = max(longest, now - since);
	}
	spin_lock_irq(&job->lock);
	job->stats.pause_ns = max(job->stats.pause_ns, longest);
	spin_unlock_irq(&job->lock);
}
