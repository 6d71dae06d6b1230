// SPDX-License-Identifier: GPL-2.0
/*
 * The region map, in two levels.
 *
 * The bits live in leaves of one page, 32768 regions each. A leaf is all clean
 * (no page), all dirty (no page either) or mixed (a page). A job that copies a
 * whole device therefore starts without a single page, and its memory follows
 * the sweep; pages stay until the job ends, so nobody can ever hold a stale
 * pointer and no reader needs a lock.
 *
 * A summary has one bit per leaf, so that 1 PiB in regions of 64 KiB is
 * searched in one pass over 64 KiB. It may say "dirty" of a clean leaf, never
 * the reverse.
 *
 * Setting is lock free and works in hard interrupts. Clearing is for process
 * context.
 */
#include "dm-blkjob-regions.h"

#define BJ_LEAF_BYTES	(BJ_LEAF_BITS / BITS_PER_BYTE)

static unsigned int leaf_size(const struct bj_regions *map, unsigned long idx)
{
	u64 first = (u64)idx << BJ_LEAF_SHIFT;

	return min_t(u64, BJ_LEAF_BITS, map->nr - first);
}

/* Mask of the bits @lo ... @hi of a leaf that fall into word @w. */
static unsigned long word_mask(unsigned int w, unsigned int lo, unsigned int hi)
{
	unsigned int base = w * BITS_PER_LONG;
	unsigned int from = lo > base ? lo - base : 0;
	unsigned int to = min(hi - base, (unsigned int)BITS_PER_LONG - 1);

	return GENMASK(to, from);
}

static atomic_long_t *leaf_alloc(gfp_t gfp)
{
	return kzalloc(BJ_LEAF_BYTES, gfp | __GFP_NOWARN);
}

int bj_regions_init(struct bj_regions *map, u64 nr, bool dirty)
{
	unsigned long i;

	map->nr = nr;
	map->nr_leaves = (nr + BJ_LEAF_BITS - 1) >> BJ_LEAF_SHIFT;
	map->leaves = kvcalloc(map->nr_leaves, sizeof(*map->leaves), GFP_KERNEL);
	map->summary = kvcalloc(BITS_TO_LONGS(map->nr_leaves), sizeof(long),
				GFP_KERNEL);
	if (!map->leaves || !map->summary) {
		bj_regions_exit(map);
		return -ENOMEM;
	}
	if (dirty) {
		for (i = 0; i < map->nr_leaves; i++)
			map->leaves[i].words = BJ_ALL_DIRTY;
		bitmap_set(map->summary, 0, map->nr_leaves);
	}
	return 0;
}

void bj_regions_exit(struct bj_regions *map)
{
	unsigned long i;

	for (i = 0; map->leaves && i < map->nr_leaves; i++)
		if (map->leaves[i].words != BJ_ALL_DIRTY)
			kfree(map->leaves[i].words);
	kvfree(map->leaves);
	kvfree(map->summary);
	map->leaves = NULL;
	map->summary = NULL;
}

/* The words of a leaf in which a bit is about to be set; never NULL. */
static atomic_long_t *leaf_words_to_set(struct bj_leaf *leaf, bool whole)
{
	atomic_long_t *words = READ_ONCE(leaf->words), *new, *old;

	if (words)
		return words;
	/*
	 * No waiting here, this may be an interrupt. Too much dirty is always
	 * safe, so a failed allocation costs copying and nothing else.
	 */
	new = whole ? NULL : leaf_alloc(GFP_NOWAIT);
	if (!new)
		new = BJ_ALL_DIRTY;
	old = cmpxchg(&leaf->words, NULL, new);
	if (!old)
		return new;
	if (new != BJ_ALL_DIRTY)
		kfree(new);
	return old;
}

