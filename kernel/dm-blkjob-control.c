// SPDX-License-Identifier: GPL-2.0
/*
 * The state machine at work: verbs come in as messages, the worker and errors
 * bring the rest. What may follow what is in dm-blkjob-state.c.
 *
 * A message never waits (it runs under the lock that a suspend waits for): it
 * changes the state and kicks the worker.
 */
#include "dm-blkjob.h"

#define BJ_ABORT_TIMEOUT	HZ	/* a dead target device cannot stop a cancel */
#define BJ_WAKE_DELAY		(HZ / 100 + 1)

/* Run the worker now. Any context. */
void bj_kick(struct blkjob *job)
{
	queue_work(job->wq, &job->work);
}

/*
 * Run the worker soon, so that many writes make one copy. Any context. It says
 * when it is idle again.
 */
void bj_wake(struct blkjob *job)
{
	WRITE_ONCE(job->idle, false);
	queue_delayed_work(job->wq, &job->tick, BJ_WAKE_DELAY);
}

/* Any context. */
void bj_raise_event(struct blkjob *job)
{
	queue_work(job->wq, &job->event);
}

void __bj_state_set(struct blkjob *job, enum blkjob_state state)
{
	lockdep_assert_held(&job->lock);
	WARN_ON_ONCE(!bj_state_follows(job->type->kind, job->state, state));
	job->state = state;
	__bj_event_state(job);
	job->type->state_changed(job);
	bj_raise_event(job);
	bj_kick(job);
}

/* The end, decided once under the lock. */
void __bj_conclude(struct blkjob *job, const char *result, enum bj_side active)
{
	job->result = result;
	job->active = active;
	__bj_state_set(job, BLKJOB_CONCLUDED);
}

/* Stop for good: whichever leg is active goes on alone. */
void __bj_abort(struct blkjob *job, const char *error)
{
	if (job->state == BLKJOB_ABORTING || job->state == BLKJOB_CONCLUDED)
		return;
	job->error = error;
	job->abort_deadline = jiffies + BJ_ABORT_TIMEOUT;
	__bj_state_set(job, BLKJOB_ABORTING);
	/* Not earlier, as it may be queued already. */
	mod_delayed_work(job->wq, &job->tick, BJ_ABORT_TIMEOUT + 1);
}

/* A forced cancel or an error: when no copy is in flight, it is over. */
bool bj_aborted(struct blkjob *job)
{
	bool done;

	spin_lock_irq(&job->lock);
	done = job->state == BLKJOB_ABORTING && !atomic_read(&job->ios);
	if (done)
		__bj_conclude(job, "cancelled", job->active);
	spin_unlock_irq(&job->lock);
	return done;
}

bool __bj_copying(struct blkjob *job)
{
	return job->type->copies &&
	       (job->state == BLKJOB_RUNNING || job->state == BLKJOB_READY ||
		job->state == BLKJOB_WAITING);
}

/* Nanoseconds until more may be copied, 0 = now, U64_MAX = not as it is. */
u64 __bj_copy_wait(struct blkjob *job)
{
	u64 now = ktime_get_ns();

	lockdep_assert_held(&job->lock);
	if (job->suspended || job->pipe.quiet || !__bj_copying(job))
		return U64_MAX;
	if (job->retry_at > now)
		return job->retry_at - now;
	return job->urgent ? 0 : bj_pace_wait(&job->pace, now);
}

/* The table is live: begin, or go on after a suspend. */
void bj_start(struct blkjob *job)
{
	spin_lock_irq(&job->lock);
	job->suspended = false;
	job->noflush = false;
	if (job->state == BLKJOB_CREATED)
		__bj_state_set(job, job->opt.paused ? BLKJOB_PAUSED :
						      BLKJOB_RUNNING);
	spin_unlock_irq(&job->lock);
	bj_kick(job);
}

/*----------------------------- Verbs -----------------------------*/

/*
 * All under job->lock, and those of its group. They return 0, or -EPERM and
 * why (BJ_ERROR_LEN).
 */

