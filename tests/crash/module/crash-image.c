// SPDX-License-Identifier: GPL-2.0
/*
 * From a recording to one of the images that a power cut may have left.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "crash.h"

const char * const crash_mode_names[CRASH_NR_MODES] = {
	"drop", "keep", "only", "random", "drop-one", "tear-one",
};

/*---------------------------- Recording ---------------------------*/

void crash_entry_free(struct crash_entry *entry)
{
	vfree(entry->data);
	kfree(entry);
}

void crash_forget(void)
{
	struct crash_entry *entry, *next;
	struct crash_leg *leg;
	LIST_HEAD(log);
	int level;

	spin_lock_irq(&crash_lab.lock);
	level = crash_lab.level--;
	crash_lab.recording = false;
	list_splice_init(&crash_lab.log[level], &log);
	spin_unlock_irq(&crash_lab.lock);
	list_for_each_entry_safe(entry, next, &log, list)
		crash_entry_free(entry);
	list_for_each_entry(leg, &crash_lab.legs, list) {
		vfree(leg->base[level]);
		leg->base[level] = NULL;
	}
}

int crash_record(void)
{
	int level = crash_lab.level + 1;
	struct crash_leg *leg;

	if (level == CRASH_LEVELS)
		return -ENOSPC;
	list_for_each_entry(leg, &crash_lab.legs, list) {
		leg->base[level] = vmalloc(leg->sectors << SECTOR_SHIFT);
		if (!leg->base[level])
			return -ENOMEM;	/* the next one frees it */
		mutex_lock(&leg->image_lock);
		memcpy(leg->base[level], leg->image,
		       leg->sectors << SECTOR_SHIFT);
		mutex_unlock(&leg->image_lock);
	}
	spin_lock_irq(&crash_lab.lock);
	crash_lab.level = level;
	crash_lab.recording = true;
	spin_unlock_irq(&crash_lab.lock);
	return 0;
}

/*----------------------------- Images -----------------------------*/

struct choice {
	enum crash_mode mode;
	u64 seed;
	u64 nr;		/* entries that are not stable */
	u64 tearable;	/* of these: of several sectors */
	u64 kept;
	u64 id;		/* of what was chosen */
};

static bool stable(const struct crash_entry *entry)
{
	return entry->done <= entry->leg->horizon ||
	       (entry->fua && entry->done <= crash_lab.cut);
}

static bool volatile_at_cut(const struct crash_entry *entry)
{
	return entry->op != CRASH_FLUSH && entry->submitted <= crash_lab.cut &&
	       !stable(entry);
}

/* What ended up to here was flushed, leg by leg. */
static void find_horizons(struct list_head *log)
{
	struct crash_entry *entry;
	struct crash_leg *leg;

	list_for_each_entry(leg, &crash_lab.legs, list)
		leg->horizon = 0;
	list_for_each_entry(entry, log, list)
		if (entry->op == CRASH_FLUSH && entry->done <= crash_lab.cut)
			entry->leg->horizon = max(entry->leg->horizon,
						  entry->submitted);
}

static void count(struct list_head *log, struct choice *choice)
{
	struct crash_entry *entry;

	list_for_each_entry(entry, log, list) {
		if (!volatile_at_cut(entry))
			continue;
		choice->nr++;
		choice->tearable += entry->nr > 1;
	}
}

/* Is the @number'th volatile one there? It is on leg @leg. */
static bool survives(const struct choice *choice, u64 number, unsigned int leg)
{
	switch (choice->mode) {
	case CRASH_DROP:
		return false;
	case CRASH_ONLY:
		return leg == choice->seed;
	case CRASH_RANDOM:
		return crash_mix(choice->seed ^ crash_mix(number)) & 1;
	case CRASH_DROP_ONE:
		return number != choice->seed % max(choice->nr, 1ULL);
	default:
		return true;
	}
}

static void put(const struct crash_entry *entry, u64 first, u64 nr)
{
	u8 *to = entry->leg->image + ((entry->sector + first) << SECTOR_SHIFT);

	if (entry->op == CRASH_WRITE)
		memcpy(to, entry->data + (first << SECTOR_SHIFT),
		       nr << SECTOR_SHIFT);
	else
		memset(to, 0, nr << SECTOR_SHIFT);
}

/* Its beginning, its end, or sectors by chance. */
static void put_torn(const struct crash_entry *entry, u64 seed)
{
	u64 dice = crash_mix(seed), part = 1 + (dice >> 8) % (entry->nr - 1), i;

	switch (dice % 3) {
	case 0:
		put(entry, 0, part);
		break;
	case 1:
		put(entry, part, entry->nr - part);
		break;
	default:
		for (i = 0; i < entry->nr; i++)
			if (crash_mix(dice + i) & 1)
				put(entry, i, 1);
	}
}

static unsigned int number_of(struct crash_leg *leg)
{
	struct crash_leg *other;
	unsigned int number = 0;

	list_for_each_entry(other, &crash_lab.legs, list) {
		if (other == leg)
			break;
		number++;
	}
	return number;
}

static void apply(struct list_head *log, struct choice *choice)
{
	u64 number = 0, tearable = 0;
	struct crash_entry *entry;

	list_for_each_entry(entry, log, list) {
		bool tears;

		if (entry->op == CRASH_FLUSH || entry->submitted > crash_lab.cut)
			continue;
		if (stable(entry)) {
			put(entry, 0, entry->nr);
			continue;
		}
		if (survives(choice, number++, number_of(entry->leg))) {
			tears = choice->mode == CRASH_TEAR_ONE && entry->nr > 1 &&
				tearable++ == choice->seed % choice->tearable;
			if (tears)
				put_torn(entry, choice->seed);
			else
				put(entry, 0, entry->nr);
			choice->kept++;
			choice->id += crash_mix(number * 2 + tears);
			if (tears)
				choice->id += choice->seed;
		}
	}
}

void crash_materialise(enum crash_mode mode, u64 seed, char *result,
		       unsigned int maxlen)
{
	struct list_head *log = &crash_lab.log[crash_lab.level];
	struct choice choice = { .mode = mode, .seed = seed };
	struct crash_leg *leg;
	unsigned int sz = 0;

	find_horizons(log);
	count(log, &choice);
	list_for_each_entry(leg, &crash_lab.legs, list) {
		mutex_lock(&leg->image_lock);
		memcpy(leg->image, leg->base[crash_lab.level],
		       leg->sectors << SECTOR_SHIFT);
		mutex_unlock(&leg->image_lock);
	}
	apply(log, &choice);
	DMEMIT("volatile=%llu kept=%llu id=%llu\n", choice.nr, choice.kept,
	       choice.id);
}
