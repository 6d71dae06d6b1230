// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel-shim.h"

#define TABLES	8	/* bytes that are looked up at once */

static void fill(u32 table[TABLES][256])
{
	unsigned int i, bit;
	u32 value;

	for (i = 0; i < 256; i++) {
		for (value = i, bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0x82f63b78U : 0);
		table[0][i] = value;
	}
	for (i = 256; i < TABLES * 256; i++) {
		value = table[i / 256 - 1][i % 256];
		table[i / 256][i % 256] = value >> 8 ^ table[0][value & 0xff];
	}
}

u32 crc32c(u32 crc, const void *data, size_t length)
{
	static u32 table[TABLES][256];
	const u8 *byte = data;
	unsigned int i;

	if (!table[0][255])
		fill(table);
	for (; length >= TABLES; length -= TABLES, byte += TABLES) {
		u64 word;
		u32 next = 0;

		memcpy(&word, byte, sizeof(word));
		word = le64toh(word) ^ crc;
		for (i = 0; i < TABLES; i++)
			next ^= table[TABLES - 1 - i][word >> 8 * i & 0xff];
		crc = next;
	}
	while (length--)
		crc = crc >> 8 ^ table[0][(crc ^ *byte++) & 0xff];
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
