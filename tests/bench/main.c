// SPDX-License-Identifier: GPL-2.0
/* Arguments name the benchmarks, none means all. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

static const struct {
	const char *name;
	void (*run)(void);
	bool two_cpus;		/* not in the guest that counts */
} benches[] = {
	{ "b1", bench_b1 },
	{ "b2", bench_b2 },
	{ "b3", bench_b3 },
	{ "b4", bench_b4, true },
	{ "b5", bench_b5 },
	{ "b6", bench_b6 },
	{ "b7", bench_b7 },
	{ "b8", bench_b8 },
	{ "b10", bench_b10 },
	{ "b11", bench_b11 },
	{ "b12", bench_b12 },
	{ "b13", bench_b13 },
	{ "speed", bench_speed },
};

static bool selected(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc <= 1;
}

int main(int argc, char **argv)
{
	bool two_cpus = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	struct utsname uts;
	unsigned int i;

	sys_init();
	dm_open();
	uname(&uts);
	printf("Linux %s, %s\n", uts.release,
	       two_cpus ? "two processors" : "1 ns = 1 instruction");
	if (!sys_have_blkjob())
		printf("dm-blkjob is not loaded: peers only\n");
	for (i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (benches[i].two_cpus == two_cpus &&
		    selected(benches[i].name, argc, argv))
			benches[i].run();
	return report_summary() ? 1 : 0;
}
