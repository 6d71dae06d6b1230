// SPDX-License-Identifier: GPL-2.0-or-later
/* What the metadata say. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "metadata.h"
#include "metadata-io.h"

/* A live job may be writing just what is read. */
#define TRIES 3

static bool bit(const unsigned long *bits, uint64_t nr)
{
	return bits[nr / (8 * sizeof(long))] >> nr % (8 * sizeof(long)) & 1;
}

bool metadata_has_checkpoints(const struct metadata *md)
{
	return !strcmp(md->type, "track");
}

/* Do the bitmaps of older places have what those of newer ones have? */
static bool adds_up(const struct metadata *md)
{
	return strcmp(md->type, "stream");
}

static bool is_mirror(const struct metadata *md)
{
	return !strcmp(md->type, "mirror");
}

/*
 * Of a mirror's bitmaps the oldest, as read, has what is in any of them. What is
 * in none does not differ; unless there is only one that is still being begun, or
 * what was written is not known.
 */
static void join_bitmaps(struct metadata *md)
{
	struct checkpoint *all = &md->checkpoint[0];
	bool known = false;
	unsigned int i;

	for (i = 0; i < md->n; i++)
		known |= md->checkpoint[i].state == CHECKPOINT_ACTIVE;
	known &= md->n && all->state != CHECKPOINT_INCONSISTENT;
	for (i = 1; i < md->n; i++) {
		all->damaged += md->checkpoint[i].damaged;
		all->doubtful += md->checkpoint[i].doubtful;
		ranges_free(&md->checkpoint[i].ranges);
	}
	md->n = 1;
	strcpy(all->name, METADATA_DIFFER);
	all->state = CHECKPOINT_ACTIVE;
	if (known)
		return;
	ranges_free(&all->ranges);
	ranges_add(&all->ranges, 0, md->length);
	all->changed = md->length;
}

static void count_changed(const struct metadata *md, uint64_t regions,
			  const unsigned long *bits, struct checkpoint *c,
			  bool ranges)
{
	uint64_t i, start, end;

	for (i = 0; i < regions; i++) {
		if (c->state != CHECKPOINT_INCONSISTENT && !bit(bits, i))
			continue;
		start = i * md->granularity;
		end = start + md->granularity;
		if (end > md->length)
			end = md->length;
		c->changed += end - start;
		if (ranges)
			ranges_add(&c->ranges, start, end - start);
	}
}

/* The newest place with an order below @below, or -1. */
static int place_before(const struct bj_md_super *super, u64 below)
{
	int i, best = -1;

	for (i = 0; i < (int)super->nr_bitmaps; i++)
		if (super->bitmap[i].generation &&
		    super->bitmap[i].order < below &&
		    (best < 0 || super->bitmap[i].order >
				 super->bitmap[best].order))
			best = i;
	return best;
}

/*
 * A bitmap tells what has changed until the next one began. So from the newest
 * to the oldest, and the bits add up; unless they are no checkpoints.
 */
static int read_checkpoints(struct md_reader *r, const char *since,
			    struct metadata *md)
{
	const struct bj_md_super *super = &r->super;
	size_t bytes = (size_t)super->bitmap_blocks * BLKJOB_MD_SECTORS *
		       BLKJOB_MD_PAYLOAD;
	autofree unsigned long *bits = xcalloc(bytes, 1);
	u32 flags = 0;
	unsigned int i;
	int place, err = 0;

	for (i = 0; i < super->nr_bitmaps; i++)
		md->n += !!super->bitmap[i].generation;
	i = md->n;
	for (place = place_before(super, UINT64_MAX); place >= 0 && !err;
	     place = place_before(super, super->bitmap[place].order)) {
		const struct bj_md_bitmap *from = &super->bitmap[place];
		struct checkpoint *c = &md->checkpoint[--i];
		struct md_damage damage = { 0 };

		strcpy(c->name, from->name);
		c->time_us = from->time;
		flags |= from->flags & BLKJOB_MD_INCONSISTENT;
		c->state = flags ? CHECKPOINT_INCONSISTENT :
			   from->flags & BLKJOB_MD_STARTING ?
			   CHECKPOINT_STARTING : CHECKPOINT_ACTIVE;
		if (!adds_up(md))
			memset(bits, 0, bytes);
		err = md_read_bits(r, place, bits, &damage);
		c->damaged = damage.bad;
		c->doubtful = damage.doubtful;
		count_changed(md, super->regions, bits, c, is_mirror(md) ||
			      (since && !strcmp(since, c->name)));
	}
	if (is_mirror(md))
		join_bitmaps(md);
	return err;
}

static int read_all(struct md_reader *r, const char *since, struct metadata *md)
{
	const struct bj_md_super *super = &r->super;
	int err = md_read_super(r);

	if (err)
		return err;
	*md = (struct metadata) {
		.version = BLKJOB_MD_VERSION,
		.length = super->leg[0].sectors * 512,
		.target_length = super->leg[1].sectors * 512,
		.granularity = super->granularity,
		.size = bj_md_sectors(super) * 512,
		.ended = super->flags & BLKJOB_MD_ENDED,
		.places = super->nr_bitmaps,
		.damaged_supers = super->bad_slots,
	};
	strcpy(md->type, super->type);
	strcpy(md->identity, super->leg[0].identity);
	strcpy(md->target_identity, super->leg[1].identity);
	strcpy(md->note, super->note);
	return read_checkpoints(r, since, md);
}

int metadata_read(const char *path, uint64_t offset, const char *since,
		  struct metadata *md)
{
	automdreader struct md_reader r = {
		.path = path, .fd = -1, .flags = O_RDONLY, .offset = offset,
	};
	int err = md_open(&r), tries;

	*md = (struct metadata) { 0 };
	for (tries = 0; !err && tries < TRIES; tries++) {
		metadata_free(md);
		err = read_all(&r, since, md);
		if (!metadata_damaged(md))
			break;
		usleep(50000);
	}
	if (!err && since && !metadata_find(md, since))
		return fail(EX_REFUSED,
			    "%s has no checkpoint %s; see: blkjob dump %s",
			    path, since, path);
	return err;
}

void metadata_free(struct metadata *md)
{
	unsigned int i;

	for (i = 0; i < md->n; i++)
		ranges_free(&md->checkpoint[i].ranges);
	*md = (struct metadata) { 0 };
}

struct checkpoint *metadata_find(struct metadata *md, const char *name)
{
	unsigned int i;

	for (i = 0; i < md->n; i++)
		if (!strcmp(md->checkpoint[i].name, name))
			return &md->checkpoint[i];
	return NULL;
}

unsigned int metadata_damaged(const struct metadata *md)
{
	unsigned int i, n = md->damaged_supers * BLKJOB_MD_SECTORS;

	for (i = 0; i < md->n; i++)
		n += md->checkpoint[i].damaged;
	return n;
}
