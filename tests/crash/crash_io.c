// SPDX-License-Identifier: GPL-2.0
/*
 * The consumer: two threads that write, each its own part of every region, so
 * that what a sector has gone through has one order; and flushes of both. And
 * what each sector may hold after a cut.
 */
#include "bj_crash.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

#define THREADS		2
#define CHUNK_SECTORS	32		/* in turn of one thread and the other */
#define HOT		1024		/* sectors that are written most */

struct op ops[MAX_OPS];
unsigned int nr_ops = FILL + 1;

const struct bounds io_first;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t thread[THREADS];
static _Atomic bool over;
static unsigned int io_flags;
static uint64_t dice[THREADS];

/* Operations on each sector, in their order. */
static uint16_t *history[SECTORS], nr_history[SECTORS];

static uint64_t throw(int i, uint64_t n)
{
	dice[i] += 0x9e3779b97f4a7c15ULL;
	return mix(dice[i]) % n;
}

static struct op *op_new(const struct op *op)
{
	struct op *new;

	pthread_mutex_lock(&lock);
	if (nr_ops == MAX_OPS)
		stuck("too many operations");
	new = &ops[nr_ops];
	*new = *op;
	new->before = sequence();
	new->after = NEVER;
	nr_ops++;
	kill_log("+ %td %d %u %u %d", new - ops, new->kind, new->sector, new->nr,
		 new->fua);
	pthread_mutex_unlock(&lock);
	return new;
}

static int op_write(int fd, const struct op *op, void *buffer)
{
	struct iovec vec = { buffer, op->nr * SECTOR };
	uint64_t *at = buffer;
	uint32_t i;

	for (i = 0; i < op->nr; i++)
		make_sector(at + i * WORDS, crash_seed, op->sector + i,
			    op - ops);
	return pwritev2(fd, &vec, 1, (off_t)op->sector * SECTOR,
			op->fua ? RWF_DSYNC : 0) == (ssize_t)vec.iov_len ? 0 :
								       -errno;
}

static int op_do(int fd, const struct op *op, void *buffer)
{
	uint64_t range[2] = { op->sector * SECTOR, op->nr * SECTOR };

	switch (op->kind) {
	case WRITE:
		return op_write(fd, op, buffer);
	case ZERO:
		return ioctl(fd, BLKZEROOUT, range) ? -errno : 0;
	case DISCARD:
		/* A disk need not have it. */
		return ioctl(fd, BLKDISCARD, range) && errno != EOPNOTSUPP ?
		       -errno : 0;
	default:
		return fdatasync(fd) ? -errno : 0;
	}
}

static struct op choose(int i)
{
	uint64_t what = throw(i, 100), chunk;
	struct op op = { .kind = WRITE };

	if (what < 15) {
		op.kind = FLUSH;
		return op;
	}
	op.fua = what < 25;
	if (what >= 92)
		op.kind = what >= 96 && !(io_flags & NO_DISCARDS) ? DISCARD :
								    ZERO;
	chunk = throw(i, (throw(i, 3) ? HOT : SECTORS) /
			 (CHUNK_SECTORS * THREADS)) * THREADS + i;
	op.sector = throw(i, CHUNK_SECTORS);
	op.nr = 1 + throw(i, CHUNK_SECTORS - op.sector);
	/* What is of parts of regions may be dropped. */
	if (op.kind != WRITE && throw(i, 2)) {
		op.sector = 0;
		op.nr = CHUNK_SECTORS;
	}
	op.sector += chunk * CHUNK_SECTORS;
	return op;
}

/*
 * A break, of half a millisecond at first. It becomes longer with the number of
 * operations: a job that cannot keep up gets there in the end, and there is
 * place for those of half a minute.
 */
static void take_break(int i, uint64_t nr)
{
	uint64_t ns = throw(i, 1000000) * (1 + nr / 512 * (nr / 512));

	nanosleep(&(struct timespec) {
		  .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 }, NULL);
}

