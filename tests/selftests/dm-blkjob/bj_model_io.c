// SPDX-License-Identifier: GPL-2.0
/*
 * The consumer: threads that read, write, write zeroes and discard at random.
 * Operations in flight together do not overlap.
 */
#include "bj_model_data.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

/*------------------------------ The consumer ------------------------------*/

/* May the consumer have been told of an error since then? */
static bool may_fail(uint64_t since)
{
	bool may = false;
	int i;

	pthread_mutex_lock(&data.lock);
	for (i = 0; i < 2; i++)
		may |= data.bad_until[i] >= since &&
		       data.counts_until[i] >= since;
	pthread_mutex_unlock(&data.lock);
	return may;
}

static bool overlaps(const struct op *op)
{
	int i;

	for (i = 0; i < IO_THREADS; i++)
		if (data.running[i] &&
		    op->sector < data.running[i]->sector + data.running[i]->nr &&
		    data.running[i]->sector < op->sector + op->nr)
			return true;
	return false;
}

/* Choose a range that nobody is at, when it is allowed to begin. */
static struct op *op_begin(int me, uint64_t *state)
{
	static const uint8_t kinds[] = { READ, READ, READ, READ, WRITE, WRITE,
		WRITE, WRITE, WRITE, WRITE, WRITE, WRITE, WRITE, ZERO, DISCARD };
	struct op op = { .kind = kinds[dice(state) % sizeof(kinds)] };
	uint64_t blocks = data.sectors / data.block;
	struct op *slot;

	pthread_mutex_lock(&data.lock);
	while (data.held)
		pthread_cond_wait(&data.changed, &data.lock);
	do {
		uint64_t max = dice(state) % 8 ? 32 : IO_SECTORS;
		uint64_t nr = 1 + dice(state) % (max / data.block);
		uint64_t first = dice(state) % blocks;

		/* Most of it where it has been before, too. */
		if (dice(state) % 2)
			first %= blocks / 16;
		if (dice(state) % 4 == 0)
			first &= ~7ULL;
		op.sector = first * data.block;
		op.nr = (nr < blocks - first ? nr : blocks - first) * data.block;
	} while (overlaps(&op));
	op.number = ++data.last;
	op.issue = now();
	slot = &data.ops[op.number % MAX_OPS];
	*slot = op;
	data.running[me] = slot;
	pthread_mutex_unlock(&data.lock);
	return slot;
}

static int op_run(int fd, uint64_t *buffer, const struct op *op, int flags)
{
	uint64_t range[2] = { op->sector * SECTOR, op->nr * SECTOR };
	struct iovec iov = { buffer, range[1] };
	ssize_t n;
	int i;

	switch (op->kind) {
	case ZERO:
		return ioctl(fd, BLKZEROOUT, range) ? -errno : 0;
	case DISCARD:
		return ioctl(fd, BLKDISCARD, range) ? -errno : 0;
	case WRITE:
		for (i = 0; i < op->nr; i++)
			make_sector(buffer + i * WORDS, model_seed,
				    op->sector + i, op->number);
		n = pwritev2(fd, &iov, 1, range[0], flags);
		break;
	default:
		n = preadv2(fd, &iov, 1, range[0], 0);
	}
	return n < 0 ? -errno : n == (ssize_t)range[1] ? 0 : -EAGAIN;
}

static void op_end(int me, struct op *op, int r, const uint64_t *buffer)
{
	int i;

	op->ok = !r;
	if (r == -EOPNOTSUPP && (op->kind == DISCARD || op->nowait))
		r = 0;
	if (r && r != -EAGAIN && !may_fail(op->issue)) {
		tell_story(op->sector);
		wrong("operation %u ended with %s, and no leg that counts has failed",
		      op->number, strerror(-r));
	}
	if (op->kind != READ)
		op_ended(op);
	else
		for (i = 0; op->ok && i < op->nr; i++)
			found_by_consumer(buffer + i * WORDS, op->sector + i);
	pthread_mutex_lock(&data.lock);
	op->end = now();
	data.running[me] = NULL;
	pthread_cond_broadcast(&data.changed);
	pthread_mutex_unlock(&data.lock);
}

