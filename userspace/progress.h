/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BLKJOB_PROGRESS_H
#define BLKJOB_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct job;

#define RATE_WINDOW_S 30

/* Rates of the last half minute: those of one second jump too much. */
struct rate_window {
	uint64_t rate[RATE_WINDOW_S], dirty_rate[RATE_WINDOW_S];
	unsigned int n;		/* samples ever taken */
	uint64_t last_us;
};

void rate_window_add(struct rate_window *w, uint64_t now_us, uint64_t rate,
		     uint64_t dirty_rate);
void rate_window_mean(const struct rate_window *w, uint64_t *rate,
		      uint64_t *dirty_rate);

struct progress {
	bool off, terminal, line_open;
	struct rate_window window;
	int last_state;
	uint64_t last_line_us;
};

void progress_start(struct progress *p, bool off);
void progress_show(struct progress *p, const struct job *job);
/* Of something that is no job: @what, bytes done and to do. */
void progress_bytes(struct progress *p, const char *what, uint64_t done,
		    uint64_t of);
/* Ends the line on a terminal; before any other message. */
void progress_end(struct progress *p);

#endif
