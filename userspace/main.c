// SPDX-License-Identifier: GPL-2.0-or-later
/* blkjob: block jobs under live device-mapper devices. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "dm.h"
#include "job.h"

static const struct command * const commands[] = {
	&cmd_migrate, &cmd_mirror, &cmd_backup, &cmd_stream, &cmd_commit, &cmd_list, &cmd_status,
	&cmd_events, &cmd_map, &cmd_stats, &cmd_verify, &cmd_wait,
	&cmd_complete, &cmd_undo, &cmd_cancel, &cmd_pause, &cmd_resume, &cmd_set,
	&cmd_check, &cmd_recover, &cmd_track,
	&cmd_untrack, &cmd_checkpoint, &cmd_dump,
};

static const char general_help[] =
	"\nSOURCE is a device-mapper device: vg/lv, /dev/mapper/NAME or any path to it.\n"
	"JOB is an id (8 hex digits) or the source. Sizes: 65536, 64K, 1.5G (binary).\n"
	"\n'blkjob help COMMAND' for its options, blkjob(8) for everything.\n"
	"Exit status: 0 done, 1 rolled back, 2 usage, 3 refused, 4 detached or timed out,\n"
	"5 target error, 6 source error, 7 needs attention.\n";

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

int print_help(const struct command *cmd)
{
	printf("Usage: blkjob %s %s\n\n%s.\n", cmd->name, cmd->args,
	       cmd->summary);
	if (cmd->options)
		printf("\n%s", cmd->options);
	return EX_DONE;
}

static int general_usage(FILE *f)
{
	size_t i;

	fputs("Usage: blkjob COMMAND ...\n\n", f);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-9s %-24s %s\n", commands[i]->name,
			commands[i]->args, commands[i]->summary);
	fputs(general_help, f);
	return f == stdout ? EX_DONE : EX_USAGE;
}

static int help(int argc, char **argv)
{
	const struct command *cmd;

	if (argc < 2)
		return general_usage(stdout);
	cmd = find(argv[1]);
	if (!cmd)
		return fail(EX_USAGE, "no command \"%s\"; see: blkjob help",
			    argv[1]);
	return print_help(cmd);
}

/* A full disk or a closed pipe must not look like success. */
static int flush_stdout(int status)
{
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && !status)
		return fail(EX_ATTENTION, "cannot write the output: %s",
			    strerror(errno));
	return status;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	const char *name = argc > 1 ? argv[1] : "";
	int status;

	if (argc < 2)
		return general_usage(stderr);
	if (!strcmp(name, "help") || !strcmp(name, "--help") ||
	    !strcmp(name, "-h"))
		return flush_stdout(help(argc - 1, argv + 1));
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("blkjob %s\n", BLKJOB_RELEASE);
		return flush_stdout(EX_DONE);
	}
	cmd = find(name);
	if (!cmd)
		return fail(EX_USAGE, "no command \"%s\"; see: blkjob help", name);
	argv[1] = xasprintf("blkjob %s", name);	/* for getopt's messages */
	dm_setup();
	signals_setup();
	status = cmd->run(cmd, argc - 1, argv + 1);
	return flush_stdout(status == HELP_SHOWN ? EX_DONE : status);
}
