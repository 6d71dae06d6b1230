// SPDX-License-Identifier: GPL-2.0-or-later

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "undo.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	struct complete_options o = { .switch_timeout_us = SWITCH_TIMEOUT_US };
	const struct arg args[] = {
		ARG_TIMEOUT(&o.timeout_us),
		ARG("switch-timeout", TIME, &o.switch_timeout_us), { 0 }
	};
	autofree struct job *jobs = NULL;
	size_t n;
	int err = args_jobs(cmd, argc, argv, args, &jobs, &n);

	return err ? err : undo_jobs(jobs, n, &o);
}

const struct command cmd_undo = {
	.name = "undo",
	.args = "JOB",
	.summary = "Go back to the old source, after complete --keep-source-synced",
	.options =
	"What was written meanwhile is there as well, so only the last of it is copied.\n"
	"JOB can be the name of a group: all its jobs go back at one instant, or none.\n\n"
	"  --timeout TIME       detach if the old source is not equal by then\n"
	"  --switch-timeout TIME  give up getting in step after this (60s)\n",
	.run = run,
};
