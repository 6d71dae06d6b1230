// SPDX-License-Identifier: GPL-2.0
/*
 * A mirror with metadata: a job that goes on with what is left makes its legs
 * equal, and copies not much more than what differs. It is refused to who takes
 * the wrong leg for the one that counts.
 */
#include "bj_crash.h"

#define TRIES	30000

enum answer { GOES_ON, REFUSED, WRONG };

/* From the seed alone: who comes later makes it again. */
static unsigned int granularity(void)
{
	static const unsigned int sizes[] = { 4096, 8192, 16384 };

	return sizes[mix(crash_seed) % 3];
}

static const char *make_line(bool turned, const char *words)
{
	static const char * const modes[] = { "background", "write-blocking",
		"auto" };
	static char line[512];
	unsigned int nr = 12, i;

	for (i = 0; words[i]; i++)
		nr += words[i] == ' ';
	snprintf(line, sizeof(line),
		 "0 %d blkjob mirror %s 0 %s 0 %u metadata %s identity %s target_identity %s granularity %u copy_mode %s on_target_error ignore%s",
		 SECTORS, leg_node[turned ? T : S], leg_node[turned ? S : T], nr,
		 leg_node[M], turned ? "t" : "s", turned ? "s" : "t",
		 granularity(), modes[(mix(crash_seed) >> 8) % 3], words);
	return line;
}

static uint64_t field(const char *key)
{
	char text[32];

	if (dm_field(job_look(), key, text, sizeof(text)))
		stuck("the status has no %s", key);
	return strtoull(text, NULL, 10);
}

/* Until @key is at most that. */
static void wait_for(const char *key, uint64_t most)
{
	int tries = TRIES;

	while (field(key) > most)
		if (!tries--)
			stuck("%s does not fall to %llu: %s", key,
			      (unsigned long long)most, job_look());
		else
			usleep(1000);
}

/* Nothing is left to copy, and the consumer does nothing. */
static void wait_equal(void)
{
	do {
		wait_for("dirty", 0);
		wait_for("in_flight", 0);
	} while (field("dirty"));
}

/* It is on disk that the source counts. */
static void wait_remembers(void)
{
	int tries = TRIES;

	while (!field("remembers"))
		if (!tries--)
			stuck("it does not remember: %s", job_look());
		else
			usleep(1000);
	job_note("remembers");
}

/* How much would be copied if it were cut now? */
static void note_rework(void)
{
	char text[64];

	io_end();
	wait_equal();
	/* Then that is all; after this the device is as good as equal. */
	wait_for("rework", BYTES / 16);
	snprintf(text, sizeof(text), "rework %llu",
		 (unsigned long long)field("rework"));
	job_note(text);
	io_begin(0);
}

static void to_switch(void)
{
	job_to_pending();
	io_work(10);
	switch (roll(4)) {
	case 0:
		job_must("rollback");
		wait_remembers();
		break;
	case 1:
		job_must("finalize source");
		while (!event_over(NEVER - 1, "is concluded"))
			io_work(2);
		wait_remembers();
		break;
	case 2:
		job_must("finalize");
		job_look();
		break;
	case 3:
		job_must("finalize reverse");
		wait_remembers();
		break;
	}
}

static void run(void)
{
	lab_fill(S, crash_seed);
	lab_fill(T, ~crash_seed);
	lab_zero(M, SECTORS);
	lab_tell(S, "record");
	job_create("%s", make_line(false, roll(2) ? " speed 4194304" : ""));
	io_begin(0);
	io_work(20);
	job_wait("ready");
	io_work(30);
	note_rework();
	io_work(10);
	lab_tell(T, "fail write %llu", (unsigned long long)roll(3));
	io_work(10);
	lab_tell(T, "fail write 0");
	job_disturb();
	switch (roll(5)) {
	case 0:
		job_must("cancel force");
		break;
	case 1:
		break;
	case 2:
		job_wait("ready");
		job_must("cancel");
		while (!event_over(NEVER - 1, "is concluded"))
			io_work(2);
		break;
	default:
		job_wait("ready");
		to_switch();
		break;
	}
	io_work(30);
	io_end();
	job_remove();
}

/*----------------------------- Judged -----------------------------*/

/* From complete on, until it was noted that it remembers again. */
static bool may_refuse(uint64_t cut)
{
	const struct event *complete = event_begun(cut, "complete");
	const struct event *again = event_over(cut, "remembers");

	return complete && (!again || again->before < complete->before);
}

static bool must_refuse(uint64_t cut)
{
	const struct event *pending = event_over(cut, "is pending");
	const struct event *finalize = event_over(cut, "finalize");

	if (finalize && !strcmp(finalize->what, "finalize"))
		return true;
	return pending && !event_begun(cut, "rollback") &&
	       !event_begun(cut, "finalize");
}

