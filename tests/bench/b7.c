// SPDX-License-Identifier: GPL-2.0
/*
 * B7: bytes that the target device is given until a job with copy_mode auto is
 * ready, over what had to be copied, while somebody writes 4 KiB at a time at
 * a part of the speed of the copy. And it has to get ready, and in step.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SIZE		(256 * MIB)
#define REGION		(64 * KIB)
#define REGIONS		(SIZE / REGION)
#define BLOCK		4096ULL
#define COPY_SPEED	400000000ULL

static const struct bound bound = { LOWER, 1.25, 1.05 };

static struct nullb from, to;
static double zipf_below[REGIONS];	/* share of the regions up to here */

static uint64_t random_next(uint64_t *random)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return *random >> 33;
}

static uint64_t in_region(uint64_t region, uint64_t *random)
{
	return region * REGION + random_next(random) % (REGION / BLOCK) * BLOCK;
}

/* Where write number @nr goes to. */

static uint64_t uniform(uint64_t nr, uint64_t *random)
{
	(void)nr;
	return random_next(random) % (SIZE / BLOCK) * BLOCK;
}

static uint64_t zipf(uint64_t nr, uint64_t *random)
{
	double share = random_next(random) / (double)(1ULL << 31);
	uint64_t low = 0, high = REGIONS - 1, middle;

	(void)nr;
	while (low < high) {
		middle = (low + high) / 2;
		if (zipf_below[middle] < share)
			low = middle + 1;
		else
			high = middle;
	}
	/* The popular ones are all over the device. */
	return in_region(low * 2654435761ULL % REGIONS, random);
}

/* The hot ones are copied first, and so written to after that for longest. */
static uint64_t hot(uint64_t nr, uint64_t *random)
{
	(void)nr;
	if (random_next(random) % 10)
		return in_region(random_next(random) % (REGIONS / 20), random);
	return uniform(nr, random);
}

static uint64_t sequential(uint64_t nr, uint64_t *random)
{
	(void)random;
	return nr * BLOCK % SIZE;
}

struct steady {
	pthread_t thread;
	uint64_t (*place)(uint64_t nr, uint64_t *random);
	uint64_t interval;	/* ns */
	int fd;
	volatile bool stop;
};

static void *steady_main(void *arg)
{
	struct steady *s = arg;
	char *mem = load_buffer(BLOCK);
	uint64_t nr, next = now_ns(), random = 1;
	struct timespec ts;

	for (nr = 0; !s->stop; nr++) {
		if (pwrite(s->fd, mem, BLOCK, s->place(nr, &random)) !=
		    (ssize_t)BLOCK)
			die("the writer failed");
		next += s->interval;
		ts.tv_sec = next / 1000000000;
		ts.tv_nsec = next % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
	return NULL;
}

static void one_load(const char *what, unsigned int percent,
		     uint64_t (*place)(uint64_t nr, uint64_t *random))
{
	struct steady writer = {
		.place = place,
		.interval = BLOCK * 100 * 1000000000ULL / (COPY_SPEED * percent),
	};
	struct dmdev job;
	uint64_t before;
	char line[64];

	snprintf(line, sizeof(line), "4 copy_mode auto speed %llu", COPY_SPEED);
	job_create(&job, "job", &from, &to, line);
	before = nullb_bytes(&to, true);
	dm_resume(&job);
	writer.fd = open(job.path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (writer.fd < 0 ||
	    pthread_create(&writer.thread, NULL, steady_main, &writer))
		die("no writer");
	dm_wait_state(&job, "ready");
	snprintf(line, sizeof(line), "%s, %u %%", what, percent);
	report_gate(line, (nullb_bytes(&to, true) - before) / (double)SIZE,
		    "x", bound);
	dm_message(&job, "complete");
	dm_wait_state(&job, "pending");
	writer.stop = true;
	pthread_join(writer.thread, NULL);
	close(writer.fd);
	dm_message(&job, "cancel force");
	dm_wait_state(&job, "concluded");
	dm_remove(&job);
}

void bench_b7(void)
{
	struct nullb_opts opts = {
		.mib = SIZE / MIB, .slots = 64, .latency_us = 20,
	};
	static const unsigned int percents[] = { 2, 5, 8, 25 };
	double sum = 0;
	unsigned int i;

	if (!sys_have_blkjob())
		return;
	for (i = 0; i < REGIONS; i++)
		zipf_below[i] = sum += pow(i + 1, -1.1);
	for (i = 0; i < REGIONS; i++)
		zipf_below[i] /= sum;
	nullb_create(&from, &opts);
	nullb_create(&to, &opts);
	report_title("B7", "bytes written / to be copied, writers at a part of the copy's speed");
	for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		one_load("uniform", percents[i], uniform);
		one_load("zipf 1.1", percents[i], zipf);
		one_load("90 % to the first 5 %", percents[i], hot);
		one_load("sequential", percents[i], sequential);
	}
	nullb_remove(&to);
	nullb_remove(&from);
}
