/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a job: used by complete, migrate, cancel and the LVM commit. */
#ifndef BLKJOB_COMPLETE_H
#define BLKJOB_COMPLETE_H

#include "args.h"
#include "job.h"

struct complete_options {
	uint64_t timeout_us;		/* to become ready, 0 = none */
	uint64_t switch_timeout_us;	/* to get in step, 0 = none */
	bool keep_source, quiet;
	bool keep_synced;		/* the legs change places, no more */
};

#define SWITCH_TIMEOUT_US 60000000ULL

#define COMPLETE_ARGS(o)						\
	ARG("keep-source", FLAG, &(o)->keep_source),	\
	ARG_TIMEOUT(&(o)->timeout_us),					\
	ARG("switch-timeout", TIME, &(o)->switch_timeout_us)

/* From wherever the job is to the consumer on the target device. */
int job_complete(struct job *job, const struct complete_options *opt);
/* The layer goes, the consumer stays on the source. */
int job_cancel(struct job *job, bool force, uint64_t timeout_us);

/* For who has just started it and holds its lock: as if it had never been. */
int job_undo(struct job *job);

/* ready -> pending, or back to ready and exit status. */
int complete_to_pending(struct job *job, uint64_t timeout_us);
/*
 * In the commit window, a leg that fails holds writes until we decide: then
 * complete_give_up() cancels, and returns the exit status.
 */
bool complete_leg_failed(struct job *job);
int complete_give_up(struct job *job);
/* pending -> concluded with the target active. */
int complete_finalize(struct job *job);

/* The steps that are the same for the jobs of a group. 0 or exit status. */
uint64_t complete_deadline(uint64_t timeout_us);
int complete_check(const struct job *job);
/* Refused if another job of ours stands on it. */
int complete_check_upper(const struct job *job);
int complete_refuse_lv(const struct job *job);
int complete_until_ready(struct job *job, uint64_t deadline_us, bool quiet);
int complete_wait_failed(const struct job *job, int err);
int complete_ended(const struct job *job);
int complete_report(const struct job *job, uint64_t us);
/* The refusals of keep_synced, and what is said when that was done. */
int complete_check_reverse(const struct job *job);
int complete_report_reversed(const struct job *job);

#endif
