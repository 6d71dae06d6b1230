// SPDX-License-Identifier: GPL-2.0-or-later
/* "mirror running offset=0 len=1048576 ..." -> struct status */
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "status.h"

static const char * const state_names[BLKJOB_NR_STATES] = BLKJOB_STATE_NAMES;

#define NUMBER(k) { #k, offsetof(struct status, k), 0 }
#define WORD(k) { #k, offsetof(struct status, k), sizeof(((struct status *)0)->k) }

static const struct key {
	const char *name;
	size_t offset;
	size_t size;	/* of the buffer of a word, 0 = number */
} keys[] = {
	NUMBER(offset), NUMBER(len), NUMBER(speed), NUMBER(dirty),
	NUMBER(in_flight), NUMBER(rate), NUMBER(dirty_rate), NUMBER(busy),
	NUMBER(paused), NUMBER(ready), NUMBER(actively_synced), NUMBER(held),
	NUMBER(granularity), NUMBER(copied), NUMBER(zeroed), NUMBER(recopied),
	NUMBER(passes),
	NUMBER(source_errors), NUMBER(target_errors), NUMBER(pause_us),
	NUMBER(cbw), NUMBER(checkpoint_busy), NUMBER(reversed),
	NUMBER(spilled), NUMBER(spill_full), NUMBER(spill_errors),
	NUMBER(rework), NUMBER(remembers),
	WORD(io_status), WORD(error), WORD(last_error), WORD(result),
	WORD(active), WORD(converge), WORD(group),
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

static void *field(struct status *st, const struct key *k)
{
	return (char *)st + k->offset;
}

static int set_key(struct status *st, const char *name, const char *value)
{
	const struct key *k;
	char *end;

	for (k = keys; k < keys + NR_KEYS; k++)
		if (!strcmp(k->name, name))
			break;
	if (k == keys + NR_KEYS || !strcmp(value, "-"))
		return 0;
	if (k->size) {
		if (strlen(value) >= k->size)
			return -EINVAL;
		strcpy(field(st, k), value);
		return 0;
	}
	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	errno = 0;
	*(uint64_t *)field(st, k) = strtoull(value, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

static int set_state(struct status *st, const char *word)
{
	int i;

	for (i = 0; i < BLKJOB_NR_STATES; i++) {
		if (!strcmp(word, state_names[i])) {
			st->state = i;
			return 0;
		}
	}
	return -EINVAL;
}

int status_parse(const char *line, struct status *st)
{
	char copy[2048], *word, *eq, *next;
	const struct key *k;
	int n = 0, err = 0;

	memset(st, 0, sizeof(*st));
	for (k = keys; k < keys + NR_KEYS; k++)
		if (!k->size)
			*(uint64_t *)field(st, k) = UNKNOWN;
	if (strlen(line) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, line);
	for (word = strtok_r(copy, " \n", &next); word && !err;
	     word = strtok_r(NULL, " \n", &next), n++) {
		if (n == 0 && strlen(word) < sizeof(st->type)) {
			strcpy(st->type, word);
		} else if (n == 1) {
			err = set_state(st, word);
		} else {
			eq = strchr(word, '=');
			if (!eq)
				return -EINVAL;
			*eq = '\0';
			err = set_key(st, word, eq + 1);
		}
	}
	return n < 2 ? -EINVAL : err;
}

const char *status_state_name(enum blkjob_state state)
{
	return state_names[state];
}

uint64_t status_eta(uint64_t remaining, uint64_t rate, uint64_t dirty_rate)
{
	if (remaining == 0)
		return 0;
	if (remaining == UNKNOWN || rate == UNKNOWN)
		return UNKNOWN;
	if (dirty_rate == UNKNOWN)
		dirty_rate = 0;
	if (rate <= dirty_rate)
		return UNKNOWN;
	rate -= dirty_rate;
	return remaining / rate + !!(remaining % rate);
}

uint64_t status_remaining(const struct status *st)
{
	if (st->len == UNKNOWN || st->offset == UNKNOWN || st->offset > st->len)
		return UNKNOWN;
	return st->len - st->offset;
}

const char *status_converge(const struct status *st, char *buf, size_t len)
{
	char dirtied[32], copied[32];

	size_format(dirtied, sizeof(dirtied), st->dirty_rate);
	size_format(copied, sizeof(copied), st->rate);
	if (!strcmp(st->converge, "no"))
		snprintf(buf, len,
			 "does not converge: writes make %s/s dirty, %s/s are copied; %sset copy_mode write-blocking or auto",
			 dirtied, copied,
			 st->speed ? "raise the speed limit, or " : "");
	else if (!strcmp(st->converge, "slow"))
		snprintf(buf, len,
			 "converges slowly: writes make %s/s dirty, %s/s are copied",
			 dirtied, copied);
	else if (!strcmp(st->converge, "write-blocking"))
		snprintf(buf, len,
			 "writes now go to both devices, because the copy did not gain on them");
	else
		return NULL;
	return buf;
}