static int refused(char *why, const char *reason)
{
	strscpy(why, reason, BJ_ERROR_LEN);
	return -EPERM;
}

static int do_pause(struct blkjob *job, char *why)
{
	switch (job->state) {
	case BLKJOB_CREATED:
		job->opt.paused = true;
		return 0;
	case BLKJOB_RUNNING:
		__bj_state_set(job, BLKJOB_PAUSED);
		return 0;
	case BLKJOB_READY:
		__bj_state_set(job, BLKJOB_STANDBY);
		return 0;
	default:
		return refused(why, "it is paused already");
	}
}

/* After a cancel, if there is anything left to be done. */
static int go_on(struct blkjob *job, char *why)
{
	const char *reason = job->type->may_go_on(job);

	if (reason)
		return refused(why, reason);
	job->result = NULL;
	job->error = NULL;
	job->io_failed = false;
	job->retry_at = 0;
	__bj_state_set(job, BLKJOB_RUNNING);
	return 0;
}

static int do_resume(struct blkjob *job, char *why)
{
	switch (job->state) {
	case BLKJOB_CREATED:
		job->opt.paused = false;
		return 0;
	case BLKJOB_PAUSED:
	case BLKJOB_STANDBY:
		job->io_failed = false;
		job->retry_at = 0;
		__bj_state_set(job, job->state == BLKJOB_PAUSED ?
			       BLKJOB_RUNNING : BLKJOB_READY);
		if (job->wait_on_resume) {
			job->wait_on_resume = false;
			job->waiting_pass = job->stats.passes;
			__bj_state_set(job, BLKJOB_WAITING);
		}
		return 0;
	case BLKJOB_CONCLUDED:
		return go_on(job, why);
	default:
		return refused(why, "it is not paused");
	}
}

static int do_complete(struct blkjob *job, char *why)
{
	int r = __bj_group_complete(job, why);

	if (r)
		return r;
	if (job->type->may_complete && !job->type->may_complete(job))
		return refused(why, "it ends by itself");
	/* As in QEMU, a complete in standby takes effect when resumed. */
	if (job->state == BLKJOB_STANDBY) {
		job->soft_cancel = false;
		job->wait_on_resume = true;
		return 0;
	}
	job->soft_cancel = false;
	job->waiting_pass = job->stats.passes;
	__bj_state_set(job, BLKJOB_WAITING);
	return 0;
}

/*
 * In ready a cancel that is not forced still makes the target device an exact
 * copy of one instant. Everywhere else there is nothing to save.
 */
static int do_cancel(struct blkjob *job, bool force, char *why)
{
	if (!force && job->state == BLKJOB_STANDBY)
		return refused(why,
			       "it is paused: resume it first, or cancel force");
	if (!force && job->state == BLKJOB_READY && *job->group)
		return refused(why,
			       "its group ends at one instant: complete all, then finalize source; or cancel force");
	if (!force && job->state == BLKJOB_READY) {
		job->soft_cancel = true;
		job->waiting_pass = job->stats.passes;
		__bj_state_set(job, BLKJOB_WAITING);
	} else {
		__bj_abort(job, NULL);
	}
	return 0;
}

static int do_rollback(struct blkjob *job, char *why)
{
	if (job->soft_cancel)
		return refused(why, "it is being cancelled");
	__bj_group_rollback(job);
	return 0;
}

static int do_verb(struct blkjob *job, enum blkjob_verb verb, const char *word,
		   char *why)
{
	switch (verb) {
	case BLKJOB_VERB_PAUSE:
		return do_pause(job, why);
	case BLKJOB_VERB_RESUME:
		return do_resume(job, why);
	case BLKJOB_VERB_CANCEL:
		return do_cancel(job, word, why);
	case BLKJOB_VERB_COMPLETE:
		return do_complete(job, why);
	case BLKJOB_VERB_FINALIZE:
		if (word && !strcmp(word, "reverse"))
			return __bj_group_reverse(job, why);
		return __bj_group_finalize(job, word && !strcmp(word, "source") ?
					   BJ_SOURCE : BJ_TARGET, why);
	case BLKJOB_VERB_ROLLBACK:
		return do_rollback(job, why);
	default:
		return 0;	/* done later, without the lock */
	}
}

