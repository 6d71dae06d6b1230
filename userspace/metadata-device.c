// SPDX-License-Identifier: GPL-2.0-or-later
/* The device with the metadata: is there anything, and away with it. */
#include <fcntl.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "job.h"
#include "metadata.h"

int metadata_blank(dev_t devno, bool *blank)
{
	/* Past the page cache: the kernel's writes do not go through it. */
	autoclose int fd = device_open(devno, O_RDONLY | O_DIRECT);
	autofree char *path = device_path(devno), *buffer = NULL;
	size_t i;

	if (posix_memalign((void **)&buffer, 4096, METADATA_MIN))
		return fail(EX_ATTENTION, "out of memory");
	if (fd < 0 || pread(fd, buffer, METADATA_MIN, 0) != METADATA_MIN)
		return fail(EX_TARGET, "cannot read the metadata device %s; see: dmesg",
			    path);
	*blank = true;
	for (i = 0; i < METADATA_MIN; i++)
		if (buffer[i])
			*blank = false;
	return 0;
}

int metadata_wipe(dev_t devno)
{
	autoclose int fd = device_open(devno, O_WRONLY | O_SYNC);
	autofree char *path = device_path(devno);
	static const char zero[METADATA_MIN];

	if (fd < 0 || pwrite(fd, zero, sizeof(zero), 0) != sizeof(zero))
		return fail(EX_TARGET, "cannot write the metadata device %s; see: dmesg",
			    path);
	return 0;
}

int metadata_forget(const struct job *job, dev_t devno)
{
	autofree char *path = NULL;
	struct dm_dev dev;

	if (!devno)
		return 0;
	path = device_path(devno);
	if (!job->by_hand && !dm_find_name(job->dev.name, &dev))
		return fail(EX_ATTENTION,
			    "the metadata on %s are still in use; when %s has gone, remove them: blkdiscard -z --force --length 8192 %s",
			    path, job->dev.name, path);
	return metadata_wipe(devno);
}
