/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that the command asks of device-mapper. dm.c is the only file
 * that builds libdevmapper tasks. Functions return 0 or a negative errno and
 * print nothing; dm_error() has libdevmapper's words for the last failure.
 */
#ifndef BLKJOB_DM_H
#define BLKJOB_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct dm_dev {
	dev_t devno;		/* 0 = none */
	char name[128];
	char uuid[130];
	bool suspended, live, inactive, read_only;
	uint32_t read_ahead;	/* sectors */
};

struct segment {
	uint64_t start, len;	/* sectors */
	char *type;
	char *params;
};

struct table {
	size_t n;
	struct segment *seg;
};

void dm_setup(void);
const char *dm_error(void);
int dm_target_version(const char *type, uint32_t version[3]);

/* -ENXIO if there is no such device. */
int dm_find(dev_t devno, struct dm_dev *dev);
int dm_find_name(const char *name, struct dm_dev *dev);
/* An array that the caller frees. */
int dm_list_all(struct dm_dev **devs, size_t *n);

/* How often it is open, or a negative errno. */
int dm_open_count(dev_t devno);
int dm_get_table(dev_t devno, bool inactive, struct table *t);
int dm_get_status(dev_t devno, struct table *t);
void table_add(struct table *t, uint64_t start, uint64_t len,
	       const char *type, const char *params);
bool table_equal(const struct table *a, const struct table *b);
/* Replaces what @to held. */
void table_copy(struct table *to, const struct table *from);
uint64_t table_length(const struct table *t);
/* Wipes the text first: it can hold a key. */
void table_free(struct table *t);

#define autotable __attribute__((cleanup(table_free)))

/* An empty device, not yet visible to udev's rules. */
int dm_create(const char *name, const char *uuid, struct dm_dev *dev);
int dm_load(dev_t devno, const struct table *t, bool read_only);
int dm_clear(dev_t devno);
int dm_message(dev_t devno, const char *text);
/* The reply is to be freed; NULL if there was none. */
int dm_message_reply(dev_t devno, const char *text, char **reply);

/*
 * Resume and remove talk to udev. The cookie is made before anything is at
 * stake (dm_cookie) and waited for afterwards (dm_cookie_wait).
 */
struct dm_cookie {
	uint32_t value;
	bool used;	/* udev is there */
};

int dm_cookie(struct dm_cookie *c);
void dm_cookie_wait(struct dm_cookie *c);
/*
 * Waits for the I/O in flight, and with @freeze for the file system on it: then
 * what is on the device needs no journal to be replayed.
 */
int dm_suspend(const struct dm_dev *dev, bool freeze);

enum {
	DM_RESUME_HIDDEN = 1,	/* from udev's rules */
	DM_RESUME_FREEZE = 2,	/* as above, if it is not suspended yet */
};

/* Swaps in the loaded table. */
int dm_resume(const struct dm_dev *dev, struct dm_cookie *c,
	      unsigned int flags);
int dm_remove(dev_t devno);
int dm_remove_deferred(dev_t devno);
/* Without udev, nobody else takes away the node of a removed device. */
void dm_drop_node(const char *name);

/* A file descriptor to poll for the events of all devices. */
int dm_events_open(void);
int dm_events_arm(int fd);

/* vg and lv from a device name like "vg0-my--data"; false if it is none. */
bool dm_split_lv_name(const char *name, char **vg, char **lv);
char *dm_join_lv_name(const char *vg, const char *lv);

#endif
