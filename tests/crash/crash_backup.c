// SPDX-License-Identifier: GPL-2.0
/*
 * A backup: when it says completed, the image is what the source was when it
 * began. The consumer begins after that, so it is what was there at first.
 */
#include "bj_crash.h"

static void run(const char *words)
{
	static const unsigned int granularity[] = { 4096, 16384, 65536 };

	lab_fill(S, crash_seed);
	lab_fill(T, ~crash_seed);
	lab_tell(S, "record");
	job_create("0 %d blkjob backup %s 0 %s 0 8 granularity %u buf_size %u speed %u %s",
		   SECTORS, leg_node[S], leg_node[T], granularity[roll(3)],
		   65536U << roll(4), 4U << 20 << roll(3), words);
	io_begin(0);
	io_work(10);
	if (roll(2))
		job_suspend_resume();
	io_work(10);
	if (!roll(4))
		job_tell("cancel");
	while (!event_over(NEVER - 1, "is concluded"))
		io_work(2);
	io_work(30);
	io_end();
	job_remove();
}

static void run_plain(void)
{
	run("cbw_stored off");
}

static void run_stored(void)
{
	run("cbw_stored on");
}

static bool judge(uint64_t cut, bool stored)
{
	const uint64_t *source = lab_read(S), *target;
	struct bounds bounds;
	uint64_t x;

	io_bounds(&bounds, cut, 0);
	if (!io_judge(source, &bounds, "the source"))
		return false;
	target = lab_read(T);
	if (event_over(cut, "is concluded completed"))
		return io_judge(target, &io_first, "the image");
	/* After a cancel nothing is saved any more. */
	if (!stored || event_begun(cut, "cancel"))
		return true;
	for (x = 0; x < SECTORS; x++)
		if (io_found(source, x) != FILL && io_found(target, x) != FILL)
			return io_wrong(x, io_found(target, x), &io_first,
					"what was overwritten on the source");
	return true;
}

static bool judge_plain(uint64_t cut)
{
	return judge(cut, false);
}

static bool judge_stored(uint64_t cut)
{
	return judge(cut, true);
}

const struct scenario backup_scenarios[] = {
	{ "backup", "I1 B1 B3", run_plain, judge_plain, 4 },
	{ "backup-cbw-stored", "I1 B1 B2 B3", run_stored, judge_stored, 4 },
	{ NULL }
};
