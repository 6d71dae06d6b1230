// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "leg.h"

static dev_t leg_devno(const struct job *job, enum leg leg)
{
	return leg == LEG_TARGET ? job->target : job->source;
}

int leg_open(const struct job *job, enum leg leg, int *fd)
{
	dev_t devno = leg_devno(job, leg);
	autofree char *path = device_path(devno);

	*fd = device_open(devno, O_RDONLY | O_DIRECT);
	return *fd >= 0 ? 0 : fail(EX_REFUSED, "cannot open %s: %s", path,
				   strerror(-*fd));
}

int leg_read(const struct job *job, enum leg leg, int fd, void *data,
	     uint64_t start, size_t len)
{
	uint64_t offset = leg == LEG_TARGET ? job->target_offset :
					      job->source_offset;
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)data + done, len - done,
				  offset * 512 + start + done);
		autofree char *path = NULL;

		if (n > 0) {
			done += n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		path = device_path(leg_devno(job, leg));
		return fail(leg == LEG_TARGET ? EX_TARGET : EX_SOURCE,
			    "cannot read %s, the %s of job %s, between byte %llu and %llu: %s; see: dmesg",
			    path, leg == LEG_TARGET ? "target device" : "source",
			    job->id, (unsigned long long)(start + done),
			    (unsigned long long)(start + len),
			    n ? strerror(errno) : "it ends there");
	}
	return 0;
}
