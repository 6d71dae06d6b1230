/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256, by the kernel. */
#ifndef BLKJOB_DIGEST_H
#define BLKJOB_DIGEST_H

#include <stddef.h>

#define DIGEST_BYTES 32

/* A file descriptor, or exit status after a message: negated. */
int digest_open(void);
/* 0 or a negative errno. */
int digest_add(int fd, const void *data, size_t len);
/* Of all that was added, in hex. Likewise; the next one begins anew. */
int digest_end(int fd, char hex[2 * DIGEST_BYTES + 1]);

#endif
