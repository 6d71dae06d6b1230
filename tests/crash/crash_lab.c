// SPDX-License-Identifier: GPL-2.0
/*
 * The legs: devices of the target blkjob-crash.
 */
#include "bj_crash.h"

#include <stdarg.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define SEQUENCE	"/sys/module/dm_blkjob_crash/parameters/sequence"

char leg_node[NR_LEGS][32];

static const char * const leg_name[NR_LEGS] = { "crash-s", "crash-t",
	"crash-m" };
static int leg_fd[NR_LEGS] = { -1, -1, -1 }, sequence_fd = -1;
static uint64_t *image[NR_LEGS];

static void leg_open(int leg)
{
	char line[64], *lines[] = { line };
	const char *name = leg_name[leg];
	int r;

	snprintf(line, sizeof(line), "0 %d blkjob-crash %s", SECTORS,
		 name + strlen("crash-"));
	r = dm_simple(name, DM_DEV_CREATE, 0);
	if (!r)
		r = dm_load(name, 0, 1, lines);
	if (!r)
		r = dm_resume(name);
	if (r)
		stuck("%s: %s", name, strerror(-r));
	dm_simple(name, DM_DEV_STATUS, 0);
	snprintf(leg_node[leg], sizeof(leg_node[leg]), "/dev/dm-%u",
		 minor(dm_u.dmi.dev));
	leg_fd[leg] = open(leg_node[leg], O_RDWR | O_DIRECT);
	if (leg_fd[leg] < 0)
		die(leg_node[leg]);
	if (posix_memalign((void **)&image[leg], 4096, BYTES))
		die("memory");
}

void lab_open(void)
{
	int leg;

	for (leg = 0; leg < NR_LEGS; leg++)
		leg_open(leg);
	sequence_fd = open(SEQUENCE, O_RDONLY);
	if (sequence_fd < 0)
		die(SEQUENCE);
}

void lab_open_disks(void)
{
	int leg;

	for (leg = 0; leg < NR_LEGS; leg++) {
		snprintf(leg_node[leg], sizeof(leg_node[leg]), "/dev/vd%c",
			 'a' + leg);
		leg_fd[leg] = open(leg_node[leg], O_RDWR | O_DIRECT);
		if (leg_fd[leg] < 0 ||
		    posix_memalign((void **)&image[leg], 4096, BYTES))
			die(leg_node[leg]);
	}
}

void lab_close(void)
{
	int leg;

	for (leg = 0; leg < NR_LEGS; leg++) {
		if (!dm_simple(leg_name[leg], DM_TABLE_STATUS, 0))
			printf("# leg %s: %s\n", leg_name[leg] + strlen("crash-"),
			       dm_data() + sizeof(struct dm_target_spec));
		if (leg_fd[leg] >= 0)
			close(leg_fd[leg]);
		dm_simple(leg_name[leg], DM_DEV_REMOVE, 0);
		free(image[leg]);
	}
}

