// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror: what foreground I/O does while the target device becomes, and
 * stays, a copy of the source.
 *
 * Reads go to the leg that counts. What a write does is the mode, which
 * follows from the state of the job:
 *
 *   TRACK	running ... standby: to the source, its regions become dirty when
 *		it ends
 *   SYNC	waiting (and before, in copy mode write-blocking): to both legs
 *		where the range is clean and nobody is busy there, otherwise as
 *		in TRACK. What is dirty can only become less, but for the
 *		regions that are written while they are being copied.
 *   COMMIT	the end of waiting, and pending: to both legs; the few writes
 *		that meet a range still to be copied wait for it
 *   HOLD	while job->lock is held for the switch of a group
 *   SOURCE, TARGET	concluded
 *
 * Foreground I/O never waits for the copy before COMMIT, and there only for
 * at most BJ_RESIDUE bytes of it.
 */
#include "dm-blkjob-intent.h"

/* Left to copy when writes may be made to wait for it. */
#define BJ_RESIDUE		(4ULL << 20)
/* Sweeps in waiting after which they are, whatever is left. */
#define BJ_WAITING_PASSES	8
/* Sweeps in SYNC after which complete may be asked for, whatever is left. */
#define BJ_SYNC_PASSES		64

/* job->lock held. What was flushed for the last phase is not enough. */
static void set_mode(struct bj_mirror *mirror, enum bj_mode mode)
{
	struct blkjob *job = mirror->job;

	mirror->ticket = 0;
	job->urgent = mode == BJ_MODE_COMMIT;
	WRITE_ONCE(job->narrow, mode == BJ_MODE_SYNC);
	if (mode == BJ_MODE_SYNC && mirror->mode != BJ_MODE_SYNC)
		mirror->sync_pass = job->stats.passes;
	if (mirror->mode == BJ_MODE_TRACK && mode != BJ_MODE_TRACK)
		mirror->left_track++;
	if (!bj_in_step_mode(mode))
		mirror->synced = false;
	WRITE_ONCE(job->reads, bj_leg(job, mode == BJ_MODE_TARGET ? BJ_TARGET :
								    BJ_SOURCE));
	/*
	 * Who has seen a write go to the target device reads from there; and
	 * who sees this mode sees the legs as they are in it.
	 */
	smp_store_release(&mirror->mode, mode);
}

/* Worker: flush the target device once in this phase. */
static bool phase_flushed(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	u64 ticket;

	spin_lock_irq(&job->lock);
	if (!mirror->ticket)
		mirror->ticket = bj_flush_ticket(bj_flush_of(job, BJ_TARGET));
	ticket = mirror->ticket;
	spin_unlock_irq(&job->lock);
	return bj_flushed(bj_flush_of(job, BJ_TARGET), ticket);
}

static bool mirror_diverged(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;

	return job->opt.copy_mode == BJ_COPY_AUTO && mirror->diverges;
}

static void mirror_state_changed(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;
	enum bj_mode mode = mirror->mode;

	lockdep_assert_held(&job->lock);
	switch (job->state) {
	case BLKJOB_WAITING:
		if (job->past_instant)
			mode = BJ_MODE_SOURCE;
		else if (mode == BJ_MODE_TRACK)
			mode = BJ_MODE_SYNC;
		break;
	case BLKJOB_PENDING:
		break;
	case BLKJOB_ABORTING:
		mode = BJ_MODE_SOURCE;
		break;
	case BLKJOB_CONCLUDED:
		mode = job->active == BJ_TARGET && !bj_bug(BJ_BUG_NO_SWITCH) ?
		       BJ_MODE_TARGET : BJ_MODE_SOURCE;
		break;
	default:
		mode = job->opt.copy_mode == BJ_COPY_WRITE_BLOCKING ||
		       mirror_diverged(job) ? BJ_MODE_SYNC : BJ_MODE_TRACK;
		break;
	}
	set_mode(mirror, mode);
}

static void mirror_hold(struct blkjob *job)
{
	lockdep_assert_held(&job->lock);
	set_mode(job->private, BJ_MODE_HOLD);
}

static void tracked_rcu(struct rcu_head *rcu)
{
	struct bj_mirror *mirror = container_of(rcu, struct bj_mirror, rcu);

	WRITE_ONCE(mirror->rcu_done, mirror->rcu_begun);
	/* Pairs with tracked_drained(): rcu can be used again. */
	smp_store_release(&mirror->rcu_running, false);
	bj_kick(mirror->job);
}

