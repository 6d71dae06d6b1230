/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BLKJOB_RUN_H
#define BLKJOB_RUN_H

/*
 * Runs a program with a fixed environment and without a terminal; keeps what
 * it prints. Never called while a device's tables are being swapped.
 */
struct run {
	int status;		/* exit status, 128 + signal, 127 = cannot run */
	char *out, *err;
};

#define autorun __attribute__((cleanup(run_free)))

int run(struct run *r, const char *const argv[]);	/* = r->status */
void run_free(struct run *r);
/* The last line of stderr that says something. */
const char *run_reason(struct run *r);

#endif
