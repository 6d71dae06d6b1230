/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark program. It runs in a guest in which an instruction takes a
 * nanosecond of guest time, so that CLOCK_MONOTONIC counts instructions and two
 * runs agree to the digit.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB		1024ULL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define SECTOR		512ULL
#define IO_MAX_QD	64

/* sys.c: the guest's kernel */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void sys_init(void);
bool sys_have(const char *module);
bool sys_have_blkjob(void);
void sys_write(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sys_rcu_expedited(bool on);
void sys_settle(void);
uint64_t now_ns(void);
uint64_t idle_ns(void);

/* nullb.c: devices with known limits */
struct nullb {
	char name[16];		/* configfs item */
	char path[24];		/* device node */
	uint64_t sectors;
};

struct nullb_opts {
	uint64_t mib;		/* size */
	unsigned int latency_us;	/* 0: completes in the submitter */
	unsigned int slots;	/* hw_queue_depth */
	unsigned int queues;	/* 0: one */
	bool data;		/* keeps what is written */
};

void nullb_create(struct nullb *nb, const struct nullb_opts *opts);
void nullb_remove(struct nullb *nb);
uint64_t nullb_bytes(const struct nullb *nb, bool write);

/* dm.c: device-mapper by ioctl */
struct dmdev {
	char name[32];
	char path[24];
	uint64_t sectors;
	uint32_t event;		/* number of the last event seen */
};

void dm_open(void);
void dm_create(struct dmdev *d, const char *name, uint64_t sectors);
void dm_load(struct dmdev *d, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void dm_resume(struct dmdev *d);
void dm_suspend(struct dmdev *d);
void dm_remove(struct dmdev *d);
void dm_message(struct dmdev *d, const char *msg);
const char *dm_status(struct dmdev *d);
void dm_wait(struct dmdev *d, bool (*done)(const char *status));
void dm_wait_state(struct dmdev *d, const char *state);

/* load.c: direct I/O */
struct load {
	const char *path;
	bool write;
	bool random;
	uint64_t bs;		/* bytes of one I/O */
	unsigned int qd;
	uint64_t span;		/* bytes of the device that are used */
	uint64_t spacing;	/* random: one I/O at most in so many bytes */
	uint64_t ios;
};

uint64_t load_run(const struct load *l);	/* ns */
double load_limit(const struct nullb *nb, bool write);
uint64_t load_copy(const char *from, const char *to, uint64_t span,
		   uint64_t bs, unsigned int threads);
void *load_buffer(size_t size);

/* A writer of one 4 KiB block after the other, in a thread. */
struct writer;
struct writer *writer_start(const char *path, uint64_t span);
void writer_stop(struct writer *w);
void writer_free(struct writer *w);
uint64_t writer_gap(struct writer *w, uint64_t from, uint64_t to);

/* foreground.c: somebody who does one 4 KiB I/O, thinks, does another */
struct foreground;
struct foreground *foreground_start(const char *path, bool write, uint64_t span);
void foreground_stop(struct foreground *f);
void foreground_free(struct foreground *f);
double foreground_p99(struct foreground *f);
double foreground_p99_of(struct foreground *const *f, unsigned int several);
uint64_t foreground_unsettled(const struct foreground *f, double bound_us);

/* report.c: the table */
enum better { LOWER, HIGHER };

struct bound {
	enum better better;
	double gate;
	double target;
};

void report_title(const char *id, const char *what);
void report_value(const char *who, double value, const char *unit,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_gate(const char *who, double value, const char *unit,
		 struct bound b);
int report_summary(void);

/* the benchmarks */
void bench_b1(void);
void bench_b2(void);
void bench_b3(void);
void bench_b4(void);
void bench_b5(void);
void bench_b6(void);
void bench_b7(void);
void bench_b8(void);
void bench_b10(void);
void bench_b11(void);
void bench_b12(void);
void bench_b13(void);
void bench_speed(void);

/* copy.c: copiers in the kernel */
struct copied {
	uint64_t ns;
	uint64_t idle;		/* part of ns without instructions */
};

void job_create(struct dmdev *d, const char *name, const struct nullb *src,
		const struct nullb *dst, const char *opts);
struct copied copy_dm_mirror(const struct nullb *from, const struct nullb *to,
			     unsigned int region_kib);
struct copied copy_blkjob(const struct nullb *from, const struct nullb *to);

#endif
