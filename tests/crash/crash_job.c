// SPDX-License-Identifier: GPL-2.0
/*
 * The job on the legs, and what it was told and said, when.
 */
#include "bj_crash.h"

#include <linux/dm-blkjob.h>
#include <stdarg.h>
#include <sys/sysmacros.h>
#include <time.h>

#define JOB		"crash-job"
#define LOW		"crash-low"
#define POLL_NS		2000000L
#define TRIES		30000

char job_node[32], low_node[32];
struct event events[MAX_EVENTS];
unsigned int nr_events;

static struct event *event_begin(const char *what)
{
	struct event *event = &events[nr_events];

	if (nr_events == MAX_EVENTS)
		stuck("too many events");
	snprintf(event->what, sizeof(event->what), "%s", what);
	event->before = sequence();
	event->after = NEVER;
	if (strcmp(what, "is"))
		kill_log("> %s", what);
	return event;
}

static void event_end(struct event *event, int r)
{
	event->r = r;
	event->after = sequence();
	nr_events++;
	kill_log("= %s", event->what);
}

static void nap(void)
{
	nanosleep(&(struct timespec) { .tv_nsec = POLL_NS }, NULL);
}

static int try_create(const char *name, char node[32], const char *line)
{
	char text[512], *lines[] = { text };
	int r, why;

	snprintf(text, sizeof(text), "%s", line);
	r = dm_simple(name, DM_DEV_CREATE, 0);
	if (r)
		return r;
	snprintf(node, 32, "/dev/dm-%u", minor(dm_u.dmi.dev));
	r = dm_load(name, 0, 1, lines);
	if (!r)
		r = dm_resume(name);
	if (!r)
		return 0;
	why = r;
	dm_simple(name, DM_DEV_REMOVE, 0);
	return why;
}

int job_try_create(const char *line)
{
	return try_create(JOB, job_node, line);
}

int low_try_create(const char *line)
{
	return try_create(LOW, low_node, line);
}

void job_create(const char *format, ...)
{
	struct event *event = event_begin("create");
	char line[512];
	va_list args;
	int r;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	r = job_try_create(line);
	if (r)
		stuck("%s: %s", line, strerror(-r));
	event_end(event, 0);
}

static void remove_device(const char *name)
{
	int r, tries = TRIES;

	while ((r = dm_simple(name, DM_DEV_REMOVE, 0)) == -EBUSY && tries--)
		nap();
	if (r)
		stuck("%s cannot be removed: %s", name, strerror(-r));
}

void job_remove(void)
{
	remove_device(JOB);
}

void low_remove(void)
{
	remove_device(LOW);
}

void low_tell(const char *text)
{
	int r = dm_message(LOW, 0, text);

	if (r)
		stuck("%s was refused: %s", text, strerror(-r));
}

const uint64_t *job_read(void)
{
	int fd = open(job_node, O_RDONLY | O_DIRECT);
	static void *image;

	if (fd < 0 || (!image && posix_memalign(&image, 4096, BYTES)) ||
	    pread(fd, image, BYTES, 0) != BYTES)
		die(job_node);
	close(fd);
	return image;
}

int job_tell(const char *text)
{
	struct event *event = event_begin(text);
	int r = dm_message(JOB, 0, text);

	event_end(event, r);
	return r;
}

void job_must(const char *text)
{
	if (job_tell(text))
		stuck("%s was refused; the job is %s", text, job_look());
}

/* "is STATE RESULT ACTIVE" */
const char *job_look(void)
{
	static char said[2048];
	struct event *event = event_begin("is");
	char state[32] = "", result[32] = "", active[32] = "";
	int r;
	char *line = dm_job_line(JOB, &r);

	if (!line)
		stuck("no status: %s", strerror(-r));
	if (dm_u.dmi.flags & DM_SUSPEND_FLAG)
		stuck("the device is suspended");
	snprintf(said, sizeof(said), "%s", line);
	if (dm_field(said, "state", state, sizeof(state)) ||
	    dm_field(said, "result", result, sizeof(result)) ||
	    dm_field(said, "active", active, sizeof(active)))
		stuck("no status: %s", said);
	snprintf(event->what, sizeof(event->what), "is %s %s %s", state, result,
		 active);
	/* The same as before is nothing new. */
	if (nr_events && !strcmp(event[-1].what, event->what))
		return said;
	event_end(event, 0);
	return said;
}

void job_wait(const char *state)
{
	int tries = TRIES;
	char now[32] = "";

	while (tries--) {
		const char *said = job_look();

		if (!dm_field(said, "state", now, sizeof(now)) &&
		    !strcmp(now, state))
			return;
		if (!strcmp(now, "concluded"))
			stuck("the job has ended: %s", said);
		nap();
	}
	stuck("the job does not become %s: it is %s", state, job_look());
}

void job_suspend_resume(void)
{
	int r = dm_suspend(JOB, roll(2) ? DM_NOFLUSH_FLAG : 0);

	if (!r)
		r = dm_resume(JOB);
	if (r)
		stuck("suspend and resume: %s", strerror(-r));
}

void job_disturb(void)
{
	switch (roll(3)) {
	case 0:
		job_suspend_resume();
		break;
	case 1:
		job_must("pause");
		io_work(5);
		job_must("resume");
		break;
	}
}

void job_to_pending(void)
{
	job_must("complete");
	job_wait("pending");
}

void job_note(const char *what)
{
	event_end(event_begin(what), 0);
}

const char *job_ask(const char *text)
{
	int r = dm_message(JOB, 0, text);

	return r ? NULL : dm_data();
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

const struct event *event_over(uint64_t cut, const char *what)
{
	unsigned int i = nr_events;

	while (i--)
		if (events[i].after <= cut && begins(events[i].what, what))
			return &events[i];
	return NULL;
}

const struct event *event_begun(uint64_t cut, const char *what)
{
	unsigned int i = nr_events;

	while (i--)
		if (events[i].before < cut && begins(events[i].what, what))
			return &events[i];
	return NULL;
}

bool job_was_pending(uint64_t cut)
{
	const struct event *pending = event_over(cut, "is pending");
	const struct event *rollback = event_begun(cut, "rollback");

	return pending && (!rollback || rollback->before < pending->before);
}
