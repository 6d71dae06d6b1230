// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SHA-256 by a socket of the kernel (AF_ALG): no library is needed for it, and
 * the kernel knows what its processor does best.
 */
#include <errno.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "blkjob.h"
#include "cleanup.h"
#include "digest.h"

int digest_open(void)
{
	static const struct sockaddr_alg name = {
		.salg_family = AF_ALG, .salg_type = "hash",
		.salg_name = "sha256",
	};
	autoclose int algorithm = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC,
					 0);
	int fd = -1;

	if (algorithm >= 0 &&
	    !bind(algorithm, (const struct sockaddr *)&name, sizeof(name)))
		fd = accept4(algorithm, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		return fd;
	return -fail(EX_REFUSED,
		     "the kernel has no SHA-256 for programs (%s), which the digest of an image needs; see: modprobe algif_hash",
		     strerror(errno));
}

int digest_add(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_MORE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		len -= n;
	}
	return 0;
}

int digest_end(int fd, char hex[2 * DIGEST_BYTES + 1])
{
	unsigned char bytes[DIGEST_BYTES];
	size_t i;

	if (read(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		return -EIO;
	for (i = 0; i < sizeof(bytes); i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
	return 0;
}
