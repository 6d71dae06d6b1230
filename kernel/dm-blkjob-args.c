// SPDX-License-Identifier: GPL-2.0
/*
 * From the words of a table line or of a message to checked values.
 */
#include "dm-blkjob-args.h"

static const char * const sync_names[] = {
	[BJ_SYNC_FULL] = "full",
	[BJ_SYNC_NONE] = "none",
};

static const char * const copy_mode_names[] = {
	[BJ_COPY_BACKGROUND] = "background",
	[BJ_COPY_WRITE_BLOCKING] = "write-blocking",
	[BJ_COPY_AUTO] = "auto",
};

static const char * const on_error_names[] = {
	[BJ_ON_ERROR_REPORT] = "report",
	[BJ_ON_ERROR_IGNORE] = "ignore",
	[BJ_ON_ERROR_ENOSPC] = "enospc",
	[BJ_ON_ERROR_STOP] = "stop",
};

static const char * const switch_names[] = { "off", "on" };

const char *bj_sync_name(enum bj_sync sync)
{
	return sync_names[sync];
}

const char *bj_copy_mode_name(enum bj_copy_mode mode)
{
	return copy_mode_names[mode];
}

const char *bj_on_error_name(enum bj_on_error policy)
{
	return on_error_names[policy];
}

const char *bj_switch_name(bool on)
{
	return switch_names[on];
}

static __printf(2, 3) int refuse(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, BJ_ERROR_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int bj_number_parse(const char *word, u64 *value)
{
	const char *c;

	/* kstrtoull() alone takes a sign and a newline. */
	for (c = word; *c; c++)
		if (!isdigit(*c))
			return -EINVAL;
	return kstrtoull(word, 10, value) ? -EINVAL : 0;
}

static int parse_size(const char *key, const char *value, u64 max, u64 *result,
		      char *error)
{
	u64 n;

	if (bj_number_parse(value, &n) || n > max)
		return refuse(error, "%s %.40s is not a number from 0 to %llu",
			      key, value, max);
	*result = n;
	return 0;
}

static int parse_granularity(const char *key, const char *value, void *result,
			     char *error)
{
	u64 n;

	if (bj_number_parse(value, &n) || n < BLKJOB_GRANULARITY_MIN ||
	    n > BLKJOB_GRANULARITY_MAX || !is_power_of_2(n))
		return refuse(error,
			      "granularity %.40s is not a power of two from %llu to %llu",
			      value, BLKJOB_GRANULARITY_MIN,
			      BLKJOB_GRANULARITY_MAX);
	*(u64 *)result = n;
	return 0;
}

static int parse_buf_size(const char *key, const char *value, void *result,
			  char *error)
{
	u64 *size = result;
	int r = parse_size(key, value, BLKJOB_BUF_SIZE_MAX, size, error);

	if (!r && !*size)
		*size = BLKJOB_BUF_SIZE;
	return r;
}

static int parse_speed(const char *key, const char *value, void *result,
		       char *error)
{
	return parse_size(key, value, BLKJOB_SPEED_MAX, result, error);
}

static int parse_latency_bound(const char *key, const char *value,
			       void *result, char *error)
{
	u64 n;

	if (bj_number_parse(value, &n) ||
	    (n && (n <= 100 || n > BLKJOB_LATENCY_BOUND_MAX)))
		return refuse(error,
			      "latency_bound %.40s is not a percentage from 101 to %u, and not 0",
			      value, BLKJOB_LATENCY_BOUND_MAX);
	*(u64 *)result = n;
	return 0;
}

static int parse_word(const char *key, const char *value,
		      const char * const *words, unsigned int nr, char *error)
{
	int r = match_string(words, nr, value);
	unsigned int i, len = 0;
	char known[64];

	if (r >= 0)
		return r;
	for (i = 0; i < nr; i++)
		len += scnprintf(known + len, sizeof(known) - len, "%s%s",
				 i ? ", " : "", words[i]);
	return refuse(error, "%s %.40s is not known, it can be %s", key, value,
		      known);
}

static int parse_sync(const char *key, const char *value, void *result,
		      char *error)
{
	int i = parse_word(key, value, sync_names, ARRAY_SIZE(sync_names),
			   error);

	if (i < 0)
		return i;
	*(enum bj_sync *)result = i;
	return 0;
}

static int parse_copy_mode(const char *key, const char *value, void *result,
			   char *error)
{
	int i = parse_word(key, value, copy_mode_names,
			   ARRAY_SIZE(copy_mode_names), error);

	if (i < 0)
		return i;
	*(enum bj_copy_mode *)result = i;
	return 0;
}

static int parse_on_error(const char *key, const char *value, void *result,
			  char *error)
{
	int i = parse_word(key, value, on_error_names,
			   ARRAY_SIZE(on_error_names), error);

	if (i < 0)
		return i;
	*(enum bj_on_error *)result = i;
	return 0;
}

static int parse_switch(const char *key, const char *value, void *result,
			char *error)
{
	int i = parse_word(key, value, switch_names, ARRAY_SIZE(switch_names),
			   error);

	if (i < 0)
		return i;
	*(bool *)result = i;
	return 0;
}

static int parse_group(const char *key, const char *value, void *result,
		       char *error)
{
	size_t i;

	/* The first one not "-": that is no group in the status line. */
	for (i = 0; value[i]; i++)
		if (!isascii(value[i]) ||
		    (!isalnum(value[i]) && !(i && strchr("_.+-", value[i]))))
			break;
	if (!i || i > BLKJOB_GROUP_NAME || value[i])
		return refuse(error,
			      "group %.40s is not a name of at most %u letters, digits and _.+-, with a letter or digit first",
			      value, BLKJOB_GROUP_NAME);
	*(const char **)result = value;
	return 0;
}

static const struct bj_option {
	const char *key;
	int (*parse)(const char *key, const char *value, void *result,
		     char *error);
	size_t offset;
	bool live;		/* "set" can change it */
} options[] = {
	{ "sync", parse_sync, offsetof(struct bj_options, sync), false },
	{ "granularity", parse_granularity,
	  offsetof(struct bj_options, granularity), false },
	{ "buf_size", parse_buf_size,
	  offsetof(struct bj_options, buf_size), true },
	{ "speed", parse_speed, offsetof(struct bj_options, speed), true },
	{ "latency_bound", parse_latency_bound,
	  offsetof(struct bj_options, latency_bound), true },
	{ "copy_mode", parse_copy_mode,
	  offsetof(struct bj_options, copy_mode), true },
	{ "on_source_error", parse_on_error,
	  offsetof(struct bj_options, on_error[0]), true },
	{ "on_target_error", parse_on_error,
	  offsetof(struct bj_options, on_error[1]), true },
	{ "unmap", parse_switch, offsetof(struct bj_options, unmap), false },
	{ "target_is_zero", parse_switch,
	  offsetof(struct bj_options, target_is_zero), false },
	{ "paused", parse_switch, offsetof(struct bj_options, paused), false },
	{ "group", parse_group, offsetof(struct bj_options, group), false },
};

static int find_option(const char *key)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].key, key))
			return i;
	return -EINVAL;
}

