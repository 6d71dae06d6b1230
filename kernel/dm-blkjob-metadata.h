/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is kept on disk: a superblock and up to 32 bitmaps. The format is in
 * include/uapi/linux/dm-blkjob.h, byte by byte in blkjob.rst; here it is made
 * and judged. The command has this file too.
 */
#ifndef DM_BLKJOB_METADATA_H
#define DM_BLKJOB_METADATA_H

#include "dm-blkjob-pure.h"

#define BJ_MD_SLOT_BYTES	(BLKJOB_MD_SECTORS * BLKJOB_MD_SECTOR)
#define BJ_MD_BLOCK_BYTES	(BLKJOB_MD_SLOTS * BJ_MD_SLOT_BYTES)
#define BJ_MD_ERROR		160	/* bytes of a sentence */

struct bj_md_leg {
	u64 sectors;
	char identity[BLKJOB_MD_IDENTITY + 1];
};

struct bj_md_bitmap {
	u64 generation;			/* 0 = free */
	u64 order;
	u64 time;			/* us */
	u32 flags;
	char name[BLKJOB_MD_NAME + 1];
};

/* The superblock, in the machine's own numbers. */
struct bj_md_super {
	u64 generation;
	u64 sequence;			/* of the newest slot */
	char type[BLKJOB_MD_TYPE + 1];
	u32 granularity;		/* bytes */
	u64 regions;
	u32 nr_bitmaps;
	u32 bitmap_blocks;
	u32 flags;
	struct bj_md_leg leg[2];
	struct bj_md_bitmap bitmap[BLKJOB_MD_BITMAPS];
	char note[BLKJOB_NOTE + 1];
	unsigned int bad_slots;		/* found by decode: damaged or torn */
};

/* A block of a bitmap, as found. */
struct bj_md_block {
	u64 sequence;			/* highest that was seen */
	unsigned int newest;		/* slot with the newest sector */
	unsigned int bad;		/* sectors that are not valid */
	unsigned int doubtful;		/* of these: may have been newer */
};

/* Blocks of a bitmap for so many regions. */
u32 bj_md_bitmap_blocks(u64 regions);
/* Places in the metadata, in sectors from its start. */
u64 bj_md_bitmap_sector(const struct bj_md_super *super, unsigned int bitmap,
			u32 block, unsigned int slot);
/* All that is needed. */
u64 bj_md_sectors(const struct bj_md_super *super);
/* How many bitmaps fit into so many sectors, at most BLKJOB_MD_BITMAPS. */
u32 bj_md_places(u64 sectors, u64 regions);

/* Is that a name for a checkpoint? */
bool bj_md_name_ok(const char *name);

/*
 * Make a slot (BJ_MD_SLOT_BYTES). The sequence must be higher than all that
 * the block had.
 */
void bj_md_super_encode(void *to, const struct bj_md_super *super,
			u64 sequence, unsigned int slot);
/*
 * Judge block 0 (BJ_MD_BLOCK_BYTES): 0; -ENODATA if it is all zeroes;
 * -EMEDIUMTYPE if it is something else; -EPROTONOSUPPORT for another version;
 * -EUCLEAN if it is damaged. Then there is a sentence in @error. A slot that
 * is torn or damaged alone costs nothing: both say the same, or the newer one
 * was never finished. What is in @from is used up.
 */
int bj_md_super_decode(struct bj_md_super *super, void *from, char *error);

/* Make a slot of block @block from the whole bitmap @bits. */
void bj_md_bits_encode(void *to, const unsigned long *bits, u64 generation,
		       u64 sequence, u32 block, unsigned int slot);
/* Add the bits of a slot that was made by it. */
void bj_md_bits_add(unsigned long *bits, const void *slot, u32 block);
/*
 * Add the bits of a block (BJ_MD_BLOCK_BYTES) to the whole bitmap @bits, which
 * is as long as all its blocks. Where what was written last may be lost, all
 * bits are set. @flags are those of the bitmap.
 */
void bj_md_bits_decode(unsigned long *bits, const void *from, u64 generation,
		       u32 flags, u32 block, struct bj_md_block *found);

#endif
