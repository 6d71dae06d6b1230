// SPDX-License-Identifier: GPL-2.0
/*
 * The states and verbs of a job as its documentation has them, and written
 * without a look at the kernel's tables. What a job does by itself it does at
 * any time, so the model does not have one state but all that are possible,
 * and each result and each status leaves only those that explain it. None left
 * means that the job did what it must not.
 */
#include "bj_model.h"

#define MAX_STATES	2048

struct state {
	uint8_t state;
	uint8_t policy[2];
	uint8_t soft;		/* cancel, as complete on the way to waiting */
	uint8_t past;		/* ... and the instant of the copy is over */
	uint8_t again;		/* resume goes on to waiting */
	uint8_t failed;		/* io_status */
	uint8_t erred[2];	/* errors since the last status */
	uint8_t reason;		/* of the abort: 0, or 1 + side */
	uint8_t result;		/* when concluded */
};

enum { NONE, COMPLETED_TARGET, COMPLETED_SOURCE, CANCELLED };

static const char * const state_names[] = BLKJOB_STATE_NAMES;

struct set {
	int nr;
	struct state at[MAX_STATES];
};

static struct set possible;
static bool is_suspended;

static void add(struct set *set, struct state state)
{
	int i;

	for (i = 0; i < set->nr; i++)
		if (!memcmp(&set->at[i], &state, sizeof(state)))
			return;
	if (set->nr == MAX_STATES)
		wrong("the model has too many states");
	set->at[set->nr++] = state;
}

static void become(struct set *set, struct state state, int next)
{
	state.state = next;
	add(set, state);
}

/* An error of the copy, or of the target device in a write to both legs. */
static void add_error(struct set *set, struct state s, enum side side)
{
	int policy = s.policy[side];

	s.erred[side] = 1;
	s.failed = 1;
	/* After the instant there is no way back, to be paused in. */
	if (s.past || policy == ENOSPC_STOPS)
		policy = REPORT;	/* these errors are EIO */
	if (s.state == BLKJOB_PENDING || s.state >= BLKJOB_ABORTING ||
	    policy == IGNORE) {
		add(set, s);
	} else if (policy == REPORT) {
		s.reason = 1 + side;
		become(set, s, BLKJOB_ABORTING);
	} else {
		if (s.state == BLKJOB_WAITING)
			s.again = 1;
		become(set, s, s.state == BLKJOB_RUNNING ? BLKJOB_PAUSED :
			       s.state == BLKJOB_READY ||
			       s.state == BLKJOB_WAITING ? BLKJOB_STANDBY :
			       s.state);
	}
}

/* All that may follow by itself. The set grows while it is walked through. */
static void close_set(struct set *set)
{
	int i;

	for (i = 0; i < set->nr; i++) {
		struct state s = set->at[i];

		add_error(set, s, SOURCE);
		add_error(set, s, TARGET);
		if (s.state == BLKJOB_ABORTING) {
			s.result = CANCELLED;
			become(set, s, BLKJOB_CONCLUDED);
		}
		if (is_suspended)
			continue;
		/* All that had failed is copied by now. */
		if (s.failed && (s.state == BLKJOB_RUNNING ||
				 s.state == BLKJOB_READY ||
				 s.state == BLKJOB_WAITING)) {
			struct state well = s;

			well.failed = 0;
			add(set, well);
		}
		if (s.state == BLKJOB_RUNNING)
			become(set, s, BLKJOB_READY);
		if (s.state == BLKJOB_WAITING && !s.soft) {
			become(set, s, BLKJOB_PENDING);
		} else if (s.state == BLKJOB_WAITING && !s.past) {
			s.past = 1;
			add(set, s);
		} else if (s.state == BLKJOB_WAITING) {
			s.result = COMPLETED_SOURCE;
			become(set, s, BLKJOB_CONCLUDED);
		}
	}
}

static bool cancel(struct state *s, bool force)
{
	if (s->state == BLKJOB_READY && !force) {
		s->soft = 1;
		s->state = BLKJOB_WAITING;
		return true;
	}
	if ((s->state == BLKJOB_STANDBY && !force) ||
	    s->state >= BLKJOB_ABORTING)
		return false;
	s->state = BLKJOB_ABORTING;
	return true;
}

static bool resume(struct state *s)
{
	if (s->state != BLKJOB_PAUSED && s->state != BLKJOB_STANDBY)
		return false;
	s->failed = 0;
	if (s->state == BLKJOB_PAUSED)
		s->state = BLKJOB_RUNNING;
	else
		s->state = s->again ? BLKJOB_WAITING : BLKJOB_READY;
	s->again = 0;
	return true;
}

static bool complete(struct state *s)
{
	if (s->state != BLKJOB_READY && s->state != BLKJOB_STANDBY)
		return false;
	s->soft = 0;
	if (s->state == BLKJOB_STANDBY)
		s->again = 1;
	else
		s->state = BLKJOB_WAITING;
	return true;
}

