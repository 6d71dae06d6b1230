// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blkjob.h"
#include "guard.h"
#include "swap.h"

/* Who changes it from ARMED decides. */
enum { ARMED, PASSED, FIRED };

#define DONE 'd'	/* the last byte; without it, the end is a death */

static bool decide(int *state, int to)
{
	int armed = ARMED;

	return __atomic_compare_exchange_n(state, &armed, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void resume_all(const struct swap *s, size_t n, struct dm_cookie *c)
{
	struct dm_dev now;
	size_t i;

	for (i = 0; i < n; i++) {
		if (dm_find(s[i].dev->devno, &now) || !now.suspended)
			continue;
		if (now.inactive)
			dm_clear(s[i].dev->devno);
		dm_resume(s[i].dev, c, 0);
	}
}

/* Milliseconds for poll(), at most a day. */
static int poll_time(uint64_t us)
{
	uint64_t ms = us / 1000 + 1;

	return !us ? -1 : ms < 86400000 ? (int)ms : 86400000;
}

static void watch(const struct swap *s, size_t n, uint64_t timeout_us,
		  int *state, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct dm_cookie c;
	char byte = 0;

	if (dm_cookie(&c))
		return;
	swap_memory_lock();
	/* "I watch" */
	if (write(fd, &byte, 1) != 1)
		return;
	if (!poll(&p, 1, poll_time(timeout_us)) && decide(state, FIRED))
		resume_all(s, n, &c);
	/* Until the other one has done its part, or is dead. */
	if (read(fd, &byte, 1) != 1 || byte != DONE)
		resume_all(s, n, &c);
	munlockall();
	dm_cookie_wait(&c);
}

static int open_both(int fd[2], int **state)
{
	*state = mmap(NULL, sizeof(**state), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*state == MAP_FAILED)
		return -errno;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) ?
		-errno : 0;
}

int guard_start(struct guard *g, const struct swap *s, size_t n,
		uint64_t timeout_us)
{
	int fd[2], err = open_both(fd, &g->state);
	char byte;

	if (err)
		return err;
	*g->state = ARMED;
	g->pid = fork();
	if (!g->pid) {
		close(fd[0]);
		watch(s, n, timeout_us, g->state, fd[1]);
		_exit(0);
	}
	err = errno;
	close(fd[1]);
	g->fd = fd[0];
	if (g->pid > 0 && read(g->fd, &byte, 1) == 1)
		return 0;
	errno = g->pid < 0 ? err : ECHILD;
	guard_stop(g);
	return -errno;
}

bool guard_pass(struct guard *g)
{
	return decide(g->state, PASSED);
}

void guard_stop(struct guard *g)
{
	static const char done = DONE;
	int err = errno;

	/* If it cannot be told, it resumes what is not suspended. */
	if (g->fd >= 0 && send(g->fd, &done, 1, MSG_NOSIGNAL) == 1)
		shutdown(g->fd, SHUT_WR);
	if (g->fd >= 0)
		close(g->fd);
	if (g->pid > 0)
		waitpid(g->pid, NULL, 0);
	*g = (struct guard)GUARD_NONE;
	errno = err;
}
