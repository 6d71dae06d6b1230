/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams: a target device that is used at once, and filled behind. */
#ifndef BLKJOB_STREAM_H
#define BLKJOB_STREAM_H

#include "complete.h"
#include "metadata.h"
#include "start.h"

struct stream_options {
	const char *name;		/* of a new device; NULL = SOURCE is one in use */
	const char *base;		/* a file: what is not to be filled */
	/* UNKNOWN = not given */
	uint64_t speed, granularity, buf_size, latency_bound;
	const char *words[NR_WORDS];	/* NULL = not given */
	uint64_t size;			/* of a new device; likewise, as the source */
	bool force;			/* overwrite what is on the devices */
	bool reset;			/* forget what the metadata know */
	bool unwritten;			/* a promise, see cmd-stream.c */
	bool recover;			/* there must be metadata, and they count */
	bool paused;			/* do not fill: not all of it was to be */
};

/* Where are the data, if it is not there any more? */
enum stream_commit {
	STREAM_FILLS,		/* on both legs: what is not valid, on the source */
	STREAM_COMMITS,		/* likewise; and the source is being written */
	STREAM_COMMITTED,	/* on the source, all of them */
};

/*
 * The note in the metadata: what has to be known to put the stream back that the
 * identities of the legs do not say.
 */
struct stream_note {
	char name[128];		/* of the device that was made, "" = the source's */
	uint64_t print;		/* of the source, see identity.h; 0 = not known */
	bool base;		/* some of it was not to be filled */
	enum stream_commit commit;
};

/* To be freed. */
char *stream_note_text(const struct stream_note *note);
bool stream_note_parse(const char *text, struct stream_note *note);

/* Everything is on @source, and nothing on the target device counts. */
int stream_refuse_committed(const char *source, const struct metadata *md);

/*
 * Begins one, or goes on with one that was cancelled or that only its metadata
 * know of. 0 or exit status.
 */
int stream_start(const char *source, const char *target, const char *metadata,
		 const struct stream_options *o, struct job *job);

/* stream-end.c: drops the source when everything is on the target device. */
int stream_complete(struct job *job, const struct complete_options *opt);
/*
 * Stops filling, and keeps what is there. @force: and takes away a device that
 * was made, if nobody uses it.
 */
int stream_cancel(struct job *job, bool force, uint64_t timeout_us);
/* It fills no more, when this returns. 0 or exit status. */
int stream_stop_filling(struct job *job, uint64_t timeout_us);
/* The sentence for one that does not end well. Returns an exit status. */
int stream_failed(const struct job *job);

#endif