/* The legs change places, and their errors with them. */
static void reverse(struct state *s)
{
	uint8_t erred = s->erred[SOURCE];

	s->erred[SOURCE] = s->erred[TARGET];
	s->erred[TARGET] = erred;
	s->failed = 0;
	s->state = BLKJOB_READY;
}

/* source: the target device is let go at this instant, and is a copy of it. */
static bool finalize(struct state *s, const struct verb *verb)
{
	if (s->state != BLKJOB_PENDING)
		return false;
	if (verb->reverse) {
		reverse(s);
	} else if (verb->source) {
		s->soft = 1;
		s->past = 1;
		s->state = BLKJOB_WAITING;
	} else {
		s->result = COMPLETED_TARGET;
		s->state = BLKJOB_CONCLUDED;
	}
	return true;
}

/* Is the verb accepted, and what comes of it? */
static bool apply(struct state *s, const struct verb *verb)
{
	switch (verb->verb) {
	case BLKJOB_VERB_PAUSE:
		if (s->state != BLKJOB_RUNNING && s->state != BLKJOB_READY)
			return false;
		s->state = s->state == BLKJOB_RUNNING ? BLKJOB_PAUSED :
							BLKJOB_STANDBY;
		return true;
	case BLKJOB_VERB_RESUME:
		return resume(s);
	case BLKJOB_VERB_CANCEL:
		return cancel(s, verb->force);
	case BLKJOB_VERB_COMPLETE:
		return complete(s);
	case BLKJOB_VERB_FINALIZE:
		return finalize(s, verb);
	case BLKJOB_VERB_ROLLBACK:
		if ((s->state != BLKJOB_WAITING && s->state != BLKJOB_PENDING) ||
		    s->soft)
			return false;
		s->failed = 0;
		s->state = BLKJOB_READY;
		return true;
	case BLKJOB_VERB_SET:
		if (s->state >= BLKJOB_ABORTING)
			return false;
		if (verb->side >= 0)
			s->policy[verb->side] = verb->policy;
		return true;
	case BLKJOB_VERB_MARK:
		return s->state < BLKJOB_WAITING;
	case BLKJOB_VERB_UNMARK:
		return s->state == BLKJOB_PAUSED || s->state == BLKJOB_STANDBY;
	default:
		return false;
	}
}

static void step(struct set *set, const struct verb *verb)
{
	static struct set next;
	int i;

	close_set(set);
	next.nr = 0;
	for (i = 0; i < set->nr; i++) {
		struct state s = set->at[i];

		if (apply(&s, verb) == !verb->r)
			add(&next, s);
		/* Refused while a write is held, and that is not seen from here. */
		if (verb->r && (verb->source || verb->reverse) &&
		    set->at[i].failed)
			add(&next, set->at[i]);
	}
	memcpy(set, &next, sizeof(next));
}

bool state_verbs(const struct verb *verbs, int nr)
{
	static struct set other;
	int i;

	memcpy(&other, &possible, sizeof(other));
	step(&possible, &verbs[0]);
	if (nr == 2) {
		step(&possible, &verbs[1]);
		step(&other, &verbs[1]);
		step(&other, &verbs[0]);
		for (i = 0; i < other.nr; i++)
			add(&possible, other.at[i]);
	}
	return possible.nr;
}

void state_begin(const enum policy policy[2], bool paused)
{
	struct state s = { .policy = { policy[0], policy[1] } };

	possible.nr = 0;
	become(&possible, s, paused ? BLKJOB_PAUSED : BLKJOB_RUNNING);
}

void state_suspended(bool suspended)
{
	/* What has happened until now was free to. */
	close_set(&possible);
	is_suspended = suspended;
}

static bool explains(const struct state *s, const struct status *status,
		     const uint64_t errors[2])
{
	static const char * const results[] = {
		"- source", "completed target", "completed source",
		"cancelled source",
	};
	char words[40];

	snprintf(words, sizeof(words), "%s %s", status->result, status->active);
	if (s->state != status->state || strcmp(words, results[s->result]) ||
	    s->erred[SOURCE] != !!errors[SOURCE] ||
	    s->erred[TARGET] != !!errors[TARGET] ||
	    s->failed != status->failed)
		return false;
	if (s->reason == 0)
		return !strcmp(status->error, "-");
	return !strncmp(status->error, s->reason == 1 ? "source-" : "target-", 7);
}

bool state_observe(const struct status *status, const uint64_t errors[2])
{
	int i, nr = 0;

	close_set(&possible);
	for (i = 0; i < possible.nr; i++)
		if (explains(&possible.at[i], status, errors))
			possible.at[nr++] = possible.at[i];
	possible.nr = 0;
	for (i = 0; i < nr; i++) {
		struct state s = possible.at[i];

		s.erred[SOURCE] = s.erred[TARGET] = 0;
		add(&possible, s);
	}
	return nr;
}

bool state_let_go(void)
{
	int i;

	for (i = 0; i < possible.nr; i++)
		if (possible.at[i].past)
			return true;
	return false;
}

