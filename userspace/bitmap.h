/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that say what is to be copied. */
#ifndef BLKJOB_BITMAP_H
#define BLKJOB_BITMAP_H

#include "ranges.h"

/*
 * Reads lines "<start> <length>", in bytes or with a unit as everywhere, from
 * the file, or standard input for "-". What follows a "#" is a comment. All
 * must lie within @len bytes. The list is sorted. 0 or EX_REFUSED.
 */
int bitmap_read(const char *path, uint64_t len, struct ranges *ranges);

#endif
