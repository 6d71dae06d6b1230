/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mirror that has ended by an error, and whose layer is still there: what was
 * written since is in its metadata, so that another job can go on.
 */
#ifndef BLKJOB_TAKEUP_H
#define BLKJOB_TAKEUP_H

#include "start.h"

/*
 * @taken: @source has such a job, with the metadata device of @o. Otherwise nothing
 * was done. 0 or exit status.
 */
int takeup_job(const char *source, const char *target,
	       const struct start_options *o, struct job *job, bool *taken);

#endif
