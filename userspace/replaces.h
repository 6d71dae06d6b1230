/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --replaces DEVICE: a device that stands on the source, its parent, goes over
 * to the target device; the source gets its own table back.
 */
#ifndef BLKJOB_REPLACES_H
#define BLKJOB_REPLACES_H

#include "job.h"

/*
 * What must hold before a job on @leg starts whose target device is to replace
 * it in @ref. 0 and the device's number, or exit status.
 */
int replaces_check(const char *ref, const struct dm_dev *leg, dev_t *parent);
/* From ready to the parent on the target device, and no layer. */
int replaces_complete(struct job *job, uint64_t timeout_us);

/*
 * A table with @target wherever @from names @leg, and a mirror's log such that
 * nothing is copied again. Touches no device.
 */
void replaces_table(const struct table *from, dev_t leg, dev_t target,
		    struct table *to);

#endif
