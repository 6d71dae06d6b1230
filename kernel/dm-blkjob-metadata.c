// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The format of the metadata: made, and judged.
 *
 * What can happen to it, and what follows:
 *
 * - A write is cut off by a power failure: some of its sectors are there, the
 *   others are as before, and nobody was told that it was done. All sectors
 *   are valid by themselves. Of the superblock the other slot counts. Of a
 *   bitmap the newer one of each two sectors does: bits are only ever added,
 *   and one that was not promised is one too many at worst.
 *
 * - A sector is damaged: flipped bits, zeroes, another sector's content. Its
 *   checksum, or what it says of itself, is wrong. The superblock is always
 *   written to both slots, so the other one says the same. Of a bitmap the
 *   other slot is older, or the damaged one is; the rest of the slot tells
 *   which. If the damaged one may have been the newer, its bits are all set.
 *   A bitmap can have each block in both slots instead, before it counts
 *   (BLKJOB_MD_TWICE); then it takes two damages in one place to lose a bit.
 */
#include "dm-blkjob-metadata.h"

struct slot {
	struct blkjob_md_sector sector[BLKJOB_MD_SECTORS];
};

static __printf(3, 4) int refuse(char *error, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, BJ_MD_ERROR, fmt, ap);
	va_end(ap);
	return r;
}

/*----------------------------- Places -----------------------------*/

u32 bj_md_bitmap_blocks(u64 regions)
{
	return div_u64(regions + BLKJOB_MD_BLOCK_BITS - 1,
		       BLKJOB_MD_BLOCK_BITS);
}

u64 bj_md_bitmap_sector(const struct bj_md_super *super, unsigned int bitmap,
			u32 block, unsigned int slot)
{
	u64 before = 1 + (u64)bitmap * super->bitmap_blocks + block;

	return (before * BLKJOB_MD_SLOTS + slot) * BLKJOB_MD_SECTORS;
}

u64 bj_md_sectors(const struct bj_md_super *super)
{
	return bj_md_bitmap_sector(super, super->nr_bitmaps, 0, 0);
}

u32 bj_md_places(u64 sectors, u64 regions)
{
	u64 blocks = div_u64(sectors, BLKJOB_MD_SLOTS * BLKJOB_MD_SECTORS);

	if (blocks < 2)
		return 0;
	return min_t(u64, div_u64(blocks - 1, bj_md_bitmap_blocks(regions)),
		     BLKJOB_MD_BITMAPS);
}

/*---------------------------- Sectors -----------------------------*/

static u32 sector_crc(const struct blkjob_md_sector *sector)
{
	return ~crc32c(~0U, (const u8 *)sector + sizeof(sector->crc),
		       BLKJOB_MD_SECTOR - sizeof(sector->crc));
}

/* Head and checksum for sectors whose payload is there. */
static void slot_seal(struct slot *slot, u32 magic, u64 generation,
		      u64 sequence, u32 block, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < BLKJOB_MD_SECTORS; i++) {
		struct blkjob_md_sector *sector = &slot->sector[i];

		sector->magic = cpu_to_le32(magic);
		sector->version = cpu_to_le16(BLKJOB_MD_VERSION);
		sector->index = i;
		sector->slot = nr;
		sector->block = cpu_to_le32(block);
		sector->sequence = cpu_to_le64(sequence);
		sector->generation = cpu_to_le64(generation);
		sector->crc = cpu_to_le32(sector_crc(sector));
	}
}

static bool sector_whole(const struct blkjob_md_sector *sector, u32 magic)
{
	return sector->magic == cpu_to_le32(magic) &&
	       sector->crc == cpu_to_le32(sector_crc(sector));
}

/* Whole, and what should be in this place. */
static bool sector_valid(const struct blkjob_md_sector *sector, u32 magic,
			 u32 block, unsigned int slot, unsigned int index)
{
	return sector_whole(sector, magic) &&
	       sector->version == cpu_to_le16(BLKJOB_MD_VERSION) &&
	       sector->index == index && sector->slot == slot &&
	       sector->block == cpu_to_le32(block);
}

/*--------------------------- Superblock ---------------------------*/

bool bj_md_name_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isascii(name[i]) ||
		    (!isalnum(name[i]) && !(i && strchr("_.:+-", name[i]))))
			return false;
	return i && i <= BLKJOB_MD_NAME;
}

