// SPDX-License-Identifier: GPL-2.0-or-later
/* Beginning a commit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "commit.h"
#include "device.h"
#include "lock.h"
#include "preflight.h"
#include "stream.h"

#define VALID "valid"	/* the bitmap of a stream */

static int not_one_device(const struct job *stream, const struct table *t)
{
	autofree char *label = job_device(stream);

	if (t->n && !strcmp(t->seg[t->n - 1].type, "zero"))
		return fail(EX_REFUSED,
			    "%s is larger than its source, where there is no place for the rest; let it be filled instead: blkjob help stream",
			    label);
	return fail(EX_REFUSED,
		    "the source of %s is not one device with everything in a row, and only there a commit can write; let it be filled instead: blkjob help stream",
		    label);
}

int commit_source(const struct job *stream, struct commit *c)
{
	autotable struct table t = { 0 };
	unsigned int maj, min;
	unsigned long long offset;
	int err = dm_get_table(stream->source, false, &t);

	if (err)
		return fail(EX_ATTENTION, "cannot read the table below job %s: %s; see: dmsetup table",
			    stream->id, strerror(-err));
	c->stream = *stream;
	if (t.n != 1 || strcmp(t.seg[0].type, "linear") ||
	    t.seg[0].len != stream->length ||
	    sscanf(t.seg[0].params, "%u:%u %llu", &maj, &min, &offset) != 3)
		return not_one_device(stream, &t);
	c->source = makedev(maj, min);
	c->offset = offset;
	return 0;
}

/*------------------------------ Checks ------------------------------*/

static int no_stream(const struct job *job)
{
	autofree char *label = job_device(job);
	struct commit c;

	if (commit_find(job, &c))
		return fail(EX_REFUSED,
			    "%s is being committed already, by job %s; see: blkjob status %s",
			    label, job->id, job->id);
	return fail(EX_REFUSED,
		    "job %s of %s is a %s and not a stream, so there is nothing to go back to a source; see: blkjob help commit",
		    job->id, label, job->st.type);
}

static int check_stream(const struct job *job)
{
	autofree char *label = job_device(job);
	int err;

	if (!job_is_stream(job))
		return no_stream(job);
	err = complete_check_upper(job);
	if (err)
		return err;
	if (job->by_hand)
		return fail(EX_REFUSED,
			    "job %s was loaded by hand, and this command changes only what 'blkjob stream' has made; the example of a commit in blkjob.rst shows how to",
			    job->id);
	return job->user.devno ? 0 :
	       fail(EX_REFUSED,
		    "no device stands on job %s any more; see: blkjob list",
		    job->id);
}

/* Others that read it would see it change. */
static int check_alone(const struct commit *c)
{
	autofree char *path = device_path(c->source);
	autofree dev_t *holders = NULL;
	size_t n = device_related(c->source, "holders", &holders), i;

	for (i = 0; i < n; i++) {
		autofree char *holder = devno_label(holders[i]);

		if (holders[i] != c->stream.source)
			return fail(EX_REFUSED,
				    "%s is used by %s too, which would see it change; take that away first",
				    path, holder);
	}
	return 0;
}

/* What was named, if anything was. */
static int check_named(const struct commit *c, const char *ref)
{
	autofree char *path = device_path(c->source);
	autofree char *label = job_device(&c->stream);
	dev_t devno;
	int err = ref ? preflight_resolve(ref, &devno) : 0;

	if (err || !ref || devno == c->source)
		return err;
	return fail(EX_REFUSED,
		    "%s is not the source of %s, which is %s; only there a commit goes, elsewhere a mirror",
		    ref, label, path);
}

