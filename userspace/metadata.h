/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metadata of a job on disk, read and judged. */
#ifndef BLKJOB_METADATA_H
#define BLKJOB_METADATA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "linux/dm-blkjob.h"
#include "ranges.h"

enum checkpoint_state {
	CHECKPOINT_ACTIVE,		/* all that has changed since is known */
	CHECKPOINT_STARTING,		/* its instant is still to come */
	CHECKPOINT_INCONSISTENT,	/* everything counts as changed */
};

/*
 * Or, of a stream, a bitmap of what is valid, which stands for itself; or, of a
 * mirror, "differ": what may differ, of all its bitmaps.
 */
struct checkpoint {
	char name[BLKJOB_MD_NAME + 1];
	uint64_t time_us;
	enum checkpoint_state state;
	uint64_t changed;		/* bytes since */
	struct ranges ranges;		/* only of the one that was asked for */
	unsigned int damaged;		/* sectors of its bitmap */
	unsigned int doubtful;		/* of these: may hide what changed */
};

struct metadata {
	unsigned int version;
	char type[BLKJOB_MD_TYPE + 1];
	char identity[BLKJOB_MD_IDENTITY + 1];	/* of the source, "" = none */
	char target_identity[BLKJOB_MD_IDENTITY + 1];
	char note[BLKJOB_NOTE + 1];
	uint64_t length;		/* bytes of the source */
	uint64_t target_length;		/* 0 = there is no such leg */
	uint64_t granularity;
	uint64_t size;			/* bytes of the metadata */
	/* Of a mirror: all that was written is on leg 1, and leg 0 may lack it. */
	bool ended;
	unsigned int places;		/* for checkpoints */
	unsigned int damaged_supers;	/* copies of the superblock */
	struct checkpoint checkpoint[BLKJOB_MD_BITMAPS];	/* oldest first */
	unsigned int n;
};

#define METADATA_DIFFER "differ"

struct job;

#define automd __attribute__((cleanup(metadata_free)))

/*
 * From a device or a file, @offset in bytes. @since: a checkpoint whose ranges
 * are wanted, or NULL. 0 or exit status.
 */
int metadata_read(const char *path, uint64_t offset, const char *since,
		  struct metadata *md);
/*
 * Make those on the device fit a longer source, of @length bytes. No job may have
 * them. 0 or exit status.
 */
int metadata_grow(const char *path, dev_t devno, uint64_t length);
void metadata_free(struct metadata *md);
/* Does each of the bitmaps say what has changed since? */
bool metadata_has_checkpoints(const struct metadata *md);
/* NULL if there is none of that name. */
struct checkpoint *metadata_find(struct metadata *md, const char *name);
/* The superblock, without which there is nothing. */
#define METADATA_MIN 8192

/* Is there nothing at all at the beginning? 0 or exit status. */
int metadata_blank(dev_t devno, bool *blank);
/* The kernel makes metadata where there is nothing. 0 or exit status. */
int metadata_wipe(dev_t devno);
/*
 * Likewise, when a job's layer has gone for good: otherwise "recover" would find
 * them, and put it over what is written by then. @devno may be 0.
 */
int metadata_forget(const struct job *job, dev_t devno);
/*
 * Another note in those of a live job, on stable storage when this returns; the
 * kernel does not write where it stands. 0 or exit status.
 */
int metadata_set_note(const char *path, const char *note);
/* Sectors, with a whole copy of the superblock as eight. */
unsigned int metadata_damaged(const struct metadata *md);

#endif
