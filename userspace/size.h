/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BLKJOB_SIZE_H
#define BLKJOB_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* "65536", "64K", "1.5G", "100MiB": binary units. 0, -EINVAL or -ERANGE. */
int size_parse(const char *s, uint64_t *bytes);
/* "90", "30s", "5m", "2h" -> microseconds. 0, -EINVAL or -ERANGE. */
int time_parse(const char *s, uint64_t *us);
/* "312.0 MiB" */
const char *size_format(char *buf, size_t len, uint64_t bytes);
/* "9m24s" */
const char *time_format(char *buf, size_t len, uint64_t seconds);

#endif
