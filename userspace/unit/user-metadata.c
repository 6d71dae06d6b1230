// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkjob.h"
#include "dm-blkjob-metadata.h"
#include "ktap.h"
#include "metadata.h"

#define REGIONS 40000ULL	/* two blocks */
#define WORDS (2 * BLKJOB_MD_BLOCK_BITS / 64)

static char path[] = "/tmp/user-metadata.XXXXXX";
static int fd;

static struct bj_md_super super = {
	.generation = 5, .type = "track", .granularity = 65536,
	.regions = REGIONS, .nr_bitmaps = 3, .bitmap_blocks = 2,
	.leg[0] = { REGIONS * 128 - 8, "LVM-x" },
	/* Not in the order of their places. */
	.bitmap[2] = { 71, 1, 1000000, 0, "first" },
	.bitmap[0] = { 72, 2, 2000000, 0, "second" },
};

static void put(const void *what, size_t size, uint64_t sector)
{
	CHECK(pwrite(fd, what, size, sector * 512) == (ssize_t)size);
}

static void put_super(void)
{
	static u8 slot[BJ_MD_SLOT_BYTES];

	bj_md_super_encode(slot, &super, 1, 0);
	put(slot, sizeof(slot), 0);
	bj_md_super_encode(slot, &super, 2, 1);
	put(slot, sizeof(slot), 8);
}

static void put_bits(unsigned int place, u64 region)
{
	static u8 slot[BJ_MD_SLOT_BYTES];
	unsigned long bits[WORDS] = { 0 };
	u32 block;
	unsigned int i;

	bits[region / 64] |= 1UL << region % 64;
	for (block = 0; block < 2; block++)
		for (i = 0; i < 2; i++) {
			bj_md_bits_encode(slot, bits,
					  super.bitmap[place].generation,
					  1 + i, block, i);
			put(slot, sizeof(slot),
			    bj_md_bitmap_sector(&super, place, block, i));
		}
}

static void chain(void)
{
	struct metadata md = { 0 };

	put_super();
	put_bits(2, 3);
	put_bits(0, REGIONS - 1);
	CHECK(metadata_read(path, 0, "first", &md) == 0);
	CHECK(md.n == 2 && md.places == 3 && !md.damaged_supers);
	CHECK(!strcmp(md.checkpoint[0].name, "first"));
	CHECK(md.checkpoint[0].changed == 65536 + 65536 - 4096);
	CHECK(md.checkpoint[0].ranges.n == 2);
	CHECK(md.checkpoint[0].ranges.r[0].start == 3 * 65536);
	CHECK(md.checkpoint[0].ranges.r[1].start == (REGIONS - 1) * 65536);
	CHECK(md.checkpoint[0].ranges.r[1].len == 65536 - 4096);
	CHECK(md.checkpoint[1].changed == 65536 - 4096);
	CHECK(!md.checkpoint[1].ranges.n && !metadata_damaged(&md));
	metadata_free(&md);
}

static void damage(void)
{
	struct metadata md = { 0 };
	u64 sector = bj_md_bitmap_sector(&super, 2, 0, 1);
	static const u8 zero[512];

	put_super();
	put(zero, sizeof(zero), 9);
	put(zero, sizeof(zero), sector + 1);
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.damaged_supers == 1 && metadata_damaged(&md) == 9);
	CHECK(md.checkpoint[0].doubtful == 1);
	/* The regions of one sector, and those that have changed. */
	CHECK(md.checkpoint[0].changed == 3841 * 65536ULL + 65536 - 4096);
	CHECK(md.checkpoint[1].changed == 65536 - 4096);
	metadata_free(&md);
	put_bits(2, 3);
}

static void inconsistent(void)
{
	struct metadata md = { 0 };

	super.bitmap[2].flags = BLKJOB_MD_INCONSISTENT;
	put_super();
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.checkpoint[0].state == CHECKPOINT_INCONSISTENT);
	CHECK(md.checkpoint[0].changed == md.length);
	CHECK(md.checkpoint[1].state == CHECKPOINT_ACTIVE);
	metadata_free(&md);
	/* What a later one does not know, an earlier one does not either. */
	super.bitmap[2].flags = 0;
	super.bitmap[0].flags = BLKJOB_MD_INCONSISTENT;
	put_super();
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.checkpoint[0].state == CHECKPOINT_INCONSISTENT);
	CHECK(md.checkpoint[1].state == CHECKPOINT_INCONSISTENT);
	metadata_free(&md);
	super.bitmap[0].flags = 0;
}