static void super_to_disk(struct blkjob_md_super *disk,
			  const struct bj_md_super *super)
{
	unsigned int i;

	memset(disk, 0, sizeof(*disk));
	strscpy((char *)disk->type, super->type, sizeof(disk->type));
	disk->granularity = cpu_to_le32(super->granularity);
	disk->nr_bitmaps = cpu_to_le32(super->nr_bitmaps);
	disk->regions = cpu_to_le64(super->regions);
	disk->bitmap_blocks = cpu_to_le32(super->bitmap_blocks);
	disk->flags = cpu_to_le32(super->flags);
	for (i = 0; i < ARRAY_SIZE(disk->leg); i++) {
		disk->leg[i].sectors = cpu_to_le64(super->leg[i].sectors);
		strscpy((char *)disk->leg[i].identity, super->leg[i].identity,
			sizeof(disk->leg[i].identity));
	}
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
		const struct bj_md_bitmap *from = &super->bitmap[i];
		struct blkjob_md_bitmap *to = &disk->bitmap[i];

		to->generation = cpu_to_le64(from->generation);
		to->order = cpu_to_le64(from->order);
		to->time = cpu_to_le64(from->time);
		to->flags = cpu_to_le32(from->flags);
		strscpy((char *)to->name, from->name, sizeof(to->name));
	}
	strscpy((char *)disk->note, super->note, sizeof(disk->note));
}

void bj_md_super_encode(void *to, const struct bj_md_super *super,
			u64 sequence, unsigned int slot)
{
	struct slot *s = to;
	int i;

	BUILD_BUG_ON(sizeof(struct blkjob_md_super) !=
		     BLKJOB_MD_SECTORS * BLKJOB_MD_PAYLOAD);
	BUILD_BUG_ON(sizeof(struct slot) != BJ_MD_SLOT_BYTES);
	super_to_disk(to, super);
	/* Apart, from the last on: it is too much for a stack. */
	for (i = BLKJOB_MD_SECTORS - 1; i >= 0; i--)
		memmove(s->sector[i].payload,
			(u8 *)to + i * BLKJOB_MD_PAYLOAD, BLKJOB_MD_PAYLOAD);
	slot_seal(s, BLKJOB_MD_MAGIC_SUPER, super->generation, sequence, 0,
		  slot);
}

/* A text that fills its place would have no end. */
static bool take_text(char *to, const u8 *from, size_t size)
{
	memcpy(to, from, size);
	return !to[size - 1];
}

static bool take_bitmap(struct bj_md_bitmap *to,
			const struct blkjob_md_bitmap *from)
{
	to->generation = le64_to_cpu(from->generation);
	to->order = le64_to_cpu(from->order);
	to->time = le64_to_cpu(from->time);
	to->flags = le32_to_cpu(from->flags);
	return take_text(to->name, from->name, sizeof(to->name)) &&
	       (!to->generation || bj_md_name_ok(to->name));
}

static bool super_from_disk(struct bj_md_super *super,
			    const struct blkjob_md_super *disk)
{
	bool ok = take_text(super->type, disk->type, sizeof(super->type));
	unsigned int i;

	super->granularity = le32_to_cpu(disk->granularity);
	super->nr_bitmaps = le32_to_cpu(disk->nr_bitmaps);
	super->regions = le64_to_cpu(disk->regions);
	super->bitmap_blocks = le32_to_cpu(disk->bitmap_blocks);
	super->flags = le32_to_cpu(disk->flags);
	for (i = 0; i < ARRAY_SIZE(disk->leg); i++) {
		super->leg[i].sectors = le64_to_cpu(disk->leg[i].sectors);
		ok &= take_text(super->leg[i].identity, disk->leg[i].identity,
				sizeof(super->leg[i].identity));
	}
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++)
		ok &= take_bitmap(&super->bitmap[i], &disk->bitmap[i]);
	return ok && take_text(super->note, disk->note, sizeof(super->note));
}

/* Names, generations and orders belong to one bitmap each. */
static bool bitmaps_distinct(const struct bj_md_super *super)
{
	const struct bj_md_bitmap *a, *b;

	for (a = super->bitmap; a < super->bitmap + BLKJOB_MD_BITMAPS; a++) {
		for (b = super->bitmap; a->generation && b < a; b++)
			if (a->generation == b->generation ||
			    (b->generation && (a->order == b->order ||
					       !strcmp(a->name, b->name))))
				return false;
		if (a->generation && a - super->bitmap >= super->nr_bitmaps)
			return false;
	}
	return true;
}

