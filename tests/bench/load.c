// SPDX-License-Identifier: GPL-2.0
/* Direct I/O with a queue of a given depth; the same offsets in every run. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define HUGE (2 * MIB)	/* buffers are whole large pages */

/* Not zeroes: a copier that looks for zeroes must find none by accident. */
void *load_buffer(size_t size)
{
	void *p;

	size = (size + HUGE - 1) & ~(HUGE - 1);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("no memory for a buffer of %zu bytes", size);
	memset(p, 0xa5, size);
	return p;
}

static void free_buffer(void *p, size_t size)
{
	munmap(p, (size + HUGE - 1) & ~(HUGE - 1));
}

static int open_direct(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

/*
 * A full cycle through all places: the constants make it a permutation when
 * the number of places is a power of two, so that no place comes twice.
 */
static uint64_t next_place(uint64_t x, uint64_t places)
{
	return (x * 6364136223846793005ULL + 1442695040888963407ULL) &
	       (places - 1);
}

struct pattern {
	const struct load *l;
	uint64_t nr, place, places;
};

static void pattern_init(struct pattern *p, const struct load *l)
{
	*p = (struct pattern){ .l = l };
	if (!l->random)
		return;
	p->places = l->span / l->spacing;
	if (p->places & (p->places - 1))
		die("%llu places: not a power of two",
		    (unsigned long long)p->places);
}

static uint64_t pattern_next(struct pattern *p)
{
	uint64_t inside;

	if (!p->l->random)
		return p->nr++ * p->l->bs % p->l->span;
	p->place = next_place(p->place, p->places);
	inside = p->l->spacing / p->l->bs;
	return p->place * p->l->spacing + p->nr++ % inside * p->l->bs;
}

uint64_t load_run(const struct load *l)
{
	struct iocb cb[IO_MAX_QD], *ready[IO_MAX_QD];
	struct io_event ev[IO_MAX_QD];
	uint64_t submitted = 0, done = 0, start;
	int fd = open_direct(l->path), n, i, got;
	char *mem = load_buffer(l->qd * l->bs);
	aio_context_t ctx = 0;
	struct pattern p;

	pattern_init(&p, l);
	if (syscall(SYS_io_setup, l->qd, &ctx))
		die("io_setup: %s", strerror(errno));
	memset(cb, 0, sizeof(cb));
	for (n = 0; n < (int)l->qd; n++) {
		cb[n].aio_fildes = fd;
		cb[n].aio_lio_opcode = l->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		cb[n].aio_buf = (uintptr_t)mem + n * l->bs;
		cb[n].aio_nbytes = l->bs;
		cb[n].aio_data = n;
		ready[n] = &cb[n];
	}
	start = now_ns();
	while (done < l->ios) {
		for (i = 0; i < n && submitted + i < l->ios; i++)
			ready[i]->aio_offset = pattern_next(&p);
		if (i && syscall(SYS_io_submit, ctx, (long)i, ready) != i)
			die("%s: io_submit: %s", l->path, strerror(errno));
		submitted += i;
		got = syscall(SYS_io_getevents, ctx, 1L, (long)l->qd, ev, NULL);
		for (n = 0; n < got; n++) {
			if (ev[n].res != (long long)l->bs)
				die("%s: I/O ended with %lld", l->path, ev[n].res);
			ready[n] = &cb[ev[n].data];
		}
		done += got > 0 ? got : 0;
	}
	start = now_ns() - start;
	syscall(SYS_io_destroy, ctx);
	free_buffer(mem, l->qd * l->bs);
	close(fd);
	return start;
}

/* The best rate that queued requests of any size reach, in MiB/s. */
double load_limit(const struct nullb *nb, bool write)
{
	static const uint64_t sizes[] = { 124 * KIB, 512 * KIB, MIB };
	double rate, best = 0;
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct load l = {
			.path = nb->path,
			.write = write,
			.bs = sizes[i],
			.qd = 64,
			.span = 512 * MIB,
			.ios = 512 * MIB / sizes[i],
		};

		l.span = l.ios * l.bs;
		rate = l.span / (double)MIB * 1e9 / load_run(&l);
		if (rate > best)
			best = rate;
	}
	return best;
}

/*
 * A copier in user space: some threads, each reads a piece and writes it. One
 * thread is what "dd iflag=direct oflag=direct" does. Threads, because a
 * submitter sleeps when a device has no slot free: a single one would let the
 * other device run dry.
 */
struct copier {
	int in, out;
	char *mem;
	uint64_t span, bs;
	uint64_t next;		/* byte to copy */
	unsigned int started;	/* threads */
};

static void *copier_main(void *arg)
{
	struct copier *c = arg;
	char *mem = c->mem + c->bs *
		    __atomic_fetch_add(&c->started, 1, __ATOMIC_RELAXED);
	uint64_t at;

	while ((at = __atomic_fetch_add(&c->next, c->bs, __ATOMIC_RELAXED)) <
	       c->span) {
		if (pread(c->in, mem, c->bs, at) != (ssize_t)c->bs ||
		    pwrite(c->out, mem, c->bs, at) != (ssize_t)c->bs)
			die("copy: %s", strerror(errno));
	}
	return NULL;
}

uint64_t load_copy(const char *from, const char *to, uint64_t span,
		   uint64_t bs, unsigned int threads)
{
	struct copier c = {
		.in = open_direct(from),
		.out = open_direct(to),
		.mem = load_buffer(threads * bs),
		.span = span,
		.bs = bs,
	};
	pthread_t thread[IO_MAX_QD];
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, copier_main, &c))
			die("no thread for a copier");
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	start = now_ns() - start;
	free_buffer(c.mem, threads * bs);
	close(c.in);
	close(c.out);
	return start;
}

#define WRITER_LOG (1U << 17)

struct writer {
	pthread_t thread;
	int fd;
	uint64_t span;
	volatile bool stop;
	volatile unsigned int nr;
	uint64_t end[WRITER_LOG];	/* when each write was acknowledged */
};

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	char *mem = load_buffer(4096);
	uint64_t place = 0;

	while (!w->stop && w->nr < WRITER_LOG) {
		place = next_place(place, w->span / 4096);
		if (pwrite(w->fd, mem, 4096, place * 4096) != 4096)
			die("writer: %s", strerror(errno));
		w->end[w->nr] = now_ns();
		w->nr++;
	}
	return NULL;
}

struct writer *writer_start(const char *path, uint64_t span)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w)
		die("no memory for the writer");
	w->fd = open_direct(path);
	w->span = span;
	if (pthread_create(&w->thread, NULL, writer_main, w))
		die("no thread for the writer");
	return w;
}

void writer_stop(struct writer *w)
{
	w->stop = true;
	pthread_join(w->thread, NULL);
	if (w->nr == WRITER_LOG)
		die("writer: its log is full");
	close(w->fd);
}

void writer_free(struct writer *w)
{
	free(w);
}

/* The longest time between two acknowledgements that touches [from, to]. */
uint64_t writer_gap(struct writer *w, uint64_t from, uint64_t to)
{
	uint64_t gap = 0;
	unsigned int i;

	for (i = 1; i < w->nr; i++) {
		if (w->end[i] < from || w->end[i - 1] > to)
			continue;
		if (w->end[i] - w->end[i - 1] > gap)
			gap = w->end[i] - w->end[i - 1];
	}
	return gap;
}
