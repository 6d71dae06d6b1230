// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams and mirrors that a reboot has interrupted, or a crash. What has to be
 * known is on their metadata device: who the legs are, and what the user's device
 * is called.
 */
#include <errno.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "identity.h"
#include "recover.h"
#include "remember.h"
#include "stream.h"

struct recovery {
	bool unwritten, dry;
	unsigned int found;
	int err;		/* the first that could not be put back */
};

static int find_leg(const char *path, const struct metadata *md,
		    const char *what, const char *identity, dev_t *devno)
{
	int err;

	if (!*identity)
		return fail(EX_REFUSED,
			    "%s does not say which device the %s is, as the %s was not begun by this command; see: blkjob help %s",
			    path, what, md->type, md->type);
	err = identity_find(identity, devno);
	if (err == -EEXIST)
		return fail(EX_REFUSED,
			    "%s: there are several devices \"%s\", and one of them is the %s of this %s; take the others away",
			    path, identity, what, md->type);
	if (err)
		return fail(EX_REFUSED,
			    "%s: the %s of this %s, \"%s\", is not found; connect it, and try again: blkjob recover %s",
			    path, what, md->type, identity, path);
	return 0;
}

static int find_legs(const char *path, const struct metadata *md, dev_t legs[2])
{
	int err = find_leg(path, md, "source", md->identity, &legs[0]);

	return err ? err : find_leg(path, md, "target device",
				    md->target_identity, &legs[1]);
}

/*
 * The leg that has everything must be the one that the user's device is set up
 * on at boot: the source that the mirror began with, which is in the note.
 */
static int check_switched(const char *path, const struct metadata *md)
{
	const char *whole = md->ended ? md->target_identity : md->identity;
	const char *source = remember_source(md);

	if (!*source || (!md->ended && !strcmp(whole, source)))
		return 0;
	if (!strcmp(whole, source))
		return fail(EX_REFUSED,
			    "%s: the mirror of \"%s\" has ended, and that has everything; nothing is to be put back. To forget it: blkdiscard -z --force --length 8192 %s",
			    path, whole, path);
	return fail(EX_REFUSED,
		    "%s: the mirror of \"%s\" was switched: \"%s\" has everything, and the other one may lack what was written last. Set the device up there; and to forget the mirror: blkdiscard -z --force --length 8192 %s",
		    path, source, whole, path);
}

static int put_mirror_back(const char *path, const struct metadata *md,
			   const struct recovery *r)
{
	const struct start_options o = {
		MIRROR_DEFAULTS, .metadata = path, .recover = true,
		.unwritten = r->unwritten,
	};
	autofree char *source = NULL, *target = NULL;
	struct job job;
	dev_t legs[2];
	int err = check_switched(path, md);

	if (!err)
		err = find_legs(path, md, legs);
	if (err)
		return err;
	source = devno_label(legs[0]);
	target = device_path(legs[1]);
	if (!r->dry)
		return start_job(source, target, &o, &job);
	say("%s: a mirror from %s to %s", path, source, target);
	return 0;
}

static int put_stream_back(const char *path, const struct metadata *md,
			   const struct recovery *r)
{
	autofree char *source = NULL, *target = NULL;
	struct stream_options o = {
		.speed = UNKNOWN, .granularity = UNKNOWN, .buf_size = UNKNOWN,
		.latency_bound = UNKNOWN, .size = UNKNOWN, .recover = true,
		.unwritten = r->unwritten,
	};
	struct stream_note note;
	dev_t legs[2];
	struct job job;
	int err;

	if (!stream_note_parse(md->note, &note))
		return fail(EX_REFUSED,
			    "%s does not say for which device the stream is, as it was not begun by this command; see: blkjob help stream",
			    path);
	if (note.commit == STREAM_COMMITTED)
		return stream_refuse_committed(md->identity, md);
	err = find_legs(path, md, legs);
	if (err)
		return err;
	source = devno_label(legs[0]);
	target = device_path(legs[1]);
	if (*note.name)
		o.name = note.name;
	o.paused = note.base || note.commit == STREAM_COMMITS;
	if (!r->dry)
		return stream_start(source, target, path, &o, &job);
	say("%s: a stream from %s to %s%s%s", path, source, target,
	    o.name ? ", for /dev/mapper/" : "", o.name ? o.name : "");
	return 0;
}

static bool can_be_put_back(const struct metadata *md)
{
	return !strcmp(md->type, "stream") || !strcmp(md->type, "mirror");
}

static int put_back(const char *path, const struct metadata *md,
		    const struct recovery *r)
{
	return strcmp(md->type, "mirror") ? put_stream_back(path, md, r) :
					    put_mirror_back(path, md, r);
}

/* Who has the metadata open is at work with them. */
static bool is_live(dev_t devno)
{
	autofree struct job *jobs = NULL;
	size_t n, i;

	if (job_list(&jobs, &n))
		return true;
	for (i = 0; i < n; i++)
		if (job_metadata(&jobs[i]) == devno)
			return true;
	return false;
}

static bool was_committed(const struct metadata *md)
{
	struct stream_note note;

	return !strcmp(md->type, "stream") &&
	       stream_note_parse(md->note, &note) &&
	       note.commit == STREAM_COMMITTED;
}

static int look_at(dev_t devno, void *arg)
{
	autofree char *path = device_path(devno), *why = NULL;
	automd struct metadata md = { 0 };
	autofree dev_t *holders = NULL;
	struct recovery *r = arg;
	bool blank = true;
	int err;

	msg_quiet(true);
	/* Of a device below another one, the upper one is meant. */
	err = metadata_blank(devno, &blank);
	if (!err && !blank)
		err = metadata_read(path, 0, NULL, &md);
	msg_quiet(false);
	if (blank || is_live(devno) ||
	    device_related(devno, "holders", &holders))
		return 0;
	/* Something else than metadata is refused; but these were some. */
	if (err == EX_ATTENTION) {
		why = xstrdup(msg_last_error());
		fail(err, "%s", why);
	} else if (err || !can_be_put_back(&md)) {
		return 0;
	} else if (remember_was_cancelled(&md)) {
		say("%s: the mirror to \"%s\" was cancelled, and is left alone; 'blkjob recover %s' goes on with it",
		    path, md.target_identity, path);
		return 0;
	} else {
		err = put_back(path, &md, r);
		/* Said so, and nothing is missing. */
		if (err && was_committed(&md))
			return 0;
	}
	r->found++;
	if (err && !r->err)
		r->err = err;
	return 0;
}

static int recover_all(struct recovery *r)
{
	identity_each(look_at, r);
	if (!r->found)
		say("there is no stream and no mirror to be put back");
	return r->err;
}

int recover_metadata(const char *metadata, bool unwritten, bool dry)
{
	struct recovery r = { .unwritten = unwritten, .dry = dry };
	automd struct metadata md = { 0 };
	dev_t devno;
	int err;

	if (!metadata)
		return recover_all(&r);
	err = metadata_read(metadata, 0, NULL, &md);
	if (err)
		return err;
	if (!can_be_put_back(&md))
		return fail(EX_REFUSED,
			    "%s has the metadata of a %s job, and not of a stream or a mirror; see: blkjob help %s",
			    metadata, md.type, md.type);
	if (device_resolve(metadata, &devno))
		return fail(EX_REFUSED, "%s is not a block device; see: lsblk",
			    metadata);
	if (is_live(devno)) {
		say("%s: the %s is there; see: blkjob list", metadata, md.type);
		return 0;
	}
	return put_back(metadata, &md, &r);
}
