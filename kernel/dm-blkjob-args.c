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

static const char * const on_cbw_error_names[] = {
	[BJ_BREAK_SNAPSHOT] = "break-snapshot",
	[BJ_BREAK_GUEST_WRITE] = "break-guest-write",
};

static const char * const switch_names[] = { "off", "on" };

static const char * const kind_names[BJ_NR_KINDS] = {
	[BJ_MIRROR] = "mirror",
	[BJ_BACKUP] = "backup",
	[BJ_TRACK] = "track",
	[BJ_STREAM] = "stream",
};

const char *bj_kind_name(enum bj_kind kind)
{
	return kind_names[kind];
}

const char *bj_on_error_name(enum bj_on_error policy)
{
	return on_error_names[policy];
}

const char *bj_on_cbw_error_name(enum bj_on_cbw_error policy)
{
	return on_cbw_error_names[policy];
}

/* One line of the table below. */
struct bj_option {
	const char *key;
	unsigned int kinds;		/* types that have it */
	bool live;			/* "set" can change it */
	size_t offset;
	int (*parse)(const struct bj_option *option, const char *value,
		     void *result, char *error);
	const char * const *words;	/* of an enum */
	u64 max;			/* of a number; how many words */
};

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

static int parse_granularity(const struct bj_option *option, const char *value,
			     void *result, char *error)
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

static int parse_number(const struct bj_option *option, const char *value,
			void *result, char *error)
{
	u64 n;

	if (bj_number_parse(value, &n) || n > option->max)
		return refuse(error, "%s %.40s is not a number from 0 to %llu",
			      option->key, value, option->max);
	*(u64 *)result = n;
	return 0;
}

static int parse_buf_size(const struct bj_option *option, const char *value,
			  void *result, char *error)
{
	u64 *size = result;
	int r = parse_number(option, value, size, error);

	if (!r && !*size)
		*size = BLKJOB_BUF_SIZE;
	return r;
}

static int parse_latency_bound(const struct bj_option *option,
			       const char *value, void *result, char *error)
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

/* The index of @value among @words, or -EINVAL. */
static int parse_word(const char *what, const char *value,
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
	return refuse(error, "%s %.40s is not known, it can be %s", what, value,
		      known);
}

/* Any enum of the options. */
static int parse_enum(const struct bj_option *option, const char *value,
		      void *result, char *error)
{
	int i = parse_word(option->key, value, option->words, option->max,
			   error);

	if (i < 0)
		return i;
	*(unsigned int *)result = i;
	return 0;
}

static int parse_switch(const struct bj_option *option, const char *value,
			void *result, char *error)
{
	int i = parse_word(option->key, value, switch_names,
			   ARRAY_SIZE(switch_names), error);

	if (i < 0)
		return i;
	*(bool *)result = i;
	return 0;
}

static int parse_group(const struct bj_option *option, const char *value,
		       void *result, char *error)
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

/* One word, of which nothing more is known. */
static int parse_text(const struct bj_option *option, const char *value,
		      void *result, char *error)
{
	size_t i;

	for (i = 0; isascii(value[i]) && isgraph(value[i]); i++)
		;
	if (!i || i > option->max || value[i])
		return refuse(error,
			      "%s %.40s is not a word of at most %llu characters",
			      option->key, value, option->max);
	*(const char **)result = value;
	return 0;
}

#define M BIT(BJ_MIRROR)
#define B BIT(BJ_BACKUP)
#define T BIT(BJ_TRACK)
#define S BIT(BJ_STREAM)
#define AT(field) offsetof(struct bj_options, field)

