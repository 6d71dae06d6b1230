// SPDX-License-Identifier: GPL-2.0
/*
 * A mirror that remembers: which regions of its legs may differ is kept on the
 * metadata device, so that after a crash only those are copied.
 *
 * It is tracking (dm-blkjob-track.c), and what it keeps is what has been written
 * since the oldest of its bitmaps was begun. A write to a region that is in none
 * of them waits until it is in the newest one, on disk. No bit is ever taken out
 * of a bitmap; a new one is begun now and then, and when that can stand alone
 * the old one goes. It can when it has
 *
 *   what is written from its beginning on, as with any bitmap;
 *   when every earlier write has ended, and no copy is in flight, what is dirty;
 *   and then both legs have been flushed: what was copied, or written to both,
 *   before that is equal on stable storage too.
 *
 * Until then the old bitmap counts as well, and before there is a first one
 * everything does. Writes are tracked until the target device alone counts.
 *
 * That it may count is in the superblock before pending begins, which is the only
 * way there: then nobody can go on with the source by mistake.
 *
 * If the metadata cannot be written, they are marked as worth nothing, and the
 * job goes on without.
 */
#include "dm-blkjob-intent.h"

#define BJ_INTENT_PART	16	/* of the device may be in vain at most ... */
#define BJ_INTENT_LOOK	((u64)100 * NSEC_PER_MSEC)
#define BJ_INTENT_IDLE	((u64)5 * NSEC_PER_SEC)	/* ... and nothing for longer */

/* The names of the bitmaps, in turn. */
static const char * const names[] = { "a", "b" };

static struct bj_intent *intent_of(struct bj_track *track)
{
	struct bj_mirror *mirror = track->job->private;

	return mirror->intent;
}

/*--------------------------- What is known ------------------------*/

/* Of which all that is there counts; NULL = not. */
static const unsigned long *bits_of(struct bj_track *track, unsigned int place)
{
	return bitmap_of(track, place)->generation ?
	       track->md.map[place].bits : NULL;
}

/* Does what is not in a bitmap not differ? */
static bool is_known(struct bj_track *track)
{
	bool known = false;
	unsigned int i;

	for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
		u32 flags = bitmap_of(track, i)->flags;

		if (!bits_of(track, i))
			continue;
		if (flags & BLKJOB_MD_INCONSISTENT)
			return false;
		known |= !(flags & BLKJOB_MD_STARTING);
	}
	return known;
}

static bool may_differ(struct bj_track *track, u64 region)
{
	const unsigned long *bits;
	unsigned int i;

	for (i = 0; i < track->md.super->nr_bitmaps; i++) {
		bits = bits_of(track, i);
		if (bits && test_bit(region, bits))
			return true;
	}
	return false;
}

/* Only what may differ is dirty. */
static int take_known(struct blkjob *job, struct bj_track *track)
{
	u64 first = 0, end;
	long r = 0;

	while (first < job->map.nr && r >= 0) {
		end = first;
		while (end < job->map.nr && !may_differ(track, end))
			end++;
		if (end > first)
			r = bj_regions_clear(&job->map, first, end - 1);
		first = end + 1;
		cond_resched();
	}
	return min(r, 0L);
}

static void count_bits(struct bj_track *track)
{
	unsigned int i;

	for (i = 0; i < BLKJOB_MD_BITMAPS; i++)
		if (bits_of(track, i))
			track->md.map[i].nr =
				bitmap_weight(bits_of(track, i),
					      track->job->map.nr);
}

static u64 nr_known(struct bj_track *track)
{
	u64 nr = 0;
	unsigned int i;

	if (!is_known(track))
		return track->job->map.nr;
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++)
		if (bits_of(track, i))
			nr += track->md.map[i].nr;
	return min(nr, track->job->map.nr);
}

u64 bj_intent_rework(struct bj_mirror *mirror)
{
	struct bj_track *track = mirror->intent->track;
	struct blkjob *job = mirror->job;
	u64 bytes = nr_known(track) << (job->region_shift + SECTOR_SHIFT);

	return bytes - min(bytes, bj_dirty_bytes(job) +
				  READ_ONCE(job->pipe.in_flight));
}

/*------------------------- A new bitmap ---------------------------*/

