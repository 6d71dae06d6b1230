/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which regions of a mirror's legs may differ, on disk; see dm-blkjob-intent.c.
 */
#ifndef DM_BLKJOB_INTENT_H
#define DM_BLKJOB_INTENT_H

#include "dm-blkjob-mirror.h"
#include "dm-blkjob-track.h"

struct bj_intent {
	struct bj_mirror *mirror;
	struct bj_track *track;
	/* Of the legs as opened, as words of the table. Constant. */
	char identity[2][BLKJOB_MD_IDENTITY + 1];
	bool failed;		/* job->lock: the metadata could not be written */

	/* Worker: how far the newest bitmap is, see settled(). */
	unsigned int phase;
	u64 ticket[2];		/* flushes of the legs as opened */
	u64 since;		/* ns: the last bitmap was begun */
	u64 look_at;		/* ns: not earlier */

	/* Worker: what the superblock says, see say_which(). */
	bool ending;		/* pending is about to begin */
	bool hangs;		/* the metadata device does not answer */
	unsigned int turned;	/* job->turned in it */
	unsigned int next_slot;	/* that has to be written; 2 = none */
	bool said;		/* they are on disk, or were tried to be */
};

/* In ctr, 0, or -errno and a sentence. bj_intent_exit() in any case. */
int bj_intent_init(struct bj_mirror *mirror, char *error);
void bj_intent_exit(struct bj_mirror *mirror);
/* Worker, in each turn. True: again. */
bool bj_intent_step(struct bj_mirror *mirror);
/* Worker: is it on disk that the target device may count, if it can be? */
bool bj_intent_ended(struct bj_mirror *mirror);
/* Can somebody go on with the metadata as they are on disk? */
bool bj_intent_remembers(struct bj_mirror *mirror);
/* Bytes that would be copied after a crash though they are equal. */
u64 bj_intent_rework(struct bj_mirror *mirror);

#endif
