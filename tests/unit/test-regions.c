// SPDX-License-Identifier: GPL-2.0
/*
 * The region map against a plain array of bits.
 */
#include "dm-blkjob-regions.h"
#include "unit.h"

#define OPS	100000

static struct bj_regions map;
static bool *model;

static void start(u64 nr, bool dirty)
{
	shim_fail_every = 0;
	CHECK_EQ(bj_regions_init(&map, nr, dirty), 0);
	free(model);
	model = malloc(nr);
	memset(model, dirty, nr);
}

static u64 model_next(u64 from)
{
	while (from < map.nr && !model[from])
		from++;
	return from;
}

static u64 model_run(u64 from, u64 max)
{
	u64 n = 0;

	while (n < max && from + n < map.nr && model[from + n])
		n++;
	return n;
}

static u64 model_count(void)
{
	u64 i, n = 0;

	for (i = 0; i < map.nr; i++)
		n += model[i];
	return n;
}

/* A range that is often short and sometimes everything. */
static void any_range(u64 *first, u64 *last)
{
	u64 room;

	*first = unit_random() % map.nr;
	room = map.nr - *first;
	*last = *first + unit_random() % (1 + unit_random() % room);
	if (!(unit_random() % 8))
		*last = min(*first + unit_random() % 70, map.nr - 1);
	if (!(unit_random() % 4))
		*last = *first;
}

static void one_op(void)
{
	u64 first, last, i, n = 0;
	long r;

	any_range(&first, &last);
	switch (unit_random() % 6) {
	case 0:
		bj_regions_set(&map, first, last);
		memset(model + first, true, last - first + 1);
		break;
	case 1:
		for (i = first; i <= last; i++)
			n += model[i];
		r = bj_regions_clear(&map, first, last);
		/* An all-dirty leaf is split at once; nothing else is counted. */
		CHECK_EQ(r, n);
		memset(model + first, false, last - first + 1);
		break;
	case 2:
		CHECK_EQ(bj_regions_next(&map, first), model_next(first));
		break;
	case 3:
		CHECK_EQ(bj_regions_run(&map, first, last - first + 1),
			 model_run(first, last - first + 1));
		break;
	case 4:
		CHECK_EQ(bj_regions_dirty(&map, first, last),
			 model_next(first) <= last);
		break;
	case 5:
		if (map.nr < 1000 || !(unit_random() % 64))
			CHECK_EQ(bj_regions_count(&map), model_count());
		break;
	}
}

static void random_ops(u64 nr, bool dirty, unsigned int ops)
{
	start(nr, dirty);
	while (ops--)
		one_op();
	CHECK_EQ(bj_regions_count(&map), model_count());
	bj_regions_exit(&map);
}

static void small(void)
{
	random_ops(1, false, OPS);
	random_ops(1, true, OPS);
	random_ops(63, true, OPS);
	random_ops(64, true, OPS);
	random_ops(65, false, OPS);
}

static void leaf(void)
{
	random_ops(32767, true, OPS / 10);
	random_ops(32768, true, OPS / 10);
	random_ops(32769, true, OPS / 10);
	random_ops(32769, false, OPS / 10);
}

static void many(void)
{
	random_ops(100000, true, OPS / 20);
	random_ops(100000, false, OPS / 20);
}

/* The sweep of a job: every region once, memory follows. */
static void sweep(void)
{
	u64 nr = 100000, at = 0, n, sum = 0;

	start(nr, true);
	while ((at = bj_regions_next(&map, at)) < nr) {
		n = bj_regions_run(&map, at, 1 + unit_random() % 300);
		CHECK(n > 0, "at %llu", at);
		CHECK_EQ(bj_regions_clear(&map, at, at + n - 1), n);
		sum += n;
		at += n;
	}
	CHECK_EQ(sum, nr);
	CHECK_EQ(bj_regions_next(&map, 0), nr);
	CHECK_EQ(bj_regions_count(&map), 0);
	bj_regions_exit(&map);
}

