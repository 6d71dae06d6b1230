/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A word by which a block device is found again after a reboot. */
#ifndef BLKJOB_IDENTITY_H
#define BLKJOB_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

/* "dm-uuid:LVM-...", "serial:1234-part1", "loop:/file"; to be freed. */
char *identity_of(dev_t devno);
/* -ENODEV if there is none, -EEXIST if there are several. */
int identity_find(const char *word, dev_t *devno);

/*
 * Calls @fn for each device that holds something and is no private one of ours,
 * until that returns something else than 0; returns it.
 */
int identity_each(int (*fn)(dev_t devno, void *arg), void *arg);

/*
 * Of what stands at the beginning and at the end of a device, where file systems
 * and partition tables write when they are used. Never 0. 0 or exit status.
 */
int identity_print(dev_t devno, uint64_t *print);

#endif
