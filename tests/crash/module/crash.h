/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dm-blkjob-crash: disks with a cache each and one power switch for all.
 *
 * A leg is a device in memory. All that is written to any leg is recorded, with
 * numbers from one sequence over all of them: when it was submitted and when it
 * had ended. From that follows what a power cut at any moment may have left:
 * a write is on stable storage if it had ended before a flush of the same leg
 * was submitted that has ended too, or if it had FUA and has ended. Any other
 * one that was submitted may be there, in part as well.
 */
#ifndef DM_BLKJOB_CRASH_H
#define DM_BLKJOB_CRASH_H

#include <linux/device-mapper.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#define CRASH_NAME	16
#define CRASH_LEVELS	2	/* a recovery can be recorded and cut too */

enum crash_op {
	CRASH_READ,
	CRASH_WRITE,
	CRASH_ZERO,
	CRASH_DISCARD,
	CRASH_FLUSH,
	CRASH_NR_OPS
};

enum crash_mode {
	CRASH_DROP,		/* nothing that is not stable is there */
	CRASH_KEEP,		/* all of it is */
	CRASH_ONLY,		/* that of one leg is; the seed is its number */
	CRASH_RANDOM,
	CRASH_DROP_ONE,
	CRASH_TEAR_ONE,		/* of one, only some sectors are there */
	CRASH_NR_MODES
};

extern const char * const crash_op_names[CRASH_NR_OPS];
extern const char * const crash_mode_names[CRASH_NR_MODES];

struct crash_leg {
	struct list_head list;		/* lab.legs */
	char name[CRASH_NAME];
	u64 sectors;
	struct mutex image_lock;	/* of image */
	u8 *image;			/* what is read */
	u8 *base[CRASH_LEVELS];		/* where a recording began */
	struct list_head queue;		/* of crash_io; lab.lock, all that follows */
	unsigned long held;		/* bit per crash_op */
	unsigned int fail[CRASH_NR_OPS];	/* so many of them */
	u64 count[CRASH_NR_OPS];
	struct work_struct work;
	u64 horizon;			/* of crash_materialise() */
};

/* dm's data of a bio */
struct crash_io {
	struct list_head list;
	u64 submitted;			/* 0 = not recorded */
	u64 sector;
	u64 nr;
	enum crash_op op;
};

struct crash_entry {
	struct list_head list;
	struct crash_leg *leg;
	u64 submitted;
	u64 done;			/* U64_MAX = the power went before */
	u64 sector;
	u64 nr;
	enum crash_op op;
	bool fua;
	void *data;			/* of a write */
};

struct crash_lab {
	struct mutex mutex;		/* messages, legs */
	struct list_head legs;
	spinlock_t lock;		/* irqsave; all that follows */
	u64 sequence;
	int level;			/* of log; -1 = none was begun */
	bool recording;
	bool off;
	u64 dice;			/* 0 = in order */
	u64 cut;			/* what follows this has not happened */
	struct list_head log[CRASH_LEVELS];	/* in order of their ends */
};

extern struct crash_lab crash_lab;

static inline u64 crash_mix(u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* crash-target.c: run what waits, if it may. lab.lock or not. */
void crash_kick(struct crash_leg *leg);

/* crash-message.c */
int crash_message(struct dm_target *ti, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen);

/* crash-image.c: lab.mutex held, nothing in flight */
int crash_record(void);
void crash_forget(void);
void crash_entry_free(struct crash_entry *entry);
/* Make the legs what a cut at lab.cut may have left. */
void crash_materialise(enum crash_mode mode, u64 seed, char *result,
		       unsigned int maxlen);

#endif
