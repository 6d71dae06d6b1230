// SPDX-License-Identifier: GPL-2.0
/*
 * Latency control against a device with so many places that each take the same
 * time, and a queue in front of them.
 */
#include "dm-blkjob-window.h"
#include "unit.h"

#define PLACES		64
#define JITTER_NS	20000
#define REQUEST		(124ULL << 10)
#define MAX_QUEUE	200000

static unsigned int places = 8;
static u64 service_ns = 400 * 1000ULL;
static struct bj_window control;
static struct bj_window_seen seen;

static struct {
	u64 now;
	u64 end[PLACES];	/* 0 = free */
	bool theirs[PLACES];	/* the consumer's */
	bool queue[MAX_QUEUE];
	unsigned int head, tail;
	u64 in_flight;		/* the copy's bytes, queued or not */
	u64 copied;
	u64 begun;		/* when the consumer's only I/O came, 0 = none */
	u64 next_tick;
	u64 since_change;
	u64 buffer;
	/* What was seen since it was last asked for */
	unsigned int ios, over;
	u64 worst;
} d;

static void device_reset(u64 now)
{
	memset(&d, 0, sizeof(d));
	d.now = now;
	d.next_tick = now + BJ_WINDOW_TICK;
	d.buffer = 16 << 20;
	seen = (struct bj_window_seen) {};
}

static void enqueue(bool theirs)
{
	d.queue[d.tail++ % MAX_QUEUE] = theirs;
}

static void ended(unsigned int i, bool load)
{
	u64 ns = d.now - d.begun;

	d.end[i] = 0;
	if (!d.theirs[i]) {
		d.in_flight -= REQUEST;
		d.copied += REQUEST;
		return;
	}
	seen.ios++;
	seen.slow += control.limit_ns && ns > control.limit_ns;
	seen.max_ns = max(seen.max_ns, ns);
	d.ios++;
	d.over += ns > (service_ns + JITTER_NS) * control.bound / 100;
	d.worst = max(d.worst, ns);
	d.begun = 0;
}

/* Copy, and let the consumer do one I/O after the other if there is @load. */
static void run(u64 ns, bool load)
{
	u64 until = d.now + ns, next;
	unsigned int i;

	while (d.now < until) {
		while (d.in_flight + REQUEST <= min(control.bytes, d.buffer)) {
			d.in_flight += REQUEST;
			enqueue(false);
		}
		if (load && !d.begun) {
			d.begun = d.now;
			enqueue(true);
		}
		for (i = 0; i < places; i++)
			if (!d.end[i] && d.head != d.tail) {
				d.theirs[i] = d.queue[d.head++ % MAX_QUEUE];
				d.end[i] = d.now + service_ns +
					   unit_random() % JITTER_NS;
			}
		next = min(d.next_tick, until);
		for (i = 0; i < places; i++)
			if (d.end[i])
				next = min(next, d.end[i]);
		d.now = next;
		for (i = 0; i < places; i++)
			if (d.end[i] && d.end[i] <= d.now)
				ended(i, load);
		if (d.now >= d.next_tick) {
			bj_window_tick(&control, &seen, d.in_flight, d.now);
			seen = (struct bj_window_seen) {};
			d.next_tick += BJ_WINDOW_TICK;
		}
	}
}

static void forget(void)
{
	d.ios = 0;
	d.over = 0;
	d.copied = 0;
	d.worst = 0;
}

static u64 device_limit(u64 ns)
{
	return REQUEST * places * (ns / service_ns);
}

static void begin(unsigned int bound)
{
	control = (struct bj_window) {};
	bj_window_set(&control, bound);
	device_reset(NSEC_PER_SEC);
}

static void no_bound(void)
{
	begin(0);
	control.bytes = U64_MAX;
	run(NSEC_PER_SEC, true);
	CHECK_EQ(control.bytes, U64_MAX);
	CHECK(d.worst > 10 * service_ns, "%llu ns", d.worst);
}

