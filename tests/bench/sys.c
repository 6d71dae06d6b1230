// SPDX-License-Identifier: GPL-2.0
/* What the benchmarks need of the guest's kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	printf("bench: ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
	exit(2);
}

void sys_init(void)
{
	if (mount("configfs", "/sys/kernel/config", "configfs", 0, NULL) &&
	    errno != EBUSY)
		die("configfs: %s", strerror(errno));
}

bool sys_have(const char *module)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return !access(path, F_OK);
}

bool sys_have_blkjob(void)
{
	return sys_have("dm_blkjob");
}

void sys_write(const char *path, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int fd, len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != len)
		die("%s: cannot write '%s': %s", path, text, strerror(errno));
	close(fd);
}

void sys_rcu_expedited(bool on)
{
	sys_write("/sys/kernel/rcu_expedited", "%d\n", on);
}

/*
 * Let the work that a previous step left behind (freeing, RCU, SRCU) end
 * before the next one is timed.
 */
void sys_settle(void)
{
	struct timespec ts = { .tv_nsec = 200 * 1000 * 1000 };

	nanosleep(&ts, NULL);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Time that the only CPU was idle, and so counted no instructions. */
uint64_t idle_ns(void)
{
	FILE *f = fopen("/proc/timer_list", "r");
	unsigned long long ns, sum = 0;
	char line[256];

	if (!f)
		die("/proc/timer_list: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " .idle_sleeptime : %llu", &ns) == 1 ||
		    sscanf(line, " .iowait_sleeptime : %llu", &ns) == 1)
			sum += ns;
	fclose(f);
	return sum;
}