const char *state_words(void)
{
	static char words[1024];
	size_t len = 0;
	int i;

	words[0] = '\0';
	for (i = 0; i < possible.nr && len < sizeof(words); i++) {
		struct state *s = &possible.at[i];

		len += snprintf(words + len, sizeof(words) - len,
				"%s%s%s%s%s%s", i ? ", " : "",
				state_names[s->state], s->soft ? "+soft" : "",
				s->past ? "+past" : "", s->again ? "+again" : "",
				s->failed ? "+failed" : "");
	}
	return words;
}

bool state_follows(const char *from, const char *to)
{
	static const char * const pairs[][2] = {
		{ "", "created" },
		{ "created", "running paused aborting" },
		{ "running", "paused ready aborting" },
		{ "paused", "running aborting" },
		{ "ready", "standby waiting aborting" },
		{ "standby", "ready aborting" },
		{ "waiting", "ready pending aborting concluded" },
		{ "pending", "ready waiting aborting concluded" },
		{ "aborting", "concluded" },
	};
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (!strcmp(pairs[i][0], from))
			return strstr(pairs[i][1], to);
	return false;
}

/*------------------------------ Status ------------------------------*/

static uint64_t number(const char *line, const char *key, bool *ok)
{
	char value[64], *end;
	uint64_t n;

	if (dm_field(line, key, value, sizeof(value))) {
		*ok = false;
		return 0;
	}
	n = strtoull(value, &end, 10);
	*ok = *ok && !*end;
	return n;
}

static void word(const char *line, const char *key, char *value, size_t size,
		 bool *ok)
{
	*ok = !dm_field(line, key, value, size) && *ok;
}

bool status_parse(const char *line, struct status *status)
{
	char value[64] = "";
	bool ok = true;
	int i;

	*status = (struct status) {};
	snprintf(status->line, sizeof(status->line), "%s", line);
	word(line, "state", value, sizeof(value), &ok);
	for (i = 0; i < BLKJOB_NR_STATES && strcmp(value, state_names[i]); i++)
		;
	status->state = i;
	status->offset = number(line, "offset", &ok);
	status->len = number(line, "len", &ok);
	status->dirty = number(line, "dirty", &ok);
	status->in_flight = number(line, "in_flight", &ok);
	status->granularity = number(line, "granularity", &ok);
	status->copied = number(line, "copied", &ok);
	status->zeroed = number(line, "zeroed", &ok);
	status->recopied = number(line, "recopied", &ok);
	status->passes = number(line, "passes", &ok);
	status->errors[SOURCE] = number(line, "source_errors", &ok);
	status->errors[TARGET] = number(line, "target_errors", &ok);
	status->pause_us = number(line, "pause_us", &ok);
	status->held = number(line, "held", &ok);
	status->busy = number(line, "busy", &ok);
	status->paused = number(line, "paused", &ok);
	status->ready = number(line, "ready", &ok);
	status->synced = number(line, "actively_synced", &ok);
	word(line, "io_status", value, sizeof(value), &ok);
	status->failed = strcmp(value, "ok");
	word(line, "result", status->result, sizeof(status->result), &ok);
	word(line, "active", status->active, sizeof(status->active), &ok);
	word(line, "error", status->error, sizeof(status->error), &ok);
	return ok && status->state < BLKJOB_NR_STATES;
}

static const char *alone_wrong(const struct status *s, uint64_t bytes)
{
	bool concluded = s->state == BLKJOB_CONCLUDED;

	if (s->offset != s->copied + s->zeroed)
		return "offset is not copied + zeroed";
	if (s->len - s->offset != s->dirty + s->in_flight)
		return "len - offset is not dirty + in_flight";
	if (s->dirty > bytes)
		return "more is dirty than there is";
	if (s->busy != !!s->in_flight)
		return "busy is not in_flight";
	if (s->recopied > s->offset)
		return "more copied again than at all";
	if (s->paused != (s->state == BLKJOB_PAUSED ||
			  s->state == BLKJOB_STANDBY))
		return "paused does not fit the state";
	if (s->ready != (s->state >= BLKJOB_READY &&
			 s->state <= BLKJOB_PENDING))
		return "ready does not fit the state";
	if (concluded == !strcmp(s->result, "-"))
		return "the result does not fit the state";
	return NULL;
}

const char *status_wrong(const struct status *s, const struct status *last,
			 uint64_t bytes)
{
	if (!last->line[0])
		return alone_wrong(s, bytes);
	if (s->offset < last->offset || s->zeroed < last->zeroed ||
	    s->recopied < last->recopied)
		return "offset, zeroed or recopied has fallen";
	if (s->passes < last->passes || s->pause_us < last->pause_us)
		return "passes or pause_us has fallen";
	if (s->errors[SOURCE] < last->errors[SOURCE] ||
	    s->errors[TARGET] < last->errors[TARGET])
		return "a count of errors has fallen";
	if (s->granularity != last->granularity)
		return "the granularity has changed";
	if (last->state == BLKJOB_CONCLUDED &&
	    (strcmp(s->result, last->result) || strcmp(s->active, last->active)))
		return "the result has changed";
	return alone_wrong(s, bytes);
}
