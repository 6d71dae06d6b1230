// SPDX-License-Identifier: GPL-2.0
/*
 * Tracking: a job that is begun anew on what is left knows the checkpoints that
 * were reported, and says of each region that may have changed since that it
 * has.
 */
#include "bj_crash.h"

#define GRANULARITY	4096
#define TRIES		30000

static const char * const names[] = { "a", "b", "c" };
#define NR_NAMES	(sizeof(names) / sizeof(names[0]))

static char line[256];
/* What a backup would have, that began when the checkpoint was there. */
static uint64_t image[NR_NAMES][SECTORS * WORDS];
static bool has_image[NR_NAMES];

/* Nothing is being done to a checkpoint, after so many looks at most. */
static bool settled(int tries)
{
	char busy[8] = "1";

	while (tries--) {
		if (dm_field(job_look(), "checkpoint_busy", busy, sizeof(busy)))
			stuck("no status of a job that tracks");
		if (!strcmp(busy, "0"))
			return true;
		usleep(1000);
	}
	return false;
}

static void settle(void)
{
	if (!settled(TRIES))
		stuck("a checkpoint is not done");
}

static void tell(const char *verb, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %s", verb, name);
	if (job_tell(text))
		stuck("%s was refused", text);
}

static void note_done(const char *verb, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "done %s %s", verb, name);
	job_note(text);
}

/* It must not be there while writes from before are on their way. */
static void begin(int i)
{
	bool hold = roll(2), early = false;

	if (hold)
		lab_tell(S, "hold write");
	tell("checkpoint", names[i]);
	if (hold) {
		early = settled(30);
		if (early)
			memcpy(image[i], lab_read(S), BYTES);
		lab_tell(S, "release");
	}
	settle();
	if (!early)
		memcpy(image[i], lab_read(S), BYTES);
	has_image[i] = true;
	note_done("checkpoint", names[i]);
}

static void delete(int i)
{
	tell("checkpoint-delete", names[i]);
	settle();
	note_done("checkpoint-delete", names[i]);
}

static void make_line(void)
{
	snprintf(line, sizeof(line),
		 "0 %d blkjob track %s 0 %s 0 2 granularity %d", SECTORS,
		 leg_node[S], leg_node[T], GRANULARITY);
}

static void run(void)
{
	lab_fill(S, crash_seed);
	lab_zero(T, SECTORS);
	make_line();
	lab_tell(S, "record");
	job_create("%s", line);
	io_begin(0);
	io_work(10);
	begin(0);
	io_work(30);
	begin(1);
	io_work(20);
	if (roll(2))
		job_suspend_resume();
	delete(roll(2));
	io_work(20);
	begin(2);
	io_work(20);
	io_end();
	job_remove();
}

static const struct event *over(uint64_t cut, const char *verb, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %s", verb, name);
	return event_over(cut, text);
}

static const struct event *begun(uint64_t cut, const char *verb, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %s", verb, name);
	return event_begun(cut, text);
}

/* State of a checkpoint of the new job, "" = none. */
static void state_of(const char *name, char *state)
{
	char words[1024], *word, *save;
	const char *said = job_ask("checkpoints");

	if (!said)
		stuck("no list of checkpoints");
	snprintf(words, sizeof(words), "%s", said);
	*state = '\0';
	for (word = strtok_r(words, "\n", &save); word;
	     word = strtok_r(NULL, "\n", &save)) {
		char at[64];

		if (sscanf(word, "%63s %*s %31s", at, state) == 2 &&
		    !strcmp(at, name))
			return;
		*state = '\0';
	}
}

/* Sectors that are said to have changed. */
static void ask_changed(const char *name, bool *changed)
{
	unsigned long long first, nr;
	char text[DM_MESSAGE_BUFFER], *word, *save;
	const char *said;

	snprintf(text, sizeof(text), "changed %s", name);
	said = job_ask(text);
	if (!said)
		stuck("%s is refused", text);
	memset(changed, 0, SECTORS * sizeof(*changed));
	snprintf(text, sizeof(text), "%s", said);
	for (word = strtok_r(text, "\n", &save); word;
	     word = strtok_r(NULL, "\n", &save)) {
		if (sscanf(word, "%llu %llu", &first, &nr) != 2 ||
		    first >= SECTORS || nr > SECTORS - first)
			stuck("changed says %s", word);
		memset(changed + first, 1, nr * sizeof(*changed));
	}
}

