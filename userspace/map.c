// SPDX-License-Identifier: GPL-2.0-or-later
/* The region map of a job, as the kernel tells it. */
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "map.h"

/*
 * The kernel replies with lines "<start> <length>" in sectors, and a last one
 * "next <start>" if it has more to say. Returns where to go on, or UNKNOWN.
 */
static uint64_t read_reply(char *reply, struct ranges *dirty)
{
	unsigned long long start, len;
	char *line, *rest = reply;

	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "next %llu", &start) == 1)
			return start;
		if (sscanf(line, "%llu %llu", &start, &len) == 2)
			ranges_add(dirty, start * 512, len * 512);
	}
	return UNKNOWN;
}

int map_ask(const struct job *job, const char *message, struct ranges *ranges)
{
	uint64_t at = 0;
	int err;

	while (at != UNKNOWN) {
		autofree char *text = xasprintf("%s %llu", message,
						(unsigned long long)at);
		autofree char *reply = NULL;

		err = dm_message_reply(job->dev.devno, text, &reply);
		if (err)
			return err;
		at = reply ? read_reply(reply, ranges) : UNKNOWN;
	}
	return 0;
}

int map_read(const struct job *job, struct ranges *dirty)
{
	return map_ask(job, "map", dirty);
}
