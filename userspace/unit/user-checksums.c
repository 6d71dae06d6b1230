// SPDX-License-Identifier: GPL-2.0-or-later
#include "blkjob.h"
#include "checksums.h"
#include "dm-blkjob-sum.h"
#include "ktap.h"

static bool next_is(struct checksums *c, uint64_t region, uint32_t sum)
{
	return !checksums_next(c) && c->region == region &&
	       (region == UNKNOWN || c->sum == sum);
}

static void replies(void)
{
	autochecksums struct checksums c = { 0 };

	checksums_reply(&c, xstrdup("0 00000007 ffffffff\n5 00000000\n"));
	CHECK(next_is(&c, 0, 7));
	CHECK(next_is(&c, 1, 0xffffffff));
	CHECK(next_is(&c, 5, 0));
	CHECK(next_is(&c, UNKNOWN, 0));
	CHECK(next_is(&c, UNKNOWN, 0));
	checksums_reply(&c, xstrdup("4294967296 00000001\nnext 4294967297\n"));
	CHECK(c.next == 4294967297);
	CHECK(next_is(&c, 4294967296, 1));
	checksums_reply(&c, xstrdup(""));
	CHECK(next_is(&c, UNKNOWN, 0));
}

/* As the kernel's own unit test has them. */
static void sums(void)
{
	static const unsigned char zeroes[BLKJOB_CHECKSUM_UNIT];

	CHECK(crc32c(~0U, "123456789", 9) == ~0xe3069283U);
	CHECK(bj_sum(4096, 0, "123456789", 9) == 0x7ef5af71);
	CHECK(bj_sum(4096, 5ULL << 44, "123456789", 9) == 0x1030b3b2);
	CHECK(bj_sum(4096, 0, zeroes, sizeof(zeroes)) == 0x29f05542);
}

KTAP_MAIN({ "replies with checksums", replies }, { "checksums", sums })
