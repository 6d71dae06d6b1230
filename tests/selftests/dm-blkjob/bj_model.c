// SPDX-License-Identifier: GPL-2.0
/*
 * bj_model: drive a job at random, under random I/O, over disks that fail at
 * random, and compare what it does with a model: which verbs it accepts and
 * which state follows (bj_model_state.c), what each sector holds, also on the
 * disks themselves (bj_model_data.c), and what the status may say.
 *
 * One job follows the other, each from the disk where the last one ended. The
 * device and the layers over the disks exist already (dm names), and hold
 * nothing but zeroes. Random numbers follow from the seed; what happens does
 * not altogether, because threads run as they like.
 */
#include "bj_model.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

#include "bj_model_run.h"

#define RING		50
#define STEPS_OF_JOB	120

uint64_t model_seed;
struct run run;

static char ring[RING][256];
static unsigned int ring_at;
static volatile bool over;	/* what others find now is of no interest */
static pthread_mutex_t wrong_lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t dice(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix(*state);
}

uint64_t roll(uint64_t n)
{
	return dice(&run.dice) % n;
}

void note(const char *format, ...)
{
	va_list args;

	if (over)
		return;
	va_start(args, format);
	printf("  ");
	vprintf(format, args);
	puts("");
	va_end(args);
}

void did(const char *format, ...)
{
	char *line = ring[ring_at++ % RING];
	va_list args;
	int n;

	n = snprintf(line, sizeof(ring[0]), "%llu us, step %u: ",
		     (unsigned long long)now() / 1000, run.steps);
	va_start(args, format);
	vsnprintf(line + n, sizeof(ring[0]) - n, format, args);
	va_end(args);
}

/* Threads that wait for I/O must be able to end. Nobody looks any more. */
static void let_go(void)
{
	char line[64], *lines[] = { line };
	int i;

	dm_message(run.job, 0, "cancel force");
	for (i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), "0 %llu linear %s 0",
			 (unsigned long long)leg[i].sectors, leg[i].disk);
		swap_table(leg[i].layer, lines, 1);
	}
	dm_resume(run.job);
}

void wrong(const char *format, ...)
{
	va_list args;
	unsigned int i;

	/* For ever: the first one speaks. */
	pthread_mutex_lock(&wrong_lock);
	printf("WRONG: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nseed %llu, step %u, job %u; the last operations:\n",
	       (unsigned long long)model_seed, run.steps, run.jobs);
	for (i = ring_at < RING ? 0 : ring_at - RING; i != ring_at; i++)
		note("%s", ring[i % RING]);
	note("status: %s", run.last.line);
	note("the model: %s", state_words());
	fflush(stdout);
	over = true;
	let_go();
	_exit(1);
}

/*------------------------------ Steps ------------------------------*/

static void step_wait(void)
{
	enum blkjob_state before = run.last.state;
	uint64_t end = now() + 200 * MS;

	if (roll(2)) {
		usleep(roll(10000));
		return;
	}
	/* Until something comes by itself. */
	while (observe()->state == before && now() < end)
		usleep(3000);
}

static void step_load(void)
{
	static const unsigned int thinks[] = { 0, 200, 1000, 5000, 30000 };
	unsigned int us = thinks[roll(5)];

	did("the consumer thinks for %u us", us);
	data_think(us);
}

static void step_fault(void)
{
	static const char * const names[] = { "good", "bad", "partly bad",
		"read-only", "slow", "hanging" };
	enum fault fault = roll(3) ? roll(NR_FAULTS) : GOOD;
	int i = roll(2);

	if (run.calm)
		return;
	did("layer %d becomes %s", i, names[fault]);
	leg_set(i, fault, &run.dice);
	if (fault == HANGS) {
		usleep(roll(30) * 1000);
		observe();
	}
}

static void step_heal(void)
{
	did("both layers become good");
	legs_heal();
}

/* One layer fails for a moment, in the middle of work. */
static void step_incident(void)
{
	int i = roll(2);

	if (run.calm)
		return;
	did("layer %d fails for a moment", i);
	data_think(200);
	leg_set(i, BAD + roll(READ_ONLY - BAD + 1), &run.dice);
	usleep(roll(30) * 1000);
	observe();
	legs_heal();
	observe();
	step_look();
}

static const struct {
	unsigned int weight;
	void (*step)(void);
} steps[] = {
	{ 34, step_verb },
	{ 8, step_two_masters },
	{ 20, step_wait },
	{ 5, step_load },
	{ 7, step_fault },
	{ 6, step_heal },
	{ 6, step_incident },
	{ 4, step_suspend },
	{ 2, step_reload },
	{ 10, step_look },
};

static void one_step(void)
{
	unsigned int i, at, all = 0;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		all += steps[i].weight;
	at = roll(all);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	run.steps++;
	steps[i].step();
	observe();
	check_events();
	check_alive();
}

static void play(unsigned int seconds)
{
	uint64_t end = now() + seconds * 1000 * MS;

	do {
		unsigned int i, limit = 10 + roll(STEPS_OF_JOB);

		job_begin();
		for (i = 0; i < limit && now() < end &&
		     (run.last.state != BLKJOB_CONCLUDED || roll(4)); i++)
			one_step();
		job_end();
	} while (now() < end);
	printf("seed %llu: %u jobs, %u steps, %u verbs accepted, %u refused, %u looks at the disks, %u turns; completed %u on the target device, %u on the source, cancelled %u\n",
	       (unsigned long long)model_seed, run.jobs, run.steps,
	       run.accepted, run.refused, run.looks, run.turns,
	       run.ends[0], run.ends[1], run.ends[2]);
}

static void on_signal(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int seconds = 60, block = 1;
	const char *words[4];
	int i;

	model_seed = now() % 1000000000;
	for (i = 1; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		unsigned long long n = strtoull(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--seed"))
			model_seed = n;
		else if (!strcmp(argv[i], "--seconds"))
			seconds = n;
		else if (!strcmp(argv[i], "--block"))
			block = n / SECTOR;
	}
	if (argc - i != 5 || !block) {
		fputs("usage: bj_model [--seed N] [--seconds N] [--block BYTES] "
		      "JOB LAYER DISK LAYER DISK\n", stderr);
		return 2;
	}
	run.job = argv[i];
	memcpy(words, argv + i + 1, sizeof(words));
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu\n", (unsigned long long)model_seed);
	sigaction(SIGUSR1, &action, NULL);
	if (dm_open())
		die("/dev/mapper/control");
	run.dice = mix(model_seed);
	legs_init(words);
	run_init(block);
	play(seconds);
	return 0;
}
