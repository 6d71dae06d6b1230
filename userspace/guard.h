/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several devices are to stand still at one instant: meanwhile a killed command
 * would leave them suspended, and the file system of one that needs another
 * one of them would wait for ever. A second process watches: it resumes all
 * with their old tables when the first one dies, or has not got to the instant
 * in time.
 */
#ifndef BLKJOB_GUARD_H
#define BLKJOB_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct swap;

struct guard {
	pid_t pid;		/* -1 = none */
	int fd;			/* closing it ends the other process */
	int *state;		/* shared */
};

#define GUARD_NONE { .pid = -1, .fd = -1 }

/* 0, or a negative errno, and errno. */
int guard_start(struct guard *g, const struct swap *s, size_t n,
		uint64_t timeout_us);
/* All stand still. False if it was too late: they do not any more. */
bool guard_pass(struct guard *g);
/* Nothing is suspended any more. */
void guard_stop(struct guard *g);

#endif
