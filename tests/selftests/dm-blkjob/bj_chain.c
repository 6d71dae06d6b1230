// SPDX-License-Identifier: GPL-2.0
/*
 * bj_chain: writes that depend on each other, over several devices.
 *
 * Each thread writes a number to the first device, when that is acknowledged to
 * the second one, and so on; then the next number. At every instant no device
 * has a larger number than the one before it, and the first at most one more
 * than the last. A set of copies that breaks this is not of one instant.
 *
 *   bj_chain run THREADS DEVICE...	until SIGTERM; says "running"
 *   bj_chain check THREADS DEVICE...	says the sum of the first one's numbers
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK		4096
#define STRIDE		81920	/* of two threads: other regions, other blocks */
#define MAX_DEVICES	8
#define MAX_THREADS	32

static char **names;
static unsigned int devices, threads;
static volatile sig_atomic_t stop;
static atomic_uint failures, begun;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static int complain(const char *name, const char *what)
{
	printf("%s: %s: %s\n", name, what, strerror(errno));
	return -1;
}

static void *chain(void *arg)
{
	unsigned int thread = (uintptr_t)arg, i;
	uint64_t *block, number = 0;
	int fd[MAX_DEVICES];

	if (posix_memalign((void **)&block, BLOCK, BLOCK))
		abort();
	memset(block, 0, BLOCK);
	for (i = 0; i < devices; i++) {
		fd[i] = open(names[i], O_RDWR | O_DIRECT);
		if (fd[i] < 0 ||
		    pread(fd[i], block, BLOCK, thread * STRIDE) != BLOCK) {
			failures++;
			complain(names[i], "open or read");
			return NULL;
		}
	}
	/* Go on where the last run has ended. */
	number = block[0];
	begun++;
	while (!stop) {
		block[0] = ++number;
		for (i = 0; i < devices; i++) {
			if (pwrite(fd[i], block, BLOCK, thread * STRIDE) == BLOCK)
				continue;
			failures++;
			complain(names[i], "write");
			return NULL;
		}
	}
	return NULL;
}

static int run(void)
{
	struct sigaction action = { .sa_handler = on_term };
	pthread_t id[MAX_THREADS];
	unsigned int i;

	sigaction(SIGTERM, &action, NULL);
	for (i = 0; i < threads; i++)
		if (pthread_create(&id[i], NULL, chain, (void *)(uintptr_t)i))
			abort();
	while (begun + failures < threads)
		usleep(1000);
	printf("running\n");
	fflush(stdout);
	for (i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	return !!failures;
}

static int check(void)
{
	uint64_t number[MAX_DEVICES], sum = 0, *block;
	unsigned int thread, i;
	int bad = 0, fd;

	if (posix_memalign((void **)&block, BLOCK, BLOCK))
		abort();
	for (thread = 0; thread < threads; thread++) {
		for (i = 0; i < devices; i++) {
			fd = open(names[i], O_RDONLY | O_DIRECT);
			if (fd < 0 ||
			    pread(fd, block, BLOCK, thread * STRIDE) != BLOCK)
				return complain(names[i], "open or read");
			close(fd);
			number[i] = block[0];
			if (number[i] > number[i ? i - 1 : 0] ||
			    number[i] + 1 < number[0]) {
				printf("chain %u: %s has %llu, %s has %llu\n",
				       thread, names[0],
				       (unsigned long long)number[0], names[i],
				       (unsigned long long)number[i]);
				bad = 1;
			}
		}
		sum += number[0];
	}
	printf("%llu\n", (unsigned long long)sum);
	return bad;
}

int main(int argc, char **argv)
{
	threads = argc > 2 ? atoi(argv[2]) : 0;
	devices = argc > 3 ? argc - 3 : 0;
	names = argv + 3;
	if (!threads || threads > MAX_THREADS || !devices ||
	    devices > MAX_DEVICES) {
		fputs("usage: bj_chain run|check THREADS DEVICE...\n", stderr);
		return 2;
	}
	return strcmp(argv[1], "run") ? check() : run();
}
