// SPDX-License-Identifier: GPL-2.0
/*
 * The pacer against a clock of our own.
 */
#include "dm-blkjob-pace.h"
#include "unit.h"

#define MAX_UNIT	(1ULL << 20)
#define CATCH_UP	(5 * NSEC_PER_MSEC)
#define START		1000000000000ULL

static struct bj_pace pace;

static u64 worth(u64 speed, u64 ns)
{
	return (unsigned __int128)speed * ns / NSEC_PER_SEC;
}

/* Copy for @ns with a worker that comes up to @late ns late; the bytes. */
static u64 copy(u64 *now, u64 ns, u64 late)
{
	u64 end = *now + ns, sum = 0, wait, unit, done = 0;
	u64 begin = *now;

	while (*now < end) {
		wait = bj_pace_wait(&pace, *now);
		if (wait) {
			*now += wait + (late ? unit_random() % late : 0);
			continue;
		}
		unit = bj_pace_unit(&pace, MAX_UNIT);
		CHECK(unit && unit <= MAX_UNIT, "%llu", unit);
		sum += unit;
		bj_pace_charge(&pace, unit, *now);
		/* What was begun before this one, against the time. */
		CHECK(done <= worth(pace.speed, *now - begin + CATCH_UP) + unit,
		      "%llu bytes after %llu ns", done, *now - begin);
		done += unit;
		/* An operation takes no time, or some. */
		*now += unit_random() % 2 ? 0 : unit_random() % 100000;
	}
	return sum;
}

static void never_above(void)
{
	static const u64 speeds[] = { 1, 1000, 65536, 1000000, 1ULL << 30,
				      1ULL << 40, BLKJOB_SPEED_MAX };
	unsigned int i;
	u64 now, sum;

	for (i = 0; i < ARRAY_SIZE(speeds); i++) {
		now = START;
		pace = (struct bj_pace) { .speed = speeds[i], .next = now };
		sum = copy(&now, 3 * NSEC_PER_SEC, 0);
		CHECK(sum <= worth(speeds[i], now - START + CATCH_UP) + MAX_UNIT,
		      "%llu at %llu/s", sum, speeds[i]);
	}
}

/* Any 100 ms hold what they should, to a tenth and one operation. */
static void even_windows(void)
{
	static const u64 speeds[] = { 65536, 1000000, 30000000, 1ULL << 30 };
	static u64 at[100000];
	u64 now, unit, wait, end, window = 100 * NSEC_PER_MSEC;
	unsigned int i, first, n;
	double want;

	for (i = 0; i < ARRAY_SIZE(speeds); i++) {
		now = START;
		end = START + 2 * NSEC_PER_SEC;
		pace = (struct bj_pace) { .speed = speeds[i], .next = now };
		unit = max_t(u64, bj_pace_unit(&pace, MAX_UNIT), 4096);
		for (n = 0; now < end && n < ARRAY_SIZE(at); n++) {
			while ((wait = bj_pace_wait(&pace, now)))
				now += wait + unit_random() % 500000;
			bj_pace_charge(&pace, unit, now);
			at[n] = now;
		}
		want = worth(speeds[i], window);
		for (first = 0, n--; n; n--) {
			/* Those in the window that ends before at[n] */
			for (first = n; first && at[first - 1] >= at[n] - window;)
				first--;
			if (!first)
				break;
			CHECK((n - first) * unit <= want * 1.1 + unit &&
			      (n - first + 1) * unit >= want * 0.9 - unit,
			      "%llu bytes at %llu/s", (n - first) * unit,
			      speeds[i]);
		}
	}
}

/* A worker that comes late by less than the bound still keeps the rate. */
static void catches_up(void)
{
	u64 now = START, sum, speed = 10 << 20;

	pace = (struct bj_pace) { .speed = speed, .next = now };
	sum = copy(&now, 10 * NSEC_PER_SEC, 4 * NSEC_PER_MSEC);
	CHECK(sum >= worth(speed, 10 * NSEC_PER_SEC) * 97 / 100, "%llu", sum);
	CHECK(sum <= worth(speed, now - START + CATCH_UP) + MAX_UNIT, "%llu", sum);
}

/* Idle time is no credit beyond the bound. */
static void no_credit(void)
{
	u64 now = START, sum = 0, speed = 10 << 20, unit;

	pace = (struct bj_pace) { .speed = speed, .next = now };
	copy(&now, NSEC_PER_SEC, 0);
	now += 3600ULL * NSEC_PER_SEC;
	while (!bj_pace_wait(&pace, now)) {
		unit = bj_pace_unit(&pace, MAX_UNIT);
		bj_pace_charge(&pace, unit, now);
		sum += unit;
	}
	CHECK(sum <= worth(speed, CATCH_UP) + 2 * bj_pace_unit(&pace, MAX_UNIT),
	      "%llu at once", sum);
}

/* Another limit counts at once, and what was begun is still paid for. */
static void changes(void)
{
	u64 now = START;

	pace = (struct bj_pace) { .speed = 1000, .next = now };
	bj_pace_charge(&pace, 10000, now);
	CHECK_EQ(bj_pace_wait(&pace, now), 10 * NSEC_PER_SEC);
	bj_pace_set(&pace, 10000, now);
	CHECK_EQ(bj_pace_wait(&pace, now), NSEC_PER_SEC);
	bj_pace_set(&pace, 100, now);
	CHECK_EQ(bj_pace_wait(&pace, now), NSEC_PER_SEC);
	bj_pace_set(&pace, 0, now);
	CHECK_EQ(bj_pace_wait(&pace, now), 0);
	bj_pace_set(&pace, 1000, now);
	CHECK_EQ(bj_pace_wait(&pace, now), 0);
	bj_pace_set(&pace, BLKJOB_SPEED_MAX, now + 50);
	CHECK_EQ(bj_pace_wait(&pace, now + 50), 0);
}

static void unlimited(void)
{
	pace = (struct bj_pace) {};
	CHECK_EQ(bj_pace_unit(&pace, MAX_UNIT), MAX_UNIT);
	bj_pace_charge(&pace, U64_MAX, START);
	CHECK_EQ(bj_pace_wait(&pace, START), 0);
}

/* So many operations a second, whatever the limit. */
static void units(void)
{
	pace = (struct bj_pace) { .speed = 250 * 65536 };
	CHECK_EQ(bj_pace_unit(&pace, MAX_UNIT), 65537);
	CHECK_EQ(bj_pace_unit(&pace, 4096), 4096);
	pace.speed = 1;
	CHECK_EQ(bj_pace_unit(&pace, MAX_UNIT), 1);
}

/* Right after boot the clock is near 0. */
static void young_clock(void)
{
	pace = (struct bj_pace) { .speed = 1000 };
	CHECK_EQ(bj_pace_wait(&pace, 0), 0);
	bj_pace_charge(&pace, 1000, 0);
	CHECK_EQ(bj_pace_wait(&pace, 1), NSEC_PER_SEC - 1);
}

static const struct unit_case cases[] = {
	{ "pace: never above", never_above },
	{ "pace: even windows", even_windows },
	{ "pace: catches up", catches_up },
	{ "pace: no credit", no_credit },
	{ "pace: changes", changes },
	{ "pace: unlimited", unlimited },
	{ "pace: units", units },
	{ "pace: young clock", young_clock },
};

UNIT_MAIN(cases)
