/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the job type track share.
 */
#ifndef DM_BLKJOB_TRACK_H
#define DM_BLKJOB_TRACK_H

#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "dm-blkjob-mdio.h"

/* Writes on one CPU, by the parity of their epoch: sent, and seen to end. */
struct bj_flying {
	unsigned long begun[2];
	unsigned long ended[2];
};

/* bj_track.mode: an epoch, and this: a bitmap has to be kept. */
#define BJ_TRACKING	1U

enum bj_checkpoint_op {
	BJ_CHECKPOINT_NONE,
	BJ_CHECKPOINT_BEGIN,
	BJ_CHECKPOINT_DELETE,
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

	/* Writes that wait for their bits. */
	atomic_t nr_held;
	struct bio_list parked;		/* job->lock; from map */
	struct bio_list waiting;	/* worker */

	/* Sending may sleep, and the worker must not. */
	struct work_struct send;
	spinlock_t released_lock;	/* irqsave */
	struct bio_list released;

	/* The batch that is being written holds these blocks of the active one. */
	unsigned int nr_blocks;		/* 0 = something else */
	u32 block[BJ_MD_BATCH];
	bool others_turn;		/* than that of such a batch */

	/* What is being done to a checkpoint. op is set under job->lock. */
	enum bj_checkpoint_op op;
	char name[BLKJOB_MD_NAME + 1];
	unsigned int phase;		/* worker; all that follows */
	int place;			/* its bitmap, */
	int older;			/* and the one before it, -1 = none */
	u64 generation;
	u32 blanked;			/* slots */
	unsigned int super_slot;	/* the next copy */
};

/* dm-blkjob-track.c: worker */
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
int bj_checkpoint_message(struct blkjob *job, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen);

#endif
