#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Random verbs, suspends and errors under random I/O, against a model.
# In both guests of a check, on two devices each, that makes five minutes.
# BLKJOB_SEED=N does what a run that failed has done.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

DURATION=${BLKJOB_LONG:+3600}
DURATION=${BLKJOB_SECONDS:-${DURATION:-75}}

# play NAME OPTION...: one model, over disks that exist, in the background.
play() {
	local name=$1

	shift
	layer "$name-a" "$name-0"
	layer "$name-b" "$name-1"
	dm "$name" "0 8 error"
	bj_model --seconds "$DURATION" \
		${BLKJOB_SEED:+--seed "$BLKJOB_SEED"} "$@" "$BJ_PREFIX$name" \
		"$BJ_PREFIX$name-a" "${dev[$name-0]}" \
		"$BJ_PREFIX$name-b" "${dev[$name-1]}" >"$BJ_TMP/said-$name" 2>&1 &
	pid[$name]=$!
}

# Two devices at once: the disks of one can discard, those of the other write
# zeroes and have larger blocks.
random() {
	local name failed=''

	disk l-0 9M
	disk l-1 9M
	play l
	if [ -e /sys/class/zram-control ] || modprobe -q zram num_devices=0; then
		zdisk z-0 7M
		zdisk z-1 7M
		play z --block 4096
	fi
	for name in "${!pid[@]}"; do
		wait "${pid[$name]}" || failed+=" $name"
		quote <"$BJ_TMP/said-$name"
	done
	[ -z "$failed" ] || fail "not as the model says:$failed"
}

bj_run random
