// SPDX-License-Identifier: GPL-2.0-or-later

#include "args.h"
#include "commit.h"

static int run(const struct command *cmd, int argc, char **argv)
{
	struct start_options o = { MIRROR_DEFAULTS };
	const struct arg args[] = {
		ARG("speed", SIZE, &o.speed),
		ARG("granularity", SIZE, &o.granularity),
		ARG("buf-size", SIZE, &o.buf_size),
		ARG("latency-bound", SIZE, &o.latency_bound),
		COPY_MODE_ARG(o.words),
		ON_ERROR_ARGS(o.words),
		{ "unmap", ARG_WORD, &o.words[WORD_UNMAP], "on|off", 0 }, { 0 }
	};
	const char *words[2];
	struct job job;
	int err = args_parse(cmd, argc, argv, args, 1, 2, "needs one JOB",
			     words);

	return err ? err : commit_start(words[0], words[1], &o, &job);
}

const struct command cmd_commit = {
	.name = "commit",
	.args = "JOB [SOURCE]",
	.summary = "Write what a stream has back to its source",
	.options =
	"JOB is a stream, which is not filled any more: what its target device has is\n"
	"copied to its source, while the device stays in use. It is a mirror from then on:\n"
	"when that is ready, 'complete' puts the device on the source alone, and 'cancel'\n"
	"leaves it on both, as it was. Nobody else may use the source.\n\n"
	"  SOURCE               to be sure: it must be this one\n"
	"  --speed RATE         at most RATE bytes a second, such as 100M; 0 = no limit\n"
	"  --granularity SIZE   bytes tracked as one, a power of two (as the stream)\n"
	"  --buf-size SIZE      at most so many bytes in flight (16M)\n"
	LATENCY_BOUND_HELP
	COPY_MODE_HELP
	ON_ERROR_HELP
	"  --unmap on|off       zeroes may be unmapped on the source (on)\n",
	.run = run,
};
