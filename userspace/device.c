// SPDX-License-Identifier: GPL-2.0-or-later
/* Block devices: names, sizes, and who stands on whom, from sysfs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "dm.h"

static int resolve_path(const char *path, dev_t *devno)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	*devno = st.st_rdev;
	return 0;
}

static int resolve_dm(const char *name, dev_t *devno)
{
	struct dm_dev dev;
	int err = dm_find_name(name, &dev);

	if (!err)
		*devno = dev.devno;
	return err;
}

int device_resolve(const char *ref, dev_t *devno)
{
	const char *slash = strchr(ref, '/');
	autofree char *vg = NULL, *name = NULL, *path = NULL;

	if (slash == ref)
		return resolve_path(ref, devno);
	if (slash) {
		vg = strndup(ref, slash - ref);
		name = vg ? dm_join_lv_name(vg, slash + 1) : NULL;
	}
	if (!resolve_dm(name ? name : ref, devno))
		return 0;
	path = xasprintf("/dev/%s", ref);
	return resolve_path(path, devno);
}

static char *sysfs_path(dev_t devno, const char *rest)
{
	return xasprintf("/sys/dev/block/%u:%u%s", major(devno), minor(devno),
			 rest);
}

char *device_path(dev_t devno)
{
	autofree char *link = sysfs_path(devno, "");
	char target[512], *name;
	struct dm_dev dev;
	ssize_t len;

	if (!dm_find(devno, &dev))
		return xasprintf("/dev/mapper/%s", dev.name);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return xasprintf("%u:%u", major(devno), minor(devno));
	target[len] = '\0';
	name = strrchr(target, '/');
	return xasprintf("/dev/%s", name ? name + 1 : target);
}

bool device_is_dm(dev_t devno)
{
	autofree char *path = sysfs_path(devno, "/dm");

	return access(path, F_OK) == 0;
}

void device_attribute(dev_t devno, const char *attr, char *buf, size_t len)
{
	autofree char *path = sysfs_path(devno, attr);
	FILE *f = fopen(path, "re");

	buf[0] = '\0';
	if (!f)
		return;
	if (!fgets(buf, len, f))
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
}

/* A node of its own, so that no link or missing udev can mislead us. */
int device_open(dev_t devno, int flags)
{
	autofree char *path = xasprintf("/dev/.blkjob-%d-%u:%u", getpid(),
					major(devno), minor(devno));
	int fd;

	if (mknod(path, S_IFBLK | 0600, devno))
		return -errno;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	unlink(path);
	return fd;
}

int device_limits(dev_t devno, bool exclusive, struct device_limits *lim)
{
	autoclose int fd = device_open(devno, exclusive ? O_RDONLY | O_EXCL :
							 O_RDONLY);
	char zoned[32];
	int lbs, ro;

	if (fd < 0)
		return fd;
	if (ioctl(fd, BLKGETSIZE64, &lim->size) || ioctl(fd, BLKSSZGET, &lbs) ||
	    ioctl(fd, BLKROGET, &ro))
		return -errno;
	lim->logical_block = lbs;
	lim->read_only = ro;
	device_attribute(devno, "/queue/zoned", zoned, sizeof(zoned));
	lim->zoned = *zoned && strcmp(zoned, "none");
	return 0;
}

static int read_devno(dev_t devno, const char *attr, dev_t *result)
{
	unsigned int maj, min;
	char buf[32];

	device_attribute(devno, attr, buf, sizeof(buf));
	if (sscanf(buf, "%u:%u", &maj, &min) != 2)
		return -ENOENT;
	*result = makedev(maj, min);
	return 0;
}

size_t device_related(dev_t devno, const char *relation, dev_t **list)
{
	autofree char *rest = xasprintf("/%s", relation);
	autofree char *path = sysfs_path(devno, rest);
	DIR *dir = opendir(path);
	struct dirent *e;
	size_t n = 0;

	*list = NULL;
	while (dir && (e = readdir(dir))) {
		autofree char *attr = xasprintf("/%s/%s/dev", relation,
						e->d_name);

		if (e->d_name[0] == '.')
			continue;
		*list = xrealloc(*list, (n + 1) * sizeof(**list));
		if (!read_devno(devno, attr, &(*list)[n]))
			n++;
	}
	if (dir)
		closedir(dir);
	return n;
}

dev_t device_disk(dev_t devno)
{
	autofree char *part = sysfs_path(devno, "/partition");
	dev_t disk;

	if (access(part, F_OK) || read_devno(devno, "/../dev", &disk))
		return devno;
	return disk;
}

/* Of a loop device: the one with the file system that its file is in; or 0. */
static dev_t behind_loop(dev_t devno)
{
	struct loop_info64 info = { 0 };
	dev_t disk = device_disk(devno);
	autoclose int fd = major(disk) == LOOP_MAJOR ?
			   device_open(disk, O_RDONLY) : -1;

	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info))
		return 0;
	/* As the kernel encodes it for user space. */
	return makedev((info.lo_device >> 8) & 0xfff,
		       (info.lo_device & 0xff) |
		       ((info.lo_device >> 12) & 0xfff00));
}

bool device_stands_on(dev_t devno, dev_t below)
{
	autofree dev_t *slaves = NULL;
	dev_t behind;
	size_t n, i;

	if (devno == below || device_disk(devno) == below)
		return true;
	behind = behind_loop(devno);
	if (behind && device_stands_on(behind, below))
		return true;
	n = device_related(devno, "slaves", &slaves);
	for (i = 0; i < n; i++)
		if (device_stands_on(slaves[i], below))
			return true;
	return false;
}

/* mountinfo has blanks and backslashes as "\\040". */
static void unescape(char *s)
{
	char *to = s;
	unsigned int c;
	int n;

	for (; *s; s += n) {
		n = 0;
		if (*s != '\\' || sscanf(s, "\\%3o%n", &c, &n) != 1 || n != 4) {
			c = *s;
			n = 1;
		}
		*to++ = c;
	}
	*to = '\0';
}

char *device_mountpoint(dev_t devno)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	autofree char *line = NULL;
	unsigned int maj, min;
	char *path = NULL;
	size_t size = 0;

	while (f && !path && getline(&line, &size, f) >= 0) {
		autofree char *at = NULL;

		if (sscanf(line, "%*d %*d %u:%u %*s %ms", &maj, &min, &at) == 3 &&
		    makedev(maj, min) == devno) {
			unescape(at);
			path = xstrdup(at);
		}
	}
	if (f)
		fclose(f);
	return path;
}
