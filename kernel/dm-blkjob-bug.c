// SPDX-License-Identifier: GPL-2.0
/*
 * Which bug this module has; see dm-blkjob-bug.h.
 */
#include <linux/module.h>

#include "dm-blkjob-bug.h"

unsigned int bj_bug_number;
module_param_named(bug, bj_bug_number, uint, 0444);
MODULE_PARM_DESC(bug, "number of a bug on purpose, for tests");
