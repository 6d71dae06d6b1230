// SPDX-License-Identifier: GPL-2.0
/*
 * Stream: the target device is used at once, over a source that is only read;
 * what is not there yet is filled in behind.
 *
 * A region is valid when the target device has it (dm-blkjob-valid.c), and
 * stays so. Reads of valid regions go to the target device, others to the
 * source, which never changes; so they need no lock. Writes go to the target
 * device. What they have written whole is valid when they end. One that covers
 * a part of a region that is not valid waits until the region was fetched, in
 * the urgent lane of the pipeline; by default a region is what a page cache
 * writes.
 *
 * A copy that lands after a write would undo it. So who writes regions that are
 * not valid, a copy or the consumer, takes them in the busy map, and then looks
 * at whether they are valid. A write that finds them taken waits for that copy,
 * which is of one buffer at most.
 *
 * What the map has is what is to be filled. That is less than what is not
 * valid if regions were unmarked; these are read from the source for good.
 *
 * A job that was cancelled copies no more. Its device goes on, with all this.
 */
#include "dm-blkjob-copy.h"
#include "dm-blkjob-held.h"
#include "dm-blkjob-valid.h"

/* A write that takes more is divided; see BJ_BUSY_MAX_SECTORS. */
#define BJ_TAKE_SECTORS		(BJ_BUSY_MAX_SECTORS / 2)
#define BJ_NOWHERE		U64_MAX

/* bj_io.path */
enum {
	PATH_DONE,	/* nothing follows from its end */
	PATH_NEW,	/* valid, but perhaps not on disk */
	PATH_TAKEN,	/* it has the range, and makes it valid */
	PATH_ZEROES,	/* also, in the place of a discard */
	PATH_LANDED,	/* ended, and then held: see bj_valid_hold() */
};

struct bj_stream {
	struct blkjob *job;
	bool over;		/* only the target device is left; job->lock */
	bool stopping;
	struct bj_held held;
	struct bj_valid valid;
	u64 read_at;		/* region that the consumer has read last */
};

static u64 first_of(struct bj_stream *stream, const struct bj_io *io)
{
	return bj_first_region(stream->job, io->sector);
}

static u64 last_of(struct bj_stream *stream, const struct bj_io *io)
{
	return bj_last_region(stream->job, io->sector, io->nr_sectors);
}

