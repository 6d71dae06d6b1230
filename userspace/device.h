/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block devices of any kind, by number. */
#ifndef BLKJOB_DEVICE_H
#define BLKJOB_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A path, vg/lv, a dm name or a name below /dev. 0 or a negative errno. */
int device_resolve(const char *ref, dev_t *devno);
/* "/dev/mapper/x" or "/dev/sda"; the caller frees. Never NULL. */
char *device_path(dev_t devno);
bool device_is_dm(dev_t devno);

struct device_limits {
	uint64_t size;			/* bytes */
	unsigned int logical_block;
	bool read_only;
	bool zoned;
};

/* A file descriptor, or a negative errno. */
int device_open(dev_t devno, int flags);
/* Opens the device with O_EXCL if @exclusive: fails with EBUSY if in use. */
int device_limits(dev_t devno, bool exclusive, struct device_limits *lim);

/* One line of a file in sysfs, "/size" for example; "" if it is not there. */
void device_attribute(dev_t devno, const char *attr, char *buf, size_t len);
/* The disk of a partition, otherwise the device itself. */
dev_t device_disk(dev_t devno);

/* What stands on it ("holders") or under it ("slaves"). The caller frees. */
size_t device_related(dev_t devno, const char *relation, dev_t **list);
/*
 * True if @devno is @below or stands on it, at any depth; partitions count, and
 * loop devices with a file on it.
 */
bool device_stands_on(dev_t devno, dev_t below);

/* Where its file system is mounted, NULL = nowhere; the caller frees. */
char *device_mountpoint(dev_t devno);

#endif
