// SPDX-License-Identifier: GPL-2.0
/*
 * Beginning and deleting checkpoints. A message says what is wanted; the worker
 * does it in steps, each of them a batch of writes or a look at what has ended,
 * and what is on disk is right at every moment in between.
 */
#include <linux/random.h>

#include "dm-blkjob-track.h"

int bj_checkpoint_find(struct bj_track *track, const char *name)
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

int bj_checkpoint_oldest(struct bj_track *track, unsigned int *nr)
{
	u64 order = U64_MAX;
	int i, oldest = -1;

	for (*nr = 0; (i = find_before(track, order)) >= 0; ++*nr) {
		oldest = i;
		order = bitmap_of(track, i)->order;
	}
	return oldest;
}

bool bj_checkpoint_super(struct bj_track *track, unsigned int *next)
{
	struct bj_md *md = &track->md;
	unsigned int slot = *next;

	if (slot == BLKJOB_MD_SLOTS)
		return false;
	++*next;
	if (bj_bug(BJ_BUG_ONE_SLOT))
		slot = 0;
	bj_md_super_encode(bj_md_add(md, slot * BLKJOB_MD_SECTORS), md->super,
			   ++md->super->sequence, slot);
	/* What it speaks of is there before it. */
	bj_md_write(md, bj_bug(BJ_BUG_SUPER_NOT_STABLE) ? 0 :
			REQ_PREFLUSH | REQ_FUA);
	return true;
}

