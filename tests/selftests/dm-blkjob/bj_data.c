// SPDX-License-Identifier: GPL-2.0
/*
 * bj_data: fill devices, and look at what they hold, past every cache.
 */
#include "bj_sector.h"

static uint64_t check_seed, check_lba;

static bool check_filled(const uint64_t *at, uint64_t i)
{
	int64_t gen = read_sector(at, check_seed, check_lba + i);

	return !gen || complain(check_lba + i, at, "is not as filled", gen);
}

static bool check_zero(const uint64_t *at, uint64_t i)
{
	return is_zero(at) || complain(i, at, "is not zero", -2);
}

static int fill(const char *path, uint64_t seed, uint64_t offset,
		uint64_t sectors)
{
	int fd = open(path, O_RDWR | O_DIRECT);
	uint64_t i, first;
	uint64_t *buffer;

	if (fd < 0 || posix_memalign((void **)&buffer, 4096, CHUNK))
		die(path);
	for (first = 0; first < sectors; first += CHUNK / SECTOR) {
		uint64_t n = sectors - first;

		if (n > CHUNK / SECTOR)
			n = CHUNK / SECTOR;
		for (i = 0; i < n; i++)
			make_sector(buffer + i * WORDS, seed,
				    offset + first + i, 0);
		if (pwrite(fd, buffer, n * SECTOR, (offset + first) * SECTOR) !=
		    (ssize_t)(n * SECTOR))
			die(path);
	}
	close(fd);
	free(buffer);
	return 0;
}

static int other;
static uint64_t other_offset;

static bool check_same(const uint64_t *at, uint64_t i)
{
	static uint64_t first = UINT64_MAX;
	static uint64_t *buffer;

	if (!buffer && posix_memalign((void **)&buffer, 4096, CHUNK))
		die("memory");
	if (first == UINT64_MAX || i < first || i >= first + CHUNK / SECTOR) {
		first = i;
		if (pread(other, buffer, CHUNK, (other_offset + i) * SECTOR) < 0)
			die("compare");
	}
	return !memcmp(at, buffer + (i - first) * WORDS, SECTOR) ||
	       complain(i, at, "differs", -2);
}

static uint64_t number(char **argv, int i, int nr, uint64_t otherwise)
{
	return i < nr ? strtoull(argv[i], NULL, 0) : otherwise;
}

static uint64_t path_sectors(const char *path)
{
	int fd = open(path, O_RDONLY);
	uint64_t n;

	if (fd < 0)
		die(path);
	n = device_sectors(fd);
	close(fd);
	return n;
}

static int compare(int nr, char **argv)
{
	other = open(argv[1], O_RDONLY | O_DIRECT);
	if (other < 0)
		die(argv[1]);
	other_offset = number(argv, 3, nr, 0);
	return each_sector(argv[0], number(argv, 2, nr, 0),
			   nr > 4 ? number(argv, 4, nr, 0) :
				    path_sectors(argv[0]), check_same);
}

int main(int argc, char **argv)
{
	uint64_t offset, sectors;
	const char *verb = argv[1];
	int nr = argc - 2;

	if (nr < 2) {
		fputs("usage: bj_data compare DEVICE DEVICE [OFFSET [OFFSET [SECTORS]]]\n"
		      "       bj_data fill DEVICE SEED [OFFSET [SECTORS]]\n"
		      "       bj_data check DEVICE SEED [OFFSET [SECTORS [LBA]]]\n"
		      "       bj_data zero DEVICE - [OFFSET [SECTORS]]\n", stderr);
		return 2;
	}
	argv += 2;
	if (!strcmp(verb, "compare"))
		return compare(nr, argv);
	offset = number(argv, 2, nr, 0);
	sectors = nr > 3 ? number(argv, 3, nr, 0) :
			   path_sectors(argv[0]) - offset;
	check_seed = number(argv, 1, nr, 0);
	check_lba = number(argv, 4, nr, offset);
	if (!strcmp(verb, "fill"))
		return fill(argv[0], check_seed, offset, sectors);
	if (!strcmp(verb, "check"))
		return each_sector(argv[0], offset, sectors, check_filled);
	if (!strcmp(verb, "zero"))
		return each_sector(argv[0], offset, sectors, check_zero);
	return 2;
}
