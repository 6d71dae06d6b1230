// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "backup.h"
#include "blkjob.h"
#include "cleanup.h"
#include "digest.h"
#include "since.h"
#include "start.h"
#include "view.h"

#define FREEZE_TIMEOUT_US 30000000

static int check(const struct command *cmd, const struct start_options *o)
{
	int err = start_check(cmd, o);

	if (!err && o->group && o->bitmap)
		err = usage_error(cmd, "--group does not go together with --bitmap");
	if (!err && start_sync_is(o, "none") && o->words[WORD_TARGET_IS_ZERO])
		err = usage_error(cmd, "--target-is-zero needs --sync full");
	if (!err && o->spill && (o->group || o->words[WORD_CBW_STORED] ||
				 (o->bitmap_mode && !strcmp(o->bitmap_mode, "always"))))
		err = usage_error(cmd, "--spill is for one pair, and not with --cbw-stored or --bitmap-mode always: then a write waits for the target");
	return err ? err : since_usage(cmd, o);
}

/* Only what is overwritten is saved, and that until somebody says "complete". */
static int check_view(const struct command *cmd, struct start_options *o,
		      bool wait)
{
	if (o->group || o->bitmap || o->since || o->checkpoint || wait ||
	    o->words[WORD_TARGET_IS_ZERO] || o->words[WORD_CHECKSUM] ||
	    o->spill ||
	    !start_sync_is(o, o->words[WORD_SYNC] ? "none" : "full"))
		return usage_error(cmd, "--snapshot goes with --sync none alone, and not with --group, --bitmap, --since, --checkpoint, --spill, --target-is-zero, --verify or --wait");
	o->words[WORD_SYNC] = "none";
	return 0;
}

static int start_with_view(const char *const *words,
			   const struct start_options *o, const char *view,
			   bool discard, struct job *job)
{
	int err = view_check(view);

	if (!err)
		err = start_job(words[0], words[1], o, job);
	if (err)
		return err;
	err = view_create(view, job, discard);
	if (err)
		return job_undo(job) ? EX_ATTENTION : err;
	say("/dev/mapper/%s is %s as it was at that instant, until 'blkjob complete %s'",
	    view, words[0], job->id);
	return 0;
}

/* What the end needs: to hear only then that it is not there would be late. */
static int check_verify(void)
{
	autoclose int fd = digest_open();

	return fd < 0 ? -fd : 0;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct start_options o = {
		START_DEFAULTS, .backup = true,
		.freeze_timeout_us = FREEZE_TIMEOUT_US,
	};
	struct complete_options end = { 0 };
	bool wait = false, discard = false;
	const char *view = NULL;
	const struct arg args[] = {
		START_ARGS(&o),
		{ "on-cbw-error", ARG_WORD, &o.words[WORD_CBW_ERROR],
		  "break-snapshot|break-guest-write", 0 },
		ARG("cbw-timeout", TIME, &o.cbw_timeout_us),
		ARG("cbw-stored", ON, &o.words[WORD_CBW_STORED]),
		ARG("spill", TEXT, &o.spill),
		ARG("verify", ON, &o.words[WORD_CHECKSUM]),
		ARG("no-freeze", FLAG, &o.no_freeze),
		ARG("freeze-timeout", TIME, &o.freeze_timeout_us),
		ARG("group", TEXT, &o.group),
		ARG("snapshot", TEXT, &view),
		ARG("discard", FLAG, &discard),
		ARG("since", TEXT, &o.since),
		ARG("checkpoint", TEXT, &o.checkpoint),
		{ "bitmap-mode", ARG_WORD, &o.bitmap_mode,
		  "on-success|never|always", 0 },
		ARG("wait", FLAG, &wait),
		ARG_TIMEOUT(&end.timeout_us), { 0 }
	};
	static const char usage[] =
		"needs SOURCE and TARGET, or --group and any number of SOURCE:TARGET";
	const char *words[BLKJOB_GROUP_MEMBERS];
	struct job jobs[BLKJOB_GROUP_MEMBERS];
	size_t n = 0;
	int err;

	err = args_parse(cmd, argc, argv, args, 1, ARRAY_SIZE(words), usage,
			 words);
	if (!err && discard && !view)
		err = usage_error(cmd, "--discard needs --snapshot");
	if (!err && view)
		err = check_view(cmd, &o, wait);
	if (!err)
		err = check(cmd, &o);
	wait = wait || o.words[WORD_CHECKSUM];
	if (!err && end.timeout_us && !wait)
		err = usage_error(cmd, "--timeout needs --wait");
	if (!err && o.words[WORD_CHECKSUM])
		err = check_verify();
	if (err)
		return err;
	/* What is not stored would be lost for the next one. */
	if (o.bitmap_mode && !strcmp(o.bitmap_mode, "always"))
		o.words[WORD_CBW_STORED] = "on";
	while (n < ARRAY_SIZE(words) && words[n])
		n++;
	if (o.group) {
		err = start_group(words, n, &o, jobs);
	} else if (n == 2 && view) {
		n = 1;
		err = start_with_view(words, &o, view, discard, jobs);
	} else if (n == 2) {
		n = 1;
		err = start_job(words[0], words[1], &o, jobs);
	} else {
		return usage_error(cmd, usage);
	}
	return err || !wait ? err : backup_end(jobs, n, false, &end);
}

const struct command cmd_backup = {
	.name = "backup",
	.args = "SOURCE TARGET | --group NAME SOURCE:TARGET...",
	.summary = "Make an image of a device in use, as it is now",
	.options =
	"A mounted file system is frozen for an instant. The job ends by itself; 'complete'\n"
	"takes its layer out then, or use --wait. The images of a group are of one instant.\n\n"
	PACE_HELP
	ON_ERROR_HELP
	"  --on-cbw-error P     if old data cannot be saved before a write: break-snapshot,\n"
	"                       the backup fails, or break-guest-write (break-snapshot)\n"
	"  --cbw-timeout TIME   the same if it takes longer than this\n"
	"  --cbw-stored         a write waits until they are stored, not only read\n"
	"  --spill DEVICE       takes them first, so that no write waits for a slow TARGET;\n"
	"                       what is on it is overwritten\n"
	"  --sync MODE          full = everything, none = only what is overwritten, until\n"
	"                       'complete', top = what a thin volume or a snapshot holds\n"
	"                       itself, bitmap = see next (full)\n"
	BITMAP_HELP
	"  --since CHECKPOINT   copy what has changed since to the image of then; SOURCE is\n"
	"                       tracked, see: blkjob help track\n"
	"  --checkpoint NAME    begin this one at the instant of the image\n"
	"  --bitmap-mode MODE   CHECKPOINT moves to this instant on-success, never, or always:\n"
	"                       then what was not copied counts as changed (on-success)\n"
	TARGET_HELP
	"  --no-freeze          do not freeze the file system: the image is as after a\n"
	"                       power cut\n"
	"  --freeze-timeout TIME  give up a group that is not frozen by then (30s)\n"
	"  --group NAME         several pairs\n"
	"  --snapshot NAME      show SOURCE as it was as /dev/mapper/NAME, read-only; TARGET is\n"
	"                       the store for what is overwritten (--sync none)\n"
	"  --discard            what is discarded on it is not needed any more, and leaves the\n"
	"                       store\n"
	"  --wait               return when the image is complete\n"
	"  --verify             and when it was read back, and compared with checksums\n"
	"                       taken while copying; prints its SHA-256\n"
	"  --timeout TIME       detach if it is not by then\n",
	.run = run,
};
