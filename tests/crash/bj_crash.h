/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bj_crash: what its files share. See bj_crash.c.
 *
 * Time is the sequence of the legs (module/crash.h): "before" is its number
 * when something had not begun yet, "after" when it had ended. A cut at c is one
 * after number c: what was begun at c or later is not known, what had ended at c
 * or earlier was reported.
 */
#ifndef BJ_CRASH_H
#define BJ_CRASH_H

#include "bj_sector.h"
#include "bj_ioctl.h"

#define SECTORS		4096		/* of the device */
#define BYTES		(SECTORS * SECTOR)
#define NEVER		UINT64_MAX
#define FILL		1		/* generation of what was there before;
					 * ops[FILL] was never in flight
					 */
#define MAX_OPS		8192
#define MAX_EVENTS	8192

enum { S, T, M, NR_LEGS };

enum kind { WRITE, ZERO, DISCARD, FLUSH };

/* What the consumer did. Its number is its generation, from FILL + 1 on. */
struct op {
	enum kind kind;
	uint32_t sector, nr;
	bool fua;
	uint64_t before, after;		/* NEVER = no answer */
};

/* A message, and then r is its result; or a look at the status. */
struct event {
	uint64_t before, after;
	char what[160];
	int r;
};

extern uint64_t crash_seed;
extern struct op ops[MAX_OPS];
extern unsigned int nr_ops;
extern struct event events[MAX_EVENTS];
extern unsigned int nr_events;

/*----------------------------- bj_crash.c -----------------------------*/

uint64_t roll(uint64_t n);
/* An invariant is broken: say it. False. */
bool broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The test itself cannot go on. */
void __attribute__((noreturn, format(printf, 1, 2)))
stuck(const char *format, ...);

struct scenario {
	const char *name;
	const char *what;
	void (*run)(void);		/* a workload, recorded */
	bool (*judge)(uint64_t cut);	/* of one state after it */
	unsigned int share;		/* of the states; 0 = judges itself */
};
/* Each ends with one that has no name. */
extern const struct scenario proof_scenarios[], mirror_scenarios[],
	backup_scenarios[], track_scenarios[], stream_scenarios[],
	remember_scenarios[], commit_scenarios[];

/*------------- crash_kill.c: guests that are killed -------------*/

/* Work until killed, and print a log of that. */
void kill_run(const char *type);
/* What the log says must be on the disks. */
bool kill_check(const char *type, const char *log);
/* A line of the log, if there is one. */
void kill_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*----------------------- crash_lab.c: the legs -----------------------*/

extern char leg_node[NR_LEGS][32];

void lab_open(void);
/* Three disks in the place of the legs, and a counter for the sequence. */
void lab_open_disks(void);
void lab_close(void);
/* The number of now. */
uint64_t sequence(void);
/* To a leg, which says what is said. */
const char *lab_tell(int leg, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Old contents for a leg: of FILL and that seed. */
void lab_fill(int leg, uint64_t seed);
void lab_zero(int leg, uint64_t sectors);
/* Without a job: sectors of a generation; FUA or not. */
void lab_write(int leg, uint64_t sector, uint64_t nr, uint64_t gen, bool fua);
/* The last write's error, if it was not to fail. */
int lab_try_write(int leg, uint64_t sector);
void lab_flush(int leg);
/* Materialise. Returns its id; how many writes it could choose from. */
uint64_t lab_state(const char *mode, uint64_t seed, uint64_t *nr_volatile);
/* What a leg has now; the buffer is the leg's. */
const uint64_t *lab_read(int leg);
/* Moments at which something becomes stable; returns their number. */
unsigned int lab_moments(uint64_t *moments, unsigned int max);
/* Print what the legs did at that sector. */
void lab_story(uint64_t sector);

/*------------------- crash_job.c: the job on the legs -------------------*/

extern char job_node[32];

/* Make it, or begin it; what it may be refused for is said with stuck(). */
void job_create(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
int job_try_create(const char *line);
void job_remove(void);
/* A device that the job may stand on. */
extern char low_node[32];
int low_try_create(const char *line);
void low_remove(void);
void low_tell(const char *text);
/* What its device reads; the buffer is one for all. */
const uint64_t *job_read(void);
/* Both make an event. */
int job_tell(const char *text);
const char *job_look(void);
/* It is not refused. */
void job_must(const char *text);
/* Until its state is that; a look for each. */
void job_wait(const char *state);
void job_suspend_resume(void);
/* Where nobody may notice it; the consumer is at work. */
void job_disturb(void);
void job_to_pending(void);
/* An event of the test itself. */
void job_note(const char *what);
/* A message without an event; its reply. */
const char *job_ask(const char *text);
/* The last event that was over at @cut and begins with @what, or NULL. */
const struct event *event_over(uint64_t cut, const char *what);
/* The last one that had begun. */
const struct event *event_begun(uint64_t cut, const char *what);
/* In pending, and nobody had asked to leave it backwards. */
bool job_was_pending(uint64_t cut);

/*------------------- crash_io.c: the consumer -------------------*/

enum { NO_DISCARDS = 1 };

void io_begin(unsigned int flags);
/* Let it do so many operations more. */
void io_work(unsigned int nr);
/* No operation is in flight, all were answered. */
void io_end(void);
/* Sector histories, when all is done. */
void io_index(void);

/* What each sector may hold: from .. to of its history. */
struct bounds {
	uint16_t from[SECTORS], to[SECTORS];
};
/*
 * At a cut: what was flushed or had FUA, and all that was issued since. And
 * what was acknowledged up to @kept is known to be stable as well.
 */
void io_bounds(struct bounds *bounds, uint64_t cut, uint64_t kept);
/* ... at some instant between these two, with nothing lost. */
void io_bounds_between(struct bounds *bounds, uint64_t from, uint64_t to);
bool io_may_hold(uint64_t sector, int64_t found, const struct bounds *bounds);
/* It may not: say so. False. */
bool io_wrong(uint64_t sector, int64_t found, const struct bounds *bounds,
	      const char *what);
/* What was there before, everywhere. */
extern const struct bounds io_first;
/* Does an image of a leg keep within them? */
bool io_judge(const uint64_t *image, const struct bounds *bounds,
	      const char *what);
/* Are all its sectors of one instant, between these two? */
bool io_judge_instant(const uint64_t *image, uint64_t from, uint64_t to,
		      const char *what);
/* The operation that a sector's content is of: a number, FILL, 0 = zeroes, -1. */
int64_t io_found(const uint64_t *image, uint64_t sector);
/* Print what the consumer did at that sector. */
void io_story(uint64_t sector);

#endif
