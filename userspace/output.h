/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON and tables. */
#ifndef BLKJOB_OUTPUT_H
#define BLKJOB_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "job.h"
#include "ranges.h"

/* Writes commas and escapes; the caller balances begin and end. */
struct json {
	FILE *f;
	bool comma;
};

void json_begin(struct json *j, const char *key, char bracket);
void json_end(struct json *j, char bracket);
void json_string(struct json *j, const char *key, const char *value); /* NULL: null */
void json_number(struct json *j, const char *key, uint64_t value); /* UNKNOWN: null */
void json_bool(struct json *j, const char *key, uint64_t value); /* UNKNOWN: null */
/* An array of objects: start, length. */
void json_ranges(struct json *j, const char *key, const struct ranges *rs);

/* Lines "@what: N bytes at N". */
void output_ranges(const char *what, const struct ranges *rs);

void output_job_json(struct json *j, const struct job *job);
/* One object and a newline, on stdout. */
void output_job(const struct job *job);
int output_job_list(const struct job *jobs, size_t n);

#endif
