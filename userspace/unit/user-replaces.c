// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/sysmacros.h>

#include "ktap.h"
#include "replaces.h"

/* One segment of @type: 253:1 is replaced by 7:12. */
static bool becomes(const char *type, const char *from, const char *to)
{
	autotable struct table old = { 0 }, new = { 0 };
	bool same;

	table_add(&old, 8, 16, type, from);
	replaces_table(&old, makedev(253, 1), makedev(7, 12), &new);
	same = new.n == 1 && new.seg[0].start == 8 && new.seg[0].len == 16 &&
	       !strcmp(new.seg[0].type, type) && !strcmp(new.seg[0].params, to);
	if (!same)
		printf("# \"%s\" becomes \"%s\"\n", from, new.seg[0].params);
	return same;
}

static void whole_words(void)
{
	CHECK(becomes("linear", "253:1 4096", "7:12 4096"));
	CHECK(becomes("linear", "253:10 4096", "253:10 4096"));
	CHECK(becomes("linear", "1253:1 4096", "1253:1 4096"));
	CHECK(becomes("striped", "2 128 253:1 0 253:1 64", "2 128 7:12 0 7:12 64"));
	CHECK(becomes("crypt", "aes-xts-plain64 00ff 0 253:1 8 1 allow_discards",
		      "aes-xts-plain64 00ff 0 7:12 8 1 allow_discards"));
	CHECK(becomes("multipath", "0 0 1 1 service-time 0 2 1 253:1 1 253:2 1 ",
		      "0 0 1 1 service-time 0 2 1 7:12 1 253:2 1 "));
}

static void mirror_logs(void)
{
	CHECK(becomes("mirror", "core 1 1024 2 253:1 0 253:2 0",
		      "core 2 1024 nosync 2 7:12 0 253:2 0"));
	CHECK(becomes("mirror", "core 2 1024 sync 2 253:2 0 253:1 0 1 handle_errors",
		      "core 2 1024 nosync 2 253:2 0 7:12 0 1 handle_errors"));
	CHECK(becomes("mirror", "core 2 1024 nosync 2 253:1 0 253:2 0",
		      "core 2 1024 nosync 2 7:12 0 253:2 0"));
	CHECK(becomes("mirror", "disk 2 253:3 1024 2 253:1 0 253:2 0",
		      "disk 2 253:3 1024 2 7:12 0 253:2 0"));
}

KTAP_MAIN({ "whole_words", whole_words }, { "mirror_logs", mirror_logs })
