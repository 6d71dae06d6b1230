// SPDX-License-Identifier: GPL-2.0
/*
 * The target "blkjob-crash": <start> <length> blkjob-crash <name>. See crash.h.
 *
 * What is in flight together on a leg ends in any order, by dice.
 */
#include <linux/bio.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "crash.h"

#define DM_MSG_PREFIX "blkjob-crash"

struct crash_lab crash_lab = {
	.mutex = __MUTEX_INITIALIZER(crash_lab.mutex),
	.legs = LIST_HEAD_INIT(crash_lab.legs),
	.lock = __SPIN_LOCK_UNLOCKED(crash_lab.lock),
	.level = -1,
	.log = { LIST_HEAD_INIT(crash_lab.log[0]),
		 LIST_HEAD_INIT(crash_lab.log[1]) },
};

static struct workqueue_struct *queue;

/* The number of the last thing that happened, cheap to read. */
static int sequence_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", READ_ONCE(crash_lab.sequence));
}

static const struct kernel_param_ops sequence_ops = {
	.get = sequence_get,
};
module_param_cb(sequence, &sequence_ops, NULL, 0444);
MODULE_PARM_DESC(sequence, "number of the last submission or end");

/*------------------------------ I/O -------------------------------*/

void crash_kick(struct crash_leg *leg)
{
	queue_work(queue, &leg->work);
}

/* lab.lock held: one that may end, or NULL. */
static struct crash_io *take(struct crash_leg *leg)
{
	struct crash_io *io;
	unsigned int nr = 0;

	list_for_each_entry(io, &leg->queue, list)
		nr += !test_bit(io->op, &leg->held);
	if (!nr)
		return NULL;
	if (crash_lab.dice) {
		crash_lab.dice = crash_mix(crash_lab.dice) | 1;
		nr = (u32)(crash_lab.dice >> 8) % nr;
	} else {
		nr = 0;
	}
	list_for_each_entry(io, &leg->queue, list) {
		if (test_bit(io->op, &leg->held) || nr--)
			continue;
		list_del(&io->list);
		return io;
	}
	return NULL;
}

/* Between the bio's pages and @buffer. */
static void copy_bio(struct bio *bio, u8 *buffer, bool to_bio)
{
	struct bvec_iter iter;
	struct bio_vec vec;

	bio_for_each_segment(vec, bio, iter) {
		if (to_bio)
			memcpy_to_bvec(&vec, buffer);
		else
			memcpy_from_bvec(buffer, &vec);
		buffer += vec.bv_len;
	}
}

static struct crash_entry *entry_new(struct crash_leg *leg, struct crash_io *io,
				     struct bio *bio)
{
	struct crash_entry *entry = kzalloc(sizeof(*entry), GFP_NOIO);

	if (!entry)
		return NULL;
	*entry = (struct crash_entry) {
		.leg = leg,
		.submitted = io->submitted,
		.sector = io->sector,
		.nr = io->nr,
		.op = io->op,
		.fua = bio->bi_opf & REQ_FUA,
	};
	if (io->op != CRASH_WRITE)
		return entry;
	entry->data = __vmalloc(io->nr << SECTOR_SHIFT, GFP_NOIO);
	if (!entry->data) {
		kfree(entry);
		return NULL;
	}
	copy_bio(bio, entry->data, false);
	return entry;
}

static blk_status_t do_write(struct crash_leg *leg, struct crash_io *io,
			     struct bio *bio)
{
	u8 *at = leg->image + (io->sector << SECTOR_SHIFT);
	struct crash_entry *entry = NULL;
	unsigned long flags;
	bool lost;

	if (io->submitted) {
		entry = entry_new(leg, io, bio);
		if (!entry)
			return BLK_STS_RESOURCE;
	}
	spin_lock_irqsave(&crash_lab.lock, flags);
	lost = crash_lab.off;
	if (!lost && leg->fail[io->op]) {
		leg->fail[io->op]--;
		spin_unlock_irqrestore(&crash_lab.lock, flags);
		if (entry)
			crash_entry_free(entry);
		return BLK_STS_IOERR;
	}
	if (entry) {
		entry->done = lost ? U64_MAX : ++crash_lab.sequence;
		list_add_tail(&entry->list, &crash_lab.log[crash_lab.level]);
	}
	spin_unlock_irqrestore(&crash_lab.lock, flags);
	if (lost)
		return BLK_STS_IOERR;
	if (io->op == CRASH_WRITE)
		copy_bio(bio, at, false);
	else if (io->op != CRASH_FLUSH)
		memset(at, 0, io->nr << SECTOR_SHIFT);
	return BLK_STS_OK;
}

static blk_status_t do_read(struct crash_leg *leg, struct crash_io *io,
			    struct bio *bio)
{
	unsigned long flags;
	bool fails;

	spin_lock_irqsave(&crash_lab.lock, flags);
	fails = crash_lab.off || leg->fail[CRASH_READ];
	if (leg->fail[CRASH_READ])
		leg->fail[CRASH_READ]--;
	spin_unlock_irqrestore(&crash_lab.lock, flags);
	if (fails)
		return BLK_STS_IOERR;
	copy_bio(bio, leg->image + (io->sector << SECTOR_SHIFT), true);
	return BLK_STS_OK;
}

