// SPDX-License-Identifier: GPL-2.0
/*
 * The cache of the leg where the job's data go, which is the target device if
 * the job copies: one flush at a time, for all who wait for one. The worker's,
 * but for the end of the bio.
 */
#include "dm-blkjob-copy.h"

static void flush_end_bio(struct bio *bio)
{
	struct blkjob *job = bio->bi_private;

	rcu_read_lock();
	bj_latency_add(job, BJ_LATENCY_FLUSH + job->flush.side,
		       job->flush.submitted);
	/* Pairs with bj_flush_reap(): bi_status is there. */
	smp_store_release(&job->flush.ended, true);
	bj_kick(job);
	rcu_read_unlock();
}

static void flush_submit(struct work_struct *work)
{
	struct blkjob *job = container_of(work, struct blkjob, flush.submit);
	struct bio *bio = &job->flush.bio;

	bio_init(bio, bj_bdev(job, job->flush.side), NULL, 0,
		 REQ_OP_WRITE | REQ_PREFLUSH);
	bio->bi_private = job;
	bio->bi_end_io = flush_end_bio;
	job->flush.submitted = ktime_get_ns();
	submit_bio(bio);
}

void bj_flush_reap(struct blkjob *job)
{
	struct bj_flush *flush = &job->flush;
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
		job->type->flush_failed(job, status);
	} else if (status) {
		bj_error(job, flush->side, "flush", status, 0);
	} else {
		flush->done = bj_bug(BJ_BUG_FLUSH_COVERS_LATER) ?
			      flush->wanted : flush->begun;
		bj_recovered(job);
	}
}

u64 bj_flush_ticket(struct blkjob *job)
{
	return ++job->flush.wanted;
}

bool bj_flushed(struct blkjob *job, u64 ticket)
{
	struct bj_flush *flush = &job->flush;

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

void bj_flush_init(struct blkjob *job)
{
	job->flush.side = job->type->copies ? BJ_TARGET : BJ_SOURCE;
	INIT_WORK(&job->flush.submit, flush_submit);
}
