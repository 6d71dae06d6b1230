/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options and words of a command, from a table. */
#ifndef BLKJOB_ARGS_H
#define BLKJOB_ARGS_H

#include "blkjob.h"

enum arg_kind {
	ARG_FLAG = 1,	/* bool: set to true */
	ARG_TEXT,	/* const char *: as given */
	ARG_WORD,	/* const char *: one of @words */
	ARG_ON,		/* const char *: becomes "on", without an argument */
	ARG_SIZE,	/* uint64_t: bytes */
	ARG_TIME,	/* uint64_t: microseconds */
};

/* One option. A table of them ends with an empty one. */
struct arg {
	const char *name;	/* without "--" */
	enum arg_kind kind;
	void *value;		/* untouched if the option is not given */
	const char *words;	/* "on|off", for ARG_WORD */
	char letter;		/* short form, 0 = none */
};

#define ARG(name, kind, value) { name, ARG_##kind, value, NULL, 0 }
#define ARG_JSON(json) ARG("json", FLAG, json)
#define ARG_TIMEOUT(us) ARG("timeout", TIME, us)

/*
 * Stores the options and leaves @words, in order, with the words that are none:
 * at least @min and at most @max of them, or @usage is what the user reads; a
 * word that is not given is NULL. 0, EX_USAGE, or HELP_SHOWN: the caller returns
 * either.
 */
int args_parse(const struct command *cmd, int argc, char **argv,
	       const struct arg *args, int min, int max, const char *usage,
	       const char **words);

struct job;

/* The most common case: one JOB, which is looked for. 0 or what to return. */
int args_job(const struct command *cmd, int argc, char **argv,
	     const struct arg *args, struct job *job);
/* Or the name of a group: all its jobs, which the caller frees. */
int args_jobs(const struct command *cmd, int argc, char **argv,
	      const struct arg *args, struct job **jobs, size_t *n);

#endif
