/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BLKJOB_LOCK_H
#define BLKJOB_LOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A lock file that disappears with its last user: flock, then see whether the
 * path still is the file that was locked. LVM's own protocol.
 */
struct lock {
	int fd;		/* -1 = not held */
	char *path;
};

#define NO_LOCK { .fd = -1 }
#define autolock __attribute__((cleanup(lock_drop)))

/* 0, -EAGAIN if somebody else holds it for longer than @timeout_us. */
int lock_take(struct lock *lock, const char *path, uint64_t timeout_us);
void lock_drop(struct lock *lock);

/* One command at a time changes the tables of a device. 0 or exit status. */
int lock_device(struct lock *lock, dev_t devno);

/* Several of them, to be dropped together. */
struct locks {
	struct lock *held;
	size_t n;
};

#define autolocks __attribute__((cleanup(locks_drop)))

int locks_add(struct locks *locks, dev_t devno);
void locks_drop(struct locks *locks);

#endif
