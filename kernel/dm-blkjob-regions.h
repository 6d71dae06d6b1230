/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The region map: one bit per region, set = dirty = must still be copied.
 */
#ifndef DM_BLKJOB_REGIONS_H
#define DM_BLKJOB_REGIONS_H

#include "dm-blkjob-pure.h"

#define BJ_LEAF_SHIFT	15
#define BJ_LEAF_BITS	BIT(BJ_LEAF_SHIFT)

/* In the place of a page: every region of the leaf is dirty. */
#define BJ_ALL_DIRTY	((atomic_long_t *)1UL)

struct bj_leaf {
	atomic_long_t *words;	/* NULL, BJ_ALL_DIRTY or a page */
	atomic_t count;		/* dirty regions, if words is a page */
};

struct bj_regions {
	u64 nr;			/* regions */
	unsigned long nr_leaves;
	struct bj_leaf *leaves;
	unsigned long *summary;	/* bit per leaf: clear = leaf has no dirty bit */
};

/*
 * Allocate a map of @nr regions, all dirty or all clean. May sleep.
 * Returns 0 or -ENOMEM; the caller owns the map until bj_regions_exit().
 */
int bj_regions_init(struct bj_regions *map, u64 nr, bool dirty);
void bj_regions_exit(struct bj_regions *map);

/*
 * Make regions @first ... @last (inclusive) dirty. Any context, never fails:
 * without memory the whole leaf (BJ_LEAF_BITS regions) becomes dirty.
 */
void __bj_regions_set(struct bj_regions *map, u64 first, u64 last);

static inline bool bj_region_dirty(const struct bj_regions *map, u64 region)
{
	atomic_long_t *words = READ_ONCE(map->leaves[region >> BJ_LEAF_SHIFT].words);
	unsigned int bit = region & (BJ_LEAF_BITS - 1);

	if (words <= BJ_ALL_DIRTY)
		return words;
	return test_bit(bit, (unsigned long *)words);
}

/* A leaf has a dirty bit. The bit is visible before, see summary_settle(). */
static inline void bj_summary_set(struct bj_regions *map, unsigned long leaf)
{
	if (!test_bit(leaf, map->summary))
		set_bit(leaf, map->summary);
}

static inline void bj_regions_set(struct bj_regions *map, u64 first, u64 last)
{
	unsigned long idx = first >> BJ_LEAF_SHIFT;
	unsigned int bit = first & (BJ_LEAF_BITS - 1);
	struct bj_leaf *leaf = &map->leaves[idx];
	atomic_long_t *words;

	/*
	 * The write that makes the range dirty is finished before a set bit is
	 * taken for granted. Pairs with the barrier in bj_regions_clear(): the
	 * copy either reads after this write, or finds the bit set again.
	 */
	smp_mb();
	words = READ_ONCE(leaf->words);
	if (first != last || !words) {
		__bj_regions_set(map, first, last);
		return;
	}
	/* Test before set: no store to a shared line for nothing. */
	if (words == BJ_ALL_DIRTY || test_bit(bit, (unsigned long *)words) ||
	    test_and_set_bit(bit, (unsigned long *)words))
		return;
	atomic_inc(&leaf->count);
	bj_summary_set(map, idx);
}

/*
 * Make regions @first ... @last clean. Process context. Returns how many were
 * dirty, or -ENOMEM and nothing (or only a first part) was changed. Ends with
 * a full barrier: reads of the source submitted afterwards see every write
 * whose bj_regions_set() found its bits still set.
 */
long bj_regions_clear(struct bj_regions *map, u64 first, u64 last);

/*
 * Give all leaves their memory, so that nothing fails or sleeps in
 * bj_regions_clear() any more. May sleep. 0 or -ENOMEM.
 */
int bj_regions_prepare(struct bj_regions *map);

/*
 * Give the leaves of regions @first ... @last that are all clean their memory,
 * so that setting any of these makes no other one dirty. May sleep. 0 or
 * -ENOMEM.
 */
int bj_regions_reserve(struct bj_regions *map, u64 first, u64 last);

/* Any of @first ... @last dirty? Any context. */
bool bj_regions_dirty(const struct bj_regions *map, u64 first, u64 last);

/* First dirty region at or after @from, or map->nr. Any context. */
u64 bj_regions_next(struct bj_regions *map, u64 from);

/* How many regions from @first on are dirty without a gap, at most @max. */
u64 bj_regions_run(const struct bj_regions *map, u64 first, u64 max);

/* Number of dirty regions. Exact when nobody changes the map meanwhile. */
u64 bj_regions_count(const struct bj_regions *map);

/* Bytes of memory that the map holds now. */
size_t bj_regions_memory(const struct bj_regions *map);

#endif
