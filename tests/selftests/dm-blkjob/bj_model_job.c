// SPDX-License-Identifier: GPL-2.0
/*
 * One job: its table, its status, its end.
 */
#include "bj_model_run.h"

#include <linux/fs.h>

#define HANG		(20000 * MS)	/* nothing may take longer */
#define ABORT		(4000 * MS)	/* one second, and slow machines */

static void swap_job(char *line)
{
	char *lines[] = { line };
	int r;

	did("table: %s", line);
	r = swap_table(run.job, lines, 1);
	if (r)
		wrong("%s: %s", line, strerror(-r));
}

void run_init(unsigned int block)
{
	char line[128];

	run.block = block;
	run.sectors = leg[0].sectors < leg[1].sectors ? leg[0].sectors :
							leg[1].sectors;
	/* Not a whole number of regions, for most of their sizes. */
	run.sectors -= 64;
	run.exempt = calloc(run.sectors, 1);
	node_of(run.job, run.node, sizeof(run.node));
	snprintf(line, sizeof(line), "0 %llu linear %s %llu",
		 (unsigned long long)run.sectors, leg[0].node,
		 (unsigned long long)leg[0].offset);
	swap_job(line);
	data_init(run.node, run.sectors, block);
	data_counts(0, true);
	data_fill();
}

/*------------------------------ Status ------------------------------*/

/* Flushed before READY, before pending, and before a soft cancel is over. */
static void check_flushed(const struct status *status)
{
	bool ready = status->state == BLKJOB_READY;
	bool equal = status->state == BLKJOB_PENDING ||
		     (status->state == BLKJOB_CONCLUDED &&
		      !strcmp(status->result, "completed"));
	int64_t *before = ready ? &run.flushes_ready : &run.flushes_equal;

	if (!(ready || equal) || *before < 0)
		return;
	if (leg_has_cache(!run.source) && !leg[!run.source].ate_flushes &&
	    leg_flushes(!run.source) <= (uint64_t)*before)
		wrong("the target device was not flushed");
	*before = -1;
}

static void check_errors(const uint64_t errors[2])
{
	enum side side;

	for (side = SOURCE; side <= TARGET; side++)
		if (errors[side] &&
		    !leg[side == SOURCE ? run.source : !run.source].was_bad)
			wrong("errors of the %s, which has made none",
			      side == SOURCE ? "source" : "target device");
}

const struct status *observe(void)
{
	char before[1024];
	struct status status;
	uint64_t errors[2];
	const char *what;
	char *line;
	int r;

	snprintf(before, sizeof(before), "%s", state_words());
	line = dm_job_line(run.job, &r);
	if (!line || !status_parse(line, &status))
		wrong("the status cannot be read: %s", line ?: strerror(-r));
	what = status_wrong(&status, &run.last, run.sectors * SECTOR);
	errors[SOURCE] = status.errors[SOURCE] - run.last.errors[SOURCE];
	errors[TARGET] = status.errors[TARGET] - run.last.errors[TARGET];
	if (status.state != run.last.state || !run.last.line[0]) {
		run.state_since = now();
		did("is in %s", status.line);
	}
	run.last = status;
	if (what)
		wrong("%s", what);
	check_errors(errors);
	if (!state_observe(&status, errors))
		wrong("a status that does not follow; the model was in: %s",
		      before);
	check_flushed(&status);
	if (status.state == BLKJOB_CONCLUDED && !run.concluded_at)
		run.concluded_at = now();
	return &run.last;
}

/* Some may be gone: then the next one that is there follows anything. */
static void check_event(const char *line)
{
	unsigned int number;
	char word[8], state[16];

	if (sscanf(line, "%u %*u %7s %15s", &number, word, state) != 3 ||
	    number < run.events)
		wrong("events says: %s", line);
	if (!strcmp(word, "state")) {
		if (number == run.events && !state_follows(run.event, state))
			wrong("from %s to %s", run.event, state);
		strcpy(run.event, state);
	}
	run.events = number + 1;
}

