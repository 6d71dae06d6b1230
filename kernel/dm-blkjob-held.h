/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes of the consumer that wait; see dm-blkjob-held.c.
 */
#ifndef DM_BLKJOB_HELD_H
#define DM_BLKJOB_HELD_H

#include "dm-blkjob.h"

struct bj_held {
	struct blkjob *job;
	enum bj_side side;		/* where they go; constant */
	atomic_t nr;			/* in parked and waiting */
	struct bio_list waiting;	/* worker */
	struct work_struct send;
	spinlock_t lock;		/* irqsave; all that follows */
	struct bio_list parked;
	struct bio_list released;
	/* Or NULL. Instead of sending it to the leg; process context. */
	void (*send_on)(struct blkjob *job, struct bio *bio);
};

/* In ctr. */
void bj_held_init(struct bj_held *held, struct blkjob *job, enum bj_side side);
/* In map: wait for the worker, or fail if it must not. DM_MAPIO_SUBMITTED. */
int bj_held_park(struct bj_held *held, struct bj_io *io, struct bio *bio);
/* Worker: all of them into @list; who has to wait on goes to waiting again. */
void bj_held_take(struct bj_held *held, struct bio_list *list);
/* Worker: to the leg. */
void bj_held_let_go(struct bj_held *held, struct bio *bio);
/* Worker: not sent at all. */
void bj_held_end(struct bj_held *held, struct bio *bio, blk_status_t status);
/* Worker: all that are waiting and touch this range. */
void bj_held_end_in(struct bj_held *held, sector_t sector, u64 nr_sectors,
		    blk_status_t status);

#endif
