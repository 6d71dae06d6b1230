// SPDX-License-Identifier: GPL-2.0
/*
 * Latency control.
 *
 * An I/O that comes to a device in which the copy has W bytes waits for about
 * W / bandwidth. So the latency is bounded by the window, not by a rate; the
 * window is found by trial: a little more as long as no more than one I/O in a
 * hundred is slower than the bound allows, much less as soon as more are.
 *
 * The bound is relative to what the device does without the copy. That is
 * looked at now and then, in breaks of some milliseconds, and the median of
 * the last few is taken: a device has its bad moments.
 *
 * What is seen in a tick is counted if all of it began after the window was
 * last changed; on a slow device that is some ticks later.
 *
 * While the consumer does nothing the copy has no bound at all; what was
 * found holds from the first I/O on again.
 */
#include "dm-blkjob-window.h"

#define BJ_WINDOW_MIN		(64ULL << 10)
#define BJ_WINDOW_FIRST		(256ULL << 10)
#define BJ_WINDOW_MAX		(1024ULL << 20)
#define BJ_WINDOW_STEP		16	/* part that it grows by */
#define BJ_WINDOW_MARGIN	8	/* part of what the bound allows */
#define BJ_JUDGE_IOS		100	/* enough to speak of one in a hundred */
#define BJ_JUDGE_SLOW		2	/* enough to be no accident */
#define BJ_QUIET_TICKS		4	/* the consumer has stopped; and 2 I/Os */
#define BJ_PROBE_IOS		16
#define BJ_PROBE_TICKS		4	/* but not longer; and 4 I/Os */
#define BJ_LONGEST		(250ULL * NSEC_PER_MSEC)
#define BJ_PROBE_PERIOD		(2ULL * NSEC_PER_SEC)	/* at least, and */
#define BJ_PROBE_EVERY		(3 * BJ_JUDGE_IOS)	/* I/Os */

void bj_window_set(struct bj_window *c, unsigned int bound)
{
	if (bound && bound == c->bound)
		return;
	if (!c->bound && bound) {
		*c = (struct bj_window) {
			.bytes = U64_MAX,
			.under_load = BJ_WINDOW_FIRST,
			.growing = true,
			.quiet = BJ_QUIET_TICKS,
		};
	}
	if (!bound)
		c->bytes = U64_MAX;
	/* The limit follows when the next probe ends. */
	c->next_probe = 0;
	c->bound = bound;
}

static u64 idle_median(const struct bj_window *c)
{
	unsigned int n = min_t(unsigned int, c->nr_idle, BJ_WINDOW_PROBES);
	unsigned int i, j, below;

	for (i = 0; i < n; i++) {
		below = 0;
		for (j = 0; j < n; j++)
			below += c->idle_ns[j] < c->idle_ns[i] ||
				 (c->idle_ns[j] == c->idle_ns[i] && j < i);
		if (below == n / 2)
			break;
	}
	return c->idle_ns[i];
}

static void judge_anew(struct bj_window *c)
{
	c->ios = 0;
	c->slow = 0;
}

static void probe_begin(struct bj_window *c, u64 now)
{
	c->probing = true;
	c->probe_ticks = 0;
	c->probe_ios = 0;
	c->probe_max_ns = 0;
	c->bytes = 0;
	c->since = now;
}

/* Ticks in which the consumer can do as many I/Os, one after the other. */
static unsigned int ticks_of(const struct bj_window *c, unsigned int ios)
{
	return div_u64(ios * min(c->longest_ns, BJ_LONGEST), BJ_WINDOW_TICK);
}

/* Did all that was seen in the tick that ends now begin after c->since? */
static bool is_recent(const struct bj_window *c,
		      const struct bj_window_seen *seen)
{
	return c->last_tick >= c->since + max(seen->max_ns, 1ULL);
}

static void probe_end(struct bj_window *c, u64 now)
{
	/* The share of the slow swings about one in a hundred: aim lower. */
	unsigned int aim = c->bound - (c->bound - 100) / BJ_WINDOW_MARGIN;

	if (c->probe_ios) {
		c->idle_ns[c->nr_idle++ % BJ_WINDOW_PROBES] = c->probe_max_ns;
		/* The counter goes on where the places are all in use. */
		if (c->nr_idle == 2 * BJ_WINDOW_PROBES)
			c->nr_idle = BJ_WINDOW_PROBES;
		c->limit_ns = div_u64(idle_median(c) * aim, 100);
		c->longest_ns = c->probe_max_ns;
	}
	c->probing = false;
	c->next_probe = now + max(BJ_PROBE_PERIOD,
				  BJ_PROBE_EVERY * min(c->longest_ns, BJ_LONGEST));
	c->bytes = c->under_load;
	c->since = now;
	judge_anew(c);
}

static void probe_tick(struct bj_window *c,
		       const struct bj_window_seen *seen, u64 in_flight,
		       u64 now)
{
	/* The copies in flight, and the I/Os that met them. */
	if (in_flight) {
		c->since = now;
	} else if (is_recent(c, seen)) {
		c->probe_ios += seen->ios;
		c->probe_max_ns = max(c->probe_max_ns, seen->max_ns);
	}
	/* A device that does not answer must not keep us here. */
	if (c->probe_ios >= BJ_PROBE_IOS ||
	    ++c->probe_ticks > BJ_PROBE_TICKS + ticks_of(c, 4))
		probe_end(c, now);
}

/* More only if what there is was of use. */
static void judge(struct bj_window *c, u64 in_flight, u64 now)
{
	bool bad = c->slow >= BJ_JUDGE_SLOW && c->slow * 100 > c->ios;

	if (!bad && c->ios < BJ_JUDGE_IOS)
		return;
	if (bad) {
		c->growing = false;
		c->under_load = c->under_load * 7 / 10;
		c->since = now;
	} else if (in_flight >= c->bytes / 2) {
		c->under_load += c->growing ? c->under_load :
				 c->under_load / BJ_WINDOW_STEP;
	}
	c->under_load = clamp_t(u64, c->under_load, BJ_WINDOW_MIN,
				BJ_WINDOW_MAX);
	c->bytes = c->under_load;
	judge_anew(c);
}

void bj_window_tick(struct bj_window *c, const struct bj_window_seen *seen,
		    u64 in_flight, u64 now)
{
	unsigned int silence;

	if (!c->bound)
		return;
	c->longest_ns = max(c->longest_ns, seen->max_ns);
	silence = BJ_QUIET_TICKS + ticks_of(c, 2);
	c->quiet = seen->ios ? 0 : min(c->quiet + 1, silence);
	if (c->quiet >= silence) {
		c->probing = false;
		c->bytes = U64_MAX;
		judge_anew(c);
	} else if (c->probing) {
		probe_tick(c, seen, in_flight, now);
	} else if (now >= c->next_probe) {
		probe_begin(c, now);
	} else if (c->bytes == U64_MAX) {
		/* It comes back: those that met the full window say nothing. */
		c->bytes = c->under_load;
		c->since = now;
	} else if (c->limit_ns && is_recent(c, seen)) {
		c->ios += seen->ios;
		c->slow += seen->slow;
		judge(c, in_flight, now);
	}
	c->last_tick = now;
}
