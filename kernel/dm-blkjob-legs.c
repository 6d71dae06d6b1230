// SPDX-License-Identifier: GPL-2.0
/*
 * The legs, two or three: opening and checking the devices.
 *
 * device-mapper lets two of its devices share a disk, a table name one device
 * twice, and (up to 6.1) a device be mapped onto itself. All that would destroy
 * data here, so the claims of all jobs are kept in one list.
 */
#include "dm-blkjob.h"

#define BJ_MD_SECTORS	8	/* a block of metadata is not divided */

static LIST_HEAD(claims);
static DEFINE_SPINLOCK(claims_lock);	/* irq, inside of job->lock */

static __printf(3, 4) int refuse(char *error, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, BJ_ERROR_LEN, fmt, ap);
	va_end(ap);
	return r;
}

static bool claims_overlap(const struct bj_claim *a, const struct bj_claim *b)
{
	return a->disk == b->disk && a->first <= b->last && b->first <= a->last;
}

static bool claims_clash(const struct bj_claim *a, const struct bj_claim *b)
{
	return claims_overlap(a, b) &&
	       (a->writes || b->writes || a->alone || b->alone);
}

/*
 * Is @claim what a mirror writes, whose source is the device of an overlay, and
 * @other what that overlay has below, sector for sector? The overlay relies on
 * that never being changed where it reads it; and where it does, a sector of the
 * mirror's source is that very sector. So a copy writes back what is there. A
 * write of the consumer to both legs puts there, at most before it is
 * acknowledged, what the overlay is getting too; and then has on its own target
 * device, for good. That holds for any size of regions on either side. Discards
 * go to the source alone.
 *
 * Only in that order: a copy of what the device had under an earlier table may
 * still land after an overlay was put there.
 */
static bool goes_back(const struct bj_claim *claim,
		      const struct bj_claim *other)
{
	const struct bj_claim *from = claim->from;

	return other->over && from && from->disk == other->over &&
	       claim->first - from->first == other->first - other->begin;
}

/* A range may have many readers, or one writer and nobody else. */
static int __claim_check(struct bj_claim *claim, const char *what,
			 const char *path, char *error)
{
	struct bj_claim *other;

	list_for_each_entry(other, &claims, list)
		if (other != claim && claims_clash(claim, other) &&
		    !goes_back(claim, other))
			return refuse(error, -EBUSY,
				      "%s %.60s is the %s of another job", what,
				      path, other->what);
	return 0;
}

static int claim_add(struct bj_claim *claim, const char *path, char *error)
{
	int r;

	spin_lock_irq(&claims_lock);
	r = __claim_check(claim, claim->what, path, error);
	if (!r)
		list_add(&claim->list, &claims);
	spin_unlock_irq(&claims_lock);
	return r;
}

int bj_legs_source_alone(struct blkjob *job, char *error)
{
	struct bj_leg *leg = &job->leg[BJ_SOURCE];
	int r;

	spin_lock_irq(&claims_lock);
	leg->claim.alone = true;
	r = __claim_check(&leg->claim, "source", leg->dev->name, error);
	spin_unlock_irq(&claims_lock);
	return r;
}

/*
 * What the target device is written to shows through the source then, and a
 * source that is to be kept as a copy is none.
 */
static int __check_apart(struct blkjob *job, char *why)
{
	const struct bj_claim *claim = &bj_leg(job, BJ_TARGET)->claim, *other;

	list_for_each_entry(other, &claims, list)
		if (claims_overlap(claim, other) && goes_back(claim, other))
			return refuse(why, -EPERM,
				      "source %.60s lies over the target device",
				      bj_leg(job, BJ_SOURCE)->dev->name);
	return 0;
}

/* For writing as well, which a job does not ask for before it must. */
int bj_legs_take_source(struct blkjob *job, char *why)
{
	struct bj_leg *leg = bj_leg(job, BJ_SOURCE);
	int r;

	lockdep_assert_held(&job->lock);
	if (bdev_read_only(leg->dev->bdev) ||
	    !(dm_table_get_mode(job->ti->table) & BLK_OPEN_WRITE))
		return refuse(why, -EPERM, "source %.60s is read-only",
			      leg->dev->name);
	spin_lock(&claims_lock);
	leg->claim.writes = true;
	r = __claim_check(&leg->claim, "source", leg->dev->name, why);
	if (!r)
		r = __check_apart(job, why);
	leg->claim.writes = !r;
	spin_unlock(&claims_lock);
	return r ? -EPERM : 0;
}

