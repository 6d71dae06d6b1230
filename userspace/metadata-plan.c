// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "identity.h"
#include "metadata-plan.h"
#include "preflight.h"
#include "stack.h"

int metadata_plan_resolve(struct metadata_plan *p, const char *device,
			  dev_t source, dev_t target)
{
	int err = preflight_resolve(device, &p->device);

	if (err)
		return err;
	p->leg[0] = source;
	p->leg[1] = target;
	p->identity[0] = identity_of(source);
	p->identity[1] = identity_of(target);
	return 0;
}

void metadata_plan_free(struct metadata_plan *p)
{
	free(p->identity[0]);
	free(p->identity[1]);
}

/* Three devices, of which none is a part of another. */
static int check_apart(const struct metadata_plan *p)
{
	autofree char *path = device_path(p->device);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(p->leg); i++) {
		autofree char *leg = devno_label(p->leg[i]);

		if (device_stands_on(p->device, p->leg[i]) ||
		    device_stands_on(p->leg[i], p->device))
			return fail(EX_REFUSED,
				    "the metadata device %s and %s overlap; name a device of its own",
				    path, leg);
	}
	return preflight_target(p->device, p->leg[0], METADATA_MIN, true);
}

/*
 * To begin anew copies the source over the target device: not if that has what
 * the source lacks.
 */
static int check_direction(const struct metadata_plan *p,
			   const struct metadata *md)
{
	bool turned = !strcmp(md->identity, p->identity[1]) &&
		      !strcmp(md->target_identity, p->identity[0]);
	bool same = !strcmp(md->identity, p->identity[0]) &&
		    !strcmp(md->target_identity, p->identity[1]);
	autofree char *source = devno_label(p->leg[0]);
	autofree char *target = devno_label(p->leg[1]);

	if (strcmp(p->type, "mirror") || (p->reset && p->force))
		return 0;
	if ((!turned && !same) || turned == md->ended)
		return 0;
	return fail(EX_REFUSED,
		    "the mirror from %s to %s was switched: %s has everything, and %s may lack what was written last. Set %s up on %s; or throw that away with --reset --force",
		    source, target, target, source, source, target);
}

static int check_found(struct metadata_plan *p, const struct metadata *md,
		       const char *path)
{
	if (strcmp(md->type, p->type))
		return fail(EX_REFUSED,
			    "%s has the metadata of a %s job; name another device, or --reset forgets them",
			    path, md->type);
	if (strcmp(md->identity, p->identity[0]) ||
	    strcmp(md->target_identity, p->identity[1]))
		return fail(EX_REFUSED,
			    "%s has the metadata of the %s from %s to %s, and not from %s to %s; name these, or begin anew with --reset",
			    path, p->type, md->identity, md->target_identity,
			    p->identity[0], p->identity[1]);
	p->goes_on = true;
	return 0;
}

int metadata_plan_look(struct metadata_plan *p, struct metadata *md)
{
	autofree char *path = device_path(p->device), *why = NULL;
	bool blank = false;
	int err = metadata_blank(p->device, &blank);

	if (err)
		return err;
	if (blank)
		return p->recover ?
		       fail(EX_REFUSED, "%s has no metadata", path) : 0;
	msg_quiet(true);
	err = metadata_read(path, 0, NULL, md);
	msg_quiet(false);
	p->wipe = p->reset || (err && p->force);
	if (!err) {
		err = check_direction(p, md);
		if (err)
			return err;
	}
	if (p->wipe)
		return 0;
	if (err) {
		why = xstrdup(msg_last_error());
		return fail(EX_REFUSED, "%s --force makes new metadata there",
			    why);
	}
	return check_found(p, md, path);
}

int metadata_plan_make(struct metadata_plan *p, struct metadata *md)
{
	int err = check_apart(p);

	return err ? err : metadata_plan_look(p, md);
}

int metadata_plan_write(const struct metadata_plan *p)
{
	autofree char *path = device_path(p->device);

	if (p->wipe)
		return metadata_wipe(p->device);
	return p->cancelled ? metadata_set_note(path, p->identity[0]) : 0;
}

void metadata_plan_options(const struct metadata_plan *p, struct layer *layer)
{
	autofree char *device = NULL;

	if (!p->device)
		return;
	device = xasprintf("%u:%u", major(p->device), minor(p->device));
	layer_add_word(layer, "metadata", device);
	layer_add_word(layer, "identity", p->identity[0]);
	layer_add_word(layer, "target_identity", p->identity[1]);
}
