/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The status line of a blkjob target, parsed. */
#ifndef BLKJOB_STATUS_H
#define BLKJOB_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "linux/dm-blkjob.h"

#define UNKNOWN UINT64_MAX	/* a number that the kernel did not give */

struct status {
	char type[16];
	enum blkjob_state state;
	uint64_t offset, len, speed, dirty, in_flight, rate, dirty_rate;
	uint64_t busy, paused, ready, actively_synced, held;
	uint64_t granularity, copied, zeroed, recopied, passes;
	uint64_t source_errors, target_errors, pause_us, cbw, checkpoint_busy;
	uint64_t spilled, spill_full, spill_errors;	/* UNKNOWN: no spill device */
	uint64_t reversed;
	uint64_t rework, remembers;	/* UNKNOWN: no metadata, or of a stream */
	/* Words; empty = the kernel said "-" or nothing. */
	char io_status[16], error[64], last_error[64], result[16], active[16];
	char converge[16];
	char group[BLKJOB_GROUP_NAME + 1];
};

/* 0 or -EINVAL. Unknown keys are skipped: later kernels may add some. */
int status_parse(const char *line, struct status *st);
const char *status_state_name(enum blkjob_state state);
/* Seconds until nothing is dirty at these rates, or UNKNOWN. */
uint64_t status_eta(uint64_t remaining, uint64_t rate, uint64_t dirty_rate);
uint64_t status_remaining(const struct status *st);
/* A sentence if the copy gains too little on the writers, else NULL. */
const char *status_converge(const struct status *st, char *buf, size_t len);

#endif
