/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few kernel primitives that the pure files use, for user space. Names and
 * meanings are the kernel's.
 */
#ifndef KERNEL_SHIM_H
#define KERNEL_SHIM_H

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* As in the kernel, so that %llu fits on every machine. */
typedef unsigned long long u64;
typedef long long s64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

#define S64_MAX		INT64_MAX
#define U64_MAX		UINT64_MAX
#define BITS_PER_BYTE	8
#define BITS_PER_LONG	((int)sizeof(long) * 8)
#define BITS_TO_LONGS(n) (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define BIT(n)		(1UL << (n))
#define GENMASK(h, l)	((~0UL << (l)) & (~0UL >> (BITS_PER_LONG - 1 - (h))))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NSEC_PER_SEC	1000000000L
#define NSEC_PER_MSEC	1000000L
#define PAGE_SIZE	4096UL
#define BUILD_BUG_ON(x)	_Static_assert(!(x), #x)
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define min(a, b)	({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \
			   _a < _b ? _a : _b; })
#define max(a, b)	({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \
			   _a > _b ? _a : _b; })
#define min_t(t, a, b)	min((t)(a), (t)(b))
#define max_t(t, a, b)	max((t)(a), (t)(b))
#define clamp_t(t, v, lo, hi) min_t(t, max_t(t, v, lo), hi)

#define READ_ONCE(x)	__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()
#define cmpxchg(p, old, new) ({						\
	__typeof__(*(p)) _old = (old);					\
	__atomic_compare_exchange_n(p, &_old, new, false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	_old; })

/*
 * Races need somebody in between: give the processor away before one in so
 * many atomic operations; 0 = never.
 */
extern unsigned int shim_yield_every;
void shim_yield(void);

static inline void shim_race(void)
{
	if (shim_yield_every)
		shim_yield();
}

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;

#define ATOMIC_READ(v)	__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define ATOMIC_SET(v, i) __atomic_store_n(&(v)->counter, i, __ATOMIC_RELAXED)

static inline int atomic_read(const atomic_t *v)
{
	shim_race();
	return ATOMIC_READ(v);
}

static inline void atomic_set(atomic_t *v, int i)
{
	shim_race();
	ATOMIC_SET(v, i);
}

static inline void atomic_add(int i, atomic_t *v)
{
	shim_race();
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_inc(atomic_t *v)
{
	atomic_add(1, v);
}

static inline void atomic_sub(int i, atomic_t *v)
{
	shim_race();
	__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);
}

static inline long atomic_long_read(const atomic_long_t *v)
{
	shim_race();
	return ATOMIC_READ(v);
}

static inline void atomic_long_set(atomic_long_t *v, long i)
{
	shim_race();
	ATOMIC_SET(v, i);
}

static inline long atomic_long_fetch_or(long i, atomic_long_t *v)
{
	shim_race();
	return __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST);
}

static inline long atomic_long_fetch_andnot(long i, atomic_long_t *v)
{
	shim_race();
	return __atomic_fetch_and(&v->counter, ~i, __ATOMIC_SEQ_CST);
}

static inline bool test_bit(unsigned long nr, const unsigned long *map)
{
	shim_race();
	return READ_ONCE(map[nr / BITS_PER_LONG]) & BIT(nr % BITS_PER_LONG);
}

__attribute__((format(printf, 3, 4)))
int scnprintf(char *buf, size_t size, const char *fmt, ...);

/* Atomic and, as in the kernel, not ordered. */
static inline void set_bit(unsigned long nr, unsigned long *map)
{
	shim_race();
	__atomic_fetch_or(&map[nr / BITS_PER_LONG], BIT(nr % BITS_PER_LONG),
			  __ATOMIC_RELAXED);
}

static inline bool test_and_set_bit(unsigned long nr, unsigned long *map)
{
	unsigned long mask = BIT(nr % BITS_PER_LONG);

	shim_race();
	return __atomic_fetch_or(&map[nr / BITS_PER_LONG], mask,
				 __ATOMIC_SEQ_CST) & mask;
}

static inline void clear_bit(unsigned long nr, unsigned long *map)
{
	shim_race();
	__atomic_fetch_and(&map[nr / BITS_PER_LONG], ~BIT(nr % BITS_PER_LONG),
			   __ATOMIC_RELAXED);
}

static inline unsigned int hweight_long(unsigned long w)
{
	return __builtin_popcountl(w);
}

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

static inline u64 mul_u64_u64_div_u64(u64 a, u64 mul, u64 div)
{
	return (unsigned __int128)a * mul / div;
}

unsigned long find_next_bit(const unsigned long *map, unsigned long size,
			    unsigned long from);
unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size,
				 unsigned long from);
void bitmap_set(unsigned long *map, unsigned int start, unsigned int nr);

#define for_each_set_bit(bit, map, size)				\
	for ((bit) = find_next_bit(map, size, 0); (bit) < (size);	\
	     (bit) = find_next_bit(map, size, (bit) + 1))

#define le16_to_cpu(x)	((u16)le16toh(x))
#define le32_to_cpu(x)	((u32)le32toh(x))
#define le64_to_cpu(x)	((u64)le64toh(x))
#define cpu_to_le16(x)	htole16(x)
#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	htole64(x)
#define __force

u32 crc32c(u32 seed, const void *data, size_t length);
ssize_t strscpy(char *to, const char *from, size_t size);

typedef unsigned int gfp_t;
#define GFP_KERNEL	1U
#define GFP_NOIO	2U
#define GFP_NOWAIT	4U
#define __GFP_NOWARN	8U

/* One in so many allocations fails; 0 = none, 1 = all. */
extern unsigned int shim_fail_every;

void *kzalloc(size_t size, gfp_t gfp);
void *kvcalloc(size_t n, size_t size, gfp_t gfp);
#define kfree(p)	free(p)
#define kvfree(p)	free(p)

int kstrtoull(const char *word, unsigned int base, unsigned long long *result);
int match_string(const char * const *words, size_t nr, const char *word);

#endif
