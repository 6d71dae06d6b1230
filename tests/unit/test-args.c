// SPDX-License-Identifier: GPL-2.0
/*
 * The parser of table lines and options.
 */
#include "dm-blkjob-args.h"
#include "unit.h"

#define WORDS_MAX	40
#define FUZZ		100000

static struct bj_args args;
static char error[BJ_ERROR_LEN];

/* Parse "line" for a target of @length sectors. */
static int parse_length(const char *line, u64 length)
{
	static char words[4096];
	char *argv[WORDS_MAX], *save, *word;
	unsigned int argc = 0;

	snprintf(words, sizeof(words), "%s", line);
	for (word = strtok_r(words, " ", &save); word && argc < WORDS_MAX;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	memset(error, 0x7f, sizeof(error));
	return bj_args_parse(&args, argc, argv, length, error);
}

static int parse(const char *line)
{
	return parse_length(line, 2048);
}

/* It is refused, and the sentence is exactly this one. */
static void refused(const char *line, const char *sentence)
{
	CHECK(parse(line) == -EINVAL, "%s", line);
	CHECK(memchr(error, 0, sizeof(error)), "no end: %s", line);
	CHECK(!strcmp(error, sentence), "%s: '%s'", line, error);
}

static void refused_option(const char *key, const char *value,
			   const char *sentence)
{
	char line[512];

	snprintf(line, sizeof(line), "mirror /dev/a 0 /dev/b 0 2 %s %s", key,
		 value);
	refused(line, sentence);
}

static void defaults(void)
{
	CHECK_EQ(parse("mirror /dev/a 3 /dev/b 4"), 0);
	CHECK_EQ(args.kind, BJ_MIRROR);
	CHECK(!strcmp(args.source.path, "/dev/a"), "%s", args.source.path);
	CHECK(!strcmp(args.target.path, "/dev/b"), "%s", args.target.path);
	CHECK_EQ(args.source.start, 3);
	CHECK_EQ(args.target.start, 4);
	CHECK_EQ(args.opt.sync, BJ_SYNC_FULL);
	CHECK_EQ(args.opt.copy_mode, BJ_COPY_BACKGROUND);
	CHECK_EQ(args.opt.granularity, 0);
	CHECK_EQ(args.opt.buf_size, 16 << 20);
	CHECK_EQ(args.opt.speed, 0);
	CHECK(!args.opt.paused, "-");
	CHECK(args.opt.unmap, "-");
	CHECK(!args.opt.target_is_zero, "-");
	CHECK_EQ(args.opt.on_error[0], BJ_ON_ERROR_REPORT);
	CHECK_EQ(args.opt.on_error[1], BJ_ON_ERROR_REPORT);
	CHECK_EQ(parse("mirror a 0 b 0 0"), 0);
}

static void every_option(void)
{
	CHECK_EQ(parse("mirror a 0 b 0 12 paused on speed 1125899906842624 "
		       "copy_mode auto sync none buf_size 1073741824 "
		       "granularity 67108864"), 0);
	CHECK_EQ(args.opt.sync, BJ_SYNC_NONE);
	CHECK_EQ(args.opt.copy_mode, BJ_COPY_AUTO);
	CHECK_EQ(args.opt.granularity, 64 << 20);
	CHECK_EQ(args.opt.buf_size, 1 << 30);
	CHECK_EQ(args.opt.speed, 1ULL << 50);
	CHECK(args.opt.paused, "-");
	CHECK_EQ(parse("mirror a 0 b 0 8 on_source_error stop on_target_error "
		       "enospc unmap off target_is_zero on"), 0);
	CHECK_EQ(args.opt.on_error[0], BJ_ON_ERROR_STOP);
	CHECK_EQ(args.opt.on_error[1], BJ_ON_ERROR_ENOSPC);
	CHECK(!args.opt.unmap && args.opt.target_is_zero, "-");
	CHECK_EQ(parse("mirror a 0 b 0 6 buf_size 0 granularity 512 copy_mode "
		       "write-blocking"), 0);
	CHECK_EQ(args.opt.buf_size, 16 << 20);
	CHECK_EQ(args.opt.granularity, 512);
	CHECK_EQ(args.opt.copy_mode, BJ_COPY_WRITE_BLOCKING);
}

static void too_few(void)
{
	refused("", "0 arguments are too few, want <type> <source> <offset> <target device> <offset>");
	refused("mirror a 0 b", "4 arguments are too few, want <type> <source> <offset> <target device> <offset>");
	refused("mirror a 0 b 0 2", "2 option words announced, 0 found; options are pairs of key and value");
	refused("mirror a 0 b 0 2 speed", "2 option words announced, 1 found; options are pairs of key and value");
	refused("mirror a 0 b 0 1 speed", "1 option words announced, 1 found; options are pairs of key and value");
	refused("mirror a 0 b 0 2 speed 1 2", "2 option words announced, 3 found; options are pairs of key and value");
	refused("mirror a 0 b 0 -2 speed 1", "-2 option words announced, 2 found; options are pairs of key and value");
	refused("mirror a 0 b 0 4294967298 speed 1", "4294967298 option words announced, 2 found; options are pairs of key and value");
	refused("mirror a 0 b 0 18446744073709551618 speed 1", "18446744073709551618 option words announced, 2 found; options are pairs of key and value");
}

static void unknown(void)
{
	refused_option("colour", "red", "option colour is not known");
	refused_option("Speed", "1", "option Speed is not known");
	refused_option("speedy", "1", "option speedy is not known");
	refused_option("sync", "top", "sync top is not known, it can be full, none");
	refused_option("copy_mode", "x", "copy_mode x is not known, it can be background, write-blocking, auto");
	refused_option("paused", "1", "paused 1 is not known, it can be off, on");
	refused_option("unmap", "1", "unmap 1 is not known, it can be off, on");
	refused_option("target_is_zero", "x",
		       "target_is_zero x is not known, it can be off, on");
	refused_option("on_source_error", "auto",
		       "on_source_error auto is not known, it can be report, ignore, enospc, stop");
	refused_option("on_target_error", "",
		       "2 option words announced, 1 found; options are pairs of key and value");
	refused_option("latency_bound", "100",
		       "latency_bound 100 is not a percentage from 101 to 10000, and not 0");
	refused_option("latency_bound", "10001",
		       "latency_bound 10001 is not a percentage from 101 to 10000, and not 0");
	refused_option("latency_bound", "150%",
		       "latency_bound 150% is not a percentage from 101 to 10000, and not 0");
	refused("mirror a 0 b 0 4 speed 1 speed 1", "option speed is given twice");
	refused("mirror a 0 b 0 4 sync full sync none", "option sync is given twice");
}

static void groups(void)
{
	static const char * const words[] = {
		"-", "-a", ".", "_a", "a b", "a/b", "a:b", "a=b", "a\n", "\xe4",
		"a\xff", "a%",
	};
	char name[BLKJOB_GROUP_NAME + 2], sentence[256], line[256];
	unsigned int i;

	CHECK_EQ(parse("mirror a 0 b 0"), 0);
	CHECK(!args.opt.group, "-");
	CHECK_EQ(parse("mirror a 0 b 0 2 group 7.aZ_+-"), 0);
	CHECK(!strcmp(args.opt.group, "7.aZ_+-"), "%s", args.opt.group);
	memset(name, 'x', sizeof(name) - 1);
	name[BLKJOB_GROUP_NAME] = '\0';
	snprintf(line, sizeof(line), "mirror a 0 b 0 2 group %s", name);
	CHECK_EQ(parse(line), 0);
	CHECK(!strcmp(args.opt.group, name), "%s", args.opt.group);
	name[BLKJOB_GROUP_NAME] = 'x';
	name[BLKJOB_GROUP_NAME + 1] = '\0';
	refused_option("group", name,
		       "group xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx is not a name of at most 64 letters, digits and _.+-, with a letter or digit first");
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		struct bj_options opt = { 0 };

		snprintf(sentence, sizeof(sentence),
			 "group %s is not a name of at most 64 letters, digits and _.+-, with a letter or digit first",
			 words[i]);
		CHECK(bj_option_parse(&opt, BJ_MIRROR, "group", words[i], false,
				      error) == -EINVAL, "%s", words[i]);
		CHECK(!strcmp(error, sentence), "%s: '%s'", words[i], error);
	}
	CHECK(bj_option_parse(&args.opt, BJ_MIRROR, "group", "", false,
			      error) == -EINVAL, "-");
	CHECK(bj_option_parse(&args.opt, BJ_MIRROR, "group", "b", true,
			      error) == -EINVAL, "-");
	CHECK(!strcmp(error, "option group cannot change in a running job"),
	      "%s", error);
}