static void leaf_set(struct bj_regions *map, unsigned long idx,
		     unsigned int lo, unsigned int hi)
{
	struct bj_leaf *leaf = &map->leaves[idx];
	atomic_long_t *words;
	unsigned int w, n = 0;

	words = leaf_words_to_set(leaf, !lo && hi + 1 == leaf_size(map, idx));
	if (words != BJ_ALL_DIRTY) {
		for (w = lo / BITS_PER_LONG; w <= hi / BITS_PER_LONG; w++) {
			unsigned long mask = word_mask(w, lo, hi), old;

			/* No store to a shared line for nothing. */
			if (!(~atomic_long_read(&words[w]) & mask))
				continue;
			old = atomic_long_fetch_or(mask, &words[w]);
			n += hweight_long(mask & ~old);
		}
		if (!n)
			return;
		atomic_add(n, &leaf->count);
	}
	/*
	 * The bit is visible before the summary is looked at: atomic_add()
	 * does not order, so say it. Pairs with summary_settle(). A leaf that
	 * was all dirty already keeps its summary bit until it gets a page.
	 */
	smp_mb__after_atomic();
	bj_summary_set(map, idx);
}

void __bj_regions_set(struct bj_regions *map, u64 first, u64 last)
{
	u64 at = first;

	do {
		unsigned long idx = at >> BJ_LEAF_SHIFT;
		u64 end = min(last, (((u64)idx + 1) << BJ_LEAF_SHIFT) - 1);

		leaf_set(map, idx, at & (BJ_LEAF_BITS - 1),
			 end & (BJ_LEAF_BITS - 1));
		at = end + 1;
	} while (at <= last);
}

/* Give an all-dirty leaf its page. */
static int leaf_split(struct bj_regions *map, unsigned long idx, gfp_t gfp)
{
	struct bj_leaf *leaf = &map->leaves[idx];
	unsigned int size = leaf_size(map, idx), w;
	atomic_long_t *new = leaf_alloc(gfp);

	if (!new)
		return -ENOMEM;
	for (w = 0; w <= (size - 1) / BITS_PER_LONG; w++)
		atomic_long_set(&new[w], word_mask(w, 0, size - 1));
	/* Nobody uses the count of a leaf without a page. */
	atomic_set(&leaf->count, size);
	if (cmpxchg(&leaf->words, BJ_ALL_DIRTY, new) != BJ_ALL_DIRTY)
		kfree(new);	/* another clearer was first */
	return 0;
}

static long leaf_clear(struct bj_regions *map, unsigned long idx,
		       unsigned int lo, unsigned int hi)
{
	struct bj_leaf *leaf = &map->leaves[idx];
	atomic_long_t *words = READ_ONCE(leaf->words);
	unsigned int w;
	long n = 0;

	if (!words)
		return 0;
	if (words == BJ_ALL_DIRTY) {
		if (leaf_split(map, idx, GFP_NOIO))
			return -ENOMEM;
		words = READ_ONCE(leaf->words);
	}
	for (w = lo / BITS_PER_LONG; w <= hi / BITS_PER_LONG; w++) {
		unsigned long mask = word_mask(w, lo, hi), old;

		if (!(atomic_long_read(&words[w]) & mask))
			continue;
		old = atomic_long_fetch_andnot(mask, &words[w]);
		n += hweight_long(mask & old);
	}
	atomic_sub(n, &leaf->count);
	return n;
}

long bj_regions_clear(struct bj_regions *map, u64 first, u64 last)
{
	u64 at = first;
	long sum = 0;

	do {
		unsigned long idx = at >> BJ_LEAF_SHIFT;
		u64 end = min(last, (((u64)idx + 1) << BJ_LEAF_SHIFT) - 1);
		long n = leaf_clear(map, idx, at & (BJ_LEAF_BITS - 1),
				    end & (BJ_LEAF_BITS - 1));

		if (n < 0)
			return n;
		sum += n;
		at = end + 1;
	} while (at <= last);
	smp_mb();	/* pairs with bj_regions_set() */
	return sum;
}

int bj_regions_prepare(struct bj_regions *map)
{
	unsigned long i;

	for (i = 0; i < map->nr_leaves; i++)
		if (READ_ONCE(map->leaves[i].words) == BJ_ALL_DIRTY &&
		    leaf_split(map, i, GFP_KERNEL))
			return -ENOMEM;
	return 0;
}

int bj_regions_reserve(struct bj_regions *map, u64 first, u64 last)
{
	unsigned long i;

	for (i = first >> BJ_LEAF_SHIFT; i <= last >> BJ_LEAF_SHIFT; i++) {
		atomic_long_t *new;

		if (READ_ONCE(map->leaves[i].words))
			continue;
		new = leaf_alloc(GFP_NOIO);
		if (!new)
			return -ENOMEM;
		if (cmpxchg(&map->leaves[i].words, NULL, new))
			kfree(new);	/* another one was first */
	}
	return 0;
}

