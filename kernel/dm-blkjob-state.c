// SPDX-License-Identifier: GPL-2.0
/*
 * States and verbs of a job, as two tables.
 *
 * Both are QEMU's (job.c), with these differences: there is no "undefined" and
 * no "null", because a job exists as long as its device; a soft cancel of a
 * mirror goes through waiting like complete does; rollback is ours; and a job
 * in waiting may go back to ready or fail. finalize source goes from pending
 * to waiting, for the writes that are in flight then. A backup is never ready:
 * it ends by itself, or (sync none) goes to waiting when it is told to. So does
 * a stream; cancelled, its device needs both legs for good, and it may go on.
 */
#include "dm-blkjob-state.h"

static const char * const state_names[] = BLKJOB_STATE_NAMES;
static const char * const verb_names[] = BLKJOB_VERB_NAMES;

#define C BIT(BLKJOB_CREATED)
#define R BIT(BLKJOB_RUNNING)
#define P BIT(BLKJOB_PAUSED)
#define Y BIT(BLKJOB_READY)
#define S BIT(BLKJOB_STANDBY)
#define W BIT(BLKJOB_WAITING)
#define D BIT(BLKJOB_PENDING)
#define X BIT(BLKJOB_ABORTING)
#define E BIT(BLKJOB_CONCLUDED)

/* In which states may a verb be asked for? */
static const u16 verb_states[BJ_NR_KINDS][BLKJOB_NR_VERBS] = {
	[BJ_MIRROR] = {
		[BLKJOB_VERB_PAUSE]	= C | R | P | Y | S,
		[BLKJOB_VERB_RESUME]	= C | R | P | Y | S,
		[BLKJOB_VERB_CANCEL]	= C | R | P | Y | S | W | D,
		[BLKJOB_VERB_COMPLETE]	= Y | S,
		[BLKJOB_VERB_FINALIZE]	= D,
		[BLKJOB_VERB_ROLLBACK]	= W | D,
		[BLKJOB_VERB_SET]	= C | R | P | Y | S | W | D,
		[BLKJOB_VERB_MARK]	= C | R | P | Y | S,
		[BLKJOB_VERB_UNMARK]	= C | P | S,
	},
	[BJ_BACKUP] = {
		[BLKJOB_VERB_PAUSE]	= C | R | P,
		[BLKJOB_VERB_RESUME]	= C | R | P,
		[BLKJOB_VERB_CANCEL]	= C | R | P | W,
		[BLKJOB_VERB_COMPLETE]	= R | P,
		[BLKJOB_VERB_SET]	= C | R | P | W,
		[BLKJOB_VERB_UNMARK]	= C | P,
	},
	[BJ_TRACK] = {
		[BLKJOB_VERB_PAUSE]	= C | R | P,
		[BLKJOB_VERB_RESUME]	= C | R | P,
		[BLKJOB_VERB_CANCEL]	= C | R | P,
	},
	[BJ_STREAM] = {
		[BLKJOB_VERB_PAUSE]	= C | R | P,
		[BLKJOB_VERB_RESUME]	= C | R | P | E,
		[BLKJOB_VERB_CANCEL]	= C | R | P,
		[BLKJOB_VERB_SET]	= C | R | P | E,
		[BLKJOB_VERB_MARK]	= C | P,
		[BLKJOB_VERB_UNMARK]	= C | P,
	},
};

/* Why a type has not got a verb at all. */
static const char * const verb_reasons[BJ_NR_KINDS][BLKJOB_NR_VERBS] = {
	[BJ_BACKUP] = {
		[BLKJOB_VERB_FINALIZE]	= "a backup ends by itself, on the source",
		[BLKJOB_VERB_ROLLBACK]	= "a backup never switches",
		[BLKJOB_VERB_MARK]	=
			"what was saved may be overwritten by now; unmark the rest, while paused",
	},
	[BJ_TRACK] = {
		[BLKJOB_VERB_COMPLETE]	= "tracking does not end by itself; cancel it",
		[BLKJOB_VERB_FINALIZE]	= "nothing is copied",
		[BLKJOB_VERB_ROLLBACK]	= "nothing is copied",
		[BLKJOB_VERB_SET]	= "there is nothing to set",
		[BLKJOB_VERB_MARK]	= "what has changed is what was written",
		[BLKJOB_VERB_UNMARK]	= "what has changed is what was written",
	},
	[BJ_STREAM] = {
		[BLKJOB_VERB_COMPLETE]	= "a stream ends by itself",
		[BLKJOB_VERB_FINALIZE]	= "a stream ends by itself, on the target device",
		[BLKJOB_VERB_ROLLBACK]	= "what was written is on the target device only",
	},
};

/* Which states may come next? */
static const u16 state_next[BJ_NR_KINDS][BLKJOB_NR_STATES] = {
	[BJ_MIRROR] = {
		[BLKJOB_CREATED]	= R | P | X,
		[BLKJOB_RUNNING]	= P | Y | X,
		[BLKJOB_PAUSED]		= R | X,
		[BLKJOB_READY]		= S | W | X,
		[BLKJOB_STANDBY]	= Y | X,
		[BLKJOB_WAITING]	= Y | D | X | E,
		[BLKJOB_PENDING]	= Y | W | X | E,
		[BLKJOB_ABORTING]	= E,
		[BLKJOB_CONCLUDED]	= 0,
	},
	[BJ_BACKUP] = {
		[BLKJOB_CREATED]	= R | P | X,
		[BLKJOB_RUNNING]	= P | W | X | E,
		[BLKJOB_PAUSED]		= R | W | X,
		[BLKJOB_WAITING]	= R | X | E,
		[BLKJOB_ABORTING]	= E,
		[BLKJOB_CONCLUDED]	= 0,
	},
	[BJ_TRACK] = {
		[BLKJOB_CREATED]	= R | P | X,
		[BLKJOB_RUNNING]	= P | X,
		[BLKJOB_PAUSED]		= R | X,
		[BLKJOB_ABORTING]	= E,
		[BLKJOB_CONCLUDED]	= 0,
	},
	[BJ_STREAM] = {
		[BLKJOB_CREATED]	= R | P | X,
		[BLKJOB_RUNNING]	= P | X | E,
		[BLKJOB_PAUSED]		= R | X,
		[BLKJOB_ABORTING]	= E,
		[BLKJOB_CONCLUDED]	= R,
	},
};

#undef C
#undef R
#undef P
#undef Y
#undef S
#undef W
#undef D
#undef X
#undef E

const char *bj_state_name(enum blkjob_state state)
{
	return state_names[state];
}

const char *bj_verb_name(enum blkjob_verb verb)
{
	return verb_names[verb];
}

int bj_verb_parse(const char *name)
{
	return match_string(verb_names, BLKJOB_NR_VERBS, name);
}

bool bj_verb_allowed(enum bj_kind kind, enum blkjob_verb verb,
		     enum blkjob_state state)
{
	return verb_states[kind][verb] & BIT(state);
}

const char *bj_verb_reason(enum bj_kind kind, enum blkjob_verb verb)
{
	return verb_reasons[kind][verb];
}

bool bj_state_follows(enum bj_kind kind, enum blkjob_state from,
		      enum blkjob_state to)
{
	return state_next[kind][from] & BIT(to);
}
