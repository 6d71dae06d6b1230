/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bugs on purpose: each takes away one thing that keeps data safe, and a test
 * has to notice (tests/check/bugs; the words before the colon name it). They are
 * there only in a module that is built with BLKJOB_BUGS=y, which then has one of
 * them at a time, by its parameter "bug". Going upstream is deleting this file,
 * dm-blkjob-bug.c, and what asks bj_bug().
 */
#ifndef DM_BLKJOB_BUG_H
#define DM_BLKJOB_BUG_H

enum bj_bug {
	/* crash mirror-ready: nothing is flushed by the job itself */
	BJ_BUG_NO_FLUSH = 1,
	/* crash backup-cbw-stored: a flush counts for what came after it began */
	BJ_BUG_FLUSH_COVERS_LATER = 2,
	/* crash mirror-background: dirty when a write begins, not when it ends */
	BJ_BUG_DIRTY_AT_MAP = 3,
	/* crash mirror-background: bits are cleared after the copy, not before */
	BJ_BUG_CLEAR_AFTER_COPY = 4,
	/* crash mirror-write-blocking: two may be at one range */
	BJ_BUG_NO_BUSY = 5,
	/* crash mirror-write-blocking: a write is over when the source has it */
	BJ_BUG_ONE_LEG = 6,
	/* crash mirror-write-blocking: the consumer's flush misses the target */
	BJ_BUG_FLUSH_SOURCE_ONLY = 7,
	/* crash mirror-background: the consumer's flush misses the source */
	BJ_BUG_FLUSH_DROPPED = 8,
	/* crash mirror-background: zeroes leave their regions clean */
	BJ_BUG_ZEROES_CLEAN = 9,
	/* crash mirror-ready: ready with something left to copy */
	BJ_BUG_READY_DIRTY = 10,
	/* crash mirror-ready: a copy that failed leaves its regions clean */
	BJ_BUG_FAILED_CLEAN = 11,
	/* crash mirror-background: finalized, and writes go to the source */
	BJ_BUG_NO_SWITCH = 12,
	/* crash track: a write does not wait for its bit */
	BJ_BUG_DATA_BEFORE_BIT = 13,
	/* crash track: a bit counts before it is on stable storage */
	BJ_BUG_BITS_NOT_STABLE = 14,
	/* crash track: so does the superblock */
	BJ_BUG_SUPER_NOT_STABLE = 15,
	/* crash track: one copy of the superblock, written twice */
	BJ_BUG_ONE_SLOT = 16,
	/* crash track: what is older than a checkpoint is not flushed */
	BJ_BUG_CHECKPOINT_NOT_FLUSHED = 17,
	/* crash track: what a deleted checkpoint knew is forgotten */
	BJ_BUG_DELETE_FORGETS = 18,
	/* crash track: a checkpoint does not wait for older writes */
	BJ_BUG_NO_DRAIN = 19,
	/* crash backup: a write does not wait for the old data */
	BJ_BUG_CBW_EARLY = 20,
	/* crash backup-cbw-stored: it waits until they are read, not stored */
	BJ_BUG_CBW_NOT_STORED = 21,
	/* crash mirror-write-blocking: a write that failed leaves them clean */
	BJ_BUG_FAILED_WRITE_CLEAN = 22,
	/* crash stream: bits are written, and the data are not flushed */
	BJ_BUG_VALID_BEFORE_DATA = 23,
	/* crash stream: a flush does not wait for the bits */
	BJ_BUG_FLUSH_WITHOUT_BITS = 24,
	/* crash stream: a part of a region makes all of it valid */
	BJ_BUG_PART_IS_VALID = 25,
	/* crash stream: a discard shows what the target device had */
	BJ_BUG_DISCARD_SHOWS = 26,
	/* crash mirror-remember: forgotten before the legs are flushed */
	BJ_BUG_FORGOTTEN_EARLY = 27,
	/* crash mirror-remember: what is dirty is forgotten with the old bitmap */
	BJ_BUG_DIRTY_FORGOTTEN = 28,
	/* crash mirror-remember: what is being copied is forgotten */
	BJ_BUG_NOT_QUIET = 29,
	/* crash mirror-remember: switched, and the metadata do not say so */
	BJ_BUG_END_NOT_SAID = 30,
	/* crash commit: a read of several regions goes where the first is */
	BJ_BUG_READ_NOT_SPLIT = 31,
};

#ifdef BJ_BUGS
extern unsigned int bj_bug_number;
#define bj_bug(bug)	(bj_bug_number == (bug))
#else
#define bj_bug(bug)	false
#endif

#endif
