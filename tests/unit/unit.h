/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KTAP for the unit tests: a program is an array of cases, a case a function
 * that says CHECK(). The first one that does not hold ends the case.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "dm-blkjob-pure.h"

struct unit_case {
	const char *name;
	void (*run)(void);
};

static jmp_buf unit_failed;

#define CHECK(condition, ...) do {					\
	if (!(condition)) {						\
		printf("# %s:%d: %s", __FILE_NAME__, __LINE__, #condition); \
		printf("; " __VA_ARGS__);				\
		printf("\n");						\
		longjmp(unit_failed, 1);				\
	}								\
} while (0)

#define CHECK_EQ(a, b) do {						\
	unsigned long long _x = (a), _y = (b);				\
	CHECK(_x == _y, #a " is %llu, " #b " is %llu", _x, _y);		\
} while (0)

static inline u64 unit_random(void)
{
	static u64 state = 42;
	u64 x = state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline int unit_run(const struct unit_case *cases, int nr)
{
	volatile int i, failed = 0;

	printf("TAP version 13\n1..%d\n", nr);
	for (i = 0; i < nr; i++) {
		bool ok = !setjmp(unit_failed);

		if (ok)
			cases[i].run();
		printf("%sok %d %s\n", ok ? "" : "not ", i + 1, cases[i].name);
		failed |= !ok;
		fflush(stdout);
	}
	return failed;
}

#define UNIT_MAIN(cases)						\
int main(void)								\
{									\
	return unit_run(cases, ARRAY_SIZE(cases));			\
}

#endif
