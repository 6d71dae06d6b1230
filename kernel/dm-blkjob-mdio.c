// SPDX-License-Identifier: GPL-2.0
/*
 * Metadata in memory, and their way to the disk and back. What the bytes mean
 * is in dm-blkjob-metadata.c.
 */
#include <linux/random.h>
#include <linux/sched/mm.h>

#include "dm-blkjob-mdio.h"

#define BJ_MD_READ_BLOCKS	8	/* read together, or made */
#define BJ_MD_READ_ORDER	get_order(BJ_MD_READ_BLOCKS * BJ_MD_BLOCK_BYTES)
#define BJ_MD_FIXED_PLACES	2	/* with a fixed bitmap; one is to come */

/*---------------------------- Bitmaps -----------------------------*/

int bj_md_map_init(struct bj_md *md, struct bj_md_map *map)
{
	u32 blocks = md->super->bitmap_blocks;
	unsigned int noio = memalloc_noio_save();

	map->bits = kvcalloc(blocks, BLKJOB_MD_BLOCK_BITS / BITS_PER_BYTE,
			     GFP_KERNEL);
	map->sequence = kvcalloc(blocks, sizeof(*map->sequence), GFP_KERNEL);
	map->stale = kvcalloc(BITS_TO_LONGS(blocks), sizeof(long), GFP_KERNEL);
	memalloc_noio_restore(noio);
	if (map->bits && map->sequence && map->stale)
		return 0;
	bj_md_map_exit(map);
	return -ENOMEM;
}

void bj_md_map_exit(struct bj_md_map *map)
{
	kvfree(map->bits);
	kvfree(map->sequence);
	kvfree(map->stale);
	*map = (struct bj_md_map) { NULL };
}

/*---------------------------- Writing -----------------------------*/

static void slot_end_bio(struct bio *bio)
{
	struct bj_md_slot *slot = bio->bi_private;
	struct bj_md *md = slot->md;

	/* The worker may be in the destructor, as in slot_end_bio() of copies. */
	rcu_read_lock();
	if (atomic_dec_and_test(&md->pending)) {
		/* Pairs with bj_md_ended(): all bi_status are there. */
		smp_store_release(&md->ended, true);
		bj_kick(md->job);
	}
	rcu_read_unlock();
}

static void slot_init_bio(struct bj_md_slot *slot, blk_opf_t opf)
{
	struct blkjob *job = slot->md->job;

	bio_init(&slot->bio, bj_bdev(job, bj_md_side(job)), &slot->vec, 1, opf);
	slot->bio.bi_iter.bi_sector = bj_leg_sector(job, bj_md_side(job),
						    slot->sector);
	__bio_add_page(&slot->bio, virt_to_page(slot->data), BJ_MD_SLOT_BYTES,
		       offset_in_page(slot->data));
}

/* Submitting may sleep, and the worker must not. */
static void submit_batch(struct work_struct *work)
{
	struct bj_md *md = container_of(work, struct bj_md, submit);
	unsigned int i, nr = md->nr;

	/* When the last one is sent, all of it may be in use again. */
	for (i = 0; i < nr; i++) {
		struct bj_md_slot *slot = &md->slot[i];

		slot_init_bio(slot, REQ_OP_WRITE | REQ_SYNC | REQ_META |
				    md->opf);
		slot->bio.bi_private = slot;
		slot->bio.bi_end_io = slot_end_bio;
		submit_bio(&slot->bio);
	}
}

void *bj_md_add(struct bj_md *md, sector_t sector)
{
	struct bj_md_slot *slot = &md->slot[md->nr];

	if (md->nr == BJ_MD_BATCH)
		return NULL;
	slot->sector = sector;
	md->nr++;
	return slot->data;
}

void bj_md_write(struct bj_md *md, blk_opf_t opf)
{
	md->opf = opf;
	md->running = true;
	md->begun = ktime_get_ns();
	md->writes += md->nr;
	atomic_set(&md->pending, md->nr);
	atomic_inc(&md->job->ios);
	queue_work(md->job->wq, &md->submit);
}

