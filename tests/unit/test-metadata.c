// SPDX-License-Identifier: GPL-2.0
/*
 * The metadata: what is written is read again, and whatever is torn or damaged
 * never hides a bit that was promised, or a checkpoint. Two blocks and 32 KiB
 * in all, so that every cut and every flipped bit is tried.
 */
#include "dm-blkjob-metadata.h"
#include "unit.h"

#define GENERATION	0x1122334455667788ULL
#define REGIONS		(BLKJOB_MD_BLOCK_BITS + 1000ULL)
#define BLOCKS		2
#define WORDS		(BLOCKS * BLKJOB_MD_BLOCK_BITS / BITS_PER_LONG)

static struct bj_md_super a_super(void)
{
	struct bj_md_super super = {
		.generation = GENERATION, .type = "track",
		.granularity = 65536, .regions = REGIONS,
		.nr_bitmaps = 4, .bitmap_blocks = BLOCKS,
		.flags = BLKJOB_MD_ENDED,
		.leg[0] = { REGIONS * 128 - 5, "LVM-abc" },
		.bitmap[1] = { 77, 1, 1000000, 0, "monday" },
		.bitmap[3] = { 78, 2, 2000000, BLKJOB_MD_STARTING, "tuesday" },
		.note = "new/golden",
	};

	return super;
}

static u8 super_block[BJ_MD_BLOCK_BYTES];

/* Both slots, as a commit leaves them. */
static void super_commit(u8 *block, const struct bj_md_super *super, u64 seq)
{
	bj_md_super_encode(block, super, seq, 0);
	bj_md_super_encode(block + BJ_MD_SLOT_BYTES, super, seq + 1, 1);
}

static int super_read(struct bj_md_super *super, const u8 *block)
{
	static u8 copy[BJ_MD_BLOCK_BYTES];
	char error[BJ_MD_ERROR] = "";
	int r;

	memcpy(copy, block, sizeof(copy));
	r = bj_md_super_decode(super, copy, error);
	CHECK(!r == !*error, "%d with \"%s\"", r, error);
	return r;
}

static void super_is(const struct bj_md_super *is,
		     const struct bj_md_super *wanted)
{
	unsigned int i;

	CHECK_EQ(is->generation, wanted->generation);
	CHECK(!strcmp(is->type, wanted->type), "%s", is->type);
	CHECK_EQ(is->granularity, wanted->granularity);
	CHECK_EQ(is->regions, wanted->regions);
	CHECK_EQ(is->nr_bitmaps, wanted->nr_bitmaps);
	CHECK_EQ(is->bitmap_blocks, wanted->bitmap_blocks);
	CHECK_EQ(is->flags, wanted->flags);
	CHECK_EQ(is->leg[0].sectors, wanted->leg[0].sectors);
	CHECK(!strcmp(is->leg[0].identity, wanted->leg[0].identity), "-");
	CHECK_EQ(is->leg[1].sectors, 0);
	CHECK(!strcmp(is->note, wanted->note), "%s", is->note);
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
		const struct bj_md_bitmap *a = &is->bitmap[i];
		const struct bj_md_bitmap *b = &wanted->bitmap[i];

		CHECK_EQ(a->generation, b->generation);
		CHECK_EQ(a->order, b->order);
		CHECK_EQ(a->time, b->time);
		CHECK_EQ(a->flags, b->flags);
		CHECK(!strcmp(a->name, b->name), "%s", a->name);
	}
}

static void super_round_trip(void)
{
	struct bj_md_super super = a_super(), again;

	super_commit(super_block, &super, 41);
	CHECK_EQ(super_read(&again, super_block), 0);
	super_is(&again, &super);
	CHECK_EQ(again.sequence, 42);
	CHECK_EQ(again.bad_slots, 0);
}

/* Any bit of any byte: what was committed is read all the same. */
static void super_flipped(void)
{
	struct bj_md_super super = a_super(), again;
	unsigned int bit;

	super_commit(super_block, &super, 41);
	for (bit = 0; bit < BJ_MD_BLOCK_BYTES * 8; bit++) {
		super_block[bit / 8] ^= 1 << bit % 8;
		CHECK(super_read(&again, super_block) == 0, "bit %u", bit);
		super_is(&again, &super);
		CHECK_EQ(again.bad_slots, 1);
		super_block[bit / 8] ^= 1 << bit % 8;
	}
}

