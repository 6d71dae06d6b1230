/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between the kernels that the module is built for. The code
 * is written for the newest; Kbuild looks into the headers for what is there.
 * Going upstream is deleting this file.
 */
#ifndef DM_BLKJOB_COMPAT_H
#define DM_BLKJOB_COMPAT_H

#include <linux/blkdev.h>
#include <linux/crc32.h>
#include <linux/hrtimer.h>
#include <linux/slab.h>

#ifndef HAVE_BLK_MODE_T		/* before 6.5 */
#define blk_mode_t	fmode_t
#define BLK_OPEN_READ	FMODE_READ
#define BLK_OPEN_WRITE	FMODE_WRITE
#endif

#ifndef HAVE_CRC32C		/* before 6.14: in a module of its own */
#define crc32c(seed, data, length)	__crc32c_le(seed, data, length)
#endif

#ifndef HAVE_KZALLOC_OBJ	/* before 7.0 */
#define kzalloc_obj(obj)	kzalloc(sizeof(obj), GFP_KERNEL)
#endif

#ifndef HAVE_HRTIMER_SETUP	/* before 6.13 */
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

#endif
