// SPDX-License-Identifier: GPL-2.0
/*
 * Track: what has changed since a checkpoint, kept on a metadata device.
 *
 * Reads and writes go to the source, which is the only leg. A write to a region
 * whose bit is not on stable storage yet waits until it is: then a power failure
 * at any moment leaves a bit for every region that may have changed. A region
 * costs that once for each checkpoint; many of them are written together.
 *
 * Only the newest checkpoint has a bitmap that grows. What has changed since an
 * older one is in its own and in those of all later ones.
 *
 * The instant of a checkpoint is when every write that was sent before its
 * bitmap was there has ended, and is on stable storage; so whoever copies the
 * device after the instant has all that is not in the bitmap, and no power
 * failure takes it back. Writes are counted by epoch for that, and nobody waits.
 *
 * If the metadata cannot be written the consumer goes on, and all checkpoints
 * are inconsistent: on disk too, as far as it can still be written.
 */
#include "dm-blkjob-track.h"

/* A metadata device that does not answer for so long is given up. */
#define BJ_MD_TIMEOUT	((u64)10 * NSEC_PER_SEC)

static unsigned int parity(unsigned int mode)
{
	return mode >> 1 & 1;
}

/*-------------------------- Foreground ---------------------------*/

static bool is_stable(struct bj_track *track, const struct bj_io *io)
{
	u64 first = bj_first_region(track->job, io->sector);
	u64 last = bj_last_region(track->job, io->sector, io->nr_sectors);

	if (likely(first == last))
		return test_bit(first, track->stable);
	return find_next_zero_bit(track->stable, last + 1, first) > last;
}

/*
 * May it be sent? Then it is counted in the epoch whose bitmap has it. The mode
 * is read, the bits looked at and the write counted in one RCU read section,
 * for bj_track_drained().
 */
static __always_inline bool may_pass(struct bj_track *track, struct bj_io *io)
{
	unsigned int mode;
	bool pass;

	io->epoch = BJ_EPOCH_NONE;
	preempt_disable();
	/* Pairs with bj_track_switch(): its bits are gone. */
	mode = smp_load_acquire(&track->mode);
	pass = !(mode & BJ_TRACKING) || is_stable(track, io);
	if (likely(pass)) {
		io->epoch = parity(mode);
		this_cpu_inc(track->flying->begun[parity(mode)]);
	}
	preempt_enable();
	return pass;
}

bool bj_track_pass(struct bj_track *track, struct bj_io *io)
{
	return may_pass(track, io);
}

void bj_track_ended(struct bj_track *track, struct bj_io *io)
{
	bool left;

	if (io->epoch == BJ_EPOCH_NONE)
		return;
	preempt_disable();
	this_cpu_inc(track->flying->ended[io->epoch]);
	left = parity(READ_ONCE(track->mode)) != io->epoch;
	preempt_enable();
	if (unlikely(left))
		bj_kick(track->job);
}

static int track_map(struct blkjob *job, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bj_track *track = job->private;

	io->sector = dm_target_offset(job->ti, bio->bi_iter.bi_sector);
	io->nr_sectors = bio_sectors(bio);
	io->epoch = BJ_EPOCH_NONE;
	if (unlikely(bio->bi_opf & REQ_PREFLUSH)) {
		this_cpu_inc(job->cpu_stats->flushes);
		bj_time_bio(job, bio);
		return bj_send_to(job, BJ_SOURCE, io->sector, bio);
	}
	if (unlikely(bj_sampled(&job->cpu_stats->writes,
				READ_ONCE(job->sample_mask))))
		bj_time_bio(job, bio);
	if (likely(may_pass(track, io)))
		return bj_send_to(job, BJ_SOURCE, io->sector, bio);
	return bj_held_park(&track->held, io, bio);
}

static int track_end_io(struct blkjob *job, struct bio *bio,
			blk_status_t *error)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

	bj_track_ended(job->private, io);
	return DM_ENDIO_DONE;
}

/*---------------------------- Epochs -----------------------------*/

void bj_track_switch(struct bj_track *track, int place)
{
	struct blkjob *job = track->job;
	unsigned int mode;

	/*
	 * Who has the old mode and finds no bit any more waits, and the worker
	 * looks again; who found one is counted in the old epoch.
	 */
	bitmap_zero(track->stable, job->map.nr);
	spin_lock_irq(&job->lock);
	mode = (track->mode | BJ_TRACKING) + 1;
	if (track->use->forever || job->state < BLKJOB_CONCLUDED)
		mode |= BJ_TRACKING;
	track->active = place;
	/* Pairs with may_pass(). */
	smp_store_release(&track->mode, mode);
	spin_unlock_irq(&job->lock);
}

