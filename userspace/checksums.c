// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines "<region> <checksum>...", of regions that follow one another, and a last
 * one "next <region>" if there are more. There can be a great many: they are
 * asked for a reply at a time, as the image is read.
 */
#include <errno.h>
#include <string.h>

#include "blkjob.h"
#include "checksums.h"
#include "cleanup.h"
#include "dm.h"

void checksums_free(struct checksums *c)
{
	free(c->reply);
	c->reply = NULL;
}

void checksums_reply(struct checksums *c, char *reply)
{
	char *last = strstr(reply, "next ");

	free(c->reply);
	c->reply = c->at = reply;
	c->next = UNKNOWN;
	if (last) {
		c->next = strtoull(last + 5, NULL, 10);
		*last = '\0';
	}
}

static int ask(struct checksums *c, uint64_t from)
{
	autofree char *text = xasprintf("checksums %llu",
					(unsigned long long)from);
	char *reply = NULL;
	int err = dm_message_reply(c->job->dev.devno, text, &reply);

	if (err)
		return err;
	checksums_reply(c, reply ? reply : xstrdup(""));
	return 0;
}

/* A word of the reply; at the beginning of a line it is a region. */
static bool take(struct checksums *c)
{
	char *end;

	for (;;) {
		bool first = c->at == c->reply || c->at[-1] == '\n';

		if (!*c->at)
			return false;
		if (!first) {
			c->sum = strtoul(c->at, &end, 16);
			c->region++;
		} else {
			/* The first checksum of the line makes it that one. */
			c->region = strtoull(c->at, &end, 10) - 1;
		}
		/* The blank or the end of the line behind it. */
		c->at = *end ? end + 1 : end;
		if (!first)
			return true;
	}
}

int checksums_next(struct checksums *c)
{
	int err;

	while (!take(c)) {
		if (c->next == UNKNOWN) {
			c->region = UNKNOWN;
			return 0;
		}
		err = ask(c, c->next);
		if (err)
			return err;
	}
	return 0;
}

int checksums_first(struct checksums *c)
{
	int err = ask(c, 0);

	return err ? err : checksums_next(c);
}
