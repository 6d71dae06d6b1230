// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "output.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	autofree struct job *jobs = NULL;
	struct json j = { .f = stdout };
	bool json = false;
	const struct arg args[] = { ARG_JSON(&json), { 0 } };
	size_t n, i;
	int err;

	err = args_parse(cmd, argc, argv, args, 0, 0, "takes no arguments", NULL);
	if (!err)
		err = job_list(&jobs, &n);
	if (err)
		return err;
	if (!json)
		return n ? output_job_list(jobs, n) : EX_DONE;
	json_begin(&j, NULL, '[');
	for (i = 0; i < n; i++)
		output_job_json(&j, &jobs[i]);
	json_end(&j, ']');
	putchar('\n');
	return EX_DONE;
}

const struct command cmd_list = {
	.name = "list",
	.args = "[--json]",
	.summary = "Show all jobs",
	.options = "  --json               one array of objects\n",
	.run = run,
};
