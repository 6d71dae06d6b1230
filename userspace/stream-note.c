// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "stream.h"

/* "<name>/<print>/<base>", "-" = none; no name of a device has a slash in it. */
char *stream_note_text(const struct stream_note *note)
{
	return xasprintf("%s/%016llx/%s", *note->name ? note->name : "-",
			 (unsigned long long)note->print,
			 note->base ? "base" : "-");
}

bool stream_note_parse(const char *text, struct stream_note *note)
{
	unsigned long long print;
	char base[8];
	int end = 0;

	*note = (struct stream_note) { 0 };
	if (sscanf(text, "%127[^/]/%16llx/%7[a-z-]%n", note->name, &print, base,
		   &end) != 3 || text[end])
		return false;
	if (strcmp(base, "-") && strcmp(base, "base"))
		return false;
	if (!strcmp(note->name, "-"))
		*note->name = '\0';
	note->print = print;
	note->base = !strcmp(base, "base");
	return true;
}
