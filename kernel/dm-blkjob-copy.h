/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The copy pipeline's parts: extents and slots. All of it is the worker's.
 */
#ifndef DM_BLKJOB_COPY_H
#define DM_BLKJOB_COPY_H

#include "dm-blkjob.h"

struct bj_extent {
	struct list_head list;	/* lane.extents, pipe.stored */
	struct bj_lane *lane;
	u64 first;		/* region */
	u64 nr;
	sector_t sector;
	u64 nr_sectors;
	u64 issued;		/* sectors handed to slots */
	u64 unread;		/* sectors */
	unsigned int pieces;	/* in slots, or spilled */
	unsigned int spilled;	/* pieces that were, now elsewhere or not */
	bool replaced;		/* its lane has another one for it */
	bool away;		/* in views.away, and not busy */
	bool marked;		/* its bits are set, see enum bj_clear_at */
	bool abandoned;		/* not all of it will be issued */
	bool first_pass;	/* no region of it was copied before */
	u64 zeroed;		/* bytes written as zeroes, or left as such */
	const char *failed_op;	/* of the first piece that failed */
	blk_status_t status;
	sector_t failed_sector;
	u64 ticket;		/* in pipe.stored */
};

struct bj_slot {
	struct list_head list;		/* lane.free, pipe.kept */
	struct bj_lane *lane;
	union {
		struct llist_node queued;	/* submitter.slots */
		struct llist_node done;		/* pipe.done */
	};
	struct blkjob *job;
	struct bj_extent *extent;
	sector_t sector;
	unsigned int bytes;
	bool writing;
	struct bj_spilled *spilled;	/* on its way to the spill device or back */
	u64 begun;			/* ns; 0 = not sent */
	unsigned int at;		/* bytes that the target device has */
	unsigned int run;		/* bytes being written behind them */
	bool zeroes;			/* the run is nothing else */
	struct bio bio;
	unsigned int nr_vecs;
	struct bio_vec *io_vecs;	/* what the bio uses up */
	struct bio_vec vecs[];		/* the buffer, one entry per folio */
};

/* dm-blkjob-flush.c, and in dm-blkjob.h */
int bj_flush_init(struct blkjob *job);
bool bj_flush_reap(struct blkjob *job);

/* dm-blkjob-extent.c */
/* The next extent of the sweep, taken out of the map; NULL: there is none. */
struct bj_extent *bj_extent_next(struct blkjob *job);
/* One for the urgent lane, from @first on and up to @last; NULL: not now. */
struct bj_extent *bj_extent_now(struct blkjob *job, u64 first, u64 last);
/* The one that the sweep has begun, for the urgent lane; likewise. */
struct bj_extent *bj_extent_hand_over(struct blkjob *job);
/* All of it is in buffers. */
void bj_extent_read(struct blkjob *job, struct bj_extent *extent);
/* One more of its pieces has gone to the spill device, or to the target. */
void bj_extent_spilled(struct blkjob *job, struct bj_extent *extent);
/* All its pieces are back, no more will be issued. */
void bj_extent_done(struct blkjob *job, struct bj_extent *extent);
/* Let go what waits for a flush, if that has ended. */
void bj_extents_flushed(struct blkjob *job);
/* Bytes that the sweep may have in flight. */
u64 bj_copy_window(struct blkjob *job);

static inline enum bj_side bj_extent_side(const struct bj_extent *extent)
{
	return extent->failed_op[0] == 'r' ? BJ_SOURCE : BJ_TARGET;
}

/* dm-blkjob-checksum.c: nothing, if the job has none */
/* It was taken, and all of it will be read. */
void bj_checksums_begin(struct blkjob *job, const struct bj_extent *extent);
/* The buffer has what was read. */
void bj_checksums_add(struct bj_slot *slot);
/* It was copied. */
void bj_checksums_end(struct blkjob *job, const struct bj_extent *extent);

/* dm-blkjob-copy.c */
/* One piece less of it is in a slot, or spilled. */
void bj_piece_back(struct blkjob *job, struct bj_extent *extent);

/* dm-blkjob-spill.c */
/* What becomes of a piece that comes from the spill device, or did not go. */
enum bj_spill_next {
	BJ_SPILL_STORED,	/* it is there: the slot has been put */
	BJ_SPILL_WRITE,		/* to the target device */
	BJ_SPILL_DONE,		/* nothing any more */
};

/* The piece was read: it goes there. False: to the target device. */
bool bj_spill_take(struct bj_slot *slot);
/* The bio of a piece with slot->spilled has ended. */
enum bj_spill_next bj_spill_ended(struct bj_slot *slot);
/* Nobody wants what is spilled of the extent, or of all (NULL), any more. */
void bj_spill_drop(struct blkjob *job, struct bj_extent *extent);
/* May sleep. The slot's piece, there or back. */
void bj_spill_submit(struct bj_slot *slot);
/* Begin to bring back what there are buffers for. */
void bj_spill_move(struct blkjob *job);

/* dm-blkjob-slot.c */
int bj_slots_init(struct blkjob *job);
/* How many a lane may have. */
unsigned int bj_slots_most(struct blkjob *job, unsigned int lane);
/* A free slot, or NULL if all that the lane may have are in use. */
struct bj_slot *bj_slot_get(struct blkjob *job, struct bj_lane *lane);
void bj_slot_put(struct bj_slot *slot);
/* The run of data or of zeroes at slot->at; without @detect all is data. */
void bj_slot_find_run(struct bj_slot *slot, bool detect);
/* Read the piece, or write the run; ends in pipe.done. */
void bj_slot_queue(struct bj_slot *slot, enum bj_side side);
/* Read or write the whole piece, at this sector. May sleep; ends likewise. */
void bj_slot_submit_at(struct bj_slot *slot, struct block_device *bdev,
		       sector_t sector);
void bj_submitter_init(struct bj_submitter *submitter);
/* By it: to the leg, or to or from the spill device. */
void bj_submitter_add(struct bj_submitter *submitter, struct bj_slot *slot);

#endif
