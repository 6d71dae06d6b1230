// SPDX-License-Identifier: GPL-2.0
/*
 * The caches of the legs: one flush of each at a time, for all who wait for
 * one. The worker's, but for the end of the bio.
 */
#include "dm-blkjob-copy.h"

/* What the leg is now. */
static enum bj_side side_of(struct bj_flush *flush)
{
	return flush == bj_flush_of(flush->job, BJ_SOURCE) ? BJ_SOURCE :
							     BJ_TARGET;
}

static void flush_end_bio(struct bio *bio)
{
	struct bj_flush *flush = bio->bi_private;
	struct blkjob *job = flush->job;

	rcu_read_lock();
	bj_latency_add(job, BJ_LATENCY_FLUSH + side_of(flush),
		       flush->submitted);
	/* Pairs with reap(): bi_status is there. */
	smp_store_release(&flush->ended, true);
	bj_kick(job);
	rcu_read_unlock();
}

static void flush_submit(struct work_struct *work)
{
	struct bj_flush *flush = container_of(work, struct bj_flush, submit);
	struct bj_leg *leg = &flush->job->leg[flush - flush->job->flush];
	struct bio *bio = &flush->bio;

	bio_init(bio, leg->dev->bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	bio->bi_private = flush;
	bio->bi_end_io = flush_end_bio;
	flush->submitted = ktime_get_ns();
	submit_bio(bio);
}

static void reap(struct bj_flush *flush)
{
	struct blkjob *job = flush->job;
	blk_status_t status;

	/* Pairs with flush_end_bio(). */
	if (!smp_load_acquire(&flush->ended))
		return;
	status = flush->bio.bi_status;
	bio_uninit(&flush->bio);
	flush->ended = false;
	flush->running = false;
	if (atomic_dec_and_test(&job->ios))
		wake_up(&job->drained);
	flush->failed = status;
	if (status && job->type->flush_failed) {
		job->type->flush_failed(job, side_of(flush), status);
	} else if (status) {
		bj_error(job, side_of(flush), "flush", status, 0);
	} else {
		flush->done = bj_bug(BJ_BUG_FLUSH_COVERS_LATER) ?
			      flush->wanted : flush->begun;
		bj_recovered(job);
	}
}

bool bj_flush_reap(struct blkjob *job)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < BJ_METADATA; i++) {
		any |= READ_ONCE(job->flush[i].ended);
		reap(&job->flush[i]);
	}
	return any;
}

u64 bj_flush_ticket(struct bj_flush *flush)
{
	return ++flush->wanted;
}

bool bj_flushed(struct bj_flush *flush, u64 ticket)
{
	struct blkjob *job = flush->job;

	if (flush->done >= ticket || bj_bug(BJ_BUG_NO_FLUSH))
		return true;
	if (flush->running || (flush->failed && bj_backing_off(job)))
		return false;
	flush->begun = flush->wanted;
	flush->running = true;
	atomic_inc(&job->ios);
	queue_work(job->wq, &flush->submit);
	return false;
}

int bj_flush_init(struct blkjob *job)
{
	unsigned int i;

	/* Not in the job: a bio may have no fixed size, and no array has that. */
	job->flush = kcalloc(BJ_METADATA, sizeof(*job->flush), GFP_KERNEL);
	if (!job->flush)
		return -ENOMEM;
	for (i = 0; i < BJ_METADATA; i++) {
		job->flush[i].job = job;
		INIT_WORK(&job->flush[i].submit, flush_submit);
	}
	return 0;
}