/*
 * The next commit, cut off after any number of sectors of either slot, or with
 * any single set of them: it is the old one or the new one, and the new one
 * for sure if all of it is there.
 */
static void super_torn(void)
{
	static u8 next_block[BJ_MD_BLOCK_BYTES], mixed[BJ_MD_BLOCK_BYTES];
	struct bj_md_super super = a_super(), next = a_super(), again;
	unsigned int set, slot, i;

	strscpy(next.bitmap[0].name, "wednesday", sizeof(next.bitmap[0].name));
	next.bitmap[0].generation = 79;
	next.bitmap[0].order = 3;
	next.bitmap[1] = (struct bj_md_bitmap) { 0 };
	super_commit(super_block, &super, 41);
	super_commit(next_block, &next, 43);
	for (slot = 0; slot < 2; slot++) {
		u8 *to = mixed + slot * BJ_MD_SLOT_BYTES;

		for (set = 0; set < 256; set++) {
			/* Slot 1 is written when slot 0 is there. */
			memcpy(mixed, super_block, sizeof(mixed));
			if (slot)
				memcpy(mixed, next_block, BJ_MD_SLOT_BYTES);
			for (i = 0; i < 8; i++)
				if (set & BIT(i))
					memcpy(to + i * 512, next_block + slot *
					       BJ_MD_SLOT_BYTES + i * 512, 512);
			CHECK(super_read(&again, mixed) == 0, "%u %u", slot,
			      set);
			super_is(&again, slot || set == 255 ? &next : &super);
			CHECK_EQ(again.bad_slots, set && set != 255);
			/* What is written next is newer than any part. */
			CHECK_EQ(again.sequence, slot ? (set ? 44 : 43) :
							(set ? 43 : 42));
		}
	}
}

static void super_refused(void)
{
	struct bj_md_super super = a_super(), again;
	struct blkjob_md_sector *sector = (void *)super_block;
	unsigned int i;

	memset(super_block, 0, sizeof(super_block));
	CHECK_EQ(super_read(&again, super_block), -ENODATA);
	memset(super_block, 'x', sizeof(super_block));
	CHECK_EQ(super_read(&again, super_block), -EMEDIUMTYPE);
	memset(super_block, 0, sizeof(super_block));
	super_block[8191] = 1;
	CHECK_EQ(super_read(&again, super_block), -EMEDIUMTYPE);

	super_commit(super_block, &super, 1);
	memset(super_block + 512, 0, 512);
	memset(super_block + BJ_MD_SLOT_BYTES + 512, 0, 512);
	CHECK_EQ(super_read(&again, super_block), -EUCLEAN);

	/* One sector of a newer version is enough. */
	for (i = 0; i < 16; i++) {
		super_commit(super_block, &super, 1);
		sector[i].version = cpu_to_le16(2);
		sector[i].crc = cpu_to_le32(~crc32c(~0U, (u8 *)&sector[i] + 4,
						    508));
		CHECK_EQ(super_read(&again, super_block), -EPROTONOSUPPORT);
	}

#define NONSENSE(change) do {						\
	super = a_super();						\
	change;								\
	super_commit(super_block, &super, 1);				\
	CHECK(super_read(&again, super_block) == -EUCLEAN, #change);	\
} while (0)
	NONSENSE(super.granularity = 0);
	NONSENSE(super.granularity = 256);
	NONSENSE(super.granularity = 65537);
	NONSENSE(super.granularity = 1U << 31);
	NONSENSE(super.regions++);
	NONSENSE(super.regions = 0);
	NONSENSE(super.leg[0].sectors = U64_MAX);
	NONSENSE(super.leg[0].sectors = 0);
	NONSENSE(super.nr_bitmaps = 0);
	NONSENSE(super.nr_bitmaps = 33);
	NONSENSE(super.nr_bitmaps = 3);
	NONSENSE(super.bitmap_blocks++);
	NONSENSE(super.bitmap[3].order = 1);
	NONSENSE(super.bitmap[3].generation = 77);
	NONSENSE(strcpy(super.bitmap[3].name, "monday"));
	NONSENSE(super.bitmap[3].name[0] = '\0');
	NONSENSE(super.bitmap[3].name[0] = ' ');
}