/* Others may read it again. */
void bj_legs_give_source(struct blkjob *job)
{
	spin_lock(&claims_lock);
	bj_leg(job, BJ_SOURCE)->claim.writes = false;
	spin_unlock(&claims_lock);
}

void bj_legs_turn(struct blkjob *job)
{
	lockdep_assert_held(&job->lock);
	spin_lock(&claims_lock);
	swap(bj_leg(job, BJ_SOURCE)->claim.what,
	     bj_leg(job, BJ_TARGET)->claim.what);
	spin_unlock(&claims_lock);
	/* With the mode that follows; who is in step mode may see either. */
	WRITE_ONCE(job->turned, !job->turned);
	bj_legs_give_source(job);
}

static int check_device(struct blkjob *job, struct block_device *bdev,
			const char *what, const char *path, char *error)
{
	if (bdev->bd_disk == dm_disk(dm_table_get_md(job->ti->table)))
		return refuse(error, -EINVAL, "%s %.60s is the device itself",
			      what, path);
	if (bdev_is_zoned(bdev))
		return refuse(error, -EINVAL, "%s %.60s is zoned", what, path);
	return 0;
}

static int check_leg(struct blkjob *job, enum bj_side side, const char *what,
		     const char *path, char *error)
{
	struct bj_leg *leg = &job->leg[side];
	struct block_device *bdev = leg->dev->bdev;
	u64 size = bdev_nr_sectors(bdev);
	u64 nr = job->nr_sectors;
	int r = check_device(job, bdev, what, path, error);

	if (r)
		return r;
	/* Metadata may have all that is left. How much they need they know. */
	if (side >= bj_nr_copies(job))
		nr = leg->start < size ? round_down(size - leg->start,
						    BJ_MD_SECTORS) : 0;
	if (leg->start > size || nr > size - leg->start)
		return refuse(error, -EINVAL,
			      "%s %.60s has %llu sectors, %llu are needed from %llu on",
			      what, path, size, nr,
			      (u64)leg->start);
	if ((leg->start | nr) &
	    ((bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1))
		return refuse(error, -EINVAL,
			      "offset %llu or length %llu is not a multiple of the logical block of %s %.60s, %u bytes",
			      (u64)leg->start, nr, what, path,
			      bdev_logical_block_size(bdev));
	leg->nr_sectors = nr;
	return 0;
}

static const char *side_name(const struct blkjob *job, enum bj_side side)
{
	if (side >= bj_nr_copies(job))
		return "metadata device";
	return side == BJ_SOURCE ? "source" : "target device";
}

static int open_device(struct blkjob *job, struct bj_leg *leg, const char *what,
		       const char *path, blk_mode_t mode, char *error)
{
	int r = dm_get_device(job->ti, path, mode, &leg->dev);

	if (!r)
		return 0;
	leg->dev = NULL;
	return refuse(error, r, "%s %.60s cannot be opened (%d)", what, path,
		      r);
}

/* Where it is, for the list; a read-only device has opened for writing, too. */
static int make_claim(struct bj_leg *leg, const char *what, const char *path,
		      bool writes, char *error)
{
	struct block_device *bdev = leg->dev->bdev;

	if (writes && bdev_read_only(bdev))
		return refuse(error, -EROFS, "%s %.60s is read-only", what,
			      path);
	/* In sectors of the whole disk, so that partitions are seen through. */
	leg->claim.disk = bdev->bd_disk;
	leg->claim.first = get_start_sect(bdev) + leg->start;
	leg->claim.last = leg->claim.first + leg->nr_sectors - 1;
	leg->claim.writes = writes;
	leg->claim.what = what;
	return 0;
}

static int open_leg(struct blkjob *job, enum bj_side side,
		    const struct bj_leg_args *args, char *error)
{
	const char *what = side_name(job, side);
	blk_mode_t mode = dm_table_get_mode(job->ti->table);
	struct bj_leg *leg = &job->leg[side];
	bool writes = side != BJ_SOURCE;
	int r;

	if (writes)
		mode = BLK_OPEN_READ | BLK_OPEN_WRITE;
	else if (job->type->overlay)
		mode = BLK_OPEN_READ;
	r = open_device(job, leg, what, args->path, mode, error);
	if (r)
		return r;
	leg->start = args->start;
	leg->shift = args->start - job->ti->begin;
	r = check_leg(job, side, what, args->path, error);
	if (r)
		return r;
	if (side == BJ_SOURCE && job->type->overlay) {
		leg->claim.over = dm_disk(dm_table_get_md(job->ti->table));
		leg->claim.begin = job->ti->begin;
	}
	if (side == BJ_TARGET && job->type->commits)
		leg->claim.from = &job->leg[BJ_SOURCE].claim;
	return make_claim(leg, what, args->path, writes, error);
}

/* Each of them is there once. */
static int check_distinct(struct blkjob *job,
			  const struct bj_leg_args * const *legs, char *error)
{
	unsigned int a, b;

	for (b = 1; b < BJ_NR_LEGS && job->leg[b].dev; b++)
		for (a = 0; a < b; a++)
			if (claims_overlap(&job->leg[a].claim,
					   &job->leg[b].claim))
				return refuse(error, -EINVAL,
					      "%s %.40s and %s %.40s overlap",
					      side_name(job, a), legs[a]->path,
					      side_name(job, b), legs[b]->path);
	return 0;
}

static int check_pair(struct blkjob *job, const struct bj_args *args,
		      char *error)
{
	struct block_device *source = bj_bdev(job, BJ_SOURCE);
	struct block_device *target = bj_bdev(job, BJ_TARGET);
	unsigned int source_block = bdev_logical_block_size(source);
	unsigned int target_block = bdev_logical_block_size(target);

	/* The consumer goes on with the blocks that it knows. */
	if (job->type->copies && target_block > source_block)
		return refuse(error, -EINVAL,
			      "target device %.60s has logical blocks of %u bytes, the source of %u",
			      args->target.path, target_block, source_block);
	if (args->opt.granularity && args->opt.granularity < source_block)
		return refuse(error, -EINVAL,
			      "granularity %llu is less than the logical block of source %.60s, %u bytes",
			      args->opt.granularity, args->source.path,
			      source_block);
	return 0;
}

int bj_legs_open(struct blkjob *job, const struct bj_args *args, char *error)
{
	struct bj_leg_args metadata = { .path = args->opt.metadata };
	const struct bj_leg_args *legs[BJ_NR_LEGS] = {
		&args->source, &args->target, &metadata
	};
	unsigned int i, nr = metadata.path ? BJ_NR_LEGS : BJ_METADATA;
	int r = 0;

	for (i = 0; i < BJ_NR_LEGS; i++)
		INIT_LIST_HEAD(&job->leg[i].claim.list);

	/*
	 * The source last, as it may be opened for reading only: dm, asked for
	 * a device again with more rights, replaces the dm_dev that we have.
	 */
	for (i = nr; i-- && !r;)
		r = open_leg(job, i, legs[i], error);
	if (!r)
		r = check_distinct(job, legs, error);
	if (!r)
		r = check_pair(job, args, error);
	for (i = 0; i < nr && !r; i++)
		r = claim_add(&job->leg[i].claim, legs[i]->path, error);
	/* The word of the table line does not stay; this one does. */
	if (!r && metadata.path)
		job->opt.metadata = job->leg[BJ_METADATA].dev->name;
	return r;
}

int bj_legs_open_spill(struct blkjob *job, struct bj_leg *leg, const char *path,
		       char *error)
{
	static const char what[] = "spill device";
	unsigned int i;
	int r;

	/* And dm would replace the dm_dev of a leg, see bj_legs_open(). */
	if (!(dm_table_get_mode(job->ti->table) & BLK_OPEN_WRITE))
		return refuse(error, -EROFS,
			      "%s %.60s has no use in a table that is read-only",
			      what, path);
	r = open_device(job, leg, what, path, BLK_OPEN_READ | BLK_OPEN_WRITE,
			error);
	if (!r)
		r = check_device(job, leg->dev->bdev, what, path, error);
	if (r)
		return r;
	leg->nr_sectors = bdev_nr_sectors(leg->dev->bdev);
	if (!leg->nr_sectors)
		return refuse(error, -EINVAL, "%s %.60s is empty", what, path);
	r = make_claim(leg, what, path, true, error);
	for (i = 0; i < ARRAY_SIZE(job->leg) && !r; i++)
		if (claims_overlap(&leg->claim, &job->leg[i].claim))
			r = refuse(error, -EINVAL, "%s %.60s is the %s, too",
				   what, path, job->leg[i].claim.what);
	return r ? r : claim_add(&leg->claim, path, error);
}

void bj_legs_close_one(struct blkjob *job, struct bj_leg *leg)
{
	if (leg->claim.disk) {
		spin_lock_irq(&claims_lock);
		list_del(&leg->claim.list);
		spin_unlock_irq(&claims_lock);
	}
	if (leg->dev)
		dm_put_device(job->ti, leg->dev);
}

/* Also after a failed bj_legs_open(), or none. */
void bj_legs_close(struct blkjob *job)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(job->leg); i++)
		bj_legs_close_one(job, &job->leg[i]);
}
