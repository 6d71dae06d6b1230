// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "blkjob.h"
#include "progress.h"
#include "remember.h"
#include "start.h"
#include "takeup.h"

static int wait_ready(struct job *job)
{
	struct progress p;
	int err;

	progress_start(&p, false);
	err = job_wait(job, STATE(READY) | STATE(STANDBY) | STATE(CONCLUDED), 0,
		       &p);
	progress_end(&p);
	if (err < 0)
		return fail(EX_ROLLED_BACK, "cannot follow job %s: %s", job->id,
			    strerror(-err));
	if (err)
		return job_detached(job, false);
	return job_error(job);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct start_options o = { MIRROR_DEFAULTS };
	bool wait = false, taken = false;
	const struct arg args[] = {
		MIRROR_ARGS(&o), ARG("group", TEXT, &o.group),
		ARG("metadata", TEXT, &o.metadata),
		ARG("unwritten", FLAG, &o.unwritten),
		ARG("reset", FLAG, &o.reset),
		ARG("wait", FLAG, &wait), { 0 }
	};
	static const char usage[] =
		"needs SOURCE and TARGET, or --group and any number of SOURCE:TARGET";
	const char *words[BLKJOB_GROUP_MEMBERS];
	struct job jobs[BLKJOB_GROUP_MEMBERS];
	size_t n = 0, i;
	int err;

	err = args_parse(cmd, argc, argv, args, 1, ARRAY_SIZE(words), usage,
			 words);
	if (!err)
		err = start_check(cmd, &o);
	if (!err)
		err = remember_usage(cmd, &o);
	if (err)
		return err;
	while (n < ARRAY_SIZE(words) && words[n])
		n++;
	if (o.group && (o.replaces || o.bitmap))
		return usage_error(cmd, "--group does not go together with --replaces or --bitmap");
	if (o.group) {
		err = start_group(words, n, &o, jobs);
	} else if (n == 2) {
		n = 1;
		err = takeup_job(words[0], words[1], &o, jobs, &taken);
		if (!err && !taken)
			err = start_job(words[0], words[1], &o, jobs);
	} else {
		return usage_error(cmd, usage);
	}
	for (i = 0; !err && wait && i < n; i++)
		err = wait_ready(&jobs[i]);
	return err;
}

const struct command cmd_mirror = {
	.name = "mirror",
	.args = "SOURCE TARGET | --group NAME SOURCE:TARGET...",
	.summary = "Keep a second device equal to one in use",
	.options =
	"When the job is ready, 'complete' switches SOURCE to TARGET, and 'cancel' leaves\n"
	"TARGET as a consistent copy. The jobs of a group do both at one instant.\n\n"
	MIRROR_HELP
	"  --metadata DEVICE    remembers what may differ: the same command goes on with that\n"
	"                       after a crash, an outage of TARGET or 'cancel'; 9M for each 1T\n"
	"  --unwritten          a promise: nothing was written to SOURCE while the job was not\n"
	"                       there\n"
	"  --reset              copy everything, whatever DEVICE knows\n"
	"  --group NAME         several pairs, to be completed or cancelled as NAME\n"
	"  --wait               return when TARGET has caught up\n",
	.run = run,
};
