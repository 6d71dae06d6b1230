// SPDX-License-Identifier: GPL-2.0
/*
 * Messages. All but hold, release and fail are about all legs, whichever one
 * they are sent to.
 */
#include "crash.h"

const char * const crash_op_names[CRASH_NR_OPS] = {
	"read", "write", "zero", "discard", "flush",
};

static int set_power(bool off)
{
	spin_lock_irq(&crash_lab.lock);
	crash_lab.off = off;
	if (off)
		crash_lab.cut = crash_lab.sequence;
	spin_unlock_irq(&crash_lab.lock);
	return 0;
}

static int stop(void)
{
	spin_lock_irq(&crash_lab.lock);
	crash_lab.recording = false;
	crash_lab.cut = crash_lab.sequence;
	spin_unlock_irq(&crash_lab.lock);
	return 0;
}

static int forget(void)
{
	if (crash_lab.level < 0)
		return -EINVAL;
	crash_forget();
	return 0;
}

/* Who wrote what, and when: from entry @first on, as many as fit. */
static int list_log(u64 first, char *result, unsigned int maxlen)
{
	struct crash_entry *entry;
	unsigned int sz = 0;
	u64 number = 0;

	*result = '\0';
	if (crash_lab.level < 0 || crash_lab.recording)
		return -EINVAL;
	list_for_each_entry(entry, &crash_lab.log[crash_lab.level], list) {
		if (number++ < first)
			continue;
		if (sz + 160 > maxlen) {
			DMEMIT("next %llu\n", number - 1);
			break;
		}
		DMEMIT("%llu %llu %s %s %llu %llu %d\n", entry->submitted,
		       entry->done, entry->leg->name, crash_op_names[entry->op],
		       entry->sector, entry->nr, entry->fua);
	}
	return 1;
}

static int state(const char *mode, u64 seed, char *result, unsigned int maxlen)
{
	int i = match_string(crash_mode_names, CRASH_NR_MODES, mode);

	if (i < 0 || crash_lab.level < 0 || crash_lab.recording)
		return -EINVAL;
	crash_materialise(i, seed, result, maxlen);
	return 1;
}

/* Of these operations none ends on this leg; or so many of them fail. */
static int leg_op(struct crash_leg *leg, const char *verb, const char *op,
		  u64 number)
{
	int i = match_string(crash_op_names, CRASH_NR_OPS, op);

	if (i < 0)
		return i;
	spin_lock_irq(&crash_lab.lock);
	if (!strcmp(verb, "hold"))
		leg->held |= BIT(i);
	else
		leg->fail[i] = number;
	spin_unlock_irq(&crash_lab.lock);
	return 0;
}

static int release(struct crash_leg *leg)
{
	spin_lock_irq(&crash_lab.lock);
	leg->held = 0;
	spin_unlock_irq(&crash_lab.lock);
	crash_kick(leg);
	return 0;
}

static int set_number(u64 *where, u64 number)
{
	spin_lock_irq(&crash_lab.lock);
	*where = number;
	spin_unlock_irq(&crash_lab.lock);
	return 0;
}

static int without_words(struct crash_leg *leg, const char *verb)
{
	if (!strcmp(verb, "record"))
		return crash_record();
	if (!strcmp(verb, "stop"))
		return stop();
	if (!strcmp(verb, "forget"))
		return forget();
	if (!strcmp(verb, "cut"))
		return set_power(true);
	if (!strcmp(verb, "on"))
		return set_power(false);
	if (!strcmp(verb, "release"))
		return release(leg);
	return -EINVAL;
}

static int run(struct crash_leg *leg, unsigned int argc, char **argv,
	       char *result, unsigned int maxlen)
{
	u64 number = 0;

	if (argc == 1)
		return without_words(leg, argv[0]);
	if (!strcmp(argv[0], "hold") && argc == 2)
		return leg_op(leg, argv[0], argv[1], 0);
	if (kstrtou64(argv[argc - 1], 10, &number))
		return -EINVAL;
	if (!strcmp(argv[0], "state") && argc == 3)
		return state(argv[1], number, result, maxlen);
	if (!strcmp(argv[0], "fail") && argc == 3)
		return leg_op(leg, argv[0], argv[1], number);
	if (argc != 2)
		return -EINVAL;
	if (!strcmp(argv[0], "log"))
		return list_log(number, result, maxlen);
	if (!strcmp(argv[0], "replay"))
		return set_number(&crash_lab.cut, number);
	if (!strcmp(argv[0], "order"))
		return set_number(&crash_lab.dice, number);
	return -EINVAL;
}

int crash_message(struct dm_target *ti, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	int r;

	mutex_lock(&crash_lab.mutex);
	r = run(ti->private, argc, argv, result, maxlen);
	mutex_unlock(&crash_lab.mutex);
	return r;
}
