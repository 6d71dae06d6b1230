// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "blkjob.h"
#include "cleanup.h"
#include "run.h"

#define RUN_TIMEOUT_US 120000000ULL

/* What an administrator may have set on purpose. */
static const char * const kept[] = {
	"LVM_SYSTEM_DIR", "DM_DISABLE_UDEV", "DM_DEV_DIR",
};

static char **environment(void)
{
	char **env = xcalloc(ARRAY_SIZE(kept) + 4, sizeof(*env));
	size_t i, n = 0;

	env[n++] = xstrdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	env[n++] = xstrdup("LC_ALL=C");
	env[n++] = xstrdup("LVM_SUPPRESS_FD_WARNINGS=1");
	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *value = getenv(kept[i]);

		if (value)
			env[n++] = xasprintf("%s=%s", kept[i], value);
	}
	return env;
}

static void free_environment(char **env)
{
	size_t i;

	for (i = 0; env[i]; i++)
		free(env[i]);
	free(env);
}

/*
 * Signals stay blocked, and LVM lets them in only while it waits for a lock; a
 * session of its own keeps the terminal's Ctrl-C away from it altogether.
 */
static void child(const char *const argv[], char **env, int out, int err)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execvpe(argv[0], (char *const *)argv, env);
	_exit(127);
}

struct sink {
	int fd;
	char *text;
	size_t len;
};

/* False at the end of the stream. */
static bool sink_read(struct sink *s)
{
	char buf[4096];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	s->text = xrealloc(s->text, s->len + n + 1);
	memcpy(s->text + s->len, buf, n);
	s->len += n;
	s->text[s->len] = '\0';
	return n > 0;
}

static void collect(struct sink *s, pid_t pid)
{
	uint64_t end = now_us() + RUN_TIMEOUT_US;
	struct pollfd p[2] = {
		{ .fd = s[0].fd, .events = POLLIN },
		{ .fd = s[1].fd, .events = POLLIN },
	};
	int i;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, 1000) < 0 && errno != EINTR)
			break;
		for (i = 0; i < 2; i++)
			if (p[i].fd >= 0 && p[i].revents && !sink_read(&s[i]))
				p[i].fd = -1;
		if (now_us() > end) {
			kill(pid, SIGKILL);
			break;
		}
	}
}

static int exit_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run(struct run *r, const char *const argv[])
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 };
	char **env = environment();
	struct sink s[2] = { 0 };
	pid_t pid = -1;

	*r = (struct run) { .status = 127 };
	fflush(NULL);
	if (!pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC))
		pid = fork();
	if (pid == 0)
		child(argv, env, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	s[0].fd = out[0];
	s[1].fd = err[0];
	if (pid > 0) {
		collect(s, pid);
		r->status = exit_status(pid);
	}
	close(out[0]);
	close(err[0]);
	free_environment(env);
	r->out = s[0].text ? s[0].text : xstrdup("");
	r->err = s[1].text ? s[1].text : xstrdup("");
	return r->status;
}

void run_free(struct run *r)
{
	free(r->out);
	free(r->err);
	*r = (struct run) { 0 };
}

const char *run_reason(struct run *r)
{
	size_t len = strlen(r->err);
	char *line;

	while (len && (r->err[len - 1] == '\n' || r->err[len - 1] == ' '))
		r->err[--len] = '\0';
	if (!len)
		return r->status == 127 ? "cannot be run; is it installed?" :
					  "it gave no reason";
	line = strrchr(r->err, '\n');
	line = line ? line + 1 : r->err;
	return line + strspn(line, " ");
}