bool bj_md_ended(struct bj_md *md, blk_status_t *status, sector_t *sector)
{
	unsigned int i;

	/* Pairs with slot_end_bio(). */
	if (!smp_load_acquire(&md->ended))
		return false;
	*status = BLK_STS_OK;
	for (i = 0; i < md->nr; i++) {
		if (md->slot[i].bio.bi_status && !*status) {
			*status = md->slot[i].bio.bi_status;
			*sector = md->slot[i].sector;
		}
		bio_uninit(&md->slot[i].bio);
	}
	md->ended = false;
	md->running = false;
	if (atomic_dec_and_test(&md->job->ios))
		wake_up(&md->job->drained);
	return true;
}

/*---------------------- Reading, in the ctr -----------------------*/

static int do_sectors(struct blkjob *job, blk_opf_t opf, void *data, u64 sector,
		      unsigned int bytes)
{
	struct bio_vec vec;
	struct bio bio;
	int r;

	bio_init(&bio, bj_bdev(job, bj_md_side(job)), &vec, 1, opf | REQ_META);
	bio.bi_iter.bi_sector = bj_leg_sector(job, bj_md_side(job), sector);
	__bio_add_page(&bio, virt_to_page(data), bytes, 0);
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

static int write_super(struct bj_md *md)
{
	struct bj_md_slot *slot = &md->slot[0];
	unsigned int i;
	int r = 0;

	for (i = 0; i < BLKJOB_MD_SLOTS && !r; i++) {
		bj_md_super_encode(slot->data, md->super, ++md->super->sequence,
				   i);
		slot->sector = i * BLKJOB_MD_SECTORS;
		slot_init_bio(slot, REQ_OP_WRITE | REQ_SYNC | REQ_META |
				    REQ_PREFLUSH | REQ_FUA);
		r = submit_bio_wait(&slot->bio);
		bio_uninit(&slot->bio);
	}
	return r;
}

static __printf(3, 4) int refuse(char *error, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, BJ_ERROR_LEN, fmt, ap);
	va_end(ap);
	return r;
}

static const char *identity(struct blkjob *job, enum bj_side side)
{
	const char *word = side == BJ_SOURCE ? job->opt.identity :
					       job->opt.target_identity;

	return word ? word : "";
}

/*
 * The fixed bitmap, with no bit set, in both slots of each block: what was
 * there before is gone.
 */
static int make_fixed(struct bj_md *md, void *buffer)
{
	struct bj_md_super *super = md->super;
	u32 block, i, blocks = super->bitmap_blocks;
	struct bj_md_map *map = &md->map[0];
	int r = bj_md_map_init(md, map);

	super->bitmap[0] = (struct bj_md_bitmap) {
		.generation = get_random_u64() | 1,
		.order = 1,
		.flags = BLKJOB_MD_TWICE,
	};
	strscpy(super->bitmap[0].name, md->fixed, sizeof(super->bitmap[0].name));
	for (block = 0; block < blocks && !r; block += BJ_MD_READ_BLOCKS) {
		u32 nr = min_t(u32, blocks - block, BJ_MD_READ_BLOCKS);

		for (i = 0; i < nr * BLKJOB_MD_SLOTS; i++)
			bj_md_bits_encode(buffer + i * BJ_MD_SLOT_BYTES,
					  map->bits,
					  super->bitmap[0].generation, 1,
					  block + i / BLKJOB_MD_SLOTS,
					  i % BLKJOB_MD_SLOTS);
		for (i = 0; i < nr; i++)
			map->sequence[block + i] = 1;
		r = do_sectors(md->job, REQ_OP_WRITE, buffer,
			       bj_md_bitmap_sector(super, 0, block, 0),
			       nr * BJ_MD_BLOCK_BYTES);
		cond_resched();
	}
	return r;
}

/* How many bitmaps may there be? Refuse if there is no place for them. */
static int make_places(struct bj_md *md, char *error)
{
	struct bj_md_super *super = md->super;
	u64 sectors = md->job->leg[bj_md_side(md->job)].nr_sectors;
	u32 needed = md->fixed ? BJ_MD_FIXED_PLACES : max(md->least, 1U);

	super->nr_bitmaps = bj_md_places(sectors, super->regions);
	if (super->nr_bitmaps < needed) {
		super->nr_bitmaps = needed;
		refuse(error, -ENOSPC,
		       "the metadata device has %llu sectors, at least %llu are needed",
		       sectors, bj_md_sectors(super));
		if (!md->fixed && !md->least)
			scnprintf(error + strlen(error),
				  BJ_ERROR_LEN - strlen(error),
				  ", and %u more for each checkpoint",
				  super->bitmap_blocks * 2 * BLKJOB_MD_SECTORS);
		return -ENOSPC;
	}
	if (md->fixed)
		super->nr_bitmaps = needed;
	return 0;
}