/* No new epoch: the next one still has to wait for those of this one. */
void bj_track_stop(struct bj_track *track)
{
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	track->active = -1;
	/* Pairs with may_pass(); what waits is looked at again. */
	smp_store_release(&track->mode, track->mode & ~BJ_TRACKING);
	spin_unlock_irq(&job->lock);
}

static void flying_rcu(struct rcu_head *rcu)
{
	struct bj_track *track = container_of(rcu, struct bj_track, rcu);

	WRITE_ONCE(track->rcu_done, track->rcu_begun);
	/* Pairs with bj_track_drained(): rcu can be used again. */
	smp_store_release(&track->rcu_running, false);
	bj_kick(track->job);
}

/*
 * After a grace period everybody knows the new epoch: then begun of the old one
 * stands still, and who ends a write of it kicks (track_end_io()).
 */
bool bj_track_drained(struct bj_track *track)
{
	unsigned long begun = 0, ended = 0;
	unsigned int epoch = track->mode >> 1;
	unsigned int old = !(epoch & 1);
	int cpu;

	if (bj_bug(BJ_BUG_NO_DRAIN))
		return true;
	/* Pairs with flying_rcu(). */
	if (smp_load_acquire(&track->rcu_running))
		return false;
	if (track->rcu_done != epoch) {
		track->rcu_begun = epoch;
		track->rcu_running = true;
		call_rcu(&track->rcu, flying_rcu);
		return false;
	}
	for_each_possible_cpu(cpu)
		ended += READ_ONCE(per_cpu_ptr(track->flying, cpu)->ended[old]);
	/* Nobody is seen to end who is not seen to begin. */
	smp_rmb();
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(track->flying, cpu)->begun[old]);
	return begun == ended;
}

/*------------------------ Held writes ----------------------------*/

void bj_track_mark(struct bj_track *track, int place, u64 first, u64 last)
{
	struct bj_md_map *map = &track->md.map[place];
	u32 block = div_u64(first, BLKJOB_MD_BLOCK_BITS);
	u64 end;

	for (; first <= last; first = end, block++) {
		cond_resched();
		end = min(last + 1, (block + 1ULL) * BLKJOB_MD_BLOCK_BITS);
		if (find_next_zero_bit(map->bits, end, first) >= end)
			continue;
		for (; first < end; first++)
			map->nr += !__test_and_set_bit(first, map->bits);
		__set_bit(block, map->stale);
	}
}

/* Set the bits of a write in the active bitmap. */
static void mark(struct bj_track *track, const struct bj_io *io)
{
	bj_track_mark(track, track->active,
		      bj_first_region(track->job, io->sector),
		      bj_last_region(track->job, io->sector, io->nr_sectors));
}

/* Look at all that wait. */
static void look_at_held(struct bj_track *track)
{
	struct blkjob *job = track->job;
	struct bio_list list;
	struct bio *bio;

	bj_held_take(&track->held, &list);
	while ((bio = bio_list_pop(&list))) {
		struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

		if (READ_ONCE(job->noflush)) {
			bj_held_end(&track->held, bio, BLK_STS_DM_REQUEUE);
		} else if (may_pass(track, io)) {
			bj_held_let_go(&track->held, bio);
		} else if (bj_bug(BJ_BUG_DATA_BEFORE_BIT)) {
			mark(track, io);
			bj_held_let_go(&track->held, bio);
		} else {
			mark(track, io);
			bio_list_add(&track->held.waiting, bio);
		}
	}
}

/*---------------------------- Batches ----------------------------*/

bool bj_track_write_bits(struct bj_track *track, int place)
{
	const struct bj_md_super *super = track->md.super;
	struct bj_md_map *map = &track->md.map[place];
	unsigned int nr = 0;
	unsigned long block;

	for_each_set_bit(block, map->stale, super->bitmap_blocks) {
		u64 sequence = map->sequence[block] + 1;
		void *data;

		if (nr == BJ_MD_BATCH)
			break;
		data = bj_md_add(&track->md,
				 bj_md_bitmap_sector(super, place, block,
						     sequence & 1));
		/* What is set from now on is for another batch. */
		__clear_bit(block, map->stale);
		bj_md_bits_encode(data, map->bits,
				  super->bitmap[place].generation, sequence,
				  block, sequence & 1);
		map->sequence[block] = sequence;
		track->block[nr++] = block;
	}
	if (!nr)
		return false;
	track->nr_blocks = place == track->active ? nr : 0;
	bj_md_write(&track->md, bj_bug(BJ_BUG_BITS_NOT_STABLE) ? 0 : REQ_FUA);
	return true;
}

