// SPDX-License-Identifier: GPL-2.0-or-later
/* dump: what a job has written down on its metadata device. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "cleanup.h"
#include "metadata.h"
#include "output.h"
#include "size.h"

static const char * const states[] = {
	[CHECKPOINT_ACTIVE] = "active",
	[CHECKPOINT_STARTING] = "starting",
	[CHECKPOINT_INCONSISTENT] = "inconsistent",
};

static void print_json(const struct metadata *md, const struct checkpoint *since)
{
	struct json j = { .f = stdout };
	unsigned int i;

	json_begin(&j, NULL, '{');
	json_number(&j, "version", md->version);
	json_string(&j, "type", md->type);
	json_number(&j, "length", md->length);
	json_string(&j, "identity", *md->identity ? md->identity : NULL);
	json_number(&j, "target_length",
		    md->target_length ? md->target_length : UNKNOWN);
	json_string(&j, "target_identity",
		    *md->target_identity ? md->target_identity : NULL);
	json_string(&j, "note", *md->note ? md->note : NULL);
	json_number(&j, "granularity", md->granularity);
	json_number(&j, "size", md->size);
	json_number(&j, "places", md->places);
	json_number(&j, "damaged", metadata_damaged(md));
	if (!metadata_has_checkpoints(md))
		json_bool(&j, "ended", md->ended);
	json_begin(&j, metadata_has_checkpoints(md) ? "checkpoints" : "bitmaps",
		   '[');
	for (i = 0; i < md->n; i++) {
		const struct checkpoint *c = &md->checkpoint[i];

		json_begin(&j, NULL, '{');
		json_string(&j, "name", c->name);
		json_number(&j, "time_us", c->time_us);
		json_string(&j, "state", states[c->state]);
		json_number(&j, metadata_has_checkpoints(md) ? "changed" : "set",
			    c->changed);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	json_string(&j, "since", since ? since->name : NULL);
	if (since)
		json_ranges(&j, "ranges", &since->ranges);
	json_end(&j, '}');
	putchar('\n');
}

/* As --bitmap of mirror takes it. */
static void print_ranges(const struct checkpoint *c)
{
	size_t i;

	for (i = 0; i < c->ranges.n; i++)
		printf("%llu %llu\n", (unsigned long long)c->ranges.r[i].start,
		       (unsigned long long)c->ranges.r[i].len);
}

static void print_checkpoint(const struct checkpoint *c)
{
	char when[32] = "-", size[32];
	time_t seconds = c->time_us / 1000000;
	struct tm tm;

	if (c->time_us && localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%F %T", &tm);
	printf("%-24s %-19s %-12s %11s", c->name, when, states[c->state],
	       size_format(size, sizeof(size), c->changed));
	if (c->damaged)
		printf("  %u sectors damaged", c->damaged);
	if (c->doubtful)
		printf(", %u of them counted as changed", c->doubtful);
	putchar('\n');
}

static void print_leg(const char *what, uint64_t bytes, const char *identity)
{
	char length[32];

	printf("%s of %s: %s\n", what, size_format(length, sizeof(length), bytes),
	       *identity ? identity : "not identified");
}

/* Of a stream: what is on the target device. Of a mirror: what may differ. */
static void print_bitmap(const struct metadata *md, const struct checkpoint *c)
{
	char size[32];

	printf("%-24s %11s %3u%%", c->name,
	       size_format(size, sizeof(size), c->changed),
	       (unsigned int)((unsigned __int128)c->changed * 100 / md->length));
	if (c->damaged)
		printf("  %u sectors damaged, %u of them unknown", c->damaged,
		       c->doubtful);
	putchar('\n');
}

static void print_bitmaps(const struct metadata *md)
{
	bool checkpoints = metadata_has_checkpoints(md);
	unsigned int i;

	if (checkpoints)
		printf("%u of %u checkpoints\n", md->n, md->places);
	if (md->n && checkpoints)
		printf("%-24s %-19s %-12s %11s\n", "CHECKPOINT", "TIME",
		       "STATE", "CHANGED");
	else if (md->n)
		printf("%-24s %11s\n", "BITMAP", "SET");
	for (i = 0; i < md->n; i++) {
		if (checkpoints)
			print_checkpoint(&md->checkpoint[i]);
		else
			print_bitmap(md, &md->checkpoint[i]);
	}
}

static void print_text(const struct metadata *md)
{
	char granularity[32], size[32];

	printf("type %s, version %u, %s, in regions of %s\n", md->type,
	       md->version, size_format(size, sizeof(size), md->size),
	       size_format(granularity, sizeof(granularity), md->granularity));
	print_leg("source", md->length, md->identity);
	if (md->target_length)
		print_leg("target device", md->target_length,
			  md->target_identity);
	if (*md->note)
		printf("note %s\n", md->note);
	if (md->ended)
		printf("ended: the target device has everything, the source may lack what was written last\n");
	if (md->damaged_supers)
		printf("one of the two copies of the superblock is damaged\n");
	print_bitmaps(md);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	automd struct metadata md = { 0 };
	const struct checkpoint *c = NULL;
	const char *path, *since = NULL;
	uint64_t offset = 0;
	bool json = false;
	const struct arg args[] = {
		ARG("since", TEXT, &since),
		ARG("offset", SIZE, &offset),
		ARG_JSON(&json), { 0 }
	};
	int err = args_parse(cmd, argc, argv, args, 1, 1,
			     "needs one metadata device", &path);

	if (!err && offset % 4096)
		return usage_error(cmd, "--offset is a multiple of 4096");
	if (!err)
		err = metadata_read(path, offset, since, &md);
	if (err)
		return err;
	if (since)
		c = metadata_find(&md, since);
	if (c && c->state == CHECKPOINT_STARTING)
		return fail(EX_REFUSED,
			    "checkpoint %s is only being begun; try again when it is active",
			    since);
	if (json)
		print_json(&md, c);
	else if (c)
		print_ranges(c);
	else
		print_text(&md);
	return EX_DONE;
}

const struct command cmd_dump = {
	.name = "dump",
	.args = "METADATA [--since CHECKPOINT] [--json]",
	.summary = "Show what a metadata device holds; change nothing",
	.options =
	"METADATA is a device or a file.\n\n"
	"  --since CHECKPOINT   the ranges that have changed since, as --bitmap takes them;\n"
	"                       of a stream \"valid\", those that are on its target device;\n"
	"                       of a mirror \"differ\", those in which its legs may differ\n"
	"  --offset SIZE        where the metadata begin (0)\n"
	"  --json               one object; sizes in bytes\n",
	.run = run,
};
