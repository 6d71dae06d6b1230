// SPDX-License-Identifier: GPL-2.0
/*
 * A commit: what a stream has written goes back to its source, by a mirror over
 * its device. Until the word of that is on disk a stream that is begun anew on
 * what is left has everything, from then on the source alone. The word comes
 * while the mirror is pending. The command writes it into the superblock; here it
 * is a sector of its own at the end of the metadata device.
 */
#include "bj_crash.h"

#define WORD_SECTOR	(SECTORS - 1)
enum { COMMITTED = FILL + 1 };		/* the generation of that sector */

static char stream_line[320], mirror_line[320];

/* From the seed alone: who comes later makes them again. */
static void make_lines(const char *words)
{
	static const unsigned int granularity[] = { 4096, 16384, 65536 };
	static const char * const modes[] = { "background", "write-blocking",
		"auto" };
	uint64_t dice = mix(~crash_seed);
	unsigned int nr = 10, i;

	for (i = 0; words[i]; i++)
		nr += words[i] == ' ';
	snprintf(stream_line, sizeof(stream_line),
		 "0 %d blkjob stream %s 0 %s 0 6 metadata %s granularity %u paused on",
		 SECTORS, leg_node[S], leg_node[T], leg_node[M],
		 granularity[dice % 3]);
	/* Regions of its own size. */
	snprintf(mirror_line, sizeof(mirror_line),
		 "0 %d blkjob mirror %s 0 %s 0 %u granularity %u buf_size %u copy_mode %s on_target_error ignore paused on%s",
		 SECTORS, low_node, leg_node[S], nr,
		 granularity[(dice >> 8) % 3], 65536U << (dice >> 16) % 4,
		 modes[(dice >> 24) % 3], words);
}

/* Some of it is there, and is on disk or not. */
static void make_overlay(void)
{
	job_create("%s", stream_line);
	io_begin(0);
	io_work(30);
	if (roll(2))
		job_must("resume");
	else
		job_suspend_resume();
	io_work(10);
	io_end();
	job_remove();
}

static void mark(uint32_t sector, uint32_t nr)
{
	char text[64];

	snprintf(text, sizeof(text), "mark %u %u", sector, nr);
	if (!job_ask(text))
		stuck("%s was refused", text);
}

/* What operations before number @end have written or discarded. */
static void mark_old(unsigned int end)
{
	unsigned int i;

	for (i = FILL + 1; i < end; i++)
		if (ops[i].kind != FLUSH)
			mark(ops[i].sector, ops[i].nr);
}

static void begin(void)
{
	unsigned int nr_old;
	int r;

	lab_fill(S, crash_seed);
	/* Of somebody else: none of it may ever be read. */
	lab_fill(T, ~crash_seed);
	lab_zero(M, SECTORS);
	make_lines("");
	lab_tell(S, "record");
	make_overlay();
	r = low_try_create(stream_line);
	if (r)
		stuck("%s: %s", stream_line, strerror(-r));
	if (roll(2))
		low_tell("cancel");
	job_note("commit");
	make_lines(" sync none");
	job_create("%s", mirror_line);
	nr_old = nr_ops;
	io_begin(0);
	io_work(10);
	if (roll(2))
		mark_old(nr_old);
	else
		mark(0, SECTORS);
	job_must("resume");
	io_work(10);
	job_disturb();
}

static void end(void)
{
	io_work(20);
	io_end();
	job_remove();
	low_remove();
}

static void run_complete(void)
{
	begin();
	job_wait("ready");
	/* It is copied again, and the consumer does not notice. */
	lab_tell(S, "fail write %llu", (unsigned long long)roll(3));
	io_work(20);
	lab_tell(S, "fail write 0");
	job_disturb();
	job_to_pending();
	if (roll(2)) {
		io_work(10);
		job_must("rollback");
		io_work(10);
		job_to_pending();
	}
	io_work(10);
	lab_write(M, WORD_SECTOR, 1, COMMITTED, true);
	job_note("committed");
	io_work(5);
	job_must("finalize");
	job_look();
	end();
}

static void run_cancel(void)
{
	begin();
	if (roll(2))
		job_wait("ready");
	io_work(10);
	switch (roll(3)) {
	case 0:
		job_must("cancel force");
		break;
	case 1:
		job_wait("ready");
		job_must("cancel");
		break;
	default:
		job_wait("ready");
		job_to_pending();
		io_work(10);
		job_must("finalize source");
	}
	while (!event_over(NEVER - 1, "is concluded"))
		io_work(2);
	end();
}

static bool says_committed(void)
{
	return read_sector(lab_read(M) + WORD_SECTOR * WORDS, crash_seed,
			   WORD_SECTOR) == COMMITTED;
}

/* The stream anew. False: refused, though somebody knows that there is one. */
static bool load(uint64_t cut, int (*create)(const char *line), bool *ok)
{
	int r = create(stream_line);

	*ok = true;
	if (r && event_over(cut, "create"))
		*ok = broken("the metadata are refused: %s", strerror(-r));
	return !r;
}

static bool judge_source(uint64_t cut, const char *what)
{
	struct bounds bounds;

	/* What was acknowledged before is flushed on the way to pending. */
	io_bounds(&bounds, cut, event_begun(cut, "complete")->before);
	return io_judge(lab_read(S), &bounds, what);
}

static bool judge_stream(uint64_t cut)
{
	struct bounds bounds;
	bool ok;

	if (!load(cut, job_try_create, &ok))
		return ok;
	io_bounds(&bounds, cut, 0);
	ok = io_judge(job_read(), &bounds, "the stream that is not committed");
	job_remove();
	return ok;
}

static bool judge(uint64_t cut)
{
	make_lines("");
	if (says_committed())
		return judge_source(cut, "the source after the commit");
	if (event_over(cut, "committed"))
		return broken("the word of the commit is lost");
	if (job_was_pending(cut) && !event_begun(cut, "finalize source") &&
	    !judge_source(cut, "the source in pending"))
		return false;
	return judge_stream(cut);
}

/*
 * It is committed again from the beginning, and that is cut too. What only the
 * source had, of what was never flushed, may be overwritten by then.
 */
static bool judge_twice(uint64_t cut)
{
	static const char * const modes[] = { "drop", "keep", "only", "random",
		"tear-one" };
	uint64_t begin = sequence(), nr_volatile;
	const char *mode = modes[roll(5)];
	bool ok, loaded;
	int r;

	make_lines("");
	if (says_committed())
		return judge(cut);
	lab_tell(S, "record");
	loaded = load(cut, low_try_create, &ok);
	if (loaded) {
		make_lines("");
		r = job_try_create(mirror_line);
		if (r)
			stuck("%s: %s", mirror_line, strerror(-r));
		if (!job_ask("resume"))
			stuck("resume was refused");
		usleep(roll(20000));
		job_remove();
		low_remove();
	}
	lab_tell(S, "stop");
	if (loaded) {
		lab_tell(S, "replay %llu", (unsigned long long)
			 (begin + roll(sequence() - begin + 1)));
		lab_state(mode, strcmp(mode, "only") ? roll(1 << 30) : roll(3),
			  &nr_volatile);
		ok = judge_stream(cut);
	}
	lab_tell(S, "forget");
	return ok;
}

const struct scenario commit_scenarios[] = {
	{ "commit", "I1 I4 S1 M5", run_complete, judge, 2 },
	{ "commit-cancel", "I1 I4 S1 M6", run_cancel, judge, 1 },
	{ "commit-recovered-twice", "I3 M5", run_complete, judge_twice, 1 },
	{ NULL }
};