/* No metadata, no checkpoints: the consumer comes first. */
static void give_up(struct bj_track *track, blk_status_t status,
		    sector_t sector, const char *error)
{
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	if (job->state < BLKJOB_ABORTING) {
		__bj_error_note(job, BJ_TARGET, "write", status, sector);
		__bj_event_error(job, "inconsistent");
		__bj_abort(job, error);
	}
	spin_unlock_irq(&job->lock);
}

/* True if a batch has ended, and another one can begin. */
static bool batch_ended(struct bj_track *track)
{
	struct bj_md *md = &track->md;
	blk_status_t status;
	sector_t sector = 0;
	unsigned int i;

	if (!bj_md_ended(md, &status, &sector))
		return false;
	for (i = 0; i < track->nr_blocks && !status; i++)
		bj_md_bits_add(track->stable, md->slot[i].data,
			       track->block[i]);
	track->nr_blocks = 0;
	md->nr = 0;
	if (status)
		track->use->failed(track, status, sector,
				   "metadata-write-error");
	return true;
}

/* The device of the metadata does not answer. */
static void watch(struct bj_track *track)
{
	u64 waited = ktime_get_ns() - track->md.begun;

	if (!track->md.running || READ_ONCE(track->md.ended))
		return;
	if (waited < BJ_MD_TIMEOUT)
		bj_come_back(track->job, BJ_MD_TIMEOUT - waited);
	else
		track->use->failed(track, BLK_STS_TIMEOUT,
				   track->md.slot[0].sector,
				   "metadata-timeout");
}

/* In turn with what is done to a checkpoint. */
static bool next_batch(struct bj_track *track, bool bits, bool others)
{
	bits &= track->active >= 0;
	track->others_turn = !track->others_turn;
	if (bits && !track->others_turn &&
	    bj_track_write_bits(track, track->active))
		return false;
	if (others && bj_checkpoint_step(track))
		return true;
	if (!track->md.running && bits)
		bj_track_write_bits(track, track->active);
	return false;
}

bool bj_track_reap(struct bj_track *track)
{
	bool again = batch_ended(track);

	if (atomic_read(&track->held.nr))
		look_at_held(track);
	return again;
}

bool bj_track_run(struct bj_track *track, bool bits, bool others)
{
	bool again = !track->md.running && next_batch(track, bits, others);

	watch(track);
	return again;
}

static bool track_step(struct blkjob *job)
{
	struct bj_track *track = job->private;
	enum blkjob_state state;
	bool suspended, again;

	again = bj_track_reap(track);
	if (READ_ONCE(track->stopping)) {
		wake_up(&job->drained);
		return false;
	}
	spin_lock_irq(&job->lock);
	state = job->state;
	suspended = job->suspended;
	if (state == BLKJOB_ABORTING && track->op != BJ_CHECKPOINT_BREAK) {
		track->op = BJ_CHECKPOINT_BREAK;
		track->phase = 0;
		track->super_slot = 0;
	}
	spin_unlock_irq(&job->lock);
	if (state == BLKJOB_CREATED || state == BLKJOB_CONCLUDED)
		return again;
	return again | bj_track_run(track, state < BLKJOB_ABORTING,
				    !suspended || state == BLKJOB_ABORTING);
}

/*---------------------------- The type ---------------------------*/

void __bj_track_off(struct bj_track *track)
{
	lockdep_assert_held(&track->job->lock);
	/* Pairs with may_pass(). */
	smp_store_release(&track->mode, track->mode & ~BJ_TRACKING);
}

static void track_state_changed(struct blkjob *job)
{
	if (job->state == BLKJOB_CONCLUDED)
		__bj_track_off(job->private);
}

/* What waits is served meanwhile; or dm takes it back (noflush). */
static void track_presuspend(struct blkjob *job)
{
	bj_kick(job);
}

