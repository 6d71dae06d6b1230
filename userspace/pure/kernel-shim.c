// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel-shim.h"

u32 crc32c(u32 crc, const void *data, size_t length)
{
	static u32 table[256];
	const u8 *byte = data;
	unsigned int i, bit;

	for (i = 0; !table[255] && i < 256; i++) {
		u32 value = i;

		for (bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0x82f63b78U : 0);
		table[i] = value;
	}
	while (length--)
		crc = crc >> 8 ^ table[(crc ^ *byte++) & 0xff];
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
