// SPDX-License-Identifier: GPL-2.0
/*
 * Bugs on purpose, one of each class that the debug guest is to report: a
 * checker that was never seen to fire proves nothing. The module stays loaded
 * so that what it leaks can be told from what it holds.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static char *bug = "none";
module_param(bug, charp, 0400);
MODULE_PARM_DESC(bug, "use-after-free, inversion or leak");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static void *leaked;

static void use_after_free(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	kfree(memory);
	WRITE_ONCE(memory[8], 1);
}

static void inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

/*
 * Many: one alone may stay visible in a register or on a stack. Not inlined:
 * the report is to name a function that outlives the module's start.
 */
static noinline void leak(void)
{
	int i;

	for (i = 0; i < 16; i++)
		WRITE_ONCE(leaked, kmalloc(100, GFP_KERNEL));
}

static int __init planted_init(void)
{
	if (!strcmp(bug, "use-after-free"))
		use_after_free();
	else if (!strcmp(bug, "inversion"))
		inversion();
	else if (!strcmp(bug, "leak"))
		leak();
	else
		return -EINVAL;
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_INFO(test, "Y");
MODULE_DESCRIPTION("bugs that the checkers of a debug kernel must report");
MODULE_LICENSE("GPL");