/* The old ones may go when it is done: not if writes are no more made dirty. */
static bool may_settle(struct blkjob *job)
{
	bool may;

	spin_lock_irq(&job->lock);
	may = job->state < BLKJOB_PENDING && !job->past_instant &&
	      !job->suspended;
	spin_unlock_irq(&job->lock);
	return may;
}

static void mark_dirty(struct bj_track *track)
{
	struct bj_regions *map = &track->job->map;
	u64 nr, region = bj_regions_next(map, 0);

	if (bj_bug(BJ_BUG_DIRTY_FORGOTTEN))
		return;
	while (region < map->nr) {
		nr = max(bj_regions_run(map, region, map->nr - region), 1ULL);
		bj_track_mark(track, track->place, region, region + nr - 1);
		region = bj_regions_next(map, region + nr);
	}
}

static void begin_flushes(struct bj_intent *intent)
{
	struct bj_flush *flush = intent->mirror->job->flush;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intent->ticket); i++)
		intent->ticket[i] = bj_flush_ticket(&flush[i]);
}

/* One that fails is not asked for again at once. */
static bool flushes_ended(struct bj_intent *intent)
{
	struct blkjob *job = intent->mirror->job;
	u64 now = ktime_get_ns();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intent->ticket); i++) {
		struct bj_flush *flush = &job->flush[i];

		if (bj_bug(BJ_BUG_FORGOTTEN_EARLY))
			continue;
		if (flush->done >= intent->ticket[i])
			continue;
		if (flush->failed && now < intent->look_at) {
			bj_come_back(job, intent->look_at - now);
			return false;
		}
		if (flush->failed && !flush->running)
			intent->look_at = now + NSEC_PER_SEC;
		if (!bj_flushed(flush, intent->ticket[i]))
			return false;
	}
	return true;
}

/* Phases of what makes a bitmap stand alone. */
enum { SETTLE_QUIET, SETTLE_BITS, SETTLE_FLUSH };

/* No copy is in flight, and none begins. */
static bool be_quiet(struct blkjob *job)
{
	bool was = job->pipe.quiet;

	if (bj_bug(BJ_BUG_NOT_QUIET))
		return true;
	WRITE_ONCE(job->pipe.quiet, true);
	/* What is half issued is put back in the next turn. */
	if (!was)
		bj_kick(job);
	return !job->pipe.in_flight;
}

static void quiet_no_more(struct blkjob *job)
{
	if (!job->pipe.quiet)
		return;
	WRITE_ONCE(job->pipe.quiet, false);
	bj_kick(job);
}

static void begin_settling(struct bj_track *track)
{
	intent_of(track)->phase = SETTLE_QUIET;
}

static bool settled(struct bj_track *track)
{
	struct bj_intent *intent = intent_of(track);
	struct blkjob *job = track->job;

	if (!may_settle(job)) {
		quiet_no_more(job);
		return false;
	}
	switch (intent->phase) {
	case SETTLE_QUIET:
		if (!be_quiet(job))
			return false;
		mark_dirty(track);
		begin_flushes(intent);
		quiet_no_more(job);
		intent->phase = SETTLE_BITS;
		fallthrough;
	case SETTLE_BITS:
		if (bj_track_write_bits(track, track->place))
			return false;
		intent->phase = SETTLE_FLUSH;
		fallthrough;
	default:
		return flushes_ended(intent);
	}
}

/* Is a new bitmap worth its writes? */
static bool is_worth(struct bj_intent *intent)
{
	struct blkjob *job = intent->mirror->job;
	u64 now = ktime_get_ns(), rework;

	if (now < intent->look_at)
		goto later;
	intent->look_at = now + BJ_INTENT_LOOK;
	if (!is_known(intent->track))
		return true;
	rework = bj_intent_rework(intent->mirror);
	if (!rework)
		return false;
	if (rework > (job->nr_sectors << SECTOR_SHIFT) / BJ_INTENT_PART ||
	    now - intent->since > BJ_INTENT_IDLE)
		return true;
later:
	bj_come_back(job, intent->look_at - now);
	return false;
}

