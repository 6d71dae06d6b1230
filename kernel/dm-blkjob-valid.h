/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which regions are on the target device: in memory and on disk.
 */
#ifndef DM_BLKJOB_VALID_H
#define DM_BLKJOB_VALID_H

#include "dm-blkjob-mdio.h"

/* Bits of bj_valid.flags. */
enum {
	BJ_VALID_PROMISED,	/* a write has ended whose bits are not frozen */
	BJ_VALID_COMMITTING,	/* what is frozen is not all on disk */
	BJ_VALID_BROKEN,	/* and never will be */
};

struct bj_valid {
	struct blkjob *job;
	struct bj_md md;		/* map[0]: the bits that are frozen */
	unsigned long *bits;		/* as long; only ever set */
	unsigned long *fresh;		/* by block: bits has more than is frozen */
	atomic64_t nr;			/* of bits */
	unsigned long flags;

	/* Worker: a commit. */
	unsigned int phase;
	bool counted;			/* in job->ios */
	u64 ticket;			/* of its flush */
	u64 due;			/* ns: the next one; 0 = not yet known */
	u64 commits;
	struct bio_list committing;	/* what it is for */
	spinlock_t lock;		/* irqsave; all that follows */
	struct bio_list waiting;	/* for the next one */
};

/*
 * In ctr: read the metadata, or make them. 0, or -errno and a sentence.
 * bj_valid_exit() in any case.
 */
int bj_valid_init(struct bj_valid *valid, struct blkjob *job, char *error);
void bj_valid_exit(struct bj_valid *valid);

/* Any context. Regions @first ... @last are on the target device. */
void bj_valid_add(struct bj_valid *valid, u64 first, u64 last);
/* Any context. ... and a flush from now on must not end before that is safe. */
void bj_valid_promise(struct bj_valid *valid, u64 first, u64 last);
/* Any context. Is there nothing that a flush would have to wait for? */
bool bj_valid_settled(struct bj_valid *valid);
/*
 * Any context. It ends when all is on stable storage that was promised up to
 * now: a flush that was not sent, or a write that has landed on the target.
 */
void bj_valid_hold(struct bj_valid *valid, struct bio *bio);

/*
 * Worker: move a commit on, or begin one if there is a reason. With @now each
 * new bit is one.
 */
bool bj_valid_step(struct bj_valid *valid, bool now);
/* Worker: is all of it on disk, or lost? */
bool bj_valid_clean(struct bj_valid *valid);
/* Worker: nothing more will be committed. */
void bj_valid_break(struct bj_valid *valid, enum bj_side side, const char *op,
		    blk_status_t status, sector_t sector);

static inline bool bj_valid_broken(const struct bj_valid *valid)
{
	return test_bit(BJ_VALID_BROKEN, &valid->flags);
}

/* All of @first ... @last? */
static inline bool bj_bits_all(const unsigned long *bits, u64 first, u64 last)
{
	if (likely(first == last))
		return test_bit(first, bits);
	return find_next_zero_bit(bits, last + 1, first) > last;
}

static inline bool bj_valid_all(const struct bj_valid *valid, u64 first,
				u64 last)
{
	return bj_bits_all(valid->bits, first, last);
}

/* Have they been made part of a commit? */
static inline bool bj_valid_frozen(const struct bj_valid *valid, u64 first,
				   u64 last)
{
	return bj_bits_all(valid->md.map[0].bits, first, last);
}

#endif
