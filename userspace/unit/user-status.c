// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "ktap.h"
#include "progress.h"
#include "status.h"

static void full_line(void)
{
	struct status st;

	CHECK(!status_parse("mirror running offset=65536 len=1048576 speed=0 "
			    "busy=1 paused=0 ready=0 io_status=ok "
			    "actively_synced=0 error=- dirty=917504 "
			    "in_flight=65536 rate=100 dirty_rate=7 "
			    "last_error=write:28:2048 result=- active=source "
			    "pause_us=12 held=0 cbw=4096", &st));
	CHECK(!strcmp(st.type, "mirror") && st.state == BLKJOB_RUNNING);
	CHECK(st.offset == 65536 && st.len == 1048576 && st.busy == 1);
	CHECK(st.dirty == 917504 && st.in_flight == 65536);
	CHECK(st.rate == 100 && st.dirty_rate == 7 && st.pause_us == 12);
	CHECK(st.cbw == 4096);
	CHECK(!strcmp(st.io_status, "ok") && !*st.error && !*st.result);
	CHECK(!strcmp(st.last_error, "write:28:2048"));
	CHECK(!strcmp(st.active, "source"));
	CHECK(status_remaining(&st) == 983040);
}

static void unknown_keys(void)
{
	struct status st;

	CHECK(!status_parse("backup ready later=1 dirty=5 more=words", &st));
	CHECK(st.state == BLKJOB_READY && st.dirty == 5);
	CHECK(st.len == UNKNOWN && st.pause_us == UNKNOWN);
	CHECK(status_remaining(&st) == UNKNOWN);
}

static void every_state(void)
{
	char line[64];
	struct status st;
	int i;

	for (i = 0; i < BLKJOB_NR_STATES; i++) {
		snprintf(line, sizeof(line), "mirror %s", status_state_name(i));
		CHECK(!status_parse(line, &st) && (int)st.state == i);
	}
}

static void convergence(void)
{
	static const char line[] = "mirror running speed=%d rate=1048576 "
		"dirty_rate=2097152 converge=%s";
	static const struct {
		int speed;
		const char *word, *sentence;
	} cases[] = {
		{ 0, "no", "does not converge: writes make 2.0 MiB/s dirty, 1.0 MiB/s are copied; set copy_mode write-blocking or auto" },
		{ 9, "no", "does not converge: writes make 2.0 MiB/s dirty, 1.0 MiB/s are copied; raise the speed limit, or set copy_mode write-blocking or auto" },
		{ 0, "slow", "converges slowly: writes make 2.0 MiB/s dirty, 1.0 MiB/s are copied" },
		{ 0, "write-blocking", "writes now go to both devices, because the copy did not gain on them" },
		{ 0, "yes", NULL },
		{ 0, "-", NULL },
		{ 0, "later", NULL },
	};
	char text[256], buf[256];
	const char *said;
	struct status st;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), line, cases[i].speed, cases[i].word);
		CHECK(!status_parse(text, &st));
		said = status_converge(&st, buf, sizeof(buf));
		CHECK(!said == !cases[i].sentence);
		CHECK(!said || !strcmp(said, cases[i].sentence));
	}
}

static void malformed(void)
{
	static const char * const bad[] = {
		"", "mirror", "mirror sleeping", "mirror running offset",
		"mirror running offset=", "mirror running offset=x",
		"mirror running offset=1x", "mirror running offset=-1",
		"mirror running offset=99999999999999999999",
		"mirror running io_status=muchtoolongforthisfield",
	};
	static char huge[4096];
	struct status st;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(status_parse(bad[i], &st) == -EINVAL);
	memset(huge, 'x', sizeof(huge) - 1);
	CHECK(status_parse(huge, &st) == -EINVAL);
}

static void eta(void)
{
	CHECK(status_eta(0, 0, 0) == 0);
	CHECK(status_eta(100, 10, 0) == 10);
	CHECK(status_eta(101, 10, 0) == 11);
	CHECK(status_eta(100, 10, 5) == 20);
	CHECK(status_eta(100, 5, 5) == UNKNOWN);
	CHECK(status_eta(100, 0, 0) == UNKNOWN);
	CHECK(status_eta(UNKNOWN, 10, 0) == UNKNOWN);
	CHECK(status_eta(100, UNKNOWN, 0) == UNKNOWN);
	CHECK(status_eta(100, 10, UNKNOWN) == 10);
	CHECK(status_eta(UNKNOWN - 1, 1, 0) == UNKNOWN - 1);
}

static void rate_mean(void)
{
	struct rate_window w = { 0 };
	uint64_t rate, dirty;
	int i;

	rate_window_mean(&w, &rate, &dirty);
	CHECK(rate == UNKNOWN && dirty == UNKNOWN);
	rate_window_add(&w, 1000000, 300, 30);
	rate_window_add(&w, 1000001, 900, 90);	/* the same second */
	rate_window_mean(&w, &rate, &dirty);
	CHECK(rate == 300 && dirty == 30);
	for (i = 2; i < 100; i++)
		rate_window_add(&w, i * 1000000ULL, 60, UNKNOWN);
	rate_window_mean(&w, &rate, &dirty);
	CHECK(rate == 300);			/* half a sample is none */
	for (i = 100; i < 130; i++)
		rate_window_add(&w, i * 1000000ULL, 60, 30);
	rate_window_mean(&w, &rate, &dirty);
	CHECK(rate == 60 && dirty == 30);
}

KTAP_MAIN({ "a full status line", full_line },
	  { "unknown keys are skipped, absent ones unknown", unknown_keys },
	  { "every state has a name", every_state },
	  { "sentences about convergence", convergence },
	  { "malformed lines", malformed },
	  { "time of arrival", eta },
	  { "rates over half a minute", rate_mean })
