/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variables that release what they hold when they go out of scope. */
#ifndef BLKJOB_CLEANUP_H
#define BLKJOB_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define autofree __attribute__((cleanup(free_p)))
#define autoclose __attribute__((cleanup(close_p)))

#endif
