/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dm-blkjob: what the files of the module share.
 *
 * A job is one machine: the region map says what is still to be copied from
 * the source to the target device, the copy pipeline empties it as fast as the
 * pacer allows, the state machine takes the verbs. A job type is what
 * foreground I/O does meanwhile (struct blkjob_type).
 */
#ifndef DM_BLKJOB_H
#define DM_BLKJOB_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "dm-blkjob-args.h"
#include "dm-blkjob-busy.h"
#include "dm-blkjob-window.h"
#include "dm-blkjob-pace.h"
#include "dm-blkjob-regions.h"
#include "dm-blkjob-state.h"
#include "dm-blkjob-stats.h"
#include "dm-blkjob-view.h"

#define DM_MSG_PREFIX	BLKJOB_TARGET

struct blkjob;
struct blkjob_type;
struct bj_checksums;
struct bj_extent;
struct bj_spill;

/* A range of a device that a job reads or writes, known to all jobs. */
struct bj_claim {
	struct list_head list;		/* claims_lock; self-linked = none */
	struct gendisk *disk;
	u64 first;			/* sectors of the whole disk */
	u64 last;
	bool writes;
	bool alone;			/* nor may anybody else have it */
	/* What is below an overlay, and what may be copied into it: */
	struct gendisk *over;		/* the overlay's device; NULL = is none */
	u64 begin;			/* its sector for the first one here */
	const struct bj_claim *from;	/* what is copied here; or NULL */
	const char *what;		/* claims_lock; what it is to its job */
};

struct bj_leg {
	struct dm_dev *dev;
	sector_t start;
	u64 nr_sectors;		/* from there on */
	sector_t shift;		/* start, less where the target begins in dm's table */
	struct bj_claim claim;
};

/* Which leg serves reads, and counts. */
enum bj_side {
	BJ_SOURCE,
	BJ_TARGET,
	/* None of these, but a leg too: with the option metadata. */
	BJ_METADATA,
	BJ_NR_LEGS,
	/* Source and target device, each in part: see struct blkjob_type. */
	BJ_BOTH = BJ_NR_LEGS
};

/* Foreground I/O in progress: dm's per-bio data. */
struct bj_io {
	sector_t sector;		/* in the target's own range */
	unsigned int nr_sectors;
	u8 path;			/* how it went, the type's business */
	u8 epoch;			/* likewise, of dm-blkjob-track.c */
	u64 held_since;			/* ns, 0 = never held */
	/* If it is timed, see bj_time_bio(): */
	struct blkjob *job;
	u64 begun;			/* ns */
	bio_end_io_t *end_io;		/* dm's */
};

/* What the status line counts; job->lock. Bytes unless said otherwise. */
struct bj_stats {
	u64 copied;			/* as data */
	u64 zeroed;			/* as zeroes, or known to be */
	u64 recopied;			/* of both, after the first sweep */
	u64 urgent;			/* of both, for the consumer */
	u64 passes;			/* sweeps begun */
	u64 errors[BJ_NR_LEGS];		/* failed operations */
	const char *last_op;		/* NULL = no error yet */
	int last_errno;
	sector_t last_sector;
	u64 pause_ns;			/* longest that a write was held */
};

/* Rates over a window of about a second; job->lock. */
struct bj_rate {
	u64 since;			/* ns */
	u64 done;			/* bytes, at since */
	u64 dirtied;
	u64 copy_rate;			/* bytes/s, of the last full window */
	u64 dirty_rate;
};

/* What the message "events" tells. */
struct bj_event {
	u64 time;			/* ns, wall clock */
	u64 offset;			/* bytes done by then */
	enum blkjob_state state;	/* the new one */
	const char *op;			/* of an error, NULL = state change */
	int err;
	sector_t sector;
	const char *action;		/* what followed from the error */
};

/* The last ones; job->lock. */
#define BJ_EVENTS 32
struct bj_events {
	u64 next;			/* number of the next one */
	struct bj_event ring[BJ_EVENTS];
};