static int end_now(struct bio *bio, blk_status_t status)
{
	bio->bi_status = status;
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

/* The bio ends where @region begins; dm sends the rest again. */
static void end_at_region(struct bj_stream *stream, struct bj_io *io,
			  struct bio *bio, u64 region)
{
	u64 nr = (region << stream->job->region_shift) - io->sector;

	if (nr >= io->nr_sectors)
		return;
	dm_accept_partial_bio(bio, nr);
	io->nr_sectors = nr;
}

/*-------------------------- Foreground ---------------------------*/

static int map_read(struct bj_stream *stream, struct bj_io *io,
		    struct bio *bio)
{
	u64 first = first_of(stream, io), end = last_of(stream, io) + 1, border;
	unsigned long *bits = stream->valid.bits;
	struct blkjob *job = stream->job;
	bool valid = test_bit(first, bits);

	if (READ_ONCE(stream->over))
		return bj_send_to(job, BJ_TARGET, io->sector, bio);
	if (end - first > 1 && !bj_bug(BJ_BUG_READ_NOT_SPLIT)) {
		border = valid ? find_next_zero_bit(bits, end, first) :
				 find_next_bit(bits, end, first);
		if (border < end)
			end_at_region(stream, io, bio, border);
	}
	if (!valid && READ_ONCE(job->opt.copy_on_read))
		WRITE_ONCE(stream->read_at, first);
	return bj_send_to(job, valid ? BJ_TARGET : BJ_SOURCE, io->sector, bio);
}

static int map_flush(struct bj_stream *stream, struct bj_io *io,
		     struct bio *bio)
{
	struct blkjob *job = stream->job;

	this_cpu_inc(job->cpu_stats->flushes);
	if (bj_valid_broken(&stream->valid) && !READ_ONCE(stream->over))
		return end_now(bio, BLK_STS_IOERR);
	bj_time_bio(job, bio);
	bj_send_to(job, BJ_TARGET, io->sector, bio);
	if (READ_ONCE(stream->over) || bj_valid_settled(&stream->valid) ||
	    bj_bug(BJ_BUG_FLUSH_WITHOUT_BITS))
		return DM_MAPIO_REMAPPED;
	bj_valid_hold(&stream->valid, bio);
	return DM_MAPIO_SUBMITTED;
}

/* Does it cover a region that is not valid only in part? Which? */
static bool partial(struct bj_stream *stream, const struct bj_io *io,
		    u64 *region)
{
	u64 mask = (1ULL << stream->job->region_shift) - 1;
	u64 end = io->sector + io->nr_sectors;

	if (bj_bug(BJ_BUG_PART_IS_VALID))
		return false;
	*region = first_of(stream, io);
	if (io->sector & mask && !bj_valid_all(&stream->valid, *region, *region))
		return true;
	*region = last_of(stream, io);
	return end & mask && end != stream->job->nr_sectors &&
	       !bj_valid_all(&stream->valid, *region, *region);
}

/* May it be sent? Then it is known what follows from its end. */
static bool may_go(struct bj_stream *stream, struct bj_io *io)
{
	u64 region;

	if (bj_valid_all(&stream->valid, first_of(stream, io),
			 last_of(stream, io))) {
		io->path = PATH_NEW;
		return true;
	}
	if (partial(stream, io, &region) ||
	    !bj_busy_trylock(stream->job->busy, io->sector, io->nr_sectors))
		return false;
	io->path = PATH_TAKEN;
	return true;
}

static int map_write(struct bj_stream *stream, struct bj_io *io,
		     struct bio *bio)
{
	if (likely(bj_valid_frozen(&stream->valid, first_of(stream, io),
				   last_of(stream, io))))
		return bj_send_to(stream->job, BJ_TARGET, io->sector, bio);
	if (bj_valid_broken(&stream->valid))
		return end_now(bio, BLK_STS_IOERR);
	if (io->nr_sectors > BJ_TAKE_SECTORS) {
		dm_accept_partial_bio(bio, BJ_TAKE_SECTORS);
		io->nr_sectors = BJ_TAKE_SECTORS;
	}
	if (may_go(stream, io))
		return bj_send_to(stream->job, BJ_TARGET, io->sector, bio);
	return bj_held_park(&stream->held, io, bio);
}

/*
 * What is not valid must never show what the target device had before. So a
 * discard of it writes zeroes, if that is possible, and is otherwise dropped,
 * as it is where it touches only a part of a region.
 */
static int map_discard_absent(struct bj_stream *stream, struct bj_io *io,
			      struct bio *bio, u64 end)
{
	struct blkjob *job = stream->job;
	u64 first = (io->sector + (1ULL << job->region_shift) - 1) >>
		    job->region_shift;

	if (bj_valid_broken(&stream->valid) ||
	    !bdev_write_zeroes_sectors(bj_bdev(job, BJ_TARGET)))
		return end_now(bio, BLK_STS_OK);
	if (first << job->region_shift != io->sector) {
		end_at_region(stream, io, bio, first);
		return end_now(bio, BLK_STS_OK);
	}
	/* Whole regions; the last one may be short. */
	if (io->sector + io->nr_sectors != job->nr_sectors)
		end = min(end, (io->sector + io->nr_sectors) >>
			       job->region_shift);
	end = min(end, first + max_t(u64, BJ_TAKE_SECTORS >> job->region_shift,
				     1));
	if (end == first)
		return end_now(bio, BLK_STS_OK);
	end_at_region(stream, io, bio, end);
	if (bj_bug(BJ_BUG_DISCARD_SHOWS)) {
		bj_valid_add(&stream->valid, first, end - 1);
		return end_now(bio, BLK_STS_OK);
	}
	/* A hint is not worth waiting for. */
	if (!bj_busy_trylock(job->busy, io->sector, io->nr_sectors))
		return end_now(bio, BLK_STS_OK);
	io->path = PATH_ZEROES;
	bio->bi_opf = REQ_OP_WRITE_ZEROES | (bio->bi_opf & ~REQ_OP_MASK);
	return bj_send_to(job, BJ_TARGET, io->sector, bio);
}

static int map_discard(struct bj_stream *stream, struct bj_io *io,
		       struct bio *bio)
{
	u64 first = first_of(stream, io), end = last_of(stream, io) + 1, border;
	unsigned long *bits = stream->valid.bits;

	if (!test_bit(first, bits)) {
		border = find_next_bit(bits, end, first);
		return map_discard_absent(stream, io, bio, border);
	}
	border = find_next_zero_bit(bits, end, first);
	if (border < end)
		end_at_region(stream, io, bio, border);
	io->path = PATH_NEW;
	return bj_send_to(stream->job, BJ_TARGET, io->sector, bio);
}

static int stream_map(struct blkjob *job, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_stream *stream = job->private;

	io->sector = dm_target_offset(job->ti, bio->bi_iter.bi_sector);
	io->nr_sectors = bio_sectors(bio);
	io->path = PATH_DONE;
	if (!op_is_write(bio_op(bio)))
		return map_read(stream, io, bio);
	if (unlikely(bio->bi_opf & REQ_PREFLUSH))
		return map_flush(stream, io, bio);
	if (unlikely(bj_sampled(&job->cpu_stats->writes,
				READ_ONCE(job->sample_mask))))
		bj_time_bio(job, bio);
	if (READ_ONCE(stream->over))
		return bj_send_to(job, BJ_TARGET, io->sector, bio);
	if (bio_op(bio) == REQ_OP_DISCARD)
		return map_discard(stream, io, bio);
	return map_write(stream, io, bio);
}

/* It had the range: then all of that is on the target device, or nothing is. */
static void taken_ended(struct bj_stream *stream, const struct bj_io *io,
			bool written)
{
	struct blkjob *job = stream->job;
	u64 first = first_of(stream, io), last = last_of(stream, io);

	if (written) {
		bj_valid_promise(&stream->valid, first, last);
		/* The map has all its memory. */
		bj_regions_clear(&job->map, first, last);
	} else {
		/* Nobody knows what is there. */
		WRITE_ONCE(job->target_is_zero, false);
	}
	/* A full barrier: who has waited for it since is seen. */
	bj_busy_unlock(job->busy, io->sector, io->nr_sectors);
	if (READ_ONCE(job->pipe.blocked) || atomic_read(&stream->held.nr))
		bj_kick(job);
}

static int stream_end_io(struct blkjob *job, struct bio *bio,
			 blk_status_t *error)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_stream *stream = job->private;
	u8 path = io->path;

	if (path == PATH_TAKEN || path == PATH_ZEROES)
		taken_ended(stream, io, !*error);
	else if (path == PATH_NEW && !*error)
		bj_valid_promise(&stream->valid, first_of(stream, io),
				 last_of(stream, io));
	if (path == PATH_ZEROES)
		*error = BLK_STS_OK;
	if (likely(!(bio->bi_opf & REQ_FUA)) || *error || path == PATH_LANDED ||
	    READ_ONCE(stream->over) || bj_valid_settled(&stream->valid))
		return DM_ENDIO_DONE;
	/* The data are safe, the bits are not. It comes by here once more. */
	io->path = PATH_LANDED;
	bj_valid_hold(&stream->valid, bio);
	return DM_ENDIO_INCOMPLETE;
}

