// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking LVM about volumes, and having it make and remove one. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "lvm.h"
#include "run.h"

#define TAG_ID	 "blkjob.id="
#define TAG_ROLE "blkjob.role=target"

void lv_free(struct lv *lv)
{
	free(lv->vg);
	free(lv->name);
	*lv = (struct lv) { 0 };
}

bool lvm_owns(const struct dm_dev *dev)
{
	return !strncmp(dev->uuid, "LVM-", 4);
}

/* "  a|b|c\n" -> fields. False if there are not @n of them. */
static bool split(char *line, char **field, size_t n)
{
	size_t i;

	line += strspn(line, " ");
	line[strcspn(line, "\n")] = '\0';
	for (i = 0; i < n && line; i++)
		field[i] = strsep(&line, "|");
	return i == n && !line;
}

static void read_tag(struct lv *lv, const char *tags)
{
	const char *id = strstr(tags, TAG_ID);

	if (id && strstr(tags, TAG_ROLE))
		snprintf(lv->id, sizeof(lv->id), "%s", id + strlen(TAG_ID));
}

enum lv_field { VG, LV, VG_UUID, LV_UUID, ATTR, TAGS, VG_ATTR, LOCK_TYPE,
		MISSING, SIZE, EXTENT, NR_FIELDS };

#define LV_FIELDS "vg_name,lv_name,vg_uuid,lv_uuid,lv_attr,lv_tags,vg_attr," \
		  "vg_lock_type,vg_missing_pv_count,lv_size,vg_extent_size"

static int query_lines(struct run *r, const char *what)
{
	const char *const argv[] = {
		"lvm", "lvs", "--nolocking", "--noheadings", "--separator", "|", "--units",
		"b", "--nosuffix", "-o", LV_FIELDS, what, NULL
	};

	return run(r, argv) ? -ENOENT : 0;
}

static int query(struct run *r, const char *what, char **field)
{
	int err = query_lines(r, what);

	if (!err && !split(r->out, field, NR_FIELDS))
		err = -EINVAL;
	return err;
}

static void fill(struct lv *lv, char **field)
{
	uint64_t extent = strtoull(field[EXTENT], NULL, 10);

	*lv = (struct lv) {
		.vg = xstrdup(field[VG]),
		.name = xstrdup(field[LV]),
		.extents = extent ? strtoull(field[SIZE], NULL, 10) / extent : 0,
	};
	read_tag(lv, field[TAGS]);
}

/* LVM's uuids without their dashes are the device's uuid. */
static bool uuid_matches(const char *dm_uuid, char **field)
{
	const char *parts[] = { field[VG_UUID], field[LV_UUID] }, *p;
	size_t i;

	dm_uuid += strlen("LVM-");
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		for (p = parts[i]; *p; p++)
			if (*p != '-' && *p != *dm_uuid++)
				return false;
	return !*dm_uuid;
}

/* What lv_attr's first letter says, in words; NULL = a plain volume. */
static const char *kind(char c)
{
	switch (c) {
	case '-':
		return NULL;
	case 'o': case 'O':
		return "the origin of a snapshot; remove its snapshots first";
	case 's': case 'S':
		return "a snapshot; copy its origin, or use dd for the snapshot";
	case 'm': case 'M': case 'r': case 'R':
		return "a mirrored or raid volume; use lvconvert --replace";
	case 'V': case 't':
		return "a thin volume or pool; use pvmove on its data volume";
	case 'C':
		return "a cached volume; use lvconvert --splitcache first";
	case 'p':
		return "in the middle of a pvmove; let that finish first";
	default:
		return "of a special type; only linear and striped volumes can have a job";
	}
}

static int check_volume(char **field)
{
	const char *vg = field[VG], *lv = field[LV], *attr = field[ATTR];
	const char *why;

	if (strlen(attr) < 6 || strlen(field[VG_ATTR]) < 6)
		return fail(EX_REFUSED, "cannot read lvs: attributes \"%s\"", attr);
	why = kind(attr[0]);
	if (why)
		return fail(EX_REFUSED, "%s/%s is %s", vg, lv, why);
	if (isupper((unsigned char)attr[2]))
		return fail(EX_REFUSED,
			    "%s/%s is locked by another operation, such as pvmove; let that finish first",
			    vg, lv);
	if (attr[4] != 'a')
		return fail(EX_REFUSED,
			    "%s/%s is not active here; activate it (lvchange -ay %s/%s) or move it with pvmove",
			    vg, lv, vg, lv);
	if (*field[LOCK_TYPE] || field[VG_ATTR][5] == 'c' ||
	    field[VG_ATTR][5] == 's')
		return fail(EX_REFUSED,
			    "%s is a shared volume group, which is not supported; use pvmove",
			    vg);
	if (field[VG_ATTR][2] == 'x' || field[VG_ATTR][0] != 'w')
		return fail(EX_REFUSED,
			    "%s is exported or read-only; see vgimport and vgchange",
			    vg);
	if (field[VG_ATTR][3] == 'p' || strcmp(field[MISSING], "0"))
		return fail(EX_REFUSED,
			    "%s lacks a physical volume; see vgs -o +vg_missing_pv_count and vgreduce --removemissing",
			    vg);
	return 0;
}

