// SPDX-License-Identifier: GPL-2.0
/*
 * The checksum of a region: it does not matter in which pieces its data come,
 * and does matter where they are.
 */
#include "dm-blkjob-sum.h"
#include "unit.h"

#define UNIT	BLKJOB_CHECKSUM_UNIT
#define UNITS	16
#define BYTES	(UNITS * UNIT)

static u8 data[BYTES];

static void fill(void)
{
	size_t i;

	for (i = 0; i < BYTES; i++)
		data[i] = unit_random();
}

static u32 sum(void)
{
	return bj_sum(UNIT, 0, data, BYTES);
}

static void units(void)
{
	CHECK_EQ(bj_sum_unit(512), 512);
	CHECK_EQ(bj_sum_unit(2048), 2048);
	CHECK_EQ(bj_sum_unit(4096), 4096);
	CHECK_EQ(bj_sum_unit(65536), 4096);
	CHECK_EQ(bj_sum_unit(BLKJOB_GRANULARITY_MAX), 4096);
}

/* Of the definition in the uapi header, as other programs may have it. */
static void definition(void)
{
	static const u8 zeroes[UNIT];

	CHECK_EQ(crc32c(~0U, "123456789", 9), ~0xe3069283U);
	CHECK_EQ(bj_sum(UNIT, 0, "123456789", 9), 0x7ef5af71);
	CHECK_EQ(bj_sum(UNIT, 5ULL << 44, "123456789", 9), 0x1030b3b2);
	CHECK_EQ(bj_sum(UNIT, 0, zeroes, UNIT), 0x29f05542);
}

static void any_pieces(void)
{
	unsigned int round, at, i, n;
	u32 whole, parts;

	fill();
	whole = sum();
	for (round = 0; round < 1000; round++) {
		/* From anywhere on, and around the end. */
		at = unit_random() % UNITS;
		for (parts = 0, i = 0; i < UNITS; i += n) {
			n = 1 + unit_random() % (UNITS - i);
			n = min(n, UNITS - at);
			parts += bj_sum(UNIT, (u64)at * UNIT, data + at * UNIT,
					n * UNIT);
			at = (at + n) % UNITS;
		}
		CHECK_EQ(parts, whole);
	}
	/* The last unit of a device is shorter. */
	parts = bj_sum(UNIT, 0, data, 3 * UNIT) +
		bj_sum(UNIT, 3 * UNIT, data + 3 * UNIT, 512);
	CHECK_EQ(parts, bj_sum(UNIT, 0, data, 3 * UNIT + 512));
	CHECK(parts != bj_sum(UNIT, 0, data, 3 * UNIT), "-");
}

static void each_bit(void)
{
	unsigned int i, bit;
	u32 good;

	fill();
	good = sum();
	for (i = 0; i < BYTES; i += 61) {
		bit = unit_random() % 8;
		data[i] ^= 1 << bit;
		CHECK(sum() != good, "bit %u of byte %u", bit, i);
		data[i] ^= 1 << bit;
	}
}

static void swap(unsigned int a, unsigned int b)
{
	u8 copy[UNIT];

	memcpy(copy, data + a * UNIT, UNIT);
	memcpy(data + a * UNIT, data + b * UNIT, UNIT);
	memcpy(data + b * UNIT, copy, UNIT);
}

static void other_places(void)
{
	unsigned int a, b;
	u32 good;

	fill();
	good = sum();
	for (a = 0; a < UNITS; a++) {
		for (b = 0; b < a; b++) {
			swap(a, b);
			CHECK(sum() != good, "%u and %u", a, b);
			swap(a, b);
		}
	}
	CHECK_EQ(sum(), good);
	CHECK(bj_sum(UNIT, BYTES, data, BYTES) != good, "another region");
}

/* The same wrong bits twice: what a device does to each of its writes. */
static void same_errors(void)
{
	unsigned int a, b, i;
	u32 good;

	fill();
	good = sum();
	for (a = 0; a < UNITS; a++) {
		for (b = 0; b < a; b++) {
			i = unit_random() % UNIT;
			data[a * UNIT + i] ^= 0x10;
			data[b * UNIT + i] ^= 0x10;
			CHECK(sum() != good, "in %u and %u", a, b);
			data[a * UNIT + i] ^= 0x10;
			data[b * UNIT + i] ^= 0x10;
		}
	}
	/* And writes that all are lost. */
	memset(data, 0, BYTES);
	CHECK(sum() != good, "-");
}

static const struct unit_case cases[] = {
	{ "units", units },
	{ "definition", definition },
	{ "any_pieces", any_pieces },
	{ "each_bit", each_bit },
	{ "other_places", other_places },
	{ "same_errors", same_errors },
};

UNIT_MAIN(cases)
