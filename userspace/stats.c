// SPDX-License-Identifier: GPL-2.0-or-later
/* "sample 64\nreads 12\nlatency read count=1 ..." -> struct stats */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "stats.h"

static const char * const names[] = BLKJOB_LATENCY_NAMES;

_Static_assert(ARRAY_SIZE(names) == NR_LATENCIES, "a latency without a kind");

const struct latency_kind latency_kinds[NR_LATENCIES] = {
	{ "read", NULL }, { "write", NULL },
	{ "copy", "source" }, { "copy", "target" },
	{ "active", "source" }, { "active", "target" },
	{ "flush", "source" }, { "flush", "target" },
};

static int number(const char *word, uint64_t *value)
{
	char *end;

	if (!word || !isdigit((unsigned char)*word))
		return -EINVAL;
	errno = 0;
	*value = strtoull(word, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

/* "inf" or a power of two. */
static int bucket(const char *bound, unsigned int *b)
{
	uint64_t us;

	*b = HISTOGRAM_BUCKETS - 1;
	if (!strcmp(bound, "inf"))
		return 0;
	if (number(bound, &us) || !us || (us & (us - 1)) || us >> *b)
		return -EINVAL;
	for (*b = 0; us > 1; us >>= 1)
		(*b)++;
	return 0;
}

/* "<key>=<number>" or "<bound>:<number>". */
static int histogram_word(struct histogram *h, char *word)
{
	char *sign = word + strcspn(word, "=:");
	bool is_key = *sign == '=';
	unsigned int b;

	if (!*sign)
		return -EINVAL;
	*sign++ = '\0';
	if (!is_key)
		return bucket(word, &b) ? -EINVAL : number(sign, &h->bucket[b]);
	if (!strcmp(word, "count"))
		return number(sign, &h->count);
	if (!strcmp(word, "sum_us"))
		return number(sign, &h->sum_us);
	if (!strcmp(word, "max_us"))
		return number(sign, &h->max_us);
	return 0;
}

static int histogram_line(struct stats *stats, char **rest)
{
	char *name = strtok_r(NULL, " ", rest), *word;
	unsigned int i;
	int err = 0;

	if (!name)
		return -EINVAL;
	for (i = 0; i < NR_LATENCIES; i++)
		if (!strcmp(name, names[i]))
			break;
	if (i == NR_LATENCIES)
		return 0;
	while (!err && (word = strtok_r(NULL, " ", rest)))
		err = histogram_word(&stats->latency[i], word);
	return err;
}

static int stats_line(struct stats *stats, char *line)
{
	char *rest, *name = strtok_r(line, " ", &rest);

	if (!name)
		return 0;
	if (!strcmp(name, "latency"))
		return histogram_line(stats, &rest);
	if (!strcmp(name, "sample"))
		return number(strtok_r(NULL, " ", &rest), &stats->sample);
	if (!strcmp(name, "reads"))
		return number(strtok_r(NULL, " ", &rest), &stats->reads);
	if (!strcmp(name, "writes"))
		return number(strtok_r(NULL, " ", &rest), &stats->writes);
	if (!strcmp(name, "flushes"))
		return number(strtok_r(NULL, " ", &rest), &stats->flushes);
	return 0;
}

int stats_parse(const char *reply, struct stats *stats)
{
	autofree char *copy = xstrdup(reply);
	char *line, *rest = copy;
	int err = 0;

	*stats = (struct stats) {
		.sample = UNKNOWN, .reads = UNKNOWN, .writes = UNKNOWN,
		.flushes = UNKNOWN,
	};
	while (!err && (line = strsep(&rest, "\n")))
		err = stats_line(stats, line);
	return err;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned int percent)
{
	uint64_t wanted = (h->count * percent + 99) / 100, seen = 0;
	unsigned int b;

	for (b = 0; b < HISTOGRAM_BUCKETS - 1; b++) {
		seen += h->bucket[b];
		if (seen >= wanted)
			break;
	}
	if (b == HISTOGRAM_BUCKETS - 1 || h->max_us < 1ULL << b)
		return h->max_us;
	return 1ULL << b;
}