/* Begin a bitmap, or drop the one before it. */
static void choose(struct bj_intent *intent)
{
	struct bj_track *track = intent->track;
	unsigned int nr;
	int oldest = bj_checkpoint_oldest(track, &nr);

	if (nr > 1) {
		bj_checkpoint_start(track, BJ_CHECKPOINT_DELETE,
				    bitmap_of(track, oldest)->name);
	} else if (is_worth(intent)) {
		intent->since = ktime_get_ns();
		bj_checkpoint_start(track, BJ_CHECKPOINT_BEGIN,
				    names[bj_checkpoint_find(track,
							     names[0]) >= 0]);
	}
}

/*------------------------ Which leg counts ------------------------*/

/* job->lock held. May it be the target device? */
static bool __may_end(struct bj_intent *intent)
{
	struct blkjob *job = intent->mirror->job;

	if (job->state == BLKJOB_WAITING)
		return intent->ending && !job->past_instant;
	intent->ending = false;
	return job->state == BLKJOB_PENDING ||
	       (job->state == BLKJOB_CONCLUDED && job->active == BJ_TARGET);
}

/*
 * While no batch is being written: into both copies of the superblock, if they
 * say something else. True: that is being written.
 */
static bool say_which(struct bj_intent *intent)
{
	struct bj_md_super *super = intent->track->md.super;
	struct blkjob *job = intent->mirror->job;
	unsigned int turned, i;
	u32 flags;

	spin_lock_irq(&job->lock);
	flags = __may_end(intent) && !bj_bug(BJ_BUG_END_NOT_SAID) ?
		BLKJOB_MD_ENDED : 0;
	turned = job->turned;
	spin_unlock_irq(&job->lock);
	if (flags != super->flags || turned != intent->turned) {
		super->flags = flags;
		intent->turned = turned;
		for (i = 0; i < ARRAY_SIZE(intent->identity); i++)
			strscpy(super->leg[i].identity,
				intent->identity[i ^ turned],
				sizeof(super->leg[i].identity));
		intent->next_slot = 0;
	}
	intent->said = !bj_checkpoint_super(intent->track, &intent->next_slot);
	return !intent->said;
}

static bool says_ended(const struct bj_intent *intent)
{
	return intent->track->md.super->flags & BLKJOB_MD_ENDED && intent->said;
}

bool bj_intent_ended(struct bj_mirror *mirror)
{
	struct bj_intent *intent = mirror->intent;

	if (!intent || says_ended(intent) || bj_bug(BJ_BUG_END_NOT_SAID))
		return true;
	/* The device does not answer: as far as it goes, see failed(). */
	if (READ_ONCE(intent->hangs))
		return true;
	if (!intent->ending) {
		intent->ending = true;
		bj_kick(mirror->job);
	}
	return false;
}

bool bj_intent_remembers(struct bj_mirror *mirror)
{
	struct bj_intent *intent = mirror->intent;
	struct blkjob *job = mirror->job;
	bool may_end;

	spin_lock_irq(&job->lock);
	may_end = job->state == BLKJOB_PENDING ||
		  (job->state == BLKJOB_CONCLUDED && job->active == BJ_TARGET);
	spin_unlock_irq(&job->lock);
	return !READ_ONCE(intent->failed) && !may_end &&
	       !READ_ONCE(intent->track->md.super->flags) &&
	       READ_ONCE(intent->turned) == READ_ONCE(job->turned) &&
	       READ_ONCE(intent->said);
}

/*--------------------------- In the job ---------------------------*/

/* Nobody may go on with what is there: on disk first, if that can be. */
static void failed(struct bj_track *track, blk_status_t status, sector_t sector,
		   const char *error)
{
	struct bj_intent *intent = intent_of(track);
	struct blkjob *job = track->job;
	bool first, hopeless;

	if (status == BLK_STS_TIMEOUT)
		WRITE_ONCE(intent->hangs, true);
	spin_lock_irq(&job->lock);
	first = !intent->failed;
	hopeless = (!first || intent->hangs) && track->mode & BJ_TRACKING;
	if (first) {
		__bj_error_note(job, BJ_METADATA, "write", status, sector);
		__bj_event_error(job, "forget");
		track->op = BJ_CHECKPOINT_BREAK;
		track->phase = 0;
		track->super_slot = 0;
		intent->failed = true;
	}
	if (hopeless)
		__bj_track_off(track);
	spin_unlock_irq(&job->lock);
	if (hopeless)
		DMERR("%s: the metadata cannot be marked as bad (%s): do not use them again",
		      bj_name(job), error);
	/*
	 * Also called in each turn while the device does not answer. With a
	 * write in flight the worker is not idle, and no writer wakes it.
	 */
	if (intent->hangs)
		bj_come_back(job, BJ_INTENT_LOOK);
	if (!first && !hopeless)
		return;
	quiet_no_more(job);
	bj_raise_event(job);
	bj_kick(job);
}