/*---------------------------- Messages ----------------------------*/

static int refuse(struct blkjob *job, const char *why)
{
	DMERR("%s: %s", bj_name(job), why);
	return -EINVAL;
}

/* Take over what is in job->opt; for a bound each I/O counts. */
void __bj_latency_bound_set(struct blkjob *job)
{
	WRITE_ONCE(job->sample_mask, job->opt.latency_bound ? 0 : BJ_SAMPLE - 1);
	bj_window_set(&job->window, job->opt.latency_bound);
}

static int set_option(struct blkjob *job, const char *key, const char *value)
{
	struct bj_options opt;
	char error[BJ_ERROR_LEN];
	int r;

	spin_lock_irq(&job->lock);
	opt = job->opt;
	r = bj_option_parse(&opt, job->type->kind, key, value, true, error);
	if (!r) {
		job->opt = opt;
		bj_pace_set(&job->pace, opt.speed, ktime_get_ns());
		__bj_latency_bound_set(job);
		job->type->state_changed(job);
	}
	spin_unlock_irq(&job->lock);
	if (r)
		return refuse(job, error);
	bj_kick(job);
	return 0;
}

/* mark rounds outwards, unmark inwards: what is in doubt is dirty. */
static int change_map(struct blkjob *job, enum blkjob_verb verb,
		      const char *start_word, const char *length_word)
{
	u64 start, length, size = 1ULL << job->region_shift, first, end;
	long cleared;

	if (bj_number_parse(start_word, &start) ||
	    bj_number_parse(length_word, &length) || !length ||
	    start >= job->nr_sectors || length > job->nr_sectors - start)
		return refuse(job, "the range does not lie in the device");

	if (verb == BLKJOB_VERB_MARK) {
		bj_mark_dirty(job, start, length);
		bj_kick(job);
		return 0;
	}
	first = (start + size - 1) >> job->region_shift;
	end = (start + length) >> job->region_shift;
	if (start + length == job->nr_sectors)
		end = job->map.nr;
	if (first >= end)
		return 0;
	if (bj_views_leave_out(job, first, end - 1))
		return -ENOMEM;
	/* Writes may now come to a clean region that was never copied. */
	WRITE_ONCE(job->target_is_zero, false);
	cleared = bj_regions_clear(&job->map, first, end - 1);
	/* Somebody may have waited for that, see enum bj_clear_at. */
	bj_kick(job);
	return min(cleared, 0L);
}

static int run_verb(struct blkjob *job, enum blkjob_verb verb,
		    unsigned int argc, char **argv)
{
	char why[BJ_ERROR_LEN] = "";
	enum blkjob_state state;
	const char *reason;
	int r = -EPERM;

	bj_group_lock(job);
	state = job->state;
	reason = bj_verb_reason(job->type->kind, verb);
	if (reason)
		strscpy(why, reason, sizeof(why));
	else if (bj_verb_allowed(job->type->kind, verb, state))
		r = do_verb(job, verb, argc > 1 ? argv[1] : NULL, why);
	bj_group_unlock(job);

	if (r) {
		DMERR("%s: job in state %s cannot accept %s%s%s", bj_name(job),
		      bj_state_name(state), bj_verb_name(verb),
		      *why ? ": " : "", why);
		return r;
	}
	if (verb == BLKJOB_VERB_SET)
		return set_option(job, argv[1], argv[2]);
	if (verb == BLKJOB_VERB_MARK || verb == BLKJOB_VERB_UNMARK)
		return change_map(job, verb, argv[1], argv[2]);
	return 0;
}

