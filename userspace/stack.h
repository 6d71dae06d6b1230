/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layer under a live device:
 *
 *   user device:  linear          the same segments as before
 *   blkjob.<id>:  blkjob
 *   blkjob.<id>.src:              the table that the user device had
 *
 * No device is ever suspended by a call of its own: a table is loaded into the
 * inactive slot, compared, and swapped in by one RESUME.
 */
#ifndef BLKJOB_STACK_H
#define BLKJOB_STACK_H

#include "job.h"

struct layer {
	char id[JOB_ID_LEN + 1];
	dev_t target;
	uint64_t target_offset;	/* sectors */
	dev_t replaces;		/* see struct job */
	const char *options;	/* "speed 1000 ..." */
	unsigned int nr_words;	/* in options */
};

int stack_new_id(char id[JOB_ID_LEN + 1]);
/* 0, and a paused job; or exit status, and nothing is left of the layer. */
int stack_insert(const struct dm_dev *user, const struct table *old,
		 const struct layer *layer, struct job *job);
/* The table that the source had before the job. 0 or a negative errno. */
int stack_old_table(const struct job *job, struct table *t);
/* The user's device goes back to its old table, or on to the target device. */
int stack_restore(const struct job *job);
int stack_pivot(const struct job *job, uint64_t *us);
/*
 * Any device's table, by one load and one resume. @commit is called between
 * them, and its status is returned if it is not 0. @us: of the resume.
 */
int stack_swap(const struct dm_dev *dev, const struct table *old,
	       const struct table *new, int (*commit)(void *arg), void *arg,
	       uint64_t *us);
/* Waits until the private devices have gone. False if they stay. */
bool stack_wait_gone(const struct job *job);

#endif
