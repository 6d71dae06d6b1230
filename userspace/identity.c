// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "identity.h"
#include "job.h"

#define PRINT_BYTES 65536

/* What a disk says of itself; the first that is there counts. */
static const struct { const char *kind, *attr; } sources[] = {
	{ "wwid", "/wwid" },			/* NVMe */
	{ "wwid", "/device/wwid" },		/* SCSI */
	{ "serial", "/serial" },		/* virtio */
	{ "md", "/md/uuid" },
	{ "loop", "/loop/backing_file" },
	{ "nbd", "/backend" },
};

/* FNV-1a. It finds changes, and nobody makes them on purpose. */
static uint64_t add_to_print(uint64_t print, const void *data, size_t len)
{
	const unsigned char *byte = data;

	while (len--)
		print = (print ^ *byte++) * 0x100000001b3ULL;
	return print;
}

#define PRINT_START 0xcbf29ce484222325ULL

/* A word of the table line, as long as the metadata take it. */
static char *as_word(const char *kind, char *text)
{
	char *word;
	size_t i;

	for (i = 0; text[i]; i++)
		if (text[i] <= ' ' || text[i] > '~')
			text[i] = '_';
	if (strlen(kind) + 1 + i <= BLKJOB_MD_IDENTITY)
		word = xasprintf("%s:%s", kind, text);
	else
		word = xasprintf("%s:#%016llx", kind, (unsigned long long)
				 add_to_print(PRINT_START, text, i));
	return word;
}

static char *identity_of_dm(const struct dm_dev *dev)
{
	autofree char *text = xstrdup(*dev->uuid ? dev->uuid : dev->name);

	return as_word(*dev->uuid ? "dm-uuid" : "dm-name", text);
}

char *identity_of(dev_t devno)
{
	dev_t disk = device_disk(devno);
	char text[4096], part[32];
	autofree char *path = NULL;
	const char *kind = "dev";
	struct dm_dev dev;
	size_t i, len;

	if (!dm_find(devno, &dev))
		return identity_of_dm(&dev);
	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		device_attribute(disk, sources[i].attr, text,
				 sizeof(text) - sizeof(part));
		if (*text)
			break;
	}
	if (i < ARRAY_SIZE(sources)) {
		kind = sources[i].kind;
	} else {
		path = device_path(disk);
		snprintf(text, sizeof(text) - sizeof(part), "%s", path);
	}
	device_attribute(devno, "/partition", part, sizeof(part));
	len = strlen(text);
	if (*part)
		snprintf(text + len, sizeof(text) - len, "-part%s", part);
	return as_word(kind, text);
}

/* Is there anything on it, and is it the user's? */
static bool is_candidate(dev_t devno)
{
	struct dm_dev dev;
	char size[32];

	device_attribute(devno, "/size", size, sizeof(size));
	return *size && strcmp(size, "0") &&
	       (dm_find(devno, &dev) || !job_is_private(&dev));
}

int identity_each(int (*fn)(dev_t devno, void *arg), void *arg)
{
	DIR *dir = opendir("/sys/dev/block");
	unsigned int maj, min;
	struct dirent *e;
	int err = 0;

	while (dir && !err && (e = readdir(dir)))
		if (sscanf(e->d_name, "%u:%u", &maj, &min) == 2 &&
		    is_candidate(makedev(maj, min)))
			err = fn(makedev(maj, min), arg);
	if (dir)
		closedir(dir);
	return err;
}

struct search {
	const char *word;
	dev_t found;
};

static int look_at(dev_t devno, void *arg)
{
	struct search *search = arg;
	autofree char *word = identity_of(devno);

	if (strcmp(word, search->word))
		return 0;
	if (search->found)
		return -EEXIST;
	search->found = devno;
	return 0;
}

int identity_find(const char *word, dev_t *devno)
{
	struct search search = { .word = word };
	int err = identity_each(look_at, &search);

	*devno = search.found;
	return err ? err : search.found ? 0 : -ENODEV;
}

int identity_print(dev_t devno, uint64_t *print)
{
	autoclose int fd = device_open(devno, O_RDONLY | O_DIRECT);
	autofree char *path = device_path(devno), *data = NULL;
	uint64_t at[2] = { 0, 0 };
	struct device_limits lim;
	ssize_t n = -1;
	size_t i;

	if (posix_memalign((void **)&data, 4096, PRINT_BYTES))
		return fail(EX_ATTENTION, "out of memory");
	if (fd < 0 || device_limits(devno, false, &lim))
		return fail(EX_SOURCE, "cannot open %s; see: dmesg", path);
	if (lim.size > PRINT_BYTES)
		at[1] = lim.size - PRINT_BYTES;
	*print = PRINT_START;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		n = pread(fd, data, PRINT_BYTES, at[i]);
		if (n < 0)
			return fail(EX_SOURCE, "cannot read %s at %llu: %s",
				    path, (unsigned long long)at[i],
				    strerror(errno));
		*print = add_to_print(*print, data, n);
	}
	*print += !*print;
	return 0;
}