/* The cache of a leg. Worker, but for ended. */
struct bj_flush {
	struct blkjob *job;
	u64 wanted;			/* the last ticket */
	u64 begun;			/* the last one when a flush began */
	u64 done;			/* tickets up to here are covered */
	bool running;
	bool failed;			/* the last one */
	bool ended;			/* set by the bio's end */
	u64 submitted;			/* ns */
	struct work_struct submit;
	struct bio bio;
};

/*
 * Submitting may sleep, on a device that is busy or dead. So there is a thread
 * for each leg, and the worker never waits for a device.
 */
struct bj_submitter {
	struct llist_head slots;
	struct work_struct work;
};

/*
 * A lane of the pipeline, with buffers of its own: what one lane has in flight
 * is not in the way of the other one.
 */
struct bj_lane {
	struct list_head free;		/* of struct bj_slot */
	struct list_head extents;	/* of struct bj_extent, not in use */
	unsigned int nr_slots;
	unsigned int slot_bytes;	/* constant; 0 = no such lane */
	struct bj_extent *extent;	/* being issued, or NULL */
};

enum {
	BJ_SWEEP,	/* what the pacer lets through, from end to end */
	BJ_URGENT,	/* what the consumer waits for: see bj_copy_now() */
	BJ_MOVE,	/* from the spill device on; its extents are urgent ones */
	BJ_NR_LANES
};

/* When are the bits of an extent cleared? The type's choice, in its ctr. */
enum bj_clear_at {
	BJ_CLEAR_TAKEN,		/* before it is read: may become dirty again */
	/* For these the map has all its memory. */
	BJ_CLEAR_READ,		/* in a buffer, which is kept until written */
	BJ_CLEAR_STORED,	/* the target device, or the spill device, has it */
	BJ_CLEAR_FLUSHED,	/* ... on stable storage */
};

/* The copy pipeline. All else in it belongs to the worker, job->work. */
struct bj_pipe {
	struct bj_submitter submitter[2];	/* by enum bj_side */
	struct llist_head done;		/* slots whose bio ended; any context */
	struct bj_lane lane[BJ_NR_LANES];
	enum bj_clear_at clear_at;	/* constant */
	bool swept;			/* constant; false: no sweep */
	struct list_head kept;		/* slots: could not be written yet */
	struct list_head stored;	/* extents that wait for a flush */
	u64 cursor;			/* next region of the sweep */
	u64 careful_first;		/* regions to take one at a time, ... */
	u64 careful_end;		/* ... up to here; equal = none */
	bool careful_again;		/* a failure in this sweep */
	u64 trusted_pass;		/* no failure was seen for a while then */
	bool wrapped;			/* the next extent begins a pass */
	bool blocked;			/* all that is dirty is busy too */
	bool no_zeroes;			/* the target device has refused them */
	bool quiet;			/* nothing new is taken */
	u64 in_flight;			/* bytes; read by status */
	u64 marked;			/* of these, still marked; job->lock */
	u64 on_leg[2];			/* bytes of pieces, by enum bj_side */
	u64 next_tick;			/* ns; latency control */
	unsigned int request_bytes;	/* largest of both devices; constant */
};

struct blkjob {
	struct dm_target *ti;
	struct list_head ring;		/* groups_lock; the members, no head */
	struct list_head named;		/* groups_lock; jobs with a group */
	char group[BLKJOB_GROUP_NAME + 1];	/* "" = none */
	const struct blkjob_type *type;
	void *private;			/* the type's */
	/* Of the type, where its ctr does not choose others. */
	int (*map_bio)(struct blkjob *job, struct bio *bio);
	int (*end_io)(struct blkjob *job, struct bio *bio, blk_status_t *error);
	struct bj_leg *reads;		/* serves reads; NULL = map decides */
	/* As opened, by enum bj_side, see bj_leg(); dev NULL = none */
	struct bj_leg leg[BJ_NR_LEGS];
	/* Under job->lock: 1 if the legs have changed places, see bj_legs_turn() */
	unsigned int turned;
	unsigned int sample_mask;	/* the consumer's I/Os that are timed */
	u64 nr_sectors;
	unsigned int region_shift;	/* region = 1 << shift sectors */

