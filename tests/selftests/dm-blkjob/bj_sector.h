/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sectors that say where they belong: the pattern of bj_stomp and bj_data.
 */
#ifndef BJ_SECTOR_H
#define BJ_SECTOR_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512
#define WORDS		(SECTOR / 8)
#define CHUNK		(1 << 20)
#define MAGIC		0x706d6f74736a6221ULL

static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline void __attribute__((noreturn)) die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(2);
}

static inline void make_sector(uint64_t *at, uint64_t seed, uint64_t lba,
			       uint64_t gen)
{
	uint64_t x = mix(seed ^ mix(lba ^ mix(gen)));
	int i;

	at[0] = MAGIC;
	at[1] = lba;
	at[2] = gen;
	at[3] = seed;
	for (i = 4; i < WORDS; i++)
		at[i] = x = x * 6364136223846793005ULL + 1442695040888963407ULL;
}

static inline bool is_zero(const uint64_t *at)
{
	int i;

	for (i = 0; i < WORDS; i++)
		if (at[i])
			return false;
	return true;
}

/* The generation of an intact sector of @lba, -1 for zeroes, -2 for garbage. */
static inline int64_t read_sector(const uint64_t *at, uint64_t seed,
				  uint64_t lba)
{
	uint64_t want[WORDS];

	if (is_zero(at))
		return -1;
	if (at[0] != MAGIC || at[1] != lba || at[3] != seed)
		return -2;
	make_sector(want, seed, lba, at[2]);
	return memcmp(want, at, SECTOR) ? -2 : (int64_t)at[2];
}

static inline bool complain(uint64_t lba, const uint64_t *at, const char *what,
			    int64_t gen)
{
	static _Atomic int lines;

	if (lines++ < 10)
		printf("sector %llu: %s (found %lld; words %llx %llu %llu %llu)\n",
		       (unsigned long long)lba, what, (long long)gen,
		       (unsigned long long)at[0], (unsigned long long)at[1],
		       (unsigned long long)at[2], (unsigned long long)at[3]);
	return false;
}

static inline uint64_t device_sectors(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		die("size");
	return end / SECTOR;
}

/* Call @check for each sector of a range, with its number from 0 on. */
static inline int each_sector(const char *path, uint64_t offset,
			      uint64_t sectors,
			      bool (*check)(const uint64_t *at, uint64_t i))
{
	int fd = open(path, O_RDONLY | O_DIRECT);
	uint64_t i, first, bad = 0;
	void *buffer;

	if (fd < 0 || posix_memalign(&buffer, 4096, CHUNK))
		die(path);
	for (first = 0; first < sectors; first += CHUNK / SECTOR) {
		uint64_t n = sectors - first;

		if (n > CHUNK / SECTOR)
			n = CHUNK / SECTOR;
		if (pread(fd, buffer, n * SECTOR, (offset + first) * SECTOR) !=
		    (ssize_t)(n * SECTOR))
			die(path);
		for (i = 0; i < n; i++)
			bad += !check((uint64_t *)buffer + i * WORDS,
				      first + i);
	}
	close(fd);
	free(buffer);
	if (bad)
		printf("%s: %llu of %llu sectors are wrong\n", path,
		       (unsigned long long)bad, (unsigned long long)sectors);
	return !!bad;
}

#endif
