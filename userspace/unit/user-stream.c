// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ktap.h"
#include "stream.h"

static void round_trip(const char *name, uint64_t print, bool base,
		       enum stream_commit commit)
{
	struct stream_note note = {
		.print = print, .base = base, .commit = commit,
	}, again;
	autofree char *text = NULL;

	strcpy(note.name, name);
	text = stream_note_text(&note);
	CHECK(strlen(text) <= BLKJOB_NOTE);
	CHECK(!strpbrk(text, " \t"));
	CHECK(stream_note_parse(text, &again));
	CHECK(!strcmp(again.name, name));
	CHECK(again.print == print && again.base == base);
	CHECK(again.commit == commit);
}

static void notes(void)
{
	char name[128];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	round_trip("guest", 0, false, STREAM_FILLS);
	round_trip("a.b:c@d=e", 1, true, STREAM_FILLS);
	round_trip("", UINT64_MAX, true, STREAM_COMMITS);
	round_trip("guest", 0, false, STREAM_COMMITTED);
	round_trip(name, UINT64_MAX, true, STREAM_COMMITTED);
}

static void no_notes(void)
{
	static const char * const texts[] = {
		"", "-", "guest", "guest/", "guest/12", "guest/12/", "/12/-",
		"guest/xy/-", "guest/12/bas", "guest/12/based", "guest/12/-x",
		"guest/12/-/", "guest/12/-/com", "guest/12/-/commits",
		"on-success/-/nightly/4",
	};
	struct stream_note note;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		CHECK(!stream_note_parse(texts[i], &note));
}

KTAP_MAIN({ "notes", notes },
	  { "what is no note", no_notes })
