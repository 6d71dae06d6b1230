// SPDX-License-Identifier: GPL-2.0
/*
 * The steps that are more than a line: verbs, suspends, looks at the disks.
 */
#include "bj_model_run.h"

#include <pthread.h>
#include <signal.h>

static const char * const policy_names[] = { "report", "ignore", "enospc",
	"stop" };

/*------------------------------- Verbs -------------------------------*/

bool any_exempt(void)
{
	return memchr(run.exempt, true, run.sectors);
}

/* What the words mean to the model. */
static struct verb parse(const char *text)
{
	static const char * const names[] = BLKJOB_VERB_NAMES;
	static const char * const keys[] = { "on_source_error",
		"on_target_error" };
	struct verb verb = { .side = -1 };
	char word[16], key[32] = "", value[32] = "";
	int i;

	snprintf(verb.text, sizeof(verb.text), "%s", text);
	sscanf(text, "%15s %31s %31s", word, key, value);
	for (i = 0; i < BLKJOB_NR_VERBS; i++)
		if (!strcmp(names[i], word))
			verb.verb = i;
	verb.force = !strcmp(key, "force");
	verb.source = !strcmp(key, "source");
	verb.reverse = !strcmp(key, "reverse");
	for (i = 0; i < 2; i++)
		if (!strcmp(keys[i], key))
			verb.side = i;
	for (i = 0; i < 4; i++)
		if (!strcmp(policy_names[i], value))
			verb.policy = i;
	return verb;
}

static void random_range(uint64_t *start, uint64_t *nr)
{
	*start = roll(run.sectors);
	*nr = 1 + roll(roll(2) ? 2048 : run.sectors);
	if (*nr > run.sectors - *start)
		*nr = run.sectors - *start;
}

static void random_set(char *text, size_t size)
{
	static const char * const modes[] = { "background", "write-blocking",
		"auto" };

	switch (roll(5)) {
	case 0:
		snprintf(text, size, "set speed %llu", roll(2) ? 0ULL :
			 (1ULL << 20) << roll(6));
		break;
	case 1:
		snprintf(text, size, "set buf_size %llu",
			 roll(2) ? 0ULL : 4096ULL << roll(10));
		break;
	case 2:
		snprintf(text, size, "set copy_mode %s", modes[roll(3)]);
		break;
	default:
		snprintf(text, size, "set on_%s_error %s",
			 roll(2) ? "source" : "target", policy_names[roll(4)]);
	}
}

/* The one that brings it on its way. */
static const char *next_verb(void)
{
	switch (run.last.state) {
	case BLKJOB_PAUSED:
	case BLKJOB_STANDBY:
		return "resume";
	case BLKJOB_READY:
		return roll(5) ? "complete" : "cancel";
	case BLKJOB_PENDING:
		return roll(4) ? "finalize" : "finalize source";
	default:
		return "pause";
	}
}

/* @simple: nothing that names a range. */
static struct verb random_verb(bool simple)
{
	static const char * const words[] = { "pause", "pause", "resume",
		"resume", "complete", "complete", "finalize", "finalize",
		"finalize source", "rollback", "rollback" };
	uint64_t chance = roll(20), start, nr;
	char text[96];

	if (!roll(30)) {
		strcpy(text, roll(2) ? "cancel" : "cancel force");
	} else if (chance < 3) {
		random_set(text, sizeof(text));
	} else if (chance < 6 && !simple) {
		random_range(&start, &nr);
		snprintf(text, sizeof(text), "%s %llu %llu",
			 chance < 5 ? "mark" : "unmark",
			 (unsigned long long)start, (unsigned long long)nr);
	} else {
		snprintf(text, sizeof(text), "%s", roll(2) ? next_verb() :
			 words[roll(sizeof(words) / sizeof(words[0]))]);
		/* The device must not go where it was not copied. */
		if (!strcmp(text, "finalize") && any_exempt())
			strcpy(text, "rollback");
	}
	return parse(text);
}

/* To the target device, for good or not. */
static bool is_switch(const struct verb *verb)
{
	return verb->verb == BLKJOB_VERB_FINALIZE && !verb->source;
}

static void send(struct verb *verb)
{
	/* It may have got through before this thread is told. */
	if (is_switch(verb))
		data_counts(!run.source, true);
	verb->r = dm_message(run.job, 0, verb->text);
	if (verb->r && verb->r != -EPERM)
		wrong("%s: %s", verb->text, strerror(-verb->r));
}

