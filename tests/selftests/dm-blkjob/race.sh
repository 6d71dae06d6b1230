#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two commands at once on one device: whoever comes first, there is one
# consistent result, and nothing is left.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

ROUNDS=$((10 * BJ_ROUNDS))

# One set of devices for all rounds of a case.
devices() {
	disk s 1M
	disk t 1M
	disk v 1M
	fill s 1
	user u s
	before=$(table u)
}

# both "WORD..." "WORD...": at once; their statuses are in $first and $second.
both() {
	# shellcheck disable=SC2086 # words they are
	{
		timeout -s KILL "$BJ_TIMEOUT" blkjob $1 >"$BJ_TMP/first" 2>&1 &
		timeout -s KILL "$BJ_TIMEOUT" blkjob $2 >"$BJ_TMP/second" 2>&1
		second=$?
		first=0
		wait $! || first=$?
	}
}

# The two ended so: one of the pairs of statuses.
statuses() {
	local pair

	for pair; do
		[ "$pair" != "$first:$second" ] || return 0
	done
	quote <"$BJ_TMP/first"
	quote <"$BJ_TMP/second"
	fail "round $round: $first and $second"
}

back_again() {
	swap u "$before"
	is "the data" "$(bj_data check "${dev[u]}" 1 && echo right)" right
}

mirror_mirror() {
	local round

	devices
	for ((round = 1; round <= ROUNDS; round++)); do
		both "mirror ${dev[u]} ${dev[t]} --wait --force" \
			"mirror ${dev[u]} ${dev[v]} --wait --force"
		statuses 0:3 3:0
		ends 0 'consistent copy' cancel "$(only_job)"
		is "table" "$(table u)" "$before"
	done
	nothing_left
}

same_target() {
	local round

	devices
	user w v
	for ((round = 1; round <= ROUNDS / 2; round++)); do
		both "mirror ${dev[u]} ${dev[t]} --wait --force" \
			"mirror ${dev[w]} ${dev[t]} --wait --force"
		statuses 0:3 3:0
		ends 0 'consistent copy' cancel "$(only_job)"
	done
	is "table" "$(table u)" "$before"
	nothing_left
}

cancel_complete() {
	local round

	devices
	for ((round = 1; round <= ROUNDS; round++)); do
		started mirror "${dev[u]}" "${dev[t]}" --wait --force
		both "cancel $job" "complete $job"
		statuses 0:1 0:3 1:0 3:0
		if [ "$first" -eq 0 ]; then
			is "table" "$(table u)" "$before"
		else
			filled u 1
			[[ $(table u) == *" $(cat "/sys/class/block/${dev[t]##*/}/dev") "* ]] ||
				fail "completed, and not on the target"
			back_again
		fi
		nothing_left
	done
}

complete_complete() {
	local round

	devices
	for ((round = 1; round <= ROUNDS; round++)); do
		started mirror "${dev[u]}" "${dev[t]}" --force
		both "complete $job" "complete $job"
		# The second may find the job gone, or done.
		statuses 0:0 0:1 1:0 0:3 3:0
		[[ $(table u) == *" $(cat "/sys/class/block/${dev[t]##*/}/dev") "* ]] ||
			fail "not on the target"
		filled u 1
		nothing_left
		back_again
	done
}

cli_run mirror_mirror same_target cancel_complete complete_complete
