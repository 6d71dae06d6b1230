/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every file of the command shares: exit statuses, messages, commands. */
#ifndef BLKJOB_H
#define BLKJOB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "linux/dm-blkjob.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/*
 * Exit statuses. Functions that have told the user what went wrong return one
 * of these; functions that have not return a negative errno.
 */
enum exit_status {
	EX_DONE		= 0,
	EX_ROLLED_BACK	= 1,	/* not done; the source keeps everything */
	EX_USAGE	= 2,	/* nothing touched */
	EX_REFUSED	= 3,	/* nothing touched */
	EX_DETACHED	= 4,	/* interrupted or timed out, the job goes on */
	EX_TARGET	= 5,	/* the target device failed */
	EX_SOURCE	= 6,	/* the source failed */
	EX_ATTENTION	= 7,	/* the message says what to do */
	HELP_SHOWN	= -1,	/* for main(): nothing more to do */
};

/* msg.c */
void say(const char *fmt, ...) PRINTF(1, 2);
void warning(const char *fmt, ...) PRINTF(1, 2);
/* Print an error and return @status, so that a refusal is one statement. */
int fail(int status, const char *fmt, ...) PRINTF(2, 3);
/* Keep quiet on stdout and stderr; the last error stays readable. */
void msg_quiet(bool quiet);
const char *msg_last_error(void);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
char *xstrdup(const char *s);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
uint64_t now_us(void);

/* One per cmd-*.c file, collected in main.c. */
struct command {
	const char *name;
	const char *args;
	const char *summary;
	const char *options;	/* text for "blkjob help COMMAND" */
	int (*run)(const struct command *cmd, int argc, char **argv);
};

int usage_error(const struct command *cmd, const char *fmt, ...) PRINTF(2, 3);
int print_help(const struct command *cmd);

extern const struct command cmd_migrate, cmd_mirror, cmd_backup, cmd_stream, cmd_list,
	cmd_status, cmd_wait, cmd_complete, cmd_cancel, cmd_pause, cmd_resume, cmd_set,
	cmd_check, cmd_recover, cmd_events, cmd_map, cmd_stats,
	cmd_verify, cmd_dump, cmd_track,
	cmd_untrack, cmd_checkpoint, cmd_undo, cmd_commit;

#endif
