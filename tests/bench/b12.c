// SPDX-License-Identifier: GPL-2.0
/*
 * B12: what is written to the target device for a source with much that is
 * zero, in runs of data and of zeroes as a file system leaves them: whole
 * blocks of 4 KiB, 1 MiB at a time on the average, a few blocks or many.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SIZE	(64 * MIB)
#define BLOCK	4096ULL
#define MEAN	(MIB / BLOCK)

static const struct bound bound = { LOWER, 1.02, 1.00 };

/* Blocks in one run: from 1 to 2 * @mean - 1. */
static uint64_t run_blocks(uint64_t *random, uint64_t mean)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return 1 + (*random >> 33) % (2 * mean - 1);
}

/* Write the data; returns their bytes. */
static uint64_t fill(const char *path, unsigned int percent_zero)
{
	uint64_t random = percent_zero, at = 0, n, sum = 0;
	char *mem = load_buffer(2 * MIB);
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die("%s: cannot open it", path);
	while (at < SIZE) {
		at += BLOCK * run_blocks(&random, MEAN * percent_zero / 50);
		n = BLOCK * run_blocks(&random, MEAN * (100 - percent_zero) / 50);
		for (; n && at < SIZE; n -= BLOCK, at += BLOCK, sum += BLOCK)
			if (pwrite(fd, mem, BLOCK, at) != (ssize_t)BLOCK)
				die("%s: cannot write it", path);
	}
	close(fd);
	return sum;
}

static void one_source(unsigned int percent_zero)
{
	struct nullb_opts opts = {
		.mib = SIZE / MIB, .slots = 64, .data = true,
	};
	struct nullb from, to;
	struct dmdev job;
	uint64_t data, written;
	char line[64];

	nullb_create(&from, &opts);
	opts.data = false;
	nullb_create(&to, &opts);
	data = fill(from.path, percent_zero);
	job_create(&job, "job", &from, &to, "2 target_is_zero on");
	dm_resume(&job);
	dm_wait_state(&job, "ready");
	written = nullb_bytes(&to, true);
	snprintf(line, sizeof(line), "%u %% of runs zero, written / data",
		 percent_zero);
	report_gate(line, written / (double)data, "x", bound);
	if (written < data)
		die("not all data were written");
	dm_message(&job, "cancel force");
	dm_wait_state(&job, "concluded");
	dm_remove(&job);
	nullb_remove(&to);
	nullb_remove(&from);
}

void bench_b12(void)
{
	if (!sys_have_blkjob())
		return;
	report_title("B12", "bytes written to the target device, sparse source");
	one_source(10);
	one_source(50);
	one_source(90);
}