	struct bj_regions map;
	struct bj_busy *busy;
	struct bj_pipe pipe;
	struct bj_views views;
	struct bj_checksums *checksums;	/* NULL = none */
	struct bj_spill *spill;		/* NULL = none */
	bool target_is_zero;	/* where nothing was copied yet */
	struct bj_cpu_stats __percpu *cpu_stats;

	/*
	 * The worker: the pipeline, then the type's step(). It is the only
	 * thread that starts and ends copies and that changes phases which
	 * need waiting; messages set the state and kick it.
	 */
	struct workqueue_struct *wq;
	struct work_struct work;
	struct delayed_work tick;	/* kicks the worker later */
	struct hrtimer copy_timer;	/* ... when it may copy more */
	struct work_struct event;	/* dm_table_event() sleeps */
	bool idle;			/* the worker found nothing to do */
	atomic_t ios;			/* own bios in flight */
	wait_queue_head_t drained;	/* ios fell to 0, or stopped */
	struct bj_flush *flush;		/* two, of the legs as opened */

	spinlock_t lock;		/* irqsave; all that follows */
	enum blkjob_state state;
	bool suspended;
	bool noflush;			/* ... and dm takes bios back */
	bool wait_on_resume;		/* from standby on to waiting */
	bool soft_cancel;		/* waiting ends at the source ... */
	bool past_instant;		/* ... and has let it go already, ... */
	bool settled;			/* ... and all before that is safe */
	bool io_failed;			/* io_status: a leg failed */
	bool urgent;			/* the consumer waits for the copy */
	bool narrow;			/* what is in flight is in its way */
	enum bj_side active;
	const char *result;		/* NULL until concluded */
	const char *error;		/* NULL = none */
	unsigned long abort_deadline;	/* jiffies */
	u64 retry_at;			/* ns; policy ignore */
	u64 backoff;			/* ns; 0 = the last copy went well */
	unsigned long next_error_event;	/* jiffies */
	u64 waiting_pass;		/* stats.passes when waiting began */
	struct bj_options opt;
	struct bj_pace pace;
	struct bj_window window;
	struct bj_stats stats;
	struct bj_rate rate;
	struct bj_events events;
};

/*
 * A job type. map and end_io are dm's (any context that dm calls them in, they
 * never wait). step and state_changed are called from the worker, and under
 * job->lock, respectively.
 */
