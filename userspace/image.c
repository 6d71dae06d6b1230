// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The image of a backup is read back and compared with the checksums of what was
 * copied there. Where nothing was copied there is nothing to compare with: an
 * incremental image has what the target device held. The digest is of all of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkjob.h"
#include "checksums.h"
#include "cleanup.h"
#include "device.h"
#include "digest.h"
#include "dm-blkjob-sum.h"
#include "image.h"
#include "leg.h"
#include "output.h"
#include "progress.h"
#include "ranges.h"
#include "size.h"

#define PIECE (1 << 20)

struct image {
	const struct job *job;
	uint64_t len, granularity;	/* bytes */
	unsigned int unit;
	struct checksums wanted;	/* of the next region that has one */
	uint32_t sum;			/* of that one, as far as it was read */
	uint64_t compared;		/* bytes */
	struct ranges differ;
	int fd, digest;
	void *data;
};

static void image_close(struct image *im)
{
	checksums_free(&im->wanted);
	ranges_free(&im->differ);
	if (im->fd >= 0)
		close(im->fd);
	if (im->digest >= 0)
		close(im->digest);
	free(im->data);
}

static int not_known(const struct job *job, int err)
{
	if (err == -ENXIO)
		return fail(EX_ROLLED_BACK,
			    "job %s is gone: another command or tool has taken its layer out, and with it the checksums. The image is complete, and was not verified",
			    job->id);
	return fail(EX_ATTENTION,
		    "cannot verify the image of job %s: %s; 'blkjob complete %s' to try again, see: dmesg",
		    job->id, strerror(-err), job->id);
}

static int interrupted(const struct job *job)
{
	return fail(EX_DETACHED,
		    "interrupted: the image of job %s is complete, and is not verified. 'blkjob complete %s' to verify it and take the layer out, 'blkjob cancel %s' only to take it out",
		    job->id, job->id, job->id);
}

static int image_open(struct image *im)
{
	int err = leg_open(im->job, LEG_TARGET, &im->fd);

	if (err)
		return err;
	im->digest = digest_open();
	if (im->digest < 0)
		return -im->digest;
	if (posix_memalign(&im->data, 4096, PIECE))
		return fail(EX_REFUSED, "out of memory");
	err = checksums_first(&im->wanted);
	return err ? not_known(im->job, err) : 0;
}

/* All of the region was read. */
static int compare(struct image *im, uint64_t start, uint64_t end)
{
	if (im->sum != im->wanted.sum)
		ranges_add(&im->differ, start, end - start);
	im->compared += end - start;
	im->sum = 0;
	return checksums_next(&im->wanted);
}

/* @len bytes at @at, which begin and end with units. 0 or a negative errno. */
static int look(struct image *im, uint64_t at, size_t len)
{
	const unsigned char *data = im->data;
	uint64_t end = at + len;
	int err = 0;

	while (at < end && !err) {
		uint64_t region = at / im->granularity;
		uint64_t start = region * im->granularity;
		uint64_t behind = start + im->granularity < im->len ?
				  start + im->granularity : im->len;
		size_t n = (behind < end ? behind : end) - at;

		if (im->wanted.region == region) {
			im->sum += bj_sum(im->unit, at, data, n);
			if (at + n == behind)
				err = compare(im, start, behind);
		}
		data += n;
		at += n;
	}
	return err;
}

static int sweep(struct image *im, struct progress *progress)
{
	uint64_t at;
	size_t len;
	int err;

	for (at = 0; at < im->len; at += len) {
		len = im->len - at < PIECE ? im->len - at : PIECE;
		err = leg_read(im->job, LEG_TARGET, im->fd, im->data, at, len);
		if (err)
			return err;
		err = look(im, at, len);
		if (!err)
			err = digest_add(im->digest, im->data, len);
		if (err)
			return not_known(im->job, err);
		progress_bytes(progress, "verify", at + len, im->len);
		if (wait_until(0))
			return interrupted(im->job);
	}
	return 0;
}

static int conclude(struct image *im)
{
	autofree char *path = device_path(im->job->target);
	autofree char *dev = job_device(im->job);
	char hex[2 * DIGEST_BYTES + 1], size[32];
	int err;

	if (im->differ.n) {
		output_ranges("differ", &im->differ);
		return fail(EX_TARGET,
			    "%s does not hold what was copied from %s: %zu ranges differ, %s in all. The image is not to be trusted. Has somebody else written there? See: dmesg; then make it again, or on another device",
			    path, dev, im->differ.n,
			    size_format(size, sizeof(size),
					ranges_total(&im->differ)));
	}
	/* The kernel would have said so if it had any more. */
	if (im->wanted.region != UNKNOWN)
		return not_known(im->job, -EPROTO);
	err = digest_end(im->digest, hex);
	if (err)
		return not_known(im->job, err);
	say("%s was read back, and all that was copied is there: %s compared",
	    path, size_format(size, sizeof(size), im->compared));
	say("sha256:%s of %llu bytes on %s", hex, (unsigned long long)im->len,
	    path);
	return 0;
}

int image_verify(const struct job *job, bool quiet)
{
	__attribute__((cleanup(image_close))) struct image im = {
		.job = job, .len = job->length * 512,
		.granularity = job->st.granularity,
		.unit = bj_sum_unit(job->st.granularity),
		.wanted.job = job, .fd = -1, .digest = -1,
	};
	struct progress progress;
	int err;

	progress_start(&progress, quiet);
	err = image_open(&im);
	if (!err)
		err = sweep(&im, &progress);
	progress_end(&progress);
	return err ? err : conclude(&im);
}