/* One copy after the other. False: both are there. */
static bool super_write(struct bj_track *track)
{
	if (bj_checkpoint_super(track, &track->super_slot))
		return true;
	track->super_slot = 0;
	return false;
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
	DMERR_LIMIT("%s: no memory for checkpoint %s", bj_name(track->job),
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
enum {
	BEGIN_PREPARE, BEGIN_BLANK, BEGIN_NAME, BEGIN_DRAIN, BEGIN_SETTLE,
	BEGIN_INSTANT
};

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
		track->use->begin_settling(track);
		break;
	case BEGIN_SETTLE:
		if (!track->use->settled(track))
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
 * bitmap takes the older one's bits, and then the older one's name. In the same
 * write of the superblock a later checkpoint can take the name that is free
 * then, whether or not there was one.
 */
static void delete_prepare(struct bj_track *track)
{
	struct bj_md_map *map, *older;
	unsigned long i, words = BLKJOB_MD_BLOCK_BITS / BITS_PER_LONG;
	u32 block;

	track->place = bj_checkpoint_find(track, track->name);
	track->older = track->place < 0 ? -1 :
		       find_before(track, bitmap_of(track, track->place)->order);
	if (track->older < 0 || bj_bug(BJ_BUG_DELETE_FORGETS))
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

/* Names and places as they are to be. Returns the one that becomes free. */
static int delete_name(struct bj_track *track)
{
	int freed = track->older < 0 ? track->place : track->older;
	int renamed = bj_checkpoint_find(track, track->renamed);
	struct bj_md_bitmap *bitmap, *older;
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	if (track->older >= 0) {
		bitmap = bitmap_of(track, track->place);
		older = bitmap_of(track, track->older);
		strscpy(bitmap->name, older->name, sizeof(bitmap->name));
		bitmap->time = older->time;
		bitmap->flags |= older->flags;
	}
	if (freed >= 0)
		*bitmap_of(track, freed) = (struct bj_md_bitmap) { 0 };
	if (renamed >= 0)
		strscpy(bitmap_of(track, renamed)->name, track->name,
			sizeof(track->name));
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
		if (track->place >= 0)
			delete_free(track);
		op_done(track);
		return true;
	}
	track->phase++;
	return true;
}

/*------------------------------ Mark -----------------------------*/

/* As if these had been written to since. */
static bool mark_step(struct bj_track *track)
{
	unsigned int i;

	if (!track->phase) {
		track->place = bj_checkpoint_find(track, track->name);
		for (i = 0; i < track->nr_marked; i++)
			bj_track_mark(track, track->place,
				      track->marked[i].first,
				      track->marked[i].last);
		track->phase++;
	}
	if (bj_track_write_bits(track, track->place))
		return false;
	op_done(track);
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
	return track->use->broken(track);
}

bool bj_checkpoint_step(struct bj_track *track)
{
	switch (track->op) {
	case BJ_CHECKPOINT_BEGIN:
		return begin_step(track);
	case BJ_CHECKPOINT_DELETE:
	case BJ_CHECKPOINT_RENAME:
		return delete_step(track);
	case BJ_CHECKPOINT_MARK:
		return mark_step(track);
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

/* job->lock held. NULL, or why it cannot have that name. */
static const char *__may_be(struct bj_track *track, int place, const char *to)
{
	int old = bj_checkpoint_find(track, to);

	if (bitmap_of(track, place)->flags & BLKJOB_MD_STARTING)
		return "cannot be renamed: it is only being begun";
	if (!bj_md_name_ok(to))
		return "cannot be renamed: that is no name";
	if (old >= 0 && bitmap_of(track, old)->order >=
			bitmap_of(track, place)->order)
		return "cannot take the place of one that is not older";
	return NULL;
}

/* job->lock held. NULL, or why not. */
static const char *__may_do(struct bj_track *track, const char *name,
			    enum bj_checkpoint_op op, const char *to)
{
	int place = bj_checkpoint_find(track, name);

	if (track->job->state != BLKJOB_RUNNING &&
	    track->job->state != BLKJOB_PAUSED)
		return "cannot be changed: nothing is tracked in this state";
	if (track->op != BJ_CHECKPOINT_NONE)
		return "has to wait: another one is being begun or deleted";
	if (op != BJ_CHECKPOINT_BEGIN && place < 0)
		return "is not there";
	if (op == BJ_CHECKPOINT_RENAME)
		return __may_be(track, place, to);
	if (op != BJ_CHECKPOINT_BEGIN)
		return NULL;
	if (!bj_md_name_ok(name))
		return "is no name of at most 63 letters, digits, and _.:+- behind the first";
	if (place >= 0)
		return "is there already";
	if (find_free(track) < 0)
		return "has no place on the metadata device; delete one first";
	return NULL;
}

void bj_checkpoint_start(struct bj_track *track, enum bj_checkpoint_op op,
			 const char *name)
{
	struct blkjob *job = track->job;

	spin_lock_irq(&job->lock);
	strscpy(track->name, name, sizeof(track->name));
	*track->renamed = '\0';
	track->phase = 0;
	track->super_slot = 0;
	track->op = op;
	spin_unlock_irq(&job->lock);
}

/* @to: the new name, or NULL. @marked: NULL, or @nr ranges. */
static int do_message(struct blkjob *job, const char *name,
		      enum bj_checkpoint_op op, const char *to,
		      const struct bj_marked *marked, unsigned int nr)
{
	struct bj_track *track = job->private;
	const char *why;

	spin_lock_irq(&job->lock);
	why = __may_do(track, name, op, to);
	if (!why) {
		strscpy(track->name, to ? to : name, sizeof(track->name));
		strscpy(track->renamed, to ? name : "", sizeof(track->renamed));
		if (nr)
			memcpy(track->marked, marked, nr * sizeof(*marked));
		track->nr_marked = nr;
		track->phase = 0;
		track->super_slot = 0;
		track->op = op;
	}
	spin_unlock_irq(&job->lock);
	if (why)
		return bj_checkpoint_refuse(job, -EPERM, name, why);
	bj_kick(job);
	return 0;
}

/* @words: starts and lengths. */
static int mark_message(struct blkjob *job, const char *name,
			unsigned int nr_words, char **words)
{
	struct bj_marked marked[BJ_MARKS];
	unsigned int i;
	u64 start, len;

	if (nr_words % 2 || nr_words > 2 * BJ_MARKS)
		return bj_checkpoint_refuse(job, -EINVAL, name,
			      "takes pairs of start and length, 16 at most");
	for (i = 0; i < nr_words; i += 2) {
		if (bj_number_parse(words[i], &start) ||
		    bj_number_parse(words[i + 1], &len) || !len ||
		    start >= job->nr_sectors || len > job->nr_sectors - start)
			return bj_checkpoint_refuse(job, -EINVAL, name,
				      "takes ranges that lie in the device");
		marked[i / 2].first = bj_first_region(job, start);
		marked[i / 2].last = bj_last_region(job, start, len);
	}
	return do_message(job, name, BJ_CHECKPOINT_MARK, NULL, marked,
			  nr_words / 2);
}

int bj_checkpoint_message(struct blkjob *job, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	if (!strcmp(argv[0], "checkpoint") && argc == 2)
		return do_message(job, argv[1], BJ_CHECKPOINT_BEGIN, NULL,
				  NULL, 0);
	if (!strcmp(argv[0], "checkpoint-delete") && argc == 2)
		return do_message(job, argv[1], BJ_CHECKPOINT_DELETE, NULL,
				  NULL, 0);
	if (!strcmp(argv[0], "checkpoint-rename") && argc == 3)
		return do_message(job, argv[1], BJ_CHECKPOINT_RENAME, argv[2],
				  NULL, 0);
	if (!strcmp(argv[0], "checkpoint-mark") && argc > 3)
		return mark_message(job, argv[1], argc - 2, argv + 2);
	if (!strcmp(argv[0], "checkpoints") && argc == 1)
		return bj_checkpoint_list(job, result, maxlen);
	if (!strcmp(argv[0], "changed") && (argc == 2 || argc == 3))
		return bj_checkpoint_changed(job, argv[1],
					     argc == 3 ? argv[2] : NULL,
					     result, maxlen);
	return -ENOIOCTLCMD;
}
