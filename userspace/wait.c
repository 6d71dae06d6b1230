// SPDX-License-Identifier: GPL-2.0-or-later
/* Waiting for a job: device-mapper events, a clock tick, and signals. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "blkjob.h"
#include "cleanup.h"
#include "job.h"
#include "progress.h"

#define TICK_US 1000000

static volatile sig_atomic_t interrupted;
static sigset_t unblocked;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

/*
 * Signals are blocked from the start and let in only while we wait, so that
 * none can fall between loading a table and resuming it.
 */
void signals_setup(void)
{
	static const int detaching[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t all;
	size_t i;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &unblocked);
	for (i = 0; i < ARRAY_SIZE(detaching); i++) {
		sigaction(detaching[i], &sa, NULL);
		sigdelset(&unblocked, detaching[i]);
	}
}

void signals_ignore(void)
{
	sigfillset(&unblocked);
	interrupted = 0;
}

bool wait_until(uint64_t us)
{
	uint64_t now;

	do {
		struct timespec ts = { 0 };

		now = now_us();
		if (us > now) {
			ts.tv_sec = (us - now) / 1000000;
			ts.tv_nsec = (us - now) % 1000000 * 1000;
		}
		ppoll(NULL, 0, &ts, &unblocked);
	} while (!interrupted && now_us() < us);
	return interrupted;
}

bool wait_event(int fd, uint64_t deadline_us)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t us = TICK_US, now = now_us();
	struct timespec ts;

	if (deadline_us)
		us = deadline_us <= now ? 0 :
		     deadline_us - now < us ? deadline_us - now : us;
	ts.tv_sec = us / 1000000;
	ts.tv_nsec = us % 1000000 * 1000;
	if (!interrupted)
		ppoll(&p, 1, &ts, &unblocked);
	return interrupted || (deadline_us && now_us() >= deadline_us);
}

int job_wait(struct job *job, unsigned int states, uint64_t deadline_us,
	     struct progress *progress)
{
	autoclose int fd = dm_events_open();
	bool late = false;
	int err;

	if (fd < 0)
		return fd;
	for (;;) {
		/* Armed before the look: an event in between is not lost. */
		err = dm_events_arm(fd);
		if (!err)
			err = job_update(job);
		if (err)
			return err;
		if (progress)
			progress_show(progress, job);
		if (job_in(job, states))
			return 0;
		if (late)
			return EX_DETACHED;
		late = wait_event(fd, deadline_us);
	}
}
