// SPDX-License-Identifier: GPL-2.0
/*
 * bj_stomp: writes to a device in a way that can be checked afterwards.
 *
 * Every sector of 512 bytes says where it belongs (LBA), which operation wrote
 * it (its generation) and is otherwise a function of both and of a seed, so a
 * sector is compared as a whole. All operations are logged with the times at
 * which they were issued and acknowledged. Operations in flight together do
 * not overlap (but see -o), hence the last acknowledged one is what a sector
 * must hold, or a later one that was never acknowledged.
 *
 * Generation 0 is what "bj_data fill" writes, or with -b nothing but zeroes.
 */
#include "bj_sector.h"

#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

#define MAX_THREADS	16
#define MAX_OPS		400000

enum kind { WRITE, ZERO, DISCARD };

struct op {
	uint64_t issue;		/* ns */
	uint64_t ack;		/* ns, 0 = not, or it failed */
	uint64_t sector;
	uint32_t sectors;
	uint32_t kind;
};

/* The log file; operation @i has the generation i + 1. */
struct log {
	uint64_t seed;
	uint64_t sectors;
	uint32_t blank;
	uint32_t overlap;
	_Atomic uint32_t nr;
	uint32_t pad;
	struct op ops[MAX_OPS];
};

static struct {
	const char *path;
	struct log *log;
	uint64_t seed, ops;
	unsigned int threads, max, block, discards, zeroes, reads, syncs;
	bool overlap, blank, errors_ok;
} opt = { .seed = 1, .threads = 4, .max = 2048, .block = 1, .syncs = 1 };

static volatile sig_atomic_t stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range {
	uint64_t first, end;
} taken[MAX_THREADS];
static uint32_t *last_gen;		/* by sector; under its range */
static _Atomic uint64_t errors, done, longest;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Can a sector hold @gen (as above), if @last was the last one acknowledged? */
static bool may_hold(struct log *log, const uint64_t *at, uint64_t lba,
		     int64_t gen, uint32_t last)
{
	uint32_t kind = last ? log->ops[last - 1].kind :
			log->blank ? ZERO : WRITE;

	if (gen == -2)
		return complain(lba, at, "is garbage", gen);
	/* A discard promises nothing but that nothing foreign appears. */
	if (kind == DISCARD)
		return gen <= (int64_t)last ||
		       complain(lba, at, "is too new for a discard", gen);
	if (kind == ZERO)
		return gen == -1 ||
		       complain(lba, at, "should be zero", gen);
	return gen == (int64_t)last ||
	       complain(lba, at, "has another generation", gen);
}

/*-----------------------------------------------------------------
 * run
 *---------------------------------------------------------------*/

static uint64_t dice(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix(*state);
}

/* A free range of a random size; small ones are as likely as large ones. */
static void take_range(unsigned int me, uint64_t *state, struct range *range)
{
	uint64_t total = opt.log->sectors / opt.block;
	unsigned int i, bits = 0;
	bool clash;

	while (opt.max / opt.block >> bits)
		bits++;
	do {
		uint64_t n = 1 + dice(state) % (1ULL << dice(state) % bits);
		uint64_t first = dice(state) % total;

		if (n > total - first)
			n = total - first;
		range->first = first * opt.block;
		range->end = (first + n) * opt.block;
		clash = false;
		pthread_mutex_lock(&lock);
		for (i = 0; i < opt.threads && !opt.overlap; i++)
			clash |= range->first < taken[i].end &&
				 taken[i].first < range->end;
		if (!clash)
			taken[me] = *range;
		pthread_mutex_unlock(&lock);
	} while (clash);
}

static bool check_read(int fd, void *buffer, struct range *range)
{
	size_t bytes = (range->end - range->first) * SECTOR;
	uint64_t lba;

	if (pread(fd, buffer, bytes, range->first * SECTOR) != (ssize_t)bytes)
		return false;
	for (lba = range->first; lba < range->end; lba++) {
		uint64_t *at = (uint64_t *)buffer +
			       (lba - range->first) * WORDS;
		int64_t gen = read_sector(at, opt.seed, lba);

		/* UINT32_MAX: a failed write has been here. */
		if (last_gen[lba] != UINT32_MAX && !opt.overlap &&
		    !may_hold(opt.log, at, lba, gen, last_gen[lba])) {
			puts("a read was wrong");
			fflush(stdout);
			_exit(3);
		}
	}
	return true;
}

