// SPDX-License-Identifier: GPL-2.0-or-later
/* map: which parts of the source are still to be copied. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "cleanup.h"
#include "map.h"
#include "output.h"
#include "since.h"
#include "size.h"
#include "track.h"

#define COLUMNS 64	/* where nobody knows better */
#define ROWS 8
#define CELL_MIN 4096

/* From "nothing dirty" to "all dirty". */
static const char * const ascii[] = { ".", "-", "+", "#" };
static const char * const utf8[] = { "\u2591", "\u2592", "\u2593", "\u2588" };

static unsigned int columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return COLUMNS;
	return size.ws_col;
}

static const char *const *shades(void)
{
	if (!isatty(STDOUT_FILENO) || !setlocale(LC_CTYPE, "") ||
	    strcmp(nl_langinfo(CODESET), "UTF-8"))
		return ascii;
	return utf8;
}

static unsigned int shade(uint64_t dirty, uint64_t of)
{
	return !dirty ? 0 : dirty >= of ? 3 : dirty * 2 >= of ? 2 : 1;
}

/* Bytes of the sorted @dirty from @start to @end; *@i is where to look. */
static uint64_t dirty_in(const struct ranges *dirty, size_t *i, uint64_t start,
			 uint64_t end)
{
	uint64_t sum = 0;

	for (; *i < dirty->n; (*i)++) {
		const struct range *r = &dirty->r[*i];
		uint64_t first = r->start > start ? r->start : start;
		uint64_t last = r->start + r->len;

		if (first < end)
			sum += (last < end ? last : end) - first;
		if (last > end)
			break;
	}
	return sum;
}

static void draw(const struct job *job, const struct ranges *dirty, bool since)
{
	uint64_t len = job->length * 512, cell, at, end;
	const char *const *shade_of = shades();
	unsigned int width = columns(), column = 0;
	const char *what = since ? "changed" : "dirty";
	char size[16];
	size_t i = 0;

	cell = (len - 1) / (width * ROWS) + 1;
	cell = cell > CELL_MIN ? (cell + 511) / 512 * 512 : CELL_MIN;
	for (at = 0; at < len; at = end) {
		end = at + cell < len ? at + cell : len;
		fputs(shade_of[shade(dirty_in(dirty, &i, at, end), end - at)],
		      stdout);
		if (++column == width || end == len) {
			putchar('\n');
			column = 0;
		}
	}
	printf("%s each: %s %s  %s %s  %s half %s  %s all %s\n",
	       size_format(size, sizeof(size), cell), shade_of[0],
	       since ? "as it was" : "copied", shade_of[1], what, shade_of[2], what,
	       shade_of[3], what);
}

static void print_json(const struct job *job, const struct ranges *dirty,
		       const char *since)
{
	struct json j = { .f = stdout };

	json_begin(&j, NULL, '{');
	json_string(&j, "id", job->id);
	json_number(&j, "length", job->length * 512);
	if (since)
		json_string(&j, "since", since);
	json_ranges(&j, since ? "changed" : "dirty", dirty);
	json_end(&j, '}');
	putchar('\n');
}

static int show_changed(const struct job *job, const char *since, bool json)
{
	autoranges struct ranges changed = { 0 };
	int err = since_changed(job, since, &changed);

	if (err)
		return err;
	if (json)
		print_json(job, &changed, since);
	else
		draw(job, &changed, true);
	return EX_DONE;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	autoranges struct ranges dirty = { 0 };
	bool json = false;
	const char *ref, *since = NULL;
	const struct arg args[] = {
		ARG("since", TEXT, &since), ARG_JSON(&json), { 0 }
	};
	struct job job;
	int err = args_parse(cmd, argc, argv, args, 1, 1, "needs one JOB", &ref);

	if (!err)
		err = since ? track_find(ref, &job) : job_find(ref, &job);
	if (err)
		return err;
	if (since)
		return show_changed(&job, since, json);
	err = map_read(&job, &dirty);
	if (err)
		return fail(EX_ATTENTION, "cannot read the map of job %s: %s; see: blkjob status %s",
			    job.id, strerror(-err), job.id);
	if (json)
		print_json(&job, &dirty, NULL);
	else
		draw(&job, &dirty, false);
	return EX_DONE;
}

const struct command cmd_map = {
	.name = "map",
	.args = "JOB [--since CHECKPOINT] [--json]",
	.summary = "Show which parts are still to be copied, or have changed",
	.options =
	"  --since CHECKPOINT   of a tracked device: what has changed since\n"
	"  --json               the ranges, in bytes\n",
	.run = run,
};
