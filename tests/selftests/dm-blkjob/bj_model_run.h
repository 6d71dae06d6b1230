/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bj_model: the job that is being driven, and the steps that are taken.
 */
#ifndef BJ_MODEL_RUN_H
#define BJ_MODEL_RUN_H

#include "bj_model.h"

#define MS		1000000ULL	/* ns */

struct run {
	const char *job;		/* dm name of the device */
	char node[32];
	uint64_t sectors;		/* of the device */
	unsigned int block;		/* sectors */
	uint64_t dice;
	int source;			/* which leg is it now? */
	bool calm;			/* nothing fails in this job */
	bool switched;			/* the target device counts */
	bool *exempt;			/* by sector: never to be copied */
	struct status last;
	unsigned int events;		/* read so far */
	char event[16];			/* state of the last one */
	uint64_t let_go_at;		/* ns; the target device, by a verb */
	uint64_t concluded_at;		/* ns */
	uint64_t state_since;		/* ns */
	uint64_t free_since;		/* ns; nothing but the job can delay I/O */
	/* What the target device had when more of them became due; -1 = none */
	int64_t flushes_ready, flushes_equal;
	unsigned int steps, jobs, accepted, refused, looks, turns, ends[3];
};
extern struct run run;

/*----------------------------- bj_model.c -----------------------------*/

uint64_t roll(uint64_t n);
/* Note for what is printed when something is wrong. */
void did(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*-------------------------- bj_model_job.c --------------------------*/

void run_init(unsigned int block);
void job_begin(void);
/* Bring it to an end if it has none, and look at what it left. */
void job_end(void);
/* Look at the status, and compare it with the model. */
const struct status *observe(void);
/* The states that it went through since the last look, one by one. */
void check_events(void);
/* Is everybody alive who should be? */
void check_alive(void);

/*------------------------- bj_model_steps.c -------------------------*/

/* Send it, and tell the model; returns 0 or -EPERM. */
int send_verb(const char *text);
bool any_exempt(void);
void step_verb(void);
void step_two_masters(void);
void step_suspend(void);
void step_reload(void);
void step_look(void);

#endif
