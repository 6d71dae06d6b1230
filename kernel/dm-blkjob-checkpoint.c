// SPDX-License-Identifier: GPL-2.0
/*
 * Beginning and deleting checkpoints. A message says what is wanted; the worker
 * does it in steps, each of them a batch of writes or a look at what has ended,
 * and what is on disk is right at every moment in between.
 */
#include <linux/random.h>

#include "dm-blkjob-track.h"

#define BJ_LOOK		BIT(20)		/* regions looked at for one reply */

static struct bj_md_bitmap *bitmap_of(struct bj_track *track, int place)
{
	return &track->md.super->bitmap[place];
}

static int find_name(struct bj_track *track, const char *name)
{
	int i;

	for (i = 0; i < track->md.super->nr_bitmaps; i++)
		if (bitmap_of(track, i)->generation &&
		    !strcmp(bitmap_of(track, i)->name, name))
			return i;
	return -1;
}

static int find_free(struct bj_track *track)
{
	int i;

	for (i = 0; i < track->md.super->nr_bitmaps; i++)
		if (!bitmap_of(track, i)->generation)
			return i;
	return -1;
}

/* The newest one that is older than @order, or -1. */
static int find_before(struct bj_track *track, u64 order)
{
	int i, best = -1;

	for (i = 0; i < track->md.super->nr_bitmaps; i++)
		if (bitmap_of(track, i)->generation &&
		    bitmap_of(track, i)->order < order &&
		    (best < 0 || bitmap_of(track, i)->order >
				 bitmap_of(track, best)->order))
			best = i;
	return best;
}

/* Write the superblock, one copy after the other. False: both are there. */
static bool super_write(struct bj_track *track)
{
	struct bj_md *md = &track->md;
	unsigned int slot = track->super_slot;

	if (slot == BLKJOB_MD_SLOTS) {
		track->super_slot = 0;
		return false;
	}
	track->super_slot++;
	bj_md_super_encode(bj_md_add(md, slot * BLKJOB_MD_SECTORS), md->super,
			   ++md->super->sequence, slot);
	/* What it speaks of is there before it. */
	bj_md_write(md, REQ_PREFLUSH | REQ_FUA);
	return true;
}

static void op_done(struct bj_track *track)
{
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	if (track->op != BJ_CHECKPOINT_BREAK)
		track->op = BJ_CHECKPOINT_NONE;
	spin_unlock_irq(&job->lock);
	bj_raise_event(job);
}

/*----------------------------- Begin -----------------------------*/

static void begin_failed(struct bj_track *track)
{
	DMERR("%s: no memory for checkpoint %s", bj_name(track->job),
	      track->name);
	op_done(track);
}

static bool begin_prepare(struct bj_track *track)
{
	/* A free place: only this function takes one. */
	track->place = find_free(track);
	track->blanked = 0;
	bj_md_map_exit(&track->md.map[track->place]);
	if (bj_md_map_init(&track->md, &track->md.map[track->place])) {
		begin_failed(track);
		return true;
	}
	track->phase++;
	return true;
}

/* Both slots of each block, so that what was there before is gone. */
static bool begin_blank(struct bj_track *track, u64 generation)
{
	struct bj_md *md = &track->md;
	struct bj_md_map *map = &md->map[track->place];
	u32 slots = md->super->bitmap_blocks * BLKJOB_MD_SLOTS;

	if (track->blanked == slots)
		return false;
	for (; track->blanked < slots; track->blanked++) {
		u32 block = track->blanked / BLKJOB_MD_SLOTS;
		unsigned int slot = track->blanked % BLKJOB_MD_SLOTS;
		/* The slot of a sequence is its lowest bit. */
		u64 sequence = 2 - slot;
		void *data = bj_md_add(md, bj_md_bitmap_sector(md->super,
							track->place, block,
							slot));

		if (!data)
			break;
		bj_md_bits_encode(data, map->bits, generation, sequence, block,
				  slot);
		map->sequence[block] = 2;
	}
	bj_md_write(md, 0);
	return true;
}

