// SPDX-License-Identifier: GPL-2.0-or-later
/* What must hold before a stream begins. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "identity.h"
#include "lvm.h"
#include "preflight.h"
#include "size.h"
#include "stream-plan.h"

#define BLOCK 4096	/* what a new device's size is a multiple of */

/*------------------------------- Source -------------------------------*/

/* The layer comes under a device in use. */
static int take_user(struct stream_plan *p)
{
	autofree char *label = NULL;
	int err = preflight_source(p->ref, &p->user, &p->old, NULL);

	if (err)
		return err;
	p->length = table_length(&p->old) * 512;
	label = dm_dev_label(&p->user);
	if (!lvm_owns(&p->user))
		return 0;
	return fail(EX_REFUSED,
		    "%s is a logical volume, which is not supported as a source in use: at the next boot or refresh LVM would show it without what was written since. Move it with: blkjob migrate; or close it, and give the stream a device of its own with --name",
		    label);
}

/* A job of ours does not have it open for itself alone, for others may read it. */
static int check_unwritten(const struct stream_plan *p)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	for (i = 0; !err && i < n; i++)
		if (jobs[i].target == p->source)
			err = fail(EX_REFUSED,
				   "%s is written by job %s; see: blkjob status %s",
				   p->ref, jobs[i].id, jobs[i].id);
	return err;
}

/* Others may read it, and other streams do. */
static int check_image(const struct stream_plan *p, const struct device_limits *lim)
{
	autofree dev_t *holders = NULL;
	autofree char *mounted = device_mountpoint(p->source);
	struct device_limits now;
	struct dm_dev dev;
	size_t n, i;

	if (lim->read_only)
		return 0;
	n = device_related(p->source, "holders", &holders);
	for (i = 0; i < n; i++)
		if (dm_find(holders[i], &dev) || !job_is_private(&dev))
			break;
	if (!mounted && (n ? i == n : !device_limits(p->source, true, &now)))
		return 0;
	return fail(EX_REFUSED,
		    "%s is in use, and what is written there would be seen or not by chance; close it, or make it read-only: blockdev --setro %s",
		    p->ref, p->ref);
}

static int check_name(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#+-.:=@_";
	struct dm_dev dev;

	if (!*name || strlen(name) >= sizeof(dev.name) ||
	    name[strspn(name, allowed)] || !strncmp(name, JOB_PREFIX, strlen(JOB_PREFIX)))
		return fail(EX_USAGE,
			    "--name takes the name that the device is to have below /dev/mapper, of letters, digits and #+-.:=@_, not \"%s\"",
			    name);
	if (!dm_find_name(name, &dev))
		return fail(EX_REFUSED,
			    "there is a device /dev/mapper/%s already; choose another name, or remove it: dmsetup remove %s",
			    name, name);
	return 0;
}

/* Beyond the end of the image the new device reads as zeroes. */
static int check_size(struct stream_plan *p, uint64_t size)
{
	char have[32], need[32];

	if (p->o->size != UNKNOWN)
		p->length = p->o->size;
	else if (!p->length)
		p->length = size;
	if (p->length >= size && (p->length == size || p->length % BLOCK == 0))
		return 0;
	if (p->length < size)
		return fail(EX_REFUSED,
			    "%s has %s, and --size or the metadata say %s; a part of it cannot be had",
			    p->ref, size_format(have, sizeof(have), size),
			    size_format(need, sizeof(need), p->length));
	return fail(EX_USAGE, "--size is a multiple of %u", BLOCK);
}

static int take_image(struct stream_plan *p)
{
	autofree char *params = xasprintf("%u:%u 0", major(p->source),
					  minor(p->source));
	struct device_limits lim;
	int err = device_limits(p->source, false, &lim);

	if (err)
		return fail(EX_REFUSED, "cannot open %s: %s; see: dmesg", p->ref,
			    strerror(-err));
	if (!lim.size)
		return fail(EX_REFUSED, "%s is empty; is it connected? See: lsblk",
			    p->ref);
	err = check_unwritten(p);
	if (!err)
		err = check_image(p, &lim);
	if (!err)
		err = check_size(p, lim.size);
	if (!err)
		err = identity_print(p->source, &p->note.print);
	if (err)
		return err;
	table_add(&p->old, 0, lim.size / 512, "linear", params);
	if (p->length > lim.size)
		table_add(&p->old, lim.size / 512, (p->length - lim.size) / 512,
			  "zero", "");
	strcpy(p->note.name, p->o->name);
	return 0;
}

/*------------------------------ Metadata ------------------------------*/

static int check_source(struct stream_plan *p, const struct metadata *md)
{
	struct stream_note note = { 0 };

	if (stream_note_parse(md->note, &note) &&
	    note.commit == STREAM_COMMITTED)
		return stream_refuse_committed(p->ref, md);
	p->note.commit = note.commit;
	if (!p->o->name && !p->o->unwritten &&
	    dm_open_count(p->user.devno) != 0)
		return fail(EX_REFUSED,
			    "%s is in use, and what was written to it since it was set up is not where the stream would look; begin the stream before anything opens it, or promise with --unwritten that nothing was written",
			    p->ref);
	if (p->o->name && note.print && note.print != p->note.print)
		return fail(EX_REFUSED,
			    "%s has changed since the stream began, so it does not go together with what is on the target device any more; begin anew with --reset --force",
			    p->ref);
	return 0;
}

int stream_plan_make(struct stream_plan *p)
{
	automd struct metadata md = { 0 };
	int err = p->o->name ? check_name(p->o->name) : 0;

	if (!err)
		err = metadata_plan_make(&p->md, &md);
	if (p->md.goes_on && p->o->name)
		p->length = md.length;
	if (!err)
		err = p->o->name ? take_image(p) : take_user(p);
	if (!err && p->md.goes_on)
		err = check_source(p, &md);
	if (!err)
		err = preflight_target(p->target, p->source, p->length,
				       p->o->force || p->md.goes_on);
	p->note.base = p->o->base;
	return err;
}
