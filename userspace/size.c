// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes and times as people write and read them. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "size.h"

static const char units[] = "KMGTPE";

/* Multiplier of a suffix: "", "K", "KiB", "B" and so on; 0 if unknown. */
static uint64_t suffix(const char *s)
{
	const char *u;

	if (!*s || !strcasecmp(s, "B"))
		return 1;
	u = strchr(units, toupper((unsigned char)*s));
	if (!u || (s[1] && strcasecmp(s + 1, "iB")))
		return 0;
	return 1ULL << (10 * (u - units + 1));
}

int size_parse(const char *s, uint64_t *bytes)
{
	unsigned __int128 value = 0, scale = 1;
	uint64_t unit;
	int digits = 0;

	for (; isdigit((unsigned char)*s); s++, digits++) {
		value = value * 10 + (*s - '0');
		if (value > UINT64_MAX)
			return -ERANGE;
	}
	if (!digits)
		return -EINVAL;
	if (*s == '.') {
		if (!isdigit((unsigned char)*++s))
			return -EINVAL;
		for (; isdigit((unsigned char)*s); s++) {
			/* More than nine decimals cannot change a result. */
			if (scale >= 1000000000)
				continue;
			value = value * 10 + (*s - '0');
			scale *= 10;
		}
	}
	unit = suffix(s);
	if (!unit || (unit == 1 && scale > 1))
		return -EINVAL;
	value = value * unit / scale;
	if (value > UINT64_MAX)
		return -ERANGE;
	*bytes = value;
	return 0;
}

int time_parse(const char *s, uint64_t *us)
{
	uint64_t value = 0, unit = 1;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++) {
		value = value * 10 + (*s - '0');
		if (value > UINT32_MAX)
			return -ERANGE;
	}
	if (*s && s[1])
		return -EINVAL;
	switch (*s) {
	case 'h':
		unit = 3600;
		break;
	case 'm':
		unit = 60;
		break;
	case 's':
	case '\0':
		break;
	default:
		return -EINVAL;
	}
	*us = value * unit * 1000000;
	return 0;
}

const char *size_format(char *buf, size_t len, uint64_t bytes)
{
	double value = bytes;
	int i = -1;

	while (value >= 1024 && i < (int)sizeof(units) - 2) {
		value /= 1024;
		i++;
	}
	if (i < 0)
		snprintf(buf, len, "%llu B", (unsigned long long)bytes);
	else
		snprintf(buf, len, "%.1f %ciB", value, units[i]);
	return buf;
}

const char *time_format(char *buf, size_t len, uint64_t seconds)
{
	unsigned long long s = seconds;

	if (s >= 86400)
		snprintf(buf, len, "%llud%02lluh", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		snprintf(buf, len, "%lluh%02llum", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		snprintf(buf, len, "%llum%02llus", s / 60, s % 60);
	else
		snprintf(buf, len, "%llus", s);
	return buf;
}
