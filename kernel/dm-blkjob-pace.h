/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pacer: how fast the copy may go.
 */
#ifndef DM_BLKJOB_PACE_H
#define DM_BLKJOB_PACE_H

#include "dm-blkjob-pure.h"

/* The caller serializes; times are nanoseconds of one monotonic clock. */
struct bj_pace {
	u64 speed;	/* bytes/s, 0 = unlimited */
	u64 next;	/* when the next operation may start */
};

/* Change the limit at once; what was begun is still paid for, at most as then. */
void bj_pace_set(struct bj_pace *pace, u64 speed, u64 now);

/* Nanoseconds to wait before the next operation, 0 = go. */
u64 bj_pace_wait(const struct bj_pace *pace, u64 now);

/* An operation of @bytes starts now. */
void bj_pace_charge(struct bj_pace *pace, u64 bytes, u64 now);

/* Largest operation that keeps the limit smooth, at most @max bytes. */
u64 bj_pace_unit(const struct bj_pace *pace, u64 max);

#endif
