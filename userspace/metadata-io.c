// SPDX-License-Identifier: GPL-2.0-or-later
/* Blocks of the metadata, from a device or a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "metadata.h"
#include "metadata-io.h"

void md_close(struct md_reader *r)
{
	free(r->block);
	if (r->fd >= 0)
		close(r->fd);
}

/* Past the page cache: the kernel's writes do not go through it. */
int md_open(struct md_reader *r)
{
	struct stat st;
	dev_t devno;

	if (posix_memalign((void **)&r->block, 4096, BJ_MD_BLOCK_BYTES))
		return fail(EX_ATTENTION, "out of memory");
	if (!stat(r->path, &st) && S_ISREG(st.st_mode))
		r->fd = open(r->path, r->flags | O_CLOEXEC);
	else if (!device_resolve(r->path, &devno))
		r->fd = device_open(devno, r->flags | O_DIRECT);
	else
		return fail(EX_REFUSED,
			    "%s is neither a block device nor a file; see: lsblk",
			    r->path);
	if (r->fd < 0)
		return fail(EX_REFUSED, "cannot open %s: %s", r->path,
			    strerror(r->fd == -1 ? errno : -r->fd));
	return 0;
}

int md_read_block(struct md_reader *r, uint64_t sector)
{
	uint64_t at = r->offset + sector * 512;
	ssize_t n = pread(r->fd, r->block, BJ_MD_BLOCK_BYTES, at);

	if (n == BJ_MD_BLOCK_BYTES)
		return 0;
	return fail(EX_TARGET, "cannot read %s at %llu: %s", r->path,
		    (unsigned long long)at,
		    n < 0 ? strerror(errno) : "it ends there");
}

int md_read_super(struct md_reader *r)
{
	char error[BJ_MD_ERROR];
	int err = md_read_block(r, 0);

	if (err)
		return err;
	err = bj_md_super_decode(&r->super, r->block, error);
	if (!err)
		return 0;
	if (err == -EUCLEAN)
		return fail(EX_ATTENTION,
			    "%s: %s; it is lost what they were about. Checkpoints: the next backup has to be a full one. A stream: it cannot go on. A mirror: it begins anew",
			    r->path, error);
	return fail(EX_REFUSED, "%s: %s; is it the right device?", r->path,
		    error);
}

int md_read_bits(struct md_reader *r, unsigned int place, unsigned long *bits,
		 struct md_damage *damage)
{
	struct bj_md_block found;
	u32 block;
	int err;

	for (block = 0; block < r->super.bitmap_blocks; block++) {
		err = md_read_block(r, bj_md_bitmap_sector(&r->super, place,
							   block, 0));
		if (err)
			return err;
		bj_md_bits_decode(bits, r->block,
				  r->super.bitmap[place].generation,
				  r->super.bitmap[place].flags, block, &found);
		damage->bad += found.bad;
		damage->doubtful += found.doubtful;
	}
	return 0;
}

int md_write_slot(struct md_reader *r, uint64_t sector)
{
	uint64_t at = r->offset + sector * 512;
	ssize_t n = pwrite(r->fd, r->block, BJ_MD_SLOT_BYTES, at);

	if (n == BJ_MD_SLOT_BYTES)
		return 0;
	return fail(EX_TARGET,
		    "cannot write %s at %llu: %s; %s, see: blkjob check --metadata %s",
		    r->path, (unsigned long long)at,
		    n < 0 ? strerror(errno) : "it ends there", r->harm, r->path);
}

int md_write_super(struct md_reader *r, struct bj_md_super *super, u32 flags)
{
	struct bj_md_super now = *super;
	unsigned int i;
	int err = 0;

	for (i = 0; i < super->nr_bitmaps; i++)
		if (now.bitmap[i].generation)
			now.bitmap[i].flags |= flags;
	for (i = 0; i < BLKJOB_MD_SLOTS && !err; i++) {
		bj_md_super_encode(r->block, &now, ++super->sequence, i);
		err = md_write_slot(r, i * BLKJOB_MD_SECTORS);
	}
	return err;
}

int metadata_set_note(const char *path, const char *note)
{
	automdreader struct md_reader r = {
		.path = path, .fd = -1, .flags = O_RDWR | O_DSYNC,
		.harm = "one of its two copies of the superblock may be damaged",
	};
	int err = md_open(&r);

	if (!err)
		err = md_read_super(&r);
	if (err)
		return err;
	strcpy(r.super.note, note);
	return md_write_super(&r, &r.super, 0);
}
