// SPDX-License-Identifier: GPL-2.0
/*
 * The two disks, each under a layer that can be made to fail, to be slow or
 * to hang.
 */
#include "bj_model.h"

#include <sys/sysmacros.h>

struct leg leg[2];
static bool has_flakey, has_delay;

static bool has_target(const char *name)
{
	char words[64];

	snprintf(words, sizeof(words), "modprobe -q dm-%s", name);
	if (system(words))
		return false;
	snprintf(words, sizeof(words), "dmsetup targets | grep -q '^%s '", name);
	return !system(words);
}

void node_of(const char *name, char *node, size_t size)
{
	int r = dm_simple(name, DM_DEV_STATUS, 0);

	if (r) {
		errno = -r;
		die(name);
	}
	snprintf(node, size, "/dev/dm-%u", minor(dm_u.dmi.dev));
}

void legs_init(const char *words[4])
{
	int i;

	has_flakey = has_target("flakey");
	has_delay = has_target("delay");
	for (i = 0; i < 2; i++) {
		int fd = open(words[2 * i + 1], O_RDONLY);

		if (fd < 0)
			die(words[2 * i + 1]);
		leg[i].layer = words[2 * i];
		leg[i].disk = words[2 * i + 1];
		leg[i].sectors = device_sectors(fd);
		/* Two that differ, and are blocks of any disk. */
		leg[i].offset = 8 + 16 * i;
		node_of(leg[i].layer, leg[i].node, sizeof(leg[i].node));
		close(fd);
	}
}

static const char *stat_path(int i)
{
	static _Thread_local char path[64];

	snprintf(path, sizeof(path), "/sys/class/block/%s/stat",
		 strrchr(leg[i].disk, '/') + 1);
	return path;
}

uint64_t leg_flushes(int i)
{
	unsigned long long n = 0;
	FILE *file = fopen(stat_path(i), "r");

	if (!file || fscanf(file, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu",
			    &n) != 1)
		die(stat_path(i));
	fclose(file);
	return n;
}

bool leg_has_cache(int i)
{
	return strstr(leg[i].disk, "loop");
}

int swap_table(const char *name, char **lines, int nr)
{
	int r = dm_load(name, 0, nr, lines);

	if (!r)
		r = dm_suspend(name, DM_NOFLUSH_FLAG);
	return r ?: dm_resume(name);
}

/* Up to three lines; the middle one is a range that fails. */
static int write_table(const struct leg *l, enum fault fault, uint64_t *state,
		       char lines[3][128])
{
	unsigned long long n = l->sectors, first = dice(state) % (n / 128) * 64;
	unsigned long long nr = 64 + dice(state) % 64 * 8;

	switch (fault) {
	case BAD:
		snprintf(lines[0], 128, "0 %llu error", n);
		return 1;
	case PARTLY:
		first += 64;
		if (nr > n - first - 64)
			nr = n - first - 64;
		snprintf(lines[0], 128, "0 %llu linear %s 0", first, l->disk);
		snprintf(lines[1], 128, "%llu %llu error", first, nr);
		snprintf(lines[2], 128, "%llu %llu linear %s %llu", first + nr,
			 n - first - nr, l->disk, first + nr);
		return 3;
	case READ_ONLY:
		snprintf(lines[0], 128, "0 %llu flakey %s 0 0 60 1 error_writes",
			 n, l->disk);
		return 1;
	case SLOW:
		snprintf(lines[0], 128, "0 %llu delay %s 0 %d", n, l->disk,
			 1 + (int)(dice(state) % 20));
		return 1;
	default:
		snprintf(lines[0], 128, "0 %llu linear %s 0", n, l->disk);
		return 1;
	}
}

void leg_set(int i, enum fault fault, uint64_t *state)
{
	char lines[3][128], *words[3] = { lines[0], lines[1], lines[2] };
	struct leg *l = &leg[i];
	bool bad;
	int r;

	if ((fault == READ_ONLY && !has_flakey) || (fault == SLOW && !has_delay))
		fault = BAD;
	bad = fault == BAD || fault == PARTLY || fault == READ_ONLY;
	if (bad) {
		l->was_bad = true;
		l->ate_flushes |= fault == BAD;
		data_bad(i, true);
	}
	if (fault == HANGS)
		r = l->fault == HANGS ? 0 : dm_suspend(l->layer, DM_NOFLUSH_FLAG);
	else
		r = swap_table(l->layer, words, write_table(l, fault, state,
							    lines));
	if (r)
		wrong("%s: the layer cannot be changed: %s", l->layer,
		      strerror(-r));
	/* What hangs in a bad layer is there no more. */
	if (!bad && fault != HANGS)
		data_bad(i, false);
	l->fault = fault;
}

void legs_heal(void)
{
	uint64_t state = 0;
	int i;

	for (i = 0; i < 2; i++)
		if (leg[i].fault != GOOD)
			leg_set(i, GOOD, &state);
}
