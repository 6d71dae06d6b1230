#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A live commit: what a snapshot holds goes down to its origin while the
# snapshot is in use, and then the origin takes its place.

# shellcheck disable=SC2154 # dev is set by bj_case
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SECTORS=16384	# of the origin
HELD=4096	# of them, from the first on, the snapshot holds itself

# origin: s, and the store of a snapshot to come, c; with layers on both.
origin() {
	need_target snapshot
	disk s 8M
	disk c 10M
	fill s 1
	layer ls s
	layer lc c
}

snapshot() {
	dm o "0 $SECTORS snapshot ${dev[ls]} ${dev[lc]} P 16"
}

overlay() {
	origin
	snapshot
	fill o 2 0 $HELD
}

# commits [KEY VALUE]...: a job that does it.
commits() {
	mirror j o ls sync none paused on granularity 8192 "$@"
	tell j mark 0 $HELD
	tell j resume
}

# bad LEG FIRST: 8 sectors of it fail.
bad() {
	local end=$(($2 + 8)) all

	all=$(sectors "$1")
	swap "l$1" "0 $2 linear ${dev[$1]} 0" "$2 8 error" \
		"$end $((all - end)) linear ${dev[$1]} $end"
}

good() {
	swap "l$1" "0 $(sectors "$1") linear ${dev[$1]} 0"
}

view() {
	filled j 2 0 $HELD
	filled j 1 $HELD
}

whole() {
	overlay
	commits
	bj_wait_state j ready
	is copied "$(bj_status j copied)" $((HELD * 512))
	view
	fill j 3 8000 16
	finish j
	same j s
	filled s 2 0 $HELD
	filled s 1 $HELD $((8000 - HELD))
	filled s 3 8000 16
	gone j
	gone o
	filled ls 3 8000 16
}

# What is in use cannot be taken away, and a cancel leaves an exact copy.
cancelled() {
	overlay
	commits
	bj_wait_state j ready
	must_fail EBUSY '' bj_dm remove "${BJ_PREFIX}o"
	must_fail EBUSY '' bj_dm remove "${BJ_PREFIX}ls"
	fill j 3 8000 16
	tell j cancel
	bj_wait_state j concluded
	expect j result completed
	same o s
	fill j 4 0 8
	filled s 2 0 8
}

# The view stays what it was when a commit ends in the middle.
cut_off() {
	overlay
	commits speed 262144
	bj_wait j 'offset>300000'
	view
	tell j cancel force
	bj_wait_state j concluded
	expect j result cancelled
	view
	gone j
	commits
	bj_wait_state j ready
	finish j
	view
	same j s
}

# complete is accepted while paused, and takes effect when resumed.
standby() {
	overlay
	commits
	bj_wait_state j ready
	tell j pause
	fill j 3 8000 16
	tell j complete
	expect j state standby
	filled s 1 8000 16
	tell j resume
	bj_wait_state j pending
	tell j finalize
	same j s
	filled s 3 8000 16
}

# loaded KEY VALUE...: the consumer never stops.
loaded() {
	overlay
	fill o 5
	commits "$@"
	tell j mark 0 $SECTORS
	load b j 5
	bj_wait j 'offset>1048576'
	tell j set speed 0
	bj_wait_state j ready
	finish j
	unload b
	verify j b
	verify s b
	same j s
}

# Again and again below one consumer: a new snapshot, its commit, the switch.
rounds() {
	local i

	origin
	layer u ls
	load a u 1
	for ((i = 0; i < 2 * BJ_ROUNDS; i++)); do
		must dd if=/dev/zero of="${dev[c]}" bs=8192 count=2 oflag=direct
		snapshot
		mirror j o ls sync none copy_mode auto
		swap u "0 $SECTORS linear ${dev[j]} 0"
		bj_wait_state j ready
		finish j
		swap u "0 $SECTORS linear ${dev[ls]} 0"
		gone j
		gone o
	done
	unload a
	verify u a
	verify s a
}

# The consumer has moved to another device before, and the snapshot is of that.
moved() {
	origin
	layer u ls
	disk t 8M
	layer lt t
	mirror m ls lt
	swap u "0 $SECTORS linear ${dev[m]} 0"
	bj_wait_state m ready
	finish m
	swap u "0 $SECTORS linear ${dev[lt]} 0"
	gone m
	dm o "0 $SECTORS snapshot ${dev[lt]} ${dev[lc]} P 16"
	mirror j o lt sync none
	swap u "0 $SECTORS linear ${dev[j]} 0"
	fill u 3 0 64
	bj_wait j state=ready dirty=0 in_flight=0
	finish j
	swap u "0 $SECTORS linear ${dev[lt]} 0"
	gone j
	gone o
	gone u
	filled t 3 0 64
	filled t 1 64
	filled s 1
}

# told: the kinds of events, without what varies.
told() {
	bj_dm message "${BJ_PREFIX}j" 0 events |
		sed -E 's/^[0-9]+ [0-9]+ (state )?//; s/ [0-9]+.*//' | uniq | xargs
}

# failing LEG KEY OP: a read of the overlay or a write of the base.
failing_report() {
	overlay
	bad "$1" 160
	commits "$2" report
	bj_wait_state j concluded
	is events "$(told)" \
		"created paused running error $3 aborting concluded"
	expect j result cancelled
	good "$1"
	view
}

failing_stop() {
	overlay
	bad "$1" 160
	commits "$2" stop
	bj_wait j state=paused io_status=failed in_flight=0
	good "$1"
	view
	tell j resume
	bj_wait_state j ready
	is events "$(told)" \
		"created paused running error $3 paused running ready"
	finish j
	view
	same j s
}

failing_ignore() {
	overlay
	bad "$1" 160
	commits "$2" ignore
	bj_wait j "$4>3"
	expect j state running
	good "$1"
	bj_wait_state j ready
	is events "$(told)" "created paused running error $3 ready"
	finish j
	view
	same j s
}

conformance 32 100 101 143 290 292 295 296 298 299
bj_run whole cancelled cut_off standby "loaded copy_mode auto speed 1048576" \
	"loaded copy_mode write-blocking" rounds moved \
	"failing_report c on_source_error read" \
	"failing_stop c on_source_error read" \
	"failing_ignore c on_source_error read source_errors" \
	"failing_report s on_target_error write" \
	"failing_stop s on_target_error write" \
	"failing_ignore s on_target_error write target_errors"
