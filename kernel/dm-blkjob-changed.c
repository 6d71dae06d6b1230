// SPDX-License-Identifier: GPL-2.0
/*
 * What is there: the checkpoints, and what has changed since one of them.
 */
#include "dm-blkjob-track.h"

#define BJ_LOOK		BIT(20)		/* regions looked at for one reply */

int bj_checkpoint_refuse(struct blkjob *job, int r, const char *name,
			 const char *why)
{
	DMERR("%s: checkpoint %.64s %s", bj_name(job), name, why);
	return r;
}

/* What is being done to it counts until it is done. */
static const char *state_word(struct bj_track *track,
			      const struct bj_md_bitmap *bitmap)
{
	if (track->op == BJ_CHECKPOINT_BEGIN &&
	    !strcmp(bitmap->name, track->name))
		return "starting";
	if (track->op == BJ_CHECKPOINT_DELETE &&
	    !strcmp(bitmap->name, track->name))
		return "deleting";
	if (bitmap->flags & BLKJOB_MD_INCONSISTENT)
		return "inconsistent";
	return bitmap->flags & BLKJOB_MD_STARTING ? "starting" : "active";
}

/* "<name> <us since 1970> <state>", the oldest first. */
int bj_checkpoint_list(struct blkjob *job, char *result, unsigned int maxlen)
{
	struct bj_track *track = job->private;
	unsigned int sz = 0, i;
	u64 last = 0;

	*result = '\0';
	spin_lock_irq(&job->lock);
	for (;;) {
		struct bj_md_bitmap *next = NULL;

		for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
			struct bj_md_bitmap *b = bitmap_of(track, i);

			if (b->generation && b->order > last &&
			    (!next || b->order < next->order))
				next = b;
		}
		if (!next)
			break;
		last = next->order;
		DMEMIT("%s %llu %s\n", next->name, next->time,
		       state_word(track, next));
	}
	if ((track->op == BJ_CHECKPOINT_BEGIN ||
	     track->op == BJ_CHECKPOINT_DELETE) &&
	    bj_checkpoint_find(track, track->name) < 0)
		DMEMIT("%s 0 %s\n", track->name,
		       track->op == BJ_CHECKPOINT_BEGIN ? "starting" :
							  "deleting");
	spin_unlock_irq(&job->lock);
	return 1;
}

/*
 * The first region from @from on that has changed since that order, or if
 * @changed is false, has not; @end if there is none before.
 */
static u64 next_region(struct bj_track *track, u64 order, u64 from, u64 end,
		       bool changed)
{
	u64 next = changed ? end : from, before;
	unsigned int i;

	do {
		before = next;
		for (i = 0; i < BLKJOB_MD_BITMAPS; i++) {
			const struct bj_md_bitmap *bitmap = bitmap_of(track, i);
			const unsigned long *bits = track->md.map[i].bits;

			if (!bitmap->generation || bitmap->order < order)
				continue;
			if (bitmap->flags & BLKJOB_MD_INCONSISTENT)
				return changed ? from : end;
			next = changed ? find_next_bit(bits, next, from) :
					 find_next_zero_bit(bits, end, next);
		}
	} while (!changed && next != before);
	return next;
}

/* job->lock held, for the bitmaps to stay; so not for too long. */
static void __list_changed(struct bj_track *track, u64 order, u64 region,
			   char *result, unsigned int maxlen)
{
	struct blkjob *job = track->job;
	u64 end = min(job->map.nr, region + BJ_LOOK), first, last;
	unsigned int sz = 0;

	/* Room for a line and for "next" must be left. */
	while (sz + 80 <= maxlen) {
		region = next_region(track, order, region, end, true);
		if (region >= end)
			break;
		first = region << job->region_shift;
		region = next_region(track, order, region, end, false);
		last = min(region << job->region_shift, job->nr_sectors);
		DMEMIT("%llu %llu\n", first, last - first);
	}
	if (region < job->map.nr)
		DMEMIT("next %llu\n", region << job->region_shift);
}

int bj_checkpoint_changed(struct blkjob *job, const char *name,
			  const char *start_word, char *result,
			  unsigned int maxlen)
{
	struct bj_track *track = job->private;
	u64 start = 0;
	int place;

	if (start_word && (bj_number_parse(start_word, &start) ||
			   start >= job->nr_sectors))
		return bj_checkpoint_refuse(job, -EINVAL, name,
			      "takes one sector of the device");
	*result = '\0';
	spin_lock_irq(&job->lock);
	place = bj_checkpoint_find(track, name);
	if (place >= 0 &&
	    bitmap_of(track, place)->flags & BLKJOB_MD_STARTING)
		place = -1;
	if (place >= 0)
		__list_changed(track, bitmap_of(track, place)->order,
			       bj_first_region(job, start), result, maxlen);
	spin_unlock_irq(&job->lock);
	return place < 0 ? bj_checkpoint_refuse(job, -EINVAL, name,
				  "is not there, or not yet") : 1;
}