/* Words that are no numbers at all, for whatever takes a number. */
static void not_numbers(void)
{
	static const char * const words[] = {
		"-1", "+1", "1.5", "0x10", "1k", "k", "1\n", "\n", "-", "1e3",
		"18446744073709551616", "99999999999999999999999", "--1", "1-",
		"\xff", "0b1", "1,000",
	};
	char sentence[256], line[256];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(sentence, sizeof(sentence),
			 "speed %s is not a number from 0 to 1125899906842624",
			 words[i]);
		refused_option("speed", words[i], sentence);
		snprintf(sentence, sizeof(sentence),
			 "buf_size %s is not a number from 0 to 1073741824",
			 words[i]);
		refused_option("buf_size", words[i], sentence);
		snprintf(sentence, sizeof(sentence),
			 "granularity %s is not a power of two from 512 to 67108864",
			 words[i]);
		refused_option("granularity", words[i], sentence);
		snprintf(line, sizeof(line), "mirror a %s b 0", words[i]);
		snprintf(sentence, sizeof(sentence),
			 "source offset %s is not a number of sectors", words[i]);
		refused(line, sentence);
		snprintf(line, sizeof(line), "mirror a 0 b %s", words[i]);
		snprintf(sentence, sizeof(sentence),
			 "target device offset %s is not a number of sectors",
			 words[i]);
		refused(line, sentence);
	}
}