/* From now on it is on disk, if not yet with an instant of its own. */
static void begin_name(struct bj_track *track, u64 generation)
{
	struct bj_md_bitmap *bitmap = bitmap_of(track, track->place);
	int newest = find_before(track, U64_MAX);
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	*bitmap = (struct bj_md_bitmap) {
		.generation = generation,
		.order = newest < 0 ? 1 : bitmap_of(track, newest)->order + 1,
		.flags = BLKJOB_MD_STARTING,
	};
	strscpy(bitmap->name, track->name, sizeof(bitmap->name));
	spin_unlock_irq(&job->lock);
}

static void begin_instant(struct bj_track *track)
{
	struct bj_md_bitmap *bitmap = bitmap_of(track, track->place);
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	bitmap->flags &= ~BLKJOB_MD_STARTING;
	bitmap->time = div_u64(ktime_get_real_ns(), NSEC_PER_USEC);
	spin_unlock_irq(&job->lock);
}

/* Phases of BEGIN. */
enum { BEGIN_PREPARE, BEGIN_BLANK, BEGIN_NAME, BEGIN_DRAIN, BEGIN_INSTANT };

static bool begin_step(struct bj_track *track)
{
	switch (track->phase) {
	case BEGIN_PREPARE:
		track->generation = get_random_u64() | 1;
		return begin_prepare(track);
	case BEGIN_BLANK:
		if (begin_blank(track, track->generation))
			return false;
		begin_name(track, track->generation);
		break;
	case BEGIN_NAME:
		if (super_write(track))
			return false;
		bj_track_switch(track, track->place);
		break;
	case BEGIN_DRAIN:
		if (!bj_track_drained(track))
			return false;
		begin_instant(track);
		break;
	case BEGIN_INSTANT:
		if (super_write(track))
			return false;
		op_done(track);
		return true;
	}
	track->phase++;
	return true;
}

/*----------------------------- Delete ----------------------------*/

/*
 * What it has recorded belongs to the checkpoint before it from now on. So its
 * bitmap takes the older one's bits, and then the older one's name.
 */
static void delete_prepare(struct bj_track *track)
{
	struct bj_md_map *map, *older;
	unsigned long i, words = BLKJOB_MD_BLOCK_BITS / BITS_PER_LONG;
	u32 block;

	track->place = find_name(track, track->name);
	track->older = find_before(track, bitmap_of(track, track->place)->order);
	if (track->older < 0)
		return;
	map = &track->md.map[track->place];
	older = &track->md.map[track->older];
	for (block = 0; block < track->md.super->bitmap_blocks; block++) {
		for (i = block * words; i < (block + 1) * words; i++) {
			if (!(older->bits[i] & ~map->bits[i]))
				continue;
			map->bits[i] |= older->bits[i];
			__set_bit(block, map->stale);
		}
		cond_resched();
	}
}

/* Names and places as they are to be. Returns the place that becomes free. */
static int delete_name(struct bj_track *track)
{
	struct bj_md_bitmap *bitmap = bitmap_of(track, track->place), *older;
	int freed = track->older < 0 ? track->place : track->older;
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	if (track->older >= 0) {
		older = bitmap_of(track, track->older);
		strscpy(bitmap->name, older->name, sizeof(bitmap->name));
		bitmap->time = older->time;
		bitmap->flags |= older->flags;
	}
	*bitmap_of(track, freed) = (struct bj_md_bitmap) { 0 };
	spin_unlock_irq(&job->lock);
	return freed;
}

static void delete_free(struct bj_track *track)
{
	struct blkjob *job = track->job;
	struct bj_md_map map;

	if (track->place == track->active)
		bj_track_stop(track);
	/* Who reads bits does so under the lock, and by name. */
	spin_lock_irq(&job->lock);
	map = track->md.map[track->place];
	track->md.map[track->place] = (struct bj_md_map) { NULL };
	spin_unlock_irq(&job->lock);
	bj_md_map_exit(&map);
}

/* Phases of DELETE. */
enum { DELETE_PREPARE, DELETE_BITS, DELETE_NAME };

static bool delete_step(struct bj_track *track)
{
	switch (track->phase) {
	case DELETE_PREPARE:
		delete_prepare(track);
		break;
	case DELETE_BITS:
		if (track->older >= 0 &&
		    bj_track_write_bits(track, track->place))
			return false;
		track->place = delete_name(track);
		break;
	case DELETE_NAME:
		if (super_write(track))
			return false;
		delete_free(track);
		op_done(track);
		return true;
	}
	track->phase++;
	return true;
}

