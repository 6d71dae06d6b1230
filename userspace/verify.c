// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Comparing the legs of a job while the device is in use.
 *
 * Of two reads one is the earlier, and a write or a copy can be on its way to
 * one leg only. So what differs in a first sweep is only suspected: it is read
 * again and again, after longer and longer pauses. It differs if nothing wrote
 * there during the last looks, and nothing was dirty: any write to a leg would
 * have ended by then, and left its range equal or dirty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "leg.h"
#include "map.h"
#include "verify.h"

#define PIECE		(1 << 20)
#define UNIT_MIN	4096
#define LOOKS		6
#define QUIET_LOOKS	3	/* the last ones of them: almost 3 s */
#define PAUSE_US	100000	/* after the first look; doubled each time */

static const unsigned int steady = STATE(READY) | STATE(STANDBY) |
				   STATE(PENDING);

struct suspect {
	uint64_t start;
	uint64_t hash;		/* of what both legs held */
	unsigned int quiet;	/* looks in which that was the same, and clean */
	bool equal;
};

struct verify {
	struct job *job;
	int fd[2];		/* by enum leg */
	unsigned char *data[2];
	uint64_t len;		/* bytes */
	unsigned int unit;	/* bytes that are suspected as one */
	struct suspect *suspects;
	size_t nr_suspects;
};

static void verify_close(struct verify *v)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (v->fd[i] >= 0)
			close(v->fd[i]);
		free(v->data[i]);
	}
	free(v->suspects);
}

static int verify_open(struct verify *v)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < 2 && !err; i++) {
		err = leg_open(v->job, i, &v->fd[i]);
		if (!err && posix_memalign((void **)&v->data[i], 4096, PIECE))
			err = fail(EX_REFUSED, "out of memory");
	}
	return err;
}

static int read_leg(struct verify *v, enum leg leg, uint64_t start, size_t len)
{
	return leg_read(v->job, leg, v->fd[leg], v->data[leg], start, len);
}

static int read_both(struct verify *v, uint64_t start, size_t len)
{
	int err = read_leg(v, LEG_SOURCE, start, len);

	return err ? err : read_leg(v, LEG_TARGET, start, len);
}

static bool equal_at(const struct verify *v, size_t at, size_t len)
{
	return !memcmp(v->data[0] + at, v->data[1] + at, len);
}

/* The job is where both legs are to be equal; otherwise @status. */
static int check_steady(struct verify *v, int status)
{
	int err = job_update(v->job);

	if (err)
		return fail(EX_ROLLED_BACK, "job %s is gone; nothing can be compared any more",
			    v->job->id);
	if (job_is_backup(v->job))
		return fail(status,
			    "job %s is a backup: its source has been written since the instant of the image, so that the two need not be equal",
			    v->job->id);
	if (!job_in(v->job, steady))
		return fail(status,
			    "job %s is %s: its legs need not be equal now; 'blkjob wait %s', then compare again",
			    v->job->id, status_state_name(v->job->st.state),
			    v->job->id);
	return 0;
}

static int interrupted(const struct verify *v)
{
	return fail(EX_DETACHED, "interrupted; job %s goes on", v->job->id);
}

/*----------------------------- The sweep -----------------------------*/

static void suspect(struct verify *v, uint64_t start)
{
	if (!(v->nr_suspects & (v->nr_suspects - 1)))
		v->suspects = xrealloc(v->suspects, sizeof(*v->suspects) *
				       (v->nr_suspects ? 2 * v->nr_suspects : 1));
	v->suspects[v->nr_suspects++] = (struct suspect) { .start = start };
}

static int sweep(struct verify *v, uint64_t speed, struct progress *progress)
{
	uint64_t begin = now_us(), due = 0, at;
	size_t len, i;
	int err;

	for (at = 0; at < v->len; at += len) {
		len = v->len - at < PIECE ? v->len - at : PIECE;
		err = read_both(v, at, len);
		if (err)
			return err;
		for (i = 0; i < len; i += v->unit)
			if (!equal_at(v, i, len - i < v->unit ? len - i : v->unit))
				suspect(v, at + i);
		progress_bytes(progress, "verify", at + len, v->len);
		if (speed)
			due = (unsigned __int128)(at + len) * 1000000 / speed;
		if (wait_until(begin + due))
			return interrupted(v);
	}
	return 0;
}

/*------------------------- The second looks --------------------------*/

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint64_t *word = data;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		h = (h ^ word[i]) * 0x100000001b3ULL + (h >> 47);
	return h;
}

/* The bytes read at @s are what differs; the buffers hold them. */
static void report(const struct verify *v, const struct suspect *s, size_t len,
		   struct verify_result *result)
{
	size_t at;

	if (s->quiet < QUIET_LOOKS) {
		ranges_add(&result->busy, s->start, len);
		return;
	}
	for (at = 0; at < len; at += 512)
		if (!equal_at(v, at, 512))
			ranges_add(&result->differ, s->start + at, 512);
}

static int look(struct verify *v, const struct ranges *dirty, bool last,
		struct verify_result *result)
{
	struct suspect *s;
	int err;

	for (s = v->suspects; s < v->suspects + v->nr_suspects; s++) {
		size_t len = v->len - s->start < v->unit ? v->len - s->start :
							   v->unit;
		uint64_t now;

		if (s->equal)
			continue;
		err = read_both(v, s->start, len);
		if (err)
			return err;
		s->equal = equal_at(v, 0, len);
		now = hash(hash(1, v->data[0], len), v->data[1], len);
		if (now != s->hash || ranges_meet(dirty, s->start, len))
			s->quiet = 0;
		else
			s->quiet++;
		s->hash = now;
		if (last && !s->equal)
			report(v, s, len, result);
	}
	return 0;
}

static bool all_equal(const struct verify *v)
{
	size_t i;

	for (i = 0; i < v->nr_suspects; i++)
		if (!v->suspects[i].equal)
			return false;
	return true;
}

static int look_again(struct verify *v, struct verify_result *result)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < LOOKS && !err && !all_equal(v); i++) {
		autoranges struct ranges dirty = { 0 };

		if (i && wait_until(now_us() + (PAUSE_US << (i - 1))))
			return interrupted(v);
		if (map_read(v->job, &dirty))
			break;
		err = look(v, &dirty, i == LOOKS - 1, result);
	}
	/* There is no way back to these states from the end of a job. */
	return err ? err : check_steady(v, EX_DETACHED);
}

int verify_job(struct job *job, uint64_t speed, struct progress *progress,
	       struct verify_result *result)
{
	__attribute__((cleanup(verify_close))) struct verify v = {
		.job = job, .fd = { -1, -1 }, .len = job->length * 512,
	};
	uint64_t unit = job->st.granularity;
	int err = check_steady(&v, EX_REFUSED);

	v.unit = unit < UNIT_MIN ? UNIT_MIN : unit < PIECE ? unit : PIECE;
	if (!err)
		err = verify_open(&v);
	if (!err)
		err = sweep(&v, speed, progress);
	progress_end(progress);
	return err ? err : look_again(&v, result);
}

void verify_free(struct verify_result *result)
{
	ranges_free(&result->differ);
	ranges_free(&result->busy);
}