int lvm_lookup(const struct dm_dev *dev, struct lv *lv)
{
	autofree char *label = dm_dev_label(dev);
	char *field[NR_FIELDS];
	autorun struct run r;
	int err;

	*lv = (struct lv) { 0 };
	if (strchr(label + 1, '/') == NULL || *label == '/')
		return fail(EX_REFUSED,
			    "%s is an internal device of LVM; name the volume above it",
			    label);
	err = query(&r, label, field);
	if (err)
		return fail(EX_REFUSED, "LVM does not report %s: %s", label,
			    run_reason(&r));
	if (!uuid_matches(dev->uuid, field))
		return fail(EX_REFUSED,
			    "the device of %s is not the volume that LVM has under this name; was it renamed? See: dmsetup info, lvs -o +lv_uuid",
			    label);
	err = check_volume(field);
	if (!err)
		fill(lv, field);
	return err;
}

int lvm_check_table(const struct lv *lv, const struct table *live)
{
	autotable struct table expected = { 0 };
	autometa struct meta *m = lvm_read_meta(lv->vg, NULL);
	int err;

	if (!m)
		return EX_REFUSED;
	err = meta_table(m, lv->name, lvm_pv_device, NULL, &expected);
	if (err)
		return fail(EX_REFUSED,
			    "%s/%s has segments that are neither linear nor striped; see: lvs --segments %s/%s",
			    lv->vg, lv->name, lv->vg, lv->name);
	if (!table_equal(&expected, live))
		return fail(EX_REFUSED,
			    "the active table of %s/%s differs from LVM's metadata (someone used dmsetup?); run lvchange --refresh after checking",
			    lv->vg, lv->name);
	return 0;
}

int lvm_check_pv(const struct lv *lv, dev_t devno)
{
	autofree char *path = device_path(devno);
	const char *const argv[] = {
		"lvm", "pvs", "--nolocking", "--noheadings", "--separator", "|", "-o",
		"vg_name,pv_pe_count,pv_pe_alloc_count", path, NULL
	};
	unsigned long long free_extents;
	autorun struct run r;
	char *field[3];

	if (run(&r, argv) || !split(r.out, field, 3) || strcmp(field[0], lv->vg))
		return fail(EX_REFUSED,
			    "%s is not a physical volume of %s, and LVM would return to the old data at the next refresh or boot; add it with vgextend %s %s, or use mirror and cancel to get a copy",
			    path, lv->vg, lv->vg, path);
	free_extents = strtoull(field[1], NULL, 10) - strtoull(field[2], NULL, 10);
	if (free_extents < lv->extents)
		return fail(EX_REFUSED,
			    "%s has %llu free extents, %s/%s needs %llu; make room or add a larger physical volume",
			    path, free_extents, lv->vg, lv->name,
			    (unsigned long long)lv->extents);
	return 0;
}

int lvm_allocate(const struct lv *lv, dev_t pv, const char *id,
		 struct lv *spare, dev_t *devno)
{
	autofree char *path = device_path(pv), *ref = NULL;
	autofree char *name = xasprintf("%s_bj%s", lv->name, id);
	autofree char *tag = xasprintf(TAG_ID "%s", id);
	autofree char *count = xasprintf("%llu", (unsigned long long)lv->extents);
	const char *const argv[] = {
		"lvm", "lvcreate", "--yes", "-l", count, "-n", name,
		"--setautoactivation", "n", "--setactivationskip", "y",
		"--ignoreactivationskip", "-Wn", "-Zn", "--addtag", tag,
		"--addtag", TAG_ROLE, lv->vg, path, NULL
	};
	autorun struct run r;
	int err;

	if (run(&r, argv))
		return fail(EX_REFUSED, "cannot allocate %s extents on %s: %s",
			    count, path, run_reason(&r));
	*spare = (struct lv) { .vg = xstrdup(lv->vg), .name = xstrdup(name),
			       .extents = lv->extents };
	snprintf(spare->id, sizeof(spare->id), "%s", id);
	ref = xasprintf("%s/%s", spare->vg, spare->name);
	err = device_resolve(ref, devno);
	if (err) {
		lvm_remove(spare);
		return fail(EX_REFUSED, "%s was created but has no device: %s",
			    ref, strerror(-err));
	}
	return 0;
}

