// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of the consumer that wait: for their old data to be saved (backup), for
 * their bits to be on disk (track), or for a copy of what they touch (stream).
 * They go to one leg then.
 *
 * map parks them. The worker takes what is parked, and lets a write go, or ends
 * it. Sending may sleep, and the worker must not: that is done by a work of its
 * own.
 */
#include "dm-blkjob-held.h"

int bj_held_park(struct bj_held *held, struct bj_io *io, struct bio *bio)
{
	struct blkjob *job = held->job;
	unsigned long flags;

	if (bio->bi_opf & REQ_NOWAIT) {
		bio_wouldblock_error(bio);
		return DM_MAPIO_SUBMITTED;
	}
	/* For its cgroup: who sends it on has another one. */
	bio_set_dev(bio, bj_bdev(job, held->side));
	io->held_since = ktime_get_ns();
	atomic_inc(&held->nr);
	spin_lock_irqsave(&held->lock, flags);
	bio_list_add(&held->parked, bio);
	spin_unlock_irqrestore(&held->lock, flags);
	bj_kick(job);
	return DM_MAPIO_SUBMITTED;
}

void bj_held_take(struct bj_held *held, struct bio_list *list)
{
	*list = held->waiting;
	bio_list_init(&held->waiting);
	spin_lock_irq(&held->lock);
	bio_list_merge(list, &held->parked);
	bio_list_init(&held->parked);
	spin_unlock_irq(&held->lock);
}

static void send_released(struct work_struct *work)
{
	struct bj_held *held = container_of(work, struct bj_held, send);
	struct bio_list list;
	struct blk_plug plug;
	struct bio *bio;

	spin_lock_irq(&held->lock);
	list = held->released;
	bio_list_init(&held->released);
	spin_unlock_irq(&held->lock);

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&list))) {
		struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

		if (held->send_on) {
			held->send_on(held->job, bio);
			continue;
		}
		bj_send_to(held->job, held->side, io->sector, bio);
		dm_submit_bio_remap(bio, NULL);
	}
	blk_finish_plug(&plug);
}

/* It waits no more; the bio may be gone before long. */
static void held_no_more(struct bj_held *held, struct bio *bio)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct blkjob *job = held->job;
	u64 ns = ktime_get_ns() - io->held_since;

	atomic_dec(&held->nr);
	spin_lock_irq(&job->lock);
	job->stats.pause_ns = max(job->stats.pause_ns, ns);
	spin_unlock_irq(&job->lock);
}

void bj_held_let_go(struct bj_held *held, struct bio *bio)
{
	held_no_more(held, bio);
	spin_lock_irq(&held->lock);
	bio_list_add(&held->released, bio);
	spin_unlock_irq(&held->lock);
	queue_work(held->job->wq, &held->send);
}

void bj_held_end(struct bj_held *held, struct bio *bio, blk_status_t status)
{
	held_no_more(held, bio);
	bio->bi_status = status;
	bio_endio(bio);
}

static bool touches(struct bio *bio, sector_t sector, u64 nr_sectors)
{
	struct bj_io *io = dm_per_bio_data(bio, sizeof(*io));

	return io->sector < sector + nr_sectors &&
	       sector < io->sector + io->nr_sectors;
}

void bj_held_end_in(struct bj_held *held, sector_t sector, u64 nr_sectors,
		    blk_status_t status)
{
	struct bio_list list = held->waiting;
	struct bio *bio;

	bio_list_init(&held->waiting);
	while ((bio = bio_list_pop(&list))) {
		if (touches(bio, sector, nr_sectors))
			bj_held_end(held, bio, status);
		else
			bio_list_add(&held->waiting, bio);
	}
}

void bj_held_init(struct bj_held *held, struct blkjob *job, enum bj_side side)
{
	held->job = job;
	held->side = side;
	spin_lock_init(&held->lock);
	INIT_WORK(&held->send, send_released);
	bio_list_init(&held->parked);
	bio_list_init(&held->waiting);
	bio_list_init(&held->released);
}
