// SPDX-License-Identifier: GPL-2.0-or-later
/* pause, resume and set: one message each. */
#include <stdio.h>

#include "blkjob.h"
#include "cleanup.h"
#include "start.h"

static int steer(const struct command *cmd, const struct job *job)
{
	if (cmd == &cmd_resume && job_unprepared(job))
		return fail(EX_REFUSED,
			    "the command that started job %s was killed before it knew what to copy; 'blkjob cancel %s', then start again",
			    job->id, job->id);
	return job_send(job, "%s", cmd->name);
}

/* The kernel's verbs have the names of the commands. */
static int run_verb(const struct command *cmd, int argc, char **argv)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int one, err = args_jobs(cmd, argc, argv, NULL, &jobs, &n);

	if (err)
		return err;
	for (i = 0; i < n; i++) {
		one = steer(cmd, &jobs[i]);
		err = err ? err : one;
	}
	return err;
}

const struct command cmd_pause = {
	.name = "pause",
	.args = "JOB",
	.summary = "Stop copying; what is written is still tracked",
	.run = run_verb,
};

const struct command cmd_resume = {
	.name = "resume",
	.args = "JOB",
	.summary = "Go on copying",
	.run = run_verb,
};

static int set_one(const struct job *job, const char *key, uint64_t value)
{
	if (value == UNKNOWN)
		return 0;
	return job_send(job, "set %s %llu", key, (unsigned long long)value);
}

struct numbers {
	/* UNKNOWN = as it is */
	uint64_t speed, buf_size, latency_bound, cbw_timeout_us;
};

static int set_all(const struct job *job, const struct numbers *n,
		   const char *const *words)
{
	int i, err;

	err = set_one(job, "speed", n->speed);
	if (!err)
		err = set_one(job, "buf_size", n->buf_size);
	if (!err)
		err = set_one(job, "latency_bound", n->latency_bound);
	if (!err && n->cbw_timeout_us != UNKNOWN)
		err = set_one(job, "cbw_timeout", n->cbw_timeout_us / 1000000);
	for (i = 0; i < NR_LIVE_WORDS && !err; i++)
		if (words[i])
			err = job_send(job, "set %s %s", word_key(i), words[i]);
	return err;
}

static int run_set(const struct command *cmd, int argc, char **argv)
{
	struct numbers numbers = { UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN };
	const char *words[NR_WORDS] = { NULL };
	const struct arg args[] = {
		ARG("speed", SIZE, &numbers.speed),
		ARG("buf-size", SIZE, &numbers.buf_size),
		ARG("latency-bound", SIZE, &numbers.latency_bound),
		ARG("cbw-timeout", TIME, &numbers.cbw_timeout_us),
		COPY_MODE_ARG(words), COPY_ON_READ_ARG(words),
		ON_ERROR_ARGS(words), { 0 }
	};
	static const char usage[] = "needs one JOB, and an option";
	autofree struct job *jobs = NULL;
	const char *ref;
	size_t n, i;
	int err = args_parse(cmd, argc, argv, args, 1, 1, usage, &ref);

	if (err)
		return err;
	if (argc == 2)
		return usage_error(cmd, usage);
	err = job_find_all(ref, &jobs, &n);
	for (i = 0; !err && i < n; i++)
		err = set_all(&jobs[i], &numbers, words);
	return err;
}

const struct command cmd_set = {
	.name = "set",
	.args = "JOB --speed RATE ...",
	.summary = "Change a running job",
	.options =
	"  --speed RATE         at most RATE bytes a second; 0 = no limit\n"
	"  --buf-size SIZE      at most so many bytes in flight\n"
	LATENCY_BOUND_HELP
	COPY_MODE_HELP
	COPY_ON_READ_HELP
	ON_ERROR_HELP
	"  --cbw-timeout TIME   of a backup: how long a write may wait for the old data\n",
	.run = run_set,
};
