// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "remember.h"
#include "size.h"

int remember_usage(const struct command *cmd, const struct start_options *o)
{
	if (!o->metadata)
		return o->unwritten || o->reset ?
		       usage_error(cmd, "--unwritten and --reset are about what a metadata device knows: they need --metadata DEVICE") : 0;
	if (o->unwritten && o->reset)
		return usage_error(cmd, "--reset forgets what --unwritten is about; choose one of them");
	if (o->group || o->replaces)
		return usage_error(cmd, "--metadata is for one pair of devices, without --group and --replaces");
	if (!start_sync_is(o, "full"))
		return usage_error(cmd, "--metadata say what need not be copied, and go without --sync and --bitmap");
	return 0;
}

#define CANCELLED "cancelled:"

bool remember_was_cancelled(const struct metadata *md)
{
	return !strncmp(md->note, CANCELLED, strlen(CANCELLED));
}

const char *remember_source(const struct metadata *md)
{
	return md->note + (remember_was_cancelled(md) ? strlen(CANCELLED) : 0);
}

static int note_cancelled(const char *path)
{
	automd struct metadata md = { 0 };
	autofree char *note = NULL;
	int err = metadata_read(path, 0, NULL, &md);

	if (err || !*md.note || md.ended || remember_was_cancelled(&md))
		return err;
	note = xasprintf(CANCELLED "%.*s", BLKJOB_MD_IDENTITY, md.note);
	return metadata_set_note(path, note);
}

void remember_cancelled(const struct job *job, dev_t metadata)
{
	autofree char *path = NULL;
	int err;

	if (!metadata || job->by_hand)
		return;
	path = device_path(metadata);
	msg_quiet(true);
	err = note_cancelled(path);
	msg_quiet(false);
	if (err)
		warning("%s cannot be told that the job was cancelled, so 'blkjob recover --all' may put it back; to prevent that: blkdiscard -z --force --length 8192 %s",
			path, path);
}

int remember_plan(struct plan *p, const struct start_options *o, bool held)
{
	automd struct metadata md = { 0 };
	int err;

	p->md = (struct metadata_plan) {
		.type = "mirror", .force = o->force, .reset = o->reset,
		.recover = o->recover,
	};
	err = metadata_plan_resolve(&p->md, o->metadata, p->user.devno,
				    p->target);
	if (!err)
		err = held ? metadata_plan_look(&p->md, &md) :
			     metadata_plan_make(&p->md, &md);
	if (err || !p->md.goes_on)
		return err;
	p->md.cancelled = remember_was_cancelled(&md);
	p->differ = md.checkpoint[0].ranges;
	md.checkpoint[0].ranges = (struct ranges) { 0 };
	return 0;
}

/* The command that does not mind what the metadata know; to be freed. */
static char *anew(const struct plan *p)
{
	autofree char *source = devno_label(p->md.leg[0]);
	autofree char *target = device_path(p->md.leg[1]);
	autofree char *metadata = device_path(p->md.device);

	return xasprintf("blkjob mirror %s %s --metadata %s --reset --force",
			 source, target, metadata);
}

/*----------------------- Written without us? -----------------------*/

/*
 * Whoever has used one of the legs has changed it at its beginning, most of the
 * time, where file systems and partition tables are; or somewhere else. What may
 * differ anyway tells nothing.
 */
#define SAMPLES	64
#define SAMPLE	65536
#define ALIGN	4096	/* what O_DIRECT wants */

struct sampler {
	const struct plan *p;
	uint64_t length;
	int fd[2];
	char *data[2];
};

static void sampler_close(struct sampler *s)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (s->fd[i] >= 0)
			close(s->fd[i]);
		free(s->data[i]);
	}
}

static int sampler_open(struct sampler *s)
{
	int i;

	for (i = 0; i < 2; i++) {
		autofree char *path = devno_label(s->p->md.leg[i]);

		if (posix_memalign((void **)&s->data[i], ALIGN, SAMPLE))
			return fail(EX_ATTENTION, "out of memory");
		s->fd[i] = device_open(s->p->md.leg[i], O_RDONLY | O_DIRECT);
		if (s->fd[i] < 0)
			return fail(i ? EX_TARGET : EX_SOURCE,
				    "cannot open %s: %s; see: dmesg", path,
				    strerror(-s->fd[i]));
	}
	return 0;
}

static int compare_at(struct sampler *s, uint64_t at)
{
	size_t len = s->length - at < SAMPLE ? s->length - at : SAMPLE;
	autofree char *source = devno_label(s->p->md.leg[0]);
	autofree char *target = devno_label(s->p->md.leg[1]);
	autofree char *command = anew(s->p);
	int i;

	if (ranges_meet(&s->p->differ, at, len))
		return 0;
	for (i = 0; i < 2; i++)
		if (pread(s->fd[i], s->data[i], len, at) != (ssize_t)len)
			return fail(i ? EX_TARGET : EX_SOURCE,
				    "cannot read %s at %llu; see: dmesg",
				    i ? target : source, (unsigned long long)at);
	if (!memcmp(s->data[0], s->data[1], len))
		return 0;
	return fail(EX_REFUSED,
		    "%s and %s differ at %llu, where the metadata say that they are equal: one of them was written while the job was not there. To copy everything: %s",
		    source, target, (unsigned long long)at, command);
}

static int compare(const struct plan *p)
{
	__attribute__((cleanup(sampler_close))) struct sampler s = {
		.p = p, .fd = { -1, -1 },
		.length = table_length(&p->old) * 512,
	};
	uint64_t last = s.length > SAMPLE ? (s.length - SAMPLE) / ALIGN : 0;
	unsigned int i;
	int err = sampler_open(&s);

	for (i = 0; i < SAMPLES && !err; i++)
		err = compare_at(&s, (unsigned __int128)last * i /
				     (SAMPLES - 1) * ALIGN);
	return err;
}

int remember_check(const struct plan *p, const struct start_options *o)
{
	autofree char *label = dm_dev_label(&p->user), *command = anew(p);

	if (!o->unwritten && dm_open_count(p->user.devno) != 0)
		return fail(EX_REFUSED,
			    "%s is in use, and the metadata do not know what was written to it without the job; begin before anything opens it, promise with --unwritten that nothing was written, or copy everything: %s",
			    label, command);
	return compare(p);
}

/*------------------------- What the user reads ------------------------*/

void remember_tell(const struct plan *p)
{
	char part[32], all[32];

	if (p->md.goes_on)
		say("goes on: %s of %s may differ, and nothing else is copied",
		    size_format(part, sizeof(part), ranges_total(&p->differ)),
		    size_format(all, sizeof(all), table_length(&p->old) * 512));
}

char *remember_again(const struct job *job)
{
	dev_t devno = job_metadata(job);
	autofree char *metadata = devno ? device_path(devno) : NULL;
	autofree char *dev = job_device(job), *target = device_path(job->target);

	return metadata ? xasprintf("blkjob mirror %s %s --metadata %s", dev,
				    target, metadata) : NULL;
}

void remember_tell_again(const char *again, const char *dev)
{
	if (again)
		say("to go on, as long as nobody writes to %s without the job: %s",
		    dev, again);
}
