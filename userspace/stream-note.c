// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "stream.h"

static const char * const commits[] = {
	[STREAM_FILLS] = "",
	[STREAM_COMMITS] = "/commit",
	[STREAM_COMMITTED] = "/committed",
};

/*
 * "<name>/<print>/<base>", "-" = none, and how far it is with going back; no name
 * of a device has a slash in it.
 */
char *stream_note_text(const struct stream_note *note)
{
	return xasprintf("%s/%016llx/%s%s", *note->name ? note->name : "-",
			 (unsigned long long)note->print,
			 note->base ? "base" : "-", commits[note->commit]);
}

bool stream_note_parse(const char *text, struct stream_note *note)
{
	unsigned long long print;
	char base[8];
	size_t i;
	int end = 0;

	*note = (struct stream_note) { 0 };
	if (sscanf(text, "%127[^/]/%16llx/%7[a-z-]%n", note->name, &print, base,
		   &end) != 3)
		return false;
	for (i = 0; strcmp(text + end, commits[i]); i++)
		if (i + 1 == ARRAY_SIZE(commits))
			return false;
	if (strcmp(base, "-") && strcmp(base, "base"))
		return false;
	if (!strcmp(note->name, "-"))
		*note->name = '\0';
	note->print = print;
	note->commit = i;
	note->base = !strcmp(base, "base");
	return true;
}

int stream_refuse_committed(const char *source, const struct metadata *md)
{
	return fail(EX_REFUSED,
		    "what the stream had on %s was committed: everything is on %s, to be used without a stream. To begin another one: --reset",
		    md->target_identity, source);
}