static void *consumer(void *arg)
{
	int i = (intptr_t)arg, fd = open(job_node, O_RDWR | O_DIRECT), r;
	void *buffer;

	if (fd < 0 || posix_memalign(&buffer, 4096, CHUNK_SECTORS * SECTOR))
		die(job_node);
	while (!over) {
		struct op op = choose(i), *new = op_new(&op);

		r = op_do(fd, new, buffer);
		new->after = sequence();
		if (r)
			stuck("the consumer's operation %td failed: %s",
			      new - ops, strerror(-r));
		kill_log("- %td", new - ops);
		if (!throw(i, 4))
			take_break(i, new - ops);
	}
	close(fd);
	free(buffer);
	return NULL;
}

void io_begin(unsigned int flags)
{
	intptr_t i;

	io_flags = flags;
	over = false;
	for (i = 0; i < THREADS; i++) {
		dice[i] = mix(crash_seed + nr_ops * THREADS + i);
		if (pthread_create(&thread[i], NULL, consumer, (void *)i))
			die("thread");
	}
}

void io_work(unsigned int nr)
{
	unsigned int end, now;

	pthread_mutex_lock(&lock);
	end = nr_ops + nr;
	pthread_mutex_unlock(&lock);
	do {
		nanosleep(&(struct timespec) { .tv_nsec = 2000000 }, NULL);
		job_look();
		pthread_mutex_lock(&lock);
		now = nr_ops;
		pthread_mutex_unlock(&lock);
	} while (now < end);
}