/* Written out by hand: the format does not change by accident. */
static void bytes(void)
{
	struct bj_md_super super = a_super();
	static const u8 head[] = {
		'B', 'J', 'M', 'S', 1, 0, 2, 1, 0, 0, 0, 0,
		42, 0, 0, 0, 0, 0, 0, 0,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	};
	static unsigned long bits[WORDS];
	const u8 *payload = super_block + 32, *at;

	super_commit(super_block, &super, 41);
	CHECK(!memcmp(super_block + BJ_MD_SLOT_BYTES + 2 * 512 + 4, head,
		      sizeof(head)), "-");
	CHECK(!memcmp(payload, "track\0\0\0\0\0\0\0\0\0\0\0", 16), "-");
	CHECK(!memcmp(payload + 16, "\0\0\1\0\4\0\0\0", 8), "-");
	CHECK(!memcmp(payload + 24, "\xe8\x7b\0\0\0\0\0\0\2\0\0\0", 12), "-");
	CHECK(!memcmp(payload + 48, "\xfb\xf3\x3d\0\0\0\0\0LVM-abc", 16), "-");
	/* The second bitmap: 304 + 96, still in the first sector. */
	at = payload + 400;
	CHECK(!memcmp(at, "\x4d\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16), "-");
	CHECK(!memcmp(at + 16, "\x40\x42\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
	      "-");
	CHECK(!memcmp(at + 32, "monday", 7), "-");
	/* CRC32C of nine digits, as everybody's. */
	CHECK_EQ((u32)~crc32c(~0U, "123456789", 9), 0xe3069283U);

	memset(bits, 0, sizeof(bits));
	bitmap_set(bits, BLKJOB_MD_BLOCK_BITS + 3840 + 11, 1);
	bj_md_bits_encode(super_block, bits, 77, 5, 1, 0);
	CHECK_EQ(super_block[512 + 32 + 1], 8);
	CHECK(!memcmp(super_block + 512 + 4, "BJMB\1\0\1\0\1\0\0\0\5", 13), "-");
}

/*---------------------------- Bitmaps -----------------------------*/

static unsigned long old_bits[WORDS], new_bits[WORDS], seen[WORDS];
static u8 disk[BLOCKS][BJ_MD_BLOCK_BYTES];

static void some_bits(unsigned long *bits, unsigned int nr)
{
	while (nr--)
		bitmap_set(bits, unit_random() % REGIONS, 1);
}

/* Old bits in slot 1 with sequence 6, new ones in slot 0 with 7. */
static void two_writes(void)
{
	u32 block;

	memset(old_bits, 0, sizeof(old_bits));
	some_bits(old_bits, 300);
	memcpy(new_bits, old_bits, sizeof(new_bits));
	some_bits(new_bits, 50);
	for (block = 0; block < BLOCKS; block++) {
		bj_md_bits_encode(disk[block] + BJ_MD_SLOT_BYTES, old_bits, 77,
				  6, block, 1);
		bj_md_bits_encode(disk[block], new_bits, 77, 7, block, 0);
	}
}

static struct bj_md_block bits_read(u32 block)
{
	struct bj_md_block found;

	memset(seen, 0, sizeof(seen));
	bj_md_bits_decode(seen, disk[block], 77, 0, block, &found);
	return found;
}

/* Every bit of @bits in that block is there. Returns how many more there are. */
static u64 bits_there(const unsigned long *bits, u32 block)
{
	u64 first = block * (WORDS / BLOCKS), i, more = 0;

	for (i = first; i < first + WORDS / BLOCKS; i++) {
		CHECK(!(bits[i] & ~seen[i]), "word %llu lost a bit", i);
		more += hweight_long(seen[i] & ~bits[i]);
	}
	return more;
}

static void bits_round_trip(void)
{
	struct bj_md_block found;
	u32 block;

	two_writes();
	for (block = 0; block < BLOCKS; block++) {
		found = bits_read(block);
		CHECK_EQ(bits_there(new_bits, block), 0);
		CHECK_EQ(found.sequence, 7);
		CHECK_EQ(found.newest, 0);
		CHECK_EQ(found.bad + found.doubtful, 0);
	}
}

/* A write cut off, leaving any set of its sectors: all that was promised. */
static void bits_torn(void)
{
	static u8 next[BJ_MD_SLOT_BYTES];
	static unsigned long next_bits[WORDS];
	struct bj_md_block found;
	unsigned int set, i;

	for (set = 0; set < 256; set++) {
		two_writes();
		memcpy(next_bits, new_bits, sizeof(next_bits));
		some_bits(next_bits, 50);
		bj_md_bits_encode(next, next_bits, 77, 8, 1, 1);
		for (i = 0; i < 8; i++)
			if (set & BIT(i))
				memcpy(disk[1] + BJ_MD_SLOT_BYTES + i * 512,
				       next + i * 512, 512);
		found = bits_read(1);
		bits_there(new_bits, 1);
		CHECK_EQ(found.bad + found.doubtful, 0);
		CHECK_EQ(found.sequence, set ? 8 : 7);
		CHECK_EQ(found.newest, !!set);
		/* And nothing that was never written. */
		for (i = 0; i < WORDS; i++)
			CHECK(!(seen[i] & ~next_bits[i]), "%u", i);
	}
}

/* Every single bit flipped; a bit costs the regions of its sector at most. */
static void bits_flipped(void)
{
	struct bj_md_block found;
	unsigned int bit;

	two_writes();
	for (bit = 0; bit < BJ_MD_BLOCK_BYTES * 8; bit++) {
		u64 more;

		disk[1][bit / 8] ^= 1 << bit % 8;
		found = bits_read(1);
		more = bits_there(new_bits, 1);
		CHECK_EQ(found.bad, 1);
		/* The older slot is not missed. */
		CHECK_EQ(found.doubtful, bit < BJ_MD_SLOT_BYTES * 8);
		CHECK(found.doubtful ? more : !more, "bit %u", bit);
		CHECK(more <= BLKJOB_MD_PAYLOAD * 8, "bit %u", bit);
		disk[1][bit / 8] ^= 1 << bit % 8;
	}
}

/* Sectors that are zero, or another one's; whole slots; all of it. */
static void bits_lost(void)
{
	struct bj_md_block found;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		two_writes();
		memset(disk[0] + i * 512, 0, 512);
		found = bits_read(0);
		bits_there(new_bits, 0);
		CHECK_EQ(found.doubtful, i < 8);
		two_writes();
		memcpy(disk[0] + i * 512, disk[1] + i * 512, 512);
		found = bits_read(0);
		bits_there(new_bits, 0);
		CHECK_EQ(found.bad, 1);
		two_writes();
		memcpy(disk[0] + i * 512, disk[0] + (i + 1) % 16 * 512, 512);
		found = bits_read(0);
		bits_there(new_bits, 0);
		CHECK_EQ(found.bad, 1);
		two_writes();
		memcpy(disk[0] + i * 512, disk[0] + (i + 8) % 16 * 512, 512);
		found = bits_read(0);
		bits_there(new_bits, 0);
		CHECK_EQ(found.bad, 1);
	}
	for (i = 0; i < 3; i++) {
		two_writes();
		if (i != 1)
			memset(disk[0], 0, BJ_MD_SLOT_BYTES);
		if (i)
			memset(disk[0] + BJ_MD_SLOT_BYTES, 0, BJ_MD_SLOT_BYTES);
		found = bits_read(0);
		bits_there(new_bits, 0);
		CHECK_EQ(found.doubtful, 8);
	}
}

/* In both slots before it counts: one of them is enough, wherever. */
static void bits_twice(void)
{
	struct bj_md_block found;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		two_writes();
		memset(disk[0] + i * 512, 0, 512);
		memset(seen, 0, sizeof(seen));
		bj_md_bits_decode(seen, disk[0], 77, BLKJOB_MD_TWICE, 0, &found);
		CHECK_EQ(found.bad, 1);
		CHECK_EQ(found.doubtful, 0);
		CHECK_EQ(found.sequence, 7);
		/* What both had, and nothing that neither has. */
		bits_there(old_bits, 0);
		CHECK(!memcmp(seen, new_bits, 480) || i < 8, "%u", i);
		for (u64 w = 0; w < WORDS / BLOCKS; w++)
			CHECK(!(seen[w] & ~new_bits[w]), "%u: word %llu", i, w);
		memset(disk[0] + (i + 8) % 16 * 512, 0, 512);
		bj_md_bits_decode(seen, disk[0], 77, BLKJOB_MD_TWICE, 0, &found);
		CHECK_EQ(found.bad, 2);
		CHECK_EQ(found.doubtful, 1);
	}
	two_writes();
	memset(disk[0], 0, BJ_MD_SLOT_BYTES);
	memset(seen, 0, sizeof(seen));
	bj_md_bits_decode(seen, disk[0], 77, BLKJOB_MD_TWICE, 0, &found);
	CHECK_EQ(found.doubtful, 0);
	CHECK(!memcmp(seen, old_bits, WORDS / BLOCKS * sizeof(long)), "-");
}

/* What an earlier bitmap left in this place is none of ours. */
static void bits_of_another(void)
{
	struct bj_md_block found;

	two_writes();
	memset(seen, 0, sizeof(seen));
	bj_md_bits_decode(seen, disk[0], 78, 0, 0, &found);
	CHECK_EQ(found.doubtful, 8);
	CHECK_EQ(found.sequence, 0);
	CHECK_EQ(find_next_zero_bit(seen, BLKJOB_MD_BLOCK_BITS, 0),
		 BLKJOB_MD_BLOCK_BITS);
	CHECK_EQ(seen[WORDS - 1], 0);
}

static void places(void)
{
	struct bj_md_super super = a_super();

	CHECK_EQ(bj_md_bitmap_blocks(1), 1);
	CHECK_EQ(bj_md_bitmap_blocks(30720), 1);
	CHECK_EQ(bj_md_bitmap_blocks(30721), 2);
	CHECK_EQ(bj_md_bitmap_blocks(1ULL << 30), 34953);
	CHECK_EQ(bj_md_bitmap_sector(&super, 0, 0, 0), 16);
	CHECK_EQ(bj_md_bitmap_sector(&super, 0, 0, 1), 24);
	CHECK_EQ(bj_md_bitmap_sector(&super, 0, 1, 0), 32);
	CHECK_EQ(bj_md_bitmap_sector(&super, 3, 1, 1), 136);
	CHECK_EQ(bj_md_sectors(&super), 144);
	CHECK_EQ(bj_md_places(144, REGIONS), 4);
	CHECK_EQ(bj_md_places(143, REGIONS), 3);
	CHECK_EQ(bj_md_places(47, REGIONS), 0);
	CHECK_EQ(bj_md_places(0, REGIONS), 0);
	CHECK_EQ(bj_md_places(1 << 20, REGIONS), 32);
}

static void names(void)
{
	char name[70];

	CHECK(bj_md_name_ok("a"), "-");
	CHECK(bj_md_name_ok("2026-11-20T03:00_x+1.y"), "-");
	CHECK(!bj_md_name_ok(""), "-");
	CHECK(!bj_md_name_ok("-a"), "-");
	CHECK(!bj_md_name_ok("a b"), "-");
	CHECK(!bj_md_name_ok("a/b"), "-");
	CHECK(!bj_md_name_ok("\xc3\xa9"), "-");
	memset(name, 'x', sizeof(name));
	name[63] = '\0';
	CHECK(bj_md_name_ok(name), "-");
	name[63] = 'x';
	name[64] = '\0';
	CHECK(!bj_md_name_ok(name), "-");
}

static const struct unit_case cases[] = {
	{ "metadata: superblock written and read", super_round_trip },
	{ "metadata: superblock, every flipped bit", super_flipped },
	{ "metadata: superblock, every torn write", super_torn },
	{ "metadata: superblock refused", super_refused },
	{ "metadata: bytes", bytes },
	{ "metadata: bitmap written and read", bits_round_trip },
	{ "metadata: bitmap, every torn write", bits_torn },
	{ "metadata: bitmap, every flipped bit", bits_flipped },
	{ "metadata: bitmap, lost sectors", bits_lost },
	{ "metadata: bitmap of another generation", bits_of_another },
	{ "metadata: bitmap in both slots", bits_twice },
	{ "metadata: places", places },
	{ "metadata: names", names },
};

UNIT_MAIN(cases)
