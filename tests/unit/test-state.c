// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of states and verbs, against what is written out here by hand:
 * QEMU's tables (job.c, JobVerbTable and JobSTT) where there is such a verb or
 * state, with the differences named.
 */
#include "dm-blkjob-state.h"
#include "unit.h"

/* created Running Paused readY Standby Waiting penDing aborting(X) concludEd */
static const char letters[] = "CRPYSWDXE";

/*
 * A backup: where it has such a state, and no verb that switches. Tracking is
 * for ever, or until cancelled. A stream ends by itself, and can go on after a
 * cancel.
 */
static const struct {
	enum blkjob_verb verb;
	const char *states[BJ_NR_KINDS];
} verbs[] = {
	{ BLKJOB_VERB_CANCEL, { "CRPYSWD", "CRPW", "CRP", "CRP" } },	/* as QEMU's */
	{ BLKJOB_VERB_PAUSE, { "CRPYS", "CRP", "CRP", "CRP" } },
	{ BLKJOB_VERB_RESUME, { "CRPYS", "CRP", "CRP", "CRPE" } },
	{ BLKJOB_VERB_COMPLETE, { "YS", "RP", "", "" } },
	{ BLKJOB_VERB_FINALIZE, { "D", "", "", "" } },
	{ BLKJOB_VERB_SET, { "CRPYSWD", "CRPW", "", "CRPE" } },	/* QEMU: not in W, D */
	{ BLKJOB_VERB_ROLLBACK, { "WD", "", "", "" } },		/* ours */
	{ BLKJOB_VERB_MARK, { "CRPYS", "", "", "CP" } },	/* ours */
	{ BLKJOB_VERB_UNMARK, { "CPS", "CP", "", "CP" } },	/* ours */
};

/*
 * QEMU's, without null. Ours: a created job may start paused (P); a cancel does
 * not wake a paused job first (X behind P and S); waiting goes back to ready
 * by rollback, and ends a soft cancel; pending goes back to ready.
 */
static const char * const follows[BJ_NR_KINDS][BLKJOB_NR_STATES] = {
	[BJ_MIRROR] = {
		[BLKJOB_CREATED] = "RPX",
		[BLKJOB_RUNNING] = "PYX",
		[BLKJOB_PAUSED] = "RX",
		[BLKJOB_READY] = "SWX",
		[BLKJOB_STANDBY] = "YX",
		[BLKJOB_WAITING] = "DYXE",
		[BLKJOB_PENDING] = "YWXE",
		[BLKJOB_ABORTING] = "E",
		[BLKJOB_CONCLUDED] = "",
	},
	/* Never ready; running ends by itself, or after complete by waiting. */
	[BJ_BACKUP] = {
		[BLKJOB_CREATED] = "RPX",
		[BLKJOB_RUNNING] = "PWXE",
		[BLKJOB_PAUSED] = "RWX",
		[BLKJOB_READY] = "",
		[BLKJOB_STANDBY] = "",
		[BLKJOB_WAITING] = "RXE",
		[BLKJOB_PENDING] = "",
		[BLKJOB_ABORTING] = "E",
		[BLKJOB_CONCLUDED] = "",
	},
	[BJ_TRACK] = {
		[BLKJOB_CREATED] = "RPX",
		[BLKJOB_RUNNING] = "PX",
		[BLKJOB_PAUSED] = "RX",
		[BLKJOB_READY] = "",
		[BLKJOB_STANDBY] = "",
		[BLKJOB_WAITING] = "",
		[BLKJOB_PENDING] = "",
		[BLKJOB_ABORTING] = "E",
		[BLKJOB_CONCLUDED] = "",
	},
	[BJ_STREAM] = {
		[BLKJOB_CREATED] = "RPX",
		[BLKJOB_RUNNING] = "PXE",
		[BLKJOB_PAUSED] = "RX",
		[BLKJOB_READY] = "",
		[BLKJOB_STANDBY] = "",
		[BLKJOB_WAITING] = "",
		[BLKJOB_PENDING] = "",
		[BLKJOB_ABORTING] = "E",
		[BLKJOB_CONCLUDED] = "R",
	},
};

