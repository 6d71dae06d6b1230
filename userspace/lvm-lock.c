// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LVM's file lock of a volume group. Not a documented interface, but the same
 * for fifteen years; so it is used in this file only, and proved before use:
 * while we hold the lock, LVM itself must fail to get it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "blkjob.h"
#include "cleanup.h"
#include "lvm.h"
#include "run.h"

#define VG_LOCK_WAIT_US 60000000ULL

static char *locking_dir(void)
{
	static const char * const argv[] = {
		"lvm", "lvmconfig", "--type", "full", "global/locking_dir", NULL
	};
	autorun struct run r;
	char *start, *end;

	if (run(&r, argv))
		return NULL;
	start = strchr(r.out, '"');
	end = start ? strchr(start + 1, '"') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	return xstrdup(start + 1);
}

int lvm_lock(struct lock *lock, const char *vg)
{
	const char *const probe[] = {
		"lvm", "vgs", "--config", "global/wait_for_locks=0", vg, NULL
	};
	autofree char *dir = locking_dir(), *path = NULL;
	autorun struct run r = { 0 };
	int err;

	if (!dir)
		return fail(EX_REFUSED,
			    "cannot find LVM's locking directory; does \"lvmconfig --type full global/locking_dir\" work?");
	mkdir(dir, 0700);
	path = xasprintf("%s/V_%s", dir, vg);
	err = lock_take(lock, path, 0);
	if (err == -EAGAIN) {
		say("waiting for the lock of %s, held by another LVM command", vg);
		err = lock_take(lock, path, VG_LOCK_WAIT_US);
	}
	if (err == -EAGAIN)
		return fail(EX_DETACHED,
			    "gave up waiting for the lock of %s (%s), held by another LVM command; the job goes on. Try again later",
			    vg, path);
	if (err)
		return fail(EX_REFUSED, "cannot lock %s: %s: %s", vg, path,
			    strerror(-err));
	if (run(&r, probe) == 0) {
		lock_drop(lock);
		return fail(EX_REFUSED,
			    "LVM does not honour the lock file %s, so its metadata cannot be changed safely; is file locking turned off in lvm.conf?",
			    path);
	}
	return 0;
}
