// SPDX-License-Identifier: GPL-2.0-or-later
/* One line that changes on a terminal; plain lines now and then elsewhere. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blkjob.h"
#include "job.h"
#include "progress.h"
#include "size.h"

#define PLAIN_LINE_US 10000000
#define TERMINAL_US 50000

void rate_window_add(struct rate_window *w, uint64_t now, uint64_t rate,
		     uint64_t dirty_rate)
{
	if (rate == UNKNOWN || dirty_rate == UNKNOWN ||
	    (w->n && now - w->last_us < 900000))
		return;
	w->rate[w->n % RATE_WINDOW_S] = rate;
	w->dirty_rate[w->n % RATE_WINDOW_S] = dirty_rate;
	w->n++;
	w->last_us = now;
}

void rate_window_mean(const struct rate_window *w, uint64_t *rate,
		      uint64_t *dirty_rate)
{
	unsigned int n = w->n < RATE_WINDOW_S ? w->n : RATE_WINDOW_S, i;

	*rate = *dirty_rate = n ? 0 : UNKNOWN;
	for (i = 0; i < n; i++) {
		*rate += w->rate[i] / n;
		*dirty_rate += w->dirty_rate[i] / n;
	}
}

void progress_start(struct progress *p, bool off)
{
	*p = (struct progress) {
		.off = off,
		.terminal = isatty(STDOUT_FILENO),
		.last_state = -1,
	};
}

static void print_done(const char *what, uint64_t done, uint64_t of)
{
	/* Rounded down: 100.0% means that nothing is left. */
	unsigned int permille = of && of != UNKNOWN && done <= of ?
		(unsigned int)((unsigned __int128)done * 1000 / of) : 0;
	char have[32], want[32];

	printf("%-9s %3u.%u%%  %s/%s", what, permille / 10, permille % 10,
	       size_format(have, sizeof(have), done),
	       size_format(want, sizeof(want), of));
}

static void print_job(struct progress *p, const struct status *st)
{
	char rate_s[32], dirty[32], rework[32], eta_s[32];
	uint64_t rate, dirty_rate, eta;

	rate_window_mean(&p->window, &rate, &dirty_rate);
	eta = status_eta(status_remaining(st), rate, dirty_rate);
	print_done(status_state_name(st->state), st->offset, st->len);
	if (st->rate != UNKNOWN)
		printf("  %s/s", size_format(rate_s, sizeof(rate_s), st->rate));
	if (st->dirty != UNKNOWN)
		printf("  dirty %s", size_format(dirty, sizeof(dirty), st->dirty));
	if (st->rework != UNKNOWN && st->rework)
		printf("  rework %s", size_format(rework, sizeof(rework), st->rework));
	if (eta != UNKNOWN && eta)
		printf("  ETA %s", time_format(eta_s, sizeof(eta_s), eta));
}

/* May a line begin now? Off a terminal, for news or now and then. */
static bool begin_line(struct progress *p, bool news)
{
	uint64_t now = now_us();

	if (p->off || (!news && now - p->last_line_us <
				(p->terminal ? TERMINAL_US : PLAIN_LINE_US)))
		return false;
	if (p->terminal)
		printf("\r\033[K");
	p->last_line_us = now;
	return true;
}

static void end_line(struct progress *p)
{
	if (p->terminal)
		p->line_open = true;
	else
		putchar('\n');
	fflush(stdout);
}

void progress_show(struct progress *p, const struct job *job)
{
	const struct status *st = &job->st;

	rate_window_add(&p->window, now_us(), st->rate, st->dirty_rate);
	if (!begin_line(p, (int)st->state != p->last_state))
		return;
	print_job(p, st);
	p->last_state = st->state;
	end_line(p);
}

void progress_bytes(struct progress *p, const char *what, uint64_t done,
		    uint64_t of)
{
	if (!begin_line(p, done == of))
		return;
	print_done(what, done, of);
	end_line(p);
}

void progress_end(struct progress *p)
{
	if (p->line_open)
		putchar('\n');
	p->line_open = false;
	fflush(stdout);
}
