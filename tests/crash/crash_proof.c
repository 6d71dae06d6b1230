// SPDX-License-Identifier: GPL-2.0
/*
 * The laboratory itself: it loses what it may lose and nothing else, and sees an
 * ordering bug that is planted.
 */
#include "bj_crash.h"

enum { OLD = FILL, NEW };

static void expect(int leg, uint64_t sector, int generation, const char *what)
{
	int64_t found = read_sector(lab_read(leg) + sector * WORDS, crash_seed,
				    sector);

	if (found != generation)
		broken("%s: leg %d, sector %llu: %lld, not %d", what, leg,
		       (unsigned long long)sector, (long long)found, generation);
}

static void materialise(const char *mode, uint64_t seed)
{
	uint64_t nr;

	lab_state(mode, seed, &nr);
}

static void begin(void)
{
	lab_fill(S, crash_seed);
	lab_fill(T, crash_seed);
	lab_tell(S, "record");
}

/* Each of the ways in which a write can be there or not. */
static void survive(void)
{
	uint64_t before_flush, end;

	begin();
	lab_write(S, 8, 1, NEW, false);
	before_flush = sequence();
	lab_flush(S);
	/* The kernel flushes after it too. */
	lab_write(S, 24, 1, NEW, true);
	lab_write(S, 16, 1, NEW, false);
	lab_write(T, 32, 1, NEW, false);
	end = sequence();
	lab_tell(S, "stop");

	materialise("drop", 0);
	expect(S, 8, NEW, "flushed, dropped");
	expect(S, 16, OLD, "not flushed, dropped");
	expect(S, 24, NEW, "FUA, dropped");
	expect(T, 32, OLD, "flushed on the other leg only, dropped");
	materialise("keep", 0);
	expect(S, 16, NEW, "kept");
	expect(T, 32, NEW, "kept");
	materialise("only", S);
	expect(S, 16, NEW, "only the source");
	expect(T, 32, OLD, "only the source");
	materialise("only", T);
	expect(S, 16, OLD, "only the target device");
	expect(T, 32, NEW, "only the target device");
	/* The first of two. */
	materialise("drop-one", 0);
	expect(S, 16, OLD, "drop one");
	expect(T, 32, NEW, "drop one");
	lab_tell(S, "replay %llu", (unsigned long long)before_flush);
	materialise("drop", 0);
	expect(S, 8, OLD, "before the flush");
	materialise("keep", 0);
	expect(S, 8, NEW, "before the flush, kept");
	expect(S, 24, OLD, "not yet written");
	lab_tell(S, "replay %llu", (unsigned long long)end);
	lab_tell(S, "forget");
}

/* Some of its sectors are there, some are not, and none is anything else. */
static void tear(void)
{
	unsigned int seed, i, torn = 0;

	begin();
	lab_write(S, 64, 8, NEW, false);
	lab_tell(S, "stop");
	for (seed = 0; seed < 32; seed++) {
		unsigned int there = 0;
		const uint64_t *image;

		materialise("tear-one", seed);
		image = lab_read(S);
		for (i = 64; i < 72; i++) {
			int64_t found = read_sector(image + i * WORDS,
						    crash_seed, i);

			there += found == NEW;
			if (found != NEW && found != OLD)
				broken("torn: sector %u holds %lld", i,
				       (long long)found);
		}
		torn += there && there < 8;
	}
	if (torn < 24)
		broken("only %u of 32 are torn", torn);
	lab_tell(S, "forget");
}

/*
 * Data go to one leg and then a record of them to the other, with a flush of the
 * first one in between or not. Returns in how many states there is a record
 * without data.
 */
static unsigned int records_without_data(bool flush)
{
	static const char * const modes[] = { "drop", "keep", "only", "random" };
	uint64_t first, last, at;
	unsigned int i, seed, bad = 0;

	begin();
	first = sequence();
	for (i = 0; i < 8; i++) {
		lab_write(T, i * 8, 8, NEW, false);
		if (flush)
			lab_flush(T);
		lab_write(S, i, 1, NEW, true);
	}
	last = sequence();
	lab_tell(S, "stop");
	for (at = first; at <= last; at++) {
		lab_tell(S, "replay %llu", (unsigned long long)at);
		for (i = 0; i < 4; i++)
			for (seed = 0; seed < 2; seed++) {
				const uint64_t *data, *records;
				unsigned int n;
				bool lost = false;

				materialise(modes[i], seed);
				records = lab_read(S);
				data = lab_read(T);
				for (n = 0; n < 64; n++)
					lost |= records[n / 8 * WORDS + 2] == NEW &&
						data[n * WORDS + 2] != NEW;
				bad += lost;
			}
	}
	lab_tell(S, "forget");
	return bad;
}

static void power(void)
{
	begin();
	lab_tell(S, "cut");
	if (lab_try_write(S, 8) != -EIO || lab_try_write(T, 8) != -EIO)
		broken("a leg works without power");
	lab_tell(S, "on");
	if (lab_try_write(S, 8))
		broken("a leg does not work again");
	lab_tell(S, "stop");
	lab_tell(S, "forget");
}

static void run(void)
{
	unsigned int bad;

	survive();
	tear();
	power();
	bad = records_without_data(true);
	if (bad)
		broken("%u records without data, and the data were flushed", bad);
	bad = records_without_data(false);
	if (!bad)
		broken("a missing flush is not seen");
}

const struct scenario proof_scenarios[] = {
	{ "laboratory", "of itself", run, NULL, 0 },
	{ NULL }
};