/* In the order of the table line. */
static const struct bj_option options[] = {
	{ "sync", M | B, false, AT(sync), parse_enum, sync_names,
	  ARRAY_SIZE(sync_names) },
	{ "copy_mode", M, true, AT(copy_mode), parse_enum,
	  copy_mode_names, ARRAY_SIZE(copy_mode_names) },
	{ "granularity", M | B | T | S, false, AT(granularity), parse_granularity,
	  NULL, 0 },
	{ "buf_size", M | B | S, true, AT(buf_size), parse_buf_size, NULL,
	  BLKJOB_BUF_SIZE_MAX },
	{ "speed", M | B | S, true, AT(speed), parse_number, NULL,
	  BLKJOB_SPEED_MAX },
	{ "latency_bound", M | B | S, true, AT(latency_bound),
	  parse_latency_bound, NULL, 0 },
	{ "on_source_error", M | B | S, true, AT(on_error[0]), parse_enum,
	  on_error_names, ARRAY_SIZE(on_error_names) },
	{ "on_target_error", M | B | S, true, AT(on_error[1]), parse_enum,
	  on_error_names, ARRAY_SIZE(on_error_names) },
	{ "on_cbw_error", B, false, AT(on_cbw_error), parse_enum,
	  on_cbw_error_names, ARRAY_SIZE(on_cbw_error_names) },
	{ "cbw_timeout", B, true, AT(cbw_timeout), parse_number, NULL,
	  BLKJOB_CBW_TIMEOUT_MAX },
	{ "cbw_stored", B, false, AT(cbw_stored), parse_switch, NULL, 0 },
	{ "checksum", B, false, AT(checksum), parse_switch, NULL, 0 },
	{ "unmap", M | B | S, false, AT(unmap), parse_switch, NULL, 0 },
	{ "target_is_zero", M | B | S, false, AT(target_is_zero), parse_switch,
	  NULL, 0 },
	{ "copy_on_read", S, true, AT(copy_on_read), parse_switch, NULL, 0 },
	{ "paused", M | B | T | S, false, AT(paused), parse_switch, NULL, 0 },
	{ "group", M | B, false, AT(group), parse_group, NULL, 0 },
	{ "identity", M | T | S, false, AT(identity), parse_text, NULL,
	  BLKJOB_MD_IDENTITY },
	{ "target_identity", M | S, false, AT(target_identity), parse_text, NULL,
	  BLKJOB_MD_IDENTITY },
	{ "spill", B, false, AT(spill), parse_text, NULL, BLKJOB_SPILL_PATH },
	/* A path of any length that a table line can have. */
	{ "metadata", M | S, false, AT(metadata), parse_text, NULL, PATH_MAX },
	{ "note", M | B | S, false, AT(note), parse_text, NULL, BLKJOB_NOTE },
};

#undef M
#undef B
#undef T
#undef S
#undef AT

static int find_option(const char *key)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].key, key))
			return i;
	return -EINVAL;
}

int bj_option_parse(struct bj_options *opt, enum bj_kind kind, const char *key,
		    const char *value, bool live, char *error)
{
	int i = find_option(key);

	if (i < 0)
		return refuse(error, "option %.40s is not known", key);
	if (!(options[i].kinds & BIT(kind)))
		return refuse(error, "a %s job has no option %s",
			      kind_names[kind], key);
	if (live && !options[i].live)
		return refuse(error, "option %s cannot change in a running job",
			      key);
	return options[i].parse(&options[i], value,
				(char *)opt + options[i].offset, error);
}

static bool is_text(const struct bj_option *option)
{
	return option->parse == parse_group || option->parse == parse_text;
}

/* Has it a value at all? Only a text may have none. */
static bool option_given(const struct bj_option *option, const void *value)
{
	const char * const *name = value;

	return !is_text(option) || (*name && **name);
}

static size_t option_show(const struct bj_option *option, const void *value,
			  char *buf, size_t size)
{
	const char *word;

	if (is_text(option))
		word = *(const char * const *)value;
	else if (option->parse == parse_switch)
		word = switch_names[*(const bool *)value];
	else if (option->parse == parse_enum)
		word = option->words[*(const unsigned int *)value];
	else
		return scnprintf(buf, size, " %s %llu", option->key,
				 *(const u64 *)value);
	return scnprintf(buf, size, " %s %s", option->key, word);
}

size_t bj_options_show(const struct bj_options *opt, enum bj_kind kind,
		       char *buf, size_t size)
{
	const char *values = (const char *)opt;
	unsigned int i, nr = 0;
	size_t len;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].kinds & BIT(kind) &&
		    option_given(&options[i], values + options[i].offset))
			nr++;
	len = scnprintf(buf, size, "%u", 2 * nr);
	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].kinds & BIT(kind) &&
		    option_given(&options[i], values + options[i].offset))
			len += option_show(&options[i],
					   values + options[i].offset,
					   buf + len, size - len);
	return len;
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

static int parse_options(struct bj_options *opt, enum bj_kind kind,
			 unsigned int argc, char **argv, char *error)
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
		r = bj_option_parse(opt, kind, argv[i], argv[i + 1], false,
				    error);
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
	int r, kind;

	if (argc < 5)
		return refuse(error,
			      "%u arguments are too few, want <type> <source> <offset> <target device> <offset>",
			      argc);
	kind = parse_word("type", argv[0], kind_names, BJ_NR_KINDS, error);
	if (kind < 0)
		return kind;
	*args = (struct bj_args) {
		.kind = kind,
		.opt = {
			.buf_size = BLKJOB_BUF_SIZE,
			.unmap = true,
			.copy_on_read = true,
		},
	};
	r = parse_leg(&args->source, "source", argv + 1, length, error);
	if (r)
		return r;
	r = parse_leg(&args->target, "target device", argv + 3, length, error);
	if (r)
		return r;
	return parse_options(&args->opt, args->kind, argc - 5, argv + 5,
			     error);
}
