/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Snapshot views: what the source of a backup was at the instant, to be read
 * while the job goes on.
 */
#ifndef DM_BLKJOB_VIEW_H
#define DM_BLKJOB_VIEW_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "dm-blkjob-regions.h"

struct blkjob;

/* What can be read. It only ever becomes less. */
enum bj_reach {
	BJ_REACH_ALL,
	BJ_REACH_SAVED,		/* nothing more is saved */
	BJ_REACH_NOTHING,	/* nor is what was saved any good */
};

struct bj_views {
	struct list_head jobs;		/* views_lock; those with an instant */
	struct list_head list;		/* views_lock; of struct bj_view */
	enum bj_reach reach;		/* written under job->lock */
	/* Regions that are clean and yet not saved: nobody wants them. */
	struct bj_regions left_out;
	/* Clean and not busy, and not yet on the target device; nr 0 = none. */
	struct bj_regions away;
	refcount_t users;		/* their I/O in flight, and one */
	struct completion unused;

	spinlock_t lock;		/* irqsave */
	struct bio_list parked;		/* lock; from any context */
	struct bio_list waiting;	/* worker */
	/* Sending may sleep, and the worker must not. */
	struct bio_list released;	/* lock */
	struct work_struct send;
};

struct bj_view {
	struct dm_target *ti;
	struct blkjob __rcu *job;	/* NULL: it has gone */
	struct list_head list;		/* views_lock; self-linked = none */
	struct dm_dev *dev[2];		/* by enum bj_side */
	sector_t start[2];
	dev_t job_dev;
	unsigned long said;		/* bit 0: that it is broken */
	atomic64_t from_source;		/* reads */
	atomic64_t from_target;
	atomic64_t again;		/* of these, from both */
	atomic64_t discarded;		/* sectors */
};

/* Where a read is to go, or has gone. */
enum bj_way {
	BJ_WAY_SOURCE,
	BJ_WAY_TARGET,
	BJ_WAY_WAIT,		/* for the worker */
	BJ_WAY_LOST,
	BJ_WAY_GIVE_UP,		/* a discard */
};

/* I/O in progress: dm's per-bio data. */
struct bj_view_io {
	struct blkjob *job;		/* see bj_view_job_get() */
	enum bj_way way;
	sector_t sector;		/* in the job's own range */
	unsigned int nr_sectors;
	/* Of a read: what the first bio uses up. */
	struct bvec_iter iter;
	unsigned int flags;
	/* Of a discard: regions that are to be given up, up to end. */
	u64 first;
	u64 end;
};

static inline struct bj_view_io *bj_view_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct bj_view_io));
}

/* dm-blkjob-view.c */
extern struct target_type bj_view_target;

/* dm-blkjob-views.c: for the jobs */

/* In ctr and dtr of a type whose saved data can be read. 0 or -ENOMEM. */
int bj_views_init(struct blkjob *job);
void bj_views_exit(struct blkjob *job);
/* Old data may be elsewhere for a while: views.away. 0 or -ENOMEM. */
int bj_views_prepare_away(struct blkjob *job);
/*
 * The job is going: its views get nothing any more. May sleep, until none of
 * their I/O is in flight. The worker must be able to run.
 */
void bj_views_leave(struct blkjob *job);
/* job->lock held: the state, or what follows from it, has changed. */
void bj_views_follow(struct blkjob *job);
/* Worker: go on with what waits. */
void bj_views_step(struct blkjob *job);
/*
 * Before regions @first ... @last are made clean without being saved. May
 * sleep. 0 or -ENOMEM.
 */
int bj_views_leave_out(struct blkjob *job, u64 first, u64 last);

/*
 * For the views. May sleep. Find the job of view->job_dev and let @begin have
 * a look at it. 0, -ENXIO if there is none, or what @begin returns.
 */
int bj_view_attach(struct bj_view *view,
		   int (*begin)(struct bj_view *view, struct blkjob *job));
void bj_view_detach(struct bj_view *view);
/* Any context. The job for one I/O, or NULL; it stays until that is put. */
struct blkjob *bj_view_job_get(struct bj_view *view);
void bj_view_job_put(struct blkjob *job);
/* Any context. The way of a read, as things are now. */
enum bj_way bj_view_way(struct blkjob *job, const struct bj_view_io *io);
/* Point it to the device that io->way and io->sector say, or (wait) may say. */
void bj_view_aim(struct bio *bio);
/* Any context. The worker finds out what becomes of it. */
void bj_view_park(struct blkjob *job, struct bio *bio);

#endif