/* Metadata for this job, as large as the device lets them be. */
static int make(struct bj_md *md, void *buffer, char *error)
{
	struct bj_md_super *super = md->super;
	struct blkjob *job = md->job;
	unsigned int i;
	int r;

	*super = (struct bj_md_super) {
		.generation = get_random_u64(),
		.granularity = 1U << (job->region_shift + SECTOR_SHIFT),
		.regions = job->map.nr,
		.bitmap_blocks = bj_md_bitmap_blocks(job->map.nr),
	};
	strscpy(super->type, bj_kind_name(job->type->kind),
		sizeof(super->type));
	if (job->opt.note)
		strscpy(super->note, job->opt.note, sizeof(super->note));
	for (i = 0; i < bj_nr_copies(job); i++) {
		super->leg[i].sectors = job->nr_sectors;
		strscpy(super->leg[i].identity, identity(job, i),
			sizeof(super->leg[i].identity));
	}
	r = make_places(md, error);
	if (r)
		return r;
	md->made = true;
	if (md->fixed)
		r = make_fixed(md, buffer);
	/* It flushes first: what it speaks of is there before it. */
	if (!r)
		r = write_super(md);
	return r ? refuse(error, r, "the metadata device cannot be written (%d)",
			  r) : 0;
}

/* Are they about this leg? */
static int check_leg(struct bj_md *md, enum bj_side side, char *error)
{
	const struct bj_md_leg *leg = &md->super->leg[side];
	const char *what = side == BJ_SOURCE ? "source" : "target device";

	if (strcmp(leg->identity, identity(md->job, side)))
		return refuse(error, -EINVAL,
			      "the metadata are those of %s \"%.45s\", not \"%.45s\"",
			      what, leg->identity, identity(md->job, side));
	if (leg->sectors != md->job->nr_sectors)
		return refuse(error, -EINVAL,
			      "the metadata are those of a %s of %llu sectors, not %llu",
			      what, leg->sectors, md->job->nr_sectors);
	return 0;
}

/* Are they about these legs, in these regions? */
static int check_belongs(struct bj_md *md, char *error)
{
	struct bj_md_super *super = md->super;
	const char *type = bj_kind_name(md->job->type->kind);
	unsigned int i;
	int r;
	u64 granularity = 1ULL << (md->job->region_shift + SECTOR_SHIFT);
	u64 sectors = md->job->leg[bj_md_side(md->job)].nr_sectors;

	if (strcmp(super->type, type))
		return refuse(error, -EINVAL,
			      "the metadata are those of a %.15s job, not %s",
			      super->type, type);
	for (i = 0; i < bj_nr_copies(md->job); i++) {
		r = check_leg(md, i, error);
		if (r)
			return r;
	}
	if (super->granularity != granularity)
		return refuse(error, -EINVAL,
			      "granularity %llu does not agree with the metadata, which have %u",
			      granularity, super->granularity);
	if (bj_md_sectors(super) > sectors)
		return refuse(error, -EINVAL,
			      "the metadata are of %llu sectors, and the device has %llu from there on",
			      bj_md_sectors(super), sectors);
	if (md->fixed && (!super->bitmap[0].generation ||
			  strcmp(super->bitmap[0].name, md->fixed)))
		return refuse(error, -EUCLEAN,
			      "the metadata have no bitmap \"%s\"", md->fixed);
	return 0;
}

/* A block with anything in doubt is written again, before it is relied on. */
static int take_block(struct bj_md *md, unsigned int place, u32 block,
		      const void *from)
{
	const struct bj_md_bitmap *bitmap = &md->super->bitmap[place];
	struct bj_md_map *map = &md->map[place];
	struct bj_md_block found;

	bj_md_bits_decode(map->bits, from, bitmap->generation, bitmap->flags,
			  block, &found);
	map->sequence[block] = found.sequence;
	if (!found.bad)
		return 0;
	__set_bit(block, map->stale);
	DMWARN("%s: bitmap %s: %u sectors of block %u are damaged, %u of them count as set",
	       bj_name(md->job), bitmap->name, found.bad, block,
	       found.doubtful);
	/* One bit too many would be as wrong as one too few. */
	return found.doubtful && bitmap->flags & BLKJOB_MD_TWICE ? -EUCLEAN : 0;
}

