// SPDX-License-Identifier: GPL-2.0
/*
 * device-mapper ioctls, see bj_ioctl.h.
 */
#define _GNU_SOURCE
#include "bj_ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Thread_local union dm_buffer dm_u;
unsigned int dm_message_buffer = DM_MESSAGE_BUFFER;
static int control = -1;

int dm_open(void)
{
	control = open("/dev/mapper/control", O_RDWR);
	return control < 0 ? -errno : 0;
}

void dm_begin(const char *name, unsigned int flags)
{
	memset(&dm_u, 0, sizeof(dm_u.dmi) + 512);
	dm_u.dmi.version[0] = DM_VERSION_MAJOR;
	dm_u.dmi.data_size = sizeof(dm_u);
	dm_u.dmi.data_start = sizeof(dm_u.dmi);
	dm_u.dmi.flags = flags;
	snprintf(dm_u.dmi.name, sizeof(dm_u.dmi.name), "%s", name);
}

char *dm_data(void)
{
	return dm_u.bytes + dm_u.dmi.data_start;
}

int dm_run(unsigned long request)
{
	return ioctl(control, request, &dm_u.dmi) ? -errno : 0;
}

int dm_simple(const char *name, unsigned long request, unsigned int flags)
{
	dm_begin(name, flags);
	return dm_run(request);
}

int dm_load(const char *name, unsigned int flags, int nr, char **lines)
{
	char *at = dm_u.bytes + sizeof(dm_u.dmi);
	int i;

	dm_begin(name, flags);
	for (i = 0; i < nr; i++) {
		struct dm_target_spec *spec = (void *)at;
		unsigned long long start, length;
		int skip;
		size_t room = dm_u.bytes + sizeof(dm_u) - at - sizeof(*spec);

		memset(spec, 0, sizeof(*spec));
		if (sscanf(lines[i], "%llu %llu %15s %n", &start, &length,
			   spec->target_type, &skip) != 3 ||
		    strlen(lines[i] + skip) + 9 > room)
			return -E2BIG;
		spec->sector_start = start;
		spec->length = length;
		strcpy(at + sizeof(*spec), lines[i] + skip);
		spec->next = sizeof(*spec) +
			     ((strlen(lines[i] + skip) + 8) & ~7UL);
		at += spec->next;
	}
	dm_u.dmi.target_count = nr;
	return dm_run(DM_TABLE_LOAD);
}

int dm_message(const char *name, unsigned long long sector, const char *text)
{
	struct dm_target_msg *msg = (void *)(dm_u.bytes + sizeof(dm_u.dmi));
	int r;

	if (strlen(text) >= DM_MESSAGE_BUFFER / 2)
		return -E2BIG;
	dm_begin(name, 0);
	dm_u.dmi.data_size = dm_message_buffer;
	msg->sector = sector;
	strcpy(msg->message, text);
	r = dm_run(DM_TARGET_MSG);
	if (r || !(dm_u.dmi.flags & DM_DATA_OUT_FLAG)) {
		dm_u.dmi.data_start = sizeof(dm_u.dmi);
		*dm_data() = '\0';
	}
	return r;
}

int dm_suspend(const char *name, unsigned int flags)
{
	return dm_simple(name, DM_DEV_SUSPEND, DM_SUSPEND_FLAG |
			 DM_SKIP_LOCKFS_FLAG | flags);
}

int dm_resume(const char *name)
{
	return dm_simple(name, DM_DEV_SUSPEND, DM_SKIP_LOCKFS_FLAG);
}

char *dm_job_line(const char *name, int *r)
{
	char *at;
	unsigned int i;

	*r = dm_simple(name, DM_TABLE_STATUS, DM_NOFLUSH_FLAG);
	at = dm_data();
	for (i = 0; !*r && i < dm_u.dmi.target_count; i++) {
		struct dm_target_spec *spec = (void *)at;

		if (!strncmp(spec->target_type, "blkjob", 6))
			return (char *)(spec + 1);
		at = dm_data() + spec->next;
	}
	return NULL;
}

int dm_field(const char *line, const char *key, char *value, size_t size)
{
	char words[4096], *word, *save;
	size_t len = strlen(key);
	int nr = 0;

	snprintf(words, sizeof(words), "%s", line);
	for (word = strtok_r(words, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		nr++;
		if (nr == 2 && !strcmp(key, "state")) {
			snprintf(value, size, "%s", word);
			return 0;
		}
		if (!strncmp(word, key, len) && word[len] == '=') {
			snprintf(value, size, "%s", word + len + 1);
			return 0;
		}
	}
	return -ENOENT;
}
