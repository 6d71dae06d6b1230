// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Metadata for a source that has become longer, in the place of those for what
 * it was. All checkpoints stay, and what is new counts as changed.
 *
 * The bitmaps become longer too, so that each of them moves and is written over
 * another one. Meanwhile the superblock says that nothing is known of any
 * checkpoint: whoever is interrupted there leaves increments that copy
 * everything, and none that lacks something.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "metadata.h"
#include "metadata-io.h"
#include "size.h"

#define BITS_PER_LONG (8 * sizeof(long))

struct bitmaps {
	unsigned long *bits[BLKJOB_MD_BITMAPS];	/* by their new place */
	unsigned int n;
};

static void bitmaps_free(struct bitmaps *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++)
		free(b->bits[i]);
}

static int write_bits(struct md_reader *r, const struct bj_md_super *super,
		      unsigned int place, const unsigned long *bits)
{
	unsigned int slot;
	int err = 0;
	u32 block;

	for (block = 0; block < super->bitmap_blocks; block++) {
		for (slot = 0; slot < BLKJOB_MD_SLOTS && !err; slot++) {
			/* The slot of a sequence is its lowest bit. */
			bj_md_bits_encode(r->block, bits,
					  super->bitmap[place].generation,
					  2 - slot, block, slot);
			err = md_write_slot(r, bj_md_bitmap_sector(super, place,
								   block, slot));
		}
	}
	return err;
}

/* What is there now may not be taken for a part of this bitmap. */
static int new_generation(struct bj_md_bitmap *bitmap)
{
	if (getrandom(&bitmap->generation, sizeof(bitmap->generation), 0) ==
	    sizeof(bitmap->generation) && bitmap->generation)
		return 0;
	return fail(EX_ATTENTION, "there are no random numbers");
}

/* Reads the bitmap of an old place, and adds all that is new. */
static int take(struct md_reader *r, unsigned int place,
		struct bj_md_super *super, struct bitmaps *b)
{
	struct bj_md_bitmap *to = &super->bitmap[b->n];
	u64 sectors = r->super.leg[0].sectors, region;
	struct md_damage damage = { 0 };
	unsigned long *bits;
	int err;

	bits = xcalloc((size_t)super->bitmap_blocks * BLKJOB_MD_SECTORS,
		       BLKJOB_MD_PAYLOAD);
	b->bits[b->n++] = bits;
	*to = r->super.bitmap[place];
	err = md_read_bits(r, place, bits, &damage);
	/* From the region on in which the old end is. */
	for (region = sectors / (super->granularity / 512);
	     region < super->regions; region++)
		bits[region / BITS_PER_LONG] |= 1UL << region % BITS_PER_LONG;
	return err ? err : new_generation(to);
}

static int make_super(const struct md_reader *r, u64 sectors, u64 room,
		      struct bj_md_super *super)
{
	u32 size = r->super.granularity / 512;
	unsigned int i, n = 0;

	*super = r->super;
	memset(super->bitmap, 0, sizeof(super->bitmap));
	super->leg[0].sectors = sectors;
	super->regions = (sectors + size - 1) / size;
	super->bitmap_blocks = bj_md_bitmap_blocks(super->regions);
	super->nr_bitmaps = bj_md_places(room, super->regions);
	for (i = 0; i < r->super.nr_bitmaps; i++)
		n += !!r->super.bitmap[i].generation;
	if (super->nr_bitmaps && n <= super->nr_bitmaps)
		return 0;
	super->nr_bitmaps = n ? n : 1;
	return fail(EX_REFUSED,
		    "%s has %llu sectors, and %llu are needed for %u checkpoints of a longer device; make it larger, or begin anew with --reset",
		    r->path, (unsigned long long)room,
		    (unsigned long long)bj_md_sectors(super), n);
}

int metadata_grow(const char *path, dev_t devno, uint64_t length)
{
	automdreader struct md_reader r = {
		.path = path, .fd = -1, .flags = O_RDWR | O_DSYNC,
		.harm = "the checkpoints on it may have become inconsistent",
	};
	__attribute__((cleanup(bitmaps_free))) struct bitmaps b = { .n = 0 };
	struct device_limits lim = { 0 };
	struct bj_md_super super;
	unsigned int i;
	int err = md_open(&r);

	if (!err && device_limits(devno, false, &lim))
		err = fail(EX_REFUSED, "cannot look at %s", path);
	if (!err)
		err = md_read_super(&r);
	if (!err)
		err = make_super(&r, length / 512, lim.size / 512, &super);
	for (i = 0; !err && i < r.super.nr_bitmaps; i++)
		if (r.super.bitmap[i].generation)
			err = take(&r, i, &super, &b);
	/* Nothing is written before this. */
	if (!err)
		err = md_write_super(&r, &super, BLKJOB_MD_INCONSISTENT);
	for (i = 0; !err && i < b.n; i++)
		err = write_bits(&r, &super, i, b.bits[i]);
	return err ? err : md_write_super(&r, &super, 0);
}
