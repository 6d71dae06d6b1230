// SPDX-License-Identifier: GPL-2.0
/*
 * bj_crash: what a power cut leaves of a job, at many moments and in many ways.
 *
 * A workload runs once on recorded legs (module/crash.h). Then for one moment
 * after the other the legs are made what a cut may have left, and what somebody
 * would find who comes after it is judged: the scenario's judge knows what was
 * reported by then.
 *
 * A job of the metadata type is begun anew; others are over after a cut, and
 * the legs themselves are looked at.
 */
#include "bj_crash.h"

#include <stdarg.h>
#include <time.h>

#define MAX_MOMENTS	8192

uint64_t crash_seed;

static unsigned int run_states = 150;	/* of one workload, at most */
static const struct scenario *now;
static const char *now_mode = "none";
static uint64_t now_cut, now_mode_seed, dice_state;
static unsigned int now_broken;
static const struct scenario * const all[] = {
	proof_scenarios, mirror_scenarios, backup_scenarios, track_scenarios,
	stream_scenarios, remember_scenarios, commit_scenarios,
};

uint64_t roll(uint64_t n)
{
	dice_state += 0x9e3779b97f4a7c15ULL;
	return mix(dice_state) % n;
}

static void where(void)
{
	printf("# seed %llu, cut %llu, mode %s %llu\n",
	       (unsigned long long)crash_seed, (unsigned long long)now_cut,
	       now_mode, (unsigned long long)now_mode_seed);
	printf("# again: tests/crash/run --seed %llu --scenario %s\n",
	       (unsigned long long)crash_seed, now->name);
}

