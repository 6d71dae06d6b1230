// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "output.h"
#include "size.h"

static void print_size(const char *name, uint64_t bytes, const char *suffix)
{
	char buf[32];

	if (bytes != UNKNOWN)
		printf("%-14s %s%s\n", name,
		       size_format(buf, sizeof(buf), bytes), suffix);
}

static void print_word(const char *name, const char *word)
{
	if (*word)
		printf("%-14s %s\n", name, word);
}

static void print_status(const struct job *job)
{
	const struct status *st = &job->st;
	autofree char *device = job_device(job);
	autofree char *source = device_path(job->source);
	autofree char *target = device_path(job->target);
	autofree char *parent = job->replaces ? device_path(job->replaces) :
						xstrdup("");
	uint64_t eta = status_eta(status_remaining(st), st->rate, st->dirty_rate);
	char buf[32], sentence[256];

	print_word("job", job->id);
	print_word("type", st->type);
	print_word("status", status_state_name(st->state));
	print_word("device", device);
	print_word("source", source);
	print_word("target device", target);
	if (job_can_undo(job))
		printf("%-14s reversed: the old source is kept equal, 'blkjob undo %s' goes back to it\n",
		       "direction", job->id);
	print_word("replaces it in", parent);
	print_size("done", st->offset, "");
	print_size("of", st->len, "");
	print_size("dirty", st->dirty, "");
	print_size("before writes", st->cbw, "");
	print_size("rework", st->rework, ", equal, but copied again after a crash");
	if (!st->remembers)
		print_word("metadata", "nobody could go on with them after a crash");
	print_size("rate", st->rate, "/s");
	print_size("dirty rate", st->dirty_rate, "/s");
	if (eta != UNKNOWN && eta)
		print_word("ETA", time_format(buf, sizeof(buf), eta));
	if (status_converge(st, sentence, sizeof(sentence)))
		print_word("convergence", sentence);
	if (st->speed)
		print_size("speed limit", st->speed, "/s");
	print_word("I/O status", st->io_status);
	print_word("error", st->error);
	print_word("last error", st->last_error);
	print_word("result", st->result);
	print_word("active leg", st->active);
	print_word("group", st->group);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	bool json = false;
	const struct arg args[] = { ARG_JSON(&json), { 0 } };
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = args_jobs(cmd, argc, argv, args, &jobs, &n);

	for (i = 0; !err && i < n; i++) {
		if (json)
			output_job(&jobs[i]);
		else
			print_status(&jobs[i]);
		if (!json && i + 1 < n)
			putchar('\n');
	}
	return err;
}

const struct command cmd_status = {
	.name = "status",
	.args = "JOB [--json]",
	.summary = "Show one job in detail",
	.options = "  --json               an object for each job, numbers in bytes and seconds\n",
	.run = run,
};