/* Each sector of the user's device is that sector of the stream's. */
static int check_table(const struct plan *p, const struct commit *c)
{
	autofree char *label = job_device(&c->stream);
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < p->old.n; i++) {
		const struct segment *seg = &p->old.seg[i];
		autofree char *params =
			xasprintf("%u:%u %llu", major(c->stream.dev.devno),
				  minor(c->stream.dev.devno),
				  (unsigned long long)seg->start);

		if (strcmp(seg->type, "linear") || strcmp(seg->params, params))
			break;
		at += seg->len;
	}
	return i == p->old.n && at == c->stream.length ? 0 :
	       fail(EX_REFUSED,
		    "another tool has changed the table of %s; see: dmsetup table %s",
		    label, c->stream.user.name);
}

static int make_plan(struct plan *p, const struct commit *c, const char *source)
{
	const struct job *stream = &c->stream;
	autofree char *label = job_device(stream);
	int err = check_named(c, source);

	if (!err)
		err = check_alone(c);
	if (!err)
		err = preflight_idle(label, stream->user.devno, &p->user,
				     &p->old);
	if (!err)
		err = check_table(p, c);
	if (!err)
		err = preflight_commit(c->source, stream->source, &p->user,
				       (c->offset + stream->length) * 512);
	p->target = c->source;
	p->target_offset = c->offset;
	p->stream = *stream;
	return err;
}

/*------------------------------- At work -------------------------------*/

int commit_ranges(const struct job *stream, struct ranges *valid)
{
	autofree char *path = device_path(job_metadata(stream));
	autoclose int fd = device_open(stream->dev.devno, O_RDONLY);
	automd struct metadata md = { 0 };
	struct checkpoint *found;
	int err;

	/* The bits of all that was written until now are on disk after that. */
	if (fd < 0 || fsync(fd))
		return fail(EX_TARGET,
			    "job %s cannot flush what it has: %s; see: blkjob status %s, dmesg",
			    stream->id, strerror(fd < 0 ? -fd : errno),
			    stream->id);
	err = metadata_read(path, 0, VALID, &md);
	if (err)
		return err;
	found = metadata_find(&md, VALID);
	if (found->doubtful)
		return fail(EX_TARGET,
			    "%s is damaged, so nobody knows what has to go back; let the stream be filled instead: blkjob help stream",
			    path);
	*valid = found->ranges;
	found->ranges = (struct ranges) { 0 };
	return 0;
}

/* Under its lock, so that it stays what it is. */
static int find_stream(const char *ref, struct lock *lock, struct job *job)
{
	int err = job_find(ref, job);

	if (!err)
		err = lock_device(lock, job->user.devno ?: job->dev.devno);
	if (!err)
		err = job_find(job->id, job);
	return err ? err : check_stream(job);
}

static int stop_filling(struct job *stream)
{
	if (job_in(stream, STATE(CONCLUDED)))
		return 0;
	if (!job_in(stream, STATE(ABORTING)))
		return stream_stop_filling(stream, SWITCH_TIMEOUT_US);
	return job_wait(stream, STATE(CONCLUDED),
			complete_deadline(SWITCH_TIMEOUT_US), NULL) ?
	       job_detached(stream, false) : 0;
}

int commit_start(const char *ref, const char *source,
		 const struct start_options *o, struct job *job)
{
	autolock struct lock lock = NO_LOCK;
	struct start_options how = *o;
	autoplan struct plan p = { 0 };
	struct commit c = { 0 };
	uint32_t version[3];
	struct job stream;
	int err = preflight_kernel(version);

	if (!err)
		err = find_stream(ref, &lock, &stream);
	if (!err)
		err = commit_source(&stream, &c);
	if (!err)
		err = make_plan(&p, &c, source);
	if (!err)
		err = stop_filling(&p.stream);
	if (err)
		return err;
	how.words[WORD_SYNC] = "none";
	if (how.granularity == UNKNOWN)
		how.granularity = stream.st.granularity;
	/* Before the first write there. */
	err = commit_open(&c);
	if (!err)
		err = start_planned(&p, 1, &how, job);
	if (err && err != EX_ATTENTION)
		commit_cancelled(NULL, &c);
	return err;
}