/* Of what the backup has; or by what the consumer has done, if there is none. */
static bool is_same(int i, uint64_t x, const uint64_t *source, uint64_t done)
{
	int64_t found;

	if (has_image[i])
		return !memcmp(source + x * WORDS, image[i] + x * WORDS, SECTOR);
	found = io_found(source, x);
	return found <= FILL || ops[found].before < done;
}

/* What is not said to have changed is what the backup has. */
static bool judge_bits(int i, const uint64_t *source, uint64_t done)
{
	static bool changed[SECTORS];
	uint64_t x;

	ask_changed(names[i], changed);
	for (x = 0; x < SECTORS; x++) {
		if (changed[x] || is_same(i, x, source, done))
			continue;
		broken("since checkpoint %s sector %llu has changed from %lld to %lld, and is not said to",
		       names[i], (unsigned long long)x,
		       (long long)io_found(image[i], x),
		       (long long)io_found(source, x));
		io_story(x);
		lab_story(x);
		return false;
	}
	return true;
}

static bool judge_checkpoint(uint64_t cut, int i, const uint64_t *source)
{
	const char *name = names[i];
	const struct event *asked = begun(cut, "checkpoint", name);
	const struct event *done = over(cut, "done checkpoint", name);
	bool deleting = begun(cut, "checkpoint-delete", name);
	bool deleted = over(cut, "done checkpoint-delete", name);
	char state[32];

	state_of(name, state);
	if (*state && (!asked || deleted))
		return broken("checkpoint %s is there", name);
	if (done && !deleting && strcmp(state, "active"))
		return broken("checkpoint %s is '%s', not active", name, state);
	if (!strcmp(state, "inconsistent"))
		return broken("checkpoint %s is inconsistent", name);
	/* Of any other one nobody knows when its instant was. */
	if (!done || strcmp(state, "active"))
		return true;
	return judge_bits(i, source, done->after);
}

/* Begin a job on what is left; 0 if there were no metadata yet. */
static bool load(uint64_t cut)
{
	int r;

	make_line();
	r = job_try_create(line);
	if (!r)
		return true;
	/* Nobody has been told that there are any. */
	if (!event_over(cut, "create"))
		return false;
	broken("the metadata are refused: %s", strerror(-r));
	return false;
}

static bool judge_loaded(uint64_t cut)
{
	static uint64_t source[SECTORS * WORDS];
	bool ok = true;
	size_t i;

	memcpy(source, lab_read(S), sizeof(source));
	for (i = 0; i < NR_NAMES && ok; i++)
		ok = judge_checkpoint(cut, i, source);
	return ok;
}

static bool judge(uint64_t cut)
{
	struct bounds bounds;
	bool ok;

	io_bounds(&bounds, cut, 0);
	if (!io_judge(lab_read(S), &bounds, "the source"))
		return false;
	if (!load(cut))
		return !event_over(cut, "create");
	ok = judge_loaded(cut);
	job_remove();
	return ok;
}

/* The new job is cut too, at any moment of its first ones; and again. */
static bool judge_twice(uint64_t cut)
{
	uint64_t begin = sequence(), nr_volatile;
	static const char * const modes[] = { "drop", "keep", "only", "random",
		"tear-one" };
	const char *mode = modes[roll(5)];
	bool ok;

	lab_tell(S, "record");
	if (!load(cut)) {
		lab_tell(S, "stop");
		lab_tell(S, "forget");
		return !event_over(cut, "create");
	}
	if (roll(2))
		usleep(roll(5000));
	else
		settle();
	job_remove();
	lab_tell(S, "stop");
	lab_tell(S, "replay %llu", (unsigned long long)
		 (begin + roll(sequence() - begin + 1)));
	lab_state(mode, strcmp(mode, "only") ? roll(1 << 30) : T, &nr_volatile);
	ok = judge(cut);
	lab_tell(S, "forget");
	return ok;
}

const struct scenario track_scenarios[] = {
	{ "track", "I1 I2 I4 D1 D3", run, judge, 2 },
	{ "track-recovered-twice", "I3", run, judge_twice, 1 },
	{ NULL }
};
