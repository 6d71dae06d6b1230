#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command killed at any of its ioctls: nothing is suspended, the status is
# true, the data are right, and there is a way back or forward.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# How many points of a sweep; all of them in long runs.
POINTS=${BLKJOB_LONG:+1000}

# points COUNT WANTED: that many of 1..COUNT, and not always the same ones.
points() {
	local wanted=${POINTS:-$2} i at last=0

	[ "$wanted" -le "$1" ] || wanted=$1
	for ((i = 0; i < wanted; i++)); do
		at=$((1 + (i * $1 + RANDOM % $1) / wanted))
		[ $at -gt $last ] || continue
		last=$at
		echo $at
	done
}

# usable NAME: neither suspended nor with a table that waits for a resume.
usable() {
	is "killed at $n: $1" \
		"$(bj_dm info "$(cat "/sys/class/block/${dev[$1]##*/}/dm/name")" |
			cut -d ' ' -f "$2")" "$3"
}

# recovered NAME VERB: from whatever the killed one left to a state with no job.
recovered() {
	local name=$1 verb=$2

	usable "$name" 1 suspended=0
	ends 0 '^\[' list --json
	must json jobs "$out"
	must dmsetup udevcomplete_all -y
	ends 0 '' recover
	usable "$name" 1-3 "suspended=0 live=1 inactive=0"
	job=$(only_job)
	[ -n "$job" ] || return 0
	# Never told to begin.
	[ "$(bj_dm get "blkjob.$job" state)" != paused ] || verb=cancel
	cli "$verb" "$job"
	# It may have switched already, or not yet.
	[ "$status" -ne 3 ] || cli complete "$job"
	judge 0 '' "$verb, killed at $n"
	must dmsetup udevcomplete_all -y
}

plain_devices() {
	can_kill
	disk s 1M
	disk t 1M
	fill s 1
	user u s
	before=$(table u)
}

# plain_round: what is on the device is right, wherever it is.
plain_round() {
	filled u 1
	nothing_left
	swap u "$before"
	fill t 2
}

killed_mirror() {
	local n all

	plain_devices
	all=$(ioctls mirror "${dev[u]}" "${dev[t]}" --force)
	ends 0 '' cancel "$(only_job)"
	say "$all ioctls"
	for n in $(points "$all" 8); do
		killed "$n" mirror "${dev[u]}" "${dev[t]}" --force
		recovered u cancel
		is table "$(table u)" "$before"
		plain_round
	done
}

killed_complete() {
	local n all verb=cancel

	plain_devices
	started mirror "${dev[u]}" "${dev[t]}" --force --wait
	all=$(ioctls complete "$job")
	plain_round
	say "$all ioctls"
	for n in $(points "$all" 8); do
		started mirror "${dev[u]}" "${dev[t]}" --force --wait
		killed "$n" complete "$job"
		recovered u $verb
		plain_round
		[ $verb = cancel ] && verb=complete || verb=cancel
	done
}

# The device that the job replaces its source in is on either, and complete.
killed_replaces() {
	local n all parent verb=cancel

	plain_devices
	dm p "0 2048 linear ${dev[u]} 0"
	parent=$(table p)
	started mirror "${dev[u]}" "${dev[t]}" --replaces "${dev[p]}" --force \
		--wait
	all=$(ioctls complete "$job")
	swap p "$parent"
	say "$all ioctls"
	for n in $(points "$all" 4); do
		fill t 2
		started mirror "${dev[u]}" "${dev[t]}" --replaces "${dev[p]}" \
			--force --wait
		killed "$n" complete "$job"
		usable p 1 suspended=0
		recovered u $verb
		usable p 1-3 "suspended=0 live=1 inactive=0"
		is table "$(table u)" "$before"
		filled p 1
		nothing_left
		swap p "$parent"
		[ $verb = cancel ] && verb=complete || verb=cancel
	done
}

cli_run killed_mirror killed_complete killed_replaces
