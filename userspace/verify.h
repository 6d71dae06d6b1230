/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparing the legs of a job while the device is in use. */
#ifndef BLKJOB_VERIFY_H
#define BLKJOB_VERIFY_H

#include "job.h"
#include "progress.h"
#include "ranges.h"

struct verify_result {
	struct ranges differ;	/* bytes; in multiples of 512 */
	struct ranges busy;	/* was being written each time */
};

#define autoverify __attribute__((cleanup(verify_free)))

/*
 * Reads both legs past every cache, at most @speed bytes of each in a second
 * (0 = no limit). 0, or exit status after a message. Takes seconds more if
 * anything differs: until it is sure that no write is on its way.
 */
int verify_job(struct job *job, uint64_t speed, struct progress *progress,
	       struct verify_result *result);
void verify_free(struct verify_result *result);

#endif
