// SPDX-License-Identifier: GPL-2.0
/*
 * bj_dm: device-mapper ioctls for the tests. dmsetup does the same, but takes
 * tens of milliseconds for each, and does not say which error it got or what
 * the kernel logged meanwhile: here the first line of a failure is the name of
 * the error, and the lines of the kernel log follow.
 */
#define _GNU_SOURCE
#include "bj_ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS		5000000L
#define BUSY_TRIES	1000

static int klog;

/* Say what went wrong, and what the kernel had to say about it. */
static int failed(int r)
{
	char line[2048], *text;
	ssize_t n;

	printf("%s\n", strerrorname_np(-r) ?: "?");
	while (klog >= 0 && (n = read(klog, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		text = strstr(line, ";device-mapper: ");
		if (text)
			printf("%.*s\n", (int)strcspn(text + 1, "\n"), text + 1);
	}
	return 1;
}

static int make(const char *name, unsigned int flags, int nr, char **lines)
{
	int r = dm_simple(name, DM_DEV_CREATE, 0);

	if (r)
		return r;
	r = dm_load(name, flags, nr, lines);
	if (!r)
		r = dm_simple(name, DM_DEV_SUSPEND, 0);
	if (r) {
		int why = r;

		dm_simple(name, DM_DEV_REMOVE, 0);
		return why;
	}
	printf("/dev/dm-%u\n", minor(dm_u.dmi.dev));
	return 0;
}

/* Who is told about a new device may have it open for a moment. */
static int remove_retry(const char *name)
{
	int r, tries = BUSY_TRIES;

	while ((r = dm_simple(name, DM_DEV_REMOVE, 0)) == -EBUSY && tries--)
		nanosleep(&(struct timespec) { .tv_nsec = POLL_NS }, NULL);
	return r;
}

/*
 * What a test left, in the order in which it was made: jobs end, nothing stays
 * suspended, then all are removed. One process, because there are many tests.
 */
static int sweep(const char *first, int nr, char **others)
{
	int i, r, result = 0;

	for (i = -1; i < nr; i++) {
		const char *name = i < 0 ? first : others[i];

		dm_message(name, 0, "cancel force");
		dm_simple(name, DM_TABLE_CLEAR, 0);
		dm_resume(name);
	}
	for (i = nr - 1; i >= -1; i--) {
		const char *name = i < 0 ? first : others[i];

		r = remove_retry(name);
		if (r)
			printf("cannot be removed: %s\n", name);
		result = r ?: result;
	}
	return result;
}

static int message(const char *name, int nr, char **words)
{
	const char *buffer = getenv("BJ_MESSAGE_BUFFER");
	char text[DM_MESSAGE_BUFFER / 2] = "";
	size_t len = 0;
	int i, r;

	if (buffer)
		dm_message_buffer = strtoul(buffer, NULL, 10);
	for (i = 1; i < nr; i++) {
		len += snprintf(text + len, sizeof(text) - len, "%s%s",
				i > 1 ? " " : "", words[i]);
		if (len >= sizeof(text))
			return -E2BIG;
	}
	r = dm_message(name, strtoull(words[0], NULL, 10), text);
	if (!r)
		fputs(dm_u.dmi.flags & DM_BUFFER_FULL_FLAG ? "buffer full\n" :
		      dm_data(), stdout);
	return r;
}

static int show(const char *name, unsigned int flags)
{
	int r = dm_simple(name, DM_TABLE_STATUS, flags);
	char *at = dm_data();
	unsigned int i;

	for (i = 0; !r && i < dm_u.dmi.target_count; i++) {
		struct dm_target_spec *spec = (void *)at;

		printf("%llu %llu %s %s\n", (unsigned long long)spec->sector_start,
		       (unsigned long long)spec->length, spec->target_type,
		       (char *)(spec + 1));
		at = dm_data() + spec->next;
	}
	return r;
}

static int info(const char *name)
{
	int r = dm_simple(name, DM_DEV_STATUS, 0);

	if (!r)
		printf("suspended=%d live=%d inactive=%d open=%d events=%u\n",
		       !!(dm_u.dmi.flags & DM_SUSPEND_FLAG),
		       !!(dm_u.dmi.flags & DM_ACTIVE_PRESENT_FLAG),
		       !!(dm_u.dmi.flags & DM_INACTIVE_PRESENT_FLAG),
		       dm_u.dmi.open_count, dm_u.dmi.event_nr);
	return r;
}

static int get(const char *name, int nr, char **keys)
{
	char value[256];
	int i, r;
	char *line = dm_job_line(name, &r);

	if (!line)
		return r ?: -ENODEV;
	for (i = 0; i < nr; i++) {
		r = dm_field(line, keys[i], value, sizeof(value));
		if (r)
			return r;
		printf("%s%c", value, i + 1 < nr ? ' ' : '\n');
	}
	return 0;
}

static unsigned long long number(const char *word, const char *condition)
{
	size_t digits = strspn(word, "0123456789");

	if (!digits || word[digits]) {
		printf("%s has no number\n", condition);
		exit(2);
	}
	return strtoull(word, NULL, 10);
}

/* KEY=WORD[|WORD]..., KEY<NUMBER or KEY>NUMBER */
static int holds(const char *line, const char *condition)
{
	size_t len = strcspn(condition, "=<>");
	char key[64], value[256], words[256], *word, *save;
	const char *rest = condition + len + 1;

	snprintf(key, sizeof(key), "%.*s", (int)len, condition);
	if (dm_field(line, key, value, sizeof(value)))
		return 0;
	if (condition[len] == '<')
		return strtoull(value, NULL, 10) < number(rest, condition);
	if (condition[len] == '>')
		return strtoull(value, NULL, 10) > number(rest, condition);
	snprintf(words, sizeof(words), "%s", rest);
	for (word = strtok_r(words, "|", &save); word;
	     word = strtok_r(NULL, "|", &save))
		if (!strcmp(word, value))
			return 1;
	return 0;
}

static void interrupt(int sig)
{
	(void)sig;
}

/*
 * Until all conditions hold. A change of the state must raise an event, so
 * only the event is waited for; the other keys change at any time.
 */
static int wait_for(const char *name, int nr, char **words)
{
	struct sigaction action = { .sa_handler = interrupt };
	int i, r, events = 1;
	time_t end = time(NULL) + strtoul(words[0], NULL, 10);

	for (i = 1; i < nr; i++)
		events &= !strncmp(words[i], "state=", 6);
	sigaction(SIGALRM, &action, NULL);
	/* Again and again: the first may come before the wait begins. */
	setitimer(ITIMER_REAL, &(struct itimerval) { { 1, 0 }, { 1, 0 } }, NULL);
	for (;;) {
		char *line = dm_job_line(name, &r);
		unsigned int event_nr = dm_u.dmi.event_nr;

		if (!line)
			return r ?: -ENODEV;
		for (i = 1; i < nr && holds(line, words[i]); i++)
			;
		if (i == nr)
			return 0;
		if (time(NULL) >= end) {
			printf("%s\n", line);
			return -ETIMEDOUT;
		}
		if (events) {
			dm_begin(name, 0);
			dm_u.dmi.event_nr = event_nr;
			dm_run(DM_DEV_WAIT);
		} else {
			nanosleep(&(struct timespec) { .tv_nsec = POLL_NS },
				  NULL);
		}
	}
}

static int command(const char *verb, const char *name, int nr, char **words)
{
	if (!strcmp(verb, "create") && nr)
		return make(name, 0, nr, words);
	if (!strcmp(verb, "create-ro") && nr)
		return make(name, DM_READONLY_FLAG, nr, words);
	if (!strcmp(verb, "new"))
		return dm_simple(name, DM_DEV_CREATE, 0);
	if (!strcmp(verb, "load") && nr)
		return dm_load(name, 0, nr, words);
	if (!strcmp(verb, "clear"))
		return dm_simple(name, DM_TABLE_CLEAR, 0);
	if (!strcmp(verb, "suspend"))
		return dm_suspend(name, 0);
	if (!strcmp(verb, "suspend-noflush"))
		return dm_suspend(name, DM_NOFLUSH_FLAG);
	if (!strcmp(verb, "resume"))
		return dm_resume(name);
	if (!strcmp(verb, "remove"))
		return remove_retry(name);
	if (!strcmp(verb, "sweep"))
		return sweep(name, nr, words);
	if (!strcmp(verb, "message") && nr > 1)
		return message(name, nr, words);
	if (!strcmp(verb, "status"))
		return show(name, DM_NOFLUSH_FLAG);
	if (!strcmp(verb, "status-inactive"))
		return show(name, DM_NOFLUSH_FLAG | DM_QUERY_INACTIVE_TABLE_FLAG);
	if (!strcmp(verb, "table"))
		return show(name, DM_STATUS_TABLE_FLAG);
	if (!strcmp(verb, "info"))
		return info(name);
	if (!strcmp(verb, "get") && nr)
		return get(name, nr, words);
	if (!strcmp(verb, "wait") && nr > 1)
		return wait_for(name, nr, words);
	return -ENOSYS;
}

int main(int argc, char **argv)
{
	int r;

	if (argc < 3) {
		fputs("usage: bj_dm VERB NAME [WORD]...\n", stderr);
		return 2;
	}
	r = dm_open();
	if (r) {
		fprintf(stderr, "/dev/mapper/control: %s\n", strerror(-r));
		return 2;
	}
	klog = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (klog >= 0)
		lseek(klog, 0, SEEK_END);
	r = command(argv[1], argv[2], argc - 3, argv + 3);
	return r ? failed(r) : 0;
}
