// SPDX-License-Identifier: GPL-2.0-or-later
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "job.h"
#include "preflight.h"
#include "size.h"

int preflight_kernel(uint32_t version[3])
{
	struct utsname u;
	int err;

	if (geteuid())
		return fail(EX_REFUSED,
			    "only root can change device-mapper tables; use sudo");
	err = dm_target_version(BLKJOB_TARGET, version);
	if (err) {
		uname(&u);
		return fail(EX_REFUSED,
			    "kernel target \"" BLKJOB_TARGET "\" not available (%s): is the module dm-blkjob built for %s? See: modprobe dm-blkjob; under Secure Boot, dmesg says \"rejected\"",
			    strerror(-err), u.release);
	}
	if (version[0] != BLKJOB_VERSION_MAJOR ||
	    (int)version[1] < BLKJOB_VERSION_MINOR)
		return fail(EX_REFUSED,
			    "kernel target \"" BLKJOB_TARGET "\" has version %u.%u.%u, this command needs %u.%u; install the two together",
			    version[0], version[1], version[2],
			    BLKJOB_VERSION_MAJOR, BLKJOB_VERSION_MINOR);
	return 0;
}

int preflight_resolve(const char *ref, dev_t *devno)
{
	int err = device_resolve(ref, devno);

	if (err == -ENOTBLK)
		return fail(EX_REFUSED,
			    "%s is not a block device; name a physical volume instead of a volume group, and for a file use: losetup --find --show %s",
			    ref, ref);
	if (err && *ref != '/' && strchr(ref, '/'))
		return fail(EX_REFUSED,
			    "%s has no device; if it is an inactive logical volume, activate it (lvchange -ay %s) or move it with pvmove",
			    ref, ref);
	if (err)
		return fail(EX_REFUSED, "%s: %s; see: lsblk, lvs", ref,
			    strerror(-err));
	return 0;
}

/* Way out for each live table that cannot be copied; NULL = it can. */
static const char *unsupported(const char *type)
{
	/* The state of a thin volume is its pool's. */
	static const char * const stateless[] = {
		"linear", "striped", "crypt", "thin"
	};
	static const struct { const char *type, *way; } known[] = {
		{ BLKJOB_TARGET, "it is a job already; see: blkjob list" },
		{ "multipath", "run the job on the device above it" },
		{ "snapshot", "put a linear device on it, and the job under that" },
		{ "raid", "use: lvconvert --replace" },
		{ "mirror", "use: lvconvert --replace, or wait for pvmove" },
		{ "snapshot-origin", "remove its snapshots first" },
		{ "cache", "use: lvconvert --splitcache" },
		{ "writecache", "use: lvconvert --splitcache" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stateless); i++)
		if (!strcmp(type, stateless[i]))
			return NULL;
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(type, known[i].type))
			return known[i].way;
	return "run the job on a linear device above it";
}

/* Two live copies of a table with state of its own would fight. */
static int check_table(const char *label, const struct table *t)
{
	const char *way;
	size_t i;

	for (i = 0; i < t->n; i++) {
		way = unsupported(t->seg[i].type);
		if (way)
			return fail(EX_REFUSED,
				    "%s has a table of type \"%s\"; only linear, striped, crypt and thin can have a layer: %s",
				    label, t->seg[i].type, way);
	}
	return 0;
}

/* @tracker: what tracks it, which may be there; NULL = it may not. */
static int check_no_job(const struct dm_dev *dev, const char *label,
			struct job *tracker)
{
	autofree struct job *jobs = NULL;
	const struct job *other = NULL;
	size_t n, i;
	int err = job_list(&jobs, &n);

	for (i = 0; !err && i < n; i++) {
		if (tracker && jobs[i].user.devno == dev->devno &&
		    !jobs[i].by_hand && !jobs[i].below &&
		    !strcmp(jobs[i].st.type, "track"))
			*tracker = jobs[i];
		/* The upper one, if there are two. */
		else if ((!other || other->below) &&
			 (jobs[i].user.devno == dev->devno ||
			  jobs[i].dev.devno == dev->devno ||
			  (!jobs[i].by_hand &&
			   job_old_source(&jobs[i]) == dev->devno)))
			other = &jobs[i];
	}
	if (!err && other)
		return fail(EX_REFUSED,
			    "%s already has job %s; see: blkjob status %s",
			    label, other->id, other->id);
	return err;
}

