#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Cancel in every state: which leg counts, and what the other one is worth.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

job() {
	disk s 4M
	disk t 4M
	layer lt t
	fill s 1
	fill t 9
	mirror j s lt "$@"
}

# The consumer is on the source, and nobody is at the target device.
cancelled() {
	local before

	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error dirty)" \
		"cancelled source - $(bj_status j dirty)"
	holds "$(bj_status j offset) <= $(bj_status j len)"
	filled s 1 8
	before=$(writes t)
	fill j 3
	filled s 3
	is "writes to the target device" "$(writes t)" "$before"
	gone j
	mirror again s t
	bj_wait_state again ready
	same s t
}

# cancel_in STATE [WORD]
cancel_in() {
	local state=$1

	shift
	case $state in
	running) job speed 65536 ;;
	paused) job paused on ;;
	ready | standby) job ;;
	waiting)
		job
		bj_wait_state j ready
		ctl suspend lt
		fill j 2 0 1
		tell j complete
		;;
	pending)
		job
		bj_wait_state j ready
		tell j complete
		;;
	esac
	[ "$state" != standby ] || bj_wait_state j ready
	[ "$state" != standby ] || tell j pause
	bj_wait_state j "$state"
	tell j cancel "$@"
	[ "$state" != waiting ] || bj_wait_state j concluded
	[ "$state" != waiting ] || ctl resume lt
	cancelled
}

soft_idle() {
	job
	bj_wait_state j ready
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" "completed source -"
	same s t
	fill j 2
	filled s 2
	filled t 1
}

# The target device is the content of one instant, again and again.
soft_under_load() {
	local i

	disk s 8M
	disk t 8M
	fill s 1
	layer j s
	load a j 1 -f 5
	for ((i = 0; i < 4 * BJ_ROUNDS; i++)); do
		swap j "0 16384 blkjob mirror ${dev[s]} 0 ${dev[t]} 0 $*"
		bj_wait_state j ready
		tell j cancel
		bj_wait_state j concluded
		is "the end" "$(bj_status j result active error)" \
			"completed source -"
		must bj_stomp verify-instant "${dev[t]}" "$BJ_TMP/log-a"
		swap j "0 16384 linear ${dev[s]} 0"
	done
	unload a
	verify s a
}

# At any moment, again and again, and gone at once.
at_random() {
	local i

	disk s 2M
	disk t 2M
	fill s 1
	for ((i = 0; i < 10 * BJ_ROUNDS; i++)); do
		mirror j s t speed $((RANDOM * 1000))
		must bj_dm message "${BJ_PREFIX}j" 0 cancel force
		gone j
	done
	filled s 1
	mirror j s t
	bj_wait_state j ready
	same s t
}

# In the moment in which it becomes ready: one of two ends, and a true one.
at_ready() {
	local i end completed=0

	disk s 1M
	disk t 1M
	for ((i = 0; i < 10 * BJ_ROUNDS; i++)); do
		fill s $((i + 1))
		# In about the time that it takes to start a program
		mirror j s t speed $((4000000 + RANDOM * 1000))
		tell j cancel
		bj_wait_state j concluded
		end=$(bj_status j result active error)
		case $end in
		"completed source -")
			filled t $((i + 1))
			completed=$((completed + 1))
			;;
		"cancelled source -") ;;
		*) fail "the end is '$end'" ;;
		esac
		gone j
	done
	say "$completed of $i completed"
}

# Two in the same moment: the second finds the job ended or ending.
twice() {
	local pids=() i ends=0

	job speed 65536
	for i in 1 2 3 4; do
		bj_dm message "${BJ_PREFIX}j" 0 cancel force >/dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" && ends=$((ends + 1))
	done
	is "accepted" $ends 1
	cancelled
}

conformance 2 22 128 130 131 136 137 139 151 157
bj_run "cancel_in running" "cancel_in running force" "cancel_in paused" \
	"cancel_in paused force" "cancel_in ready force" \
	"cancel_in standby force" "cancel_in waiting" "cancel_in pending" \
	"cancel_in pending force" soft_idle "soft_under_load" \
	"soft_under_load 2 copy_mode write-blocking" at_random at_ready twice
