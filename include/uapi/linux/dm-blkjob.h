/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Words shared by the device-mapper target "blkjob", the command blkjob and
 * the tests. States, verbs and options have the names and the meanings of
 * QEMU's block jobs (QEMU qapi/job.json, qapi/block-core.json).
 *
 * Everything crosses the kernel boundary as text (table line, message, status
 * line), so these are strings and not numbers; the enums only index them.
 */
#ifndef _UAPI_LINUX_DM_BLKJOB_H
#define _UAPI_LINUX_DM_BLKJOB_H

#include <linux/types.h>

#define BLKJOB_TARGET		"blkjob"	/* device-mapper target type */

#define BLKJOB_SNAPSHOT_TARGET	"blkjob-snapshot"	/* what a backup keeps, to be read */

/* Version of the table, message and status interface, as in target_type. */
#define BLKJOB_VERSION_MAJOR	1
#define BLKJOB_VERSION_MINOR	0
#define BLKJOB_VERSION_PATCH	0

/* Limits of table arguments and of "set"; sizes in bytes, speed in bytes/s. */
#define BLKJOB_GRANULARITY_MIN	512ULL
#define BLKJOB_GRANULARITY_MAX	67108864ULL	/* 64 MiB */
#define BLKJOB_GRANULARITY	65536ULL	/* default */
#define BLKJOB_STREAM_GRANULARITY	4096ULL	/* default of a stream */
#define BLKJOB_BUF_SIZE_MAX	1073741824ULL
#define BLKJOB_BUF_SIZE		16777216ULL	/* default, and meaning of 0 */
#define BLKJOB_LATENCY_BOUND_MAX	10000	/* percent; 0 = none */
#define BLKJOB_CBW_TIMEOUT_MAX	86400ULL	/* seconds */
#define BLKJOB_CBW_TIMEOUT	10		/* 0, and the snapshot may break */
#define BLKJOB_SPEED_MAX	1125899906842624ULL /* 0 = unlimited */
#define BLKJOB_GROUP_NAME	64		/* characters at most */
#define BLKJOB_GROUP_MEMBERS	64		/* jobs at most */
#define BLKJOB_NOTE		159		/* characters at most */
#define BLKJOB_SPILL_PATH	255		/* characters at most */

/* QEMU JobStatus, without "undefined" and "null": those are no job here. */
enum blkjob_state {
	BLKJOB_CREATED,		/* table loaded, not yet resumed */
	BLKJOB_RUNNING,
	BLKJOB_PAUSED,		/* paused from running */
	BLKJOB_READY,		/* target device caught up once */
	BLKJOB_STANDBY,		/* paused from ready */
	BLKJOB_WAITING,		/* complete or soft cancel: getting in step */
	BLKJOB_PENDING,		/* commit window: both legs equal and kept so */
	BLKJOB_ABORTING,	/* forced cancel or error: copies draining */
	BLKJOB_CONCLUDED,	/* see the status keys result and active */
	BLKJOB_NR_STATES
};

#define BLKJOB_STATE_NAMES {				\
	[BLKJOB_CREATED]	= "created",		\
	[BLKJOB_RUNNING]	= "running",		\
	[BLKJOB_PAUSED]		= "paused",		\
	[BLKJOB_READY]		= "ready",		\
	[BLKJOB_STANDBY]	= "standby",		\
	[BLKJOB_WAITING]	= "waiting",		\
	[BLKJOB_PENDING]	= "pending",		\
	[BLKJOB_ABORTING]	= "aborting",		\
	[BLKJOB_CONCLUDED]	= "concluded",		\
}

/* Verbs, sent as messages. QEMU JobVerb, and our own rollback. */
enum blkjob_verb {
	BLKJOB_VERB_PAUSE,
	BLKJOB_VERB_RESUME,
	BLKJOB_VERB_CANCEL,
	BLKJOB_VERB_COMPLETE,
	BLKJOB_VERB_FINALIZE,
	BLKJOB_VERB_ROLLBACK,	/* waiting or pending: back to ready */
	BLKJOB_VERB_SET,
	BLKJOB_VERB_MARK,	/* make a range dirty */
	BLKJOB_VERB_UNMARK,	/* drop a range from the map, paused only */
	BLKJOB_NR_VERBS
};