int preflight_idle(const char *ref, dev_t devno, struct dm_dev *dev,
		   struct table *t)
{
	autofree char *label = NULL;

	if (dm_find(devno, dev))
		return fail(EX_REFUSED,
			    "%s is not a device-mapper device: a job can be inserted only under an existing one, such as a logical volume; stop its users and put a linear device on it (dmsetup create) for the next time",
			    ref);
	label = dm_dev_label(dev);
	if (dev->suspended)
		return fail(EX_REFUSED,
			    "%s is suspended by another tool; see: dmsetup info %s",
			    label, dev->name);
	if (dev->inactive)
		return fail(EX_REFUSED,
			    "%s has a second table loaded by another tool; 'dmsetup clear %s' if nobody is working on it",
			    label, dev->name);
	if (dm_get_table(devno, false, t) || !t->n)
		return fail(EX_REFUSED, "%s has no table; see: dmsetup table %s",
			    label, dev->name);
	return 0;
}

int preflight_source(const char *ref, struct dm_dev *dev, struct table *t,
		     struct job *tracker)
{
	autofree char *label = NULL;
	dev_t devno;
	int err = preflight_resolve(ref, &devno);

	if (!err)
		err = preflight_idle(ref, devno, dev, t);
	if (err)
		return err;
	label = dm_dev_label(dev);
	err = check_no_job(dev, label, tracker);
	return err ? err : check_table(label, t);
}

static bool is_mounted(dev_t devno)
{
	autofree char *path = device_mountpoint(devno);

	return path;
}

static int explain_busy(dev_t target, const char *path)
{
	autofree struct job *jobs = NULL;
	autofree dev_t *holders = NULL;
	autofree char *holder = NULL;
	size_t n, i;

	if (job_list(&jobs, &n))
		return EX_REFUSED;
	for (i = 0; i < n; i++)
		if (jobs[i].target == target || jobs[i].source == target ||
		    job_metadata(&jobs[i]) == target)
			return fail(EX_REFUSED, "%s is used by job %s; see: blkjob status %s",
				    path, jobs[i].id, jobs[i].id);
	if (is_mounted(target))
		return fail(EX_REFUSED, "%s is mounted; unmount it first", path);
	if (device_related(target, "holders", &holders)) {
		holder = device_path(holders[0]);
		return fail(EX_REFUSED,
			    "%s is used by %s; take that away first, or name another target",
			    path, holder);
	}
	return fail(EX_REFUSED,
		    "%s is in use (swap, RAID, a mounted partition?); see: lsblk %s",
		    path, path);
}

static const char *lookup(blkid_probe pr, const char *name)
{
	const char *value = NULL;

	blkid_probe_lookup_value(pr, name, &value, NULL);
	return value;
}

static int check_signature(dev_t target, const char *path)
{
	autoclose int fd = device_open(target, O_RDONLY);
	blkid_probe pr = blkid_new_probe();
	const char *type, *label;
	int rc = -1, status = 0;

	if (pr && fd >= 0 && !blkid_probe_set_device(pr, fd, 0, 0)) {
		blkid_probe_enable_partitions(pr, true);
		rc = blkid_do_safeprobe(pr);
	}
	if (rc < 0 && rc != -2) {
		status = fail(EX_REFUSED,
			      "cannot read the beginning of %s; see: dmesg", path);
	} else if (rc != 1) {
		type = lookup(pr, "TYPE");
		if (!type)
			type = lookup(pr, "PTTYPE");
		label = lookup(pr, "LABEL");
		status = fail(EX_REFUSED,
			      "%s contains data: %s%s%s%s; use --force to overwrite it",
			      path, type ? type : "more than one signature",
			      label ? " (label \"" : "", label ? label : "",
			      label ? "\")" : "");
	}
	blkid_free_probe(pr);
	return status;
}

