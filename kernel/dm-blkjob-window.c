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
 * While the consumer does nothing the copy has no bound at all; what was
 * found holds from the first I/O on again.
 */
#include "dm-blkjob-window.h"

#define BJ_WINDOW_MIN		(64ULL << 10)
#define BJ_WINDOW_FIRST		(256ULL << 10)
#define BJ_WINDOW_MAX		(1024ULL << 20)
#define BJ_WINDOW_STEP		16	/* part that it grows by */
#define BJ_JUDGE_IOS		100	/* enough to speak of one in a hundred */
#define BJ_JUDGE_SLOW		2	/* enough to be no accident */
#define BJ_QUIET_TICKS		4	/* the consumer has stopped */
#define BJ_PROBE_IOS		16
#define BJ_PROBE_TICKS		4	/* but not longer */
#define BJ_PROBE_PERIOD		(2ULL * NSEC_PER_SEC)

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

static void probe_begin(struct bj_window *c)
{
	c->probing = true;
	c->probe_ticks = 0;
	c->probe_ios = 0;
	c->probe_max_ns = 0;
	c->bytes = 0;
	/* The copies in flight, and the I/Os that met them. */
	c->settle = 1;
}

static void probe_end(struct bj_window *c, u64 now)
{
	if (c->probe_ios) {
		c->idle_ns[c->nr_idle++ % BJ_WINDOW_PROBES] = c->probe_max_ns;
		/* The counter goes on where the places are all in use. */
		if (c->nr_idle == 2 * BJ_WINDOW_PROBES)
			c->nr_idle = BJ_WINDOW_PROBES;
		c->limit_ns = div_u64(idle_median(c) * c->bound, 100);
	}
	c->probing = false;
	c->next_probe = now + BJ_PROBE_PERIOD;
	c->bytes = c->under_load;
	c->settle = 1;
	judge_anew(c);
}

static void probe_tick(struct bj_window *c,
		       const struct bj_window_seen *seen, u64 in_flight,
		       u64 now)
{
	if (in_flight) {
		c->settle = 1;
	} else if (c->settle) {
		c->settle--;
	} else {
		c->probe_ios += seen->ios;
		c->probe_max_ns = max(c->probe_max_ns, seen->max_ns);
	}
	/* A device that does not answer must not keep us here. */
	if (c->probe_ios >= BJ_PROBE_IOS || ++c->probe_ticks > BJ_PROBE_TICKS)
		probe_end(c, now);
}

/* More only if what there is was of use. */
static void judge(struct bj_window *c, u64 in_flight)
{
	bool bad = c->slow >= BJ_JUDGE_SLOW && c->slow * 100 > c->ios;

	if (!bad && c->ios < BJ_JUDGE_IOS)
		return;
	if (bad) {
		c->growing = false;
		c->under_load = c->under_load * 7 / 10;
		c->settle = 1;
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
	if (!c->bound)
		return;
	c->quiet = seen->ios ? 0 : min(c->quiet + 1, BJ_QUIET_TICKS + 0U);
	if (c->quiet == BJ_QUIET_TICKS) {
		c->probing = false;
		c->bytes = U64_MAX;
		judge_anew(c);
	} else if (c->probing) {
		probe_tick(c, seen, in_flight, now);
	} else if (now >= c->next_probe) {
		probe_begin(c);
	} else if (c->bytes == U64_MAX) {
		/* It comes back: those that met the full window say nothing. */
		c->bytes = c->under_load;
		c->settle = 1;
	} else if (c->settle) {
		c->settle--;
	} else {
		c->ios += seen->ios;
		c->slow += seen->slow;
		judge(c, in_flight);
	}
}
