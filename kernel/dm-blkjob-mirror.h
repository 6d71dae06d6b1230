/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the mirror and its active writes share.
 */
#ifndef DM_BLKJOB_MIRROR_H
#define DM_BLKJOB_MIRROR_H

#include <linux/mempool.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "dm-blkjob.h"

/* What becomes of a foreground write. */
enum bj_mode {
	BJ_MODE_TRACK,		/* source; its regions become dirty */
	BJ_MODE_SYNC,		/* both legs where nothing is dirty or busy */
	BJ_MODE_COMMIT,		/* both legs, or it waits */
	BJ_MODE_HOLD,		/* ask again when job->lock is free */
	BJ_MODE_SOURCE,		/* concluded: the source alone */
	BJ_MODE_TARGET,		/* concluded: the target device alone */
};

/* Writes in TRACK, on one CPU: that it has sent, that it has seen end. */
struct bj_tracked {
	unsigned long begun;
	unsigned long ended;
};

/* What copy_mode auto goes by; see dm-blkjob-auto.c. Worker. */
struct bj_auto {
	u64 begun_at;		/* ns: background mode; 0 = not looked at yet */
	u64 begun_done;		/* bytes then */
	u64 begun_left;
	u64 look_at;		/* ns: not earlier */
	u64 copy_rate;		/* bytes/s in background mode, running */
	u64 window_at;		/* ns: both legs; 0 = not looked at yet */
	u64 window_writes;	/* of the consumer, until then */
};

struct bj_intent;

struct bj_mirror {
	struct blkjob *job;
	struct bj_intent *intent;	/* constant; NULL = it forgets */
	enum bj_mode mode;	/* written under job->lock, read by map */

	/*
	 * Writes that leave their regions dirty are counted, so that the job
	 * knows when the last of them has. In TRACK, where every write does,
	 * per CPU; see tracked_drained().
	 */
	struct bj_tracked __percpu *tracked;
	struct rcu_head rcu;
	unsigned long left_track;	/* job->lock; times that TRACK ended */
	unsigned long rcu_begun;	/* worker; left_track then */
	unsigned long rcu_done;
	bool rcu_running;
	bool stopping;
	bool synced;		/* job->lock; as of the worker's last turn */
	atomic_t unsynced;
	atomic_t zeroing;	/* active writes of zeroes without data */

	/* BJ_MODE_COMMIT; job->lock */
	struct bio_list parked;		/* wait for a range to become free */
	struct list_head held;		/* active writes, one leg failed */
	unsigned int nr_held;
	atomic_t nr_parked;		/* in parked, or being tried again */

	u64 ticket;		/* job->lock; flush of this phase, 0 = none */

	u64 sync_pass;		/* job->lock; stats.passes when SYNC began */
	struct bj_auto automatic;
	bool diverges;		/* job->lock: auto chose to write through */

	/* Active writes not yet on all legs. */
	spinlock_t in_flight_lock;	/* irqsave */
	struct list_head in_flight;
	bool abandoned;			/* they do not wait for the target */

	mempool_t actives;
	mempool_t pages;
	mempool_t vecs;
};

static inline bool bj_in_step_mode(enum bj_mode mode)
{
	return mode == BJ_MODE_SYNC || mode == BJ_MODE_COMMIT;
}

/* Largest write that goes to both legs in one piece, in sectors. */
#define BJ_ACTIVE_SECTORS	((1U << 20) >> SECTOR_SHIFT)

/*
 * dm-blkjob-auto.c: worker, in running and ready with copy_mode auto. Should
 * writes go to both legs from now on? The caller sets diverges.
 */
bool bj_auto_judge(struct bj_mirror *mirror);

/* dm-blkjob-foreground.c: the type's map and end_io */
int bj_mirror_map(struct blkjob *job, struct bio *bio);
int bj_mirror_end_io(struct blkjob *job, struct bio *bio, blk_status_t *error);
/* With metadata. */
int bj_mirror_map_remembering(struct blkjob *job, struct bio *bio);
int bj_mirror_end_io_remembering(struct blkjob *job, struct bio *bio,
				 blk_status_t *error);
/* Process context: a write has waited for its bits, and goes on. */
void bj_mirror_send_held(struct blkjob *job, struct bio *bio);
/* Worker: try again what waits, or let it go if COMMIT is over. */
void bj_mirror_unpark(struct bj_mirror *mirror);

/* dm-blkjob-active.c */
int bj_active_init(struct bj_mirror *mirror);
void bj_active_exit(struct bj_mirror *mirror);
/*
 * Send a write, or write zeroes, to both legs. Returns -EBUSY if the range is
 * dirty or busy and -ENOMEM if there is no memory at once: nothing was done.
 * 0: @bio will end by itself. @gfp GFP_NOWAIT in map, GFP_NOIO in the worker.
 */
int bj_active_write(struct bj_mirror *mirror, struct bj_io *io,
		    struct bio *bio, gfp_t gfp);
/* Flush the target device on behalf of the consumer. As above. */
int bj_active_flush(struct bj_mirror *mirror, struct bio *bio, gfp_t gfp);
/* Let go what waits for the target device alone. Process context. */
void bj_active_abandon(struct bj_mirror *mirror);
/*
 * Worker: let go what was held, if somebody has decided; or give it back to
 * dm, if that is suspending without flush.
 */
void bj_active_release(struct bj_mirror *mirror);

#endif
