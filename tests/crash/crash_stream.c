// SPDX-License-Identifier: GPL-2.0
/*
 * A stream: a job that is begun anew on what is left reads what a disk with a
 * cache may have, and never what the target device had before.
 */
#include "bj_crash.h"

static char line[320], line_paused[320];

/* From the seed alone: who comes later makes them again. */
static void make_lines(void)
{
	static const unsigned int granularity[] = { 4096, 16384, 65536 };
	uint64_t dice = mix(crash_seed);
	unsigned int size = granularity[dice % 3];

	snprintf(line, sizeof(line),
		 "0 %d blkjob stream %s 0 %s 0 8 metadata %s granularity %u speed %u copy_on_read %s",
		 SECTORS, leg_node[S], leg_node[T], leg_node[M], size,
		 1U << 20 << (dice >> 8) % 4, dice >> 16 & 1 ? "on" : "off");
	snprintf(line_paused, sizeof(line_paused),
		 "0 %d blkjob stream %s 0 %s 0 6 metadata %s granularity %u paused on",
		 SECTORS, leg_node[S], leg_node[T], leg_node[M], size);
}

static void run(void)
{
	lab_fill(S, crash_seed);
	lab_fill(T, ~crash_seed);
	lab_zero(M, SECTORS);
	make_lines();
	lab_tell(S, "record");
	job_create("%s", line);
	io_begin(0);
	io_work(20);
	if (roll(2))
		job_suspend_resume();
	io_work(20);
	switch (roll(3)) {
	case 0:
		/* It goes on as it is. */
		job_tell("cancel");
		break;
	case 1:
		job_tell("set speed 0");
		while (!event_over(NEVER - 1, "is concluded"))
			io_work(2);
		break;
	}
	io_work(30);
	io_end();
	job_remove();
}

/* False: refused. Nobody has been told that there is a job, or it is broken. */
static bool load(uint64_t cut, const char *words, bool *ok)
{
	int r = job_try_create(words);

	*ok = true;
	if (!r)
		return true;
	if (event_over(cut, "create"))
		*ok = broken("the metadata are refused: %s", strerror(-r));
	return false;
}

static bool judge(uint64_t cut)
{
	struct bounds bounds;
	bool ok;

	if (!io_judge(lab_read(S), &io_first, "the source, which is only read"))
		return false;
	io_bounds(&bounds, cut, 0);
	/* It is not needed any more. */
	if (event_over(cut, "is concluded completed target"))
		return io_judge(lab_read(T), &bounds, "the target device alone");
	make_lines();
	if (!load(cut, line_paused, &ok))
		return ok;
	ok = io_judge(job_read(), &bounds, "the device that goes on");
	job_remove();
	return ok;
}

/* The job that goes on is cut too. */
static bool judge_twice(uint64_t cut)
{
	static const char * const modes[] = { "drop", "keep", "only", "random",
		"tear-one" };
	uint64_t begin = sequence(), nr_volatile;
	const char *mode = modes[roll(5)];
	bool ok, loaded;

	if (event_over(cut, "is concluded completed target"))
		return judge(cut);
	lab_tell(S, "record");
	loaded = load(cut, line, &ok);
	if (loaded) {
		usleep(roll(20000));
		job_remove();
	}
	lab_tell(S, "stop");
	if (loaded) {
		lab_tell(S, "replay %llu", (unsigned long long)
			 (begin + roll(sequence() - begin + 1)));
		lab_state(mode, strcmp(mode, "only") ? roll(1 << 30) : roll(3),
			  &nr_volatile);
		ok = judge(cut);
	}
	lab_tell(S, "forget");
	return ok;
}

const struct scenario stream_scenarios[] = {
	{ "stream", "I1 I2 I4 S1 S2 S3 S4 D1", run, judge, 2 },
	{ "stream-recovered-twice", "I3", run, judge_twice, 1 },
	{ NULL }
};