bool lvm_is_spare(const struct job *job, struct lv *spare)
{
	autofree char *label = NULL;
	char *field[NR_FIELDS];
	struct dm_dev dev;
	autorun struct run r = { 0 };

	*spare = (struct lv) { 0 };
	if (dm_find(job->target, &dev) || !lvm_owns(&dev))
		return false;
	label = dm_dev_label(&dev);
	if (query(&r, label, field))
		return false;
	fill(spare, field);
	if (!strcmp(spare->id, job->id))
		return true;
	lv_free(spare);
	return false;
}

size_t lvm_list_spares(struct lv **spares)
{
	char *rest, *line, *field[NR_FIELDS];
	autorun struct run r = { 0 };
	size_t n = 0;

	*spares = NULL;
	if (query_lines(&r, "@" TAG_ROLE))
		return 0;
	for (rest = r.out; (line = strsep(&rest, "\n")) && *line; n++) {
		if (!split(line, field, NR_FIELDS))
			break;
		*spares = xrealloc(*spares, (n + 1) * sizeof(**spares));
		fill(&(*spares)[n], field);
	}
	return n;
}

bool lvm_find_spare(const char *id, struct lv *spare)
{
	struct lv *all = NULL;
	size_t n = lvm_list_spares(&all), i;

	*spare = (struct lv) { 0 };
	for (i = 0; i < n; i++) {
		if (!spare->vg && !strcmp(all[i].id, id))
			*spare = all[i];
		else
			lv_free(&all[i]);
	}
	free(all);
	return spare->vg;
}

/*
 * Its live table still says where the target was, and there the user's volume
 * is now: nobody may open it like that.
 */
static int deactivate(const char *ref)
{
	const char *const argv[] = { "lvm", "lvchange", "-an", ref, NULL };
	autorun struct run r;

	if (!run(&r, argv))
		return 0;
	return fail(EX_ATTENTION,
		    "%s could not be deactivated, and its active table still points to the new extents (%s). Do not use it; run: lvchange -an %s",
		    ref, run_reason(&r), ref);
}

int lvm_keep(const struct lv *spare)
{
	autofree char *ref = xasprintf("%s/%s", spare->vg, spare->name);
	autofree char *tag = xasprintf(TAG_ID "%s", spare->id);
	int err = deactivate(ref);
	const char *const argv[] = {
		"lvm", "lvchange", "--deltag", tag, "--deltag", TAG_ROLE, ref,
		NULL
	};
	autorun struct run r;

	if (run(&r, argv))
		warning("%s keeps its tag %s: %s", ref, tag, run_reason(&r));
	return err;
}

int lvm_remove(const struct lv *spare)
{
	autofree char *ref = xasprintf("%s/%s", spare->vg, spare->name);
	const char *const argv[] = { "lvm", "lvremove", "--yes", ref, NULL };
	autorun struct run r;

	if (run(&r, argv)) {
		warning("%s remains; remove it with: lvremove %s (%s)", ref,
			ref, run_reason(&r));
		return EX_ATTENTION;
	}
	return 0;
}

static char *read_file(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	text = xcalloc(1, st.st_size + 1);
	n = read(fd, text, st.st_size);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

struct meta *lvm_read_meta(const char *vg, const char *file)
{
	autofree char *own = xasprintf("/run/blkjob-%d.vg", getpid());
	autofree char *text = NULL;
	const char *path = file ? file : own;
	const char *const argv[] = {
		"lvm", "vgcfgbackup", "--nolocking", "-f", path, vg, NULL
	};
	struct meta *m = NULL;
	autorun struct run r;

	if (!run(&r, argv))
		text = read_file(path);
	if (text)
		m = meta_parse(text, vg);
	if (!file)
		unlink(path);
	if (!m)
		fail(EX_REFUSED, "cannot read the metadata of %s: %s", vg,
		     run_reason(&r));
	return m;
}

dev_t lvm_pv_device(const char *pv_uuid, void *arg)
{
	autofree char *select = xasprintf("pv_uuid=%s", pv_uuid);
	const char *const argv[] = {
		"lvm", "pvs", "--nolocking", "--noheadings", "-o", "pv_name",
		"-S", select, NULL
	};
	autorun struct run r;
	char *field[1];
	dev_t devno;

	(void)arg;
	if (run(&r, argv) || !split(r.out, field, 1))
		return 0;
	field[0][strcspn(field[0], " ")] = '\0';
	return device_resolve(field[0], &devno) ? 0 : devno;
}
