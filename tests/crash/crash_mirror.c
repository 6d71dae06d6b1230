// SPDX-License-Identifier: GPL-2.0
/*
 * A mirror keeps nothing on disk. So who comes after a power cut knows what the
 * job had reported: the source counts until finalize was asked for, the target
 * device when that was answered, and from pending to there both of them are as
 * good.
 */
#include "bj_crash.h"

static void begin(const char *words)
{
	static const unsigned int granularity[] = { 4096, 16384, 65536 };
	unsigned int nr = 4, i;

	lab_fill(S, crash_seed);
	/* Of somebody else: none of it may ever be read. */
	lab_fill(T, ~crash_seed);
	lab_tell(S, "record");
	for (i = 0; words[i]; i++)
		nr += words[i] == ' ';
	job_create("0 %d blkjob mirror %s 0 %s 0 %u granularity %u buf_size %u%s",
		   SECTORS, leg_node[S], leg_node[T], nr,
		   granularity[roll(3)], 65536U << roll(4), words);
	io_begin(0);
}

static void switch_over(void)
{
	io_work(10);
	job_disturb();
	job_wait("ready");
	/* It is copied again, and the consumer does not notice. */
	lab_tell(T, "fail write %llu", (unsigned long long)roll(3));
	io_work(20);
	lab_tell(T, "fail write 0");
	job_disturb();
	job_to_pending();
	if (roll(2)) {
		io_work(10);
		job_must("rollback");
		io_work(10);
		job_to_pending();
	}
	io_work(20);
	job_must("finalize");
	job_look();
	io_work(30);
	io_end();
	job_remove();
}

static void run_background(void)
{
	begin(" copy_mode background on_target_error ignore");
	switch_over();
}

static void run_blocking(void)
{
	begin(" copy_mode write-blocking on_target_error ignore");
	switch_over();
}

static void run_auto(void)
{
	begin(" copy_mode auto on_target_error ignore");
	switch_over();
}

/* Between the consumer's work and more of it. */
static void run_quiet(void)
{
	begin(roll(2) ? " copy_mode write-blocking paused on on_target_error ignore" :
			" paused on on_target_error ignore");
	io_work(40);
	io_end();
	job_note("quiet");
	lab_tell(T, "fail write %llu", (unsigned long long)roll(3));
	job_must("resume");
	job_wait("ready");
	job_look();
	job_note("loud");
	lab_tell(T, "fail write 0");
	io_begin(0);
	io_work(20);
	io_end();
	job_remove();
}

static void run_cancel(void)
{
	begin(roll(2) ? " copy_mode write-blocking" : "");
	io_work(20);
	job_wait("ready");
	io_work(10);
	if (roll(2)) {
		job_must("cancel");
	} else {
		job_to_pending();
		io_work(10);
		job_must("finalize source");
	}
	while (!event_over(NEVER - 1, "is concluded"))
		io_work(2);
	io_work(30);
	io_end();
	job_remove();
}

/* By force, or by an error of the target device: the source goes on. */
static void run_break(void)
{
	begin(roll(2) ? " copy_mode write-blocking" : "");
	if (roll(2))
		job_wait("ready");
	io_work(10);
	if (roll(2))
		job_must("cancel force");
	else
		lab_tell(T, "fail write 1000000");
	while (!event_over(NEVER - 1, "is concluded cancelled source"))
		io_work(2);
	io_work(20);
	io_end();
	lab_tell(T, "fail write 0");
	job_remove();
}

static bool judge_leg(int leg, uint64_t cut, uint64_t kept, const char *what)
{
	struct bounds bounds;

	io_bounds(&bounds, cut, kept);
	return io_judge(lab_read(leg), &bounds, what);
}

static bool judge_switch(uint64_t cut)
{
	bool asked = event_begun(cut, "finalize");
	bool switched = event_over(cut, "finalize");
	const struct event *complete = event_begun(cut, "complete");

	if (!switched &&
	    !judge_leg(S, cut, 0, "the source before the switch"))
		return false;
	/* What was acknowledged before is flushed on the way to pending. */
	if ((asked || job_was_pending(cut)) &&
	    !judge_leg(T, cut, complete->before,
		       switched ? "the target device after the switch" :
				  "the target device in pending"))
		return false;
	return true;
}

/* Equal, and on stable storage, when ready is reported and nothing was new. */
static bool judge_quiet(uint64_t cut)
{
	const struct event *quiet = event_over(cut, "quiet");

	if (!judge_leg(S, cut, 0, "the source"))
		return false;
	if (!quiet || event_begun(cut, "loud") || !event_over(cut, "is ready"))
		return true;
	return judge_leg(T, cut, quiet->before, "the target device in ready");
}

static bool judge_cancel(uint64_t cut)
{
	const struct event *done = event_over(cut, "is concluded completed source");
	const struct event *asked = event_begun(cut, "cancel");

	if (!judge_leg(S, cut, 0, "the source"))
		return false;
	if (!done)
		return true;
	if (!asked)
		asked = event_begun(cut, "finalize source");
	return io_judge_instant(lab_read(T), asked->before, done->after,
				"the copy that a cancel left");
}

static bool judge_break(uint64_t cut)
{
	return judge_leg(S, cut, 0, "the source");
}

const struct scenario mirror_scenarios[] = {
	{ "mirror-background", "I1 M1 M5", run_background, judge_switch, 4 },
	{ "mirror-write-blocking", "I1 M1 M5", run_blocking, judge_switch, 4 },
	{ "mirror-auto", "I1 M1 M5", run_auto, judge_switch, 4 },
	{ "mirror-ready", "I1 M1 M4", run_quiet, judge_quiet, 4 },
	{ "mirror-cancel", "I1 M6", run_cancel, judge_cancel, 4 },
	{ "mirror-break", "I1 M6 M7", run_break, judge_break, 4 },
	{ NULL }
};