/* The legs have changed places. */
static void turn(void)
{
	uint64_t errors = run.last.errors[SOURCE];

	data_counts(run.source, false);
	run.source = !run.source;
	run.last.errors[SOURCE] = run.last.errors[TARGET];
	run.last.errors[TARGET] = errors;
	/* Those were of the other leg. */
	run.flushes_equal = -1;
	run.flushes_ready = -1;
	run.turns++;
}

/* What an accepted verb asks the job for, beside a state. */
static void demand(const struct verb *verb, uint64_t since, uint64_t flushes)
{
	unsigned long long start, nr;
	uint64_t first, end, unit = run.last.granularity / SECTOR;

	did("%s: %s", verb->text, verb->r ? strerror(-verb->r) : "accepted");
	if (verb->r) {
		run.refused++;
		/* Unless an earlier one has made it the one that counts. */
		if (is_switch(verb) && !run.switched)
			data_counts(!run.source, false);
		return;
	}
	run.accepted++;
	if (verb->reverse) {
		turn();
	} else if (is_switch(verb)) {
		run.switched = true;
		data_counts(run.source, false);
	}
	if (verb->verb == BLKJOB_VERB_CANCEL || verb->source)
		run.let_go_at = since;
	if (verb->verb == BLKJOB_VERB_COMPLETE ||
	    verb->verb == BLKJOB_VERB_CANCEL || verb->source)
		run.flushes_equal = flushes;
	if (verb->verb != BLKJOB_VERB_MARK && verb->verb != BLKJOB_VERB_UNMARK)
		return;
	sscanf(verb->text, "%*s %llu %llu", &start, &nr);
	first = start / unit * unit;
	end = (start + nr + unit - 1) / unit * unit;
	if (end > run.sectors)
		end = run.sectors;
	memset(run.exempt + first, verb->verb == BLKJOB_VERB_UNMARK,
	       end - first);
}

static void explain(const struct verb *verbs, int nr)
{
	char before[1024];

	snprintf(before, sizeof(before), "%s", state_words());
	if (!state_verbs(verbs, nr))
		wrong("%s%s%s: not as the model has it, which was in: %s",
		      verbs[0].text, nr > 1 ? ", " : "",
		      nr > 1 ? verbs[1].text : "", before);
}

static void send_one(struct verb *verb)
{
	uint64_t since = now(), flushes = leg_flushes(!run.source);

	send(verb);
	demand(verb, since, flushes);
	explain(verb, 1);
}

int send_verb(const char *text)
{
	struct verb verb = parse(text);

	send_one(&verb);
	return verb.r;
}

void step_verb(void)
{
	struct verb verb = random_verb(false);

	/* Not with two masters, who would not know which leg is which. */
	if ((is_switch(&verb) || run.last.state == BLKJOB_PENDING) &&
	    !any_exempt() && roll(2))
		verb = parse("finalize reverse");
	send_one(&verb);
}

static _Atomic int ready;

static void *second_master(void *arg)
{
	ready = 1;
	send(arg);
	return NULL;
}

void step_two_masters(void)
{
	struct verb verbs[2] = { random_verb(false), random_verb(true) };
	uint64_t since = now(), flushes = leg_flushes(!run.source);
	pthread_t thread;
	int i;

	ready = 0;
	did("at once: %s, %s", verbs[0].text, verbs[1].text);
	if (pthread_create(&thread, NULL, second_master, &verbs[1]))
		die("thread");
	while (!ready)
		sched_yield();
	send(&verbs[0]);
	pthread_join(thread, NULL);
	/* One of two may have been refused: the other one first. */
	for (i = 0; i < 2; i++)
		if (!verbs[i].r)
			demand(&verbs[i], since, flushes);
	for (i = 0; i < 2; i++)
		if (verbs[i].r)
			demand(&verbs[i], since, flushes);
	explain(verbs, 2);
}

/*------------------------------ Suspends ------------------------------*/

struct suspend {
	unsigned int flags;
	int r;
	_Atomic bool done;
};

static void *suspend_thread(void *arg)
{
	struct suspend *suspend = arg;

	suspend->r = dm_suspend(run.job, suspend->flags);
	suspend->done = true;
	return NULL;
}

static bool done_within(struct suspend *suspend, unsigned int ms)
{
	uint64_t end = now() + ms * MS;

	while (!suspend->done && now() < end)
		usleep(1000);
	return suspend->done;
}

/*
 * It may wait for I/O that hangs, and for writes that are held in pending: end
 * the one, decide about the other, or give up the suspend.
 */