static int check_limits(const char *path, const struct device_limits *lim,
			const struct device_limits *src, uint64_t length)
{
	char have[32], need[32];

	if (lim->read_only)
		return fail(EX_REFUSED,
			    "%s is read-only; see: blockdev --setrw %s", path, path);
	if (lim->zoned)
		return fail(EX_REFUSED,
			    "%s is a zoned device, which cannot be a target; name another",
			    path);
	if (lim->size < length)
		return fail(EX_REFUSED,
			    "%s is too small: it has %llu bytes (%s), %llu (%s) are needed; name a larger one",
			    path, (unsigned long long)lim->size,
			    size_format(have, sizeof(have), lim->size),
			    (unsigned long long)length,
			    size_format(need, sizeof(need), length));
	if (lim->logical_block > src->logical_block)
		return fail(EX_REFUSED,
			    "%s has %u-byte sectors, the source %u; what is on the source could not be read there. Name a target with smaller sectors",
			    path, lim->logical_block, src->logical_block);
	return 0;
}

int preflight_target(dev_t target, dev_t source, uint64_t length, bool force)
{
	autofree char *path = device_path(target);
	autofree char *label = devno_label(source);
	struct device_limits lim, src;
	int err;

	if (target == source)
		return fail(EX_REFUSED, "source and target are both %s; name two devices",
			    label);
	if (device_stands_on(target, source))
		return fail(EX_REFUSED,
			    "%s stands on %s itself; name a target elsewhere",
			    path, label);
	if (device_stands_on(source, target))
		return fail(EX_REFUSED,
			    "%s stands on %s: it would be copied onto itself; name a target elsewhere",
			    label, path);
	err = device_limits(target, true, &lim);
	if (err == -EBUSY)
		return explain_busy(target, path);
	if (!err)
		err = device_limits(source, false, &src);
	if (err)
		return fail(EX_REFUSED, "cannot open %s or %s: %s; see: dmesg",
			    path, label, strerror(-err));
	err = check_limits(path, &lim, &src, length);
	if (!err && !force)
		err = check_signature(target, path);
	return err;
}

int preflight_spill(dev_t spill, dev_t target, dev_t source,
		    uint64_t granularity, bool force)
{
	autofree char *path = device_path(spill);
	autofree char *target_path = device_path(target);
	uint64_t least = 64 << 10, most = 1 << 20;

	if (spill == target || device_stands_on(spill, target) ||
	    device_stands_on(target, spill))
		return fail(EX_REFUSED,
			    "the spill device %s and the target %s are one, or one stands on the other; name a spill device elsewhere",
			    path, target_path);
	/* What the kernel takes at once for a write. */
	if (granularity != UNKNOWN && granularity > least)
		least = granularity < most ? granularity : most;
	return preflight_target(spill, source, least, force);
}

int preflight_commit(dev_t origin, dev_t snapshot, const struct dm_dev *source,
		     uint64_t length)
{
	autofree char *path = device_path(origin);
	autofree dev_t *holders = NULL;
	struct device_limits lim, src;
	size_t n, i;
	int err;

	if (is_mounted(origin))
		return fail(EX_REFUSED, "%s is mounted; unmount it first", path);
	/* Other snapshots of it, and whoever uses it, would see it change. */
	n = device_related(origin, "holders", &holders);
	for (i = 0; i < n; i++) {
		autofree char *holder = device_path(holders[i]);

		if (holders[i] != snapshot)
			return fail(EX_REFUSED,
				    "%s is used by %s too; take that away first, or name another target",
				    path, holder);
	}
	err = device_limits(origin, false, &lim);
	if (!err)
		err = device_limits(source->devno, false, &src);
	if (err)
		return fail(EX_REFUSED, "cannot open %s: %s; see: dmesg", path,
			    strerror(-err));
	return check_limits(path, &lim, &src, length);
}
