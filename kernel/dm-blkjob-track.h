/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the job type track share.
 */
#ifndef DM_BLKJOB_TRACK_H
#define DM_BLKJOB_TRACK_H

#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "dm-blkjob-held.h"
#include "dm-blkjob-mdio.h"

/* Writes on one CPU, by the parity of their epoch: sent, and seen to end. */
struct bj_flying {
	unsigned long begun[2];
	unsigned long ended[2];
};

struct bj_track;

/* bj_track.mode: an epoch, and this: a bitmap has to be kept. */
#define BJ_TRACKING	1U

#define BJ_MARKS	16	/* ranges in one message */

#define BJ_EPOCH_NONE	2	/* bj_io.epoch: not counted in 0 or 1 */

enum bj_checkpoint_op {
	BJ_CHECKPOINT_NONE,
	BJ_CHECKPOINT_BEGIN,
	BJ_CHECKPOINT_DELETE,
	BJ_CHECKPOINT_RENAME,	/* and delete the one that has that name */
	BJ_CHECKPOINT_MARK,
	BJ_CHECKPOINT_BREAK,	/* all of them are worth nothing any more */
};

/* What the writes are tracked for. Worker. */
struct bj_track_use {
	u32 least;	/* bitmaps for which there must be places */
	bool forever;	/* also when the job has ended */
	/*
	 * All writes that were sent before the bitmap at track->place have ended.
	 * Then it is asked again and again: can it have its instant? No batch is
	 * being written; it may begin one if it says no.
	 */
	void (*begin_settling)(struct bj_track *track);
	bool (*settled)(struct bj_track *track);
	/* The metadata cannot be written: break what is there, if you like. */
	void (*failed)(struct bj_track *track, blk_status_t status,
		       sector_t sector, const char *error);
	/* All checkpoints are broken, on disk too if that was possible. */
	bool (*broken)(struct bj_track *track);
};

struct bj_track {
	struct blkjob *job;
	const struct bj_track_use *use;
	struct bj_md md;
	bool stopping;			/* type track */

	/*
	 * A bitmap and the writes that have to be in it belong to an epoch. All
	 * this changes under job->lock, mode last.
	 */
	unsigned int mode;		/* epoch * 2, and BJ_TRACKING */
	int active;			/* place of the newest bitmap, -1 = none */
	unsigned long *stable;		/* its bits that are on disk */
	struct bj_flying __percpu *flying;
	struct rcu_head rcu;
	unsigned int rcu_begun;		/* worker; epoch */
	unsigned int rcu_done;
	bool rcu_running;

	struct bj_held held;		/* writes that wait for their bits */

	/* The batch that is being written holds these blocks of the active one. */
	unsigned int nr_blocks;		/* 0 = something else */
	u32 block[BJ_MD_BATCH];
	bool others_turn;		/* than that of such a batch */

	/* What is being done to a checkpoint. op is set under job->lock. */
	enum bj_checkpoint_op op;
	char name[BLKJOB_MD_NAME + 1];
	char renamed[BLKJOB_MD_NAME + 1]; /* it takes that name; "" = none */
	struct bj_marked {
		u64 first, last;	/* regions */
	} marked[BJ_MARKS];
	unsigned int nr_marked;
	unsigned int phase;		/* worker; all that follows */
	int place;			/* its bitmap, */
	int older;			/* and the one before it, -1 = none */
	u64 generation;
	u32 blanked;			/* slots */
	u64 ticket;			/* of the source's flush */
	unsigned int super_slot;	/* the next copy */
};

/* dm-blkjob-track.c */
/*
 * In ctr: 0, or -errno and a sentence. bj_track_exit() in any case, when
 * bj_track_stopped().
 */
int bj_track_init(struct bj_track *track, struct blkjob *job,
		  const struct bj_track_use *use, char *error);
void bj_track_exit(struct bj_track *track);
bool bj_track_stopped(struct bj_track *track);
/*
 * In map, for a write whose bj_io is filled: may it be sent? Otherwise it waits
 * in held until it may. In end_io: it has ended.
 */
bool bj_track_pass(struct bj_track *track, struct bj_io *io);
void bj_track_ended(struct bj_track *track, struct bj_io *io);
/* Worker, in each turn: see what has ended, and what waits. */
bool bj_track_reap(struct bj_track *track);
/* ... and write what is to be written: bits, and what is asked for. */
bool bj_track_run(struct bj_track *track, bool bits, bool others);
/* Under job->lock: writes are not tracked any more. */
void __bj_track_off(struct bj_track *track);
/* All that follows: worker. */
/* Set bits, which are to be written. */
void bj_track_mark(struct bj_track *track, int place, u64 first, u64 last);
/* Write blocks of this bitmap that lack bits. False: there are none. */
bool bj_track_write_bits(struct bj_track *track, int place);
/* From now on writes have to be in this bitmap. */
void bj_track_switch(struct bj_track *track, int place);
/* ... or in none. */
void bj_track_stop(struct bj_track *track);
/* Have all writes ended that were sent before the last switch? */
bool bj_track_drained(struct bj_track *track);

/* dm-blkjob-checkpoint.c */
/* Worker, while no batch is being written: the next step of op. True: again. */
bool bj_checkpoint_step(struct bj_track *track);
/* Worker: do that next. Nothing else is being done. */
void bj_checkpoint_start(struct bj_track *track, enum bj_checkpoint_op op,
			 const char *name);
/*
 * Worker, while no batch is being written: write the superblock as it is now, one
 * copy after the other. *next is 0 at first. False: both are there.
 */
bool bj_checkpoint_super(struct bj_track *track, unsigned int *next);
/* The place of the oldest one, -1 = none; and how many there are. */
int bj_checkpoint_oldest(struct bj_track *track, unsigned int *nr);
/* In ctr: go on where the last job was. */
void bj_checkpoint_load(struct bj_track *track);
/* Its place, or -1. */
int bj_checkpoint_find(struct bj_track *track, const char *name);
int bj_checkpoint_message(struct blkjob *job, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen);

static inline struct bj_md_bitmap *bitmap_of(struct bj_track *track, int place)
{
	return &track->md.super->bitmap[place];
}

/* dm-blkjob-changed.c: replies to messages */
int bj_checkpoint_refuse(struct blkjob *job, int r, const char *name,
			 const char *why);
int bj_checkpoint_list(struct blkjob *job, char *result, unsigned int maxlen);
int bj_checkpoint_changed(struct blkjob *job, const char *name,
			  const char *start_word, char *result,
			  unsigned int maxlen);

#endif