/* 2^34 regions: 1 PiB of 64 KiB. */
static void huge(void)
{
	u64 nr = 1ULL << 34, at, i, spots[64];

	CHECK_EQ(bj_regions_init(&map, nr, false), 0);
	CHECK_EQ(bj_regions_next(&map, 0), nr);
	CHECK_EQ(bj_regions_next(&map, nr - 1), nr);
	for (i = 0; i < ARRAY_SIZE(spots); i++) {
		spots[i] = i * (nr / ARRAY_SIZE(spots)) +
			   unit_random() % (nr / ARRAY_SIZE(spots));
		bj_regions_set(&map, spots[i], spots[i]);
	}
	for (at = i = 0; i < ARRAY_SIZE(spots); i++, at++) {
		at = bj_regions_next(&map, at);
		CHECK_EQ(at, spots[i]);
		CHECK_EQ(bj_regions_run(&map, at, 10), 1);
	}
	CHECK_EQ(bj_regions_next(&map, at), nr);
	bj_regions_set(&map, nr - 1, nr - 1);
	CHECK_EQ(bj_regions_next(&map, at), nr - 1);
	CHECK_EQ(bj_regions_clear(&map, nr - 1, nr - 1), 1);
	CHECK_EQ(bj_regions_count(&map), ARRAY_SIZE(spots));
	bj_regions_set(&map, 0, nr - 1);
	CHECK_EQ(bj_regions_count(&map), nr);
	CHECK_EQ(bj_regions_run(&map, 0, nr), nr);
	bj_regions_exit(&map);

	CHECK_EQ(bj_regions_init(&map, nr, true), 0);
	CHECK_EQ(bj_regions_count(&map), nr);
	CHECK_EQ(bj_regions_clear(&map, nr / 2, nr / 2), 1);
	CHECK_EQ(bj_regions_count(&map), nr - 1);
	bj_regions_exit(&map);
}

/* Not more than 64 KiB for each TiB at the start, and 2 MiB at most. */
static void memory(void)
{
	u64 tib = (1ULL << 40) / 65536;

	CHECK_EQ(bj_regions_init(&map, tib, true), 0);
	CHECK(bj_regions_memory(&map) <= 65536, "%zu bytes",
	      bj_regions_memory(&map));
	for (u64 i = 0; i < tib; i += 2)
		bj_regions_clear(&map, i, i);
	CHECK(bj_regions_memory(&map) <= (2 << 20) + 65536, "%zu bytes",
	      bj_regions_memory(&map));
	bj_regions_exit(&map);
}

/* No map at all: an error, and nothing to free. */
static void no_map(void)
{
	shim_fail_every = 1;
	CHECK(bj_regions_init(&map, 100000, true) == -ENOMEM, "-");
	bj_regions_exit(&map);
	shim_fail_every = 2;
	CHECK(bj_regions_init(&map, 100000, true) == -ENOMEM ||
	      bj_regions_init(&map, 100000, true) == -ENOMEM, "-");
	shim_fail_every = 0;
}

/* Without memory too much may be dirty, but nothing that was set is clean. */
static void no_pages(void)
{
	u64 nr = 100000, first, last, i;
	unsigned int op;
	long r;

	start(nr, false);
	for (op = 0; op < OPS / 20; op++) {
		shim_fail_every = unit_random() % 3;
		any_range(&first, &last);
		last = min(last, first + 100);
		if (unit_random() % 2) {
			bj_regions_set(&map, first, last);
			memset(model + first, true, last - first + 1);
		} else {
			r = bj_regions_clear(&map, first, last);
			CHECK(r >= -ENOMEM && r <= (long)(last - first + 1),
			      "%ld", r);
			if (r >= 0)
				memset(model + first, false, last - first + 1);
			/* otherwise a first part may be clean: so is the model */
			for (i = first; r < 0 && i <= last; i++)
				model[i] &= bj_regions_dirty(&map, i, i);
		}
		for (i = first; i <= last; i++)
			CHECK(!model[i] || bj_regions_dirty(&map, i, i),
			      "region %llu was lost", i);
		CHECK(model_next(first) >= bj_regions_next(&map, first),
		      "a region was skipped");
	}
	shim_fail_every = 1;
	bj_regions_set(&map, 0, nr - 1);
	CHECK_EQ(bj_regions_count(&map), nr);
	shim_fail_every = 0;
	bj_regions_exit(&map);
}

