// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "blkjob.h"
#include "cleanup.h"
#include "metadata.h"
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

/* Of a mirror a lost sector costs no more than copying what is in it. */
static int mirror_damaged(const char *path, const struct metadata *md)
{
	return fail(EX_ATTENTION,
		    "%s: %u sectors are damaged; what they may hide counts as different, so 'blkjob recover %s' copies more than it had to",
		    path, metadata_damaged(md), path);
}

/* Of a stream: is it known for each region which leg has it? */
static int check_bitmaps(const char *path, const struct metadata *md)
{
	unsigned int i, damaged = metadata_damaged(md);

	if (damaged && !strcmp(md->type, "mirror"))
		return mirror_damaged(path, md);
	if (md->ended)
		return fail(EX_ATTENTION,
			    "%s: the %s has ended on its target device \"%s\", which has everything; see: blkjob dump %s",
			    path, md->type, md->target_identity, path);
	for (i = 0; i < md->n; i++)
		if (md->checkpoint[i].doubtful)
			return fail(EX_ATTENTION,
				    "%s: %u sectors of the bitmap \"%s\" are lost, so nobody knows whether that part is on the source or on the target device. Both still have what they have: save them, then see: blkjob dump %s",
				    path, md->checkpoint[i].doubtful,
				    md->checkpoint[i].name, path);
	if (damaged)
		return fail(EX_ATTENTION,
			    "%s: %u sectors are damaged; the other copy of each is whole, and 'blkjob recover %s' goes on with that",
			    path, damaged, path);
	say("%s is whole: a %s from %s to %s", path, md->type, md->identity,
	    md->target_identity);
	return EX_DONE;
}

/* Are the metadata whole, and can each checkpoint be used? */
static int check_metadata(const char *path, uint64_t offset)
{
	automd struct metadata md = { 0 };
	int err = metadata_read(path, offset, NULL, &md);
	unsigned int i;

	if (err)
		return err;
	if (!metadata_has_checkpoints(&md))
		return check_bitmaps(path, &md);
	for (i = 0; i < md.n; i++)
		if (md.checkpoint[i].state == CHECKPOINT_INCONSISTENT)
			return fail(EX_ATTENTION,
				    "%s: what has changed since checkpoint %s is not known, so everything counts as changed; begin a new checkpoint with a full backup",
				    path, md.checkpoint[i].name);
	if (metadata_damaged(&md))
		return fail(EX_ATTENTION,
			    "%s: %u sectors are damaged; what they may hide counts as changed, see: blkjob dump %s",
			    path, metadata_damaged(&md), path);
	say("%s is whole, with %u checkpoint%s", path, md.n,
	    md.n == 1 ? "" : "s");
	return EX_DONE;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	static const char usage[] =
		"takes at most one SOURCE, and --to only with it";
	const char *source, *target = NULL, *metadata = NULL;
	uint64_t offset = 0;
	bool json = false, force = false;
	const struct arg args[] = {
		ARG("to", TEXT, &target),
		ARG("force", FLAG, &force),
		ARG("metadata", TEXT, &metadata),
		ARG("offset", SIZE, &offset),
		ARG_JSON(&json), { 0 }
	};
	int err = args_parse(cmd, argc, argv, args, 0, 1, usage, &source);

	if (err)
		return err;
	if (target && !source)
		return usage_error(cmd, usage);
	if (metadata && (source || json || force))
		return usage_error(cmd, "--metadata stands alone");
	if (metadata)
		return check_metadata(metadata, offset);
	return check(source, target, force, json);
}

const struct command cmd_check = {
	.name = "check",
	.args = "[SOURCE [--to TARGET] | --metadata DEVICE]",
	.summary = "Say whether a job could start; change nothing",
	.options =
	"  --to TARGET          as for migrate\n"
	"  --force              do not mind what is on the target device\n"
	"  --metadata DEVICE    whether what is on a metadata device can be used\n"
	"  --offset SIZE        where the metadata begin (0)\n"
	"  --json               one object: ok, version, source, target, error\n",
	.run = run,
};
