/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From "SOURCE TARGET" to a running job; for whatever starts jobs, and check. */
#ifndef BLKJOB_START_H
#define BLKJOB_START_H

#include "args.h"
#include "lvm.h"
#include "metadata-plan.h"
#include "top.h"

struct layer;

struct plan {
	struct dm_dev user;
	struct table old;
	dev_t target;		/* as named; a physical volume if @allocate */
	dev_t spill;		/* 0 = none */
	dev_t replaces;		/* see struct job */
	bool allocate;		/* migrate a volume inside its group */
	struct lv lv;
	struct top top;
	struct ranges given;	/* what --bitmap says, in bytes */
	struct job tracker;	/* of the source; dev.devno 0 = none */
	struct metadata_plan md;	/* device 0 = none */
	struct ranges differ;	/* if it goes on with these: as they say, in bytes */
	uint64_t target_offset;	/* sectors */
	struct job stream;	/* which goes back to its source; likewise */
};

void plan_free(struct plan *p);
#define autoplan __attribute__((cleanup(plan_free)))


/* Options whose argument is one of a few words, and goes to the kernel. */
enum word_option {
	WORD_COPY_MODE,
	WORD_SOURCE_ERROR,
	WORD_TARGET_ERROR,
	WORD_COPY_ON_READ,
	NR_LIVE_WORDS,		/* a running job can change those before */
	WORD_CBW_ERROR = NR_LIVE_WORDS,
	WORD_CBW_STORED,
	WORD_CHECKSUM,
	WORD_SYNC,
	WORD_UNMAP,
	WORD_TARGET_IS_ZERO,
	NR_WORDS
};

struct start_options {
	bool migrate, force;
	/* An image of the instant at which the layer comes; otherwise a mirror. */
	bool backup;
	bool no_freeze;
	uint64_t freeze_timeout_us;
	uint64_t cbw_timeout_us;		/* UNKNOWN = not given */
	const char *replaces;			/* NULL = the source itself */
	/* UNKNOWN = not given */
	uint64_t speed, granularity, buf_size, latency_bound;
	const char *words[NR_WORDS];		/* NULL = not given */
	const char *bitmap;			/* a file */
	const char *group;			/* NULL = none */
	/* Checkpoints: copied is what has changed since, and a new one. NULL = none */
	const char *since, *checkpoint;
	const char *bitmap_mode;		/* NULL = on-success */
	const char *spill;			/* a device, NULL = none */
	const char *metadata;			/* likewise */
	/* As in struct stream_options. */
	bool reset, unwritten, recover;
};

#define START_DEFAULTS .speed = UNKNOWN, .granularity = UNKNOWN, \
		       .buf_size = UNKNOWN, .latency_bound = UNKNOWN, \
		       .cbw_timeout_us = UNKNOWN
#define MIRROR_DEFAULTS START_DEFAULTS, .words[WORD_COPY_MODE] = "auto"
#define COPY_MODE_ARG(words)						\
	{ "copy-mode", ARG_WORD, &(words)[WORD_COPY_MODE],		\
	  "background|write-blocking|auto", 0 }
#define COPY_ON_READ_ARG(words)						\
	{ "copy-on-read", ARG_WORD, &(words)[WORD_COPY_ON_READ], "on|off", 0 }
#define ON_ERROR_ARGS(words)						\
	{ "on-source-error", ARG_WORD, &(words)[WORD_SOURCE_ERROR],	\
	  "report|ignore|enospc|stop", 0 },				\
	{ "on-target-error", ARG_WORD, &(words)[WORD_TARGET_ERROR],	\
	  "report|ignore|enospc|stop", 0 }
#define START_ARGS(o)							\
	ARG("speed", SIZE, &(o)->speed),			\
	ARG("granularity", SIZE, &(o)->granularity),	\
	ARG("buf-size", SIZE, &(o)->buf_size),		\
	ARG("latency-bound", SIZE, &(o)->latency_bound),	\
	ON_ERROR_ARGS((o)->words),					\
	{ "sync", ARG_WORD, &(o)->words[WORD_SYNC], "full|none|top|bitmap", 0 }, \
	ARG("bitmap", TEXT, &(o)->bitmap),			\
	{ "unmap", ARG_WORD, &(o)->words[WORD_UNMAP], "on|off", 0 },	\
	ARG("target-is-zero", ON, &(o)->words[WORD_TARGET_IS_ZERO]), \
	ARG("force", FLAG, &(o)->force)
#define MIRROR_ARGS(o)							\
	START_ARGS(o),							\
	COPY_MODE_ARG((o)->words),					\
	ARG("replaces", TEXT, &(o)->replaces)
#define COPY_MODE_HELP \
	"  --copy-mode MODE     background, write-blocking, or auto (auto)\n"
#define COPY_ON_READ_HELP \
	"  --copy-on-read on|off  of a stream: what is read is filled first (on)\n"
#define ON_ERROR_HELP \
	"  --on-source-error P, --on-target-error P\n" \
	"                       report, ignore, enospc or stop (report)\n"
#define LATENCY_BOUND_HELP \
	"  --latency-bound N    copy so much only that I/O takes at most N percent of what\n" \
	"                       it takes alone, such as 150; 0 = as much as possible (0)\n"
#define PACE_HELP						\
	"  --speed RATE         at most RATE bytes a second, such as 100M; 0 = no limit\n" \
	"  --granularity SIZE   bytes tracked as one, a power of two (64K)\n" \
	"  --buf-size SIZE      at most so many bytes in flight (16M)\n" \
	LATENCY_BOUND_HELP
#define BITMAP_HELP \
	"  --bitmap FILE        lines \"<start> <length>\", sizes; - = standard input\n"
#define TARGET_HELP \
	"  --unmap on|off       zeroes may be unmapped on the target device (on)\n" \
	"  --target-is-zero     a promise: the target device reads as zeroes\n" \
	"  --force              overwrite what is on the target device\n"
#define MIRROR_HELP						\
	PACE_HELP \
	COPY_MODE_HELP \
	ON_ERROR_HELP \
	"  --sync MODE          what is copied beside what is written from now on:\n" \
	"                       full = everything, none = nothing, top = what a thin\n" \
	"                       volume or a snapshot holds itself, bitmap = see next (full)\n" \
	BITMAP_HELP \
	"  --replaces DEVICE    at the end DEVICE, which uses SOURCE, uses the target device\n" \
	"                       instead of it; SOURCE itself stays where it is\n" \
	TARGET_HELP

/* All checks. @target may be NULL. 0 or exit status. */
int plan_make(struct plan *p, const char *source, const char *target,
	      const struct start_options *o);
/* 0, or a usage error: options that do not go together. */
int start_check(const struct command *cmd, const struct start_options *o);
int start_job(const char *source, const char *target,
	      const struct start_options *o, struct job *job);
/* start-group.c: @pairs are "SOURCE:TARGET". All of them, or none. */
int start_group(const char *const *pairs, size_t n,
		const struct start_options *o, struct job *jobs);
/* After plan_make(), under the devices' locks: all of them, or none. */
int start_planned(struct plan *plans, size_t n, const struct start_options *o,
		  struct job *jobs);
/* The words of the table. */
void start_layer_options(struct layer *layer, const struct plan *p,
			 const struct start_options *o);
bool start_sync_is(const struct start_options *o, const char *mode);

/* The kernel's key for a word. */
const char *word_key(enum word_option word);

#endif
