// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "map.h"
#include "since.h"
#include "track.h"

const char since_stays[] =
	"the checkpoint stays where it was: the next backup since it copies what this one did, too. See: blkjob help checkpoint";

/* "<mode>/<since>/<checkpoint>", "-" = none; no name has a slash in it. */
struct note {
	char mode[16], since[64], checkpoint[64];
};

static bool mode_is(const struct start_options *o, const char *mode)
{
	return !strcmp(o->bitmap_mode ?: "on-success", mode);
}

/* Is there to be a new one, or is the old one to move? */
static bool needs_pending(const struct start_options *o)
{
	return o->checkpoint || (o->since && !mode_is(o, "never"));
}

int since_usage(const struct command *cmd, const struct start_options *o)
{
	if (o->since && (!start_sync_is(o, "full") ||
			 o->words[WORD_TARGET_IS_ZERO]))
		return usage_error(cmd, "--since says what is copied; it goes without --sync and --target-is-zero");
	if (o->checkpoint && start_sync_is(o, "none"))
		return usage_error(cmd, "--checkpoint needs an image, and --sync none makes none");
	if (o->bitmap_mode && !o->since && !o->checkpoint)
		return usage_error(cmd, "--bitmap-mode needs --since or --checkpoint");
	if (!o->since && o->checkpoint && mode_is(o, "never"))
		return usage_error(cmd, "--bitmap-mode never needs --since");
	if (o->since && o->checkpoint && !strcmp(o->since, o->checkpoint))
		return usage_error(cmd, "--since alone moves it; --checkpoint names another one");
	if (o->checkpoint && !strcmp(o->checkpoint, SINCE_PENDING))
		return usage_error(cmd, "the name " SINCE_PENDING " is taken by backups in the way");
	return 0;
}

static int check_since(const struct plan *p, const char *source,
		       const char *name)
{
	char state[16];
	int err = track_state(&p->tracker, name, state);

	if (err)
		return err;
	if (!*state)
		return fail(EX_REFUSED,
			    "%s has no checkpoint %s; see: blkjob checkpoint %s. For a first one, make a full backup with --checkpoint %s",
			    source, name, source, name);
	if (!strcmp(state, "starting"))
		return fail(EX_REFUSED,
			    "checkpoint %s of %s is only being begun; try again when it is active: blkjob checkpoint %s",
			    name, source, source);
	if (!strcmp(state, "inconsistent"))
		warning("%s: nobody knows what has changed since checkpoint %s, so all is copied",
			source, name);
	return 0;
}

int since_check(const struct plan *p, const char *source,
		const struct start_options *o)
{
	char state[16];
	int err = 0;

	if (!o->since && !o->checkpoint)
		return 0;
	if (!p->tracker.dev.devno)
		return fail(EX_REFUSED,
			    "%s is not tracked, so nobody knows what changes; begin with: blkjob track %s --metadata DEVICE",
			    source, source);
	if (!job_in(&p->tracker, STATE(RUNNING) | STATE(PAUSED)))
		return fail(EX_REFUSED,
			    "%s is not tracked any more: job %s has ended (%s). Begin again: blkjob untrack %s",
			    source, p->tracker.id,
			    *p->tracker.st.error ? p->tracker.st.error : "cancelled",
			    source);
	if (o->since)
		err = check_since(p, source, o->since);
	if (!err && o->checkpoint)
		err = track_state(&p->tracker, o->checkpoint, state);
	if (err || !o->checkpoint || !*state)
		return err;
	return fail(EX_REFUSED,
		    "%s has a checkpoint %s already; name another, or: blkjob checkpoint %s %s --delete",
		    source, o->checkpoint, source, o->checkpoint);
}

char *since_note(const struct start_options *o)
{
	if (!needs_pending(o))
		return NULL;
	return xasprintf("%s/%s/%s", o->bitmap_mode ?: "on-success",
			 o->since ?: "-", o->checkpoint ?: "-");
}

static bool read_note(const struct job *job, struct note *note)
{
	autofree char *word = job_is_backup(job) ? job_option(job, "note") :
						   NULL;

	return word && sscanf(word, "%15[^/]/%63[^/]/%63s", note->mode,
			      note->since, note->checkpoint) == 3;
}

