/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream goes back: what its target device has is mirrored to its source, over
 * the stream's device, and then the user's device is on the source again.
 *
 *   user device:    linear
 *   blkjob.<new>:   blkjob mirror, to the stream's source
 *   blkjob.<new>.src:  linear
 *   blkjob.<id>:    blkjob stream, which does not fill any more
 *   blkjob.<id>.src:   the stream's source
 *
 * At any moment the stream's metadata tell where the data are: see enum
 * stream_commit.
 */
#ifndef BLKJOB_COMMIT_H
#define BLKJOB_COMMIT_H

#include "complete.h"
#include "start.h"

struct commit {
	struct job stream;
	dev_t source;		/* what is below its private device */
	uint64_t offset;	/* there, in sectors */
};

/* @source: what the stream's must be, NULL = whatever it is. 0 or exit status. */
int commit_start(const char *ref, const char *source,
		 const struct start_options *o, struct job *job);
/* When every write is tracked: what the stream has on its target device. */
int commit_ranges(const struct job *stream, struct ranges *valid);

/* Is this mirror one? */
bool commit_find(const struct job *job, struct commit *c);
/* Where a stream reads what it does not have. 0 or exit status. */
int commit_source(const struct job *stream, struct commit *c);
/* The metadata say that they count. Before a job that is not over ends. */
int commit_open(const struct commit *c);
/* From ready, or from where a killed command has left it, to the source alone. */
int commit_complete(struct job *job, const struct commit *c,
		    const struct complete_options *opt);
/* The mirror is gone, and the stream's device is used again. */
void commit_cancelled(const struct job *job, const struct commit *c);

#endif