static int read_map(struct bj_md *md, unsigned int place, void *buffer)
{
	u32 block, i, nr, blocks = md->super->bitmap_blocks;
	int r = bj_md_map_init(md, &md->map[place]);

	for (block = 0; block < blocks && !r; block += nr) {
		nr = min_t(u32, blocks - block, BJ_MD_READ_BLOCKS);
		r = do_sectors(md->job, REQ_OP_READ, buffer,
			       bj_md_bitmap_sector(md->super, place, block, 0),
			       nr * BJ_MD_BLOCK_BYTES);
		for (i = 0; i < nr && !r; i++)
			r = take_block(md, place, block + i,
				       buffer + i * BJ_MD_BLOCK_BYTES);
		cond_resched();
	}
	return r;
}

static int read_all(struct bj_md *md, void *buffer, char *error)
{
	unsigned int i;
	int r;

	r = do_sectors(md->job, REQ_OP_READ, buffer, 0, BJ_MD_BLOCK_BYTES);
	if (r)
		return refuse(error, r, "the metadata device cannot be read (%d)",
			      r);
	r = bj_md_super_decode(md->super, buffer, error);
	if (r == -ENODATA)
		return make(md, buffer, error);
	if (!r)
		r = check_belongs(md, error);
	for (i = 0; i < BLKJOB_MD_BITMAPS && !r; i++) {
		if (!md->super->bitmap[i].generation)
			continue;
		r = read_map(md, i, buffer);
		if (r)
			refuse(error, r, r == -EUCLEAN ?
			       "the bitmap %s is damaged, in both copies of a sector" :
			       "the bitmap %s cannot be read (%d)",
			       md->super->bitmap[i].name, r);
	}
	return r;
}

int bj_md_init(struct bj_md *md, struct blkjob *job, char *error)
{
	unsigned long buffer = __get_free_pages(GFP_KERNEL, BJ_MD_READ_ORDER);
	unsigned int i;
	int r = -ENOMEM;

	md->job = job;
	INIT_WORK(&md->submit, submit_batch);
	snprintf(error, BJ_ERROR_LEN, "there is no memory for the metadata");
	md->super = kzalloc_obj(*md->super);
	md->slot = kcalloc(BJ_MD_BATCH, sizeof(*md->slot), GFP_KERNEL);
	for (i = 0; md->slot && i < BJ_MD_BATCH; i++) {
		md->slot[i].md = md;
		md->slot[i].data = (void *)__get_free_page(GFP_KERNEL);
		if (!md->slot[i].data)
			goto out;
	}
	if (buffer && md->super && md->slot)
		r = read_all(md, (void *)buffer, error);
out:
	free_pages(buffer, BJ_MD_READ_ORDER);
	return r;
}

u64 bj_md_granularity(struct blkjob *job)
{
	void *buffer = (void *)__get_free_pages(GFP_KERNEL, BJ_MD_READ_ORDER);
	struct bj_md_super *super = kzalloc_obj(*super);
	char error[BJ_ERROR_LEN];
	u64 granularity = 0;

	/* If it is no good, why is told later. */
	if (buffer && super &&
	    !do_sectors(job, REQ_OP_READ, buffer, 0, BJ_MD_BLOCK_BYTES) &&
	    !bj_md_super_decode(super, buffer, error))
		granularity = super->granularity;
	kfree(super);
	free_pages((unsigned long)buffer, BJ_MD_READ_ORDER);
	return granularity;
}

void bj_md_exit(struct bj_md *md)
{
	unsigned int i;

	for (i = 0; md->slot && i < BJ_MD_BATCH; i++)
		free_page((unsigned long)md->slot[i].data);
	for (i = 0; i < BLKJOB_MD_BITMAPS; i++)
		bj_md_map_exit(&md->map[i]);
	kfree(md->slot);
	kfree(md->super);
}
