/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logical volumes. Only lvm*.c know that LVM exists. */
#ifndef BLKJOB_LVM_H
#define BLKJOB_LVM_H

#include <stdbool.h>
#include <sys/types.h>

#include "job.h"
#include "lock.h"
#include "lvm-meta.h"

struct lv {
	char *vg, *name;
	uint64_t extents;
	char id[JOB_ID_LEN + 1];	/* from its tag, if it is a job's target */
};

void lv_free(struct lv *lv);
#define autolv __attribute__((cleanup(lv_free)))

bool lvm_owns(const struct dm_dev *dev);
/* The volume behind a device, if it can have a job. 0 or exit status. */
int lvm_lookup(const struct dm_dev *dev, struct lv *lv);
/* The live table must be the one that LVM would load. 0 or exit status. */
int lvm_check_table(const struct lv *lv, const struct table *live);

/* Is @devno a physical volume of the volume's group? 0 or exit status. */
int lvm_check_pv(const struct lv *lv, dev_t devno);
/* A hidden volume as long as @lv on that physical volume. */
int lvm_allocate(const struct lv *lv, dev_t pv, const char *id,
		 struct lv *spare, dev_t *devno);
/* Is the job's target device a volume that lvm_allocate() made? */
bool lvm_is_spare(const struct job *job, struct lv *spare);
/* All volumes that lvm_allocate() made and that are not kept. */
size_t lvm_list_spares(struct lv **spares);
/* Finds what an interrupted job left: its volume, by the job's id. */
bool lvm_find_spare(const char *id, struct lv *spare);
/*
 * From now on the volume, inactive, is nobody's but the user's. 0 or
 * EX_ATTENTION.
 */
int lvm_keep(const struct lv *spare);
int lvm_remove(const struct lv *spare);

/* lvm-lock.c: the lock that LVM's own commands take. 0 or exit status. */
int lvm_lock(struct lock *lock, const char *vg);

/*
 * lvm-commit.c: moves the volume's name over to the target's extents. On
 * entry the job is ready or pending, on success the volume runs from the
 * target device without a layer.
 */
int lvm_commit(struct job *job, const struct lv *lv, const struct lv *spare,
	       uint64_t timeout_us, uint64_t *us);
/* Before a pending job is cancelled: metadata that names the target goes back. */
int lvm_revert(struct job *job, const struct lv *lv, const struct lv *spare);

/*
 * Metadata of a group, read by vgcfgbackup. NULL after a message. Queries take
 * no lock: they must not wait for an LVM command that may wait for us.
 */
struct meta *lvm_read_meta(const char *vg, const char *file);
dev_t lvm_pv_device(const char *pv_uuid, void *arg);

#endif
