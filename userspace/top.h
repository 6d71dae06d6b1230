/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a thin volume or a snapshot holds itself, beside what it stands on. */
#ifndef BLKJOB_TOP_H
#define BLKJOB_TOP_H

#include "dm.h"
#include "ranges.h"

struct top {
	dev_t devno;		/* the thin volume or snapshot; 0 = none below */
	uint64_t offset;	/* sectors; where the source begins in it */
	uint64_t len;		/* sectors; of the source */
	bool thin;
	/* Of a snapshot: */
	dev_t origin, cow;
	bool persistent;
	uint64_t chunk;		/* sectors */
	/* Of a thin volume: */
	dev_t pool;
	unsigned int dev_id;
};

/* Follows linear tables downwards, from one that is not loaded anywhere else. */
void top_find(const struct table *t, struct top *top);
/* Could top_read() do it? 0 or EX_REFUSED; @label is the source. */
int top_check(const struct top *top, const char *label);
/*
 * What was ever written to it, in bytes of the source. Changes nothing that
 * stays, runs other programs. What is written meanwhile may be in the list or
 * not: somebody must track it already. 0 or exit status.
 */
int top_read(const struct top *top, struct ranges *ranges);

/* top-snapshot.c and top-thin.c, in bytes of the snapshot and of the volume. */
int top_read_snapshot(const struct top *top, struct ranges *ranges);
int top_check_snapshot(const struct top *top);
int top_read_thin(const struct top *top, struct ranges *ranges);
int top_check_thin(const struct top *top);

#endif
