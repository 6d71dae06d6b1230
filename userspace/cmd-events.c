// SPDX-License-Identifier: GPL-2.0-or-later
/* events: a line for everything that happens to jobs, until they are gone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "cleanup.h"
#include "output.h"
#include "size.h"

struct event {
	unsigned long long number, time_us;
	char word[16];			/* state, or failed operation */
	unsigned long long offset;	/* of a state, in bytes */
	int err;
	unsigned long long sector;
	char action[16];
};

/* A job that is followed. */
struct follower {
	struct job job;
	uint64_t next;		/* number of the event to come */
};

struct followers {
	size_t n;
	struct follower *f;
};

/* In the words of the kernel, see blkjob.rst; false if there are others. */
static bool parse(const char *line, struct event *e)
{
	*e = (struct event) { 0 };
	return sscanf(line, "%llu %llu state %15s %llu", &e->number,
		      &e->time_us, e->word, &e->offset) == 4 ||
	       sscanf(line, "%llu %llu error %15s %d %llu %15s", &e->number,
		      &e->time_us, e->word, &e->err, &e->sector,
		      e->action) == 6;
}

static void print_text(const char *id, const struct event *e)
{
	time_t seconds = e->time_us / 1000000;
	char when[32], size[16];
	struct tm tm;

	strftime(when, sizeof(when), "%FT%T", localtime_r(&seconds, &tm));
	printf("%s.%06llu %s ", when, e->time_us % 1000000, id);
	if (*e->action)
		printf("error: %s at sector %llu failed: %s; action %s\n",
		       e->word, e->sector, strerror(e->err), e->action);
	else if (e->offset != UNKNOWN)
		printf("%s, %s done\n", e->word,
		       size_format(size, sizeof(size), e->offset));
	else
		printf("%s\n", e->word);
}

static void print_json(const char *id, const struct event *e)
{
	struct json j = { .f = stdout };

	json_begin(&j, NULL, '{');
	json_string(&j, "id", id);
	json_number(&j, "time_us", e->time_us);
	json_string(&j, "event", *e->action ? "error" : "status");
	if (*e->action) {
		json_string(&j, "operation", e->word);
		json_number(&j, "errno", e->err);
		json_number(&j, "sector", e->sector);
		json_string(&j, "action", e->action);
	} else {
		json_string(&j, "status", e->word);
		json_number(&j, "offset", e->offset);
	}
	json_end(&j, '}');
	putchar('\n');
}

static void print_event(const char *id, const struct event *e, bool json)
{
	if (json)
		print_json(id, e);
	else
		print_text(id, e);
	fflush(stdout);
}

/* What the command itself sees, and the kernel cannot tell. */
static void print_own(const char *id, const char *word, bool json)
{
	struct event e = { .offset = UNKNOWN };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	e.time_us = now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
	snprintf(e.word, sizeof(e.word), "%s", word);
	print_event(id, &e, json);
}

/* 0, or a negative errno: -ENXIO if the job is gone. */
static int print_new(struct follower *f, bool json)
{
	autofree char *text = xasprintf("events %llu",
					(unsigned long long)f->next);
	autofree char *reply = NULL;
	char *line, *rest;
	struct event e;
	int err = dm_message_reply(f->job.dev.devno, text, &reply);

	if (err)
		return job_update(&f->job) ? -ENXIO : err;
	rest = reply;
	while (rest && (line = strsep(&rest, "\n"))) {
		if (!parse(line, &e))
			continue;
		if (e.number > f->next)
			print_own(f->job.id, "events-lost", json);
		print_event(f->job.id, &e, json);
		f->next = e.number + 1;
	}
	return 0;
}

static void add(struct followers *all, const struct job *job)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		/* A device number is used again; an id is not. */
		if (all->f[i].job.dev.devno == job->dev.devno &&
		    !strcmp(all->f[i].job.id, job->id))
			return;
	}
	all->f = xrealloc(all->f, (all->n + 1) * sizeof(*all->f));
	all->f[all->n++] = (struct follower) { .job = *job };
}

static int add_all(struct followers *all)
{
	autofree struct job *jobs = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	for (i = 0; !err && i < n; i++)
		add(all, &jobs[i]);
	return err;
}

/* 0, or exit status. Jobs that are gone are not followed any more. */
static int print_all(struct followers *all, bool json)
{
	size_t i, kept = 0;
	int err;

	for (i = 0; i < all->n; i++) {
		err = print_new(&all->f[i], json);
		if (err && err != -ENXIO)
			return fail(EX_ATTENTION, "cannot follow job %s: %s; see: blkjob status %s",
				    all->f[i].job.id, strerror(-err),
				    all->f[i].job.id);
		if (err)
			print_own(all->f[i].job.id, "gone", json);
		else
			all->f[kept++] = all->f[i];
	}
	all->n = kept;
	return 0;
}

static int follow(struct followers *all, bool every, uint64_t deadline_us,
		  bool json)
{
	autoclose int fd = dm_events_open();
	bool late = false;
	int err;

	if (fd < 0)
		return fail(EX_REFUSED, "cannot open /dev/mapper/control: %s",
			    strerror(-fd));
	for (;;) {
		/* Armed before the look: an event in between is not lost. */
		err = dm_events_arm(fd);
		if (err)
			return fail(EX_ATTENTION, "cannot wait for events: %s",
				    strerror(-err));
		err = every ? add_all(all) : 0;
		if (!err)
			err = print_all(all, json);
		if (err || !all->n)
			return err;
		if (late)
			return EX_DETACHED;
		late = wait_event(fd, deadline_us);
	}
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct followers all = { 0 };
	uint64_t timeout_us = 0;
	bool json = false;
	const struct arg args[] = {
		ARG_TIMEOUT(&timeout_us), ARG_JSON(&json), { 0 }
	};
	const char *ref;
	struct job job;
	int err;

	err = args_parse(cmd, argc, argv, args, 0, 1, "takes at most one JOB", &ref);
	if (!err && ref)
		err = job_find(ref, &job);
	if (err)
		return err;
	if (ref)
		add(&all, &job);
	err = follow(&all, !ref, timeout_us ? now_us() + timeout_us : 0, json);
	free(all.f);
	return err;
}

const struct command cmd_events = {
	.name = "events",
	.args = "[JOB]",
	.summary = "Print what happens to a job, or to all, until it is gone",
	.options =
	"Begins with what has happened since the job was created.\n\n"
	"  --timeout TIME       end after this, such as 90, 90s, 5m\n"
	"  --json               one object for each line\n",
	.run = run,
};
