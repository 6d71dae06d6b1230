/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs, as found in the kernel's tables. There is no other record of them. */
#ifndef BLKJOB_JOB_H
#define BLKJOB_JOB_H

#include <stdbool.h>

#include "dm.h"
#include "status.h"

#define JOB_ID_LEN 8
#define JOB_PREFIX "blkjob."

struct job {
	char id[128];		/* 8 hex digits, or the name of a table loaded by hand */
	bool by_hand;		/* no stack of ours: dev and user are the same */
	struct dm_dev dev;	/* the device with the blkjob table */
	struct dm_dev user;	/* what the consumer has open; devno 0 = gone */
	/* Another layer of ours stands on this one, and the user device on that. */
	bool below;
	dev_t replaces;		/* parent that is to name the target; 0 = none */
	dev_t source, target;
	uint64_t source_offset, target_offset, length;	/* sectors */
	bool reversed;		/* what was the source is the target now */
	struct status st;
};

/* 0, or exit status after a message. */
int job_find(const char *ref, struct job *job);
/* The one job, or all of the group; the caller frees. */
int job_find_all(const char *ref, struct job **jobs, size_t *n);
int job_list(struct job **jobs, size_t *n);
/* Is it meant? @devno: of the device of that name, or 0. */
bool job_matches(const struct job *job, const char *ref, dev_t devno);
/* The word of an option in the table of a job, to be freed; NULL = not given. */
char *job_option(const struct job *job, const char *key);
/* The device with its metadata, 0 = none. */
dev_t job_metadata(const struct job *job);
/* 0, -ENXIO if the job is gone, or another negative errno. */
int job_update(struct job *job);
bool job_in(const struct job *job, unsigned int states);
/*
 * The command that made it was killed before it had marked what the job begins
 * with: resumed, it would make a wrong copy.
 */
bool job_unprepared(const struct job *job);
/* An image of one instant: the source stays what is used, and it ends by itself. */
bool job_is_backup(const struct job *job);
bool job_is_track(const struct job *job);
/* What was the source when the job began, also if it is the target now. */
dev_t job_old_source(const struct job *job);
/* Both legs, and the way back is open: neither has it ended, nor gone wrong. */
bool job_can_undo(const struct job *job);
/* What is written is on the target device alone. */
bool job_is_stream(const struct job *job);
/* Unless it is one that saves what is overwritten until it is told to end. */
bool job_is_endless(const struct job *job);
/* Does the kernel keep checksums of what the job copies? */
bool job_has_checksums(const struct job *job);
/* What the user calls the device: "vg0/data" or "/dev/mapper/x"; to be freed. */
char *job_device(const struct job *job);
/* One of the devices of a stack of ours. */
bool job_is_private(const struct dm_dev *dev);
char *dm_dev_label(const struct dm_dev *dev);
/* The same for a device of any kind. */
char *devno_label(dev_t devno);

#define STATE(s) (1u << BLKJOB_##s)

/* Sends a verb; on refusal tells why. 0 or exit status. */
int job_send(const struct job *job, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* 0 if the job ended well, otherwise tells about its error. */
int job_error(const struct job *job);

struct progress;

/*
 * Waits until the state is in @states. Returns 0, EX_DETACHED on a signal or
 * at the deadline (0 = none), -ENXIO when the job is gone. Prints nothing
 * but progress.
 */
int job_wait(struct job *job, unsigned int states, uint64_t deadline_us,
	     struct progress *progress);
/*
 * Sleeps until an event comes in by @fd (see dm_events_open()), a second at
 * most. True on a signal to end, and at the deadline (0 = none).
 */
bool wait_event(int fd, uint64_t deadline_us);
/* Sleeps until that time, which can be now. True on a signal to end. */
bool wait_until(uint64_t us);
/* The sentence that says how to come back. */
int job_detached(const struct job *job, bool will_switch);

void signals_setup(void);
/* Past the point of no return, an interruption waits until the end. */
void signals_ignore(void);

#endif
