// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that are killed while a job is at work on disks that stay. The log goes
 * to the console, that is to a file of the host, line by line: a line is there
 * when it was written, and its number is the sequence. What is killed loses
 * nothing that had ended, but the job's own state is gone.
 */
#include "bj_crash.h"

#include <pthread.h>
#include <stdarg.h>
#include <termios.h>

static bool logging;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

void kill_log(const char *format, ...)
{
	va_list args;

	if (!logging)
		return;
	pthread_mutex_lock(&log_lock);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	/* A terminal says when it has it. */
	tcdrain(STDOUT_FILENO);
	pthread_mutex_unlock(&log_lock);
}

static const struct scenario *find(const char *type)
{
	if (!strcmp(type, "stream"))
		return &stream_scenarios[0];
	if (!strcmp(type, "track"))
		return &track_scenarios[0];
	return &mirror_scenarios[1];
}

/* One job, over and over; then what was there begins anew. */
void kill_run(const char *type)
{
	const struct scenario *scenario = find(type);

	lab_open_disks();
	logging = true;
	for (;;) {
		kill_log("begin %llu", (unsigned long long)crash_seed);
		nr_events = 0;
		nr_ops = FILL + 1;
		scenario->run();
		kill_log("end");
		crash_seed++;
	}
}

static struct event *event_add(const char *what, uint64_t at)
{
	struct event *event = &events[nr_events];

	if (nr_events == MAX_EVENTS)
		stuck("too many events");
	nr_events++;
	snprintf(event->what, sizeof(event->what), "%.*s",
		 (int)strcspn(what, "\r\n"), what);
	event->before = at;
	event->after = NEVER;
	return event;
}

/* A look has but one line; all else has ended if it is the last that began. */
static void event_answered(const char *what, uint64_t at)
{
	struct event *event = nr_events ? &events[nr_events - 1] : NULL;

	if (!event || event->after != NEVER || !strncmp(what, "is ", 3))
		event = event_add(what, at);
	event->after = at;
}

/* Take over one line; the last one may be cut. */
static void take(const char *text, uint64_t at)
{
	unsigned long long seed;
	unsigned int number;
	struct op op = { .before = at, .after = NEVER };
	int kind, fua;

	if (sscanf(text, "begin %llu", &seed) == 1) {
		crash_seed = seed;
		nr_ops = FILL + 1;
		nr_events = 0;
	} else if (sscanf(text, "+ %u %d %u %u %d", &number, &kind, &op.sector,
			  &op.nr, &fua) == 5 && number == nr_ops) {
		op.kind = kind;
		op.fua = fua;
		ops[nr_ops++] = op;
	} else if (sscanf(text, "- %u", &number) == 1 && number < nr_ops) {
		ops[number].after = at;
	} else if (!strncmp(text, "> ", 2)) {
		event_add(text + 2, at);
	} else if (!strncmp(text, "= ", 2)) {
		event_answered(text + 2, at);
	}
}

bool kill_check(const char *type, const char *log)
{
	const struct scenario *scenario = find(type);
	FILE *file = fopen(log, "r");
	char text[256];
	uint64_t at = 0;

	if (!file)
		die(log);
	lab_open_disks();
	while (fgets(text, sizeof(text), file))
		if (strchr(text, '\n'))
			take(text, ++at);
	fclose(file);
	/* Between two jobs the disks are filled anew. */
	if (!event_begun(NEVER, "create")) {
		puts("# killed between two jobs");
		return true;
	}
	io_index();
	printf("# killed at operation %u, line %llu; the job: %s\n", nr_ops,
	       (unsigned long long)at, events[nr_events - 1].what);
	return scenario->judge(at + 1);
}
