// SPDX-License-Identifier: GPL-2.0
/* device-mapper by ioctl: a process per call would drown what is measured. */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bench.h"

#define DM_BUF (16 * KIB)

static union {
	struct dm_ioctl io;
	char bytes[DM_BUF];
} buf;
static int control = -1;

void dm_open(void)
{
	unsigned int minor = 0;
	char line[64];
	FILE *f = fopen("/proc/misc", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "device-mapper"))
			sscanf(line, "%u", &minor);
	if (f)
		fclose(f);
	mknod("/dev/bench-dm", S_IFCHR | 0600, makedev(10, minor));
	control = open("/dev/bench-dm", O_RDWR | O_CLOEXEC);
	if (control < 0)
		die("device-mapper: %s", strerror(errno));
}

static struct dm_ioctl *dm_prepare(const struct dmdev *d)
{
	memset(&buf, 0, sizeof(buf));
	buf.io.version[0] = DM_VERSION_MAJOR;
	buf.io.data_size = sizeof(buf);
	buf.io.data_start = sizeof(buf.io);
	strcpy(buf.io.name, d->name);
	return &buf.io;
}

static void dm_call(unsigned long cmd, const char *what, const struct dmdev *d)
{
	int ret;

	do {
		ret = ioctl(control, cmd, &buf);
	} while (ret && errno == EINTR);
	if (ret)
		die("dm %s %s: %s", what, d->name, strerror(errno));
}

void dm_create(struct dmdev *d, const char *name, uint64_t sectors)
{
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->sectors = sectors;
	d->event = 0;
	dm_prepare(d);
	dm_call(DM_DEV_CREATE, "create", d);
	snprintf(d->path, sizeof(d->path), "/dev/dm-%u", minor(buf.io.dev));
}

void dm_load(struct dmdev *d, const char *type, const char *fmt, ...)
{
	struct dm_ioctl *io = dm_prepare(d);
	struct dm_target_spec *spec = (void *)(buf.bytes + io->data_start);
	char *params = (char *)(spec + 1);
	va_list ap;

	io->target_count = 1;
	spec->length = d->sectors;
	strcpy(spec->target_type, type);
	va_start(ap, fmt);
	vsnprintf(params, 1024, fmt, ap);
	va_end(ap);
	dm_call(DM_TABLE_LOAD, "load", d);
}

void dm_resume(struct dmdev *d)
{
	dm_prepare(d);
	dm_call(DM_DEV_SUSPEND, "resume", d);
}

void dm_suspend(struct dmdev *d)
{
	struct dm_ioctl *io = dm_prepare(d);

	io->flags = DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG;
	dm_call(DM_DEV_SUSPEND, "suspend", d);
}

void dm_remove(struct dmdev *d)
{
	dm_prepare(d);
	dm_call(DM_DEV_REMOVE, "remove", d);
}

void dm_message(struct dmdev *d, const char *msg)
{
	struct dm_ioctl *io = dm_prepare(d);
	struct dm_target_msg *m = (void *)(buf.bytes + io->data_start);

	strcpy(m->message, msg);
	dm_call(DM_TARGET_MSG, msg, d);
}

static const char *dm_read_status(struct dmdev *d)
{
	d->event = buf.io.event_nr;
	if (!buf.io.target_count)
		return "";
	return buf.bytes + buf.io.data_start + sizeof(struct dm_target_spec);
}

const char *dm_status(struct dmdev *d)
{
	dm_prepare(d);
	dm_call(DM_TABLE_STATUS, "status", d);
	return dm_read_status(d);
}

/*
 * Wait for an event that brings the status we look for. Never poll: each
 * status call costs instructions that would be charged to the copy.
 */
void dm_wait(struct dmdev *d, bool (*done)(const char *status))
{
	const char *status = dm_status(d);

	while (!done(status)) {
		dm_prepare(d)->event_nr = d->event;
		dm_call(DM_DEV_WAIT, "wait", d);
		status = dm_read_status(d);
	}
}

static const char *wanted_state;

/* "<type> <state> key=value ..." */
static bool state_reached(const char *status)
{
	char state[32];

	if (sscanf(status, "%*s %31s", state) != 1)
		die("odd status '%s'", status);
	if (!strcmp(state, "concluded") && strcmp(wanted_state, state))
		die("job ended early: %s", status);
	return !strcmp(state, wanted_state);
}

void dm_wait_state(struct dmdev *d, const char *state)
{
	wanted_state = state;
	dm_wait(d, state_reached);
}
