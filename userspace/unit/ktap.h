/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A KTAP document from a list of functions. */
#ifndef UNIT_KTAP_H
#define UNIT_KTAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool case_failed;

#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			case_failed = true;				\
		}							\
	} while (0)

struct unit_case {
	const char *name;
	void (*run)(void);
};

static inline int ktap_run(const struct unit_case *cases, size_t n)
{
	int failed = 0;
	size_t i;

	printf("KTAP version 1\n1..%zu\n", n);
	for (i = 0; i < n; i++) {
		case_failed = false;
		cases[i].run();
		printf("%sok %zu %s\n", case_failed ? "not " : "", i + 1,
		       cases[i].name);
		failed += case_failed;
	}
	return failed ? 1 : 0;
}

#define KTAP_MAIN(...)							\
	int main(void)							\
	{								\
		static const struct unit_case cases[] = { __VA_ARGS__ };	\
									\
		return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));	\
	}

#endif