/* Words behind a verb: exactly, but these may have one more. */
static bool verb_words_ok(enum blkjob_verb verb, unsigned int argc, char **argv)
{
	switch (verb) {
	case BLKJOB_VERB_CANCEL:
		return argc == 1 || (argc == 2 && !strcmp(argv[1], "force"));
	case BLKJOB_VERB_FINALIZE:
		return argc == 1 || (argc == 2 && (!strcmp(argv[1], "target") ||
						   !strcmp(argv[1], "source") ||
						   !strcmp(argv[1], "reverse")));
	case BLKJOB_VERB_SET:
	case BLKJOB_VERB_MARK:
	case BLKJOB_VERB_UNMARK:
		return argc == 3;
	default:
		return argc == 1;
	}
}

/* The dirty ranges from a sector on, one per line, as many as fit. */
static int reply_map(struct blkjob *job, unsigned int argc, char **argv,
		     char *result, unsigned int maxlen)
{
	u64 start = 0, region;
	unsigned int sz = 0;

	if (argc > 2 || (argc == 2 && (bj_number_parse(argv[1], &start) ||
				       start >= job->nr_sectors)))
		return refuse(job, "map takes one sector of the device");

	*result = '\0';
	region = bj_regions_next(&job->map, bj_first_region(job, start));
	while (region < job->map.nr) {
		u64 nr = bj_regions_run(&job->map, region, job->map.nr - region);
		u64 first = region << job->region_shift;
		u64 end = min((region + nr) << job->region_shift,
			      job->nr_sectors);

		/* Room for this line and for "next" must be left. */
		if (sz + 80 > maxlen) {
			DMEMIT("next %llu\n", first);
			break;
		}
		/* A bit may have been cleared in between. */
		if (nr)
			DMEMIT("%llu %llu\n", first, end - first);
		region = bj_regions_next(&job->map, region + max(nr, 1ULL));
	}
	return 1;
}

static int reply_events(struct blkjob *job, unsigned int argc, char **argv,
			char *result, unsigned int maxlen)
{
	u64 number = 0;

	if (argc > 2 || (argc == 2 && bj_number_parse(argv[1], &number)))
		return refuse(job, "events takes the number of one");
	return bj_events_reply(job, number, result, maxlen);
}

static int reply_help(struct blkjob *job, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("pause | resume | complete | rollback\n"
	       "finalize [target|source|reverse]\n"
	       "cancel [force]\n"
	       "set speed|buf_size|latency_bound <value>\n"
	       "set copy_mode|cbw_timeout|copy_on_read <value>\n"
	       "set on_source_error|on_target_error report|ignore|enospc|stop\n"
	       "mark|unmark <start> <length>   in sectors\n"
	       "map [<start>]                  dirty ranges, in sectors\n"
	       "events [<number>]              what happened, from there on\n"
	       "stats                          counters and latencies\n");
	if (job->type->help)
		DMEMIT("%s", job->type->help);
	return 1;
}

int bj_message(struct blkjob *job, unsigned int argc, char **argv,
	       char *result, unsigned int maxlen)
{
	int verb;

	if (!strcmp(argv[0], "map"))
		return reply_map(job, argc, argv, result, maxlen);
	if (!strcmp(argv[0], "events"))
		return reply_events(job, argc, argv, result, maxlen);
	if (!strcmp(argv[0], "stats") && argc == 1)
		return bj_stats_reply(job, result, maxlen);
	if (!strcmp(argv[0], "help") && argc == 1)
		return reply_help(job, result, maxlen);
	if (job->type->message) {
		int r = job->type->message(job, argc, argv, result, maxlen);

		if (r != -ENOIOCTLCMD)
			return r;
	}

	verb = bj_verb_parse(argv[0]);
	if (verb < 0 || !verb_words_ok(verb, argc, argv)) {
		DMERR("%s: message %.40s with %u words is not known, see message help",
		      bj_name(job), argv[0], argc);
		return -EINVAL;
	}
	return run_verb(job, verb, argc, argv);
}
