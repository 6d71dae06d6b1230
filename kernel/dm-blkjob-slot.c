// SPDX-License-Identifier: GPL-2.0
/*
 * Slots: the buffers of the copy pipeline, and the bios that fill and empty
 * them. A slot is kept from piece to piece, so copying allocates nothing. Each
 * lane has its own.
 */
#include <linux/sizes.h>

#include "dm-blkjob-copy.h"

#define BJ_SLOT_MAX		SZ_1M
#define BJ_ZERO_UNIT		SZ_4K	/* looked at as one, at least */
#define BJ_ZERO_MIN		SZ_16K	/* less costs more as a run of its own */
#define BJ_SLOTS_PER_BUFFER	16

/*----------------------------- Slots ------------------------------*/

/* Every slot comes with an extent: one in flight has at least one slot. */
static bool extent_add(struct bj_lane *lane, gfp_t gfp)
{
	struct bj_extent *extent = kzalloc(sizeof(*extent), gfp);

	if (!extent)
		return false;
	list_add(&extent->list, &lane->extents);
	return true;
}

static void extent_drop(struct list_head *extents)
{
	struct bj_extent *extent;

	extent = list_first_entry(extents, struct bj_extent, list);
	list_del(&extent->list);
	kfree(extent);
}

static void slot_free(struct bj_slot *slot)
{
	unsigned int i;

	for (i = 0; i < slot->nr_vecs; i++)
		__free_pages(slot->vecs[i].bv_page,
			     get_order(slot->vecs[i].bv_len));
	kvfree(slot->io_vecs);
	kvfree(slot);
}

/*
 * Large pages make few segments; order 0 always serves. The worker does not
 * wait for memory as long as it has one slot.
 */
static struct bj_slot *slot_alloc(struct blkjob *job, struct bj_lane *lane,
				  gfp_t gfp)
{
	unsigned int bytes = PAGE_ALIGN(lane->slot_bytes), got = 0;
	unsigned int order = get_order(bytes);
	unsigned int max_vecs = bytes >> PAGE_SHIFT;
	struct bj_slot *slot;

	gfp |= __GFP_NORETRY | __GFP_NOWARN;
	slot = kvzalloc(struct_size(slot, vecs, max_vecs), gfp);
	if (!slot)
		return NULL;
	slot->io_vecs = kvcalloc(max_vecs, sizeof(struct bio_vec), gfp);
	if (!slot->io_vecs)
		goto no_memory;
	while (got < bytes) {
		struct page *page;

		order = min_t(unsigned int, order, ilog2((bytes - got) >> PAGE_SHIFT));
		page = alloc_pages(order ? gfp | __GFP_COMP : gfp, order);
		if (!page && !order--)
			goto no_memory;
		if (!page)
			continue;
		slot->vecs[slot->nr_vecs++] = (struct bio_vec) {
			.bv_page = page,
			.bv_len = PAGE_SIZE << order,
		};
		got += PAGE_SIZE << order;
	}
	slot->job = job;
	slot->lane = lane;
	if (extent_add(lane, gfp))
		return slot;

no_memory:
	slot_free(slot);
	return NULL;
}

/* Bytes that the slots of a lane may have: the same for each. */
static u64 lane_share(struct blkjob *job)
{
	const struct bj_pipe *pipe = &job->pipe;
	unsigned int nr = pipe->swept;

	nr += !!pipe->lane[BJ_URGENT].slot_bytes;
	nr += !!pipe->lane[BJ_MOVE].slot_bytes;
	return div_u64(READ_ONCE(job->opt.buf_size), max(nr, 1U));
}

unsigned int bj_slots_most(struct blkjob *job, unsigned int lane)
{
	u64 nr = div_u64(lane_share(job), job->pipe.lane[lane].slot_bytes);

	return clamp_t(u64, nr, 1, UINT_MAX);
}

struct bj_slot *bj_slot_get(struct blkjob *job, struct bj_lane *lane)
{
	struct bj_slot *slot;

