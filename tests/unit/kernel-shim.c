// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel primitives that are too long for a header.
 */
#include <sched.h>

#include "kernel-shim.h"

unsigned int shim_fail_every;
unsigned int shim_yield_every;

void shim_yield(void)
{
	static __thread unsigned int calls;

	if (!(++calls % shim_yield_every))
		sched_yield();
}

static bool allocation_fails(void)
{
	static unsigned int calls;

	if (!shim_fail_every)
		return false;
	return !(__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) %
		 shim_fail_every);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return allocation_fails() ? NULL : calloc(1, size);
}

void *kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return allocation_fails() ? NULL : calloc(n, size);
}

static unsigned long find(const unsigned long *map, unsigned long size,
			  unsigned long from, unsigned long invert)
{
	unsigned long i = from / BITS_PER_LONG, word;

	if (from >= size)
		return size;
	shim_race();
	word = (READ_ONCE(map[i]) ^ invert) & (~0UL << from % BITS_PER_LONG);
	while (!word) {
		if (++i >= BITS_TO_LONGS(size))
			return size;
		word = READ_ONCE(map[i]) ^ invert;
	}
	return min(i * BITS_PER_LONG + __builtin_ctzl(word), size);
}

unsigned long find_next_bit(const unsigned long *map, unsigned long size,
			    unsigned long from)
{
	return find(map, size, from, 0);
}

unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size,
				 unsigned long from)
{
	return find(map, size, from, ~0UL);
}

void bitmap_set(unsigned long *map, unsigned int start, unsigned int nr)
{
	for (; nr; nr--, start++)
		map[start / BITS_PER_LONG] |= BIT(start % BITS_PER_LONG);
}

/* As the kernel: takes a leading plus sign and one trailing newline. */
int kstrtoull(const char *word, unsigned int base, unsigned long long *result)
{
	unsigned long long sum = 0;
	size_t len;

	if (*word == '+')
		word++;
	len = strlen(word);
	if (len && word[len - 1] == '\n')
		len--;
	if (!len)
		return -EINVAL;
	for (; len; len--, word++) {
		if (!isdigit((unsigned char)*word))
			return -EINVAL;
		if (__builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, *word - '0', &sum))
			return -ERANGE;
	}
	*result = sum;
	return 0;
}

int match_string(const char * const *words, size_t nr, const char *word)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (words[i] && !strcmp(words[i], word))
			return i;
	return -EINVAL;
}

/* As in the kernel: how much was written, not how much there was to write. */
int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n < (int)size ? n : (int)size - 1;
}

/* Four bits at a time. The seed is not inverted. Much is done with it. */
__attribute__((optimize("O3"), no_sanitize("address", "undefined")))
u32 crc32c(u32 crc, const void *data, size_t length)
{
	static const u32 table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const u8 *byte = data;

	while (length--) {
		crc ^= *byte++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t len = strnlen(from, size);

	if (len == size)
		len--;
	memcpy(to, from, len);
	to[len] = '\0';
	return from[len] ? -E2BIG : (ssize_t)len;
}
