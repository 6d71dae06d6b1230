#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Suspend, resume, reload and remove, in every state and under load.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

pair() {
	disk s 8M
	disk t 8M
	fill s 1
	layer lt t
}

# Far less than any time-out.
quick() {
	local since i

	pair
	mirror j s t
	bj_wait_state j ready
	since=${EPOCHREALTIME/./}
	for i in 1 2 3; do
		ctl suspend j
		ctl resume j
	done
	since=$(((${EPOCHREALTIME/./} - since) / 1000))
	say "three times: $since ms"
	holds "$since < 6000"
	expect j state ready
}

# same_after STATE: it is what it was, and can be looked at meanwhile.
same_after() {
	local flavour

	for flavour in suspend suspend-noflush; do
		ctl $flavour j
		is "info" "$(bj_dm info "${BJ_PREFIX}j" | cut -d ' ' -f 1)" \
			suspended=1
		expect j state "$1"
		bj_dm message "${BJ_PREFIX}j" 0 map >/dev/null ||
			fail "no map while suspended"
		ctl resume j
		expect j state "$1"
	done
}

in_running() {
	pair
	mirror j s t speed 262144
	same_after running
	tell j set speed 0
	bj_wait_state j ready
	same s t
}

in_paused() {
	pair
	mirror j s t paused on
	same_after paused
	tell j resume
	bj_wait_state j ready
}

in_ready_and_standby() {
	pair
	mirror j s t
	bj_wait_state j ready
	same_after ready
	tell j pause
	same_after standby
	tell j resume
	bj_wait_state j ready
}

in_waiting() {
	pair
	mirror j s lt
	bj_wait_state j ready
	tell j pause
	# More than what the end of waiting copies without a limit
	fill j 2
	tell j set speed 1
	tell j resume
	tell j complete
	same_after waiting
	tell j set speed 0
	bj_wait_state j pending
}

in_pending_and_concluded() {
	pair
	mirror j s t
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	same_after pending
	fill j 2
	same s t
	tell j finalize
	same_after concluded
	fill j 3
	filled t 3
}

# No copy runs while the device is suspended, nor is progress lost.
stops_copies() {
	local before

	pair
	mirror j s t speed 2097152
	bj_wait j 'offset>500000'
	ctl suspend j
	expect j in_flight 0
	before=$(writes t)
	sleep 0.5
	is "writes while suspended" "$(writes t)" "$before"
	ctl resume j
	tell j set speed 0
	bj_wait_state j ready
	expect j copied 8388608
	same s t
}

# What is asked while suspended happens then, or afterwards.
verbs_meanwhile() {
	pair
	mirror j s t speed 262144
	ctl suspend j
	tell j pause
	expect j state paused
	tell j resume
	tell j set speed 0
	ctl resume j
	bj_wait_state j ready
	ctl suspend j
	tell j complete
	ctl resume j
	bj_wait_state j pending
	ctl suspend j
	tell j finalize
	expect j state concluded
	ctl resume j
	fill j 2
	filled t 2
}

# Under load through a whole life, then the table of the target device alone.
storm() {
	local i flavour

	pair
	mirror j s t speed 4194304 copy_mode "$1"
	load a j 1 -r 10
	for ((i = 0; i < 12 * BJ_ROUNDS; i++)); do
		flavour=suspend
		((i % 2)) && flavour=suspend-noflush
		ctl $flavour j
		ctl resume j
		case $i in
		3) tell j set speed 0 ;;
		4) bj_wait_state j ready ;;
		6) tell j complete ;;
		8) bj_wait_state j pending ;;
		esac
	done
	tell j finalize
	swap j "0 16384 linear ${dev[t]} 0"
	unload a
	verify t a
	verify j a
}

# In the middle of the copy, back to the source alone.
away_in_running() {
	pair
	mirror j s t speed 1048576
	load a j 1
	swap j "0 16384 linear ${dev[s]} 0"
	unload a
	verify s a
	is "references" "$(cat /sys/module/dm_blkjob/refcnt)" 0
}

remove_anywhere() {
	pair
	mirror j s t speed 65536
	gone j
	mirror k s t speed 65536
	ctl suspend k
	gone k
	mirror l s t
	bj_wait_state l ready
	tell l complete
	gone l
	filled s 1
}

# Somebody has it open: not removed, and the job goes on.
remove_while_open() {
	pair
	mirror j s t speed 1048576
	exec 5<"${dev[j]}"
	dmsetup remove "${BJ_PREFIX}j" 2>/dev/null && fail "was removed"
	tell j set speed 0
	bj_wait_state j ready
	exec 5<&-
	gone j
	same s t
}

# A suspend that cannot come to its end, because the consumer's write hangs,
# is interrupted: copying goes on.
interrupted() {
	pair
	layer ls s
	mirror j ls t speed 1048576
	ctl suspend ls
	bj_data fill "${dev[j]}" 2 0 8 &
	bj_wait j busy=1
	timeout 2 bj_dm suspend "${BJ_PREFIX}j" >/dev/null &&
		fail "suspended with a write in flight"
	is "info" "$(bj_dm info "${BJ_PREFIX}j" | cut -d ' ' -f 1)" suspended=0
	ctl resume ls
	wait $! || fail "the write failed"
	tell j set speed 0
	bj_wait_state j ready
	same s t
	finish j
	filled t 2 0 8
}

# A write that is held in the commit window goes back to dm, and is held again.
held_and_noflush() {
	pair
	mirror j s lt
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	swap lt "0 16384 error"
	bj_data fill "${dev[j]}" 7 100 8 &
	bj_wait j 'held>0'
	ctl suspend-noflush j
	expect j held 0
	ctl resume j
	sleep 0.5
	kill -0 $! || fail "the write ended before there was a decision"
	swap lt "0 16384 linear ${dev[t]} 0"
	tell j finalize
	wait $! || fail "the write failed"
	filled t 7 100 8
}

conformance 62 124 146 149 151
bj_run quick in_running in_paused in_ready_and_standby in_waiting \
	in_pending_and_concluded stops_copies verbs_meanwhile \
	"storm background" "storm write-blocking" away_in_running \
	remove_anywhere remove_while_open interrupted held_and_noflush
