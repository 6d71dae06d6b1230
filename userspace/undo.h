/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A switch with a way back: the old source is kept equal meanwhile. */
#ifndef BLKJOB_UNDO_H
#define BLKJOB_UNDO_H

#include "complete.h"

/*
 * Switch, and keep the old source equal; until @for_us have passed, if that is
 * not 0. @jobs: one, or all of a group. Exit status.
 */
int undo_keep(struct job *jobs, size_t n, const struct complete_options *opt,
	      uint64_t for_us);
/* Has it been switched so, and not gone back since? */
bool undo_kept(const struct job *jobs, size_t n);
/* The old source is let go. */
int undo_let_go(struct job *jobs, size_t n);
/* Back to it. */
int undo_jobs(struct job *jobs, size_t n, const struct complete_options *opt);

#endif