/*----------------------------- Break -----------------------------*/

/* Nobody knows any more what changes. */
static void break_all(struct bj_track *track)
{
	struct blkjob *job = track->job;
	unsigned int i;

	spin_lock_irq(&job->lock);
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++)
		if (bitmap_of(track, i)->generation)
			bitmap_of(track, i)->flags |= BLKJOB_MD_INCONSISTENT;
	spin_unlock_irq(&job->lock);
}

static bool break_step(struct bj_track *track)
{
	if (!track->phase) {
		break_all(track);
		track->phase++;
	}
	/* Both copies, whatever becomes of the first one. */
	if (super_write(track))
		return false;
	/* Not again: what can be written is. */
	track->super_slot = BLKJOB_MD_SLOTS;
	return bj_aborted(track->job);
}

bool bj_checkpoint_step(struct bj_track *track)
{
	switch (track->op) {
	case BJ_CHECKPOINT_BEGIN:
		return begin_step(track);
	case BJ_CHECKPOINT_DELETE:
		return delete_step(track);
	case BJ_CHECKPOINT_BREAK:
		return break_step(track);
	default:
		return false;
	}
}

/* One that was being begun is so again; no write is in flight. */
void bj_checkpoint_load(struct bj_track *track)
{
	int newest = find_before(track, U64_MAX);
	struct bj_md_map *map;
	u32 block, blocks = track->md.super->bitmap_blocks;
	const size_t bytes = BLKJOB_MD_BLOCK_BITS / BITS_PER_BYTE;

	if (newest < 0)
		return;
	map = &track->md.map[newest];
	for (block = 0; block < blocks; block++)
		if (!test_bit(block, map->stale))
			memcpy((u8 *)track->stable + block * bytes,
			       (u8 *)map->bits + block * bytes, bytes);
	track->active = newest;
	track->mode = BJ_TRACKING;
	if (!(bitmap_of(track, newest)->flags & BLKJOB_MD_STARTING))
		return;
	track->op = BJ_CHECKPOINT_BEGIN;
	track->place = newest;
	track->phase = BEGIN_DRAIN;
	strscpy(track->name, bitmap_of(track, newest)->name,
		sizeof(track->name));
}

/*---------------------------- Messages ---------------------------*/

static int refuse(struct blkjob *job, int r, const char *name, const char *why)
{
	DMERR("%s: checkpoint %.64s %s", bj_name(job), name, why);
	return r;
}

/* job->lock held. NULL, or why not. */
static const char *__may_do(struct bj_track *track, const char *name,
			    enum bj_checkpoint_op op)
{
	int place = find_name(track, name);

	if (track->job->state != BLKJOB_RUNNING &&
	    track->job->state != BLKJOB_PAUSED)
		return "cannot be changed: nothing is tracked in this state";
	if (track->op != BJ_CHECKPOINT_NONE)
		return "has to wait: another one is being begun or deleted";
	if (op == BJ_CHECKPOINT_DELETE)
		return place < 0 ? "is not there" : NULL;
	if (!bj_md_name_ok(name))
		return "is no name of at most 63 letters, digits, and _.:+- behind the first";
	if (place >= 0)
		return "is there already";
	if (find_free(track) < 0)
		return "has no place on the metadata device; delete one first";
	return NULL;
}

static int do_message(struct blkjob *job, const char *name,
		      enum bj_checkpoint_op op)
{
	struct bj_track *track = job->private;
	const char *why;

	spin_lock_irq(&job->lock);
	why = __may_do(track, name, op);
	if (!why) {
		strscpy(track->name, name, sizeof(track->name));
		track->phase = 0;
		track->super_slot = 0;
		track->op = op;
	}
	spin_unlock_irq(&job->lock);
	if (why)
		return refuse(job, -EPERM, name, why);
	bj_kick(job);
	return 0;
}

static const char *state_word(const struct bj_md_bitmap *bitmap)
{
	if (bitmap->flags & BLKJOB_MD_INCONSISTENT)
		return "inconsistent";
	return bitmap->flags & BLKJOB_MD_STARTING ? "starting" : "active";
}