/*
 * Worker: have all writes that were sent in TRACK set their bits, before it
 * was left for the @left'th time? After a grace period everybody knows that
 * TRACK is over: then begun stands still, and who ends a write kicks
 * (bj_mirror_end_io()).
 */
static bool tracked_drained(struct bj_mirror *mirror, unsigned long left)
{
	unsigned long begun = 0, ended = 0;
	int cpu;

	/* Pairs with tracked_rcu(). */
	if (smp_load_acquire(&mirror->rcu_running))
		return false;
	if (mirror->rcu_done != left) {
		mirror->rcu_begun = left;
		mirror->rcu_running = true;
		call_rcu(&mirror->rcu, tracked_rcu);
		return false;
	}
	for_each_possible_cpu(cpu)
		ended += READ_ONCE(per_cpu_ptr(mirror->tracked, cpu)->ended);
	/* The bits after the counts; they were set before them. */
	smp_rmb();
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(mirror->tracked, cpu)->begun);
	return begun == ended;
}

/* Once in step, until TRACK comes again (set_mode()). */
static void note_synced(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	unsigned long left;
	bool wanted;

	/* The lock has the mode seen by all before a grace period begins. */
	spin_lock_irq(&job->lock);
	left = mirror->left_track;
	wanted = bj_in_step_mode(mirror->mode) && !mirror->synced;
	spin_unlock_irq(&job->lock);
	if (!wanted || !tracked_drained(mirror, left))
		return;
	spin_lock_irq(&job->lock);
	mirror->synced = left == mirror->left_track &&
			 bj_in_step_mode(mirror->mode);
	spin_unlock_irq(&job->lock);
}

/* Nothing may call back any more. */
static void mirror_stop(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;

	WRITE_ONCE(mirror->stopping, true);
}

static bool mirror_stopped(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;

	if (mirror->intent && !bj_track_stopped(mirror->intent->track))
		return false;
	return !READ_ONCE(mirror->rcu_running) &&
	       list_empty_careful(&mirror->in_flight);
}

static bool all_copied(struct blkjob *job)
{
	if (bj_bug(BJ_BUG_READY_DIRTY))
		return true;
	return !job->pipe.in_flight &&
	       bj_regions_next(&job->map, 0) == job->map.nr;
}

/* Every write is on both legs, or will still make its regions dirty. */
static bool none_untracked(struct bj_mirror *mirror)
{
	return mirror->synced && !atomic_read(&mirror->unsynced) &&
	       !atomic_read(&mirror->zeroing);
}

static bool nearly_copied(struct blkjob *job)
{
	u64 region = 1ULL << (job->region_shift + SECTOR_SHIFT);

	return bj_dirty_bytes(job) + job->pipe.in_flight <=
	       max(BJ_RESIDUE, region);
}

/* copy_mode auto: to both legs, or to the source only? */
static void choose_mode(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	bool diverges;

	if (READ_ONCE(job->opt.copy_mode) != BJ_COPY_AUTO)
		return;
	diverges = bj_auto_judge(mirror);
	if (diverges == mirror->diverges)
		return;
	spin_lock_irq(&job->lock);
	mirror->diverges = diverges;
	mirror_state_changed(job);
	spin_unlock_irq(&job->lock);
}

/*
 * A first sweep may end with nothing left; with copy_mode auto there is no
 * sense in another one for what complete can close in one go.
 */
static unsigned int ready_passes(struct blkjob *job)
{
	return job->opt.copy_mode == BJ_COPY_AUTO ? 1 : BJ_WAITING_PASSES;
}

/*
 * READY: nothing was left for an instant, and the target device has it on
 * stable storage. A writer that never leaves such an instant does not stop it:
 * what complete can close in one go is near enough.
 */
static bool near_enough(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	u64 passes = READ_ONCE(job->stats.passes);

	/* Something failed, and may do so again: it is not as near as it seems. */
	if (READ_ONCE(job->io_failed) || passes < job->pipe.trusted_pass)
		return false;
	if (passes > ready_passes(job) && nearly_copied(job))
		return true;
	return READ_ONCE(mirror->mode) == BJ_MODE_SYNC &&
	       passes > mirror->sync_pass + BJ_SYNC_PASSES;
}