static void track_stop(struct blkjob *job)
{
	struct bj_track *track = job->private;

	WRITE_ONCE(track->stopping, true);
}

bool bj_track_stopped(struct bj_track *track)
{
	return !READ_ONCE(track->rcu_running);
}

static bool track_stopped(struct blkjob *job)
{
	return bj_track_stopped(job->private);
}

static unsigned int track_held(struct blkjob *job)
{
	struct bj_track *track = job->private;

	return atomic_read(&track->held.nr);
}

static bool track_never(struct blkjob *job)
{
	return false;
}

static void track_status(struct blkjob *job, char *result, unsigned int maxlen)
{
	struct bj_track *track = job->private;
	unsigned int i, nr = 0, sz = 0;
	bool busy;

	spin_lock_irq(&job->lock);
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++)
		nr += !!track->md.super->bitmap[i].generation;
	busy = track->op != BJ_CHECKPOINT_NONE;
	spin_unlock_irq(&job->lock);
	DMEMIT(" checkpoints=%u metadata_writes=%llu checkpoint_busy=%d", nr,
	       READ_ONCE(track->md.writes), busy);
}

int bj_track_init(struct bj_track *track, struct blkjob *job,
		  const struct bj_track_use *use, char *error)
{
	int r;

	snprintf(error, BJ_ERROR_LEN, "there is no memory for tracking");
	track->job = job;
	track->use = use;
	track->md.least = use->least;
	track->active = -1;
	bj_held_init(&track->held, job, BJ_SOURCE);
	track->flying = alloc_percpu(struct bj_flying);
	track->stable = kvcalloc(bj_md_bitmap_blocks(job->map.nr),
				 BLKJOB_MD_BLOCK_BITS / BITS_PER_BYTE,
				 GFP_KERNEL);
	if (!track->flying || !track->stable)
		return -ENOMEM;
	r = bj_md_init(&track->md, job, error);
	if (r)
		return r;
	/* The words of the table line do not stay. */
	job->opt.identity = track->md.super->leg[BJ_SOURCE].identity;
	bj_checkpoint_load(track);
	return 0;
}

void bj_track_exit(struct bj_track *track)
{
	bj_md_exit(&track->md);
	kvfree(track->stable);
	free_percpu(track->flying);
	kfree(track);
}

static bool track_broken(struct bj_track *track)
{
	return bj_aborted(track->job);
}

/*
 * What was written before has no bit, so a power failure must not take it back
 * any more: an image of later has it.
 */
static void track_begin_settling(struct bj_track *track)
{
	track->ticket = bj_flush_ticket(bj_flush_of(track->job, BJ_SOURCE));
}

static bool track_settled(struct bj_track *track)
{
	return bj_bug(BJ_BUG_CHECKPOINT_NOT_FLUSHED) ||
	       bj_flushed(bj_flush_of(track->job, BJ_SOURCE), track->ticket);
}

static const struct bj_track_use track_use = {
	.begin_settling = track_begin_settling,
	.settled = track_settled,
	.failed = give_up,
	.broken = track_broken,
};

static int track_ctr(struct blkjob *job, char *error)
{
	struct bj_track *track = kzalloc_obj(*track);

	if (!track) {
		snprintf(error, BJ_ERROR_LEN, "there is no memory for tracking");
		return -ENOMEM;
	}
	job->private = track;
	job->reads = &job->leg[BJ_SOURCE];
	return bj_track_init(track, job, &track_use, error);
}

static void track_dtr(struct blkjob *job)
{
	if (job->private)
		bj_track_exit(job->private);
}

const struct blkjob_type bj_track_type = {
	.kind = BJ_TRACK,
	.granularity = BLKJOB_GRANULARITY,
	.ctr = track_ctr,
	.dtr = track_dtr,
	.map = track_map,
	.end_io = track_end_io,
	.step = track_step,
	.state_changed = track_state_changed,
	.presuspend = track_presuspend,
	.stop = track_stop,
	.stopped = track_stopped,
	.held = track_held,
	.synced = track_never,
	.diverged = track_never,
	.message = bj_checkpoint_message,
	.help = "checkpoint <name>              begin one\n"
		"checkpoint-delete <name>\n"
		"checkpoint-rename <name> <new> <new> goes, if it is there\n"
		"checkpoint-mark <name> <start> <length> ...\n"
		"checkpoints                    all, the oldest first\n"
		"changed <name> [<start>]       ranges since, in sectors\n",
	.status = track_status,
};
