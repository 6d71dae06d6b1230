// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a commit. While the mirror is pending both its legs have everything
 * that was acknowledged, so that then, and not at another time, the metadata may
 * go from one word to the other.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "commit.h"
#include "device.h"
#include "identity.h"
#include "stack.h"
#include "stream.h"

/* What the mirror's private device leads to, which has the user's old table. */
static dev_t below(const struct job *job)
{
	autotable struct table t = { 0 };
	unsigned int maj, min;

	if (job->by_hand || dm_get_table(job_old_source(job), false, &t) ||
	    !t.n || sscanf(t.seg[0].params, "%u:%u", &maj, &min) != 2)
		return 0;
	return makedev(maj, min);
}

bool commit_find(const struct job *job, struct commit *c)
{
	autofree struct job *jobs = NULL;
	dev_t devno;
	size_t n, i;

	if (strcmp(job->st.type, "mirror"))
		return false;
	devno = below(job);
	if (!devno || job_list(&jobs, &n))
		return false;
	for (i = 0; i < n; i++)
		if (jobs[i].dev.devno == devno && job_is_stream(&jobs[i]))
			return !commit_source(&jobs[i], c);
	return false;
}

/* @print: of the source as it is now, which nobody writes any more. */
static int tell(const struct commit *c, enum stream_commit commit, bool print)
{
	autofree char *path = device_path(job_metadata(&c->stream));
	automd struct metadata md = { 0 };
	autofree char *text = NULL;
	struct stream_note note;
	int err = metadata_read(path, 0, NULL, &md);

	if (err)
		return err;
	if (!stream_note_parse(md.note, &note))
		return fail(EX_ATTENTION,
			    "%s does not say for which device the stream is; see: blkjob dump %s",
			    path, path);
	note.commit = commit;
	note.print = 0;
	if (print && *note.name)
		err = identity_print(c->source, &note.print);
	text = stream_note_text(&note);
	return err || !strcmp(text, md.note) ? err :
	       metadata_set_note(path, text);
}

int commit_open(const struct commit *c)
{
	return tell(c, STREAM_COMMITS, false);
}

/* In pending. */
static int switch_over(struct job *job, const struct commit *c)
{
	int err;

	if (complete_leg_failed(job))
		return complete_give_up(job);
	err = tell(c, STREAM_COMMITTED, false);
	if (err) {
		/* One of the two copies may say it. */
		if (commit_open(c))
			return EX_ATTENTION;
		return job_send(job, "rollback") ? EX_ATTENTION : err;
	}
	err = complete_finalize(job);
	if (err && !job_update(job) && strcmp(job->st.active, "target") &&
	    commit_open(c))
		err = EX_ATTENTION;
	return err;
}

int commit_complete(struct job *job, const struct commit *c,
		    const struct complete_options *opt)
{
	dev_t metadata = job_metadata(&c->stream);
	uint64_t us = 0;
	int err = 0;

	if (!job_in(job, STATE(CONCLUDED)))
		err = complete_to_pending(job, opt->switch_timeout_us);
	if (!err && job_in(job, STATE(PENDING)))
		err = switch_over(job, c);
	if (!err)
		err = stack_pivot(job, &us);
	if (err)
		return err;
	if (!stack_wait_gone(&c->stream))
		warning("done, but %s is still held by something",
			c->stream.dev.name);
	err = metadata_forget(&c->stream, metadata);
	return err ? err : complete_report(job, us);
}

void commit_cancelled(const struct job *job, const struct commit *c)
{
	autofree char *dev = job_device(&c->stream);
	autofree char *source = device_path(c->source);
	autofree char *target = device_path(c->stream.target);

	msg_quiet(true);
	/* Then a change from elsewhere goes unseen, and nothing else. */
	if (tell(c, STREAM_FILLS, true))
		commit_open(c);
	msg_quiet(false);
	if (!job)
		say("%s stays in use on %s and %s, and is not filled; 'blkjob resume %s' fills it, 'blkjob commit %s' tries again",
		    dev, target, source, c->stream.id, dev);
	else
		say("job %s has ended; %s stays in use on %s and %s, with everything that was written. To go on: blkjob commit %s",
		    job->id, dev, target, source, dev);
}
