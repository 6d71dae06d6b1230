/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Live tables, replaced by others. A table is loaded into the inactive slot,
 * compared, and swapped in by one RESUME, which suspends for a moment by
 * itself. Only where several devices are to change at one instant they are all
 * suspended first; see guard.h.
 */
#ifndef BLKJOB_SWAP_H
#define BLKJOB_SWAP_H

#include "dm.h"

struct swap {
	const struct dm_dev *dev;
	const struct table *old, *new;
	/* With all new tables loaded: the last moment to say no. */
	int (*commit)(void *arg);
	void *arg;
	/* For swap.c: */
	int status;		/* what commit has told the user */
	int err;
	bool touched, stopped;
};

struct swap_how {
	bool freeze;		/* the file system on each device */
	bool together;		/* there is an instant at which all stand still */
	uint64_t freeze_timeout_us;	/* for that; 0 = none */
};

/*
 * All of them or none. 0, or exit status after a message. @us: how long a
 * device stood still at most.
 */
int swap_all(struct swap *s, size_t n, const struct swap_how *how,
	     uint64_t *us);

/* So that a suspended device cannot take a page away that we need. */
void swap_memory_lock(void);

#endif
