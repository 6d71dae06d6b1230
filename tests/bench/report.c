// SPDX-License-Identifier: GPL-2.0
/* The table. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static unsigned int gates_passed, gates_missed;

void report_title(const char *id, const char *what)
{
	printf("\n%s %s\n", id, what);
}

static void report_line(const char *who, double value, const char *unit,
			const char *rest)
{
	/* Enough digits that a change of 0.1 % shows. */
	printf("  %-40s %11.*f %s%*s%s\n", who,
	       value < 10 && value > -10 ? 3 : value < 1000 ? 1 : 0, value,
	       unit, *rest ? 10 - (int)strlen(unit) : 0, "", rest);
	fflush(stdout);
}

void report_value(const char *who, double value, const char *unit,
		  const char *fmt, ...)
{
	char rest[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	report_line(who, value, unit, rest);
}

static bool reached(double value, enum better better, double bound)
{
	return better == LOWER ? value <= bound : value >= bound;
}

void report_gate(const char *who, double value, const char *unit,
		 struct bound b)
{
	bool gate = reached(value, b.better, b.gate);
	bool target = reached(value, b.better, b.target);
	const char *sign = b.better == LOWER ? "<=" : ">=";
	char rest[128];

	snprintf(rest, sizeof(rest), "gate %s %g, target %s %g: %s", sign,
		 b.gate, sign, b.target,
		 target ? "PASS, target reached" : gate ? "PASS" : "below");
	if (gate)
		gates_passed++;
	else
		gates_missed++;
	report_line(who, value, unit, rest);
}

/* Returns the number of gates missed. */
int report_summary(void)
{
	printf("\nbench: %u gates passed, %u below\n", gates_passed,
	       gates_missed);
	return gates_missed;
}