	slot = list_first_entry_or_null(&lane->free, struct bj_slot, list);
	if (slot) {
		list_del(&slot->list);
		return slot;
	}
	if (lane->nr_slots &&
	    (u64)(lane->nr_slots + 1) * lane->slot_bytes > lane_share(job))
		return NULL;
	slot = slot_alloc(job, lane, GFP_NOIO);
	if (slot)
		lane->nr_slots++;
	return slot;
}

void bj_slot_put(struct bj_slot *slot)
{
	struct bj_lane *lane = slot->lane;

	/* buf_size was lowered: the last one stays. */
	if (lane->nr_slots > 1 && !list_empty(&lane->extents) &&
	    (u64)lane->nr_slots * lane->slot_bytes > lane_share(slot->job)) {
		lane->nr_slots--;
		slot_free(slot);
		extent_drop(&lane->extents);
		return;
	}
	/* The buffer used last is the one still in the cache. */
	list_add(&slot->list, &lane->free);
}

/*----------------------------- Zeroes -----------------------------*/

/* Are the bytes @from ... @to of the buffer all zero? */
static bool slot_is_zero(struct bj_slot *slot, unsigned int from,
			 unsigned int to)
{
	unsigned int i, start = 0;

	for (i = 0; start < to; start += slot->vecs[i++].bv_len) {
		unsigned int first = max(from, start);
		unsigned int end = min(to, start + slot->vecs[i].bv_len);

		/* The pages are not from high memory. */
		if (first < end &&
		    memchr_inv(page_address(slot->vecs[i].bv_page) +
			       (first - start), 0, end - first))
			return false;
	}
	return true;
}

/* A run begins and ends between two blocks of the target device. */
static unsigned int next_unit(struct bj_slot *slot, unsigned int at)
{
	struct block_device *target = bj_bdev(slot->job, BJ_TARGET);
	unsigned int unit = max_t(unsigned int, BJ_ZERO_UNIT,
				  bdev_logical_block_size(target));

	return min(round_down(at, unit) + unit, slot->bytes);
}

/* How many bytes from @from on are zero, in whole units. */
static unsigned int slot_zeroes(struct bj_slot *slot, unsigned int from)
{
	unsigned int at = from, next;

	for (; at < slot->bytes; at = next) {
		next = next_unit(slot, at);
		if (!slot_is_zero(slot, at, next))
			break;
	}
	return at - from;
}

/* Long enough for a run, or the whole piece? */
static bool zeroes_count(struct bj_slot *slot, unsigned int zeroes)
{
	return zeroes >= BJ_ZERO_MIN || zeroes == slot->bytes;
}

void bj_slot_find_run(struct bj_slot *slot, bool detect)
{
	unsigned int at = slot->at, zeroes;

	slot->zeroes = false;
	slot->run = slot->bytes - at;
	if (!detect)
		return;
	zeroes = slot_zeroes(slot, at);
	slot->zeroes = zeroes_count(slot, zeroes);
	if (slot->zeroes) {
		slot->run = zeroes;
		return;
	}
	while (at < slot->bytes && !zeroes_count(slot, zeroes)) {
		at = next_unit(slot, at + zeroes);
		zeroes = slot_zeroes(slot, at);
	}
	slot->run = at - slot->at;
}

/*------------------------------ bios ------------------------------*/

static void slot_end_bio(struct bio *bio)
{
	struct bj_slot *slot = bio->bi_private;
	struct blkjob *job = slot->job;

	/* The destructor waits for ios == 0 and then for this section. */
	rcu_read_lock();
	if (slot->begun)
		bj_latency_add(job, BJ_LATENCY_COPY +
			       (slot->writing ? BJ_TARGET : BJ_SOURCE),
			       slot->begun);
	llist_add(&slot->done, &job->pipe.done);
	bj_kick(job);
	rcu_read_unlock();
}

/* Add bytes @from ... @to of the buffer to the slot's bio. */
static void slot_add_data(struct bj_slot *slot, unsigned int from,
			  unsigned int to)
{
	unsigned int i, start = 0;

	for (i = 0; start < to; start += slot->vecs[i++].bv_len) {
		unsigned int first = max(from, start);
		unsigned int end = min(to, start + slot->vecs[i].bv_len);

		if (first < end)
			__bio_add_page(&slot->bio, slot->vecs[i].bv_page,
				       end - first, first - start);
	}
}

