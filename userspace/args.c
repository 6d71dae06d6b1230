// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "args.h"
#include "cleanup.h"
#include "job.h"
#include "size.h"

/* Values of getopt_long(): beyond any letter. */
#define INDEX(i) (0x100 + (int)(i))

static const struct arg no_args[] = { { 0 } };

static int parse_size(const struct command *cmd, const struct arg *arg,
		      const char *text)
{
	int err = size_parse(text, arg->value);

	if (err == -ERANGE)
		return usage_error(cmd, "--%s %s is too large", arg->name, text);
	if (err)
		return usage_error(cmd, "--%s %s is not a size such as 65536, 64K or 1.5G",
				   arg->name, text);
	return 0;
}

static int parse_time(const struct command *cmd, const struct arg *arg,
		      const char *text)
{
	if (time_parse(text, arg->value))
		return usage_error(cmd, "--%s %s is not a time such as 90, 90s, 5m or 2h",
				   arg->name, text);
	return 0;
}

static int parse_word(const struct command *cmd, const struct arg *arg,
		      const char *text)
{
	const char *word = arg->words;
	size_t len = strlen(text);

	while (strncmp(word, text, len) || !strchr("|", word[len])) {
		word = strchr(word, '|');
		if (!word++)
			return usage_error(cmd, "--%s cannot be %s, but %s",
					   arg->name, text, arg->words);
	}
	*(const char **)arg->value = text;
	return 0;
}

static int store(const struct command *cmd, const struct arg *arg,
		 const char *text)
{
	switch (arg->kind) {
	case ARG_FLAG:
		*(bool *)arg->value = true;
		return 0;
	case ARG_TEXT:
		*(const char **)arg->value = text;
		return 0;
	case ARG_ON:
		*(const char **)arg->value = "on";
		return 0;
	case ARG_WORD:
		return parse_word(cmd, arg, text);
	case ARG_SIZE:
		return parse_size(cmd, arg, text);
	case ARG_TIME:
		return parse_time(cmd, arg, text);
	}
	return EX_USAGE;
}

/* What getopt_long() wants; both to be freed. */
static struct option *long_options(const struct arg *args, size_t n,
				   char **letters)
{
	struct option *options = xcalloc(n + 2, sizeof(*options));
	char *next = xcalloc(n + 2, 1);
	size_t i;

	*letters = next;
	*next++ = 'h';
	options[n] = (struct option) { "help", no_argument, NULL, 'h' };
	for (i = 0; i < n; i++) {
		bool alone = args[i].kind == ARG_FLAG || args[i].kind == ARG_ON;

		options[i] = (struct option) {
			.name = args[i].name,
			.has_arg = alone ? no_argument : required_argument,
			.val = args[i].letter ? args[i].letter : INDEX(i),
		};
		if (args[i].letter)
			*next++ = args[i].letter;
	}
	return options;
}

static const struct arg *find(const struct arg *args, size_t n, int c)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (c == INDEX(i) || (c == args[i].letter && c))
			return &args[i];
	return NULL;
}

int args_parse(const struct command *cmd, int argc, char **argv,
	       const struct arg *args, int min, int max, const char *usage,
	       const char **words)
{
	autofree struct option *options = NULL;
	autofree char *letters = NULL;
	const struct arg *arg;
	size_t n = 0;
	int c, i;

	if (!args)
		args = no_args;
	while (args[n].name)
		n++;
	options = long_options(args, n, &letters);
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (c == 'h') {
			print_help(cmd);
			return HELP_SHOWN;
		}
		arg = find(args, n, c);
		if (!arg || store(cmd, arg, optarg))
			return EX_USAGE;
	}
	if (argc - optind < min || argc - optind > max)
		return usage_error(cmd, "%s", usage);
	for (i = 0; i < max; i++)
		words[i] = optind + i < argc ? argv[optind + i] : NULL;
	return 0;
}

int args_job(const struct command *cmd, int argc, char **argv,
	     const struct arg *args, struct job *job)
{
	const char *ref;
	int err = args_parse(cmd, argc, argv, args, 1, 1, "needs one JOB", &ref);

	return err ? err : job_find(ref, job);
}

int args_jobs(const struct command *cmd, int argc, char **argv,
	      const struct arg *args, struct job **jobs, size_t *n)
{
	const char *ref;
	int err = args_parse(cmd, argc, argv, args, 1, 1, "needs one JOB", &ref);

	return err ? err : job_find_all(ref, jobs, n);
}