static bool step_running(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	bool ready;

	if (!all_copied(job) && !near_enough(mirror))
		return false;
	if (!phase_flushed(mirror))
		return false;
	spin_lock_irq(&job->lock);
	ready = job->state == BLKJOB_RUNNING;
	if (ready)
		__bj_state_set(job, BLKJOB_READY);
	spin_unlock_irq(&job->lock);
	return ready;
}

/* From now on a write is on both legs or it waits. */
static bool enter_commit(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	bool entered = false;

	spin_lock_irq(&job->lock);
	if (job->state == BLKJOB_WAITING && mirror->mode == BJ_MODE_SYNC &&
	    !job->suspended) {
		set_mode(mirror, BJ_MODE_COMMIT);
		entered = true;
	}
	spin_unlock_irq(&job->lock);
	/* The mode is visible before unsynced is read: see send_unsynced(). */
	smp_mb();
	return entered;
}

/* Not yet, after all: what waits goes on. */
static void leave_commit(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;

	spin_lock_irq(&job->lock);
	if (job->state == BLKJOB_WAITING && mirror->mode == BJ_MODE_COMMIT)
		set_mode(mirror, BJ_MODE_SYNC);
	spin_unlock_irq(&job->lock);
}

/*
 * The legs are equal. A write that failed on one of them has made its range
 * dirty before it asked for the state, under the same lock (active_done()).
 */
static bool legs_equal(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	bool equal, said;

	/* A soft cancel has nothing to say: the source stays what counts. */
	said = !READ_ONCE(job->soft_cancel) && bj_intent_ended(mirror);
	spin_lock_irq(&job->lock);
	equal = job->state == BLKJOB_WAITING &&
		mirror->mode == BJ_MODE_COMMIT && all_copied(job);
	if (equal && job->soft_cancel) {
		/* The instant: later writes are the source's alone. */
		job->past_instant = true;
		set_mode(mirror, BJ_MODE_SOURCE);
	} else if (equal && said) {
		__bj_state_set(job, BLKJOB_PENDING);
	} else {
		equal = false;
	}
	spin_unlock_irq(&job->lock);
	return equal;
}

/* After the instant of a soft cancel: wait for the writes before it. */
static bool step_cancelled(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;

	WRITE_ONCE(job->pipe.blocked, true);
	/*
	 * active_finish() kicks from now on, or busy is seen idle. And who
	 * takes a range from now on sees the mode, see bj_active_write().
	 */
	smp_mb();
	if (!bj_busy_idle(job->busy) || !phase_flushed(mirror))
		return false;
	return bj_group_settled(job);
}

static bool step_waiting(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;

	switch (READ_ONCE(mirror->mode)) {
	case BJ_MODE_SYNC:
		if (!mirror->synced)
			return false;
		if (bj_backing_off(job) ||
		    (!nearly_copied(job) && job->stats.passes <=
		     job->waiting_pass + BJ_WAITING_PASSES))
			return false;
		return enter_commit(mirror);
	case BJ_MODE_COMMIT:
		/* Nobody waits for a range that cannot be copied. */
		if (bj_backing_off(job)) {
			leave_commit(mirror);
			return true;
		}
		if (!none_untracked(mirror) || !all_copied(job) ||
		    !phase_flushed(mirror))
			return false;
		return legs_equal(mirror);
	case BJ_MODE_SOURCE:
		return step_cancelled(mirror);
	default:
		return false;
	}
}

static bool step_phase(struct bj_mirror *mirror)
{
	struct blkjob *job = mirror->job;
	enum blkjob_state state;
	bool suspended;

	bj_active_release(mirror);
	bj_mirror_unpark(mirror);
	note_synced(mirror);

	spin_lock_irq(&job->lock);
	state = job->state;
	suspended = job->suspended;
	spin_unlock_irq(&job->lock);
	if (READ_ONCE(mirror->mode) == BJ_MODE_SOURCE && !mirror->abandoned &&
	    state >= BLKJOB_ABORTING)
		bj_active_abandon(mirror);
	if (state == BLKJOB_ABORTING)
		return bj_aborted(job);
	if (suspended)
		return false;
	if (state == BLKJOB_RUNNING || state == BLKJOB_READY)
		choose_mode(mirror);
	if (state == BLKJOB_RUNNING)
		return step_running(mirror);
	if (state == BLKJOB_WAITING)
		return step_waiting(mirror);
	return false;
}

