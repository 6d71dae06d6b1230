// SPDX-License-Identifier: GPL-2.0-or-later
/* track and untrack: remember on disk what changes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "cleanup.h"
#include "complete.h"
#include "device.h"
#include "lock.h"
#include "metadata.h"
#include "preflight.h"
#include "stack.h"
#include "start.h"
#include "track.h"

struct track_options {
	const char *metadata, *checkpoint;
	uint64_t granularity;
	bool reset, resize, unwritten, force;
};

/*
 * Metadata that are there know about the source what they were told. What was
 * written while nobody listened they do not.
 */
static int check_found(const struct metadata *md, const struct plan *p,
		       const char *source, const struct track_options *o)
{
	unsigned int i, usable = 0;

	for (i = 0; i < md->n; i++)
		usable += md->checkpoint[i].state != CHECKPOINT_INCONSISTENT;
	if (!usable || o->unwritten || dm_open_count(p->user.devno) == 0)
		return 0;
	return fail(EX_REFUSED,
		    "%s is in use, and what was written to it since it was set up is not in the checkpoints on %s; track it before anything opens it, promise with --unwritten that nothing was written, or begin anew with --reset",
		    source, o->metadata);
}

static char *identity(const struct dm_dev *user)
{
	size_t i;
	char *word = xasprintf("%s", *user->uuid ? user->uuid : user->name);

	for (i = 0; word[i]; i++)
		if (word[i] <= ' ' || word[i] > '~')
			word[i] = '_';
	if (i > BLKJOB_MD_IDENTITY)
		word[BLKJOB_MD_IDENTITY] = '\0';
	return word;
}

/* Has the source another length now? What is of something else the kernel refuses. */
static int check_length(const struct metadata *md, dev_t devno,
			const struct plan *p, const char *source,
			const struct track_options *o)
{
	uint64_t length = table_length(&p->old) * 512;
	autofree char *word = identity(&p->user);
	int err;

	if (length == md->length || strcmp(word, md->identity) ||
	    strcmp(md->type, "track"))
		return 0;
	if (length < md->length)
		return fail(EX_REFUSED,
			    "%s has %llu bytes, and the checkpoints on %s are of one with %llu; what a device that became shorter has lost cannot be told, begin anew with --reset",
			    source, (unsigned long long)length, o->metadata,
			    (unsigned long long)md->length);
	if (!o->resize)
		return fail(EX_REFUSED,
			    "%s has %llu bytes, and the checkpoints on %s are of one with %llu; with --resize they go on, and what is new counts as changed, or begin anew with --reset",
			    source, (unsigned long long)length, o->metadata,
			    (unsigned long long)md->length);
	err = metadata_grow(o->metadata, devno, length);
	if (!err)
		say("%s is for %llu bytes now; what is new since there were %llu counts as changed",
		    o->metadata, (unsigned long long)length,
		    (unsigned long long)md->length);
	return err;
}

/* What is on the metadata device, and may it be used? Sets the granularity. */
static int look_at_metadata(dev_t devno, const struct plan *p,
			    const char *source, struct track_options *o)
{
	automd struct metadata md = { 0 };
	autofree char *why = NULL;
	bool blank = false;
	int err = metadata_blank(devno, &blank);

	if (err || blank)
		return err;
	if (o->reset)
		return metadata_wipe(devno);
	msg_quiet(true);
	err = metadata_read(o->metadata, 0, NULL, &md);
	msg_quiet(false);
	if (err && o->force)
		return metadata_wipe(devno);
	if (err) {
		why = xstrdup(msg_last_error());
		return fail(EX_REFUSED, "%s --force makes new metadata there",
			    why);
	}
	if (o->granularity == UNKNOWN)
		o->granularity = md.granularity;
	err = check_found(&md, p, source, o);
	return err ? err : check_length(&md, devno, p, source, o);
}

static int insert(struct plan *p, const struct track_options *o,
		  struct job *job)
{
	const struct swap_how how = { .freeze = false };
	autofree char *word = identity(&p->user);
	struct insertion in = {
		.user = &p->user, .old = &p->old,
		.layer = { .type = "track", .target = p->target },
	};
	uint64_t us = 0;
	int err = stack_new_id(in.layer.id);

