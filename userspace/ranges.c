// SPDX-License-Identifier: GPL-2.0-or-later
#include "blkjob.h"
#include "cleanup.h"
#include "ranges.h"

void ranges_add(struct ranges *rs, uint64_t start, uint64_t len)
{
	struct range *last = rs->n ? &rs->r[rs->n - 1] : NULL;

	if (last && start >= last->start && start - last->start <= last->len) {
		if (start + len - last->start > last->len)
			last->len = start + len - last->start;
		return;
	}
	/* Room for a power of two of them at any time. */
	if (!(rs->n & (rs->n - 1)))
		rs->r = xrealloc(rs->r, (rs->n ? 2 * rs->n : 1) * sizeof(*rs->r));
	rs->r[rs->n++] = (struct range) { start, len };
}

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct range *)a)->start;
	uint64_t y = ((const struct range *)b)->start;

	return (x > y) - (x < y);
}

void ranges_sort(struct ranges *rs)
{
	struct ranges sorted = { 0 };
	size_t i;

	if (rs->n)
		qsort(rs->r, rs->n, sizeof(*rs->r), compare);
	for (i = 0; i < rs->n; i++)
		ranges_add(&sorted, rs->r[i].start, rs->r[i].len);
	ranges_free(rs);
	*rs = sorted;
}

bool ranges_meet(const struct ranges *rs, uint64_t start, uint64_t len)
{
	size_t first = 0, end = rs->n;

	/* The first one that ends behind @start. */
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		const struct range *r = &rs->r[middle];

		if (r->start + r->len <= start)
			first = middle + 1;
		else
			end = middle;
	}
	return first < rs->n && rs->r[first].start < start + len;
}

uint64_t ranges_total(const struct ranges *rs)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < rs->n; i++)
		total += rs->r[i].len;
	return total;
}

void ranges_free(struct ranges *rs)
{
	free(rs->r);
	*rs = (struct ranges) { 0 };
}