/* One, so that the legs take turns. */
static void leg_work(struct work_struct *work)
{
	struct crash_leg *leg = container_of(work, struct crash_leg, work);
	struct crash_io *io;
	struct bio *bio;

	spin_lock_irq(&crash_lab.lock);
	io = take(leg);
	spin_unlock_irq(&crash_lab.lock);
	if (!io)
		return;
	bio = dm_bio_from_per_bio_data(io, sizeof(*io));
	mutex_lock(&leg->image_lock);
	if (io->op == CRASH_READ)
		bio->bi_status = do_read(leg, io, bio);
	else
		bio->bi_status = do_write(leg, io, bio);
	mutex_unlock(&leg->image_lock);
	bio_endio(bio);
	crash_kick(leg);
}

static enum crash_op op_of(struct bio *bio)
{
	if (!op_is_write(bio_op(bio)))
		return CRASH_READ;
	if (!bio_sectors(bio))
		return CRASH_FLUSH;
	if (bio_op(bio) == REQ_OP_WRITE_ZEROES)
		return CRASH_ZERO;
	return bio_op(bio) == REQ_OP_DISCARD ? CRASH_DISCARD : CRASH_WRITE;
}

static int crash_map(struct dm_target *ti, struct bio *bio)
{
	struct crash_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct crash_leg *leg = ti->private;
	unsigned long flags;

	*io = (struct crash_io) {
		.sector = dm_target_offset(ti, bio->bi_iter.bi_sector),
		.nr = bio_sectors(bio),
		.op = op_of(bio),
	};
	spin_lock_irqsave(&crash_lab.lock, flags);
	if (crash_lab.off) {
		spin_unlock_irqrestore(&crash_lab.lock, flags);
		return DM_MAPIO_KILL;
	}
	if (crash_lab.recording && io->op != CRASH_READ)
		io->submitted = ++crash_lab.sequence;
	leg->count[io->op]++;
	list_add_tail(&io->list, &leg->queue);
	spin_unlock_irqrestore(&crash_lab.lock, flags);
	crash_kick(leg);
	return DM_MAPIO_SUBMITTED;
}

/*--------------------------- The target ---------------------------*/

static void leg_free(struct crash_leg *leg)
{
	int i;

	for (i = 0; i < CRASH_LEVELS; i++)
		vfree(leg->base[i]);
	vfree(leg->image);
	kfree(leg);
}

static int crash_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct crash_leg *leg;

	if (argc != 1 || strlen(argv[0]) >= CRASH_NAME) {
		ti->error = "the name of a leg is wanted";
		return -EINVAL;
	}
	leg = kzalloc(sizeof(*leg), GFP_KERNEL);
	if (leg)
		leg->image = vzalloc(ti->len << SECTOR_SHIFT);
	if (!leg || !leg->image) {
		ti->error = "there is no memory for the leg";
		kfree(leg);
		return -ENOMEM;
	}
	strscpy(leg->name, argv[0], sizeof(leg->name));
	leg->sectors = ti->len;
	mutex_init(&leg->image_lock);
	INIT_LIST_HEAD(&leg->queue);
	INIT_WORK(&leg->work, leg_work);
	mutex_lock(&crash_lab.mutex);
	list_add_tail(&leg->list, &crash_lab.legs);
	mutex_unlock(&crash_lab.mutex);
	ti->private = leg;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct crash_io);
	return 0;
}

/* A recording is worth nothing without it. */
static void crash_dtr(struct dm_target *ti)
{
	struct crash_leg *leg = ti->private;

	cancel_work_sync(&leg->work);
	mutex_lock(&crash_lab.mutex);
	while (crash_lab.level >= 0)
		crash_forget();
	list_del(&leg->list);
	mutex_unlock(&crash_lab.mutex);
	leg_free(leg);
}

static void crash_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	limits->discard_granularity = SECTOR_SIZE;
	limits->max_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
	limits->max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
}

/* There are none; without this dm takes writing of zeroes for impossible. */
static int crash_iterate_devices(struct dm_target *ti,
				 iterate_devices_callout_fn fn, void *data)
{
	return 0;
}

static void crash_status(struct dm_target *ti, status_type_t type,
			 unsigned int status_flags, char *result,
			 unsigned int maxlen)
{
	struct crash_leg *leg = ti->private;
	unsigned int sz = 0;
	int i;

	if (type == STATUSTYPE_INFO)
		for (i = 0; i < CRASH_NR_OPS; i++)
			DMEMIT("%s%s=%llu", i ? " " : "", crash_op_names[i],
			       READ_ONCE(leg->count[i]));
	else
		DMEMIT("%s", leg->name);
}

static struct target_type crash_target = {
	.name = "blkjob-crash",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = crash_ctr,
	.dtr = crash_dtr,
	.map = crash_map,
	.status = crash_status,
	.message = crash_message,
	.io_hints = crash_io_hints,
	.iterate_devices = crash_iterate_devices,
};

static int __init crash_init(void)
{
	int r = -ENOMEM;

	queue = alloc_workqueue("dm-blkjob-crash", WQ_UNBOUND | WQ_MEM_RECLAIM,
				0);
	if (queue)
		r = dm_register_target(&crash_target);
	if (r && queue)
		destroy_workqueue(queue);
	return r;
}

static void __exit crash_exit(void)
{
	dm_unregister_target(&crash_target);
	destroy_workqueue(queue);
}

module_init(crash_init);
module_exit(crash_exit);

MODULE_DESCRIPTION("disks whose power can be cut, to test dm-blkjob");
MODULE_LICENSE("GPL");
