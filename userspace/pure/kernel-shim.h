/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of kernel/ that are used here need of a kernel. */
#ifndef KERNEL_SHIM_H
#define KERNEL_SHIM_H

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* As in the kernel, so that %llu fits on every machine. */
typedef unsigned long long u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

#define S64_MAX		INT64_MAX
#define BITS_PER_BYTE	8
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(x)	_Static_assert(!(x), #x)
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define min_t(t, a, b)	((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b)	((t)(a) > (t)(b) ? (t)(a) : (t)(b))

#define le16_to_cpu(x)	((u16)le16toh(x))
#define le32_to_cpu(x)	((u32)le32toh(x))
#define le64_to_cpu(x)	((u64)le64toh(x))
#define cpu_to_le16(x)	htole16(x)
#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	htole64(x)
#define __force

static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

/* The seed is not inverted, and neither is the result. */
u32 crc32c(u32 seed, const void *data, size_t length);
ssize_t strscpy(char *to, const char *from, size_t size);

#endif