struct blkjob_type {
	enum bj_kind kind;
	u64 granularity;	/* bytes, if none is given */
	bool copies;	/* to the target device; otherwise that has metadata */
	/*
	 * The target device lies over the source, which is only read: the
	 * consumer needs both, and the pipeline too, when the job has ended.
	 */
	bool overlay;
	/*
	 * A sector of the target device gets what the source has there, and
	 * nothing else, ever: see goes_back() in dm-blkjob-legs.c.
	 */
	bool commits;
	enum blkjob_state before_waiting;	/* the state that complete leaves */
	bool ends_in_group;	/* otherwise its group is but a name */
	/* May sleep. 0, or -errno with a sentence in error (BJ_ERROR_LEN). */
	int (*ctr)(struct blkjob *job, char *error);
	/* Nothing is in flight any more. Also after a failed ctr. */
	void (*dtr)(struct blkjob *job);
	/* Reads only if job->reads is NULL; end_io for writes only. */
	int (*map)(struct blkjob *job, struct bio *bio);
	int (*end_io)(struct blkjob *job, struct bio *bio, blk_status_t *error);
	/* Worker, in each turn: bj_copy_now() what is waited for. Or NULL. */
	void (*urgent)(struct blkjob *job);
	/* One region of bj_copy_now(), or all that was taken with it. */
	void (*urgent_failed)(struct blkjob *job,
			      const struct bj_extent *extent);
	/*
	 * Worker, while nobody else can write them: how many of the regions
	 * from @first on may be copied? If none, the first has been unmarked.
	 * Or NULL: all.
	 */
	u64 (*absent)(struct blkjob *job, u64 first, u64 nr);
	/* Worker, still so: they were. Or NULL. */
	void (*copied)(struct blkjob *job, u64 first, u64 nr);
	/* Worker: a flush of a leg. NULL: the policies tell. */
	void (*flush_failed)(struct blkjob *job, enum bj_side side,
			     blk_status_t status);
	/* Move the phase on; true: there is more to do at once. */
	bool (*step)(struct blkjob *job);
	void (*state_changed)(struct blkjob *job);
	/* Under job->lock: may it be told to? NULL: where the verb is allowed. */
	bool (*may_complete)(struct blkjob *job);
	/* Under job->lock, concluded: NULL, or why it cannot go on. Or NULL. */
	const char *(*may_go_on)(struct blkjob *job);
	/* Under job->lock: send no write until it is dropped. */
	void (*hold)(struct blkjob *job);
	/* Foreground bios that wait for the worker must not wait any more. */
	void (*presuspend)(struct blkjob *job);
	/* Under job->lock, the last call: the worker then brings it to stopped. */
	void (*stop)(struct blkjob *job);
	bool (*stopped)(struct blkjob *job);
	/* Held foreground writes, for the status line. */
	unsigned int (*held)(struct blkjob *job);
	bool (*synced)(struct blkjob *job);
	/* copy_mode auto has begun to send writes to both legs. */
	bool (*diverged)(struct blkjob *job);
	/* Or NULL. Messages of its own; -ENOIOCTLCMD if it is none of them. */
	int (*message)(struct blkjob *job, unsigned int argc, char **argv,
		       char *result, unsigned int maxlen);
	const char *help;		/* on these, or NULL */
	/* Or NULL. Keys of its own in the status line. */
	void (*status)(struct blkjob *job, char *result, unsigned int maxlen);
};

extern const struct blkjob_type bj_mirror_type;
extern const struct blkjob_type bj_backup_type;
extern const struct blkjob_type bj_track_type;
extern const struct blkjob_type bj_stream_type;

/* dm-blkjob-target.c */
/* Where a constructor puts its sentence (BJ_ERROR_LEN), for ti->error. */
char *bj_refusal(void);

static inline const char *bj_name(struct blkjob *job)
{
	return dm_table_device_name(job->ti->table);
}

/* dm-blkjob-legs.c: all may sleep */
int bj_legs_open(struct blkjob *job, const struct bj_args *args, char *error);
void bj_legs_close(struct blkjob *job);
/* Nobody but this job may write to its source: 0, or -EBUSY. */
int bj_legs_source_alone(struct blkjob *job, char *error);
/* All of a device that is no leg, to be written. Close it also if that failed. */
int bj_legs_open_spill(struct blkjob *job, struct bj_leg *leg, const char *path,
		       char *error);
void bj_legs_close_one(struct blkjob *job, struct bj_leg *leg);
/*
 * Under the locks of a group. The source can become the target device: nobody
 * else uses it, and it can be written to. 0, or -EPERM and why (BJ_ERROR_LEN).
 */
int bj_legs_take_source(struct blkjob *job, char *why);
void bj_legs_give_source(struct blkjob *job);
/* After the first of these: they change places. */
void bj_legs_turn(struct blkjob *job);

/*
 * dm-blkjob-group.c: a job without a name is a group of its own. Process
 * context. Under the locks of a group, its members and their states stand
 * still.
 */
int bj_group_join(struct blkjob *job, char *error);
void bj_group_leave(struct blkjob *job);
void bj_group_lock(struct blkjob *job);
void bj_group_unlock(struct blkjob *job);
/* If a member has ended, the others do not switch: take them back. */
void bj_group_follow(struct blkjob *job);
/* Worker: @job is at the end of a soft cancel. True if all are: concluded. */
bool bj_group_settled(struct blkjob *job);
/* Under the locks. They return 0, or -EPERM and why (BJ_ERROR_LEN). */
int __bj_group_complete(struct blkjob *job, char *why);
int __bj_group_finalize(struct blkjob *job, enum bj_side active, char *why);
void __bj_group_rollback(struct blkjob *job);
/* The target device serves from now on, and the source is kept equal to it. */
int __bj_group_reverse(struct blkjob *job, char *why);

