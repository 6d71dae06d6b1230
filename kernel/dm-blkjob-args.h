/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the words of a table line or of a message to checked values.
 */
#ifndef DM_BLKJOB_ARGS_H
#define DM_BLKJOB_ARGS_H

#include "dm-blkjob-pure.h"

/* Index of the types' tables. */
enum bj_kind {
	BJ_MIRROR,
	BJ_BACKUP,
	BJ_TRACK,
	BJ_STREAM,
	BJ_NR_KINDS
};

enum bj_sync {
	BJ_SYNC_FULL,		/* everything is dirty at the start */
	BJ_SYNC_NONE,		/* nothing is */
};

enum bj_copy_mode {
	BJ_COPY_BACKGROUND,	/* a write leaves its regions dirty */
	BJ_COPY_WRITE_BLOCKING,	/* a write to copied regions goes to both legs */
	BJ_COPY_AUTO,		/* background while that converges */
};

/* What an I/O error of the copy does (QEMU BlockdevOnError). */
enum bj_on_error {
	BJ_ON_ERROR_REPORT,	/* the job ends */
	BJ_ON_ERROR_IGNORE,	/* the range stays dirty and is tried again */
	BJ_ON_ERROR_ENOSPC,	/* stop if there is no space, report otherwise */
	BJ_ON_ERROR_STOP,	/* pause until resumed */
};

/* What follows if old data cannot be saved (QEMU OnCbwError). */
enum bj_on_cbw_error {
	BJ_BREAK_SNAPSHOT,	/* the job fails, the consumer goes on */
	BJ_BREAK_GUEST_WRITE,	/* the write fails, the image stays good */
};

struct bj_leg_args {
	const char *path;	/* the caller's word */
	u64 start;		/* sector */
};

/* What one word of "set", or one option of the table, can change. */
struct bj_options {
	enum bj_sync sync;
	enum bj_copy_mode copy_mode;
	u64 granularity;	/* bytes, 0 = not given */
	u64 buf_size;		/* bytes, never 0 */
	u64 speed;		/* bytes/s, 0 = unlimited */
	u64 latency_bound;	/* percent of the idle p99, 0 = none */
	enum bj_on_error on_error[2];	/* of the source, of the target device */
	enum bj_on_cbw_error on_cbw_error;
	u64 cbw_timeout;	/* seconds, 0 = what on_cbw_error makes of it */
	bool cbw_stored;	/* a write waits until the old data are safe */
	bool checksum;		/* of what is copied, by region */
	bool unmap;		/* zeroes may be unmapped on the target device */
	bool target_is_zero;	/* it reads as zeroes at the start */
	bool copy_on_read;	/* the fill goes on where the consumer reads */
	bool paused;
	const char *group;	/* NULL = none */
	const char *identity;	/* of the source, as kept in metadata; likewise */
	const char *spill;	/* a device; likewise */
	const char *target_identity;	/* likewise */
	const char *metadata;	/* path of a device for them; likewise */
	const char *note;	/* of who made the job, for who ends it; likewise */
};

struct bj_args {
	enum bj_kind kind;
	struct bj_leg_args source;
	struct bj_leg_args target;
	struct bj_options opt;
};

#define BJ_ERROR_LEN	160

/*
 * Parse the words behind "blkjob". @length of the target in sectors. May not
 * sleep. Returns 0, or -EINVAL and a sentence in @error (BJ_ERROR_LEN bytes)
 * that names the value. Strings in @args point into @argv.
 */
int bj_args_parse(struct bj_args *args, unsigned int argc, char **argv,
		  u64 length, char *error);

/* Change one option, as above. With @live only what can change in a job. */
int bj_option_parse(struct bj_options *opt, enum bj_kind kind, const char *key,
		    const char *value, bool live, char *error);

/*
 * Write the options of a table line, with their number before them, to @buf,
 * as many as fit. Returns the length.
 */
size_t bj_options_show(const struct bj_options *opt, enum bj_kind kind,
		       char *buf, size_t size);

/* A plain decimal number, nothing around it. Returns 0 or -EINVAL. */
int bj_number_parse(const char *word, u64 *value);

const char *bj_kind_name(enum bj_kind kind);
const char *bj_on_error_name(enum bj_on_error policy);
const char *bj_on_cbw_error_name(enum bj_on_cbw_error policy);

#endif
