/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checkpoints of a tracked device. */
#ifndef BLKJOB_TRACK_H
#define BLKJOB_TRACK_H

#include "job.h"

struct live_checkpoint {
	char name[64];
	char state[16];
	uint64_t time_us;	/* 0 = its instant is still to come */
};

/* All of them, the oldest first; the caller frees. 0 or exit status. */
int track_list(const struct job *job, struct live_checkpoint **list, size_t *n);
/* Begins one, or deletes it, and waits until that is done. */
int track_begin(const struct job *job, const char *name);
int track_delete(const struct job *job, const char *name);
/* 0, or a refusal if it is a job of another type. */
int track_check(const struct job *job);

#endif