/*-------------------------- Held writes --------------------------*/

/* Look at all that wait. */
static void look_at_held(struct bj_stream *stream)
{
	struct bio_list list;
	struct bio *bio;

	bj_held_take(&stream->held, &list);
	while ((bio = bio_list_pop(&list))) {
		struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

		if (READ_ONCE(stream->job->noflush))
			bj_held_end(&stream->held, bio, BLK_STS_DM_REQUEUE);
		else if (bj_valid_broken(&stream->valid))
			bj_held_end(&stream->held, bio, BLK_STS_IOERR);
		else if (may_go(stream, io))
			bj_held_let_go(&stream->held, bio);
		else
			bio_list_add(&stream->held.waiting, bio);
	}
}

/* Begin to fetch what they cover in part. */
static void fetch_for_held(struct bj_stream *stream)
{
	struct blkjob *job = stream->job;
	struct bio *bio;
	u64 region;

	bio_list_for_each(bio, &stream->held.waiting) {
		struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

		if (!partial(stream, io, &region))
			continue;
		/* One that was unmarked is wanted now: see stream_absent(). */
		bj_regions_set(&job->map, region, region);
		if (bj_copy_now(job, region, region) == -EAGAIN)
			break;
	}
}

/* Before the sweep goes on, which would take the same again. */
static void stream_urgent(struct blkjob *job)
{
	struct bj_stream *stream = job->private;
	u64 at = READ_ONCE(stream->read_at);

	if (at != BJ_NOWHERE) {
		WRITE_ONCE(stream->read_at, BJ_NOWHERE);
		/* Not back to what has just failed, again and again. */
		if (!READ_ONCE(job->backoff))
			job->pipe.cursor = at;
	}
	if (!atomic_read(&stream->held.nr))
		return;
	look_at_held(stream);
	fetch_for_held(stream);
}