/* A whole sector can still say nonsense, if it was made by a mistake. */
static bool super_sane(const struct bj_md_super *super)
{
	u64 sectors = super->leg[0].sectors;
	u64 size = super->granularity >> 9;

	return super->granularity >= BLKJOB_GRANULARITY_MIN &&
	       super->granularity <= BLKJOB_GRANULARITY_MAX &&
	       is_power_of_2(super->granularity) &&
	       sectors && sectors <= (S64_MAX >> 9) &&
	       super->regions == div_u64(sectors + size - 1, size) &&
	       super->bitmap_blocks == bj_md_bitmap_blocks(super->regions) &&
	       super->nr_bitmaps && super->nr_bitmaps <= BLKJOB_MD_BITMAPS &&
	       bitmaps_distinct(super);
}

/* All sectors of one write. */
static bool super_slot_valid(const struct slot *slot, unsigned int nr)
{
	const struct blkjob_md_sector *first = &slot->sector[0];
	unsigned int i;

	for (i = 0; i < BLKJOB_MD_SECTORS; i++) {
		const struct blkjob_md_sector *sector = &slot->sector[i];

		if (!sector_valid(sector, BLKJOB_MD_MAGIC_SUPER, 0, nr, i) ||
		    sector->sequence != first->sequence ||
		    sector->generation != first->generation)
			return false;
	}
	return true;
}

/* Why there is no valid slot, or 0; and a newer version in either counts. */
static int super_foreign(const struct slot *slots, char *error)
{
	const struct blkjob_md_sector *sector = slots[0].sector;
	unsigned int i, whole = 0;
	const u8 *byte = (const u8 *)slots;

	for (i = 0; i < BLKJOB_MD_SLOTS * BLKJOB_MD_SECTORS; i++) {
		if (!sector_whole(&sector[i], BLKJOB_MD_MAGIC_SUPER))
			continue;
		whole++;
		if (le16_to_cpu(sector[i].version) != BLKJOB_MD_VERSION)
			return refuse(error, -EPROTONOSUPPORT,
				      "the metadata have version %u, and only %u is known",
				      le16_to_cpu(sector[i].version),
				      BLKJOB_MD_VERSION);
	}
	if (whole)
		return 0;
	for (i = 0; i < BJ_MD_BLOCK_BYTES; i++)
		if (byte[i])
			return refuse(error, -EMEDIUMTYPE,
				      "there is something else than metadata");
	return refuse(error, -ENODATA, "there are no metadata");
}

int bj_md_super_decode(struct bj_md_super *super, void *from, char *error)
{
	struct slot *slots = from, *best = NULL;
	unsigned int i, bad = 0;
	int r = super_foreign(slots, error);

	if (r)
		return r;
	for (i = 0; i < BLKJOB_MD_SLOTS; i++) {
		if (!super_slot_valid(&slots[i], i))
			bad++;
		else if (!best || le64_to_cpu(slots[i].sector[0].sequence) >
				  le64_to_cpu(best->sector[0].sequence))
			best = &slots[i];
	}
	if (!best)
		return refuse(error, -EUCLEAN,
			      "both copies of the superblock are damaged");
	memset(super, 0, sizeof(*super));
	super->generation = le64_to_cpu(best->sector[0].generation);
	super->bad_slots = bad;
	/* Of a torn slot too: the next write must be the newest. */
	for (i = 0; i < BLKJOB_MD_SLOTS * BLKJOB_MD_SECTORS; i++)
		if (sector_whole(&slots[0].sector[i], BLKJOB_MD_MAGIC_SUPER))
			super->sequence =
				max_t(u64, super->sequence,
				      le64_to_cpu(slots[0].sector[i].sequence));
	for (i = 0; i < BLKJOB_MD_SECTORS; i++)
		memmove((u8 *)best + i * BLKJOB_MD_PAYLOAD,
			best->sector[i].payload, BLKJOB_MD_PAYLOAD);
	if (!super_from_disk(super, (void *)best) || !super_sane(super))
		return refuse(error, -EUCLEAN,
			      "the superblock contradicts itself");
	return 0;
}

/*---------------------------- Bitmaps -----------------------------*/

