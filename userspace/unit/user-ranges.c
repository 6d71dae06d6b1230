// SPDX-License-Identifier: GPL-2.0-or-later
#include "ktap.h"
#include "ranges.h"

static void joined(void)
{
	autoranges struct ranges rs = { 0 };

	ranges_add(&rs, 10, 10);
	ranges_add(&rs, 20, 5);
	CHECK(rs.n == 1 && rs.r[0].start == 10 && rs.r[0].len == 15);
	ranges_add(&rs, 12, 3);
	CHECK(rs.n == 1 && rs.r[0].len == 15);
	ranges_add(&rs, 26, 4);
	CHECK(rs.n == 2 && ranges_total(&rs) == 19);
	/* Not the last one's: a list that must be sorted. */
	ranges_add(&rs, 0, 12);
	CHECK(rs.n == 3);
	ranges_sort(&rs);
	CHECK(rs.n == 2 && rs.r[0].start == 0 && rs.r[0].len == 25);
	CHECK(rs.r[1].start == 26 && rs.r[1].len == 4);
}

static void met(void)
{
	autoranges struct ranges rs = { 0 };
	uint64_t i;

	CHECK(!ranges_meet(&rs, 0, 1000));
	for (i = 0; i < 7; i++)
		ranges_add(&rs, 100 * i + 50, 10);
	CHECK(rs.n == 7);
	CHECK(!ranges_meet(&rs, 0, 50) && ranges_meet(&rs, 0, 51));
	CHECK(ranges_meet(&rs, 59, 1) && !ranges_meet(&rs, 60, 90));
	CHECK(ranges_meet(&rs, 60, 91) && ranges_meet(&rs, 655, 1));
	CHECK(!ranges_meet(&rs, 660, 1000) && ranges_meet(&rs, 0, 1000));
}

static void many(void)
{
	autoranges struct ranges rs = { 0 };
	uint64_t i;

	for (i = 1000; i > 0; i--)
		ranges_add(&rs, 2 * i, 1);
	CHECK(rs.n == 1000);
	ranges_sort(&rs);
	CHECK(rs.n == 1000 && rs.r[0].start == 2 && rs.r[999].start == 2000);
	ranges_add(&rs, 1, 2000);
	ranges_sort(&rs);
	CHECK(rs.n == 1 && rs.r[0].start == 1 && rs.r[0].len == 2000);
}

KTAP_MAIN({ "ranges that touch", joined },
	  { "ranges that meet", met },
	  { "many ranges", many })
