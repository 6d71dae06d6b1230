// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "output.h"
#include "preflight.h"
#include "start.h"

static void print_json(int err, const char *version, const char *source,
		       const char *target)
{
	struct json j = { .f = stdout };

	json_begin(&j, NULL, '{');
	json_bool(&j, "ok", !err);
	json_string(&j, "version", version);
	json_string(&j, "source", source);
	json_string(&j, "target", target);
	json_string(&j, "error", err ? msg_last_error() : NULL);
	json_end(&j, '}');
	putchar('\n');
}

static int check(const char *source, const char *target, bool force, bool json)
{
	const struct start_options o = {
		MIRROR_DEFAULTS, .migrate = true, .force = force,
	};
	autofree char *text = NULL;
	autoplan struct plan p = { 0 };
	uint32_t version[3];
	int err;

	msg_quiet(json);
	err = preflight_kernel(version);
	if (!err)
		text = xasprintf("%u.%u.%u", version[0], version[1], version[2]);
	if (!err && source)
		err = plan_make(&p, source, target, &o);
	msg_quiet(false);
	if (json)
		print_json(err, text, source, target);
	else if (!err && source)
		say("%s can have a job%s%s", source, target ? " to " : "",
		    target ? target : "");
	else if (!err)
		say("kernel target \"" BLKJOB_TARGET "\" %s is available", text);
	return err;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	static const char usage[] =
		"takes at most one SOURCE, and --to only with it";
	const char *source, *target = NULL;
	bool json = false, force = false;
	const struct arg args[] = {
		ARG("to", TEXT, &target),
		ARG("force", FLAG, &force),
		ARG_JSON(&json), { 0 }
	};
	int err = args_parse(cmd, argc, argv, args, 0, 1, usage, &source);

	if (err)
		return err;
	if (target && !source)
		return usage_error(cmd, usage);
	return check(source, target, force, json);
}

const struct command cmd_check = {
	.name = "check",
	.args = "[SOURCE [--to TARGET]]",
	.summary = "Say whether a job could start; change nothing",
	.options =
	"  --to TARGET          as for migrate\n"
	"  --force              do not mind what is on the target device\n"
	"  --json               one object: ok, version, source, target, error\n",
	.run = run,
};
