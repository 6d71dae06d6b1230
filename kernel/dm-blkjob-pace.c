// SPDX-License-Identifier: GPL-2.0
/*
 * The pacer.
 *
 * A bucket without a size: each operation moves the earliest start of the next
 * one by the time that its bytes are worth. What was copied by time t is thus
 * never more than speed * t and one operation, from the first byte on (QEMU's
 * slices of 100 ms let the first request through whatever its size).
 */
#include "dm-blkjob-pace.h"

/*
 * Time that may be made up for when the worker came late, such as by a timer
 * tick. Not more: a pause or an idle time is no credit.
 */
#define BJ_PACE_CATCH_UP	(5 * NSEC_PER_MSEC)
/*
 * Twenty-five operations are not one too many or too few by more than a tenth
 * in 100 ms, and still large: 4 MB at 1 GB/s.
 */
#define BJ_PACE_OPS_PER_SEC	250

static u64 pace_cost(u64 speed, u64 bytes)
{
	return mul_u64_u64_div_u64(bytes, NSEC_PER_SEC, speed);
}

void bj_pace_set(struct bj_pace *pace, u64 speed, u64 now)
{
	u64 debt = bj_pace_wait(pace, now);

	/*
	 * What was begun costs what it did then, or less. At a much lower
	 * speed it would stop the copy for long: it is the one operation too
	 * much that a limit allows for.
	 */
	if (debt && speed > pace->speed)
		debt = mul_u64_u64_div_u64(debt, pace->speed, speed);
	else if (!speed)
		debt = 0;
	pace->speed = speed;
	pace->next = now + debt;
}

u64 bj_pace_wait(const struct bj_pace *pace, u64 now)
{
	if (!pace->speed || pace->next <= now)
		return 0;
	return pace->next - now;
}

void bj_pace_charge(struct bj_pace *pace, u64 bytes, u64 now)
{
	u64 from = pace->next;

	if (!pace->speed)
		return;
	if (now > BJ_PACE_CATCH_UP)
		from = max(from, now - BJ_PACE_CATCH_UP);
	pace->next = from + pace_cost(pace->speed, bytes);
}

u64 bj_pace_unit(const struct bj_pace *pace, u64 max)
{
	if (!pace->speed)
		return max;
	return min(max, div_u64(pace->speed, BJ_PACE_OPS_PER_SEC) + 1);
}