static void slot_init_bio(struct bj_slot *slot, struct block_device *bdev,
			  sector_t sector, blk_opf_t op)
{
	struct bio *bio = &slot->bio;

	/* As direct I/O: blk-wbt would take plain writes for writeback. */
	bio_init(bio, bdev, slot->io_vecs, slot->nr_vecs,
		 op | REQ_SYNC | REQ_IDLE);
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = slot;
	bio->bi_end_io = slot_end_bio;
}

/* Given up: leave the devices alone from now on. */
static bool slot_stop(struct bj_slot *slot)
{
	slot->begun = 0;
	if (!bj_given_up(slot->job))
		return false;
	bio_io_error(&slot->bio);
	return true;
}

void bj_slot_submit_at(struct bj_slot *slot, struct block_device *bdev,
		       sector_t sector)
{
	slot_init_bio(slot, bdev, sector,
		      slot->writing ? REQ_OP_WRITE : REQ_OP_READ);
	slot_add_data(slot, 0, slot->bytes);
	if (!slot_stop(slot))
		submit_bio(&slot->bio);
}

static void slot_submit(struct bj_slot *slot)
{
	enum bj_side side = slot->writing ? BJ_TARGET : BJ_SOURCE;
	struct blkjob *job = slot->job;
	struct block_device *bdev = bj_bdev(job, side);
	sector_t first = bj_leg_sector(job, side, slot->sector);
	sector_t sector = first + (slot->at >> SECTOR_SHIFT);
	struct bio *bio = &slot->bio;

	if (side == BJ_SOURCE) {
		slot_init_bio(slot, bdev, first, REQ_OP_READ);
		slot_add_data(slot, 0, slot->bytes);
	} else if (slot->zeroes && !READ_ONCE(job->pipe.no_zeroes)) {
		slot_init_bio(slot, bdev, sector, REQ_OP_WRITE_ZEROES |
			      (job->opt.unmap ? 0 : REQ_NOUNMAP));
		bio->bi_iter.bi_size = slot->run;
	} else {
		slot_init_bio(slot, bdev, sector, REQ_OP_WRITE);
		slot_add_data(slot, slot->at, slot->at + slot->run);
	}
	if (slot_stop(slot))
		return;
	slot->begun = ktime_get_ns();
	submit_bio(bio);
}

static void submit_queued(struct work_struct *work)
{
	struct bj_submitter *submitter =
		container_of(work, struct bj_submitter, work);
	struct llist_node *node = llist_del_all(&submitter->slots);
	struct bj_slot *slot, *next;
	struct blk_plug plug;

	node = llist_reverse_order(node);
	blk_start_plug(&plug);
	llist_for_each_entry_safe(slot, next, node, queued) {
		if (slot->spilled)
			bj_spill_submit(slot);
		else
			slot_submit(slot);
	}
	blk_finish_plug(&plug);
}

void bj_submitter_init(struct bj_submitter *submitter)
{
	INIT_WORK(&submitter->work, submit_queued);
}

void bj_submitter_add(struct bj_submitter *submitter, struct bj_slot *slot)
{
	if (llist_add(&slot->queued, &submitter->slots))
		queue_work(slot->job->wq, &submitter->work);
}

void bj_slot_queue(struct bj_slot *slot, enum bj_side side)
{
	slot->writing = side == BJ_TARGET;
	bj_submitter_add(&slot->job->pipe.submitter[side], slot);
}

/* Largest request of both devices, in bytes. */
static unsigned int request_bytes(struct blkjob *job)
{
	struct request_queue *source = bdev_get_queue(bj_bdev(job, BJ_SOURCE));
	struct request_queue *target = bdev_get_queue(bj_bdev(job, BJ_TARGET));

	/* In whole pages, as the block layer cuts. */
	return round_down(min(queue_max_sectors(source),
			      queue_max_sectors(target)) << SECTOR_SHIFT,
			  PAGE_SIZE);
}