/* dm-blkjob-control.c */
void bj_start(struct blkjob *job);
/* job->lock held: */
void __bj_state_set(struct blkjob *job, enum blkjob_state state);
void __bj_conclude(struct blkjob *job, const char *result, enum bj_side active);
void __bj_abort(struct blkjob *job, const char *error);
u64 __bj_copy_wait(struct blkjob *job);
void __bj_latency_bound_set(struct blkjob *job);
bool __bj_copying(struct blkjob *job);
/* Worker, in aborting. True if that has ended. */
bool bj_aborted(struct blkjob *job);
/* Any context: */
void bj_kick(struct blkjob *job);
void bj_wake(struct blkjob *job);
void bj_raise_event(struct blkjob *job);
/* dm's message method. */
int bj_message(struct blkjob *job, unsigned int argc, char **argv,
	       char *result, unsigned int maxlen);

/* dm-blkjob-error.c; job->lock held: */
void __bj_error(struct blkjob *job, enum bj_side side, const char *op,
		blk_status_t status, sector_t sector);
/* Only say and count it; what follows is the caller's business. */
void __bj_error_note(struct blkjob *job, enum bj_side side, const char *op,
		     blk_status_t status, sector_t sector);
void __bj_event_error_limited(struct blkjob *job, const char *action);
/* Worker: */
void bj_recovered(struct blkjob *job);
/* Any context: */
const char *bj_error_word(enum bj_side side, const char *op,
			  blk_status_t status);
bool bj_backing_off(struct blkjob *job);
void bj_error(struct blkjob *job, enum bj_side side, const char *op,
	      blk_status_t status, sector_t sector);

/* dm-blkjob-events.c; job->lock held: */
void __bj_event_state(struct blkjob *job);
/* The last error of the statistics; the word must stay. */
void __bj_event_error(struct blkjob *job, const char *action);
/* May sleep. Lines from event @number on, as many as fit; returns 1. */
int bj_events_reply(struct blkjob *job, u64 number, char *result,
		    unsigned int maxlen);

/* dm-blkjob-copy.c: worker only, but for bj_pipe_init (ctr) */
int bj_pipe_init(struct blkjob *job);
bool bj_pipe_run(struct blkjob *job);
/* In ctr: there will be urgent copies. 0 or -ENOMEM. */
int bj_pipe_add_urgent(struct blkjob *job);
/* ... and they may go by the spill device. */
int bj_pipe_add_move(struct blkjob *job);
/*
 * Worker: begin to copy dirty regions from @first on, up to @last at most,
 * whatever the pacer says. 0, -EBUSY if @first cannot be taken just now, or
 * -EAGAIN if nothing can. The worker runs again when that may have changed.
 */
int bj_copy_now(struct blkjob *job, u64 first, u64 last);
/* Has the sweep anything left to take? */
bool bj_sweep_left(struct blkjob *job);
/* The worker runs again in @ns, or earlier. */
void bj_come_back(struct blkjob *job, u64 ns);

/*
 * dm-blkjob-flush.c, worker only.
 * Draw a ticket for all that a leg has now; ask with it whether that is on
 * stable storage. Asking begins a flush if need be, and the worker runs again
 * when that has ended. No ticket is 0.
 */
u64 bj_flush_ticket(struct bj_flush *flush);
bool bj_flushed(struct bj_flush *flush, u64 ticket);

/*
 * dm-blkjob-checksum.c, and in dm-blkjob-copy.h: in ctr, which may sleep and
 * has a sentence in @error; in dtr, also after a failed ctr; a type's message.
 */