static bool track_off(struct bj_track *track)
{
	struct blkjob *job = track->job;
	bool was;

	spin_lock_irq(&job->lock);
	was = track->mode & BJ_TRACKING;
	__bj_track_off(track);
	spin_unlock_irq(&job->lock);
	/* Nobody has to wait any more: look again. */
	return was;
}

static const struct bj_track_use intent_use = {
	.least = ARRAY_SIZE(names),
	.forever = true,
	.begin_settling = begin_settling,
	.settled = settled,
	.failed = failed,
	.broken = track_off,
};

bool bj_intent_step(struct bj_mirror *mirror)
{
	struct bj_intent *intent = mirror->intent;
	struct bj_track *track = intent->track;
	struct blkjob *job = mirror->job;
	enum blkjob_state state;
	bool again, suspended;

	again = bj_track_reap(track);
	if (READ_ONCE(mirror->stopping))
		return false;
	if (!track->md.running)
		WRITE_ONCE(intent->hangs, false);
	spin_lock_irq(&job->lock);
	state = job->state;
	suspended = job->suspended;
	spin_unlock_irq(&job->lock);
	if (state == BLKJOB_CREATED)
		return again;
	if (!track->md.running && !suspended && !say_which(intent) &&
	    track->op == BJ_CHECKPOINT_NONE && may_settle(job))
		choose(intent);
	/* From now on one leg counts, and is no copy. */
	if (state == BLKJOB_CONCLUDED && says_ended(intent))
		again |= track_off(track);
	return again | bj_track_run(track, !intent->failed, !suspended);
}

/* Words of the table line do not stay. */
static void keep_words(struct bj_intent *intent)
{
	struct bj_md_super *super = intent->track->md.super;
	struct blkjob *job = intent->mirror->job;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intent->identity); i++)
		strscpy(intent->identity[i], super->leg[i].identity,
			sizeof(intent->identity[i]));
	job->opt.identity = intent->identity[BJ_SOURCE];
	job->opt.target_identity = intent->identity[BJ_TARGET];
	job->opt.note = super->note;
}

int bj_intent_init(struct bj_mirror *mirror, char *error)
{
	struct blkjob *job = mirror->job;
	struct bj_intent *intent;
	int r;

	if (job->opt.sync == BJ_SYNC_NONE) {
		snprintf(error, BJ_ERROR_LEN,
			 "with metadata these say what is equal, not sync none");
		return -EINVAL;
	}
	snprintf(error, BJ_ERROR_LEN, "there is no memory for the metadata");
	intent = kzalloc_obj(*intent);
	if (!intent)
		return -ENOMEM;
	mirror->intent = intent;
	intent->mirror = mirror;
	intent->next_slot = BLKJOB_MD_SLOTS;
	intent->said = true;
	intent->track = kzalloc_obj(*intent->track);
	if (!intent->track)
		return -ENOMEM;
	r = bj_track_init(intent->track, job, &intent_use, error);
	if (r)
		return r;
	if (intent->track->md.super->flags & BLKJOB_MD_ENDED) {
		snprintf(error, BJ_ERROR_LEN,
			 "the mirror of these metadata has ended on its target device, or was about to");
		return -EINVAL;
	}
	keep_words(intent);
	intent->track->held.send_on = bj_mirror_send_held;
	count_bits(intent->track);
	if (!is_known(intent->track))
		return 0;
	/* What is not in them was copied before. */
	job->target_is_zero = false;
	snprintf(error, BJ_ERROR_LEN, "there is no memory for the job");
	return take_known(job, intent->track);
}

void bj_intent_exit(struct bj_mirror *mirror)
{
	struct bj_intent *intent = mirror->intent;

	if (!intent)
		return;
	if (intent->track)
		bj_track_exit(intent->track);
	kfree(intent);
}
