/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BLKJOB_MAP_H
#define BLKJOB_MAP_H

#include "job.h"
#include "ranges.h"

/*
 * Adds what is dirty at the moment, in bytes and ascending, to @dirty. 0, or
 * -ENXIO if the job is gone, or another negative errno.
 */
int map_read(const struct job *job, struct ranges *dirty);
/* The same of another message that has ranges as its reply, a page at a time. */
int map_ask(const struct job *job, const char *message, struct ranges *ranges);

#endif
