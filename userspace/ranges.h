/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of byte ranges. */
#ifndef BLKJOB_RANGES_H
#define BLKJOB_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, len;	/* bytes */
};

struct ranges {
	size_t n;
	struct range *r;
};

#define autoranges __attribute__((cleanup(ranges_free)))

/* At the end; joins the last one if it reaches it. */
void ranges_add(struct ranges *rs, uint64_t start, uint64_t len);
/* Ascending, and no two of them touch. */
void ranges_sort(struct ranges *rs);
/* Does one of them, of a sorted list, meet this? */
bool ranges_meet(const struct ranges *rs, uint64_t start, uint64_t len);
uint64_t ranges_total(const struct ranges *rs);
void ranges_free(struct ranges *rs);

#endif
