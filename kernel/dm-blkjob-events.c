// SPDX-License-Identifier: GPL-2.0
/*
 * The last events of a job. A dm event says only that something happened, and
 * several of them can be seen as one; here is what it was, in order.
 */
#include "dm-blkjob.h"

static struct bj_event *__event_add(struct blkjob *job)
{
	struct bj_events *events = &job->events;
	struct bj_event *event = &events->ring[events->next % BJ_EVENTS];

	lockdep_assert_held(&job->lock);
	events->next++;
	*event = (struct bj_event) {
		.time = ktime_get_real_ns(),
		.offset = job->stats.copied + job->stats.zeroed,
		.state = job->state,
	};
	return event;
}

void __bj_event_state(struct blkjob *job)
{
	__event_add(job);
}

void __bj_event_error(struct blkjob *job, const char *action)
{
	struct bj_event *event = __event_add(job);

	event->op = job->stats.last_op;
	event->err = job->stats.last_errno;
	event->sector = job->stats.last_sector;
	event->action = action;
}

/* The first one from @number on that is still there; false if none is. */
static bool event_get(struct blkjob *job, u64 *number, struct bj_event *event)
{
	struct bj_events *events = &job->events;
	bool found;

	spin_lock_irq(&job->lock);
	if (events->next > BJ_EVENTS)
		*number = max(*number, events->next - BJ_EVENTS);
	found = *number < events->next;
	if (found)
		*event = events->ring[*number % BJ_EVENTS];
	spin_unlock_irq(&job->lock);
	return found;
}

int bj_events_reply(struct blkjob *job, u64 number, char *result,
		    unsigned int maxlen)
{
	struct bj_event event;
	unsigned int sz = 0;

	*result = '\0';
	for (; sz + 120 < maxlen && event_get(job, &number, &event); number++) {
		DMEMIT("%llu %llu", number, div_u64(event.time, NSEC_PER_USEC));
		if (event.op)
			DMEMIT(" error %s %d %llu %s\n", event.op, event.err,
			       (u64)event.sector, event.action);
		else
			DMEMIT(" state %s %llu\n", bj_state_name(event.state),
			       event.offset);
	}
	return 1;
}
