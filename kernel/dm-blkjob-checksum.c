// SPDX-License-Identifier: GPL-2.0
/*
 * Checksums of what was copied, by region: whoever reads the image afterwards
 * can tell whether the target device has what was read for it.
 *
 * They are of the buffers as the source's data arrive in them, before the write
 * has a chance to go wrong. All is the worker's, but the reply to the message,
 * which comes when nothing is copied any more.
 */
#include <linux/bitmap.h>
#include <linux/vmalloc.h>

#include "dm-blkjob-copy.h"
#include "dm-blkjob-sum.h"

#define BJ_SUMS_A_LINE	8
#define BJ_LINE_MAX	128	/* with room for "next" */

struct bj_checksums {
	unsigned int unit;		/* bytes */
	u32 *sum;			/* by region */
	unsigned long *copied;		/* these regions have one */
};

static void *zeroed(u64 n, size_t size)
{
	return __vmalloc(array_size(n, size),
			 GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
}

int bj_checksums_init(struct blkjob *job, char *error)
{
	struct bj_checksums *c = kzalloc_obj(*c);

	snprintf(error, BJ_ERROR_LEN,
		 "there is no memory for the checksums of %llu regions",
		 job->map.nr);
	if (!c)
		return -ENOMEM;
	job->checksums = c;
	c->unit = bj_sum_unit(1ULL << (job->region_shift + SECTOR_SHIFT));
	c->sum = zeroed(job->map.nr, sizeof(*c->sum));
	c->copied = zeroed(BITS_TO_LONGS(job->map.nr), sizeof(*c->copied));
	return c->sum && c->copied ? 0 : -ENOMEM;
}

void bj_checksums_exit(struct blkjob *job)
{
	struct bj_checksums *c = job->checksums;

	if (!c)
		return;
	vfree(c->sum);
	vfree(c->copied);
	kfree(c);
}

/*
 * All of an extent is read, from the start: if some of it was read before, and
 * then something failed, that is not counted again. Nobody else has a piece of
 * these regions, as the extent has them alone.
 */
void bj_checksums_begin(struct blkjob *job, const struct bj_extent *extent)
{
	struct bj_checksums *c = job->checksums;

	if (!c)
		return;
	bitmap_clear(c->copied, extent->first, extent->nr);
	memset(c->sum + extent->first, 0, extent->nr * sizeof(*c->sum));
}

/* Bytes @done ... @done + @len of the buffer, that are of one page. */
static void add_data(struct bj_slot *slot, unsigned int done,
		     const void *data, unsigned int len)
{
	struct blkjob *job = slot->job;
	struct bj_checksums *c = job->checksums;
	unsigned int region_shift = job->region_shift + SECTOR_SHIFT;
	u64 at = ((u64)slot->sector << SECTOR_SHIFT) + done;
	u64 end = at + len;

	while (at < end) {
		u64 region = at >> region_shift;
		u64 next = min((region + 1) << region_shift, end);

		c->sum[region] += bj_sum(c->unit, at, data, next - at);
		data += next - at;
		at = next;
	}
}

void bj_checksums_add(struct bj_slot *slot)
{
	unsigned int i, len, done = 0;

	if (!slot->job->checksums)
		return;
	for (i = 0; done < slot->bytes; i++, done += len) {
		len = min(slot->vecs[i].bv_len, slot->bytes - done);
		/* The pages are not from high memory. */
		add_data(slot, done, page_address(slot->vecs[i].bv_page), len);
	}
}

void bj_checksums_end(struct blkjob *job, const struct bj_extent *extent)
{
	if (job->checksums)
		bitmap_set(job->checksums->copied, extent->first, extent->nr);
}

/*---------------------------- The message ---------------------------*/

static int refuse(struct blkjob *job, int err, const char *why)
{
	DMERR("%s: %s", bj_name(job), why);
	return err;
}

/* Pairs with the worker's last turn: the state follows all sums. */
static bool completed(struct blkjob *job)
{
	bool yes;

	spin_lock_irq(&job->lock);
	yes = job->state == BLKJOB_CONCLUDED &&
	      !strcmp(job->result, "completed");
	spin_unlock_irq(&job->lock);
	return yes;
}

static int reply(struct blkjob *job, u64 region, char *result,
		 unsigned int maxlen)
{
	struct bj_checksums *c = job->checksums;
	unsigned int sz = 0, n;

	*result = '\0';
	for (;;) {
		region = find_next_bit(c->copied, job->map.nr, region);
		if (region >= job->map.nr)
			return 1;
		if (sz + BJ_LINE_MAX > maxlen)
			break;
		DMEMIT("%llu", region);
		for (n = 0; n < BJ_SUMS_A_LINE && region < job->map.nr &&
		     test_bit(region, c->copied); n++)
			DMEMIT(" %08x", c->sum[region++]);
		DMEMIT("\n");
	}
	DMEMIT("next %llu\n", region);
	return 1;
}

int bj_checksums_message(struct blkjob *job, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen)
{
	u64 region = 0;

	if (strcmp(argv[0], "checksums"))
		return -ENOIOCTLCMD;
	if (argc > 2 || (argc == 2 && (bj_number_parse(argv[1], &region) ||
				       region >= job->map.nr)))
		return refuse(job, -EINVAL,
			      "checksums takes the number of one region");
	if (!job->checksums)
		return refuse(job, -EPERM,
			      "job has no checksums, it began without checksum on");
	if (!completed(job))
		return refuse(job, -EPERM,
			      "job has no checksums before it has completed");
	return reply(job, region, result, maxlen);
}