static bool mirror_step(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;
	bool again = false;

	/* The last batch is reaped also when nothing else is done any more. */
	if (mirror->intent)
		again = bj_intent_step(mirror);
	if (READ_ONCE(mirror->stopping)) {
		wake_up(&job->drained);
		return false;
	}
	return step_phase(mirror) || again;
}

/*
 * A suspend waits for foreground bios, and stops the copy that some of them
 * wait for: out of COMMIT, until resumed. What is held in the commit window
 * goes back to dm if that keeps it (noflush); otherwise the suspend waits for
 * the decision, and can be interrupted.
 */
static void mirror_presuspend(struct blkjob *job)
{
	leave_commit(job->private);
	bj_kick(job);
}

static unsigned int mirror_held(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;

	/* And those that came later, to the range of a held one. */
	if (mirror->nr_held || (job->state == BLKJOB_PENDING && job->io_failed))
		return mirror->nr_held + atomic_read(&mirror->nr_parked);
	return 0;
}

static bool mirror_synced(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;

	return none_untracked(mirror) && all_copied(job);
}

/* Only the metadata wait for one of the source, and ask again. */
static void mirror_flush_failed(struct blkjob *job, enum bj_side side,
				blk_status_t status)
{
	spin_lock_irq(&job->lock);
	if (side == BJ_TARGET) {
		__bj_error(job, side, "flush", status, 0);
	} else {
		__bj_error_note(job, side, "flush", status, 0);
		__bj_event_error_limited(job,
					 bj_on_error_name(BJ_ON_ERROR_IGNORE));
	}
	spin_unlock_irq(&job->lock);
}

static void mirror_status(struct blkjob *job, char *result,
			  unsigned int maxlen)
{
	struct bj_mirror *mirror = job->private;
	unsigned int sz = 0;

	DMEMIT(" reversed=%u", READ_ONCE(job->turned));
	if (mirror->intent)
		DMEMIT(" rework=%llu remembers=%d metadata_writes=%llu",
		       bj_intent_rework(mirror), bj_intent_remembers(mirror),
		       READ_ONCE(mirror->intent->track->md.writes));
}

static int mirror_ctr(struct blkjob *job, char *error)
{
	struct bj_mirror *mirror = kzalloc_obj(*mirror);
	int r = -ENOMEM;

	if (!mirror)
		goto no_memory;
	job->private = mirror;
	mirror->job = job;
	mirror->mode = BJ_MODE_TRACK;
	bio_list_init(&mirror->parked);
	r = bj_active_init(mirror);
	mirror->tracked = alloc_percpu(struct bj_tracked);
	if (r || !mirror->tracked) {
		r = -ENOMEM;
		goto no_memory;
	}
	if (job->opt.metadata) {
		job->map_bio = bj_mirror_map_remembering;
		job->end_io = bj_mirror_end_io_remembering;
		return bj_intent_init(mirror, error);
	}
	if (!job->opt.identity && !job->opt.target_identity && !job->opt.note)
		return 0;
	snprintf(error, BJ_ERROR_LEN,
		 "identity, target_identity and note are kept in metadata, and a mirror without the option metadata has none");
	return -EINVAL;
no_memory:
	snprintf(error, BJ_ERROR_LEN, "there is no memory for the mirror");
	return r;
}

static void mirror_dtr(struct blkjob *job)
{
	struct bj_mirror *mirror = job->private;

	if (!mirror)
		return;
	bj_intent_exit(mirror);
	free_percpu(mirror->tracked);
	bj_active_exit(mirror);
	kfree(mirror);
}

const struct blkjob_type bj_mirror_type = {
	.kind = BJ_MIRROR,
	.granularity = BLKJOB_GRANULARITY,
	.copies = true,
	.commits = true,
	.ends_in_group = true,
	.before_waiting = BLKJOB_READY,
	.ctr = mirror_ctr,
	.dtr = mirror_dtr,
	.map = bj_mirror_map,
	.end_io = bj_mirror_end_io,
	.flush_failed = mirror_flush_failed,
	.step = mirror_step,
	.state_changed = mirror_state_changed,
	.hold = mirror_hold,
	.presuspend = mirror_presuspend,
	.stop = mirror_stop,
	.stopped = mirror_stopped,
	.held = mirror_held,
	.synced = mirror_synced,
	.diverged = mirror_diverged,
	.status = mirror_status,
};
