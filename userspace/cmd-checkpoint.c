// SPDX-License-Identifier: GPL-2.0-or-later
/* checkpoint: begin, delete and list the checkpoints of a tracked device. */
#include <stdio.h>
#include <time.h>

#include "args.h"
#include "cleanup.h"
#include "output.h"
#include "since.h"
#include "track.h"

static void print_json(const struct live_checkpoint *list, size_t n)
{
	struct json j = { .f = stdout };
	size_t i;

	json_begin(&j, NULL, '[');
	for (i = 0; i < n; i++) {
		json_begin(&j, NULL, '{');
		json_string(&j, "name", list[i].name);
		json_number(&j, "time_us", list[i].time_us);
		json_string(&j, "state", list[i].state);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	putchar('\n');
}

static void print_list(const struct live_checkpoint *list, size_t n)
{
	char when[32];
	struct tm tm;
	size_t i;

	for (i = 0; i < n; i++) {
		time_t seconds = list[i].time_us / 1000000;

		if (!seconds || !localtime_r(&seconds, &tm) ||
		    !strftime(when, sizeof(when), "%F %T", &tm))
			snprintf(when, sizeof(when), "-");
		printf("%-24s %-19s %s\n", list[i].name, when, list[i].state);
	}
}

static int list_all(const struct job *job, bool json)
{
	autofree struct live_checkpoint *list = NULL;
	size_t n;
	int err = track_check(job);

	if (!err)
		err = track_list(job, &list, &n);
	if (!err && json)
		print_json(list, n);
	else if (!err)
		print_list(list, n);
	return err;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	bool json = false, delete = false;
	const struct arg args[] = {
		ARG("delete", FLAG, &delete), ARG_JSON(&json), { 0 }
	};
	const char *words[2];
	struct job job;
	int err = args_parse(cmd, argc, argv, args, 1, 2,
			     "needs SOURCE, and a NAME to begin or delete one",
			     words);

	if (!err && (json ? words[1] || delete : delete && !words[1]))
		err = usage_error(cmd, "--json is for the list, and --delete needs a NAME");
	if (!err)
		err = track_find(words[0], &job);
	if (err)
		return err;
	if (!words[1])
		return list_all(&job, json);
	if (delete)
		err = since_check_idle(&job, words[1]);
	if (err)
		return err;
	err = delete ? track_delete(&job, words[1]) :
		       track_begin(&job, words[1]);
	if (!err)
		say(delete ? "checkpoint %s deleted" : "checkpoint %s begun",
		    words[1]);
	return err;
}

const struct command cmd_checkpoint = {
	.name = "checkpoint",
	.args = "SOURCE [NAME [--delete]]",
	.summary = "Begin, delete or list checkpoints of a tracked device",
	.options =
	"  --delete             what it knows goes to the checkpoint before it\n"
	"  --json               the list, as one array of objects\n",
	.run = run,
};
