/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BLKJOB_STREAM_PLAN_H
#define BLKJOB_STREAM_PLAN_H

#include "metadata-plan.h"
#include "stream.h"

struct stream_plan {
	const struct stream_options *o;
	const char *ref;		/* SOURCE, as the user has named it */
	dev_t source, target;
	struct metadata_plan md;
	struct dm_dev user;		/* of a new one: nothing yet */
	struct table old;		/* leads to the source's data */
	uint64_t length;		/* bytes */
	struct ranges base;
	struct stream_note note;
};

/* All checks of a stream that is not there yet. 0 or exit status. */
int stream_plan_make(struct stream_plan *p);

#endif
