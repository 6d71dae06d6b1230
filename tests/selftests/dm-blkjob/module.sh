#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module comes and goes, and leaves nothing.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

refs() {
	cat /sys/module/dm_blkjob/refcnt
}

# Threads of the jobs' workqueues.
threads() {
	cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^dm-blkjob'
}

# Create, copy, remove, again and again; nothing may grow.
cycles() {
	local i before after

	disk s 1M
	disk t 1M
	mirror j s t
	gone j
	before=$(awk '/^SUnreclaim/ { print $2 }' /proc/meminfo)
	for ((i = 0; i < 20 * BJ_ROUNDS; i++)); do
		mirror j s t
		((i % 2)) && bj_wait_state j ready
		gone j
	done
	after=$(awk '/^SUnreclaim/ { print $2 }' /proc/meminfo)
	say "unreclaimable slab: $before kB before, $after kB after"
	holds "$after - $before < 8192"
	is "references" "$(refs)" 0
	is "threads" "$(threads)" 0
}

# With a job it cannot go.
busy() {
	disk s 1M
	disk t 1M
	mirror j s t
	holds "$(refs) > 0"
	rmmod dm_blkjob 2>/dev/null && fail "was removed under a job"
	bj_wait_state j ready
	gone j
	is "references" "$(refs)" 0
}

# Out and in again.
reload() {
	local i

	for i in 1 2 3; do
		must rmmod dm_blkjob
		dmsetup targets | grep -q '^blkjob ' && fail "is still there"
		must insmod "$file"
	done
	disk s 1M
	disk t 1M
	mirror j s t
	bj_wait_state j ready
}

# A module that was loaded from somewhere cannot be loaded again.
cases=(cycles busy)
if file=$(modinfo -n dm-blkjob 2>/dev/null); then
	cases+=(reload)
else
	say "modprobe does not know the module, so it stays loaded"
fi
bj_run "${cases[@]}"
