/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading what the legs of a job hold. */
#ifndef BLKJOB_LEG_H
#define BLKJOB_LEG_H

#include "job.h"

enum leg { LEG_SOURCE, LEG_TARGET };

/*
 * Past the page cache: that has what was written, or what somebody read before
 * the job wrote past it, not what the device has. 0, or exit status after a
 * message.
 */
int leg_open(const struct job *job, enum leg leg, int *fd);
/*
 * @start and @len in bytes of the job, in whole blocks of the device; @data is
 * aligned as O_DIRECT wants it. Likewise.
 */
int leg_read(const struct job *job, enum leg leg, int fd, void *data,
	     uint64_t start, size_t len);

#endif