/* Memory fails for the page of a clean leaf: the leaf is dirty, no more. */
static void leaf_degrades(void)
{
	start(100000, false);
	shim_fail_every = 1;
	bj_regions_set(&map, 40000, 40000);
	CHECK_EQ(bj_regions_count(&map), 32768);
	CHECK_EQ(bj_regions_next(&map, 0), 32768);
	CHECK_EQ(bj_regions_run(&map, 32768, 100000), 32768);
	CHECK(bj_regions_clear(&map, 40000, 40000) == -ENOMEM, "-");
	CHECK_EQ(bj_regions_count(&map), 32768);
	shim_fail_every = 0;
	CHECK_EQ(bj_regions_clear(&map, 0, 99999), 32768);
	CHECK_EQ(bj_regions_next(&map, 0), 100000);
	bj_regions_exit(&map);
}

/* With all its memory a clear cannot fail, and nothing else has changed. */
static void prepared(void)
{
	u64 i;

	start(100000, true);
	shim_fail_every = 1;
	CHECK(bj_regions_prepare(&map) == -ENOMEM, "-");
	shim_fail_every = 0;
	CHECK_EQ(bj_regions_prepare(&map), 0);
	CHECK_EQ(bj_regions_count(&map), 100000);
	CHECK_EQ(bj_regions_run(&map, 0, 100000), 100000);
	shim_fail_every = 1;
	for (i = 0; i < 100000; i += 3)
		CHECK_EQ(bj_regions_clear(&map, i, i), 1);
	CHECK_EQ(bj_regions_count(&map), 66666);
	shim_fail_every = 0;
	bj_regions_exit(&map);
}

/* With memory for a range a bit of it is one bit, whatever fails then. */
static void reserved(void)
{
	start(100000, false);
	shim_fail_every = 1;
	CHECK_EQ(bj_regions_reserve(&map, 32767, 32768), -ENOMEM);
	shim_fail_every = 0;
	CHECK_EQ(bj_regions_reserve(&map, 32767, 32768), 0);
	shim_fail_every = 1;
	CHECK_EQ(bj_regions_reserve(&map, 0, 65535), 0);
	CHECK_EQ(bj_regions_count(&map), 0);
	bj_regions_set(&map, 32767, 32769);
	bj_regions_set(&map, 5, 5);
	CHECK_EQ(bj_regions_count(&map), 4);
	CHECK_EQ(bj_regions_next(&map, 6), 32767);
	CHECK_EQ(bj_regions_run(&map, 32767, 100), 3);
	/* What is dirty as a whole needs none. */
	bj_regions_set(&map, 65536, 99999);
	CHECK_EQ(bj_regions_reserve(&map, 65536, 65540), 0);
	CHECK_EQ(bj_regions_count(&map), 4 + 34464);
	shim_fail_every = 0;
	bj_regions_exit(&map);
}

static const struct unit_case cases[] = {
	{ "regions: up to 65", small },
	{ "regions: around one leaf", leaf },
	{ "regions: 100000", many },
	{ "regions: a sweep", sweep },
	{ "regions: 2^34", huge },
	{ "regions: memory", memory },
	{ "regions: no memory for the map", no_map },
	{ "regions: no memory for pages", no_pages },
	{ "regions: a leaf degrades", leaf_degrades },
	{ "regions: prepared", prepared },
	{ "regions: reserved", reserved },
};

UNIT_MAIN(cases)
