// SPDX-License-Identifier: GPL-2.0
/*
 * What each sector of the device may hold, and what the disks hold.
 *
 * A sector carries the number of the operation that wrote it (bj_sector.h). It
 * must hold what the last acknowledged operation left, or what a later one that
 * failed was to leave; what a read has once found there stays.
 */
#include "bj_model_data.h"

#define OUTSIDE		64	/* sectors looked at before and behind */

struct data data = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

/*------------------------------ Contents ------------------------------*/

static void cell_set(struct cell *cell, uint32_t content)
{
	cell->nr = 1;
	cell->content[0] = content;
}

static bool cell_has(const struct cell *cell, uint32_t content)
{
	int i;

	for (i = 0; i < cell->nr; i++)
		if (cell->content[i] == content)
			return true;
	return !cell->nr;
}

static void cell_add(struct cell *cell, uint32_t content)
{
	if (cell_has(cell, content))
		return;
	if (cell->nr == MAX_CONTENTS)
		cell->nr = 0;
	else
		cell->content[cell->nr++] = content;
}

void op_ended(const struct op *op)
{
	uint32_t content = op->kind == WRITE ? op->number : ZEROES, s;

	for (s = op->sector; s < op->sector + op->nr; s++) {
		if (op->ok && op->kind != DISCARD)
			cell_set(&data.cells[s], content);
		else
			cell_add(&data.cells[s], content);
	}
}

void tell_story(uint64_t sector)
{
	static const char * const names[] = { "read", "write", "zero", "discard" };
	uint32_t number = data.last;
	int lines = 12;

	while (number && lines && data.last - number < MAX_OPS) {
		const struct op *op = &data.ops[number-- % MAX_OPS];

		if (sector < op->sector || sector >= op->sector + op->nr)
			continue;
		note("sector %llu: operation %u, %s %u+%u, from %llu to %llu us, %s",
		     (unsigned long long)sector, op->number, names[op->kind],
		     op->sector, op->nr, (unsigned long long)op->issue / 1000,
		     (unsigned long long)op->end / 1000,
		     op->ok ? "done" : op->end ? "failed" : "in flight");
		lines--;
	}
}

static void __attribute__((noreturn))
wrong_sector(uint64_t sector, int64_t found, const char *what)
{
	const struct cell *cell = &data.cells[sector];
	char words[128] = "anything";
	size_t len = 0;
	int i;

	for (i = 0; i < cell->nr; i++)
		len += snprintf(words + len, sizeof(words) - len, " %u",
				cell->content[i]);
	tell_story(sector);
	wrong("%s: sector %llu holds %lld, and may hold %s", what,
	      (unsigned long long)sector, (long long)found, words);
}

/* Content of a sector as it was read, -1 = nothing that was ever written. */
static int64_t content_of(const uint64_t *at, uint64_t sector)
{
	int64_t gen = read_sector(at, model_seed, sector);

	return gen == -1 ? ZEROES : gen <= 0 ? -1 : gen;
}

static void check_found(const uint64_t *at, uint64_t sector, bool settle,
			const char *what)
{
	int64_t found = content_of(at, sector);

	if (found < 0 || !cell_has(&data.cells[sector], found))
		wrong_sector(sector, found, what);
	if (settle)
		cell_set(&data.cells[sector], found);
}

void found_by_consumer(const uint64_t *at, uint64_t sector)
{
	check_found(at, sector, true, "read by the consumer");
}

/*------------------------------ Disks ------------------------------*/

int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	if (fd < 0)
		die(path);
	return fd;
}

void *buffer_new(size_t size)
{
	void *buffer;

	if (posix_memalign(&buffer, 4096, size))
		die("memory");
	return buffer;
}

/* All of the device's sectors as they are on a disk. */
static uint64_t *read_all(const char *path, uint64_t offset)
{
	uint64_t *buffer = buffer_new(data.sectors * SECTOR);
	int fd = open_direct(path, O_RDONLY);

	if (pread(fd, buffer, data.sectors * SECTOR, offset * SECTOR) !=
	    (ssize_t)(data.sectors * SECTOR))
		die(path);
	close(fd);
	return buffer;
}

void data_check_disk(const char *path, uint64_t offset, const bool *exempt,
		     const char *what)
{
	uint64_t *all = read_all(path, offset), s;

	for (s = 0; s < data.sectors; s++)
		if (!exempt[s])
			check_found(all + s * WORDS, s, false, what);
	free(all);
}