/* Worker. It is the consumer's error, and not the end of the job. */
static void stream_urgent_failed(struct blkjob *job,
				 const struct bj_extent *extent)
{
	struct bj_stream *stream = job->private;

	spin_lock_irq(&job->lock);
	__bj_error_note(job, bj_extent_side(extent), extent->failed_op,
			extent->status, extent->failed_sector);
	__bj_event_error_limited(job, "report");
	spin_unlock_irq(&job->lock);
	bj_held_end_in(&stream->held, extent->sector, extent->nr_sectors,
		       extent->status);
}

/* Nothing that is valid is ever copied over, whatever was marked. */
static u64 stream_absent(struct blkjob *job, u64 first, u64 nr)
{
	struct bj_stream *stream = job->private;
	unsigned long *bits = stream->valid.bits;
	u64 end = first + nr;

	if (!test_bit(first, bits))
		return find_next_bit(bits, end, first) - first;
	end = find_next_zero_bit(bits, end, first);
	bj_regions_clear(&job->map, first, end - 1);
	return 0;
}

static void stream_copied(struct blkjob *job, u64 first, u64 nr)
{
	struct bj_stream *stream = job->private;

	bj_valid_add(&stream->valid, first, first + nr - 1);
}

/*----------------------------- Worker ----------------------------*/

static void stream_flush_failed(struct blkjob *job, enum bj_side side,
				blk_status_t status)
{
	struct bj_stream *stream = job->private;

	bj_valid_break(&stream->valid, side, "flush", status, 0);
}

/* All that was wanted is there: do we still need the source? */
static void stream_filled(struct bj_stream *stream)
{
	struct blkjob *job = stream->job;
	bool all = atomic64_read(&stream->valid.nr) == job->map.nr;

	spin_lock_irq(&job->lock);
	if (job->state == BLKJOB_RUNNING)
		__bj_conclude(job, "completed", all ? BJ_TARGET : BJ_BOTH);
	spin_unlock_irq(&job->lock);
}

static bool stream_step(struct blkjob *job)
{
	struct bj_stream *stream = job->private;
	bool suspended, filled, again;
	enum blkjob_state state;

	spin_lock_irq(&job->lock);
	state = job->state;
	suspended = job->suspended;
	spin_unlock_irq(&job->lock);
	filled = state == BLKJOB_RUNNING && !suspended &&
		 !job->pipe.in_flight && !bj_sweep_left(job);
	again = bj_valid_step(&stream->valid, suspended || filled ||
			      state == BLKJOB_ABORTING);
	if (READ_ONCE(stream->stopping)) {
		wake_up(&job->drained);
		return again;
	}
	if (!bj_valid_clean(&stream->valid))
		return again;
	if (state == BLKJOB_ABORTING)
		again |= bj_aborted(job);
	else if (filled && !bj_valid_broken(&stream->valid))
		stream_filled(stream);
	return again;
}

/*---------------------------- The type ---------------------------*/

static void stream_state_changed(struct blkjob *job)
{
	struct bj_stream *stream = job->private;

	lockdep_assert_held(&job->lock);
	if (job->state != BLKJOB_CONCLUDED || job->active != BJ_TARGET)
		return;
	WRITE_ONCE(stream->over, true);
	/* Pairs with blkjob_map(). */
	smp_store_release(&job->reads, &job->leg[BJ_TARGET]);
}

static const char *stream_may_go_on(struct blkjob *job)
{
	struct bj_stream *stream = job->private;

	if (stream->over)
		return "all of it is on the target device";
	if (bj_valid_broken(&stream->valid))
		return "it cannot commit what it has: load it again";
	return NULL;
}

