/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backups of what has changed since a checkpoint, and checkpoints that begin at
 * the instant of a backup (QEMU's bitmap modes).
 *
 * Until the backup has ended, the new checkpoint has a name of its own, so that
 * whatever happens meanwhile the old one stays as it is. Then it takes the name
 * that it is to have, in one step, or is deleted: all that it knows goes back to
 * the one before it. A command that is killed leaves the first state, and the
 * next backup deletes it.
 */
#ifndef BLKJOB_SINCE_H
#define BLKJOB_SINCE_H

#include "start.h"

#define SINCE_PENDING "blkjob.backup"

/* 0, or a usage error: options that do not go together. */
int since_usage(const struct command *cmd, const struct start_options *o);
/* After the other checks of a plan: is there what is asked for? */
int since_check(const struct plan *p, const char *source,
		const struct start_options *o);
/* What the job keeps for who ends it, to be freed; NULL = nothing. */
char *since_note(const struct start_options *o);
/* The new checkpoints of all, or none. */
int since_begin(const struct plan *plans, size_t n,
		const struct start_options *o);
/* There will be no backup. */
void since_drop(const struct plan *plans, size_t n,
		const struct start_options *o);
/* What has changed, in bytes. 0 or exit status. */
int since_changed(const struct job *tracker, const char *name,
		  struct ranges *changed);
/*
 * The backup has concluded, and its layer is still there. 0, or exit status after
 * a message: then nothing has moved, and no change is lost.
 */
int since_end(const struct job *job, bool completed);
extern const char since_stays[];
/* 0, or why the checkpoint cannot be deleted now. */
int since_check_idle(const struct job *tracker, const char *name);

#endif
