// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkjob.h"
#include "kmsg.h"

int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* "6,123,456,-;device-mapper: table: 253:2: blkjob: sentence (-EINVAL)\n" */
static char *reason(char *line)
{
	char *text = strstr(line, "device-mapper: "), *better, *end;

	/* After the real reason, dm says that the ioctl failed. */
	if (!text || strstr(text, "error adding target"))
		return NULL;
	text += strlen("device-mapper: ");
	better = strstr(text, "blkjob: ");
	if (better)
		text = better + strlen("blkjob: ");
	text[strcspn(text, "\n")] = '\0';
	end = strstr(text, " (-E");
	if (end)
		*end = '\0';
	return xstrdup(text);
}

char *kmsg_reason(int fd)
{
	char line[2048], *found = NULL, *why;
	ssize_t len;

	while (fd >= 0) {
		len = read(fd, line, sizeof(line) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* overwritten, the next is there */
		if (len <= 0)
			break;
		line[len] = '\0';
		why = reason(line);
		if (why) {
			free(found);
			found = why;
		}
	}
	return found;
}
