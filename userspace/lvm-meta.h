/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume group's metadata as text, the way vgcfgbackup writes it. */
#ifndef BLKJOB_LVM_META_H
#define BLKJOB_LVM_META_H

#include <sys/types.h>

#include "dm.h"

struct meta;

/* NULL if the text cannot be parsed or is not of this volume group. */
struct meta *meta_parse(const char *text, const char *vg);
void meta_free(struct meta **m);
#define autometa __attribute__((cleanup(meta_free)))

/* Exchanges the extents of two volumes. 0 or a negative errno. */
int meta_swap(struct meta *m, const char *lv1, const char *lv2);
/* The text to restore; to be freed. */
char *meta_text(struct meta *m);

/* The block device of a physical volume, by LVM's uuid. 0 = unknown. */
typedef dev_t (*meta_pv_fn)(const char *pv_uuid, void *arg);

/* The table that LVM loads for a linear or striped volume. */
int meta_table(struct meta *m, const char *lv, meta_pv_fn pv, void *arg,
	       struct table *t);

#endif
