// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "blkjob.h"
#include "complete.h"
#include "start.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	static const char usage[] = "needs one SOURCE and --to TARGET";
	struct start_options o = { MIRROR_DEFAULTS, .migrate = true };
	struct complete_options end = { .switch_timeout_us = SWITCH_TIMEOUT_US };
	const char *source, *target = NULL;
	const struct arg args[] = {
		MIRROR_ARGS(&o),
		ARG("to", TEXT, &target),
		COMPLETE_ARGS(&end), { 0 }
	};
	struct job job;
	int err = args_parse(cmd, argc, argv, args, 1, 1, usage, &source);

	if (err)
		return err;
	if (!target)
		return usage_error(cmd, usage);
	err = start_check(cmd, &o);
	if (err)
		return err;
	err = start_job(source, target, &o, &job);
	return err ? err : job_complete(&job, &end);
}

const struct command cmd_migrate = {
	.name = "migrate",
	.args = "SOURCE --to TARGET",
	.summary = "Move the data of a device in use, then switch to it",
	.options =
	"TARGET is a physical volume of SOURCE's volume group, if SOURCE is a logical\n"
	"volume; LVM's metadata then follows. Otherwise it is a block device of at least\n"
	"the same size.\n\n"
	"  --to TARGET          where to\n"
	MIRROR_HELP
	"  --keep-source        keep the old extents of a logical volume\n"
	"  --timeout TIME       detach if the copy is not complete by then\n"
	"  --switch-timeout TIME  give up getting in step after this (60s)\n",
	.run = run,
};
