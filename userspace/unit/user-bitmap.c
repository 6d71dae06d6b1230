// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <unistd.h>

#include "bitmap.h"
#include "blkjob.h"
#include "ktap.h"

#define LEN (16ULL << 20)

static int parse(const char *text, struct ranges *rs)
{
	char path[] = "/tmp/bitmap.XXXXXX";
	int fd = mkstemp(path), err = -1;

	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		err = bitmap_read(path, LEN, rs);
	close(fd);
	unlink(path);
	return err;
}

static void taken(void)
{
	autoranges struct ranges rs = { 0 }, none = { 0 };

	CHECK(!parse("# all\n\n 1M\t4K # one\r\n0 1\n4K 4K\n8192 1K\n15.5M 0.5M",
		     &rs));
	CHECK(rs.n == 4);
	CHECK(rs.r[0].start == 0 && rs.r[0].len == 1);
	CHECK(rs.r[1].start == 4096 && rs.r[1].len == 5120);
	CHECK(rs.r[2].start == 1 << 20 && rs.r[2].len == 4096);
	CHECK(rs.r[3].start + rs.r[3].len == LEN);
	CHECK(!parse("", &none) && !parse("#\n", &none) && !none.n);
}

static void refused(void)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "0 1\n5", "line 2: a start needs a length" },
		{ "0 1 2", "line 1: 2 is a third word" },
		{ "0 -1", "line 1: -1 is not a size" },
		{ "\n\n0 0", "line 3: the length is 0" },
		{ "16M 1", "behind the source" },
		{ "0 16777217", "behind the source" },
		{ "8M 15.9E", "behind the source" },
	};
	size_t i;

	msg_quiet(true);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		autoranges struct ranges rs = { 0 };

		CHECK(parse(bad[i].text, &rs) == EX_REFUSED);
		CHECK(strstr(msg_last_error(), bad[i].why));
	}
}

KTAP_MAIN({ "lines that are taken", taken },
	  { "lines that are refused", refused })
