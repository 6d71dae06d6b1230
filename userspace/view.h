/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshot views: read-only devices that show a source as it was. */
#ifndef BLKJOB_VIEW_H
#define BLKJOB_VIEW_H

#include "job.h"

/* Can there be a device of this name? 0 or exit status. */
int view_check(const char *name);
/* With @discard it takes discards, and writes fail. 0 or exit status. */
int view_create(const char *name, const struct job *job, bool discard);
/* 0, or exit status: somebody has one of the job open. */
int view_check_unused(const struct job *job);
/* All of the job go. 0 or exit status, as above. */
int view_remove_all(const struct job *job);

#endif
