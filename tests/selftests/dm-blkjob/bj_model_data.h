/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bj_model: what is known of each sector, and who is at it.
 */
#ifndef BJ_MODEL_DATA_H
#define BJ_MODEL_DATA_H

#include "bj_model.h"

#include <pthread.h>

#define MAX_CONTENTS	8	/* more: anything is right */
#define MAX_OPS		(1U << 18)
#define ZEROES		0	/* content; otherwise the number of the operation */

enum kind { READ, WRITE, ZERO, DISCARD };

struct cell {
	uint8_t nr;		/* 0 = anything */
	uint32_t content[MAX_CONTENTS];
};

struct op {
	uint32_t number;
	uint32_t sector;
	uint16_t nr;
	uint8_t kind;
	bool nowait;
	bool ok;
	uint64_t issue;		/* ns */
	uint64_t end;		/* ns, 0 = in flight */
};

struct data {
	const char *node;
	uint64_t sectors;
	unsigned int block;
	struct cell *cells;
	struct op *ops;			/* the last ones, by number */
	_Atomic uint32_t last;		/* number of an operation */
	pthread_mutex_t lock;		/* the rest, but for cells in flight */
	pthread_cond_t changed;
	struct op *running[IO_THREADS];
	bool held;
	unsigned int think;		/* us */
	uint64_t bad_until[2];		/* by disk: ns, UINT64_MAX = still bad */
	uint64_t counts_until[2];
};
extern struct data data;

/*--------------------------- bj_model_data.c ---------------------------*/

/* It has ended, and its range is still its own. */
void op_ended(const struct op *op);
/* A sector of a write or a read of that operation was found so. */
void found_by_consumer(const uint64_t *at, uint64_t sector);
/* What happened to a sector, and when. */
void tell_story(uint64_t sector);
int open_direct(const char *path, int flags);
/* For direct I/O. */
void *buffer_new(size_t size);

#endif
