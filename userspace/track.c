// SPDX-License-Identifier: GPL-2.0-or-later
/* The messages of a tracking job. */
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "track.h"

#define POLL_US 10000

int track_check(const struct job *job)
{
	autofree char *label = NULL;

	if (job_is_track(job))
		return 0;
	label = job_device(job);
	return fail(EX_REFUSED,
		    "%s is not tracked, job %s on it is a %s; see: blkjob help track",
		    label, job->id, job->st.type);
}

int track_list(const struct job *job, struct live_checkpoint **list, size_t *n)
{
	autofree char *reply = NULL;
	struct live_checkpoint c;
	unsigned long long time;
	char *line, *next;
	int err = dm_message_reply(job->dev.devno, "checkpoints", &reply);

	*list = NULL;
	*n = 0;
	if (err)
		return fail(EX_ATTENTION,
			    "cannot ask job %s for its checkpoints: %s; see: blkjob status %s",
			    job->id, strerror(-err), job->id);
	if (!reply)
		return 0;
	for (line = strtok_r(reply, "\n", &next); line;
	     line = strtok_r(NULL, "\n", &next)) {
		if (sscanf(line, "%63s %llu %15s", c.name, &time, c.state) != 3)
			continue;
		c.time_us = time;
		*list = xrealloc(*list, (*n + 1) * sizeof(c));
		(*list)[(*n)++] = c;
	}
	return 0;
}

/* The state of a checkpoint; "" if there is none. 0 or exit status. */
int track_state(const struct job *job, const char *name, char state[16])
{
	autofree struct live_checkpoint *list = NULL;
	size_t n, i;
	int err = track_list(job, &list, &n);

	*state = '\0';
	for (i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			strcpy(state, list[i].state);
	return err;
}

/* What was asked for is done when its state is no longer @from. */
static int wait_while(const struct job *job, const char *name, const char *from,
		      char state[16])
{
	struct job now = *job;
	int err;

	for (;;) {
		err = track_state(job, name, state);
		if (err)
			return err;
		if (job_update(&now))
			now.st.state = BLKJOB_CONCLUDED;
		/* What is said already may still have to be written. */
		if (strcmp(state, from) && now.st.checkpoint_busy != 1)
			return 0;
		if (!job_in(&now, STATE(RUNNING) | STATE(PAUSED)))
			return fail(EX_TARGET,
				    "job %s has ended (%s); all checkpoints count as inconsistent, begin again with: blkjob untrack %s",
				    job->id, *now.st.error ? now.st.error : "cancelled",
				    job->id);
		if (wait_until(now_us() + POLL_US))
			return fail(EX_DETACHED,
				    "interrupted; checkpoint %s goes on in the kernel, see: blkjob checkpoint %s",
				    name, job->id);
	}
}

int track_settle(const struct job *job)
{
	char state[16];

	return wait_while(job, "", "-", state);
}

int track_begin(const struct job *job, const char *name)
{
	char state[16];
	int err = track_check(job);

	if (!err)
		err = job_send(job, "checkpoint %s", name);
	if (!err)
		err = wait_while(job, name, "starting", state);
	if (err || !strcmp(state, "active"))
		return err;
	return fail(EX_TARGET,
		    "checkpoint %s was not begun (%s); see the kernel's log, and: blkjob status %s",
		    name, *state ? state : "no memory", job->id);
}

int track_delete(const struct job *job, const char *name)
{
	char state[16];
	int err = track_check(job);

	if (!err)
		err = job_send(job, "checkpoint-delete %s", name);
	return err ? err : wait_while(job, name, "deleting", state);
}

int track_rename(const struct job *job, const char *name, const char *to)
{
	char before[16], state[16];
	int err = track_state(job, name, before);

	if (!err)
		err = job_send(job, "checkpoint-rename %s %s", name, to);
	return err ? err : wait_while(job, name, before, state);
}

#define MARKS 16	/* ranges in one message */

int track_mark(const struct job *job, const char *name,
	       const struct ranges *ranges)
{
	char state[16];
	size_t i, end;
	int err = 0;

	for (i = 0; i < ranges->n && !err; i = end) {
		autofree char *words = xstrdup("");

		for (end = i; end < ranges->n && end < i + MARKS; end++) {
			const struct range *r = &ranges->r[end];
			char *longer = xasprintf("%s %llu %llu", words,
						 (unsigned long long)r->start / 512,
						 (unsigned long long)r->len / 512);

			free(words);
			words = longer;
		}
		err = job_send(job, "checkpoint-mark %s%s", name, words);
		if (!err)
			err = wait_while(job, name, "", state);
	}
	return err;
}

int track_find(const char *ref, struct job *job)
{
	autofree struct job *jobs = NULL;
	dev_t devno = 0;
	size_t n, i;
	int err = job_list(&jobs, &n);

	if (err)
		return err;
	if (device_resolve(ref, &devno))
		devno = 0;
	for (i = 0; i < n; i++) {
		if (!strcmp(jobs[i].st.type, "track") &&
		    job_matches(&jobs[i], ref, devno)) {
			*job = jobs[i];
			return 0;
		}
	}
	err = job_find(ref, job);
	return err ? err : track_check(job);
}
