/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checkpoints of a tracked device. */
#ifndef BLKJOB_TRACK_H
#define BLKJOB_TRACK_H

#include "job.h"
#include "ranges.h"

struct live_checkpoint {
	char name[64];
	char state[16];
	uint64_t time_us;	/* 0 = its instant is still to come */
};

/* All of them, the oldest first; the caller frees. 0 or exit status. */
int track_list(const struct job *job, struct live_checkpoint **list, size_t *n);
/* Begins one, or deletes it, and waits until that is done. */
/* The job that tracks the device. 0 or exit status. */
int track_find(const char *ref, struct job *job);
/* "": there is none. */
int track_state(const struct job *job, const char *name, char state[16]);
/* Nothing is being done to a checkpoint any more. */
int track_settle(const struct job *job);
int track_begin(const struct job *job, const char *name);
int track_delete(const struct job *job, const char *name);
/* 0, or a refusal if it is a job of another type. */
/* @name becomes @to, in the place of an older one of that name. */
int track_rename(const struct job *job, const char *name, const char *to);
/* As if these had changed since, in bytes. */
int track_mark(const struct job *job, const char *name,
	       const struct ranges *ranges);
int track_check(const struct job *job);

#endif
