// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "lock.h"

/* Another command may be taking a layer out, with LVM's help. */
#define DEVICE_LOCK_WAIT_US 60000000

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int lock_take(struct lock *lock, const char *path, uint64_t timeout_us)
{
	uint64_t end = now_us() + timeout_us;
	int fd;

	for (;;) {
		fd = open(path, O_CREAT | O_APPEND | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			if (same_file(fd, path))
				break;
		} else if (errno != EWOULDBLOCK) {
			close(fd);
			return -errno;
		} else if (now_us() >= end) {
			close(fd);
			return -EAGAIN;
		} else {
			usleep(20000);
		}
		close(fd);
	}
	lock->fd = fd;
	lock->path = xstrdup(path);
	return 0;
}

void lock_drop(struct lock *lock)
{
	if (lock->fd < 0)
		return;
	if (same_file(lock->fd, lock->path))
		unlink(lock->path);
	close(lock->fd);
	free(lock->path);
	*lock = (struct lock)NO_LOCK;
}

int lock_device(struct lock *lock, dev_t devno)
{
	autofree char *path = xasprintf("/run/lock/blkjob.%u:%u.lock",
					major(devno), minor(devno));
	autofree char *dev = device_path(devno);
	int err;

	mkdir("/run/lock", 0755);
	err = lock_take(lock, path, 0);
	if (err == -EAGAIN) {
		say("waiting for another blkjob command that is changing %s",
		    dev);
		err = lock_take(lock, path, DEVICE_LOCK_WAIT_US);
	}
	if (err == -EAGAIN)
		return fail(EX_REFUSED,
			    "%s is being changed by another blkjob command; try again when it has finished",
			    dev);
	if (err)
		return fail(EX_REFUSED,
			    "cannot lock %s: %s: %s; root can write there on a running system",
			    dev, path, strerror(-err));
	return 0;
}

int locks_add(struct locks *locks, dev_t devno)
{
	struct lock *last;

	locks->held = xrealloc(locks->held,
			       (locks->n + 1) * sizeof(*locks->held));
	last = &locks->held[locks->n++];
	*last = (struct lock)NO_LOCK;
	return lock_device(last, devno);
}

void locks_drop(struct locks *locks)
{
	while (locks->n)
		lock_drop(&locks->held[--locks->n]);
	free(locks->held);
	locks->held = NULL;
}