/* Each block in both slots: one damaged sector hides nothing. */
static void stream(void)
{
	struct bj_md_super before = super;
	struct metadata md = { 0 };
	static const u8 zero[512];

	strcpy(super.type, "stream");
	super.leg[1] = (struct bj_md_leg){ REGIONS * 128, "serial:x" };
	strcpy(super.note, "guest/0/-");
	strcpy(super.bitmap[0].name, "valid");
	strcpy(super.bitmap[2].name, "written");
	super.bitmap[0].flags = super.bitmap[2].flags = BLKJOB_MD_TWICE;
	put_super();
	put(zero, sizeof(zero), bj_md_bitmap_sector(&super, 0, 1, 1) + 2);
	CHECK(metadata_read(path, 0, "valid", &md) == 0);
	CHECK(!metadata_has_checkpoints(&md));
	CHECK(!strcmp(md.target_identity, "serial:x"));
	CHECK(md.target_length == REGIONS * 65536);
	CHECK(!strcmp(md.note, "guest/0/-"));
	/* They do not add up. */
	CHECK(md.checkpoint[0].changed == 65536);
	CHECK(md.checkpoint[1].changed == 65536 - 4096);
	CHECK(md.checkpoint[1].damaged == 1 && !md.checkpoint[1].doubtful);
	CHECK(md.checkpoint[1].ranges.n == 1);
	metadata_free(&md);
	put(zero, sizeof(zero), bj_md_bitmap_sector(&super, 0, 1, 0) + 2);
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.checkpoint[1].doubtful == 1);
	metadata_free(&md);
	super = before;
	put_bits(0, REGIONS - 1);
}

/* One list of what may differ, of all bitmaps; or it is everything. */
static void mirror(void)
{
	struct bj_md_super before = super;
	struct metadata md = { 0 };

	strcpy(super.type, "mirror");
	super.leg[1] = (struct bj_md_leg){ REGIONS * 128, "serial:x" };
	/* The newer one is being begun: both count. */
	super.bitmap[0].flags = BLKJOB_MD_STARTING;
	put_super();
	CHECK(metadata_read(path, 0, METADATA_DIFFER, &md) == 0);
	CHECK(md.n == 1 && !metadata_has_checkpoints(&md));
	CHECK(md.checkpoint[0].changed == 65536 + 65536 - 4096);
	CHECK(md.checkpoint[0].ranges.n == 2);
	CHECK(md.checkpoint[0].ranges.r[0].start == 3 * 65536);
	metadata_free(&md);
	/* No other one is there yet. */
	super.bitmap[2].generation = 0;
	put_super();
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.n == 1 && md.checkpoint[0].changed == md.length);
	CHECK(ranges_total(&md.checkpoint[0].ranges) == md.length);
	metadata_free(&md);
	super.bitmap[0].flags = BLKJOB_MD_INCONSISTENT;
	put_super();
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.checkpoint[0].changed == md.length);
	metadata_free(&md);
	super.bitmap[0].generation = 0;
	put_super();
	CHECK(metadata_read(path, 0, NULL, &md) == 0);
	CHECK(md.n == 1 && md.checkpoint[0].changed == md.length);
	metadata_free(&md);
	super = before;
}

static void refused(void)
{
	static const u8 zero[2 * BJ_MD_SLOT_BYTES];
	struct metadata md = { 0 };

	msg_quiet(true);
	put_super();
	CHECK(metadata_read(path, 0, "third", &md) == EX_REFUSED);
	CHECK(strstr(msg_last_error(), "no checkpoint third"));
	metadata_free(&md);
	CHECK(metadata_read("/dev/null", 0, NULL, &md) == EX_REFUSED);
	CHECK(metadata_read("/nowhere", 0, NULL, &md) == EX_REFUSED);
	put(zero, sizeof(zero), 0);
	CHECK(metadata_read(path, 0, NULL, &md) == EX_REFUSED);
	CHECK(strstr(msg_last_error(), "there are no metadata"));
	put_super();
	put(zero, 512, 0);
	put(zero, 512, 8);
	CHECK(metadata_read(path, 0, NULL, &md) == EX_ATTENTION);
	CHECK(strstr(msg_last_error(), "full one"));
	put_super();
	CHECK(!ftruncate(fd, 60 * 512));
	CHECK(metadata_read(path, 0, NULL, &md) == EX_TARGET);
	CHECK(strstr(msg_last_error(), "it ends there"));
	msg_quiet(false);
}

static void begin(void)
{
	fd = mkstemp(path);
	CHECK(fd >= 0);
}

static void end(void)
{
	CHECK(!unlink(path));
}

KTAP_MAIN({ "metadata: a file", begin },
	  { "metadata: bits of checkpoints add up", chain },
	  { "metadata: damage counts as changed", damage },
	  { "metadata: inconsistent", inconsistent },
	  { "metadata: of a stream", stream },
	  { "metadata: of a mirror", mirror },
	  { "metadata: refused", refused },
	  { "metadata: the file goes", end })
