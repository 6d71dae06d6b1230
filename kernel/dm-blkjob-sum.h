/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checksum of a region, see "checksums" in the uapi header: kernel and
 * command have to agree on it.
 */
#ifndef DM_BLKJOB_SUM_H
#define DM_BLKJOB_SUM_H

#include "dm-blkjob-pure.h"

/* Bytes of a unit. */
unsigned int bj_sum_unit(u64 granularity);

/*
 * What @len bytes at @at bytes of the job add to the checksum of their region:
 * whole units, but for the last one of the job.
 */
u32 bj_sum(unsigned int unit, u64 at, const void *data, size_t len);

#endif