/* One in a hundred at most is above the bound, and the copy is not starved. */
static void keeps_bound(void)
{
	static const unsigned int bounds[] = { 120, 150, 300 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bounds); i++) {
		begin(bounds[i]);
		run(2ULL * NSEC_PER_SEC, true);
		forget();
		run(5ULL * NSEC_PER_SEC, true);
		CHECK(d.over * 100 <= d.ios * 3 / 2, "%u of %u", d.over, d.ios);
		CHECK(d.copied >= device_limit(5ULL * NSEC_PER_SEC) * 6 / 10,
		      "bound %u: %llu of %llu", bounds[i], d.copied,
		      device_limit(5ULL * NSEC_PER_SEC));
	}
}

/* The same with a device that is far away: 50 I/Os of the consumer a second. */
static void keeps_bound_of_slow(void)
{
	places = PLACES;
	service_ns = 20 * NSEC_PER_MSEC;
	begin(150);
	run(30ULL * NSEC_PER_SEC, true);
	CHECK(control.limit_ns > 28 * NSEC_PER_MSEC &&
	      control.limit_ns < 31 * NSEC_PER_MSEC, "%llu", control.limit_ns);
	forget();
	run(30ULL * NSEC_PER_SEC, true);
	CHECK(d.over * 100 <= d.ios * 3 / 2, "%u of %u", d.over, d.ios);
	CHECK(d.copied >= device_limit(30ULL * NSEC_PER_SEC) * 6 / 10,
	      "%llu of %llu", d.copied, device_limit(30ULL * NSEC_PER_SEC));
	run(250 * NSEC_PER_MSEC, false);
	CHECK_EQ(control.bytes, U64_MAX);
	places = 8;
	service_ns = 400 * 1000;
}

static void full_speed_when_idle(void)
{
	begin(150);
	run(NSEC_PER_SEC, false);
	CHECK_EQ(control.bytes, U64_MAX);
	run(2ULL * NSEC_PER_SEC, true);
	CHECK(control.bytes < 4 << 20, "%llu", control.bytes);
	run(50 * NSEC_PER_MSEC, false);
	CHECK_EQ(control.bytes, U64_MAX);
	/* And it is bound again soon after the consumer is back. */
	run(100 * NSEC_PER_MSEC, true);
	forget();
	run(NSEC_PER_SEC, true);
	CHECK(d.over * 100 <= d.ios * 2, "%u of %u", d.over, d.ios);
}

/* A consumer that hangs must not stop the copy. */
static void no_answer(void)
{
	begin(150);
	run(NSEC_PER_SEC, true);
	d.begun = d.now;	/* never ends */
	forget();
	run(NSEC_PER_SEC, false);
	CHECK(d.copied > device_limit(NSEC_PER_SEC) / 2, "%llu", d.copied);
}

/* Nor one that does too little for a probe to be complete. */
static void now_and_then(void)
{
	unsigned int i;

	begin(150);
	for (i = 0; i < 20; i++) {
		d.begun = d.now;
		enqueue(true);
		run(12 * NSEC_PER_MSEC, false);
	}
	CHECK(d.copied > device_limit(12 * NSEC_PER_MSEC * 20) / 10, "%llu",
	      d.copied);
}

static void changed(void)
{
	u64 window;

	begin(300);
	run(3ULL * NSEC_PER_SEC, true);
	window = control.under_load;
	bj_window_set(&control, 120);
	run(3ULL * NSEC_PER_SEC, true);
	CHECK(control.under_load < window, "%llu", control.under_load);
	bj_window_set(&control, 0);
	CHECK_EQ(control.bytes, U64_MAX);
}

static const struct unit_case cases[] = {
	{ "window: no bound", no_bound },
	{ "window: keeps the bound", keeps_bound },
	{ "window: keeps the bound of a slow device", keeps_bound_of_slow },
	{ "window: full speed when idle", full_speed_when_idle },
	{ "window: no answer", no_answer },
	{ "window: now and then", now_and_then },
	{ "window: changed", changed },
};

UNIT_MAIN(cases)
