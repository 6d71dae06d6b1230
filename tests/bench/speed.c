// SPDX-License-Identifier: GPL-2.0
/*
 * The speed limit: by how much what is written in any 100 ms differs from it,
 * while it holds and right after it was changed.
 */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "bench.h"

#define WINDOW_NS	100000000ULL
#define SAMPLES		400		/* one in a millisecond */

static const struct bound bound = { LOWER, 0.10, 0.05 };

static struct nullb from, to;

/* The largest error over any window, as a part of the limit. */
static double worst_window(double speed)
{
	static uint64_t time[SAMPLES], bytes[SAMPLES];
	struct timespec ts = { .tv_nsec = 1000000 };
	unsigned int i, last = 0;
	double error, worst = 0;

	for (i = 0; i < SAMPLES; i++) {
		time[i] = now_ns();
		bytes[i] = nullb_bytes(&to, true);
		nanosleep(&ts, NULL);
	}
	for (i = 0; i < SAMPLES; i++) {
		while (last < SAMPLES && time[last] < time[i] + WINDOW_NS)
			last++;
		if (last == SAMPLES)
			break;
		error = (bytes[last] - bytes[i]) * 1e9 /
			(time[last] - time[i]) / speed - 1;
		worst = fmax(worst, fabs(error));
	}
	return worst;
}

static void hold(uint64_t speed, const char *what)
{
	char line[64];

	snprintf(line, sizeof(line), "%s %llu KB/s", what,
		 (unsigned long long)speed / 1000);
	report_gate(line, worst_window(speed), "x", bound);
}

/* What was begun at the old speed is the operation too much. */
static void set_speed(struct dmdev *job, uint64_t speed)
{
	struct timespec ts = { .tv_nsec = 5000000 };
	char msg[64];

	snprintf(msg, sizeof(msg), "set speed %llu", (unsigned long long)speed);
	dm_message(job, msg);
	nanosleep(&ts, NULL);
}

void bench_speed(void)
{
	struct nullb_opts opts = {
		.mib = 4096, .slots = 64, .latency_us = 400,
	};
	static const uint64_t speeds[] = {
		1000000, 1000000000, 20000000, 200000000, 5000000,
	};
	struct dmdev job;
	unsigned int i;

	if (!sys_have_blkjob())
		return;
	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	report_title("speed", "largest error over any 100 ms, part of the limit");
	job_create(&job, "job", &from, &to, "2 speed 1000000");
	dm_resume(&job);
	for (i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
		set_speed(&job, speeds[i]);
		hold(speeds[i], i ? "changed to" : "from the start");
	}
	dm_message(&job, "cancel force");
	dm_wait_state(&job, "concluded");
	dm_remove(&job);
	nullb_remove(&to);
	nullb_remove(&from);
}
