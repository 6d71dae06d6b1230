// SPDX-License-Identifier: GPL-2.0
/*
 * The region map, set and cleared at the same time. The rule: data that is
 * written before its region is set is read by a clear of that region, or the
 * region is found dirty afterwards.
 */
#include <pthread.h>
#include <sched.h>

#include "dm-blkjob-regions.h"
#include "unit.h"

#define WRITERS	3
#define ROUNDS	100000
#define FOUND	20000

static struct bj_regions map;
static u64 nr;
static u64 *source, *target;	/* of each region */
static bool finished;

static void *writer(void *arg)
{
	u64 state = (uintptr_t)arg, i;

	for (i = 0; i < ROUNDS; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		u64 at = (state >> 33) % nr;
		u64 last = min(at + (state >> 29) % 4, nr - 1), r;

		for (r = at; r <= last; r++)
			__atomic_fetch_add(&source[r], 1, __ATOMIC_RELAXED);
		bj_regions_set(&map, at, last);
	}
	return NULL;
}

/* Copies like the pipeline does; returns how many regions. */
static u64 copy_pass(void)
{
	u64 at = 0, n = 0, r;

	while ((at = bj_regions_next(&map, at)) < nr) {
		u64 run = bj_regions_run(&map, at, 7);

		if (!run) {
			at++;
			continue;
		}
		/* A first part may be clean already. */
		if (bj_regions_clear(&map, at, at + run - 1) < 0) {
			bj_regions_set(&map, at, at + run - 1);
			at += run;
			continue;
		}
		for (r = at; r < at + run; r++)
			WRITE_ONCE(target[r], READ_ONCE(source[r]));
		at += run;
		n += run;
	}
	return n;
}

static void *copier(void *arg)
{
	while (!READ_ONCE(finished))
		copy_pass();
	return NULL;
}

static void race(u64 regions, bool dirty, unsigned int fail_every)
{
	pthread_t writers[WRITERS], reader;
	u64 i;

	nr = regions;
	source = calloc(nr, sizeof(*source));
	target = calloc(nr, sizeof(*target));
	finished = false;
	CHECK_EQ(bj_regions_init(&map, nr, dirty), 0);
	shim_yield_every = 5;
	shim_fail_every = fail_every;
	pthread_create(&reader, NULL, copier, NULL);
	for (i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, writer, (void *)(uintptr_t)(i + 1));
	for (i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	WRITE_ONCE(finished, true);
	pthread_join(reader, NULL);
	shim_fail_every = 0;
	shim_yield_every = 0;
	copy_pass();
	for (i = 0; i < nr; i++)
		CHECK(source[i] == target[i],
		      "region %llu of %llu: a write was lost", i, nr);
	CHECK_EQ(bj_regions_next(&map, 0), nr);
	CHECK_EQ(bj_regions_count(&map), 0);
	bj_regions_exit(&map);
	free(source);
	free(target);
}

static void one_word(void)
{
	race(8, true, 0);
}

static void one_leaf(void)
{
	race(1000, false, 0);
}

static void many_leaves(void)
{
	race(1000000, true, 0);
}

/* Leaves that become empty all the time: their summary is settled. */
static void few_in_many(void)
{
	race(40 * 32768, false, 0);
}

/*
 * One region at a time becomes dirty in a map that is otherwise clean, just
 * when the copier may be about to note that the leaf is: it must be found.
 */
static void each_is_found(void)
{
	pthread_t reader;
	u64 i, tries, lost = 0;

	nr = 3 * 32768;
	source = calloc(nr, sizeof(*source));
	target = calloc(nr, sizeof(*target));
	finished = false;
	CHECK_EQ(bj_regions_init(&map, nr, false), 0);
	shim_yield_every = 3;
	pthread_create(&reader, NULL, copier, NULL);
	for (i = 0; i < FOUND && !lost; i++) {
		u64 at = unit_random() % nr;

		__atomic_fetch_add(&source[at], 1, __ATOMIC_RELAXED);
		bj_regions_set(&map, at, at);
		for (tries = 0; READ_ONCE(target[at]) != source[at]; tries++) {
			lost = tries > 200000 ? at + 1 : 0;
			if (lost)
				break;
			sched_yield();
		}
	}
	WRITE_ONCE(finished, true);
	pthread_join(reader, NULL);
	shim_yield_every = 0;
	CHECK(!lost, "region %llu is not found, after %llu", lost - 1, i);
	bj_regions_exit(&map);
	free(source);
	free(target);
}

static void without_memory(void)
{
	race(200000, false, 2);
}

static const struct unit_case cases[] = {
	{ "race: one word", one_word },
	{ "race: one leaf", one_leaf },
	{ "race: few in many leaves", few_in_many },
	{ "race: many leaves", many_leaves },
	{ "race: each is found", each_is_found },
	{ "race: allocations fail", without_memory },
};

UNIT_MAIN(cases)