static void verb_table(void)
{
	unsigned int kind, i, state;

	CHECK_EQ(ARRAY_SIZE(verbs), BLKJOB_NR_VERBS);
	for (kind = 0; kind < BJ_NR_KINDS; kind++)
		for (i = 0; i < ARRAY_SIZE(verbs); i++)
			for (state = 0; state < BLKJOB_NR_STATES; state++)
				CHECK(bj_verb_allowed(kind, verbs[i].verb,
						      state) ==
				      !!strchr(verbs[i].states[kind],
					       letters[state]),
				      "%s: %s in %s", bj_kind_name(kind),
				      bj_verb_name(verbs[i].verb),
				      bj_state_name(state));
}

/* What a type never takes has a reason, and nothing else has. */
static void verb_reasons(void)
{
	unsigned int kind, i;

	for (kind = 0; kind < BJ_NR_KINDS; kind++)
		for (i = 0; i < ARRAY_SIZE(verbs); i++)
			CHECK(!bj_verb_reason(kind, verbs[i].verb) ==
			      !!*verbs[i].states[kind], "%s: %s",
			      bj_kind_name(kind), bj_verb_name(verbs[i].verb));
}

static void transitions(void)
{
	unsigned int kind, from, to;

	for (kind = 0; kind < BJ_NR_KINDS; kind++)
		for (from = 0; from < BLKJOB_NR_STATES; from++)
			for (to = 0; to < BLKJOB_NR_STATES; to++)
				CHECK(bj_state_follows(kind, from, to) ==
				      !!strchr(follows[kind][from],
					       letters[to]),
				      "%s: %s -> %s", bj_kind_name(kind),
				      bj_state_name(from), bj_state_name(to));
}

/*
 * From everywhere there is a way to the end, and none out of it, but that of a
 * stream which was cancelled.
 */
static void always_an_end(void)
{
	unsigned int kind, from, to, reached, round;

	for (kind = 0; kind < BJ_NR_KINDS; kind++) {
		reached = BIT(BLKJOB_CONCLUDED);
		for (round = 0; round < BLKJOB_NR_STATES; round++)
			for (from = 0; from < BLKJOB_NR_STATES; from++)
				for (to = 0; to < BLKJOB_NR_STATES; to++)
					if (bj_state_follows(kind, from, to) &&
					    reached & BIT(to))
						reached |= BIT(from);
		/* A backup has no ready, standby and pending, and so on. */
		if (kind == BJ_TRACK || kind == BJ_STREAM)
			reached |= BIT(BLKJOB_WAITING);
		if (kind != BJ_MIRROR)
			reached |= BIT(BLKJOB_READY) | BIT(BLKJOB_STANDBY) |
				   BIT(BLKJOB_PENDING);
		CHECK_EQ(reached, BIT(BLKJOB_NR_STATES) - 1);
		for (to = 0; to < BLKJOB_NR_STATES; to++)
			CHECK(!bj_state_follows(kind, BLKJOB_CONCLUDED, to) ||
			      kind == BJ_STREAM,
			      "%u", to);
	}
}

static void names(void)
{
	static const char * const states[] = {
		"created", "running", "paused", "ready", "standby", "waiting",
		"pending", "aborting", "concluded",
	};
	unsigned int i;

	CHECK_EQ(ARRAY_SIZE(states), BLKJOB_NR_STATES);
	for (i = 0; i < BLKJOB_NR_STATES; i++)
		CHECK(!strcmp(bj_state_name(i), states[i]), "%s", states[i]);
	for (i = 0; i < BLKJOB_NR_VERBS; i++)
		CHECK_EQ(bj_verb_parse(bj_verb_name(i)), i);
	CHECK(bj_verb_parse("") == -EINVAL, "-");
	CHECK(bj_verb_parse("Pause") == -EINVAL, "-");
	CHECK(bj_verb_parse("pauses") == -EINVAL, "-");
	CHECK(bj_verb_parse("dismiss") == -EINVAL, "-");
}

static const struct unit_case cases[] = {
	{ "state: verb table", verb_table },
	{ "state: verbs that a type has not got", verb_reasons },
	{ "state: transitions", transitions },
	{ "state: always an end", always_an_end },
	{ "state: names", names },
};

UNIT_MAIN(cases)
