/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checksums of a job that has completed, as the kernel tells them. */
#ifndef BLKJOB_CHECKSUMS_H
#define BLKJOB_CHECKSUMS_H

#include "job.h"

struct checksums {
	const struct job *job;
	char *reply;		/* of the kernel */
	char *at;		/* the next word of it */
	uint64_t next;		/* region to ask for then, or UNKNOWN */
	uint64_t region;	/* that has this checksum, or UNKNOWN: no more */
	uint32_t sum;
};

#define autochecksums __attribute__((cleanup(checksums_free)))

/* The first one; with only @job set before. 0 or a negative errno. */
int checksums_first(struct checksums *c);
/* The one of the next region that has one. Likewise. */
int checksums_next(struct checksums *c);
/* What a reply holds, for checksums_next(); text of the caller's. */
void checksums_reply(struct checksums *c, char *reply);
void checksums_free(struct checksums *c);

#endif
