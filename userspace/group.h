/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of the jobs of a group: all at one instant, or none. */
#ifndef BLKJOB_GROUP_H
#define BLKJOB_GROUP_H

#include "complete.h"

/* As job_complete() and job_cancel(); @jobs are all of the group. */
int group_complete(struct job *jobs, size_t n,
		   const struct complete_options *opt);
int group_cancel(struct job *jobs, size_t n, bool force, uint64_t timeout_us);
/* EX_REFUSED if other jobs would have to end together with this one. */
int group_check_alone(const struct job *job);

#endif
