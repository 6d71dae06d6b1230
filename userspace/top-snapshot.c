// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The exceptions of a persistent dm-snapshot, from its COW store. The format
 * is that of the kernel's dm-snap-persistent.c, in chunks: a header; then
 * again and again a chunk of exceptions, followed by the chunks that they are
 * about. All numbers are little endian. The store of a live snapshot is always
 * valid: an exception is in it before the write that made it is acknowledged.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "blkjob.h"
#include "cleanup.h"
#include "device.h"
#include "top.h"

#define SNAP_MAGIC	0x70416e53	/* "SnAp" */
#define SNAP_VERSION	1
#define CHUNK_MAX	(1 << 20)	/* sectors; more is no chunk size */

struct header {
	uint32_t magic, valid, version, chunk_size;	/* in sectors */
};

struct exception {
	uint64_t old_chunk, new_chunk;	/* new 0: the end */
};

struct store {
	int fd;
	void *chunk;
	size_t bytes;		/* in a chunk */
	const char *path;
};

static int read_chunk(const struct store *s, uint64_t number)
{
	ssize_t n;

	do {
		n = pread(s->fd, s->chunk, s->bytes, number * s->bytes);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)s->bytes)
		return 0;
	return fail(EX_SOURCE, "cannot read chunk %llu of the COW store %s: %s; see: dmesg",
		    (unsigned long long)number, s->path,
		    n < 0 ? strerror(errno) : "it ends there");
}

static int check_header(const struct store *s, const struct top *top)
{
	const struct header *h = s->chunk;
	const char *why = NULL;
	int err = read_chunk(s, 0);

	if (err)
		return err;
	if (le32toh(h->magic) != SNAP_MAGIC)
		why = "it has no header";
	else if (!le32toh(h->valid))
		why = "the snapshot is invalid; it has overflowed, or its store has failed";
	else if (le32toh(h->version) != SNAP_VERSION)
		why = "its version is not known";
	else if (le32toh(h->chunk_size) != top->chunk)
		why = "its chunk size is not that of the table";
	return why ? fail(EX_REFUSED, "%s is not a COW store to read: %s",
			  s->path, why) : 0;
}

/* The exceptions of one area; false at the end. */
static bool add_area(const struct store *s, struct ranges *ranges)
{
	const struct exception *e = s->chunk;
	size_t i;

	for (i = 0; i < s->bytes / sizeof(*e); i++) {
		if (!e[i].new_chunk)
			return false;
		ranges_add(ranges, le64toh(e[i].old_chunk) * s->bytes, s->bytes);
	}
	return true;
}

/* The header, and the exceptions if @ranges is not NULL. */
static int read_store(const struct top *top, struct ranges *ranges)
{
	autofree char *path = device_path(top->cow);
	autofree void *chunk = NULL;
	autoclose int fd = device_open(top->cow, O_RDONLY | O_DIRECT);
	struct store s = { fd, NULL, top->chunk * 512, path };
	uint64_t area = 1;
	bool more = ranges;
	int err;

	if (fd < 0)
		return fail(EX_REFUSED, "cannot open the COW store %s: %s", path,
			    strerror(-fd));
	if (!top->chunk || top->chunk > CHUNK_MAX ||
	    posix_memalign(&chunk, 4096, s.bytes))
		return fail(EX_REFUSED, "cannot read the COW store %s: chunks of %llu sectors",
			    path, (unsigned long long)top->chunk);
	s.chunk = chunk;
	err = check_header(&s, top);
	while (!err && more) {
		err = read_chunk(&s, area);
		more = !err && add_area(&s, ranges);
		area += s.bytes / sizeof(struct exception) + 1;
	}
	return err;
}

int top_check_snapshot(const struct top *top)
{
	autofree char *path = device_path(top->devno);

	if (!top->persistent)
		return fail(EX_REFUSED,
			    "the snapshot %s is not persistent: only the kernel knows what it holds; use --sync full",
			    path);
	return read_store(top, NULL);
}

int top_read_snapshot(const struct top *top, struct ranges *ranges)
{
	return read_store(top, ranges);
}
