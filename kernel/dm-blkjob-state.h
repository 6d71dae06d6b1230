/* SPDX-License-Identifier: GPL-2.0 */
/*
 * States and verbs of a job.
 */
#ifndef DM_BLKJOB_STATE_H
#define DM_BLKJOB_STATE_H

#include "dm-blkjob-args.h"

const char *bj_state_name(enum blkjob_state state);
const char *bj_verb_name(enum blkjob_verb verb);

/* The verb called @name, or -EINVAL. */
int bj_verb_parse(const char *name);

/* May @verb be asked for in @state (QEMU job.c JobVerbTable)? */
bool bj_verb_allowed(enum bj_kind kind, enum blkjob_verb verb,
		     enum blkjob_state state);

/* Why jobs of this type never take @verb; NULL: it depends on the state. */
const char *bj_verb_reason(enum bj_kind kind, enum blkjob_verb verb);

/* Is @from -> @to a change that can happen (QEMU job.c JobSTT)? */
bool bj_state_follows(enum bj_kind kind, enum blkjob_state from,
		      enum blkjob_state to);

#endif