static void bounds(void)
{
	static const char * const sizes[] = {
		"0", "1", "511", "513", "256", "65535", "134217728",
		"4294967296", "9223372036854775808", "18446744073709551615",
	};
	char sentence[256];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(sentence, sizeof(sentence),
			 "granularity %s is not a power of two from 512 to 67108864",
			 sizes[i]);
		refused_option("granularity", sizes[i], sentence);
	}
	refused_option("speed", "1125899906842625",
		       "speed 1125899906842625 is not a number from 0 to 1125899906842624");
	refused_option("buf_size", "1073741825",
		       "buf_size 1073741825 is not a number from 0 to 1073741824");
	for (i = 9; i <= 26; i++) {
		snprintf(sentence, sizeof(sentence),
			 "mirror a 0 b 0 2 granularity %llu", 1ULL << i);
		CHECK_EQ(parse(sentence), 0);
		CHECK_EQ(args.opt.granularity, 1ULL << i);
	}
}

/* Bytes must fit into 63 bits, wherever the target ends. */
static void offsets(void)
{
	CHECK_EQ(parse_length("mirror a 18014398509481983 b 0", 0), 0);
	CHECK_EQ(parse_length("mirror a 18014398509479935 b 0", 2048), 0);
	CHECK(parse_length("mirror a 18014398509479936 b 0", 2048) == -EINVAL,
	      "-");
	CHECK(!strcmp(error, "source offset 18014398509479936 is beyond the largest device"),
	      "%s", error);
	CHECK(parse_length("mirror a 0 b 18014398509481984", 1) == -EINVAL, "-");
	CHECK(!strcmp(error, "target device offset 18014398509481984 is beyond the largest device"),
	      "%s", error);
	CHECK(parse_length("mirror a 18446744073709551615 b 0", 2) == -EINVAL,
	      "-");
	CHECK(parse_length("mirror a 0 b 0", U64_MAX) == -EINVAL, "-");
}

/* The words of a refusal may be cut, never run over. */
static void long_words(void)
{
	static char word[2001], line[4096];

	memset(word, 'x', sizeof(word) - 1);
	snprintf(line, sizeof(line), "mirror a %s b 0", word);
	refused(line, "source offset xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx is not a number of sectors");
	snprintf(line, sizeof(line), "mirror a 0 b 0 2 %s 1", word);
	refused(line, "option xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx is not known");
	snprintf(line, sizeof(line), "mirror a 0 b 0 2 copy_mode %s", word);
	CHECK(parse(line) == -EINVAL, "-");
	CHECK(memchr(error, 0, sizeof(error)), "no end");
}

/* "set" of a mirror. */
static int set(struct bj_options *opt, const char *key, const char *value)
{
	return bj_option_parse(opt, BJ_MIRROR, key, value, true, error);
}

/* "set": only what may change in a job, and nothing on a refusal. */
static void live(void)
{
	struct bj_options opt = { .granularity = 4096, .speed = 7 }, old = opt;

	CHECK(set(&opt, "granularity", "512") == -EINVAL, "-");
	CHECK(!strcmp(error, "option granularity cannot change in a running job"),
	      "%s", error);
	CHECK(set(&opt, "sync", "none") == -EINVAL, "-");
	CHECK(set(&opt, "paused", "on") == -EINVAL, "-");
	CHECK(set(&opt, "speed", "-1") == -EINVAL, "-");
	CHECK(set(&opt, "buf_size", "x") == -EINVAL, "-");
	CHECK(set(&opt, "copy_mode", "x") == -EINVAL, "-");
	CHECK(!memcmp(&opt, &old, sizeof(opt)), "a refusal changed something");
	CHECK_EQ(set(&opt, "speed", "8"), 0);
	CHECK_EQ(opt.speed, 8);
	CHECK_EQ(set(&opt, "buf_size", "100"), 0);
	CHECK_EQ(opt.buf_size, 100);
	CHECK_EQ(set(&opt, "copy_mode", "auto"), 0);
	CHECK_EQ(opt.copy_mode, BJ_COPY_AUTO);
}

