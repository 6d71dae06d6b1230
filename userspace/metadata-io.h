/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of the metadata. What they mean is decided by the kernel's own file,
 * kernel/dm-blkjob-metadata.c, which is compiled here too.
 */
#ifndef BLKJOB_METADATA_IO_H
#define BLKJOB_METADATA_IO_H

#include <stdint.h>

#include "dm-blkjob-metadata.h"

struct md_reader {
	const char *path;
	int fd;
	int flags;		/* O_RDONLY, or O_RDWR | O_DSYNC to write */
	const char *harm;	/* what a write that fails may have done */
	uint64_t offset;
	u8 *block;		/* as O_DIRECT wants it */
	struct bj_md_super super;
};

struct md_damage {
	unsigned int bad, doubtful;	/* sectors */
};

/* They return 0 or an exit status, and say why. Close it also if open failed. */
int md_open(struct md_reader *r);
void md_close(struct md_reader *r);
int md_read_block(struct md_reader *r, uint64_t sector);
int md_read_super(struct md_reader *r);
/* Adds the bits of a place to @bits, and counts its damage. */
int md_read_bits(struct md_reader *r, unsigned int place, unsigned long *bits,
		 struct md_damage *damage);

/* What is in r->block. On stable storage when they return. */
int md_write_slot(struct md_reader *r, uint64_t sector);
/* Both copies of it, with @flags on all bitmaps. */
int md_write_super(struct md_reader *r, struct bj_md_super *super, u32 flags);

#define automdreader __attribute__((cleanup(md_close)))

#endif
