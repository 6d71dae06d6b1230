// SPDX-License-Identifier: GPL-2.0
/*
 * Busy ranges.
 *
 * A copy and a write that goes to both legs must not meet on one block: the
 * copy could bring back old data over the new. Nor may two such writes, whose
 * order could differ between the legs. So each of them first takes the blocks
 * that it touches, and gives up at once when somebody else has one: a write
 * then goes to the source only and leaves its regions dirty.
 *
 * The table is hashed, not allocated: two ranges 256 MiB apart share a bit,
 * which costs a needless refusal once in a while and no memory per device.
 */
#include "dm-blkjob-busy.h"

struct bj_span {
	u64 first;	/* block, not yet reduced to the table */
	u64 last;
};

static struct bj_span busy_span(u64 sector, u64 nr_sectors)
{
	return (struct bj_span) {
		.first = sector >> BJ_BUSY_SECTOR_SHIFT,
		.last = (sector + nr_sectors - 1) >> BJ_BUSY_SECTOR_SHIFT,
	};
}

/* Word and mask for the blocks from @at on; returns the next block to do. */
static u64 busy_word(u64 at, u64 last, unsigned int *word, unsigned long *mask)
{
	unsigned int lo = at % BITS_PER_LONG;
	unsigned int n = min_t(u64, BITS_PER_LONG - lo, last - at + 1);

	*word = (at % BJ_BUSY_BITS) / BITS_PER_LONG;
	*mask = GENMASK(lo + n - 1, lo);
	return at + n;
}

static void busy_clear(struct bj_busy *busy, u64 first, u64 end)
{
	unsigned long mask;
	unsigned int word;
	u64 at = first;

	while (at < end) {
		at = busy_word(at, end - 1, &word, &mask);
		/* fetch: a full barrier, hence also the release */
		atomic_long_fetch_andnot(mask, &busy->words[word]);
	}
}

bool bj_busy_trylock(struct bj_busy *busy, u64 sector, u64 nr_sectors)
{
	struct bj_span span = busy_span(sector, nr_sectors);
	u64 at = span.first, next;

	if (nr_sectors > BJ_BUSY_MAX_SECTORS)
		return false;
	if (bj_bug(BJ_BUG_NO_BUSY))
		return true;
	for (; at <= span.last; at = next) {
		unsigned long mask, old;
		unsigned int word;

		next = busy_word(at, span.last, &word, &mask);
		old = atomic_long_fetch_or(mask, &busy->words[word]);
		if (!(old & mask))
			continue;
		/* Give back what was ours to take, here and before. */
		atomic_long_fetch_andnot(mask & ~old, &busy->words[word]);
		busy_clear(busy, span.first, at);
		return false;
	}
	return true;
}

void bj_busy_unlock(struct bj_busy *busy, u64 sector, u64 nr_sectors)
{
	struct bj_span span = busy_span(sector, nr_sectors);

	busy_clear(busy, span.first, span.last + 1);
}

bool bj_busy_free(const struct bj_busy *busy, u64 sector, u64 nr_sectors)
{
	struct bj_span span = busy_span(sector, nr_sectors);
	unsigned long mask;
	unsigned int word;
	u64 at = span.first;

	while (at <= span.last) {
		at = busy_word(at, span.last, &word, &mask);
		if (atomic_long_read(&busy->words[word]) & mask)
			return false;
	}
	return true;
}

bool bj_busy_idle(const struct bj_busy *busy)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(busy->words); i++)
		if (atomic_long_read(&busy->words[i]))
			return false;
	return true;
}
