// SPDX-License-Identifier: GPL-2.0-or-later

#include "backup.h"
#include "blkjob.h"
#include "cleanup.h"
#include "complete.h"
#include "group.h"
#include "start.h"
#include "stream.h"
#include "undo.h"
#include "view.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	struct complete_options o = { .switch_timeout_us = SWITCH_TIMEOUT_US };
	uint64_t for_us = 0;
	const struct arg args[] = {
		COMPLETE_ARGS(&o),
		ARG("keep-source-synced", FLAG, &o.keep_synced),
		ARG("for", TIME, &for_us), { 0 }
	};
	autofree struct job *jobs = NULL;
	size_t i, n;
	const char *ref;
	int err = args_parse(cmd, argc, argv, args, 1, 1, "needs one JOB", &ref);

	if (err)
		return err;
	if (for_us && !o.keep_synced)
		return usage_error(cmd, "--for is how long --keep-source-synced lasts");
	err = job_find_all(ref, &jobs, &n);
	for (i = 0; !err && i < n; i++)
		err = view_check_unused(&jobs[i]);
	if (err)
		return err;
	if (job_is_stream(jobs))
		return stream_complete(jobs, &o);
	if (job_is_backup(jobs) && !o.keep_synced)
		return backup_end(jobs, n, true, &o);
	if (o.keep_synced)
		return undo_keep(jobs, n, &o, for_us);
	if (undo_kept(jobs, n))
		return undo_let_go(jobs, n);
	return n == 1 ? job_complete(jobs, &o) : group_complete(jobs, n, &o);
}

const struct command cmd_complete = {
	.name = "complete",
	.args = "JOB",
	.summary = "Switch to the target device, as soon as the job is ready; end a backup",
	.options =
	"JOB can be the name of a group: all its jobs switch at one instant, or none.\n"
	"A backup ends: when the image is complete, its layer is taken out. A stream drops\n"
	"its source, when everything is on the target device.\n"
	"A job that was switched with --keep-source-synced lets the old source go.\n\n"
	"  --keep-source        keep the old extents of a logical volume\n"
	"  --keep-source-synced  switch, and keep the old source equal: see undo\n"
	"  --for TIME           with that: wait so long, then let the old source go\n"
	"  --timeout TIME       detach if the job is not ready by then\n"
	"  --switch-timeout TIME  give up getting in step after this (60s)\n",
	.run = run,
};
