/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is the image of a backup what was copied? */
#ifndef BLKJOB_IMAGE_H
#define BLKJOB_IMAGE_H

#include "job.h"

/*
 * Reads the image of a job that has completed, while the job is still there:
 * nobody else has the checksums. Prints its digest, or what differs.
 * 0, or exit status after a message: EX_TARGET, the image is not to be trusted;
 * any other, nobody knows yet, and it can be tried again.
 */
int image_verify(const struct job *job, bool quiet);

#endif