void data_check_same(const char *a, uint64_t offset_a, const char *b,
		     uint64_t offset_b, const bool *exempt, const char *what)
{
	uint64_t *all_a = read_all(a, offset_a), *all_b = read_all(b, offset_b);
	uint64_t s;

	for (s = 0; s < data.sectors; s++) {
		if (exempt[s] ||
		    !memcmp(all_a + s * WORDS, all_b + s * WORDS, SECTOR))
			continue;
		note("the source holds %lld",
		     (long long)content_of(all_a + s * WORDS, s));
		wrong_sector(s, content_of(all_b + s * WORDS, s), what);
	}
	free(all_a);
	free(all_b);
}

void data_check_outside(const char *path, uint64_t offset)
{
	uint64_t size, first, *buffer = buffer_new(OUTSIDE * SECTOR);
	int fd = open_direct(path, O_RDONLY), i, part;

	size = device_sectors(fd);
	for (part = 0; part < 2; part++) {
		first = part ? offset + data.sectors : 0;
		for (i = 0; i < OUTSIDE; i += data.block) {
			uint64_t at = first + i;

			if (part ? at >= size : at >= offset)
				break;
			if (pread(fd, buffer, data.block * SECTOR, at * SECTOR) < 0)
				die(path);
			if (!is_zero(buffer))
				wrong("%s: sector %llu lies outside and was written",
				      path, (unsigned long long)at);
		}
	}
	free(buffer);
	close(fd);
}

/*
 * Something is there that was issued at max_issue, and something is not that
 * was acknowledged at min_ack: only an instant between them can be right.
 */
struct instant {
	uint64_t max_issue, min_ack;
	uint64_t issue_sector, ack_sector;
};

static void look_at_op(const struct op *op, const uint32_t *held,
		       const bool *exempt, struct instant *instant)
{
	uint32_t s;

	if (op->kind == READ || op->kind == DISCARD)
		return;
	for (s = op->sector; s < op->sector + op->nr; s++) {
		if (exempt[s])
			continue;
		if (held[s] == op->number && op->kind == WRITE &&
		    op->issue > instant->max_issue) {
			instant->max_issue = op->issue;
			instant->issue_sector = s;
		} else if (op->number > held[s] && op->ok &&
			   op->end < instant->min_ack) {
			instant->min_ack = op->end;
			instant->ack_sector = s;
		}
	}
}

/* Which operation left what each sector holds? Zeroes: the last that could. */
static uint32_t *who_wrote(const char *path, uint64_t offset, uint32_t oldest,
			   const bool *exempt)
{
	uint64_t *all = read_all(path, offset), s;
	uint32_t *held = calloc(data.sectors, sizeof(*held)), i;

	if (!held)
		die("memory");
	for (i = oldest; i <= data.last; i++) {
		const struct op *op = &data.ops[i % MAX_OPS];

		for (s = op->sector; s < op->sector + op->nr; s++)
			if (op->kind == ZERO || op->kind == DISCARD)
				held[s] = op->number;
	}
	for (s = 0; s < data.sectors; s++) {
		int64_t found = content_of(all + s * WORDS, s);

		if (found < 0 && !exempt[s])
			wrong_sector(s, found, "copy of an instant");
		if (found > 0)
			held[s] = found;
		/* Zeroes that were left longer ago than is remembered. */
		else if (!held[s])
			held[s] = UINT32_MAX;
	}
	free(all);
	return held;
}

void data_check_instant(const char *path, uint64_t offset, const bool *exempt,
			uint64_t from, uint64_t to)
{
	uint32_t oldest = data.last < MAX_OPS ? 1 : data.last - MAX_OPS + 1, i;
	uint32_t *held = who_wrote(path, offset, oldest, exempt);
	struct instant instant = { .max_issue = from, .min_ack = to };

	for (i = oldest; i <= data.last; i++)
		look_at_op(&data.ops[i % MAX_OPS], held, exempt, &instant);
	free(held);
	if (instant.max_issue <= instant.min_ack)
		return;
	tell_story(instant.issue_sector);
	tell_story(instant.ack_sector);
	wrong("no instant: sector %llu has what was issued at %llu us, sector %llu lacks what was acknowledged at %llu us",
	      (unsigned long long)instant.issue_sector,
	      (unsigned long long)instant.max_issue / 1000,
	      (unsigned long long)instant.ack_sector,
	      (unsigned long long)instant.min_ack / 1000);
}
