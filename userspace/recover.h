/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs that a reboot or a crash has interrupted. */
#ifndef BLKJOB_RECOVER_H
#define BLKJOB_RECOVER_H

#include <stdbool.h>

/*
 * Puts back what @metadata, or any device (NULL), knows of. @unwritten is a
 * promise, see cmd-recover.c. 0 or exit status.
 */
int recover_metadata(const char *metadata, bool unwritten, bool dry);

#endif
