// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages to the user, and the few helpers that everything needs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "blkjob.h"
#include "cleanup.h"

static char last_error[1024];
static bool quiet_mode;

static void print(FILE *f, const char *prefix, const char *fmt, va_list ap)
{
	if (quiet_mode)
		return;
	fprintf(f, "blkjob: %s", prefix);
	vfprintf(f, fmt, ap);
	fputc('\n', f);
	fflush(f);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(stdout, "", fmt, ap);
	va_end(ap);
}

void warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(stderr, "warning: ", fmt, ap);
	va_end(ap);
}

int fail(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_error, sizeof(last_error), fmt, ap);
	va_end(ap);
	if (!quiet_mode)
		fprintf(stderr, "blkjob: %s\n", last_error);
	return status;
}

void msg_quiet(bool quiet)
{
	quiet_mode = quiet;
}

const char *msg_last_error(void)
{
	return last_error;
}

static void *check_memory(void *p)
{
	if (!p) {
		fputs("blkjob: out of memory\n", stderr);
		exit(EX_ATTENTION);
	}
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&s, fmt, ap);
	va_end(ap);
	return check_memory(len < 0 ? NULL : s);
}

char *xstrdup(const char *s)
{
	return check_memory(strdup(s));
}

void *xcalloc(size_t n, size_t size)
{
	return check_memory(calloc(n, size));
}

void *xrealloc(void *p, size_t size)
{
	return check_memory(realloc(p, size));
}

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

int usage_error(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "blkjob %s: ", cmd->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see: blkjob help %s\n", cmd->name);
	return EX_USAGE;
}
