// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "top.h"

/* One segment of that type? */
static bool is_all(const struct table *t, const char *type)
{
	return t->n == 1 && !t->seg[0].start && !strcmp(t->seg[0].type, type);
}

static bool set_snapshot(const char *params, struct top *top)
{
	unsigned int omaj, omin, cmaj, cmin;
	unsigned long long chunk;
	char kind[4];

	if (sscanf(params, "%u:%u %u:%u %3s %llu", &omaj, &omin, &cmaj, &cmin,
		   kind, &chunk) != 6)
		return false;
	top->origin = makedev(omaj, omin);
	top->cow = makedev(cmaj, cmin);
	top->persistent = *kind == 'P';
	top->chunk = chunk;
	return true;
}

static bool set_thin(const char *params, struct top *top)
{
	unsigned int maj, min;

	if (sscanf(params, "%u:%u %u", &maj, &min, &top->dev_id) != 3)
		return false;
	top->pool = makedev(maj, min);
	top->thin = true;
	return true;
}

void top_find(const struct table *t, struct top *top)
{
	autotable struct table here = { 0 };
	unsigned int maj, min;
	dev_t devno = 0;
	unsigned long long offset;

	*top = (struct top) { .len = table_length(t) };
	table_copy(&here, t);
	while (is_all(&here, "linear")) {
		if (sscanf(here.seg[0].params, "%u:%u %llu", &maj, &min,
			   &offset) != 3)
			return;
		devno = makedev(maj, min);
		top->offset += offset;
		table_free(&here);
		if (dm_get_table(devno, false, &here))
			return;
	}
	if ((is_all(&here, "snapshot") && devno &&
	     set_snapshot(here.seg[0].params, top)))
		top->devno = devno;
	else if (is_all(&here, "thin") && set_thin(here.seg[0].params, top))
		top->devno = top->pool;
}

int top_check(const struct top *top, const char *label)
{
	if (!top->devno)
		return fail(EX_REFUSED,
			    "%s is neither a thin volume nor a linear device on one or on a snapshot, so it has no top; use --sync full",
			    label);
	return top->thin ? top_check_thin(top) : top_check_snapshot(top);
}

int top_read(const struct top *top, struct ranges *ranges)
{
	uint64_t first = top->offset * 512, end = first + top->len * 512;
	autoranges struct ranges all = { 0 };
	size_t i;
	int err = top->thin ? top_read_thin(top, &all) :
			      top_read_snapshot(top, &all);

	ranges_sort(&all);
	for (i = 0; !err && i < all.n; i++) {
		uint64_t a = all.r[i].start, b = a + all.r[i].len;

		a = a > first ? a : first;
		b = b < end ? b : end;
		if (a < b)
			ranges_add(ranges, a - first, b - a);
	}
	return err;
}