/* A job on what is left, that way round. */
static enum answer load(uint64_t cut, bool turned)
{
	int r = job_try_create(make_line(turned, ""));

	if (!r)
		return GOES_ON;
	if (r == -EINVAL && may_refuse(cut))
		return REFUSED;
	/* Nobody has been told that there are any metadata. */
	if (!event_over(cut, "create"))
		return REFUSED;
	/* It is the other one that counts. */
	if (r == -EINVAL && !turned && event_over(cut, "finalize reverse"))
		return REFUSED;
	broken("the metadata are refused: %s", strerror(-r));
	return WRONG;
}

/* Bytes that may be in the metadata by then. */
static uint64_t most_rework(uint64_t cut)
{
	const struct event *noted = event_over(cut, "rework");
	uint64_t most, size = granularity() / SECTOR;
	unsigned int i;

	if (!noted)
		return BYTES;
	most = strtoull(noted->what + strlen("rework"), NULL, 10);
	for (i = FILL + 1; i < nr_ops; i++) {
		const struct op *op = &ops[i];

		if (op->kind == FLUSH || op->before < noted->before ||
		    op->before >= cut)
			continue;
		most += ((op->sector + op->nr - 1) / size - op->sector / size +
			 1) * granularity();
	}
	return most;
}

/* What it did not copy was equal. */
static bool judge_equal(uint64_t cut)
{
	static uint64_t source[SECTORS * WORDS];
	const uint64_t *target;
	uint64_t x, copied, most = most_rework(cut);

	job_wait("ready");
	wait_equal();
	copied = field("offset");
	job_remove();
	memcpy(source, lab_read(S), sizeof(source));
	target = lab_read(T);
	for (x = 0; x < SECTORS; x++) {
		if (!memcmp(source + x * WORDS, target + x * WORDS, SECTOR))
			continue;
		broken("sector %llu is forgotten: the source has %lld, the target device %lld",
		       (unsigned long long)x, (long long)io_found(source, x),
		       (long long)io_found(target, x));
		io_story(x);
		lab_story(x);
		return false;
	}
	if (copied > most)
		return broken("%llu bytes are copied, and %llu may have differed",
			      (unsigned long long)copied,
			      (unsigned long long)most);
	return true;
}

static bool judge_leg(int leg, uint64_t cut, const char *what)
{
	const struct event *complete = event_begun(cut, "complete");
	struct bounds bounds;

	/* What was acknowledged before is flushed on the way to pending. */
	io_bounds(&bounds, cut, leg == T ? complete->before : 0);
	return io_judge(lab_read(leg), &bounds, what);
}

/* The target device counts as soon as somebody has been told. */
static bool judge_leg_that_counts(uint64_t cut)
{
	bool asked = event_begun(cut, "finalize reverse") ||
		     event_begun(cut, "finalize");
	bool source = event_begun(cut, "finalize source");

	if ((!asked || source) && !judge_leg(S, cut, "the source"))
		return false;
	if (asked && !source && !judge_leg(T, cut, "the target device"))
		return false;
	return true;
}

static bool judge(uint64_t cut)
{
	enum answer answer;

	if (!judge_leg_that_counts(cut))
		return false;
	answer = load(cut, false);
	if (answer == GOES_ON && must_refuse(cut)) {
		job_remove();
		return broken("who takes the source goes on");
	}
	/* It is said that the other one counts, or that it has ended. */
	if (answer == REFUSED && event_begun(cut, "finalize reverse"))
		answer = load(cut, true);
	else if (answer == GOES_ON && event_over(cut, "finalize reverse")) {
		job_remove();
		return broken("who takes the old source goes on");
	}
	return answer == GOES_ON ? judge_equal(cut) : answer != WRONG;
}

/* The new job is cut too, at any moment of its first ones; and again. */
static bool judge_twice(uint64_t cut)
{
	static const char * const modes[] = { "drop", "keep", "only", "random",
		"tear-one" };
	uint64_t begin = sequence(), nr_volatile;
	const char *mode = modes[roll(5)];
	enum answer answer;
	bool ok;

	lab_tell(S, "record");
	answer = load(cut, false);
	if (answer == GOES_ON) {
		usleep(roll(20000));
		job_remove();
	}
	lab_tell(S, "stop");
	ok = answer != WRONG;
	if (answer == GOES_ON) {
		lab_tell(S, "replay %llu", (unsigned long long)
			 (begin + roll(sequence() - begin + 1)));
		lab_state(mode, strcmp(mode, "only") ? roll(1 << 30) : roll(3),
			  &nr_volatile);
		ok = judge(cut);
	}
	lab_tell(S, "forget");
	return ok;
}

const struct scenario remember_scenarios[] = {
	{ "mirror-remember", "I1 I2 M1 M2 M3 M5 D2", run, judge, 4 },
	{ "mirror-remembered-twice", "I3", run, judge_twice, 2 },
	{ NULL }
};