static void help_suspend(struct suspend *suspend, pthread_t thread)
{
	if (done_within(suspend, 200))
		return;
	if (roll(2)) {
		did("the suspend is interrupted");
		pthread_kill(thread, SIGUSR1);
		if (done_within(suspend, 200))
			return;
	}
	did("the layers become good, for the suspend");
	legs_heal();
	if (done_within(suspend, 1000))
		return;
	observe();
	if (run.last.state == BLKJOB_PENDING)
		send_verb(roll(2) && !any_exempt() ? "finalize" :
			  roll(2) ? "rollback" : "cancel force");
	if (!done_within(suspend, 20000))
		wrong("a suspend hangs");
}

void step_suspend(void)
{
	struct suspend suspend = { .flags = roll(2) ? DM_NOFLUSH_FLAG : 0 };
	pthread_t thread;
	int i, nr = roll(5);

	did("suspend%s", suspend.flags ? " without flush" : "");
	if (pthread_create(&thread, NULL, suspend_thread, &suspend))
		die("thread");
	help_suspend(&suspend, thread);
	pthread_join(thread, NULL);
	if (suspend.r && suspend.r != -EINTR)
		wrong("suspend: %s", strerror(-suspend.r));
	did("%s", suspend.r ? "not suspended" : "suspended");
	if (suspend.r)
		return;
	state_suspended(true);
	observe();
	for (i = 0; i < nr; i++) {
		struct verb verb = random_verb(false);

		usleep(roll(10000));
		observe();
		send_one(&verb);
	}
	observe();
	state_suspended(false);
	did("resume");
	if (dm_resume(run.job))
		wrong("the device cannot be resumed");
}

/* The target device belongs to this job: nothing can be put in its place. */
void step_reload(void)
{
	char line[256], *lines[] = { line };
	int r;

	snprintf(line, sizeof(line),
		 "0 %llu blkjob mirror %s %llu %s %llu 2 paused on",
		 (unsigned long long)run.sectors, leg[run.source].node,
		 (unsigned long long)leg[run.source].offset,
		 leg[!run.source].node,
		 (unsigned long long)leg[!run.source].offset);
	r = dm_load(run.job, 0, 1, lines);
	did("reload: %s", strerror(-r));
	if (!r)
		wrong("a second job with this target device was loaded");
	dm_simple(run.job, DM_TABLE_CLEAR, 0);
}

/*------------------------- A look at the disks -------------------------*/

/* Add to @exempt what the job says is dirty. */
static void read_map(bool *exempt)
{
	unsigned long long start, nr, end = 0;
	char text[64] = "map", *line, *save;
	bool more;

	do {
		int r = dm_message(run.job, 0, text);

		if (r)
			wrong("%s: %s", text, strerror(-r));
		more = false;
		for (line = strtok_r(dm_data(), "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			if (sscanf(line, "next %llu", &start) == 1) {
				more = true;
				snprintf(text, sizeof(text), "map %llu", start);
				break;
			}
			if (sscanf(line, "%llu %llu", &start, &nr) != 2 ||
			    start < end || !nr || start + nr > run.sectors)
				wrong("map says: %s", line);
			end = start + nr;
			memset(exempt + start, true, nr);
		}
	} while (more);
}

/* In the commit window, with nobody at work: equal, and on stable storage. */
static void look_at_pending(void)
{
	uint64_t before[2] = { leg_flushes(0), leg_flushes(1) };
	int fd, i;

	if (leg[0].fault != GOOD || leg[1].fault != GOOD || run.last.failed)
		return;
	if (!run.last.synced || run.last.dirty || run.last.in_flight)
		wrong("pending, and the legs are not in step");
	fd = open(run.node, O_RDWR);
	if (fd < 0 || fsync(fd))
		die(run.node);
	close(fd);
	for (i = 0; i < 2; i++)
		if (leg_has_cache(i) && leg_flushes(i) == before[i] &&
		    observe()->state == BLKJOB_PENDING)
			wrong("a flush has not reached leg %d", i);
}

void step_look(void)
{
	static const bool none[1 << 20];
	struct leg *source = &leg[run.source], *target = &leg[!run.source];
	bool *exempt;

	if (run.last.state == BLKJOB_CONCLUDED || !data_hold(100))
		return;
	exempt = malloc(run.sectors);
	memcpy(exempt, run.exempt, run.sectors);
	read_map(exempt);
	observe();
	did("look at the disks, in %s", run.last.line);
	if (run.last.state < BLKJOB_ABORTING) {
		run.looks++;
		data_check_disk(source->disk, source->offset, none,
				"the source");
		if (!run.last.in_flight && !state_let_go())
			data_check_same(source->disk, source->offset,
					target->disk, target->offset, exempt,
					"the target device, where it is clean");
	}
	if (run.last.state == BLKJOB_PENDING)
		look_at_pending();
	free(exempt);
	data_go();
}
