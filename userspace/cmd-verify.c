// SPDX-License-Identifier: GPL-2.0-or-later
/* verify: are the legs of a job equal? */
#include <stdio.h>

#include "args.h"
#include "cleanup.h"
#include "device.h"
#include "output.h"
#include "size.h"
#include "verify.h"

static void print_json(const struct job *job, const struct verify_result *r)
{
	struct json j = { .f = stdout };

	json_begin(&j, NULL, '{');
	json_string(&j, "id", job->id);
	json_number(&j, "length", job->length * 512);
	json_bool(&j, "equal", !r->differ.n);
	json_ranges(&j, "differ", &r->differ);
	json_ranges(&j, "not-compared", &r->busy);
	json_end(&j, '}');
	putchar('\n');
}

static int conclude(const struct job *job, const struct verify_result *r)
{
	autofree char *source = device_path(job->source);
	autofree char *target = device_path(job->target);
	uint64_t compared = job->length * 512 - ranges_total(&r->busy);
	char size[32];

	if (r->differ.n)
		return fail(EX_ATTENTION,
			    "%s and %s differ in %zu ranges; was one of them written past the job? See: dmesg. 'blkjob cancel --force %s', then start again",
			    source, target, r->differ.n, job->id);
	say("%s and %s are equal: %s compared", source, target,
	    size_format(size, sizeof(size), compared));
	return EX_DONE;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	autoverify struct verify_result r = { 0 };
	uint64_t speed = 0;
	bool json = false;
	const struct arg args[] = {
		ARG("speed", SIZE, &speed), ARG_JSON(&json), { 0 }
	};
	struct progress p;
	struct job job;
	int err = args_job(cmd, argc, argv, args, &job);

	if (err)
		return err;
	progress_start(&p, json);
	err = verify_job(&job, speed, &p, &r);
	if (err)
		return err;
	if (json) {
		print_json(&job, &r);
		msg_quiet(true);
	} else {
		output_ranges("differ", &r.differ);
		output_ranges("not compared, being written", &r.busy);
	}
	return conclude(&job, &r);
}

const struct command cmd_verify = {
	.name = "verify",
	.args = "JOB [--speed RATE] [--json]",
	.summary = "Compare source and target device of a ready job",
	.options =
	"The device stays in use. Exit status 7 if they differ.\n\n"
	"  --speed RATE         read at most RATE bytes a second of each; 0 = no limit\n"
	"  --json               one object: id, length, equal, differ, not-compared\n",
	.run = run,
};
