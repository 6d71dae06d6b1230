// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "output.h"
#include "size.h"

static void string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void key(struct json *j, const char *name)
{
	if (j->comma)
		fputc(',', j->f);
	j->comma = true;
	if (name) {
		string(j->f, name);
		fputc(':', j->f);
	}
}

void json_begin(struct json *j, const char *name, char bracket)
{
	key(j, name);
	fputc(bracket, j->f);
	j->comma = false;
}

void json_end(struct json *j, char bracket)
{
	fputc(bracket, j->f);
	j->comma = true;
}

void json_string(struct json *j, const char *name, const char *value)
{
	key(j, name);
	if (value)
		string(j->f, value);
	else
		fputs("null", j->f);
}

void json_number(struct json *j, const char *name, uint64_t value)
{
	key(j, name);
	if (value == UNKNOWN)
		fputs("null", j->f);
	else
		fprintf(j->f, "%llu", (unsigned long long)value);
}

void json_bool(struct json *j, const char *name, uint64_t value)
{
	key(j, name);
	fputs(value == UNKNOWN ? "null" : value ? "true" : "false", j->f);
}

void json_ranges(struct json *j, const char *name, const struct ranges *rs)
{
	size_t i;

	json_begin(j, name, '[');
	for (i = 0; i < rs->n; i++) {
		json_begin(j, NULL, '{');
		json_number(j, "start", rs->r[i].start);
		json_number(j, "length", rs->r[i].len);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static const char *or_null(const char *word)
{
	return *word ? word : NULL;
}

void output_ranges(const char *what, const struct ranges *rs)
{
	size_t i;

	for (i = 0; i < rs->n; i++)
		printf("%s: %llu bytes at %llu\n", what,
		       (unsigned long long)rs->r[i].len,
		       (unsigned long long)rs->r[i].start);
}

void output_job_json(struct json *j, const struct job *job)
{
	const struct status *st = &job->st;
	autofree char *device = job_device(job);
	autofree char *source = device_path(job->source);
	autofree char *target = device_path(job->target);
	autofree char *parent = job->replaces ? device_path(job->replaces) : NULL;

	json_begin(j, NULL, '{');
	json_string(j, "id", job->id);
	json_string(j, "type", st->type);
	json_string(j, "status", status_state_name(st->state));
	json_string(j, "device", device);
	json_string(j, "source", source);
	json_string(j, "target", target);
	json_number(j, "len", st->len);
	json_number(j, "offset", st->offset);
	json_number(j, "dirty", st->dirty);
	json_number(j, "rate", st->rate);
	json_number(j, "dirty_rate", st->dirty_rate);
	json_number(j, "eta", status_eta(status_remaining(st), st->rate,
					 st->dirty_rate));
	json_number(j, "speed", st->speed);
	json_bool(j, "ready", st->ready);
	json_bool(j, "paused", st->paused);
	json_bool(j, "busy", st->busy);
	json_string(j, "io-status", or_null(st->io_status));
	json_bool(j, "actively-synced", st->actively_synced);
	json_string(j, "error", or_null(st->error));
	json_number(j, "pause_us", st->pause_us);
	json_string(j, "result", or_null(st->result));
	json_string(j, "active", or_null(st->active));
	json_string(j, "converge", or_null(st->converge));
	json_string(j, "replaces", parent);
	json_string(j, "group", or_null(st->group));
	json_number(j, "cbw", st->cbw);
	json_number(j, "spilled", st->spilled);
	json_number(j, "spill_full", st->spill_full);
	json_number(j, "spill_errors", st->spill_errors);
	json_bool(j, "reversed", st->reversed);
	json_number(j, "rework", st->rework);
	json_bool(j, "remembers", st->remembers);
	json_end(j, '}');
}

void output_job(const struct job *job)
{
	struct json j = { .f = stdout };

	output_job_json(&j, job);
	putchar('\n');
}

enum {
	ID, TYPE, STATUS, DEVICE, TARGET, DONE, SIZE, DIRTY, RATE, REWORK, GROUP,
	NR_COLUMNS
};

static const struct {
	const char *name;
	int flags;
} columns[NR_COLUMNS] = {
	[ID]	 = { "ID", 0 },
	[TYPE]	 = { "TYPE", 0 },
	[STATUS] = { "STATUS", 0 },
	[DEVICE] = { "DEVICE", 0 },
	[TARGET] = { "TARGET", 0 },
	[DONE]	 = { "DONE", SCOLS_FL_RIGHT },
	[SIZE]	 = { "SIZE", SCOLS_FL_RIGHT },
	[DIRTY]	 = { "DIRTY", SCOLS_FL_RIGHT },
	[RATE]	 = { "RATE", SCOLS_FL_RIGHT },
	[REWORK] = { "REWORK", SCOLS_FL_RIGHT },
	[GROUP]	 = { "GROUP", 0 },
};

/* Most jobs have none of it: there is a column if one has. */
static bool is_wanted(int column, const struct job *jobs, size_t n)
{
	size_t i;

	if (column != REWORK && column != GROUP)
		return true;
	for (i = 0; i < n; i++)
		if (column == GROUP ? *jobs[i].st.group != '\0' :
				      jobs[i].st.rework != UNKNOWN)
			return true;
	return false;
}

static char *size_or_dash(uint64_t bytes, const char *suffix)
{
	char buf[32];

	if (bytes == UNKNOWN)
		return xstrdup("-");
	return xasprintf("%s%s", size_format(buf, sizeof(buf), bytes), suffix);
}

static char *percent(const struct status *st)
{
	if (st->len == UNKNOWN || st->offset == UNKNOWN || !st->len)
		return xstrdup("-");
	return xasprintf("%u%%", (unsigned int)
			 ((unsigned __int128)st->offset * 100 / st->len));
}

static void add_line(struct libscols_table *tb, const struct job *job,
		     const bool wanted[NR_COLUMNS])
{
	struct libscols_line *ln = scols_table_new_line(tb, NULL);
	const struct status *st = &job->st;
	char *cell[NR_COLUMNS] = {
		[ID]	 = xstrdup(job->id),
		[TYPE]	 = xstrdup(st->type),
		[STATUS] = xstrdup(*st->error ? "failed" :
				   status_state_name(st->state)),
		[DEVICE] = job_device(job),
		[TARGET] = device_path(job->target),
		[DONE]	 = percent(st),
		[SIZE]	 = size_or_dash(job->length * 512, ""),
		[DIRTY]	 = size_or_dash(st->dirty, ""),
		[RATE]	 = size_or_dash(st->rate, "/s"),
		[REWORK] = size_or_dash(st->rework, ""),
		[GROUP]	 = xstrdup(*st->group ? st->group : "-"),
	};
	int i, at = 0;

	if (job_can_undo(job)) {
		free(cell[STATUS]);
		cell[STATUS] = xasprintf("%s,reversed",
					 status_state_name(st->state));
	}
	for (i = 0; i < NR_COLUMNS; i++) {
		if (ln && wanted[i])
			scols_line_set_data(ln, at++, cell[i]);
		free(cell[i]);
	}
}

int output_job_list(const struct job *jobs, size_t n)
{
	struct libscols_table *tb;
	bool wanted[NR_COLUMNS];
	size_t i;
	int column;

	scols_init_debug(0);
	tb = scols_new_table();
	if (!tb)
		return fail(EX_ATTENTION, "out of memory");
	for (column = 0; column < NR_COLUMNS; column++) {
		wanted[column] = is_wanted(column, jobs, n);
		if (wanted[column])
			scols_table_new_column(tb, columns[column].name, 0,
					       columns[column].flags);
	}
	for (i = 0; i < n; i++)
		add_line(tb, &jobs[i], wanted);
	scols_print_table(tb);
	scols_unref_table(tb);
	return 0;
}
