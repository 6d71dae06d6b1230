// SPDX-License-Identifier: GPL-2.0
/*
 * A consumer of small direct I/Os: one at a time, at random places and after
 * random pauses, so that it does not fall into step with the copy.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK		4096ULL
#define PAUSE_NS	200000.0	/* on the average */
#define LOG		(1U << 16)

struct foreground {
	pthread_t thread;
	int fd;
	bool write;
	uint64_t blocks;
	uint64_t started;
	uint64_t seed;
	volatile bool stop;
	unsigned int nr;
	uint64_t begun[LOG];
	uint64_t ns[LOG];
};

static unsigned int running;	/* each has places of its own */

static uint64_t random_next(uint64_t *random)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return *random >> 33;
}

static void *foreground_main(void *arg)
{
	struct foreground *f = arg;
	char *mem = load_buffer(BLOCK);
	uint64_t random = f->seed, at, start;
	struct timespec ts = { 0 };
	ssize_t done;

	while (!f->stop && f->nr < LOG) {
		ts.tv_nsec = -log((random_next(&random) + 1.0) /
				  (double)(1ULL << 31)) * PAUSE_NS;
		nanosleep(&ts, NULL);
		at = random_next(&random) % f->blocks * BLOCK;
		start = now_ns();
		done = f->write ? pwrite(f->fd, mem, BLOCK, at) :
				  pread(f->fd, mem, BLOCK, at);
		if (done != (ssize_t)BLOCK)
			die("the foreground failed");
		f->begun[f->nr] = start;
		f->ns[f->nr++] = now_ns() - start;
	}
	return NULL;
}

struct foreground *foreground_start(const char *path, bool write, uint64_t span)
{
	struct foreground *f = calloc(1, sizeof(*f));

	if (!f)
		die("no memory for the foreground");
	f->write = write;
	f->seed = ++running;
	f->blocks = span / BLOCK;
	f->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	f->started = now_ns();
	if (f->fd < 0 || pthread_create(&f->thread, NULL, foreground_main, f))
		die("no foreground");
	return f;
}

void foreground_stop(struct foreground *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
	running--;
	close(f->fd);
	if (f->nr < 100 || f->nr == LOG)
		die("%u I/Os: no figures", f->nr);
}

void foreground_free(struct foreground *f)
{
	free(f);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of all I/Os of several, in us. */
double foreground_p99_of(struct foreground *const *f, unsigned int several)
{
	uint64_t *sorted = malloc(several * LOG * sizeof(*sorted));
	unsigned int i, nr = 0;
	double p99;

	if (!sorted)
		die("no memory to sort");
	for (i = 0; i < several; nr += f[i++]->nr)
		memcpy(sorted + nr, f[i]->ns, f[i]->nr * sizeof(*sorted));
	qsort(sorted, nr, sizeof(*sorted), by_size);
	p99 = sorted[nr * 99 / 100] / 1e3;
	free(sorted);
	return p99;
}

double foreground_p99(struct foreground *f)
{
	return foreground_p99_of(&f, 1);
}

/* ns from the start after which one in a hundred at most was too slow. */
uint64_t foreground_unsettled(const struct foreground *f, double bound_us)
{
	unsigned int i, slow = 0, first = f->nr;

	for (i = f->nr; i-- > 0;) {
		slow += f->ns[i] > bound_us * 1e3;
		if (slow * 100 <= f->nr - i)
			first = i;
	}
	return first == f->nr ? f->begun[f->nr - 1] - f->started :
	       first ? f->begun[first] - f->started : 0;
}
