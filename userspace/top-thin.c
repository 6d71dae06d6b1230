// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mapped blocks of a thin volume, by thin_dump, from a snapshot of the
 * pool's metadata that is there only meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "run.h"
#include "top.h"

/* "thin-pool <metadata device> <data device> <block sectors> ..." */
static int read_pool(const struct top *top, dev_t *metadata, uint64_t *block)
{
	autotable struct table t = { 0 };
	unsigned int maj, min;
	unsigned long long sectors;

	if (dm_get_table(top->pool, false, &t) || t.n != 1 ||
	    strcmp(t.seg[0].type, "thin-pool") ||
	    sscanf(t.seg[0].params, "%u:%u %*u:%*u %llu", &maj, &min,
		   &sectors) != 3)
		return -EINVAL;
	*metadata = makedev(maj, min);
	*block = sectors * 512;
	return 0;
}

/* <single_mapping origin_block="5" .../>, <range_mapping origin_begin="0" ... length="2"/> */
static void add_mapping(const char *line, uint64_t block, struct ranges *ranges)
{
	unsigned long long start, len = 1;
	const char *length;

	line += strspn(line, " ");
	if (sscanf(line, "<single_mapping origin_block=\"%llu\"", &start) == 1) {
		ranges_add(ranges, start * block, block);
	} else if (sscanf(line, "<range_mapping origin_begin=\"%llu\"", &start) == 1) {
		length = strstr(line, " length=\"");
		if (length && sscanf(length, " length=\"%llu\"", &len) == 1)
			ranges_add(ranges, start * block, len * block);
	}
}

/* A dump that was cut off would make a copy that lacks something. */
static int parse_dump(char *text, uint64_t block, struct ranges *ranges)
{
	char *line;

	if (!strstr(text, "</superblock>"))
		return -EINVAL;
	while ((line = strsep(&text, "\n")))
		add_mapping(line, block, ranges);
	return 0;
}

static int dump(const struct top *top, dev_t metadata, uint64_t block,
		struct ranges *ranges)
{
	autofree char *id = xasprintf("%u", top->dev_id);
	autofree char *path = device_path(metadata);
	const char *const argv[] = {
		"thin_dump", "--metadata-snap", "--dev-id", id, path, NULL
	};
	autorun struct run r;

	if (run(&r, argv) || parse_dump(r.out, block, ranges))
		return fail(EX_REFUSED, "thin_dump cannot read %s: %s", path,
			    run_reason(&r));
	return 0;
}

int top_check_thin(const struct top *top)
{
	static const char *const argv[] = { "thin_dump", "--version", NULL };
	autofree char *path = device_path(top->pool);
	autorun struct run r = { 0 };
	uint64_t block;
	dev_t metadata;

	if (read_pool(top, &metadata, &block))
		return fail(EX_REFUSED, "%s is not a thin pool; see: dmsetup table",
			    path);
	if (run(&r, argv))
		return fail(EX_REFUSED,
			    "thin_dump %s; it tells what a thin volume holds. Install the package thin-provisioning-tools, or use --sync full",
			    run_reason(&r));
	return 0;
}

int top_read_thin(const struct top *top, struct ranges *ranges)
{
	autofree char *path = device_path(top->pool);
	uint64_t block;
	dev_t metadata;
	int err = read_pool(top, &metadata, &block);

	/* There is one for each pool; it also commits what is in memory. */
	if (!err)
		err = dm_message(top->pool, "reserve_metadata_snap");
	if (err)
		return fail(EX_REFUSED,
			    "the thin pool %s makes no snapshot of its metadata: %s; does another tool have one? See: dmsetup status",
			    path, strerror(-err));
	err = dump(top, metadata, block, ranges);
	if (dm_message(top->pool, "release_metadata_snap"))
		warning("the thin pool %s keeps a snapshot of its metadata; remove it with: dmsetup message %s 0 release_metadata_snap",
			path, path);
	return err;
}