int bj_option_parse(struct bj_options *opt, const char *key, const char *value,
		    bool live, char *error)
{
	int i = find_option(key);

	if (i < 0)
		return refuse(error, "option %.40s is not known", key);
	if (live && !options[i].live)
		return refuse(error, "option %s cannot change in a running job",
			      key);
	return options[i].parse(key, value, (char *)opt + options[i].offset,
				error);
}

static int parse_leg(struct bj_leg_args *leg, const char *what, char **argv,
		     u64 length, char *error)
{
	leg->path = argv[0];
	if (bj_number_parse(argv[1], &leg->start))
		return refuse(error, "%s offset %.40s is not a number of sectors",
			      what, argv[1]);
	/* In bytes it must fit into loff_t. */
	if (leg->start > (S64_MAX >> 9) || length > (S64_MAX >> 9) - leg->start)
		return refuse(error,
			      "%s offset %.40s is beyond the largest device",
			      what, argv[1]);
	return 0;
}

static int parse_options(struct bj_options *opt, unsigned int argc, char **argv,
			 char *error)
{
	unsigned long seen = 0;
	unsigned int i;
	u64 count;
	int r;

	if (!argc)
		return 0;
	if (bj_number_parse(argv[0], &count) || count != argc - 1 || count % 2)
		return refuse(error,
			      "%.40s option words announced, %u found; options are pairs of key and value",
			      argv[0], argc - 1);
	for (i = 1; i < argc; i += 2) {
		r = bj_option_parse(opt, argv[i], argv[i + 1], false, error);
		if (r)
			return r;
		if (seen & BIT(find_option(argv[i])))
			return refuse(error, "option %s is given twice",
				      argv[i]);
		seen |= BIT(find_option(argv[i]));
	}
	return 0;
}

int bj_args_parse(struct bj_args *args, unsigned int argc, char **argv,
		  u64 length, char *error)
{
	int r;

	if (argc < 5)
		return refuse(error,
			      "%u arguments are too few, want <type> <source> <offset> <target device> <offset>",
			      argc);
	*args = (struct bj_args) {
		.type = argv[0],
		.opt = {
			.granularity = BLKJOB_GRANULARITY,
			.buf_size = BLKJOB_BUF_SIZE,
			.unmap = true,
		},
	};
	r = parse_leg(&args->source, "source", argv + 1, length, error);
	if (r)
		return r;
	r = parse_leg(&args->target, "target device", argv + 3, length, error);
	if (r)
		return r;
	return parse_options(&args->opt, argc - 5, argv + 5, error);
}
