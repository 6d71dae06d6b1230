/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layer under a live device:
 *
 *   user device:  linear          the same segments as before
 *   blkjob.<id>:  blkjob
 *   blkjob.<id>.src:              the table that the user device had
 *
 */
#ifndef BLKJOB_STACK_H
#define BLKJOB_STACK_H

#include "job.h"
#include "swap.h"

struct layer {
	char id[JOB_ID_LEN + 1];
	const char *type;	/* "mirror" */
	dev_t target;
	uint64_t target_offset;	/* sectors */
	dev_t replaces;		/* see struct job */
	char *options;		/* "speed 1000 ..." */
	unsigned int nr_words;	/* in options */
	bool above;		/* another layer of ours is there already */
	bool reads_source;	/* and never writes to it */
};

/* One more option, unless it is NULL or UNKNOWN. */
void layer_add_word(struct layer *layer, const char *key, const char *value);
void layer_add_number(struct layer *layer, const char *key, uint64_t value);

/* A layer on its way under a device. */
struct insertion {
	const struct dm_dev *user;
	const struct table *old;	/* leads to the source's data */
	bool created;		/* the user's device is new, and has no table yet */
	struct layer layer;
	/* For stack.c: what exists, and nothing stands on. */
	dev_t src, dev;
	struct table shim;
};

/* Of the job's table, after its type; to be freed. */
char *stack_job_params(const struct layer *l, dev_t src);
int stack_new_id(char id[JOB_ID_LEN + 1]);
/* A paused job that nothing uses yet. 0, or exit status and nothing is left. */
int stack_create(struct insertion *in, struct job *job);
/*
 * All layers under their devices, or none. 0 or exit status. @us: how long a
 * device stood still at most.
 */
int stack_insert(struct insertion *in, size_t n, const struct swap_how *how,
		 struct job *jobs, uint64_t *us);
/* What stack_create() made goes away, unless it is in use. */
void stack_discard(struct insertion *in);
/* As the user's device on the source would have it. 0 or a negative errno. */
int stack_source_table(const struct job *job, struct table *t);
/* The user's device stays on the source, or goes on to the target device. */
int stack_restore(const struct job *job);
int stack_pivot(const struct job *job, uint64_t *us);
/*
 * stack-renew.c: another job, of that layer, on the private device of one that has
 * ended. 0 or exit status; @touched: then there may be no job at all. @us: how
 * long the user's device stood still.
 */
int stack_renew(const struct job *job, const struct layer *l, bool *touched,
		uint64_t *us);
/* Waits until the private devices have gone. False if they stay. */
bool stack_wait_gone(const struct job *job);

#endif
