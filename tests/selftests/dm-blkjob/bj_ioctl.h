/* SPDX-License-Identifier: GPL-2.0 */
/*
 * device-mapper ioctls, for the programs of the collection. All return 0 or
 * -errno. Each thread has its own buffer: what dm_data() points to lasts until
 * the thread's next call.
 */
#ifndef BJ_IOCTL_H
#define BJ_IOCTL_H

#include <stddef.h>
#include <sys/ioctl.h>
#include <linux/dm-ioctl.h>

#define DM_BUFFER		65536
#define DM_MESSAGE_BUFFER	16384	/* small, as dmsetup's */

union dm_buffer {
	struct dm_ioctl dmi;
	char bytes[DM_BUFFER];
};
extern _Thread_local union dm_buffer dm_u;

/* Once, before anything else. */
int dm_open(void);

void dm_begin(const char *name, unsigned int flags);
int dm_run(unsigned long request);
char *dm_data(void);

/* Begin and run, without words. */
int dm_simple(const char *name, unsigned long request, unsigned int flags);
/* One "<start> <length> <type> <parameters>" per line. */
int dm_load(const char *name, unsigned int flags, int nr, char **lines);
/* The reply, if any, is dm_data(); otherwise that is an empty string. */
extern unsigned int dm_message_buffer;	/* bytes for it and its reply */
int dm_message(const char *name, unsigned long long sector, const char *text);
/* @flags: DM_NOFLUSH_FLAG or 0. No file system is frozen. */
int dm_suspend(const char *name, unsigned int flags);
int dm_resume(const char *name);

/* The parameters of the first target of the type blkjob, or NULL. */
char *dm_job_line(const char *name, int *r);
/* Value of @key in a status line into @value. The second word is "state". */
int dm_field(const char *line, const char *key, char *value, size_t size);

#endif
