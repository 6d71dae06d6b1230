/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Busy ranges: who may write which part of the target device just now.
 */
#ifndef DM_BLKJOB_BUSY_H
#define DM_BLKJOB_BUSY_H

#include "dm-blkjob-pure.h"

#define BJ_BUSY_SECTOR_SHIFT	3		/* one bit = 4 KiB ... */
#define BJ_BUSY_BITS		65536		/* ... modulo 256 MiB */
#define BJ_BUSY_MAX_SECTORS	((BJ_BUSY_BITS / 2) << BJ_BUSY_SECTOR_SHIFT)

struct bj_busy {
	atomic_long_t words[BJ_BUSY_BITS / BITS_PER_LONG];
};

/*
 * Take @nr_sectors from @sector on, all or nothing, and never wait. Two
 * callers that meet may both fail. Ranges above BJ_BUSY_MAX_SECTORS always
 * fail. Any context. Both are full barriers if they do something.
 */
bool bj_busy_trylock(struct bj_busy *busy, u64 sector, u64 nr_sectors);
void bj_busy_unlock(struct bj_busy *busy, u64 sector, u64 nr_sectors);

/*
 * Has nobody taken any of it? Any context. Says nothing about what was done
 * before, nor after: the caller orders it, with barriers.
 */
bool bj_busy_free(const struct bj_busy *busy, u64 sector, u64 nr_sectors);

/* Is nothing taken at all? */
bool bj_busy_idle(const struct bj_busy *busy);

#endif
