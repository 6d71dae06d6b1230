// SPDX-License-Identifier: GPL-2.0-or-later

#include "backup.h"
#include "blkjob.h"
#include "cleanup.h"
#include "complete.h"
#include "group.h"
#include "start.h"
#include "view.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	struct complete_options o = { .switch_timeout_us = SWITCH_TIMEOUT_US };
	const struct arg args[] = { COMPLETE_ARGS(&o), { 0 } };
	autofree struct job *jobs = NULL;
	size_t i, n;
	int err = args_jobs(cmd, argc, argv, args, &jobs, &n);

	for (i = 0; !err && i < n; i++)
		err = view_check_unused(&jobs[i]);
	if (err)
		return err;
	if (job_is_backup(jobs))
		return backup_end(jobs, n, true, &o);
	return n == 1 ? job_complete(jobs, &o) : group_complete(jobs, n, &o);
}

const struct command cmd_complete = {
	.name = "complete",
	.args = "JOB",
	.summary = "Switch to the target device, as soon as the job is ready; end a backup",
	.options =
	"JOB can be the name of a group: all its jobs switch at one instant, or none.\n"
	"A backup ends: when the image is complete, its layer is taken out.\n\n"
	"  --keep-source        keep the old extents of a logical volume\n"
	"  --timeout TIME       detach if the job is not ready by then\n"
	"  --switch-timeout TIME  give up getting in step after this (60s)\n",
	.run = run,
};
