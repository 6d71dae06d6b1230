/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pure files need: parts of the job that know nothing of bios and
 * devices, and therefore also compile in user space, where the unit tests,
 * sanitizers and fuzzers reach them (tests/unit).
 */
#ifndef DM_BLKJOB_PURE_H
#define DM_BLKJOB_PURE_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#include "compat.h"
#else
#include "kernel-shim.h"
#endif

#include <linux/dm-blkjob.h>

#include "dm-blkjob-bug.h"

#endif
