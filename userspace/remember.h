/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mirrors with metadata: after they are gone, however they went, the next one of
 * the same two devices copies only what may differ.
 */
#ifndef BLKJOB_REMEMBER_H
#define BLKJOB_REMEMBER_H

#include "start.h"

/* 0, or a usage error: options that do not go together. */
int remember_usage(const struct command *cmd, const struct start_options *o);
/*
 * The metadata of a job that is to begin: does it go on with what they know? And
 * later, when both legs are: do these look as if nobody had written to them
 * meanwhile? @held: by a job that is still there. 0 or exit status.
 */
int remember_plan(struct plan *p, const struct start_options *o, bool held);
int remember_check(const struct plan *p, const struct start_options *o);
/* Says how much is to be copied again. */
void remember_tell(const struct plan *p);
/*
 * The command that goes on with a job, to be freed; NULL: it has no metadata. And
 * what is said of it when the layer under @dev is gone.
 */
char *remember_again(const struct job *job);
/*
 * The note in the metadata is who the source was at first. When the layer is gone
 * because somebody has cancelled the job, it says that too: nobody but the user may
 * write to the target device any more. The first one warns if it cannot.
 */
void remember_cancelled(const struct job *job, dev_t metadata);
bool remember_was_cancelled(const struct metadata *md);
/* As in the note, "" = not known. */
const char *remember_source(const struct metadata *md);
void remember_tell_again(const char *again, const char *dev);

#endif
