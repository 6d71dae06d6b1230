/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold before anything is touched. Each refusal says what to do. */
#ifndef BLKJOB_PREFLIGHT_H
#define BLKJOB_PREFLIGHT_H

#include "job.h"

int preflight_kernel(uint32_t version[3]);
/*
 * @tracker: filled with the job that tracks it, if there is one; NULL = no job at
 * all may be on it.
 */
int preflight_source(const char *ref, struct dm_dev *dev, struct table *t,
		     struct job *tracker);
/* A device-mapper device with a table that nobody is about to change. */
int preflight_idle(const char *ref, dev_t devno, struct dm_dev *dev,
		   struct table *t);
int preflight_resolve(const char *ref, dev_t *devno);
/*
 * @length in bytes. preflight_commit: the origin of the snapshot that the
 * source is a linear device on, as a target device.
 */
int preflight_commit(dev_t origin, dev_t snapshot, const struct dm_dev *source,
		     uint64_t length);
int preflight_target(dev_t target, dev_t source, uint64_t length, bool force);
/* What takes old data before @target does; @granularity likewise, or UNKNOWN. */
int preflight_spill(dev_t spill, dev_t target, dev_t source,
		    uint64_t granularity, bool force);

#endif
