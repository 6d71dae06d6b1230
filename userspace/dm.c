// SPDX-License-Identifier: GPL-2.0-or-later
/* Every libdevmapper task of the command. */
#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "dm.h"

#define UDEV_TIMEOUT_S 30

#define UDEV_HIDDEN (DM_UDEV_DISABLE_LIBRARY_FALLBACK |		\
		     DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |	\
		     DM_UDEV_DISABLE_DISK_RULES_FLAG |		\
		     DM_UDEV_DISABLE_OTHER_RULES_FLAG)

static char last_log[512];

static void task_free_p(struct dm_task **t)
{
	if (*t)
		dm_task_destroy(*t);
}

#define autotask __attribute__((cleanup(task_free_p)))

/* libdevmapper would print to stderr; the caller knows better what to say. */
static void keep_log(int level, const char *file, int line, int dm_errno,
		     const char *fmt, ...)
{
	va_list ap;

	(void)file;
	(void)line;
	(void)dm_errno;
	if ((level & 7) > 3)
		return;
	va_start(ap, fmt);
	vsnprintf(last_log, sizeof(last_log), fmt, ap);
	va_end(ap);
}

void dm_setup(void)
{
	dm_log_with_errno_init(keep_log);
}

const char *dm_error(void)
{
	return last_log;
}

/* Devices are addressed by number: a name can change under our feet. */
static struct dm_task *task_for(int type, dev_t devno)
{
	struct dm_task *t = dm_task_create(type);

	if (t && (!dm_task_set_major(t, major(devno)) ||
		  !dm_task_set_minor(t, minor(devno)))) {
		dm_task_destroy(t);
		return NULL;
	}
	return t;
}

static int task_run(struct dm_task *t)
{
	int err;

	last_log[0] = '\0';
	if (dm_task_run(t))
		return 0;
	err = dm_task_get_errno(t);
	return err ? -err : -EIO;
}

int dm_target_version(const char *type, uint32_t version[3])
{
	autotask struct dm_task *t = dm_task_create(DM_DEVICE_GET_TARGET_VERSION);
	struct dm_versions *v;
	int err;

	if (!t || !dm_task_set_name(t, type))
		return -ENOMEM;
	err = task_run(t);
	if (err)
		return err;
	v = dm_task_get_versions(t);
	if (!v)
		return -ENXIO;
	memcpy(version, v->version, sizeof(v->version));
	return 0;
}

static int get_info(struct dm_task *t, struct dm_dev *dev)
{
	struct dm_info info;
	int err = task_run(t);

	if (err)
		return err;
	if (!dm_task_get_info(t, &info) || !info.exists)
		return -ENXIO;
	memset(dev, 0, sizeof(*dev));
	dev->devno = makedev(info.major, info.minor);
	snprintf(dev->name, sizeof(dev->name), "%s", dm_task_get_name(t));
	snprintf(dev->uuid, sizeof(dev->uuid), "%s", dm_task_get_uuid(t));
	dev->suspended = info.suspended;
	dev->live = info.live_table;
	dev->inactive = info.inactive_table;
	dev->read_only = info.read_only;
	if (!dm_task_get_read_ahead(t, &dev->read_ahead))
		dev->read_ahead = DM_READ_AHEAD_AUTO;
	return 0;
}

int dm_find(dev_t devno, struct dm_dev *dev)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_INFO, devno);

	if (!t || !dm_task_no_open_count(t))
		return -ENOMEM;
	return get_info(t, dev);
}

int dm_find_name(const char *name, struct dm_dev *dev)
{
	autotask struct dm_task *t = dm_task_create(DM_DEVICE_INFO);

	if (!t || !dm_task_set_name(t, name) || !dm_task_no_open_count(t))
		return -ENXIO;	/* also a name that dm cannot have */
	return get_info(t, dev);
}

int dm_open_count(dev_t devno)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_INFO, devno);
	struct dm_info info;
	int err = t ? task_run(t) : -ENOMEM;

	if (!err && (!dm_task_get_info(t, &info) || !info.exists))
		err = -ENXIO;
	return err ? err : info.open_count;
}

int dm_list_all(struct dm_dev **devs, size_t *n)
{
	autotask struct dm_task *t = dm_task_create(DM_DEVICE_LIST);
	struct dm_names *names;
	unsigned int next = 0;
	int err;

	*devs = NULL;
	*n = 0;
	if (!t)
		return -ENODEV;
	err = task_run(t);
	if (err)
		return err;
	names = dm_task_get_names(t);
	if (!names || !names->dev)
		return 0;
	do {
		names = (struct dm_names *)((char *)names + next);
		next = names->next;
		*devs = xrealloc(*devs, (*n + 1) * sizeof(**devs));
		if (!dm_find(names->dev, &(*devs)[*n]))
			(*n)++;
	} while (next);
	return 0;
}

