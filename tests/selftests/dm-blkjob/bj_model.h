/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bj_model: what its files share. See bj_model.c.
 */
#ifndef BJ_MODEL_H
#define BJ_MODEL_H

#include "bj_sector.h"
#include "bj_ioctl.h"

#include <linux/dm-blkjob.h>

enum side { SOURCE, TARGET };

/*----------------------------- bj_model.c -----------------------------*/

extern uint64_t model_seed;

/* Nanoseconds of a clock that never goes back. */
uint64_t now(void);
uint64_t dice(uint64_t *state);
/* One line of what is printed when something is wrong. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Something is wrong: say it, let everything go that waits, end. */
void __attribute__((noreturn, format(printf, 1, 2)))
wrong(const char *format, ...);

/*---------------- bj_model_leg.c: the disks, and layers over them ----------------*/

/* What is wrong with a layer. */
enum fault { GOOD, BAD, PARTLY, READ_ONLY, SLOW, HANGS, NR_FAULTS };

struct leg {
	const char *disk;
	const char *layer;	/* name of the dm device over it */
	char node[32];		/* of that */
	uint64_t sectors;	/* of the disk */
	uint64_t offset;	/* of the device on it */
	enum fault fault;
	bool was_bad;		/* since the job began */
	bool ate_flushes;	/* since then: dm-error has nothing to flush */
};
extern struct leg leg[2];

void legs_init(const char *words[4]);
void leg_set(int i, enum fault fault, uint64_t *state);
void legs_heal(void);
/* Flushes that the disk has ended; 0 for ever if it has no cache. */
uint64_t leg_flushes(int i);
bool leg_has_cache(int i);
/* Another table for @name, without waiting for its I/O to end. */
int swap_table(const char *name, char **lines, int nr);
/* /dev/dm-N of a device. */
void node_of(const char *name, char *node, size_t size);

/*--------------------- bj_model_state.c: states and verbs ---------------------*/

enum policy { REPORT, IGNORE, ENOSPC_STOPS, STOP };

/* A status line, sizes in bytes. */
struct status {
	char line[2048];
	enum blkjob_state state;
	uint64_t offset, len, dirty, in_flight, granularity;
	uint64_t copied, zeroed, recopied, passes, errors[2], pause_us, held;
	bool busy, paused, ready, synced, failed;
	char result[16], active[16], error[32];
};

/* One message, and what came of it. */
struct verb {
	enum blkjob_verb verb;
	bool force;		/* of cancel */
	bool source, reverse;	/* of finalize */
	int side, policy;	/* of set on_..._error; side -1 = another key */
	char text[96];
	int r;
};

void state_begin(const enum policy policy[2], bool paused);
/* What may happen by itself from now on: nothing moves while suspended. */
void state_suspended(bool suspended);
/*
 * Up to two verbs that were sent at once, with their results: is there an
 * order of them, and of what happens by itself, that explains these?
 */
bool state_verbs(const struct verb *verbs, int nr);
/* Does the status fit, after @errors[side] of them were counted? */
bool state_observe(const struct status *status, const uint64_t errors[2]);
/* May a job go from one state to the other? "" = it was just made. */
bool state_follows(const char *from, const char *to);
/* May the instant of a soft cancel be over? Later writes are the source's. */
bool state_let_go(void);
/* The states that are possible now, for a message. */
const char *state_words(void);

/* Parse; false if a word is missing. */
bool status_parse(const char *line, struct status *status);
/* What is wrong with a status in itself, or after the last one; or NULL. */
const char *status_wrong(const struct status *status,
			 const struct status *last, uint64_t bytes);

/*----------------------- bj_model_io.c: the consumer -----------------------*/

#define IO_THREADS	3
#define IO_SECTORS	512	/* of one operation, at most */

/* Open the job's device and begin to write it. @block: sectors. */
void data_init(const char *node, uint64_t sectors, unsigned int block);
/* Every sector is written once. Nothing else may run. */
void data_fill(void);
/* How long the consumer thinks between two operations. */
void data_think(unsigned int us);
/* No operation in flight, none begun until data_go(); false: not in time. */
bool data_hold(unsigned int ms);
void data_go(void);
/* ns since when the oldest operation in flight waits, 0 = none */
uint64_t data_oldest(void);

/* The layer over that disk makes errors from now on, or does not any more. */
void data_bad(int disk, bool bad);
/* Errors of that disk may reach the consumer; both: at the switch. */
void data_counts(int disk, bool counts);

/*----------------- bj_model_data.c: what each sector may hold -----------------*/

/* All of these only between data_hold() and data_go(). */

/* Is the disk the device, sector by sector, but where @exempt? */
void data_check_disk(const char *path, uint64_t offset, const bool *exempt,
		     const char *what);
/* Is it the device at one instant between @from and @to? */
void data_check_instant(const char *path, uint64_t offset, const bool *exempt,
			uint64_t from, uint64_t to);
/* Are both the same, but where @exempt? */
void data_check_same(const char *a, uint64_t offset_a, const char *b,
		     uint64_t offset_b, const bool *exempt, const char *what);

/* Still nothing but zeroes before and behind the device? */
void data_check_outside(const char *path, uint64_t offset);

#endif