int bj_checksums_init(struct blkjob *job, char *error);
void bj_checksums_exit(struct blkjob *job);
int bj_checksums_message(struct blkjob *job, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen);

/*
 * dm-blkjob-spill.c, and in dm-blkjob-copy.h: in ctr, after bj_pipe_add_urgent()
 * and bj_views_init(), with a sentence in @error; in dtr; keys of the status.
 */
int bj_spill_init(struct blkjob *job, char *error);
void bj_spill_exit(struct blkjob *job);
void bj_spill_status(struct blkjob *job, char *result, unsigned int maxlen);

/* dm-blkjob-slot.c, in dtr; the rest of it in dm-blkjob-copy.h */
void bj_slots_exit(struct blkjob *job);

/* dm-blkjob-active.c, for all jobs: when the module comes and goes */
int bj_active_caches_init(void);
void bj_active_caches_exit(void);

/*
 * dm-blkjob-mdio.c, in ctr: what the metadata have, 0 if there is none to be
 * had. May sleep.
 */
u64 bj_md_granularity(struct blkjob *job);

/* dm-blkjob-status.c */
void bj_status(struct blkjob *job, status_type_t type, char *result,
	       unsigned int maxlen);
void __bj_rate_update(struct blkjob *job, u64 now);
u64 bj_dirty_bytes(struct blkjob *job);

/* Regions that @nr sectors from @sector on touch. */
static inline u64 bj_first_region(const struct blkjob *job, sector_t sector)
{
	return sector >> job->region_shift;
}

static inline u64 bj_last_region(const struct blkjob *job, sector_t sector,
				 sector_t nr)
{
	return (sector + nr - 1) >> job->region_shift;
}

static inline void bj_mark_dirty(struct blkjob *job, sector_t sector,
				 sector_t nr)
{
	bj_regions_set(&job->map, bj_first_region(job, sector),
		       bj_last_region(job, sector, nr));
}

/*
 * The leg that is the source now, or the target device. Who acts on a mode of
 * the mirror reads that first, with acquire.
 */
static inline struct bj_leg *bj_leg(struct blkjob *job, enum bj_side side)
{
	return &job->leg[side > BJ_TARGET ? side :
					    side ^ READ_ONCE(job->turned)];
}

/* A ticket of it stays one of that device, whatever the leg becomes. */
static inline struct bj_flush *bj_flush_of(struct blkjob *job,
					   enum bj_side side)
{
	return &job->flush[bj_leg(job, side) - job->leg];
}

static inline struct block_device *bj_bdev(struct blkjob *job,
					   enum bj_side side)
{
	return bj_leg(job, side)->dev->bdev;
}

/* Legs that have the sectors of the job: not one with metadata. */
static inline unsigned int bj_nr_copies(const struct blkjob *job)
{
	return job->type->copies ? 2 : 1;
}

/* The leg that has metadata, if there is one. */
static inline enum bj_side bj_md_side(const struct blkjob *job)
{
	return job->type->copies ? BJ_METADATA : BJ_TARGET;
}

/* No device is to be touched by the pipeline any more. */
static inline bool bj_given_up(const struct blkjob *job)
{
	return READ_ONCE(job->state) >= BLKJOB_ABORTING && !job->type->overlay;
}

/* Sector of the leg for @sector of the job. */
static inline sector_t bj_leg_sector(struct blkjob *job, enum bj_side side,
				     sector_t sector)
{
	return bj_leg(job, side)->start + sector;
}

/* In map: what a bio does that has @sector of the job. DM_MAPIO_REMAPPED. */
static inline int bj_send(const struct bj_leg *leg, sector_t sector,
			  struct bio *bio)
{
	bio_set_dev(bio, leg->dev->bdev);
	bio->bi_iter.bi_sector = leg->start + sector;
	return DM_MAPIO_REMAPPED;
}

static inline int bj_send_to(struct blkjob *job, enum bj_side side,
			     sector_t sector, struct bio *bio)
{
	return bj_send(bj_leg(job, side), sector, bio);
}

#endif
