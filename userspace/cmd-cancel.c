// SPDX-License-Identifier: GPL-2.0-or-later

#include "blkjob.h"
#include "cleanup.h"
#include "complete.h"
#include "group.h"
#include "start.h"
#include "stream.h"
#include "view.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	uint64_t timeout_us = SWITCH_TIMEOUT_US;
	autofree char *why = NULL;
	autolv struct lv spare = { 0 };
	bool force = false;
	const struct arg args[] = {
		ARG("force", FLAG, &force),
		ARG_TIMEOUT(&timeout_us), { 0 }
	};
	const char *ref;
	autofree struct job *jobs = NULL;
	size_t i, n;
	int err;

	err = args_parse(cmd, argc, argv, args, 1, 1, "needs one JOB", &ref);
	if (err)
		return err;
	msg_quiet(true);
	err = job_find_all(ref, &jobs, &n);
	msg_quiet(false);
	for (i = 0; !err && i < n; i++)
		if (view_check_unused(&jobs[i]))
			return EX_REFUSED;
	if (!err && job_is_stream(jobs))
		return stream_cancel(jobs, force, timeout_us);
	if (!err)
		return n == 1 ? job_cancel(jobs, force, timeout_us) :
				group_cancel(jobs, n, force, timeout_us);
	/* A reboot or another tool took the layer; the volume is still there. */
	if (lvm_find_spare(ref, &spare)) {
		say("job %s has no layer any more; removing %s/%s",
		    ref, spare.vg, spare.name);
		return lvm_remove(&spare);
	}
	why = xstrdup(msg_last_error());
	return fail(err, "%s", why);
}

const struct command cmd_cancel = {
	.name = "cancel",
	.args = "JOB [--force]",
	.summary = "End a job and remove its layer; the source stays in use",
	.options =
	"When the job is ready, the target device becomes a consistent copy first. JOB can\n"
	"be the name of a group: its target devices become copies of one instant.\n"
	"A stream keeps what is there, and its device stays in use on both.\n\n"
	"  --force              do not wait for that; of a stream, remove the device that\n"
	"                       was made for it as well\n"
	"  --timeout TIME       give up waiting for that (60s)\n",
	.run = run,
};