void io_end(void)
{
	int i;

	over = true;
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

/*---------------------------- Histories ---------------------------*/

void io_index(void)
{
	uint16_t n[SECTORS] = { 0 };
	uint32_t x, i;

	for (i = FILL + 1; i < nr_ops; i++)
		for (x = ops[i].sector; x < ops[i].sector + ops[i].nr; x++)
			n[x]++;
	for (x = 0; x < SECTORS; x++) {
		history[x] = realloc(history[x], (n[x] + 1) * sizeof(uint16_t));
		history[x][0] = FILL;
		nr_history[x] = 1;
	}
	for (i = FILL + 1; i < nr_ops; i++)
		for (x = ops[i].sector; x < ops[i].sector + ops[i].nr; x++)
			history[x][nr_history[x]++] = i;
}

/* When the last flush that had ended at the cut was begun. */
static uint64_t flushed(uint64_t cut)
{
	uint64_t last = 0;
	unsigned int i;

	for (i = FILL + 1; i < nr_ops; i++)
		if (ops[i].kind == FLUSH && ops[i].after <= cut &&
		    ops[i].before > last)
			last = ops[i].before;
	return last;
}

/* Begun before @cut; and from the last one on that @stays. */
static void find_bounds(struct bounds *bounds, uint64_t cut,
			bool (*stays)(const struct op *op, const uint64_t *arg),
			const uint64_t *arg)
{
	uint32_t x, i;

	for (x = 0; x < SECTORS; x++) {
		bounds->from[x] = bounds->to[x] = 0;
		for (i = 1; i < nr_history[x]; i++) {
			const struct op *op = &ops[history[x][i]];

			if (op->before >= cut)
				break;
			bounds->to[x] = i;
			/* It promises nothing. */
			if (op->kind != DISCARD && stays(op, arg))
				bounds->from[x] = i;
		}
	}
}

static bool is_stable(const struct op *op, const uint64_t *arg)
{
	uint64_t cut = arg[0], stable = arg[1], kept = arg[2];

	return op->after <= stable || (op->after <= kept && op->after <= cut) ||
	       (op->fua && op->kind == WRITE && op->after <= cut);
}

void io_bounds(struct bounds *bounds, uint64_t cut, uint64_t kept)
{
	const uint64_t arg[] = { cut, flushed(cut), kept };

	find_bounds(bounds, cut, is_stable, arg);
}

static bool was_answered(const struct op *op, const uint64_t *arg)
{
	return op->after <= *arg;
}

void io_bounds_between(struct bounds *bounds, uint64_t from, uint64_t to)
{
	find_bounds(bounds, to, was_answered, &from);
}

int64_t io_found(const uint64_t *image, uint64_t x)
{
	int64_t gen = read_sector(image + x * WORDS, crash_seed, x);

	if (gen == -1)
		return 0;
	return gen == FILL || (gen > 0 && gen < nr_ops) ? gen : -1;
}

bool io_may_hold(uint64_t x, int64_t found, const struct bounds *bounds)
{
	uint16_t i, from = bounds->from[x], to = bounds->to[x];

	for (i = from; i <= to; i++) {
		uint16_t number = history[x][i];

		if (number == FILL || ops[number].kind == WRITE ?
		    found == number : !found)
			return true;
	}
	return false;
}

void io_story(uint64_t x)
{
	static const char * const names[] = { "write", "zero", "discard",
		"flush" };
	unsigned int i;

	for (i = FILL + 1; i < nr_ops; i++) {
		const struct op *op = &ops[i];

		if (op->kind != FLUSH &&
		    (x < op->sector || x >= op->sector + op->nr))
			continue;
		printf("#   consumer: %u, %s%s %u+%u, from %llu to %lld\n", i,
		       names[op->kind], op->fua ? " with FUA" : "", op->sector,
		       op->nr, (unsigned long long)op->before,
		       (long long)op->after);
	}
}

bool io_wrong(uint64_t x, int64_t found, const struct bounds *bounds,
	      const char *what)
{
	uint16_t from = bounds->from[x], to = bounds->to[x];
	char words[128] = "";
	size_t len = 0;

	for (; from <= to && len < sizeof(words); from++)
		len += snprintf(words + len, sizeof(words) - len, " %u",
				history[x][from]);
	broken("%s: sector %llu holds %lld, and may hold%s", what,
	       (unsigned long long)x, (long long)found, words);
	io_story(x);
	lab_story(x);
	return false;
}

bool io_judge(const uint64_t *image, const struct bounds *bounds,
	      const char *what)
{
	uint64_t x;

	for (x = 0; x < SECTORS; x++) {
		int64_t found = io_found(image, x);

		if (!io_may_hold(x, found, bounds))
			return io_wrong(x, found, bounds, what);
	}
	return true;
}

/*
 * Something is there that was begun at @newest, and something is not that was
 * answered at @oldest: only an instant between them can be right. A sector that
 * holds zeroes, or has a discard, could be older or newer, and tells nothing.
 */
bool io_judge_instant(const uint64_t *image, uint64_t from, uint64_t to,
		      const char *what)
{
	uint64_t x, newest = from, oldest = to, newest_x = 0, oldest_x = 0;
	struct bounds bounds;

	io_bounds_between(&bounds, from, to);
	if (!io_judge(image, &bounds, what))
		return false;
	for (x = 0; x < SECTORS; x++) {
		int64_t found = io_found(image, x);
		uint16_t i;

		if (!found)
			continue;
		if (ops[found].before > newest) {
			newest = ops[found].before;
			newest_x = x;
		}
		for (i = 1; i < nr_history[x]; i++) {
			const struct op *op = &ops[history[x][i]];

			if (history[x][i] > found && op->kind != DISCARD &&
			    op->after < oldest) {
				oldest = op->after;
				oldest_x = x;
			}
		}
	}
	if (newest <= oldest)
		return true;
	broken("%s: no instant: sector %llu has what was begun at %llu, sector %llu lacks what was answered at %llu",
	       what, (unsigned long long)newest_x, (unsigned long long)newest,
	       (unsigned long long)oldest_x, (unsigned long long)oldest);
	io_story(newest_x);
	io_story(oldest_x);
	return false;
}
