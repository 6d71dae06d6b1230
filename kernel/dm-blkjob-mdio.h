/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Metadata in memory, and their way to the disk and back.
 */
#ifndef DM_BLKJOB_MDIO_H
#define DM_BLKJOB_MDIO_H

#include "dm-blkjob.h"
#include "dm-blkjob-metadata.h"

#define BJ_MD_BATCH	16	/* slots written together */

/* A bitmap. Worker, but for who reads bits. */
struct bj_md_map {
	unsigned long *bits;		/* as long as all its blocks; NULL = none */
	u64 *sequence;			/* by block: of its last write */
	unsigned long *stale;		/* by block: the disk lacks bits */
	u64 nr;				/* of bits that are set (bj_track_mark()) */
};

/* One slot on its way. */
struct bj_md_slot {
	struct bio bio;
	struct bio_vec vec;
	struct bj_md *md;
	void *data;			/* BJ_MD_SLOT_BYTES */
	sector_t sector;		/* in the metadata */
};

struct bj_md {
	struct blkjob *job;
	struct bj_md_super *super;	/* bitmaps in it: job->lock to write */
	struct bj_md_map map[BLKJOB_MD_BITMAPS];
	/* The bitmap that is there from the start, in place 0. NULL = none. */
	const char *fixed;
	u32 least;			/* places that there must be */
	bool made;			/* just now: there were none */

	/* A batch. Worker, but for ended. */
	struct bj_md_slot *slot;	/* BJ_MD_BATCH of them */
	unsigned int nr;
	blk_opf_t opf;
	bool running;
	bool ended;			/* set by the end of the last bio */
	atomic_t pending;
	u64 begun;			/* ns */
	u64 writes;			/* slots, in all */
	struct work_struct submit;
};

/*
 * In ctr: read the metadata, or make them if there are none. 0, or -errno and a
 * sentence. bj_md_exit() in any case.
 */
int bj_md_init(struct bj_md *md, struct blkjob *job, char *error);
void bj_md_exit(struct bj_md *md);

/* 0 or -ENOMEM. Does not wait for I/O. */
int bj_md_map_init(struct bj_md *md, struct bj_md_map *map);
void bj_md_map_exit(struct bj_md_map *map);

/*
 * Worker. The data of one more slot to be filled and written, or NULL if the
 * batch is full. Then write it with these flags; the worker runs again when
 * all is there.
 */
void *bj_md_add(struct bj_md *md, sector_t sector);
void bj_md_write(struct bj_md *md, blk_opf_t opf);
/* Has it ended? Then @status says how, and @sector where, and nr is left. */
bool bj_md_ended(struct bj_md *md, blk_status_t *status, sector_t *sector);

#endif
