// SPDX-License-Identifier: GPL-2.0
/*
 * bj_nomem: load a table again and again, and let each of the allocations that
 * the kernel makes for that fail once, the first one, the second one, and so on
 * up to the end of the constructors. What comes behind them is dm's own, which
 * says so in the kernel log. Each time it must be loaded all the same, or be
 * refused for want of memory; it is removed at once.
 *
 * It needs a kernel with fault injection; lib.sh, fail_slab, says of what.
 */
#define _GNU_SOURCE
#include "bj_ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS_MAX	100000

static int fail_nth, klog;

static void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fail_nth, text, len, 0) != len) {
		perror("fail-nth");
		exit(2);
	}
}

/* How many are left until one fails; then none does any more. */
static unsigned int disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0) {
		perror("fail-nth");
		exit(2);
	}
	arm(0);
	return strtoul(text, NULL, 10);
}

/* Has dm said that it failed itself, when the constructors had all ended well? */
static int behind(void)
{
	char line[2048];
	int found = 0;
	ssize_t n;

	while ((n = read(klog, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		found |= strstr(line, "unable to allocate mempools") ||
			 strstr(line, "unable to set up device queue");
	}
	return found;
}

/* 0, or -errno of what should not have failed; *r is that of the table. */
static int load(const char *name, int nr, char **lines, unsigned int n,
		unsigned int *left, int *r)
{
	int created = dm_simple(name, DM_DEV_CREATE, 0);

	if (created)
		return created;
	arm(n);
	*r = dm_load(name, 0, nr, lines);
	*left = disarm();
	return dm_simple(name, DM_DEV_REMOVE, 0);
}

int main(int argc, char **argv)
{
	unsigned int n, left = 0, survived = 0;
	int r = 0, err;

	if (argc < 3) {
		fputs("usage: bj_nomem NAME LINE...\n", stderr);
		return 2;
	}
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	klog = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fail_nth < 0 || klog < 0 || dm_open()) {
		perror("bj_nomem");
		return 2;
	}
	lseek(klog, 0, SEEK_END);
	for (n = 1; n < POINTS_MAX; n++) {
		err = load(argv[1], argc - 2, argv + 2, n, &left, &r);
		if (behind())
			break;
		if (err || (r && r != -ENOMEM) || (left && r)) {
			printf("allocation %u: %s, then %s\n", n,
			       strerrorname_np(-r), strerrorname_np(-err));
			return 1;
		}
		if (left)
			break;
		survived += !r;
	}
	printf("%u allocations, without %u of them it was loaded\n", n - 1,
	       survived);
	return n - 1 <= survived;
}