bool broken(const char *format, ...)
{
	unsigned int i;
	va_list args;

	now_broken++;
	printf("# BROKEN: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts("");
	where();
	for (i = 0; i < nr_events; i++)
		if (events[i].before < now_cut + 20)
			printf("#   job: %s: %d, from %llu to %llu\n",
			       events[i].what, events[i].r,
			       (unsigned long long)events[i].before,
			       (unsigned long long)events[i].after);
	return false;
}

void stuck(const char *format, ...)
{
	va_list args;

	printf("# STUCK: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts("");
	where();
	printf("not ok - %s\n", now->name);
	fflush(stdout);
	_exit(1);
}

/*----------------------------- Moments ----------------------------*/

struct moments {
	uint64_t at[MAX_MOMENTS];
	unsigned int nr;
};

static struct moments said;	/* when the job had said something */
static struct moments stable;	/* when a leg or the consumer had a flush */

static void add_moment(struct moments *moments, uint64_t at)
{
	if (at == NEVER || moments->nr == MAX_MOMENTS ||
	    (moments->nr && moments->at[moments->nr - 1] == at))
		return;
	moments->at[moments->nr++] = at;
}

static void find_moments(void)
{
	unsigned int i;

	said.nr = 0;
	for (i = 0; i < nr_events; i++) {
		add_moment(&said, events[i].before + 1);
		add_moment(&said, events[i].after);
	}
	stable.nr = lab_moments(stable.at, MAX_MOMENTS / 2);
	for (i = FILL + 1; i < nr_ops; i++)
		if (ops[i].kind == FLUSH || ops[i].fua)
			add_moment(&stable, ops[i].after);
}

/* What is said of the job is most of what is judged. */
static uint64_t choose_moment(uint64_t first, uint64_t last)
{
	const struct moments *moments = roll(3) ? &said : &stable;
	uint64_t at = roll(4) && moments->nr ? moments->at[roll(moments->nr)] :
					       first + roll(last - first + 1);

	return at < first ? first : at;
}

/*----------------------------- States -----------------------------*/

static const struct {
	const char *mode;
	int leg;		/* the seed, -1 = by chance */
} modes[] = {
	{ "drop", -1 }, { "keep", -1 }, { "only", S }, { "only", T },
	{ "only", M }, { "random", -1 }, { "random", -1 }, { "drop-one", -1 },
	{ "drop-one", -1 }, { "tear-one", -1 }, { "tear-one", -1 },
};
#define NR_MODES	(sizeof(modes) / sizeof(modes[0]))

/* All modes at one moment; what comes out the same is one state. */
static bool judge_moment(unsigned int *states)
{
	uint64_t seen[NR_MODES], id, nr_volatile = 1;
	unsigned int i, j, nr = 0;

	lab_tell(S, "replay %llu", (unsigned long long)now_cut);
	for (i = 0; i < NR_MODES && nr_volatile; i++) {
		now_mode = modes[i].mode;
		now_mode_seed = modes[i].leg < 0 ? roll(1U << 30) :
						   (uint64_t)modes[i].leg;
		id = lab_state(now_mode, now_mode_seed, &nr_volatile);
		for (j = 0; j < nr && seen[j] != id; j++)
			;
		if (j < nr)
			continue;
		seen[nr++] = id;
		++*states;
		if (!now->judge(now_cut))
			return false;
		/* Recovery has changed them, and may have cut them again. */
		lab_tell(S, "replay %llu", (unsigned long long)now_cut);
	}
	return true;
}

/* One workload. Counts the states; false if one of them was not right. */
static bool one_run(unsigned int limit, unsigned int *states)
{
	uint64_t first, last;
	unsigned int end = *states + limit;
	bool ok = true;

	dice_state = mix(crash_seed);
	nr_events = 0;
	nr_ops = FILL + 1;
	now_cut = 0;
	now_mode = "none";
	now_broken = 0;
	lab_tell(S, "order %llu", (unsigned long long)(crash_seed | 1));
	first = sequence();
	now->run();
	if (!now->share)
		return !now_broken;
	lab_tell(S, "stop");
	last = sequence();
	io_index();
	find_moments();
	while (ok && *states < end) {
		now_cut = choose_moment(first, last);
		ok = judge_moment(states);
	}
	lab_tell(S, "forget");
	return ok;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static bool case_run(uint64_t seed, unsigned int wanted, unsigned int *total)
{
	unsigned int states = 0, runs = 0, limit;
	double begin = seconds();
	bool ok = true;

	do {
		crash_seed = seed + runs++;
		limit = wanted - states;
		ok = one_run(limit < run_states ? limit : run_states, &states);
	} while (ok && states < wanted);
	printf("# %s (%s): %u states of %u runs, %.1f s\n", now->name,
	       now->what, states, runs, seconds() - begin);
	*total += states;
	return ok;
}

static int usage(void)
{
	fputs("usage: bj_crash [--seed N] [--states N] [--run-states N] [--scenario NAME]\n",
	      stderr);
	return 2;
}

static unsigned int list_cases(const struct scenario **list, const char *name)
{
	const struct scenario *scenario;
	unsigned int i, nr = 0;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (scenario = all[i]; scenario->name; scenario++)
			if (!name || !strcmp(name, scenario->name))
				list[nr++] = scenario;
	return nr;
}

int main(int argc, char **argv)
{
	const struct scenario *list[64];
	unsigned int states = 1500, total = 0, shares = 0, nr, i;
	uint64_t seed = time(NULL);
	const char *name = NULL, *run = NULL, *check = NULL, *log = "";
	bool failed = false;
	int at;

	for (at = 1; at + 1 < argc; at += 2) {
		if (!strcmp(argv[at], "--seed"))
			seed = strtoull(argv[at + 1], NULL, 0);
		else if (!strcmp(argv[at], "--states"))
			states = strtoul(argv[at + 1], NULL, 0);
		else if (!strcmp(argv[at], "--run-states"))
			run_states = strtoul(argv[at + 1], NULL, 0);
		else if (!strcmp(argv[at], "--scenario"))
			name = argv[at + 1];
		else if (!strcmp(argv[at], "--kill-run"))
			run = argv[at + 1];
		else if (!strcmp(argv[at], "--kill-check"))
			check = argv[at + 1];
		else if (!strcmp(argv[at], "--log"))
			log = argv[at + 1];
		else
			return usage();
	}
	nr = list_cases(list, name);
	for (i = 0; i < nr; i++)
		shares += list[i]->share;
	if (at != argc || !nr)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (dm_open())
		die("/dev/mapper/control");
	now = list[0];
	crash_seed = seed;
	dice_state = mix(seed);
	if (check)
		return !kill_check(check, log);
	if (run)
		kill_run(run);
	lab_open();
	printf("TAP version 13\n1..%u\n", nr);
	if (!name)
		puts("# conformance: 197 319");
	for (i = 0; i < nr; i++) {
		bool ok;

		now = list[i];
		ok = case_run(seed, shares ? states * now->share / shares : 0,
			      &total);
		printf("%s %u %s\n", ok ? "ok" : "not ok", i + 1, now->name);
		failed |= !ok;
	}
	lab_close();
	printf("# crash states judged: %u\n", total);
	return failed;
}