void table_add(struct table *t, uint64_t start, uint64_t len,
	       const char *type, const char *params)
{
	t->seg = xrealloc(t->seg, (t->n + 1) * sizeof(*t->seg));
	t->seg[t->n++] = (struct segment) {
		start, len, xstrdup(type), xstrdup(params ? params : "") };
}

void table_copy(struct table *to, const struct table *from)
{
	size_t i;

	table_free(to);
	for (i = 0; i < from->n; i++)
		table_add(to, from->seg[i].start, from->seg[i].len,
			  from->seg[i].type, from->seg[i].params);
}

void table_free(struct table *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		explicit_bzero(t->seg[i].params, strlen(t->seg[i].params));
		free(t->seg[i].params);
		free(t->seg[i].type);
	}
	free(t->seg);
	*t = (struct table) { 0 };
}

static const char *trim(const char *s)
{
	return s + strspn(s, " ");
}

bool table_equal(const struct table *a, const struct table *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (a->seg[i].start != b->seg[i].start ||
		    a->seg[i].len != b->seg[i].len ||
		    strcmp(a->seg[i].type, b->seg[i].type) ||
		    strcmp(trim(a->seg[i].params), trim(b->seg[i].params)))
			return false;
	return true;
}

uint64_t table_length(const struct table *t)
{
	return t->n ? t->seg[t->n - 1].start + t->seg[t->n - 1].len : 0;
}

static int get_lines(struct dm_task *t, struct table *table)
{
	uint64_t start, len;
	char *type, *params;
	void *next = NULL;
	int err = task_run(t);
	struct dm_info info;

	*table = (struct table) { 0 };
	if (err)
		return err;
	if (!dm_task_get_info(t, &info) || !info.exists)
		return -ENXIO;
	do {
		next = dm_get_next_target(t, next, &start, &len, &type, &params);
		if (type)
			table_add(table, start, len, type, params);
	} while (next);
	return 0;
}

int dm_get_table(dev_t devno, bool inactive, struct table *table)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_TABLE, devno);

	/* The text of a crypt table can hold its key. */
	if (!t || !dm_task_secure_data(t) || !dm_task_no_open_count(t) ||
	    !dm_task_no_flush(t) ||
	    (inactive && !dm_task_query_inactive_table(t)))
		return -ENOMEM;
	return get_lines(t, table);
}

int dm_get_status(dev_t devno, struct table *table)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_STATUS, devno);

	if (!t || !dm_task_no_open_count(t) || !dm_task_no_flush(t))
		return -ENOMEM;
	return get_lines(t, table);
}

int dm_create(const char *name, const char *uuid, struct dm_dev *dev)
{
	autotask struct dm_task *t = dm_task_create(DM_DEVICE_CREATE);

	if (!t || !dm_task_set_name(t, name) || !dm_task_set_uuid(t, uuid))
		return -ENOMEM;
	return get_info(t, dev);
}

int dm_load(dev_t devno, const struct table *table, bool read_only)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_RELOAD, devno);
	size_t i;

	if (!t || !dm_task_secure_data(t) ||
	    (read_only && !dm_task_set_ro(t)))
		return -ENOMEM;
	for (i = 0; i < table->n; i++)
		if (!dm_task_add_target(t, table->seg[i].start,
					table->seg[i].len, table->seg[i].type,
					table->seg[i].params))
			return -ENOMEM;
	return task_run(t);
}

int dm_clear(dev_t devno)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_CLEAR, devno);

	return t ? task_run(t) : -ENOMEM;
}

int dm_message_reply(dev_t devno, const char *text, char **reply)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_TARGET_MSG, devno);
	const char *words;
	int err;

	if (!t || !dm_task_set_sector(t, 0) || !dm_task_set_message(t, text))
		return -ENOMEM;
	err = task_run(t);
	if (err || !reply)
		return err;
	words = dm_task_get_message_response(t);
	*reply = words ? xstrdup(words) : NULL;
	return 0;
}

int dm_message(dev_t devno, const char *text)
{
	return dm_message_reply(devno, text, NULL);
}