uint64_t sequence(void)
{
	static _Atomic uint64_t counter;
	char text[32];
	ssize_t n;

	if (sequence_fd < 0)
		return ++counter;
	n = pread(sequence_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		die(SEQUENCE);
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

const char *lab_tell(int leg, const char *format, ...)
{
	char text[128];
	va_list args;
	int r;

	if (sequence_fd < 0)
		return "";	/* disks */
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r = dm_message(leg_name[leg], 0, text);
	if (r)
		stuck("%s: %s: %s", leg_name[leg], text, strerror(-r));
	return dm_data();
}

static void leg_write(int leg, uint64_t bytes)
{
	if (pwrite(leg_fd[leg], image[leg], bytes, 0) != (ssize_t)bytes ||
	    fdatasync(leg_fd[leg]))
		die(leg_node[leg]);
}

void lab_fill(int leg, uint64_t seed)
{
	uint64_t x;

	for (x = 0; x < SECTORS; x++)
		make_sector(image[leg] + x * WORDS, seed, x, FILL);
	leg_write(leg, BYTES);
}

void lab_zero(int leg, uint64_t sectors)
{
	memset(image[leg], 0, sectors * SECTOR);
	leg_write(leg, sectors * SECTOR);
}

void lab_write(int leg, uint64_t sector, uint64_t nr, uint64_t gen, bool fua)
{
	struct iovec vec = { image[leg], nr * SECTOR };
	uint64_t i;

	for (i = 0; i < nr; i++)
		make_sector(image[leg] + i * WORDS, crash_seed, sector + i, gen);
	if (pwritev2(leg_fd[leg], &vec, 1, sector * SECTOR,
		     fua ? RWF_DSYNC : 0) != (ssize_t)vec.iov_len)
		die(leg_node[leg]);
}

int lab_try_write(int leg, uint64_t sector)
{
	return pwrite(leg_fd[leg], image[leg], SECTOR, sector * SECTOR) ==
	       SECTOR ? 0 : -errno;
}

void lab_flush(int leg)
{
	if (fdatasync(leg_fd[leg]))
		die(leg_node[leg]);
}

uint64_t lab_state(const char *mode, uint64_t seed, uint64_t *nr_volatile)
{
	const char *said = lab_tell(S, "state %s %llu", mode,
				    (unsigned long long)seed);
	unsigned long long nr, kept, id;

	if (sscanf(said, "volatile=%llu kept=%llu id=%llu", &nr, &kept, &id) != 3)
		stuck("state says: %s", said);
	*nr_volatile = nr;
	return id;
}

const uint64_t *lab_read(int leg)
{
	if (pread(leg_fd[leg], image[leg], BYTES, 0) != BYTES)
		die(leg_node[leg]);
	return image[leg];
}

struct entry {
	unsigned long long submitted, done, sector, nr;
	char leg[16], op[16];
	int fua;
};

/* Each entry of the log. */
static void each_entry(void (*what)(const struct entry *entry, void *arg),
		       void *arg)
{
	unsigned long long next = 0;
	bool more = true;

	while (more) {
		char *save, *line, text[DM_MESSAGE_BUFFER];

		snprintf(text, sizeof(text), "%s", lab_tell(S, "log %llu", next));
		more = false;
		for (line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			struct entry entry;

			if (sscanf(line, "next %llu", &next) == 1)
				more = true;
			else if (sscanf(line, "%llu %llu %15s %15s %llu %llu %d",
					&entry.submitted, &entry.done,
					entry.leg, entry.op, &entry.sector,
					&entry.nr, &entry.fua) == 7)
				what(&entry, arg);
			else
				stuck("the log says: %s", line);
		}
	}
}

struct moments {
	uint64_t *at;
	unsigned int nr, max;
};

static void add_moment(const struct entry *entry, void *arg)
{
	struct moments *moments = arg;

	if (!entry->fua && strcmp(entry->op, "flush"))
		return;
	if (moments->nr + 2 > moments->max)
		return;
	moments->at[moments->nr++] = entry->done - 1;
	moments->at[moments->nr++] = entry->done;
}

unsigned int lab_moments(uint64_t *at, unsigned int max)
{
	struct moments moments = { .at = at, .max = max };

	each_entry(add_moment, &moments);
	return moments.nr;
}

static void tell_entry(const struct entry *entry, void *arg)
{
	uint64_t sector = *(uint64_t *)arg;

	if (strcmp(entry->op, "flush") &&
	    (sector < entry->sector || sector >= entry->sector + entry->nr))
		return;
	printf("#   leg %s: %s%s %llu+%llu, from %llu to %llu\n", entry->leg,
	       entry->op, entry->fua ? " with FUA" : "", entry->sector,
	       entry->nr, entry->submitted, entry->done);
}

void lab_story(uint64_t sector)
{
	if (sequence_fd < 0)
		return;
	each_entry(tell_entry, &sector);
}
