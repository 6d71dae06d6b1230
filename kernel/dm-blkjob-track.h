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

/* bj_track.mode: an epoch, and this: a bitmap has to be kept. */
#define BJ_TRACKING	1U

#define BJ_MARKS	16	/* ranges in one message */

enum bj_checkpoint_op {
	BJ_CHECKPOINT_NONE,
	BJ_CHECKPOINT_BEGIN,
	BJ_CHECKPOINT_DELETE,
	BJ_CHECKPOINT_RENAME,	/* and delete the one that has that name */
	BJ_CHECKPOINT_MARK,
	BJ_CHECKPOINT_BREAK,	/* all of them are worth nothing any more */
};

struct bj_track {
	struct blkjob *job;
	struct bj_md md;
	bool stopping;

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
	u64 ticket;			/* of the source's flush, 0 = none */
	unsigned int super_slot;	/* the next copy */
};

/* dm-blkjob-track.c: worker */
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
