// SPDX-License-Identifier: GPL-2.0
/* null_blk devices, made through configfs. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define CONFIGFS "/sys/kernel/config/nullb"

static void nullb_set(const struct nullb *nb, const char *key,
		      unsigned long long value)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIGFS "/%s/%s", nb->name, key);
	sys_write(path, "%llu\n", value);
}

void nullb_create(struct nullb *nb, const struct nullb_opts *opts)
{
	static unsigned int nr;
	char path[128];

	snprintf(nb->name, sizeof(nb->name), "bench%u", nr++);
	snprintf(nb->path, sizeof(nb->path), "/dev/%s", nb->name);
	nb->sectors = opts->mib * MIB / SECTOR;
	snprintf(path, sizeof(path), CONFIGFS "/%s", nb->name);
	if (mkdir(path, 0755))
		die("%s: %s", path, strerror(errno));
	nullb_set(nb, "size", opts->mib);
	nullb_set(nb, "queue_mode", 2);
	nullb_set(nb, "submit_queues", opts->queues ? opts->queues : 1);
	nullb_set(nb, "hw_queue_depth", opts->slots);
	nullb_set(nb, "irqmode", opts->latency_us ? 2 : 0);
	if (opts->latency_us)
		nullb_set(nb, "completion_nsec", opts->latency_us * 1000ULL);
	nullb_set(nb, "memory_backed", opts->data);
	nullb_set(nb, "power", 1);
	/* As an NVMe device has it: one hardware queue would get mq-deadline. */
	snprintf(path, sizeof(path), "/sys/block/%s/queue/scheduler",
		 nb->name);
	sys_write(path, "none\n");
}

void nullb_remove(struct nullb *nb)
{
	char path[128];

	nullb_set(nb, "power", 0);
	snprintf(path, sizeof(path), CONFIGFS "/%s", nb->name);
	if (rmdir(path))
		die("%s: %s", path, strerror(errno));
}
/* Bytes that the device was asked to read or to write so far. */
uint64_t nullb_bytes(const struct nullb *nb, bool write)
{
	unsigned long long sectors[2];
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", nb->name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*u %*u %llu %*u %*u %*u %llu", &sectors[0],
			 &sectors[1]) != 2)
		die("%s: cannot read it", path);
	fclose(f);
	return sectors[write] * SECTOR;
}