int dm_cookie(struct dm_cookie *c)
{
	*c = (struct dm_cookie) { .used = dm_udev_get_sync_support() };
	if (c->used && !dm_udev_create_cookie(&c->value))
		return -ENOSPC;
	return 0;
}

/* dm_udev_wait() would wait for ever for an udevd that died. */
void dm_cookie_wait(struct dm_cookie *c)
{
	uint64_t end = now_us() + UDEV_TIMEOUT_S * 1000000ULL;
	int ready = 0;

	if (!c->used)
		return;
	c->used = false;
	while (dm_udev_wait_immediate(c->value, &ready) && !ready) {
		if (now_us() > end) {
			warning("udev has not answered for %d s (cookie 0x%x); see: dmsetup udevcookies",
				UDEV_TIMEOUT_S, c->value);
			return;
		}
		usleep(2000);
	}
}

static int set_cookie(struct dm_task *t, struct dm_cookie *c, uint16_t flags)
{
	if (c->used && !dm_task_set_cookie(t, &c->value, flags))
		return -EIO;
	return 0;
}

int dm_suspend(const struct dm_dev *dev, bool freeze)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_SUSPEND, dev->devno);

	if (!t || (!freeze && !dm_task_skip_lockfs(t)))
		return -ENOMEM;
	return task_run(t);
}

int dm_resume(const struct dm_dev *dev, struct dm_cookie *c,
	      unsigned int flags)
{
	autotask struct dm_task *t = task_for(DM_DEVICE_RESUME, dev->devno);

	/* The kernel gets the number; libdevmapper wants a name for itself. */
	if (!t || !dm_task_set_name(t, dev->name) ||
	    (!(flags & DM_RESUME_FREEZE) && !dm_task_skip_lockfs(t)) ||
	    !dm_task_set_read_ahead(t, dev->read_ahead, 0) ||
	    set_cookie(t, c, flags & DM_RESUME_HIDDEN ? UDEV_HIDDEN :
				      DM_UDEV_DISABLE_LIBRARY_FALLBACK))
		return -ENOMEM;
	return task_run(t);
}

static int remove_device(dev_t devno, bool deferred)
{
	autotask struct dm_task *t = dm_task_create(DM_DEVICE_REMOVE);
	struct dm_cookie c;
	struct dm_dev dev;
	int err = dm_find(devno, &dev);

	if (!err)
		err = dm_cookie(&c);
	if (err)
		return err;
	/* By name, so that libdevmapper can remove the node; the name is ours. */
	if (!t || !dm_task_set_name(t, dev.name) ||
	    set_cookie(t, &c, UDEV_HIDDEN) ||
	    !(deferred ? dm_task_deferred_remove(t) : dm_task_retry_remove(t)))
		err = -ENOMEM;
	else
		err = task_run(t);
	dm_cookie_wait(&c);
	return err;
}

int dm_remove(dev_t devno)
{
	return remove_device(devno, false);
}

int dm_remove_deferred(dev_t devno)
{
	return remove_device(devno, true);
}

void dm_drop_node(const char *name)
{
	autotask struct dm_task *t = NULL;

	if (dm_udev_get_sync_support())
		return;
	t = dm_task_create(DM_DEVICE_MKNODES);
	if (t && dm_task_set_name(t, name))
		task_run(t);
}

int dm_events_open(void)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* libdevmapper keeps its own descriptor private, so this ioctl is ours. */
int dm_events_arm(int fd)
{
	struct dm_ioctl arg = {
		.version = { DM_VERSION_MAJOR, 37, 0 },	/* the first with it */
		.data_size = sizeof(arg),
	};

	return ioctl(fd, DM_DEV_ARM_POLL, &arg) < 0 ? -errno : 0;
}

bool dm_split_lv_name(const char *name, char **vg, char **lv)
{
	struct dm_pool *pool = dm_pool_create("names", 512);
	char *v = NULL, *l = NULL, *layer = NULL;
	bool ok;

	ok = pool && dm_split_lvm_name(pool, name, &v, &l, &layer) &&
	     *v && *l && !*layer;
	if (ok) {
		*vg = xstrdup(v);
		*lv = xstrdup(l);
	}
	if (pool)
		dm_pool_destroy(pool);
	return ok;
}

char *dm_join_lv_name(const char *vg, const char *lv)
{
	struct dm_pool *pool = dm_pool_create("names", 512);
	const char *name = pool ? dm_build_dm_name(pool, vg, lv, NULL) : NULL;
	char *copy = name ? xstrdup(name) : NULL;

	if (pool)
		dm_pool_destroy(pool);
	return copy;
}
