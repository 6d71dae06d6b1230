// SPDX-License-Identifier: GPL-2.0-or-later
/* Several jobs that belong together: all of them begin, or none. */
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "lock.h"
#include "preflight.h"
#include "start.h"

struct pair {
	char *source;		/* "SOURCE:TARGET", cut in two */
	const char *target;
	dev_t source_no, target_no;
};

struct pairs {
	struct pair *pair;
	struct plan *plan;	/* of each */
	size_t n;
};

static void pairs_free(struct pairs *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		free(p->pair[i].source);
		plan_free(&p->plan[i]);
	}
	free(p->pair);
	free(p->plan);
}

/* Paths can have colons themselves: cut where both parts are devices. */
static int cut(struct pair *pair, const char *text)
{
	char *colon;

	pair->source = xstrdup(text);
	for (colon = strchr(pair->source, ':'); colon;
	     colon = strchr(colon + 1, ':')) {
		*colon = '\0';
		if (!device_resolve(pair->source, &pair->source_no) &&
		    !device_resolve(colon + 1, &pair->target_no)) {
			pair->target = colon + 1;
			return 0;
		}
		*colon = ':';
	}
	return fail(EX_REFUSED,
		    "\"%s\" is not SOURCE:TARGET, the names of two devices; see: lsblk",
		    text);
}

static int cut_all(struct pairs *pairs, const char *const *texts, size_t n)
{
	struct pair *a, *b;
	int err = 0;

	pairs->pair = xcalloc(n, sizeof(*pairs->pair));
	pairs->plan = xcalloc(n, sizeof(*pairs->plan));
	for (; pairs->n < n && !err; pairs->n++)
		err = cut(&pairs->pair[pairs->n], texts[pairs->n]);
	for (a = pairs->pair; !err && a < pairs->pair + n; a++)
		for (b = pairs->pair; b < a; b++)
			if (a->source_no == b->source_no ||
			    a->target_no == b->target_no ||
			    a->source_no == b->target_no ||
			    a->target_no == b->source_no)
				return fail(EX_REFUSED,
					    "%s:%s and %s:%s have a device in common; each can be in one pair",
					    b->source, b->target, a->source,
					    a->target);
	return err;
}

static int check_name(const char *name)
{
	autofree struct job *jobs = NULL;
	size_t n;
	int err;

	msg_quiet(true);
	err = job_find_all(name, &jobs, &n);
	msg_quiet(false);
	if (err)
		return 0;
	return fail(EX_REFUSED,
		    "there is a job or a group %s already; name another, or see: blkjob status %s",
		    name, name);
}

/*
 * While a device stands still, one that stands on it cannot come to rest: not
 * both can be in a group that begins at one instant.
 */
static int check_apart(const struct pairs *pairs)
{
	const struct pair *a, *b;

	for (a = pairs->pair; a < pairs->pair + pairs->n; a++)
		for (b = pairs->pair; b < pairs->pair + pairs->n; b++)
			if (a != b && device_stands_on(a->source_no, b->source_no))
				return fail(EX_REFUSED,
					    "%s stands on %s, so they cannot have one instant; %s is enough",
					    a->source, b->source, a->source);
	return 0;
}

static int plan_all(struct pairs *pairs, struct locks *locks,
		    const struct start_options *o)
{
	size_t i;
	int err = o->backup ? check_apart(pairs) : 0;

	for (i = 0; i < pairs->n && !err; i++) {
		err = locks_add(locks, pairs->pair[i].source_no);
		if (!err)
			err = plan_make(&pairs->plan[i], pairs->pair[i].source,
					pairs->pair[i].target, o);
	}
	return err;
}

int start_group(const char *const *texts, size_t n,
		const struct start_options *o, struct job *jobs)
{
	__attribute__((cleanup(pairs_free))) struct pairs pairs = { 0 };
	autolocks struct locks locks = { 0 };
	uint32_t version[3];
	int err;

	err = preflight_kernel(version);
	if (!err)
		err = cut_all(&pairs, texts, n);
	if (!err)
		err = check_name(o->group);
	if (!err)
		err = plan_all(&pairs, &locks, o);
	return err ? err : start_planned(pairs.plan, n, o, jobs);
}