/*----------------------------- Beginning -----------------------------*/

/* What a command has left that was killed, or could not come to its end. */
static int drop_pending(const struct job *tracker)
{
	char state[16];
	int err = track_state(tracker, SINCE_PENDING, state);

	return err || !*state ? err : track_delete(tracker, SINCE_PENDING);
}

int since_begin(const struct plan *plans, size_t n,
		const struct start_options *o)
{
	size_t i;
	int err = 0;

	if (!needs_pending(o))
		return 0;
	for (i = 0; i < n && !err; i++) {
		err = track_settle(&plans[i].tracker);
		if (!err)
			err = drop_pending(&plans[i].tracker);
		if (!err)
			err = track_begin(&plans[i].tracker, SINCE_PENDING);
	}
	if (err)
		since_drop(plans, i, o);
	return err;
}

void since_drop(const struct plan *plans, size_t n,
		const struct start_options *o)
{
	size_t i;

	for (i = 0; i < n && needs_pending(o); i++)
		drop_pending(&plans[i].tracker);
}

int since_changed(const struct job *tracker, const char *name,
		  struct ranges *changed)
{
	autofree char *text = xasprintf("changed %s", name);
	autofree char *dev = job_device(tracker);
	int err = map_ask(tracker, text, changed);

	if (!err)
		return 0;
	if (err == -EINVAL)
		return fail(EX_REFUSED,
			    "%s has no checkpoint %s, or not yet; see: blkjob checkpoint %s",
			    dev, name, dev);
	return fail(EX_ATTENTION,
		    "job %s does not say what has changed since checkpoint %s: %s; see: blkjob status %s",
		    tracker->id, name, strerror(-err), tracker->id);
}

/*-------------------------------- End --------------------------------*/

/* The other layer of the same device. 0 or exit status. */
static int find_other(const struct job *job, bool below, struct job *other)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	*other = (struct job) { 0 };
	for (i = 0; !err && i < n; i++)
		if (job->user.devno && jobs[i].below == below &&
		    !jobs[i].by_hand &&
		    jobs[i].user.devno == job->user.devno)
			*other = jobs[i];
	return err;
}

/* All that was copied is on stable storage, see run() in cmd-backup.c. */
static int keep_rest(const struct job *job, const struct job *tracker)
{
	autoranges struct ranges left = { 0 };
	int err = map_read(job, &left);

	if (err)
		return fail(EX_ATTENTION, "cannot read the map of job %s: %s; see: blkjob status %s",
			    job->id, strerror(-err), job->id);
	return track_mark(tracker, SINCE_PENDING, &left);
}

static int move(const struct job *tracker, const struct note *note)
{
	bool named = strcmp(note->checkpoint, "-");
	int err = track_rename(tracker, SINCE_PENDING,
			       named ? note->checkpoint : note->since);

	if (!err && named && strcmp(note->since, "-") &&
	    strcmp(note->mode, "never"))
		err = track_delete(tracker, note->since);
	return err;
}

int since_end(const struct job *job, bool completed)
{
	struct job tracker;
	struct note note;
	char state[16];
	int err;

	if (!read_note(job, &note))
		return 0;
	err = find_other(job, true, &tracker);
	if (!err && !tracker.dev.devno)
		return fail(EX_ATTENTION, "nothing tracks the source of job %s any more",
			    job->id);
	if (!err)
		err = track_state(&tracker, SINCE_PENDING, state);
	/* Another command has been here, and was killed then. */
	if (err || !*state)
		return err;
	if (!completed && strcmp(note.mode, "always"))
		return track_delete(&tracker, SINCE_PENDING);
	if (!completed)
		err = keep_rest(job, &tracker);
	return err ? err : move(&tracker, &note);
}

int since_check_idle(const struct job *tracker, const char *name)
{
	struct note note;
	struct job job;
	int err;

	if (!tracker->below)
		return 0;
	err = find_other(tracker, false, &job);
	if (err || !read_note(&job, &note) ||
	    (strcmp(name, note.since) && strcmp(name, SINCE_PENDING)))
		return err;
	return fail(EX_REFUSED,
		    "checkpoint %s is in use by job %s; when that has ended, it can be deleted. See: blkjob status %s",
		    name, job.id, job.id);
}
