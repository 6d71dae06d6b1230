/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of backups: used by backup and complete. */
#ifndef BLKJOB_BACKUP_H
#define BLKJOB_BACKUP_H

#include "complete.h"

/*
 * Waits until the images are complete, and takes the layers out. @end: also
 * tells jobs to end that would not by themselves. 0 or exit status: that of the
 * first one that failed, after all have ended.
 */
int backup_end(struct job *jobs, size_t n, bool end,
	       const struct complete_options *opt);

#endif