/*
 * Bit n of a block is bit n % 8 of byte n / 8 of its payloads, on every
 * machine.
 */
static unsigned long bits_word(unsigned long word)
{
	return sizeof(word) == 8 ? (__force unsigned long)cpu_to_le64(word) :
				   (__force unsigned long)cpu_to_le32(word);
}

static void bits_add(unsigned long *bits, u64 nr, u8 byte)
{
	bits[nr / sizeof(long)] |= (unsigned long)byte <<
				   nr % sizeof(long) * BITS_PER_BYTE;
}

static u64 first_byte(u32 block, unsigned int index)
{
	return ((u64)block * BLKJOB_MD_SECTORS + index) * BLKJOB_MD_PAYLOAD;
}

void bj_md_bits_encode(void *to, const unsigned long *bits, u64 generation,
		       u64 sequence, u32 block, unsigned int slot)
{
	struct slot *s = to;
	unsigned int i, byte;
	unsigned long word;

	/* By words: a stream's commit may have a thousand slots. */
	BUILD_BUG_ON(BLKJOB_MD_PAYLOAD % sizeof(word));
	bits += first_byte(block, 0) / sizeof(word);
	for (i = 0; i < BLKJOB_MD_SECTORS; i++)
		for (byte = 0; byte < BLKJOB_MD_PAYLOAD; byte += sizeof(word)) {
			word = bits_word(*bits++);
			memcpy(&s->sector[i].payload[byte], &word,
			       sizeof(word));
		}
	slot_seal(s, BLKJOB_MD_MAGIC_BITMAP, generation, sequence, block, slot);
}

void bj_md_bits_add(unsigned long *bits, const void *slot, u32 block)
{
	const struct slot *s = slot;
	unsigned int i, byte;

	for (i = 0; i < BLKJOB_MD_SECTORS; i++)
		for (byte = 0; byte < BLKJOB_MD_PAYLOAD; byte++)
			bits_add(bits, first_byte(block, i) + byte,
				 s->sector[i].payload[byte]);
}

/* Sequence numbers of a slot; 0 = not valid, as none is. */
static void slot_sequences(const struct slot *slot, u64 generation, u32 block,
			   unsigned int nr, u64 *sequence, u64 *highest)
{
	unsigned int i;

	*highest = 0;
	for (i = 0; i < BLKJOB_MD_SECTORS; i++) {
		const struct blkjob_md_sector *sector = &slot->sector[i];

		sequence[i] = 0;
		if (sector_valid(sector, BLKJOB_MD_MAGIC_BITMAP, block, nr, i) &&
		    le64_to_cpu(sector->generation) == generation)
			sequence[i] = le64_to_cpu(sector->sequence);
		*highest = max_t(u64, *highest, sequence[i]);
	}
}

void bj_md_bits_decode(unsigned long *bits, const void *from, u64 generation,
		       u32 flags, u32 block, struct bj_md_block *found)
{
	u64 sequence[BLKJOB_MD_SLOTS][BLKJOB_MD_SECTORS];
	u64 highest[BLKJOB_MD_SLOTS];
	const struct slot *slots = from;
	unsigned int i, byte, best;

	for (i = 0; i < BLKJOB_MD_SLOTS; i++)
		slot_sequences(&slots[i], generation, block, i, sequence[i],
			       &highest[i]);
	*found = (struct bj_md_block) {
		.sequence = max_t(u64, highest[0], highest[1]),
		.newest = highest[1] > highest[0],
	};
	for (i = 0; i < BLKJOB_MD_SECTORS; i++) {
		u64 a = sequence[0][i], b = sequence[1][i];
		bool doubt = false;

		best = b > a;
		found->bad += !a + !b;
		/*
		 * The rest of its slot is older than this one: so was it.
		 * Otherwise, or if there is no rest, nobody knows. Unless both
		 * had to be there: then what this one lacks was not promised.
		 */
		if (!a || !b)
			doubt = !sequence[best][i] ||
				(!(flags & BLKJOB_MD_TWICE) &&
				 (!highest[!best] ||
				  highest[!best] > sequence[best][i]));
		found->doubtful += doubt;
		for (byte = 0; byte < BLKJOB_MD_PAYLOAD; byte++)
			bits_add(bits, first_byte(block, i) + byte, doubt ?
				 0xff : slots[best].sector[i].payload[byte]);
	}
}
