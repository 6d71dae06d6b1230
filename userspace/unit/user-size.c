// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>

#include "ktap.h"
#include "size.h"

static void accepted(void)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "0", 0 }, { "1", 1 }, { "65536", 65536 }, { "7B", 7 },
		{ "64K", 64 << 10 }, { "64k", 64 << 10 }, { "64KiB", 64 << 10 },
		{ "100M", 100 << 20 }, { "1.5G", 3ULL << 29 },
		{ "0.5K", 512 }, { "1.999999999999999K", 2047 },
		{ "15E", 15ULL << 60 }, { "18446744073709551615", UINT64_MAX },
	};
	uint64_t bytes;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		bytes = 42;
		CHECK(size_parse(good[i].text, &bytes) == 0);
		if (bytes != good[i].bytes)
			printf("# \"%s\" is %llu\n", good[i].text,
			       (unsigned long long)bytes);
		CHECK(bytes == good[i].bytes);
	}
}

static void refused(void)
{
	static const char * const bad[] = {
		"", "K", "-1", "+1", " 1", "1 ", "1x", "1KB", "1.K", ".5K",
		"1.5", "1.5B", "1e3", "0x10", "1Kix", "1..5K",
	};
	uint64_t bytes;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (size_parse(bad[i], &bytes) != -EINVAL)
			printf("# \"%s\" was taken\n", bad[i]);
		CHECK(size_parse(bad[i], &bytes) == -EINVAL);
	}
}

static void overflow(void)
{
	uint64_t bytes;

	CHECK(size_parse("18446744073709551616", &bytes) == -ERANGE);
	CHECK(size_parse("16E", &bytes) == -ERANGE);
	CHECK(size_parse("99999999999999999999999999K", &bytes) == -ERANGE);
}

static void times(void)
{
	uint64_t us;

	CHECK(!time_parse("90", &us) && us == 90000000);
	CHECK(!time_parse("5m", &us) && us == 300000000);
	CHECK(!time_parse("2h", &us) && us == 7200000000);
	CHECK(time_parse("", &us) == -EINVAL);
	CHECK(time_parse("m", &us) == -EINVAL);
	CHECK(time_parse("5min", &us) == -EINVAL);
	CHECK(time_parse("5d", &us) == -EINVAL);
	CHECK(time_parse("4294967296", &us) == -ERANGE);
}

static void formats(void)
{
	char buf[32];

	CHECK(!strcmp(size_format(buf, sizeof(buf), 0), "0 B"));
	CHECK(!strcmp(size_format(buf, sizeof(buf), 1023), "1023 B"));
	CHECK(!strcmp(size_format(buf, sizeof(buf), 1536), "1.5 KiB"));
	CHECK(!strcmp(size_format(buf, sizeof(buf), UINT64_MAX), "16.0 EiB"));
	CHECK(!strcmp(time_format(buf, sizeof(buf), 59), "59s"));
	CHECK(!strcmp(time_format(buf, sizeof(buf), 564), "9m24s"));
	CHECK(!strcmp(time_format(buf, sizeof(buf), 3660), "1h01m"));
	CHECK(!strcmp(time_format(buf, sizeof(buf), 90000), "1d01h"));
}

KTAP_MAIN({ "sizes that are taken", accepted },
	  { "sizes that are refused", refused },
	  { "sizes that do not fit", overflow },
	  { "times", times },
	  { "sizes and times as text", formats })