#define BLKJOB_VERB_NAMES {				\
	[BLKJOB_VERB_PAUSE]	= "pause",		\
	[BLKJOB_VERB_RESUME]	= "resume",		\
	[BLKJOB_VERB_CANCEL]	= "cancel",		\
	[BLKJOB_VERB_COMPLETE]	= "complete",		\
	[BLKJOB_VERB_FINALIZE]	= "finalize",		\
	[BLKJOB_VERB_ROLLBACK]	= "rollback",		\
	[BLKJOB_VERB_SET]	= "set",		\
	[BLKJOB_VERB_MARK]	= "mark",		\
	[BLKJOB_VERB_UNMARK]	= "unmark",		\
}

/*
 * Status line: "<type> <state> key=value ...". Sizes in bytes. Keys are only
 * ever added, their order is not promised. "-" = no value.
 *
 * From QEMU's BlockJobInfo:
 *   offset len		bytes done, bytes to do in all; len - offset is what
 *			remains (dirty + in_flight), offset never falls
 *   speed		limit, bytes/s, 0 = none
 *   busy paused ready	0 or 1
 *   io_status		ok, failed, nospace
 *   actively_synced	1: every write now reaches both legs, and both are equal
 *   error		- or a word without blanks saying why the job failed
 * Ours:
 *   dirty in_flight	bytes marked; bytes being copied
 *   rate dirty_rate	bytes/s copied and newly marked, over the last second
 *   granularity	bytes in one region
 *   copied zeroed	bytes copied as data; as zeroes (offset is their sum)
 *   recopied		bytes of both after the first sweep
 *   passes		sweeps over the map that were started
 *   source_errors target_errors	failed copy reads, failed target writes
 *   last_error		- or <read|write|flush|cbw>:<errno>:<sector>; cbw is a
 *			write of the consumer that waited for too long
 *   pause_us		longest time that a write was held: at the switchover,
 *			or (backup) until the old data were saved
 *   result		- until concluded, then completed (the target device is
 *			a consistent image) or cancelled (it is not)
 *   active		source or target: the leg that serves reads and whose
 *			content counts; both: each has a part (stream)
 *   held		writes held in the commit window because a leg failed,
 *			or (backup) until the old data are saved
 *   converge		does it come to an end? "-" is not known, or ready; yes;
 *			slow: dirty_rate is above 2/3 of rate; no: writes make
 *			dirty more than is copied, in copy_mode background;
 *			write-blocking: copy_mode auto has chosen that
 *   cbw			bytes copied because the consumer was about to
 *			overwrite them, or a part of them (backup, stream)
 *   group		- or the name of the group that the job ends with
 *   reversed		1: what was the source at first is the target device
 *			now, and the other way round (mirror)
 * Of a mirror with metadata alone:
 *   rework		bytes that would be copied after a crash in vain
 *   remembers		0: nobody can go on with the metadata
 *   metadata_writes	slots written
 * Of a stream alone:
 *   valid		bytes that are on the target device
 *   commits metadata_writes metadata_errors	of what is valid, to the
 *			metadata; slots written for them; writes that failed
 */

/*
 * Status line of a blkjob-snapshot: "snapshot <word> key=value ...".
 *
 *   whole		everything can be read
 *   saved		the job has ended: what was saved by then can be read
 *   broken		the job was cancelled, or has failed: nothing can be read
 *   gone		there is no job: nothing can be read
 *
 *   from_source from_target	reads, by where the data came from
 *   again		of from_target, those that came from the source too late
 *   discarded		bytes given up
 */

/*
 * Reply to the message "stats", a line each; lines and keys are only ever
 * added, and a histogram without a count is left out:
 *
 *   sample <n>		one of n reads, and of n writes, is timed on each CPU
 *   reads <count>	of the consumer, all of them
 *   writes <count>	and its writes of zeroes and discards
 *   flushes <count>	of the consumer
 *   latency <name> count=<n> sum_us=<us> max_us=<us> <bound>:<n> ...
 *
 * <bound>:<n> says that n took at most <bound> us, and more than half of that;
 * the bounds are powers of two up to 2^24, then "inf". Names:
 *
 *   read write			of the consumer, sampled; write has no zeroes
 *				and no discards
 *   copy_source copy_target	reads and writes of the copy, all
 *   active_source active_target	the halves of those writes to both legs
 *   flush_source flush_target	the consumer's, and on the target device the
 *				job's own, all
 */