/* What waits is served meanwhile; or dm takes it back (noflush). */
static void stream_presuspend(struct blkjob *job)
{
	bj_kick(job);
}

static void stream_stop(struct blkjob *job)
{
	struct bj_stream *stream = job->private;

	WRITE_ONCE(stream->stopping, true);
}

static bool stream_stopped(struct blkjob *job)
{
	return true;
}

static unsigned int stream_held(struct blkjob *job)
{
	struct bj_stream *stream = job->private;

	return atomic_read(&stream->held.nr);
}

static bool stream_never(struct blkjob *job)
{
	return false;
}

static void stream_status(struct blkjob *job, char *result,
			  unsigned int maxlen)
{
	struct bj_stream *stream = job->private;
	u64 valid = atomic64_read(&stream->valid.nr), sectors;
	unsigned int sz = 0;

	sectors = valid << job->region_shift;
	/* The last region may be short. */
	if (valid && test_bit(job->map.nr - 1, stream->valid.bits))
		sectors -= (job->map.nr << job->region_shift) - job->nr_sectors;
	DMEMIT(" valid=%llu commits=%llu metadata_writes=%llu metadata_errors=%llu",
	       sectors << SECTOR_SHIFT, READ_ONCE(stream->valid.commits),
	       READ_ONCE(stream->valid.md.writes),
	       READ_ONCE(job->stats.errors[BJ_METADATA]));
}

/* What is valid need not be filled. */
static void unmark_valid(struct bj_stream *stream)
{
	unsigned long *bits = stream->valid.bits;
	struct blkjob *job = stream->job;
	u64 first = 0, end;

	while ((first = find_next_bit(bits, job->map.nr, first)) < job->map.nr) {
		end = find_next_zero_bit(bits, job->map.nr, first);
		bj_regions_clear(&job->map, first, end - 1);
		first = end;
		cond_resched();
	}
}

static int stream_ctr(struct blkjob *job, char *error)
{
	struct bj_stream *stream;
	struct bj_md_super *super;
	int r;

	if (!job->opt.metadata) {
		snprintf(error, BJ_ERROR_LEN,
			 "a stream needs a device for its metadata, option metadata");
		return -EINVAL;
	}
	snprintf(error, BJ_ERROR_LEN, "there is no memory for the stream");
	stream = kzalloc_obj(*stream);
	if (!stream)
		return -ENOMEM;
	job->private = stream;
	stream->job = job;
	stream->read_at = BJ_NOWHERE;
	bj_held_init(&stream->held, job, BJ_TARGET);
	job->active = BJ_BOTH;
	job->pipe.clear_at = BJ_CLEAR_STORED;
	if (bj_regions_prepare(&job->map) || bj_pipe_add_urgent(job))
		return -ENOMEM;
	r = bj_valid_init(&stream->valid, job, error);
	if (r)
		return r;
	/* The words of the table line do not stay. */
	super = stream->valid.md.super;
	job->opt.identity = super->leg[BJ_SOURCE].identity;
	job->opt.target_identity = super->leg[BJ_TARGET].identity;
	job->opt.note = super->note;
	/* Only at the first time: an end may leave anything behind. */
	if (!stream->valid.md.made)
		job->target_is_zero = false;
	unmark_valid(stream);
	return 0;
}

static void stream_dtr(struct blkjob *job)
{
	struct bj_stream *stream = job->private;

	if (!stream)
		return;
	bj_valid_exit(&stream->valid);
	kfree(stream);
}

const struct blkjob_type bj_stream_type = {
	.kind = BJ_STREAM,
	.granularity = BLKJOB_STREAM_GRANULARITY,
	.copies = true,
	.overlay = true,
	.before_waiting = BLKJOB_RUNNING,
	.ctr = stream_ctr,
	.dtr = stream_dtr,
	.map = stream_map,
	.end_io = stream_end_io,
	.urgent = stream_urgent,
	.urgent_failed = stream_urgent_failed,
	.absent = stream_absent,
	.copied = stream_copied,
	.flush_failed = stream_flush_failed,
	.step = stream_step,
	.state_changed = stream_state_changed,
	.may_go_on = stream_may_go_on,
	.presuspend = stream_presuspend,
	.stop = stream_stop,
	.stopped = stream_stopped,
	.held = stream_held,
	.synced = stream_never,
	.diverged = stream_never,
	.status = stream_status,
};