/*
 * The size of a piece: whole regions if they fit, and among the upper half of
 * what is possible the size that wastes least of its last request. A piece of
 * 1 MiB on a device that takes 124 KiB at a time would cost nine of its places
 * where 960 KiB cost eight.
 */
static unsigned int piece_bytes(struct blkjob *job)
{
	u64 region = 1ULL << (job->region_shift + SECTOR_SHIFT);
	unsigned int unit = min_t(u64, region, BJ_SLOT_MAX);
	unsigned int most = clamp_t(u64, div_u64(job->opt.buf_size,
						 BJ_SLOTS_PER_BUFFER),
				    unit, BJ_SLOT_MAX);
	unsigned int request = job->pipe.request_bytes;
	unsigned int bytes, best;

	unit = max_t(unsigned int, unit, SZ_4K);
	most = max(round_down(most, unit), unit);
	best = most;
	for (bytes = most; bytes > most / 2; bytes -= unit)
		if (bytes * DIV_ROUND_UP(best, request) >
		    best * DIV_ROUND_UP(bytes, request))
			best = bytes;
	return best;
}

static int lane_init(struct blkjob *job, struct bj_lane *lane,
		     unsigned int slot_bytes)
{
	struct bj_slot *slot;

	INIT_LIST_HEAD(&lane->free);
	INIT_LIST_HEAD(&lane->extents);
	lane->slot_bytes = slot_bytes;

	/* The one that is always there. */
	slot = slot_alloc(job, lane, GFP_KERNEL);
	if (!slot)
		return -ENOMEM;
	lane->nr_slots = 1;
	list_add(&slot->list, &lane->free);
	return 0;
}

int bj_slots_init(struct blkjob *job)
{
	struct bj_pipe *pipe = &job->pipe;

	bj_submitter_init(&pipe->submitter[BJ_SOURCE]);
	bj_submitter_init(&pipe->submitter[BJ_TARGET]);
	INIT_LIST_HEAD(&pipe->kept);
	INIT_LIST_HEAD(&pipe->stored);
	if (!job->type->copies)
		return 0;
	pipe->request_bytes = max_t(unsigned int, request_bytes(job),
				    PAGE_SIZE);
	return lane_init(job, &pipe->lane[BJ_SWEEP], piece_bytes(job));
}

/* A region each, so that many are served at once; small ones together. */
int bj_pipe_add_urgent(struct blkjob *job)
{
	u64 region = 1ULL << (job->region_shift + SECTOR_SHIFT);

	return lane_init(job, &job->pipe.lane[BJ_URGENT],
			 clamp_t(u64, region, SZ_64K, BJ_SLOT_MAX));
}

int bj_pipe_add_move(struct blkjob *job)
{
	return lane_init(job, &job->pipe.lane[BJ_MOVE],
			 job->pipe.lane[BJ_URGENT].slot_bytes);
}

/* A piece that never got to the target device. */
static void kept_free(struct bj_slot *slot)
{
	struct bj_extent *extent = slot->extent;

	if (!--extent->pieces)
		kfree(extent);
	slot_free(slot);
}

/* Also after a failed, or no, bj_slots_init(). */
void bj_slots_exit(struct blkjob *job)
{
	struct bj_pipe *pipe = &job->pipe;
	struct bj_slot *slot, *next;
	struct bj_lane *lane;

	for (lane = pipe->lane; lane < pipe->lane + BJ_NR_LANES; lane++) {
		if (!lane->slot_bytes)
			continue;
		list_for_each_entry_safe(slot, next, &lane->free, list)
			slot_free(slot);
		while (!list_empty(&lane->extents))
			extent_drop(&lane->extents);
		/* Begun, and then there was no slot; the rest goes below. */
		if (lane->extent && !lane->extent->pieces)
			kfree(lane->extent);
	}
	if (!pipe->lane[BJ_SWEEP].slot_bytes)
		return;
	list_for_each_entry_safe(slot, next, &pipe->kept, list)
		kept_free(slot);
	while (!list_empty(&pipe->stored))
		extent_drop(&pipe->stored);
}
