// SPDX-License-Identifier: GPL-2.0
/*
 * The checksum of a region: a sum over its units, so that it does not matter in
 * which pieces and in which order they come.
 *
 * Sums of CRCs alone would be blind: a CRC is linear, so that the same wrong
 * bits in two units cancel out under XOR, and units that have changed places do
 * so whatever the seeds are. The mixing takes the linearity away, and being
 * one-to-one it loses nothing: all that the CRC of one unit finds is found.
 */
#include "dm-blkjob-sum.h"

/*
 * A region need not fit into a buffer of the copy, and pieces can be smaller
 * than it; but they begin and end at multiples of 4 KiB, or of a smaller
 * region. Nor does a unit lie across two pages.
 */
unsigned int bj_sum_unit(u64 granularity)
{
	return min_t(u64, granularity, BLKJOB_CHECKSUM_UNIT);
}

/* MurmurHash3's last step: each bit in changes half of those that come out. */
static u32 mix(u32 h)
{
	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}

static u32 seed_of(u64 number)
{
	/* Not 0, by which zeroes of any length would count for nothing. */
	return ~((u32)number ^ (u32)(number >> 32));
}

u32 bj_sum(unsigned int unit, u64 at, const void *data, size_t len)
{
	u64 number = div_u64(at, unit);
	const u8 *byte = data;
	size_t done, n;
	u32 sum = 0;

	for (done = 0; done < len; done += n) {
		n = min_t(size_t, unit, len - done);
		sum += mix(crc32c(seed_of(number++), byte + done, n));
	}
	return sum;
}