#define BLKJOB_LATENCY_NAMES {				\
	"read", "write",				\
	"copy_source", "copy_target",			\
	"active_source", "active_target",		\
	"flush_source", "flush_target",			\
}

/*
 * Reply to the message "checksums [<region>]", for a backup with the option
 * checksum on that has completed: from that region on, of those that were
 * copied,
 *
 *   <region> <checksum>...	of that one and of those that follow it
 *   next <region>		the last line, if there are more
 *
 * The checksum of a region, 8 hex digits, is the sum over its units modulo
 * 2^32. A unit is BLKJOB_CHECKSUM_UNIT bytes, or a smaller region; the last one
 * of the job may be shorter. Number n from the start of the job on, it adds
 * the last step of MurmurHash3 (fmix32) of its CRC32C, neither inverted before
 * nor after, with the complement of the two halves of n, XORed, as the seed.
 */
#define BLKJOB_CHECKSUM_UNIT	4096

/*
 * Metadata on disk, version 1; little endian. See "Metadata" in blkjob.rst.
 *
 * The unit is the sector of 512 bytes, which devices write whole or not at
 * all: each carries what it is, when it was written and a checksum. Eight of
 * them make a block. Each block has two slots of 4 KiB, side by side. Block 0
 * is the superblock, the blocks of the bitmaps follow.
 */
#define BLKJOB_MD_VERSION	1
#define BLKJOB_MD_MAGIC_SUPER	0x534d4a42U	/* "BJMS" */
#define BLKJOB_MD_MAGIC_BITMAP	0x424d4a42U	/* "BJMB" */
#define BLKJOB_MD_SECTOR	512	/* bytes */
#define BLKJOB_MD_PAYLOAD	480	/* bytes of a sector */
#define BLKJOB_MD_SECTORS	8	/* of a slot */
#define BLKJOB_MD_SLOTS		2	/* of a block */
#define BLKJOB_MD_BLOCK_BITS	30720U	/* regions of a block */
#define BLKJOB_MD_BITMAPS	32	/* at most */
#define BLKJOB_MD_NAME		63	/* characters of a checkpoint's name */
#define BLKJOB_MD_IDENTITY	119	/* characters that identify a leg */
#define BLKJOB_MD_TYPE		15	/* characters of a job type */

struct blkjob_md_sector {
	__le32 crc;		/* CRC32C of the 508 bytes that follow */
	__le32 magic;
	__le16 version;
	__u8 index;		/* of the sector in its slot */
	__u8 slot;		/* 0 or 1 */
	__le32 block;		/* of the bitmap; 0 for the superblock */
	__le64 sequence;	/* counts the writes of a block */
	__le64 generation;	/* random: of the metadata, or of the bitmap */
	__u8 payload[BLKJOB_MD_PAYLOAD];
};

struct blkjob_md_leg {
	__le64 sectors;		/* 0 = there is no such leg */
	__u8 identity[BLKJOB_MD_IDENTITY + 1];
};

struct blkjob_md_bitmap {
	__le64 generation;	/* 0 = the place is free */
	__le64 order;		/* the later the higher */
	__le64 time;		/* of its instant, us since 1970 */
	__le32 flags;
	__le32 reserved;
	__u8 name[BLKJOB_MD_NAME + 1];
};

/* It is being begun: its instant is still to come. */
#define BLKJOB_MD_STARTING	1
/* Nobody knows what has changed since: everything may have. */
#define BLKJOB_MD_INCONSISTENT	2
/* Each block is in both slots before it counts: one of them is enough. */
#define BLKJOB_MD_TWICE		4

/*
 * Of a mirror, in the superblock: the target device may be the one that counts.
 * Otherwise leg 0 does.
 */
#define BLKJOB_MD_ENDED		1

/* The payloads of the superblock's sectors, one behind the other. */
struct blkjob_md_super {
	__u8 type[BLKJOB_MD_TYPE + 1];
	__le32 granularity;	/* bytes */
	__le32 nr_bitmaps;	/* places for them */
	__le64 regions;
	__le32 bitmap_blocks;	/* of each of them */
	__le32 flags;
	__le64 reserved2;
	struct blkjob_md_leg leg[2];
	struct blkjob_md_bitmap bitmap[BLKJOB_MD_BITMAPS];
	__u8 note[BLKJOB_NOTE + 1];	/* for whoever has started the job */
	__u8 reserved3[304];
};
#endif
