// SPDX-License-Identifier: GPL-2.0
/*
 * Busy ranges against a plain array, and with several threads.
 */
#include <pthread.h>
#include <sched.h>

#include "dm-blkjob-busy.h"
#include "unit.h"

#define OPS		200000
#define LOCKS		64
#define THREADS		4
#define ROUNDS		100000
#define BLOCK		(1ULL << BJ_BUSY_SECTOR_SHIFT)

static struct bj_busy busy;
static bool model[BJ_BUSY_BITS];

static struct lock {
	u64 sector;
	u64 nr;
} locks[LOCKS];

/* Blocks of a range, each with its place in the table. */
static bool model_free(u64 sector, u64 nr)
{
	u64 at;

	for (at = sector / BLOCK; at <= (sector + nr - 1) / BLOCK; at++)
		if (model[at % BJ_BUSY_BITS])
			return false;
	return true;
}

static void model_set(u64 sector, u64 nr, bool value)
{
	u64 at;

	for (at = sector / BLOCK; at <= (sector + nr - 1) / BLOCK; at++)
		model[at % BJ_BUSY_BITS] = value;
}

static bool bit(u64 at)
{
	return atomic_long_read(&busy.words[at / BITS_PER_LONG]) &
	       BIT(at % BITS_PER_LONG);
}

static void check_table(void)
{
	u64 at;

	for (at = 0; at < BJ_BUSY_BITS; at++)
		CHECK(bit(at) == model[at], "block %llu", at);
}

/* The table is taken exactly where somebody holds a range. */
static void against_model(void)
{
	unsigned int op, slot;

	for (op = 0; op < OPS; op++) {
		struct lock *lock = &locks[unit_random() % LOCKS];

		if (lock->nr) {
			bj_busy_unlock(&busy, lock->sector, lock->nr);
			model_set(lock->sector, lock->nr, false);
			lock->nr = 0;
			continue;
		}
		lock->sector = unit_random() % (4 * BJ_BUSY_BITS * BLOCK);
		lock->nr = 1 + unit_random() % (unit_random() % 8 ? 300 : 40000);
		CHECK(bj_busy_free(&busy, lock->sector, lock->nr) ==
		      model_free(lock->sector, lock->nr),
		      "sector %llu, %llu", lock->sector, lock->nr);
		if (bj_busy_trylock(&busy, lock->sector, lock->nr) !=
		    model_free(lock->sector, lock->nr))
			CHECK(false, "sector %llu, %llu", lock->sector, lock->nr);
		if (model_free(lock->sector, lock->nr))
			model_set(lock->sector, lock->nr, true);
		else
			lock->nr = 0;
		/* Also what a refusal took and gave back. */
		if (op % 1000 == 0)
			check_table();
	}
	for (slot = 0; slot < LOCKS; slot++) {
		if (!locks[slot].nr)
			continue;
		CHECK(!bj_busy_idle(&busy), "-");
		bj_busy_unlock(&busy, locks[slot].sector, locks[slot].nr);
		locks[slot].nr = 0;
	}
	memset(model, 0, sizeof(model));
	check_table();
	CHECK(bj_busy_idle(&busy), "-");
}

static void sizes(void)
{
	CHECK(bj_busy_trylock(&busy, 0, 1), "-");
	CHECK(!bj_busy_trylock(&busy, BLOCK - 1, 1), "same block");
	CHECK(bj_busy_trylock(&busy, BLOCK, 1), "next block");
	bj_busy_unlock(&busy, 0, 1);
	bj_busy_unlock(&busy, BLOCK, 1);

	CHECK(bj_busy_trylock(&busy, 0, BJ_BUSY_MAX_SECTORS), "-");
	bj_busy_unlock(&busy, 0, BJ_BUSY_MAX_SECTORS);
	/* Not aligned to a block: one more of them. */
	CHECK(bj_busy_trylock(&busy, 7, BJ_BUSY_MAX_SECTORS), "-");
	bj_busy_unlock(&busy, 7, BJ_BUSY_MAX_SECTORS);
	CHECK(!bj_busy_trylock(&busy, 0, BJ_BUSY_MAX_SECTORS + 1), "-");
	CHECK(!bj_busy_trylock(&busy, 0, U64_MAX / 2), "-");
	CHECK(bj_busy_idle(&busy), "-");
}

/* Over the end of the table, and two ranges that share its bits. */
static void wraps(void)
{
	u64 table = BJ_BUSY_BITS * BLOCK;

	CHECK(bj_busy_trylock(&busy, table - 5 * BLOCK, 10 * BLOCK), "-");
	CHECK(bit(BJ_BUSY_BITS - 1) && bit(0) && bit(4) && !bit(5), "-");
	CHECK(!bj_busy_trylock(&busy, 4 * BLOCK, 1), "aliased, thus refused");
	CHECK(!bj_busy_trylock(&busy, 3 * table - 1, 1), "aliased");
	CHECK(bj_busy_trylock(&busy, 5 * BLOCK, 1), "-");
	bj_busy_unlock(&busy, 5 * BLOCK, 1);
	bj_busy_unlock(&busy, table - 5 * BLOCK, 10 * BLOCK);
	CHECK(bj_busy_idle(&busy), "-");
}

static u64 owners[1024];
static bool broken;

/* Who has a range is the only one to write to it. */
static void *contender(void *arg)
{
	u64 state = (uintptr_t)arg, i, at;

	for (i = 0; i < ROUNDS; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		u64 first = (state >> 33) % 1000;
		u64 n = 1 + (state >> 23) % 24;

		if (!bj_busy_trylock(&busy, first * BLOCK, n * BLOCK))
			continue;
		for (at = first; at < first + n; at++)
			if (__atomic_fetch_add(&owners[at], 1, __ATOMIC_SEQ_CST))
				broken = true;
		if (i % 64 == 0)
			sched_yield();
		for (at = first; at < first + n; at++)
			__atomic_fetch_sub(&owners[at], 1, __ATOMIC_SEQ_CST);
		bj_busy_unlock(&busy, first * BLOCK, n * BLOCK);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t thread[THREADS];
	uintptr_t i;

	shim_yield_every = 5;
	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, contender, (void *)(i + 1));
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	shim_yield_every = 0;
	CHECK(!broken, "two had one block");
	CHECK(bj_busy_idle(&busy), "-");
}

static const struct unit_case cases[] = {
	{ "busy: against a model", against_model },
	{ "busy: sizes", sizes },
	{ "busy: wraps around", wraps },
	{ "busy: threads", threads },
};

UNIT_MAIN(cases)
