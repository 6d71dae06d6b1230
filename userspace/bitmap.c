// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bitmap.h"
#include "blkjob.h"
#include "cleanup.h"
#include "size.h"

struct place {
	const char *path;
	unsigned int line;
};

static int refuse(const struct place *at, const char *word, const char *why)
{
	return fail(EX_REFUSED, "%s, line %u: %s%s%s; correct the file, nothing was started",
		    at->path, at->line, word, *word ? " " : "", why);
}

static int parse_line(char *line, const struct place *at, uint64_t len,
		      struct ranges *ranges)
{
	static const char blanks[] = " \t\r\n";
	uint64_t value[2];
	char *word, *next;
	unsigned int n = 0;

	line[strcspn(line, "#")] = '\0';
	for (word = strtok_r(line, blanks, &next); word;
	     word = strtok_r(NULL, blanks, &next), n++) {
		if (n == 2)
			return refuse(at, word, "is a third word");
		if (size_parse(word, &value[n]))
			return refuse(at, word, "is not a size such as 65536, 64K or 1.5G");
	}
	if (!n)
		return 0;
	if (n == 1)
		return refuse(at, "", "a start needs a length");
	if (!value[1])
		return refuse(at, "", "the length is 0");
	if (value[0] >= len || value[1] > len - value[0])
		return refuse(at, "", "the range ends behind the source");
	ranges_add(ranges, value[0], value[1]);
	return 0;
}

int bitmap_read(const char *path, uint64_t len, struct ranges *ranges)
{
	bool standard = !strcmp(path, "-");
	struct place at = { standard ? "standard input" : path, 0 };
	FILE *f = standard ? stdin : fopen(path, "re");
	autofree char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!f)
		return fail(EX_REFUSED, "cannot read %s: %s; nothing was started",
			    path, strerror(errno));
	while (!err && getline(&line, &size, f) >= 0) {
		at.line++;
		err = parse_line(line, &at, len, ranges);
	}
	if (!err && ferror(f))
		err = refuse(&at, "", "cannot read on");
	if (!standard)
		fclose(f);
	ranges_sort(ranges);
	return err;
}