static void sync_device(int fd)
{
	uint64_t since = now();

	if (fdatasync(fd) && !may_fail(since))
		wrong("fdatasync: %s, and no leg that counts has failed",
		      strerror(errno));
}

static void *consumer(void *arg)
{
	int me = (intptr_t)arg, fd = open_direct(data.node, O_RDWR);
	uint64_t state = mix(model_seed + 1 + me);
	uint64_t *buffer = buffer_new(IO_SECTORS * SECTOR);

	for (;;) {
		struct op *op = op_begin(me, &state);
		unsigned int chance = dice(&state) % 100, think = data.think;
		int flags = chance < 10 ? RWF_DSYNC : 0;

		op->nowait = op->kind == WRITE && chance >= 10 && chance < 12;
		if (op->nowait)
			flags = RWF_NOWAIT;
		/* A short write of NOWAIT is one that failed. */
		op_end(me, op, op_run(fd, buffer, op, flags), buffer);
		if (chance >= 95)
			sync_device(fd);
		if (think)
			usleep(dice(&state) % (2 * think));
	}
	return NULL;
}

/*------------------------------ For the master ------------------------------*/

void data_init(const char *node, uint64_t sectors, unsigned int block)
{
	data.node = node;
	data.sectors = sectors;
	data.block = block;
	data.cells = calloc(sectors, sizeof(*data.cells));
	data.ops = calloc(MAX_OPS, sizeof(*data.ops));
	if (!data.cells || !data.ops)
		die("memory");
	data.held = true;
}

void data_fill(void)
{
	uint64_t *buffer = buffer_new(IO_SECTORS * SECTOR);
	int fd = open_direct(data.node, O_RDWR);
	pthread_t thread;
	uint64_t at;
	intptr_t i;

	for (at = 0; at < data.sectors; at += IO_SECTORS) {
		uint64_t left = data.sectors - at;
		struct op *op = &data.ops[++data.last];

		*op = (struct op) { .number = data.last, .kind = WRITE,
			.sector = at, .ok = true, .issue = now(),
			.nr = left < IO_SECTORS ? left : IO_SECTORS };
		if (op_run(fd, buffer, op, 0))
			die(data.node);
		op->end = now();
		op_ended(op);
	}
	free(buffer);
	close(fd);
	for (i = 0; i < IO_THREADS; i++)
		if (pthread_create(&thread, NULL, consumer, (void *)i))
			die("thread");
}

void data_think(unsigned int us)
{
	data.think = us;
}

static bool any_running(void)
{
	int i;

	for (i = 0; i < IO_THREADS; i++)
		if (data.running[i])
			return true;
	return false;
}

bool data_hold(unsigned int ms)
{
	struct timespec end;
	bool quiet;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += ms % 1000 * 1000000L;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000L;
	end.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&data.lock);
	data.held = true;
	while (any_running() &&
	       !pthread_cond_timedwait(&data.changed, &data.lock, &end))
		;
	quiet = !any_running();
	if (!quiet)
		data.held = false;
	pthread_cond_broadcast(&data.changed);
	pthread_mutex_unlock(&data.lock);
	return quiet;
}

void data_go(void)
{
	pthread_mutex_lock(&data.lock);
	data.held = false;
	pthread_cond_broadcast(&data.changed);
	pthread_mutex_unlock(&data.lock);
}

uint64_t data_oldest(void)
{
	uint64_t oldest = 0;
	int i;

	pthread_mutex_lock(&data.lock);
	for (i = 0; i < IO_THREADS; i++)
		if (data.running[i] &&
		    (!oldest || data.running[i]->issue < oldest))
			oldest = data.running[i]->issue;
	pthread_mutex_unlock(&data.lock);
	return oldest;
}

static void set_until(uint64_t *until, bool on)
{
	pthread_mutex_lock(&data.lock);
	if (on)
		*until = UINT64_MAX;
	else if (*until == UINT64_MAX)
		*until = now();
	pthread_mutex_unlock(&data.lock);
}

void data_bad(int disk, bool bad)
{
	set_until(&data.bad_until[disk], bad);
}

void data_counts(int disk, bool counts)
{
	set_until(&data.counts_until[disk], counts);
}