void check_events(void)
{
	char text[32], *line, *save;
	int r;

	snprintf(text, sizeof(text), "events %u", run.events);
	r = dm_message(run.job, 0, text);
	if (r)
		wrong("%s: %s", text, strerror(-r));
	for (line = strtok_r(dm_data(), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		check_event(line);
}

void check_alive(void)
{
	bool hangs = leg[0].fault == HANGS || leg[1].fault == HANGS;
	uint64_t oldest = data_oldest();

	if (hangs || run.last.held ||
	    (run.last.state == BLKJOB_PENDING && run.last.failed))
		run.free_since = now();
	if (oldest && now() - oldest > HANG && now() - run.free_since > HANG)
		wrong("the consumer waits since %llu us",
		      (unsigned long long)oldest / 1000);
	if (run.last.state == BLKJOB_ABORTING &&
	    now() - run.state_since > ABORT)
		wrong("aborting for too long");
}

/*------------------------------ Beginning ------------------------------*/

static void zero_target(void)
{
	uint64_t range[2] = { leg[!run.source].offset * SECTOR,
		run.sectors * SECTOR };
	int fd = open(leg[!run.source].disk, O_RDWR | O_DIRECT);

	if (fd < 0 || ioctl(fd, BLKZEROOUT, range))
		die(leg[!run.source].disk);
	close(fd);
}

/* Words of a table line, by chance. Returns their number. */
static int add_option(char *line, size_t size, const char *key,
		      const char *value)
{
	size_t len = strlen(line);

	snprintf(line + len, size - len, " %s %s", key, value);
	return 2;
}

/* At random; tells the model what it must know. Returns the number of words. */
static int choose_options(char *line, size_t size)
{
	static const char * const modes[] = { "background", "write-blocking",
		"auto" };
	static const char * const policies[] = { "report", "ignore", "enospc",
		"stop" };
	/* Seldom report: most of these jobs do not get far. */
	enum policy policy[2] = { roll(4) ? STOP - roll(3) : REPORT,
		roll(4) ? STOP - roll(3) : REPORT };
	bool paused = !roll(6), none = !roll(10), zero = !roll(8);
	char number[32];
	int nr = 0;

	nr += add_option(line, size, "copy_mode", modes[roll(3)]);
	nr += add_option(line, size, "on_source_error", policies[policy[SOURCE]]);
	nr += add_option(line, size, "on_target_error", policies[policy[TARGET]]);
	snprintf(number, sizeof(number), "%llu", (512ULL * run.block) << roll(9));
	if (roll(3))
		nr += add_option(line, size, "granularity", number);
	snprintf(number, sizeof(number), "%llu", 4096ULL << roll(12));
	if (!roll(3))
		nr += add_option(line, size, "buf_size", number);
	snprintf(number, sizeof(number), "%llu", (1ULL << 20) << roll(5));
	if (!roll(3))
		nr += add_option(line, size, "speed", number);
	if (!roll(4))
		nr += add_option(line, size, "unmap", "off");
	if (paused)
		nr += add_option(line, size, "paused", "on");
	if (none)
		nr += add_option(line, size, "sync", "none");
	if (zero && !none) {
		zero_target();
		nr += add_option(line, size, "target_is_zero", "on");
	}
	memset(run.exempt, none, run.sectors);
	state_begin(policy, paused);
	return nr;
}

void job_begin(void)
{
	struct leg *source = &leg[run.source], *target = &leg[!run.source];
	char line[512], options[384] = "";
	int nr = choose_options(options, sizeof(options));

	snprintf(line, sizeof(line),
		 "0 %llu blkjob mirror %s %llu %s %llu %d%s",
		 (unsigned long long)run.sectors, source->node,
		 (unsigned long long)source->offset, target->node,
		 (unsigned long long)target->offset, nr, options);
	run.jobs++;
	run.calm = roll(2);
	run.switched = false;
	run.last = (struct status) {};
	run.events = 0;
	run.event[0] = '\0';
	run.let_go_at = 0;
	run.concluded_at = 0;
	source->was_bad = target->was_bad = false;
	source->ate_flushes = target->ate_flushes = false;
	data_think(1000);
	run.flushes_equal = -1;
	run.flushes_ready = leg_flushes(!run.source);
	swap_job(line);
	data_go();
	observe();
}

/*-------------------------------- End --------------------------------*/

/* The next verb on the way to an end. */
static void push(void)
{
	char text[64];

	switch (run.last.state) {
	case BLKJOB_PAUSED:
	case BLKJOB_STANDBY:
		send_verb("resume");
		break;
	case BLKJOB_READY:
		if (any_exempt()) {
			snprintf(text, sizeof(text), "mark 0 %llu",
				 (unsigned long long)run.sectors);
			send_verb(text);
		}
		send_verb(roll(3) ? "complete" : "cancel");
		break;
	case BLKJOB_PENDING:
		send_verb(any_exempt() || !roll(5) ? "cancel force" :
			  "finalize");
		break;
	default:
		break;
	}
}

static void conclude(void)
{
	uint64_t end = now() + 3 * HANG;
	uint64_t quiet = now() + 3000 * MS;

	legs_heal();
	data_think(2000);
	if (observe()->state < BLKJOB_ABORTING)
		send_verb("set speed 0");
	while (observe()->state != BLKJOB_CONCLUDED) {
		/* In background mode it need not catch up with the load. */
		if (now() > quiet)
			data_think(100000);
		if (now() > end)
			wrong("no end, from %s", run.last.line);
		push();
		check_alive();
		usleep(3000);
	}
}

void job_end(void)
{
	static const bool none[1 << 20];
	bool completed, target;
	char line[128];

	conclude();
	check_events();
	if (strcmp(run.event, "concluded"))
		wrong("the last event is %s", run.event);
	completed = !strcmp(run.last.result, "completed");
	target = !strcmp(run.last.active, "target");
	run.ends[target ? 0 : completed ? 1 : 2]++;
	if (target) {
		data_counts(run.source, false);
		run.source = !run.source;
	}
	data_counts(run.source, true);
	data_counts(!run.source, false);
	usleep(roll(20) * 1000);
	snprintf(line, sizeof(line), "0 %llu linear %s %llu",
		 (unsigned long long)run.sectors, leg[run.source].node,
		 (unsigned long long)leg[run.source].offset);
	swap_job(line);
	if (!data_hold(HANG / MS))
		wrong("the consumer hangs after the end");
	data_check_disk(leg[run.source].disk, leg[run.source].offset, none,
			"the disk that counts");
	if (completed && !target)
		data_check_instant(leg[!run.source].disk,
				   leg[!run.source].offset, run.exempt,
				   run.let_go_at, run.concluded_at);
	data_check_outside(leg[0].disk, leg[0].offset);
	data_check_outside(leg[1].disk, leg[1].offset);
}
