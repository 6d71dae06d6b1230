// SPDX-License-Identifier: GPL-2.0
/*
 * The status line and the table line.
 */
#include "dm-blkjob.h"

#define BJ_RATE_WINDOW	NSEC_PER_SEC

static const char * const active_names[] = {
	[BJ_SOURCE] = "source",
	[BJ_TARGET] = "target",
	[BJ_BOTH] = "both",
};

/* Bytes that are marked and not in flight; the last region may be short. */
u64 bj_dirty_bytes(struct blkjob *job)
{
	u64 bytes = bj_regions_count(&job->map) << (job->region_shift +
						    SECTOR_SHIFT);
	u64 last = job->map.nr - 1;
	u64 excess = (job->map.nr << job->region_shift) - job->nr_sectors;

	if (excess && bj_regions_dirty(&job->map, last, last))
		bytes -= min(bytes, excess << SECTOR_SHIFT);
	return bytes - min(bytes, READ_ONCE(job->pipe.marked));
}

static u64 per_second(u64 bytes, u64 ns)
{
	return ns ? mul_u64_u64_div_u64(bytes, NSEC_PER_SEC, ns) : 0;
}

/*
 * Close the window if it is over. What was newly marked is what is marked now
 * more than then, and what was copied meanwhile. job->lock held.
 */
void __bj_rate_update(struct blkjob *job, u64 now)
{
	struct bj_rate *rate = &job->rate;
	u64 done = job->stats.copied + job->stats.zeroed;
	u64 ns = now - rate->since, dirtied;

	lockdep_assert_held(&job->lock);
	if (rate->since && ns < BJ_RATE_WINDOW)
		return;
	dirtied = done + READ_ONCE(job->pipe.in_flight) +
		  bj_dirty_bytes(job);
	if (rate->since) {
		rate->copy_rate = per_second(done - rate->done, ns);
		rate->dirty_rate = dirtied > rate->dirtied ?
				   per_second(dirtied - rate->dirtied, ns) : 0;
	}
	rate->since = now;
	rate->done = done;
	rate->dirtied = dirtied;
}

/* Does the copy gain on the writers, and by enough to end soon? */
static const char *converge_word(struct blkjob *job)
{
	u64 copied = job->rate.copy_rate, dirtied = job->rate.dirty_rate;

	lockdep_assert_held(&job->lock);
	if (job->state != BLKJOB_RUNNING || (!copied && !dirtied))
		return "-";
	if (job->type->diverged(job))
		return "write-blocking";
	if (dirtied <= copied / 3 * 2)
		return "yes";
	if (dirtied < copied || job->opt.copy_mode != BJ_COPY_BACKGROUND)
		return "slow";
	return "no";
}

static void status_info(struct blkjob *job, char *result, unsigned int maxlen)
{
	unsigned int sz = 0, held;
	struct bj_stats stats;
	struct bj_rate rate;
	enum blkjob_state state;
	enum bj_side active;
	const char *error, *end, *converge;
	u64 dirty, in_flight, speed, done;
	bool io_failed, synced;

	spin_lock_irq(&job->lock);
	__bj_rate_update(job, ktime_get_ns());
	state = job->state;
	stats = job->stats;
	rate = job->rate;
	error = job->error;
	end = job->result;
	active = job->active;
	speed = job->opt.speed;
	io_failed = job->io_failed;
	held = job->type->held(job);
	synced = job->type->synced(job);
	converge = converge_word(job);
	dirty = bj_dirty_bytes(job);
	in_flight = READ_ONCE(job->pipe.in_flight);
	done = stats.copied + stats.zeroed;
	spin_unlock_irq(&job->lock);

	DMEMIT("%s %s offset=%llu len=%llu speed=%llu busy=%d paused=%d ready=%d",
	       bj_kind_name(job->type->kind), bj_state_name(state), done,
	       done + dirty + in_flight, speed, !!in_flight,
	       state == BLKJOB_PAUSED || state == BLKJOB_STANDBY,
	       state >= BLKJOB_READY && state <= BLKJOB_PENDING);
	DMEMIT(" io_status=%s actively_synced=%d error=%s",
	       !io_failed ? "ok" : stats.last_errno == ENOSPC ? "nospace" :
								"failed",
	       synced, error ? error : "-");
	DMEMIT(" dirty=%llu in_flight=%llu rate=%llu dirty_rate=%llu granularity=%llu",
	       dirty, in_flight, rate.copy_rate, rate.dirty_rate,
	       1ULL << (job->region_shift + SECTOR_SHIFT));
	DMEMIT(" copied=%llu zeroed=%llu recopied=%llu passes=%llu",
	       stats.copied, stats.zeroed, stats.recopied, stats.passes);
	DMEMIT(" source_errors=%llu target_errors=%llu last_error=",
	       stats.errors[BJ_SOURCE], stats.errors[BJ_TARGET]);
	if (stats.last_op)
		DMEMIT("%s:%d:%llu", stats.last_op, stats.last_errno,
		       (u64)stats.last_sector);
	else
		DMEMIT("-");
	DMEMIT(" pause_us=%llu result=%s active=%s held=%u converge=%s cbw=%llu group=%s",
	       div_u64(stats.pause_ns, NSEC_PER_USEC), end ? end : "-",
	       active_names[active], held, converge,
	       stats.urgent,
	       *job->group ? job->group : "-");
	if (job->type->status && sz < maxlen)
		job->type->status(job, result + sz, maxlen - sz);
}

/* A line that makes this target again. */
static void status_table(struct blkjob *job, char *result, unsigned int maxlen)
{
	struct bj_options opt;
	unsigned int sz = 0;
	unsigned int i;

	spin_lock_irq(&job->lock);
	opt = job->opt;
	opt.paused = job->state == BLKJOB_PAUSED ||
		     (job->state == BLKJOB_CREATED && opt.paused);
	opt.granularity = 1ULL << (job->region_shift + SECTOR_SHIFT);
	spin_unlock_irq(&job->lock);

	DMEMIT("%s", bj_kind_name(job->type->kind));
	for (i = 0; i < BJ_METADATA; i++)
		DMEMIT(" %s %llu", bj_leg(job, i)->dev->name,
		       (u64)bj_leg(job, i)->start);
	DMEMIT(" ");
	if (sz < maxlen)
		bj_options_show(&opt, job->type->kind, result + sz,
				maxlen - sz);
}

void bj_status(struct blkjob *job, status_type_t type, char *result,
	       unsigned int maxlen)
{
	switch (type) {
	case STATUSTYPE_INFO:
		status_info(job, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		status_table(job, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}