	layer_add_word(&in.layer, "identity", word);
	layer_add_number(&in.layer, "granularity", o->granularity);
	if (!err)
		err = stack_create(&in, job);
	free(in.layer.options);
	if (err)
		return err;
	err = stack_insert(&in, 1, &how, job, &us);
	if (err && err != EX_ATTENTION)
		stack_discard(&in);
	return err ? err : job_send(job, "resume");
}

static int track(const char *source, struct track_options *o)
{
	const struct start_options plain = { START_DEFAULTS };
	autolock struct lock lock = NO_LOCK;
	autoplan struct plan p = { 0 };
	autofree char *label = NULL;
	uint32_t version[3];
	struct job job;
	dev_t devno;
	int err;

	err = preflight_kernel(version);
	if (!err)
		err = preflight_resolve(source, &devno);
	if (!err)
		err = lock_device(&lock, devno);
	if (!err)
		err = plan_make(&p, source, NULL, &plain);
	if (!err)
		err = preflight_resolve(o->metadata, &p.target);
	/* How large it has to be is for the kernel to say. */
	if (!err)
		err = preflight_target(p.target, p.user.devno, METADATA_MIN,
				       o->force);
	if (!err)
		err = look_at_metadata(p.target, &p, source, o);
	if (!err)
		err = insert(&p, o, &job);
	if (err)
		return err;
	label = job_device(&job);
	say("job %s started: %s is tracked on %s", job.id, label, o->metadata);
	if (!o->checkpoint)
		return 0;
	err = track_begin(&job, o->checkpoint);
	if (!err)
		say("checkpoint %s begun", o->checkpoint);
	return err;
}

static int run_track(const struct command *cmd, int argc, char **argv)
{
	struct track_options o = { .granularity = UNKNOWN };
	const struct arg args[] = {
		ARG("metadata", TEXT, &o.metadata),
		ARG("granularity", SIZE, &o.granularity),
		ARG("checkpoint", TEXT, &o.checkpoint),
		ARG("unwritten", FLAG, &o.unwritten),
		ARG("reset", FLAG, &o.reset),
		ARG("resize", FLAG, &o.resize),
		ARG("force", FLAG, &o.force), { 0 }
	};
	const char *source;
	int err = args_parse(cmd, argc, argv, args, 1, 1, "needs SOURCE",
			     &source);

	if (!err && !o.metadata)
		err = usage_error(cmd, "needs --metadata DEVICE");
	if (!err && o.reset && o.resize)
		err = usage_error(cmd, "--reset forgets what --resize keeps: give one of them");
	return err ? err : track(source, &o);
}

static int run_untrack(const struct command *cmd, int argc, char **argv)
{
	const char *source;
	struct job job;
	int err = args_parse(cmd, argc, argv, NULL, 1, 1, "needs one SOURCE",
			     &source);

	if (!err)
		err = track_find(source, &job);
	return err ? err : job_cancel(&job, true, SWITCH_TIMEOUT_US);
}

const struct command cmd_track = {
	.name = "track",
	.args = "SOURCE --metadata DEVICE",
	.summary = "Remember on disk what changes, for incremental backups",
	.options =
	"Begins with 'checkpoint', or goes on with what is on DEVICE.\n\n"
	"  --metadata DEVICE    where to remember it: 4M for each 1T and checkpoint\n"
	"  --granularity SIZE   bytes tracked as one, a power of two (64K)\n"
	"  --checkpoint NAME    begin this one at once\n"
	"  --unwritten          a promise: nothing was written while it was not tracked\n"
	"  --resize             SOURCE has become longer: what is new counts as changed\n"
	"  --reset              forget all checkpoints that are on DEVICE\n"
	"  --force              overwrite what is on DEVICE\n",
	.run = run_track,
};

const struct command cmd_untrack = {
	.name = "untrack",
	.args = "SOURCE",
	.summary = "Stop tracking; all checkpoints lose their meaning",
	.options = NULL,
	.run = run_untrack,
};
