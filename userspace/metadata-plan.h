/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metadata device of a job that is to begin: may it, and with what? */
#ifndef BLKJOB_METADATA_PLAN_H
#define BLKJOB_METADATA_PLAN_H

#include "metadata.h"

struct metadata_plan {
	const char *type;		/* of the job: "stream" */
	dev_t device;			/* with the metadata */
	dev_t leg[2];			/* the source, and the target device */
	char *identity[2];		/* of them */
	bool force;			/* overwrite what is no metadata */
	bool reset;			/* forget what they know */
	bool recover;			/* there must be some */
	/* What comes out: */
	bool goes_on;			/* with what they know */
	bool wipe;			/* which is not wanted */
	bool cancelled;			/* of a mirror: it was, see remember.h */
};

/* Fills in devices and identities. 0 or exit status. */
int metadata_plan_resolve(struct metadata_plan *p, const char *device,
			  dev_t source, dev_t target);
/* All checks. @md is filled if it goes on. Likewise. */
int metadata_plan_make(struct metadata_plan *p, struct metadata *md);
/* Only those of what they know: the device itself is in use by such a job. */
int metadata_plan_look(struct metadata_plan *p, struct metadata *md);
void metadata_plan_free(struct metadata_plan *p);

/* What has to be there before the kernel has them. Likewise. */
int metadata_plan_write(const struct metadata_plan *p);

struct layer;

/* The words of the table. */
void metadata_plan_options(const struct metadata_plan *p, struct layer *layer);

#endif