static bool do_op(int fd, void *buffer, struct op *op, uint64_t gen, bool sync)
{
	uint64_t range[2] = { op->sector * SECTOR, op->sectors * SECTOR }, i;
	struct iovec iov = { buffer, range[1] };

	if (op->kind == ZERO)
		return !ioctl(fd, BLKZEROOUT, range);
	if (op->kind == DISCARD)
		return !ioctl(fd, BLKDISCARD, range);
	for (i = 0; i < op->sectors; i++)
		make_sector((uint64_t *)buffer + i * WORDS, opt.seed,
			    op->sector + i, gen);
	return pwritev2(fd, &iov, 1, range[0], sync ? RWF_DSYNC : 0) ==
	       (ssize_t)range[1];
}

static void one_op(int fd, void *buffer, unsigned int me, uint64_t *state)
{
	unsigned int chance = dice(state) % 100;
	struct range range;
	uint64_t lba, took;
	uint32_t nr;
	struct op *op;
	bool ok;

	take_range(me, state, &range);
	if (chance >= 100 - opt.reads) {
		if (!check_read(fd, buffer, &range))
			errors++;
		return;
	}
	nr = atomic_fetch_add(&opt.log->nr, 1);
	if (nr >= MAX_OPS || (opt.ops && nr >= opt.ops)) {
		atomic_fetch_sub(&opt.log->nr, 1);
		stop = 1;
		return;
	}
	op = &opt.log->ops[nr];
	*op = (struct op) {
		.sector = range.first, .sectors = range.end - range.first,
		.kind = chance < opt.discards ? DISCARD :
			chance < opt.discards + opt.zeroes ? ZERO : WRITE,
		.issue = now(),
	};
	ok = do_op(fd, buffer, op, nr + 1, dice(state) % 100 < opt.syncs);
	if (ok && dice(state) % 100 < opt.syncs)
		ok = !fdatasync(fd);
	took = now();
	if (ok)
		op->ack = took;
	else
		errors++;
	took -= op->issue;
	if (took > longest)
		longest = took;
	for (lba = range.first; lba < range.end; lba++)
		last_gen[lba] = ok ? nr + 1 : UINT32_MAX;
}

static void *worker(void *arg)
{
	unsigned int me = (uintptr_t)arg;
	uint64_t state = mix(opt.seed * MAX_THREADS + me);
	void *buffer;
	int fd = open(opt.path, O_RDWR | O_DIRECT);

	if (fd < 0 || posix_memalign(&buffer, 4096, (size_t)opt.max * SECTOR))
		die(opt.path);
	while (!stop) {
		one_op(fd, buffer, me, &state);
		pthread_mutex_lock(&lock);
		taken[me] = (struct range) {};
		pthread_mutex_unlock(&lock);
		if (done++ == 4 * opt.threads) {
			puts("running");
			fflush(stdout);
		}
	}
	close(fd);
	free(buffer);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static struct log *open_log(const char *path, bool create)
{
	int fd = open(path, O_RDWR | (create ? O_CREAT | O_TRUNC : 0), 0600);
	struct log *log;

	if (fd < 0 || (create && ftruncate(fd, sizeof(*log))))
		die(path);
	log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	if (log == MAP_FAILED)
		die(path);
	close(fd);
	return log;
}

static int run(const char *path, const char *log_path)
{
	pthread_t threads[MAX_THREADS];
	unsigned int i;
	int fd = open(path, O_RDWR);

	if (fd < 0)
		die(path);
	opt.path = path;
	opt.log = open_log(log_path, true);
	opt.log->seed = opt.seed;
	opt.log->sectors = device_sectors(fd);
	opt.log->blank = opt.blank;
	opt.log->overlap = opt.overlap;
	close(fd);
	last_gen = calloc(opt.log->sectors, sizeof(*last_gen));
	if (!last_gen)
		die("memory");
	signal(SIGTERM, on_signal);
	signal(SIGALRM, on_signal);
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&threads[i], NULL, worker,
				   (void *)(uintptr_t)i))
			die("thread");
	for (i = 0; i < opt.threads; i++)
		pthread_join(threads[i], NULL);
	printf("ops=%llu errors=%llu longest_ms=%llu\n",
	       (unsigned long long)done, (unsigned long long)errors,
	       (unsigned long long)longest / 1000000);
	return errors && !opt.errors_ok;
}

/*-----------------------------------------------------------------
 * verify
 *---------------------------------------------------------------*/