/* Each type has its own, and is told so. */
static void kinds(void)
{
	CHECK_EQ(parse("backup a 0 b 0 8 on_cbw_error break-guest-write "
		       "cbw_timeout 86400 cbw_stored on group g"), 0);
	CHECK(!strcmp(args.opt.group, "g"), "%s", args.opt.group);
	CHECK_EQ(args.kind, BJ_BACKUP);
	CHECK_EQ(args.opt.on_cbw_error, BJ_BREAK_GUEST_WRITE);
	CHECK_EQ(args.opt.cbw_timeout, 86400);
	CHECK_EQ(args.opt.cbw_stored, true);
	refused("backup a 0 b 0 2 copy_mode auto",
		"a backup job has no option copy_mode");
	refused("mirror a 0 b 0 2 cbw_stored on",
		"a mirror job has no option cbw_stored");
	refused("mirror a 0 b 0 2 checksum on",
		"a mirror job has no option checksum");
	refused("backup a 0 b 0 2 checksum 1",
		"checksum 1 is not known, it can be off, on");
	refused("mirror a 0 b 0 2 cbw_timeout 1",
		"a mirror job has no option cbw_timeout");
	refused("mirror a 0 b 0 2 on_cbw_error break-snapshot",
		"a mirror job has no option on_cbw_error");
	refused("backup a 0 b 0 2 cbw_timeout 86401",
		"cbw_timeout 86401 is not a number from 0 to 86400");
	refused("backup a 0 b 0 2 on_cbw_error x",
		"on_cbw_error x is not known, it can be break-snapshot, break-guest-write");
	CHECK_EQ(parse("track a 0 b 0 4 granularity 4096 identity LVM-ab/c:1"),
		 0);
	CHECK_EQ(args.kind, BJ_TRACK);
	CHECK(!strcmp(args.opt.identity, "LVM-ab/c:1"), "-");
	refused("track a 0 b 0 2 sync full", "a track job has no option sync");
	refused("backup a 0 b 0 2 identity x",
		"a backup job has no option identity");
	CHECK_EQ(parse("backup a 0 b 0 2 note on-success/a/-"), 0);
	CHECK(!strcmp(args.opt.note, "on-success/a/-"), "-");
	refused("track a 0 b 0 2 note x", "a track job has no option note");
	CHECK_EQ(parse("backup a 0 b 0 2 spill /dev/mapper/a-b"), 0);
	CHECK(!strcmp(args.opt.spill, "/dev/mapper/a-b"), "-");
	refused("mirror a 0 b 0 2 spill c", "a mirror job has no option spill");
	refused("track a 0 b 0 2 spill c", "a track job has no option spill");
	refused("backup a 0 b 0 2 spill \x80",
		"spill \x80 is not a word of at most 255 characters");
	refused("track a 0 b 0 2 identity \x80",
		"identity \x80 is not a word of at most 119 characters");
}

/* What is shown makes the same options again. */
static void shown(void)
{
	static const char * const lines[] = {
		"mirror a 0 b 0 22 sync none copy_mode auto granularity 512 buf_size 1 speed 3 latency_bound 150 on_source_error stop on_target_error enospc unmap off target_is_zero on paused on",
		"mirror a 0 b 0 24 sync full copy_mode background granularity 4096 buf_size 100 speed 0 latency_bound 0 on_source_error report on_target_error ignore unmap on target_is_zero off paused off group g",
		"backup a 0 b 0 28 sync none granularity 65536 buf_size 16777216 speed 0 latency_bound 0 on_source_error report on_target_error report on_cbw_error break-guest-write cbw_timeout 7 cbw_stored on checksum on unmap on target_is_zero off paused on",
		"backup a 0 b 0 30 sync full granularity 65536 buf_size 16777216 speed 0 latency_bound 0 on_source_error report on_target_error report on_cbw_error break-snapshot cbw_timeout 0 cbw_stored off checksum off unmap on target_is_zero off paused off note x/y",
		"backup a 0 b 0 32 sync full granularity 65536 buf_size 16777216 speed 0 latency_bound 0 on_source_error report on_target_error report on_cbw_error break-snapshot cbw_timeout 0 cbw_stored off checksum off unmap on target_is_zero off paused off spill 254:7 note x/y",
		"track a 0 b 0 6 granularity 4096 paused on identity x-1",
	};
	char text[1024], small[20];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		CHECK_EQ(parse(lines[i]), 0);
		CHECK_EQ(bj_options_show(&args.opt, args.kind, text,
					 sizeof(text)), strlen(text));
		CHECK(!strcmp(text, strstr(lines[i], "0 b 0 ") + 6), "%s",
		      text);
		/* No more than fits. */
		CHECK(bj_options_show(&args.opt, args.kind, small,
				      sizeof(small)) < sizeof(small), "-");
		CHECK(!memcmp(text, small, sizeof(small) - 1), "%s", small);
	}
}