/* "<name> <us since 1970> <state>", the oldest first. */
static int reply_list(struct blkjob *job, char *result, unsigned int maxlen)
{
	struct bj_track *track = job->private;
	unsigned int sz = 0, i;
	u64 last = 0;

	*result = '\0';
	spin_lock_irq(&job->lock);
	for (;;) {
		struct bj_md_bitmap *next = NULL;

		for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
			struct bj_md_bitmap *b = bitmap_of(track, i);

			if (b->generation && b->order > last &&
			    (!next || b->order < next->order))
				next = b;
		}
		if (!next)
			break;
		last = next->order;
		DMEMIT("%s %llu %s\n", next->name, next->time,
		       state_word(next));
	}
	if (track->op == BJ_CHECKPOINT_BEGIN &&
	    find_name(track, track->name) < 0)
		DMEMIT("%s 0 starting\n", track->name);
	spin_unlock_irq(&job->lock);
	return 1;
}

/*
 * The first region from @from on that has changed since that order, or if
 * @changed is false, has not; @end if there is none before.
 */
static u64 next_region(struct bj_track *track, u64 order, u64 from, u64 end,
		       bool changed)
{
	u64 next = changed ? end : from, before;
	unsigned int i;

	do {
		before = next;
		for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
			const struct bj_md_bitmap *bitmap = bitmap_of(track, i);
			const unsigned long *bits = track->md.map[i].bits;

			if (!bitmap->generation || bitmap->order < order)
				continue;
			if (bitmap->flags & BLKJOB_MD_INCONSISTENT)
				return changed ? from : end;
			next = changed ? find_next_bit(bits, next, from) :
					 find_next_zero_bit(bits, end, next);
		}
	} while (!changed && next != before);
	return next;
}

/* job->lock held, for the bitmaps to stay; so not for too long. */
static void __list_changed(struct bj_track *track, u64 order, u64 region,
			   char *result, unsigned int maxlen)
{
	struct blkjob *job = track->job;
	u64 end = min(job->map.nr, region + BJ_LOOK), first, last;
	unsigned int sz = 0;

	/* Room for a line and for "next" must be left. */
	while (sz + 80 <= maxlen) {
		region = next_region(track, order, region, end, true);
		if (region >= end)
			break;
		first = region << job->region_shift;
		region = next_region(track, order, region, end, false);
		last = min(region << job->region_shift, job->nr_sectors);
		DMEMIT("%llu %llu\n", first, last - first);
	}
	if (region < job->map.nr)
		DMEMIT("next %llu\n", region << job->region_shift);
}

static int reply_changed(struct blkjob *job, const char *name,
			 const char *start_word, char *result,
			 unsigned int maxlen)
{
	struct bj_track *track = job->private;
	u64 start = 0;
	int place;

	if (start_word && (bj_number_parse(start_word, &start) ||
			   start >= job->nr_sectors))
		return refuse(job, -EINVAL, name,
			      "takes one sector of the device");
	*result = '\0';
	spin_lock_irq(&job->lock);
	place = find_name(track, name);
	if (place >= 0 &&
	    bitmap_of(track, place)->flags & BLKJOB_MD_STARTING)
		place = -1;
	if (place >= 0)
		__list_changed(track, bitmap_of(track, place)->order,
			       bj_first_region(job, start), result, maxlen);
	spin_unlock_irq(&job->lock);
	return place < 0 ? refuse(job, -EINVAL, name,
				  "is not there, or not yet") : 1;
}

int bj_checkpoint_message(struct blkjob *job, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	if (!strcmp(argv[0], "checkpoint") && argc == 2)
		return do_message(job, argv[1], BJ_CHECKPOINT_BEGIN);
	if (!strcmp(argv[0], "checkpoint-delete") && argc == 2)
		return do_message(job, argv[1], BJ_CHECKPOINT_DELETE);
	if (!strcmp(argv[0], "checkpoints") && argc == 1)
		return reply_list(job, result, maxlen);
	if (!strcmp(argv[0], "changed") && (argc == 2 || argc == 3))
		return reply_changed(job, argv[1], argc == 3 ? argv[2] : NULL,
				     result, maxlen);
	return -ENOIOCTLCMD;
}