bool bj_regions_dirty(const struct bj_regions *map, u64 first, u64 last)
{
	u64 at;

	for (at = first; at <= last; at++) {
		if (bj_region_dirty(map, at))
			return true;
		if (!READ_ONCE(map->leaves[at >> BJ_LEAF_SHIFT].words))
			at |= BJ_LEAF_BITS - 1;	/* on to the next leaf */
	}
	return false;
}

/* First set bit of a leaf at or after @bit, or the leaf's size. */
static unsigned int leaf_next(const struct bj_regions *map, unsigned long idx,
			      unsigned int bit)
{
	atomic_long_t *words = READ_ONCE(map->leaves[idx].words);
	unsigned int size = leaf_size(map, idx);

	if (words == BJ_ALL_DIRTY)
		return bit;
	if (!words)
		return size;
	return find_next_bit((const unsigned long *)words, size, bit);
}

/*
 * A leaf was found empty: take it out of the summary, then look again. Either
 * this sees a bit set meanwhile, or its setter sees the summary bit cleared.
 * Pairs with leaf_set().
 */
static void summary_settle(struct bj_regions *map, unsigned long idx)
{
	clear_bit(idx, map->summary);
	/* See above. */
	smp_mb__after_atomic();
	if (leaf_next(map, idx, 0) < leaf_size(map, idx))
		set_bit(idx, map->summary);
}

u64 bj_regions_next(struct bj_regions *map, u64 from)
{
	unsigned long idx = from >> BJ_LEAF_SHIFT;
	unsigned int bit = from & (BJ_LEAF_BITS - 1);

	while (idx < map->nr_leaves) {
		unsigned long next;
		unsigned int found;

		next = find_next_bit(map->summary, map->nr_leaves, idx);
		if (next >= map->nr_leaves)
			break;
		if (next != idx)
			bit = 0;
		idx = next;
		found = leaf_next(map, idx, bit);
		if (found < leaf_size(map, idx))
			return ((u64)idx << BJ_LEAF_SHIFT) + found;
		if (!bit)
			summary_settle(map, idx);
		idx++;
		bit = 0;
	}
	return map->nr;
}

u64 bj_regions_run(const struct bj_regions *map, u64 first, u64 max)
{
	u64 at = first, end = min(map->nr, first + max);

	while (at < end) {
		unsigned long idx = at >> BJ_LEAF_SHIFT;
		unsigned int size = leaf_size(map, idx);
		unsigned int bit = at & (BJ_LEAF_BITS - 1), stop = size;
		atomic_long_t *words = READ_ONCE(map->leaves[idx].words);

		if (!words)
			break;
		if (words != BJ_ALL_DIRTY)
			stop = find_next_zero_bit((const unsigned long *)words,
						  size, bit);
		at += stop - bit;
		if (stop < size)
			break;
	}
	return min(at, end) - first;
}

u64 bj_regions_count(const struct bj_regions *map)
{
	unsigned long idx;
	u64 sum = 0;

	for_each_set_bit(idx, map->summary, map->nr_leaves) {
		const struct bj_leaf *leaf = &map->leaves[idx];
		atomic_long_t *words = READ_ONCE(leaf->words);
		int count;

		if (words == BJ_ALL_DIRTY) {
			sum += leaf_size(map, idx);
			continue;
		}
		count = words ? atomic_read(&leaf->count) : 0;
		/* A clear may overtake the count of the set that it undoes. */
		if (count > 0)
			sum += count;
	}
	return sum;
}

size_t bj_regions_memory(const struct bj_regions *map)
{
	size_t sum = map->nr_leaves * sizeof(*map->leaves) +
		     BITS_TO_LONGS(map->nr_leaves) * sizeof(long);
	unsigned long i;

	for (i = 0; i < map->nr_leaves; i++) {
		atomic_long_t *words = READ_ONCE(map->leaves[i].words);

		if (words && words != BJ_ALL_DIRTY)
			sum += BJ_LEAF_BYTES;
	}
	return sum;
}
