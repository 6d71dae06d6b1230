// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "ktap.h"
#include "stats.h"

static void full_reply(void)
{
	struct stats s;

	CHECK(!stats_parse("sample 64\nreads 65\nwrites 3\nflushes 2\n"
			   "latency read count=2 sum_us=11 max_us=9 1:1 16:1\n"
			   "latency flush_target count=1 sum_us=20000000 "
			   "max_us=20000000 inf:1\n", &s));
	CHECK(s.sample == 64 && s.reads == 65 && s.writes == 3 && s.flushes == 2);
	CHECK(s.latency[0].count == 2 && s.latency[0].sum_us == 11);
	CHECK(s.latency[0].max_us == 9);
	CHECK(s.latency[0].bucket[0] == 1 && s.latency[0].bucket[4] == 1);
	CHECK(s.latency[7].bucket[HISTOGRAM_BUCKETS - 1] == 1);
	CHECK(!strcmp(latency_kinds[7].op, "flush"));
	CHECK(!strcmp(latency_kinds[7].leg, "target"));
	CHECK(s.latency[1].count == 0);
}

static void unknown_words(void)
{
	struct stats s;

	CHECK(!stats_parse("parked 7\nlatency later count=1 1:1\n"
			   "latency write count=1 min_us=5 8:1\n", &s));
	CHECK(s.latency[1].bucket[3] == 1 && s.latency[1].count == 1);
	CHECK(s.sample == UNKNOWN && s.reads == UNKNOWN);
	CHECK(!stats_parse("", &s));
}

static void malformed(void)
{
	static const char * const bad[] = {
		"reads", "reads x", "reads -1", "reads 99999999999999999999",
		"latency", "latency read count", "latency read count=",
		"latency read count=x", "latency read 3:1", "latency read 0:1",
		"latency read 33554432:1", "latency read 8:", "latency read 8:-1",
		"latency read x:1",
	};
	struct stats s;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(stats_parse(bad[i], &s) == -EINVAL);
}

static void percentiles(void)
{
	struct histogram h = { .count = 100, .max_us = 3000 };

	h.bucket[2] = 50;	/* at most 4 us */
	h.bucket[3] = 49;	/* at most 8 us */
	h.bucket[12] = 1;
	CHECK(histogram_percentile(&h, 50) == 4);
	CHECK(histogram_percentile(&h, 51) == 8);
	CHECK(histogram_percentile(&h, 99) == 8);
	CHECK(histogram_percentile(&h, 100) == 3000);
	h = (struct histogram) { .count = 1, .max_us = 40000000 };
	h.bucket[HISTOGRAM_BUCKETS - 1] = 1;
	CHECK(histogram_percentile(&h, 50) == 40000000);
	h = (struct histogram) { 0 };
	CHECK(histogram_percentile(&h, 99) == 0);
}

KTAP_MAIN(
	{ "full reply", full_reply },
	{ "unknown words", unknown_words },
	{ "malformed", malformed },
	{ "percentiles", percentiles },
)
