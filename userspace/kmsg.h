/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel says why it refused a table or a verb in its log only. */
#ifndef BLKJOB_KMSG_H
#define BLKJOB_KMSG_H

/* Call before the ioctl; -1 if the log cannot be read, which is no error. */
int kmsg_open(void);
/* What device-mapper has said since then, last; or NULL. To be freed. */
char *kmsg_reason(int fd);

#endif
