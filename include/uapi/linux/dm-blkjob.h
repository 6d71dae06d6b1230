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

#define BLKJOB_TARGET		"blkjob"	/* device-mapper target type */

/* Version of the table, message and status interface, as in target_type. */
#define BLKJOB_VERSION_MAJOR	1
#define BLKJOB_VERSION_MINOR	0
#define BLKJOB_VERSION_PATCH	0

/* Limits of table arguments and of "set"; sizes in bytes, speed in bytes/s. */
#define BLKJOB_GRANULARITY_MIN	512ULL
#define BLKJOB_GRANULARITY_MAX	67108864ULL	/* 64 MiB */
#define BLKJOB_GRANULARITY	65536ULL	/* default */
#define BLKJOB_BUF_SIZE_MAX	1073741824ULL
#define BLKJOB_BUF_SIZE		16777216ULL	/* default, and meaning of 0 */
#define BLKJOB_LATENCY_BOUND_MAX	10000	/* percent; 0 = none */
#define BLKJOB_CBW_TIMEOUT_MAX	86400ULL	/* seconds */
#define BLKJOB_CBW_TIMEOUT	10		/* 0, and the snapshot may break */
#define BLKJOB_SPEED_MAX	1125899906842624ULL /* 0 = unlimited */
#define BLKJOB_GROUP_NAME	64		/* characters at most */
#define BLKJOB_GROUP_MEMBERS	64		/* jobs at most */

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
 *			content counts
 *   held		writes held in the commit window because a leg failed,
 *			or (backup) until the old data are saved
 *   converge		does it come to an end? "-" is not known, or ready; yes;
 *			slow: dirty_rate is above 2/3 of rate; no: writes make
 *			dirty more than is copied, in copy_mode background;
 *			write-blocking: copy_mode auto has chosen that
 *   cbw			bytes saved because the consumer was about to
 *			overwrite them (backup)
 *   group		- or the name of the group that the job ends with
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
#endif