/* Operations of each sector, in their order; built from the log. */
static struct {
	uint32_t *last;			/* acknowledged generation by sector */
	uint64_t max_issue;		/* of what is there */
	uint64_t min_ack;		/* of what is not */
	int64_t *held;
} seen;

static bool check_last(const uint64_t *at, uint64_t lba)
{
	int64_t gen = read_sector(at, opt.log->seed, lba);
	uint32_t last = seen.last[lba];

	if (opt.log->overlap)
		return gen != -2 || complain(lba, at, "is garbage", gen);
	/* Never acknowledged, but issued later: may be there or not. */
	if (gen > (int64_t)last && gen <= opt.log->nr &&
	    !opt.log->ops[gen - 1].ack)
		return true;
	if (last == UINT32_MAX)
		return gen != -2 || complain(lba, at, "is garbage", gen);
	return may_hold(opt.log, at, lba, gen, last);
}

static void build_last(void)
{
	uint32_t i;
	uint64_t s;

	seen.last = calloc(opt.log->sectors, sizeof(*seen.last));
	if (!seen.last)
		die("memory");
	for (i = 0; i < opt.log->nr; i++) {
		struct op *op = &opt.log->ops[i];

		for (s = op->sector; s < op->sector + op->sectors; s++) {
			if (op->ack)
				seen.last[s] = i + 1;
			else if (op->kind != WRITE)
				seen.last[s] = UINT32_MAX;
		}
	}
}

static bool note_held(const uint64_t *at, uint64_t lba)
{
	seen.held[lba] = read_sector(at, opt.log->seed, lba);
	return seen.held[lba] != -2 || complain(lba, at, "is garbage", -2);
}

/*
 * Is it the content of one instant? Then everything that is there had been
 * issued, and nothing that is not there acknowledged, at that instant. Only
 * for logs of writes: zeroes do not say who wrote them.
 */
static int verify_instant(const char *path, uint64_t offset)
{
	uint32_t i;
	uint64_t s;

	seen.held = calloc(opt.log->sectors, sizeof(*seen.held));
	if (!seen.held)
		die("memory");
	if (each_sector(path, offset, opt.log->sectors, note_held))
		return 1;
	seen.min_ack = UINT64_MAX;
	for (i = 0; i < opt.log->nr; i++) {
		struct op *op = &opt.log->ops[i];

		for (s = op->sector; s < op->sector + op->sectors; s++) {
			if (seen.held[s] > i)
				seen.max_issue = seen.held[s] == i + 1 &&
						 op->issue > seen.max_issue ?
						 op->issue : seen.max_issue;
			else if (op->ack && op->ack < seen.min_ack)
				seen.min_ack = op->ack;
		}
	}
	if (seen.max_issue <= seen.min_ack)
		return 0;
	puts("something is missing that was acknowledged before something "
	     "that is there was issued");
	return 1;
}

static int verify(const char *verb, const char *path, const char *log_path,
		  uint64_t offset)
{
	opt.log = open_log(log_path, false);
	if (!strcmp(verb, "verify-instant"))
		return verify_instant(path, offset);
	build_last();
	return each_sector(path, offset, opt.log->sectors, check_last);
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+a:s:n:t:m:B:d:z:r:f:obe")) != -1) {
		unsigned long long n = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'a': alarm(n); break;	/* seconds */
		case 's': opt.seed = n; break;
		case 'n': opt.ops = n; break;
		case 't': opt.threads = n; break;
		case 'm': opt.max = n; break;	/* sectors */
		case 'B': opt.block = n; break;	/* sectors */
		case 'd': opt.discards = n; break;	/* percent, and below */
		case 'z': opt.zeroes = n; break;
		case 'r': opt.reads = n; break;
		case 'f': opt.syncs = n; break;
		case 'o': opt.overlap = true; break;
		case 'b': opt.blank = true; break;
		case 'e': opt.errors_ok = true; break;
		default: return 2;
		}
	}
	argv += optind;
	argc -= optind;
	if (argc == 3 && !strcmp(argv[0], "run") && opt.threads &&
	    opt.threads <= MAX_THREADS)
		return run(argv[1], argv[2]);
	if (argc >= 3 && !strncmp(argv[0], "verify", 6))
		return verify(argv[0], argv[1], argv[2],
			      argc > 3 ? strtoull(argv[3], NULL, 0) : 0);
	fputs("usage: bj_stomp [OPTION]... run DEVICE LOG\n"
	      "       bj_stomp verify|verify-instant DEVICE LOG [OFFSET]\n",
	      stderr);
	return 2;
}