static void numbers(void)
{
	u64 n = 5;

	CHECK(bj_number_parse("", &n) == -EINVAL, "-");
	CHECK(bj_number_parse("1 ", &n) == -EINVAL, "-");
	CHECK(bj_number_parse(" 1", &n) == -EINVAL, "-");
	CHECK_EQ(bj_number_parse("0", &n), 0);
	CHECK_EQ(n, 0);
	CHECK_EQ(bj_number_parse("18446744073709551615", &n), 0);
	CHECK_EQ(n, U64_MAX);
	CHECK_EQ(bj_number_parse("0000000000000000000000000000017", &n), 0);
	CHECK_EQ(n, 17);
}

/* Whatever is accepted obeys every limit; whatever is refused says why. */
static void fuzz(void)
{
	static const char * const words[] = {
		"mirror", "a", "0", "2", "4", "6", "sync", "full", "none",
		"granularity", "512", "65536", "4096", "buf_size", "speed",
		"copy_mode", "auto", "background", "paused", "on", "off",
		"cbw_timeout", "cbw_stored", "checksum", "on_cbw_error", "break-snapshot",
		"spill",
		"18446744073709551615", "18446744073709551616", "-1", "1x",
		"9223372036854775807", "4294967296", "%s%n", "\t", "/dev/b",
	};
	char line[1024];
	unsigned int i, accepted = 0;

	for (i = 0; i < FUZZ; i++) {
		unsigned int n = unit_random() % 16, len = 0;
		bool sane = unit_random() % 2;

		if (sane)
			len = sprintf(line, "%s a %s b %s ",
				      unit_random() % 2 ? "mirror" : "backup",
				      words[unit_random() % ARRAY_SIZE(words)],
				      words[2 + unit_random() % 4]);
		line[len] = '\0';
		while (n--)
			len += sprintf(line + len, "%s ",
				       words[unit_random() % ARRAY_SIZE(words)]);
		for (n = unit_random() % 4; n > 2 && len; n--)
			line[unit_random() % len] = 1 + unit_random() % 255;
		if (parse(line)) {
			CHECK(memchr(error, 0, sizeof(error)) && *error, "%s",
			      line);
			continue;
		}
		accepted++;
		CHECK((!args.opt.granularity ||
		       (is_power_of_2(args.opt.granularity) &&
			args.opt.granularity >= BLKJOB_GRANULARITY_MIN &&
			args.opt.granularity <= BLKJOB_GRANULARITY_MAX)) &&
		      args.opt.buf_size &&
		      args.opt.buf_size <= BLKJOB_BUF_SIZE_MAX &&
		      args.opt.speed <= BLKJOB_SPEED_MAX &&
		      args.opt.cbw_timeout <= BLKJOB_CBW_TIMEOUT_MAX &&
		      args.source.start <= S64_MAX >> 9 &&
		      args.target.start <= S64_MAX >> 9, "%s", line);
	}
	CHECK(accepted > FUZZ / 1000, "only %u were accepted", accepted);
}

static const struct unit_case cases[] = {
	{ "args: defaults", defaults },
	{ "args: every option", every_option },
	{ "args: too few", too_few },
	{ "args: unknown", unknown },
	{ "args: groups", groups },
	{ "args: not numbers", not_numbers },
	{ "args: bounds", bounds },
	{ "args: offsets", offsets },
	{ "args: long words", long_words },
	{ "args: live", live },
	{ "args: types", kinds },
	{ "args: shown", shown },
	{ "args: numbers", numbers },
	{ "args: fuzz", fuzz },
};

UNIT_MAIN(cases)
