// SPDX-License-Identifier: GPL-2.0-or-later
#include "args.h"
#include "stream.h"

static int check(const struct command *cmd, const struct stream_options *o,
		 const char *metadata, bool wait, uint64_t timeout_us)
{
	if (!metadata)
		return usage_error(cmd, "needs --metadata DEVICE");
	if (o->size != UNKNOWN && !o->name)
		return usage_error(cmd, "--size needs --name: a device in use has its size");
	if (o->unwritten && o->name)
		return usage_error(cmd, "--unwritten is about a SOURCE in use, and goes without --name");
	if (o->unwritten && o->reset)
		return usage_error(cmd, "--reset forgets what --unwritten is about; choose one of them");
	if (o->base && wait)
		return usage_error(cmd, "--wait returns when SOURCE is dropped, and with --base it stays; see: blkjob help wait, --concluded");
	if (timeout_us && !wait)
		return usage_error(cmd, "--timeout needs --wait");
	return 0;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct stream_options o = {
		.speed = UNKNOWN, .granularity = UNKNOWN, .buf_size = UNKNOWN,
		.latency_bound = UNKNOWN, .size = UNKNOWN,
	};
	struct complete_options end = { 0 };
	const char *words[2], *metadata = NULL;
	bool wait = false;
	const struct arg args[] = {
		ARG("metadata", TEXT, &metadata),
		ARG("name", TEXT, &o.name),
		ARG("size", SIZE, &o.size),
		ARG("base", TEXT, &o.base),
		ARG("speed", SIZE, &o.speed),
		ARG("granularity", SIZE, &o.granularity),
		ARG("buf-size", SIZE, &o.buf_size),
		ARG("latency-bound", SIZE, &o.latency_bound),
		ON_ERROR_ARGS(o.words),
		COPY_ON_READ_ARG(o.words),
		{ "unmap", ARG_WORD, &o.words[WORD_UNMAP], "on|off", 0 },
		ARG("unwritten", FLAG, &o.unwritten),
		ARG("reset", FLAG, &o.reset),
		ARG("force", FLAG, &o.force),
		ARG("wait", FLAG, &wait),
		ARG_TIMEOUT(&end.timeout_us), { 0 }
	};
	struct job job;
	int err = args_parse(cmd, argc, argv, args, 2, 2,
			     "needs SOURCE and TARGET", words);

	if (!err)
		err = check(cmd, &o, metadata, wait, end.timeout_us);
	if (!err)
		err = stream_start(words[0], words[1], metadata, &o, &job);
	return err || !wait ? err : stream_complete(&job, &end);
}

const struct command cmd_stream = {
	.name = "stream",
	.args = "SOURCE TARGET --metadata DEVICE",
	.summary = "Use a device at once that is filled from another one behind",
	.options =
	"What is written goes to TARGET; what is not there yet is read from SOURCE, which\n"
	"is never written. 'cancel' keeps what is there; the same command goes on. When\n"
	"everything is on TARGET, 'complete' drops SOURCE, or use --wait.\n\n"
	"  --metadata DEVICE    remembers what is on TARGET: 72M for each 1T\n"
	"  --name NAME          make a device /dev/mapper/NAME; SOURCE is any device that\n"
	"                       nobody writes to. Otherwise SOURCE is in use, and stays so\n"
	"  --size SIZE          of that device: beyond SOURCE are zeroes (as SOURCE)\n"
	"  --base FILE          what is not to be filled: lines \"<start> <length>\", sizes;\n"
	"                       - = standard input\n"
	"  --speed RATE         at most RATE bytes a second, such as 100M; 0 = no limit\n"
	"  --granularity SIZE   bytes tracked as one, a power of two (4K)\n"
	"  --buf-size SIZE      at most so many bytes in flight (16M)\n"
	LATENCY_BOUND_HELP
	ON_ERROR_HELP
	COPY_ON_READ_HELP
	"  --unmap on|off       zeroes may be unmapped on the target device (on)\n"
	"  --unwritten          a promise: nothing was written to SOURCE while the stream\n"
	"                       was not there\n"
	"  --reset              begin anew, whatever DEVICE knows\n"
	"  --force              overwrite what is on TARGET and DEVICE\n"
	"  --wait               return when SOURCE is dropped\n"
	"  --timeout TIME       detach if it is not by then\n",
	.run = run,
};
