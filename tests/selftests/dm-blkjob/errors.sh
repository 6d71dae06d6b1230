#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Legs that fail: the consumer never sees an error of the target device, and
# everybody is told what happened.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SECTORS=16384

# failed WORD LAST_ERROR: the job, and nothing else.
failed() {
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error last_error)" \
		"cancelled source $1 $2"
	is "io_status" "$(bj_status j io_status)" failed
}

source_read() {
	legs 8M
	bad ls s 8000 8
	mirror j ls lt granularity 4096
	failed source-read-error "read:5:8000"
	expect j source_errors 1
	expect j target_errors 0
	# All but what was on its way together with the bad region, of 16 at most
	filled t 1 0 $((8000 - 16 * 8))
	fill j 2 0 1000
	filled s 2 0 1000
	# What is not copied is still marked
	[[ $(bj_dm message "${BJ_PREFIX}j" 0 map) =~ (^|$'\n')(8000|7[89][0-9][0-9])' ' ]] ||
		fail "the bad region is not in the map"
}

target_write() {
	legs 8M
	bad lt t 4096 8
	mirror j s lt granularity 4096
	failed target-write-error "write:5:4096"
	expect j source_errors 0
	filled t 1 0 4096
	fill j 2
	filled s 2
}

# Under load, in each way of writing, with the whole device gone.
target_gone() {
	legs 8M
	mirror j s lt speed 2097152 copy_mode "$1"
	load a j 1 -r 10
	bj_wait j 'offset>500000'
	swap lt "0 $SECTORS error"
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" \
		"cancelled source target-write-error"
	unload a
	verify s a
	good lt t
	gone j
	mirror again s lt
	bj_wait_state again ready
	same s t
}

# Nothing but the flush before ready fails.
target_flush() {
	need_target flakey
	legs 8M
	swap lt "0 $SECTORS flakey ${dev[t]} 0 0 60 1 error_writes"
	mirror j s lt sync none
	failed target-flush-error "flush:5:0"
	fill j 2
}

# A user's own error is his own, and nobody knows what is on the source then.
user_write() {
	legs 8M
	mirror j ls lt granularity 4096
	bj_wait_state j ready
	tell j pause
	bad ls s 8000 8
	bj_data fill "${dev[j]}" 2 7992 24 >/dev/null && fail "no error"
	good ls s
	# All of the write, as far as it went
	holds "$(bj_status j dirty) >= 4096"
	tell j resume
	bj_wait j dirty=0 in_flight=0
	same s t
	finish j
	same s t
}

# A write that is held in the commit window because LEG has failed.
held() {
	legs 8M
	mirror j ls lt
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	swap "l$1" "0 $SECTORS error"
	bj_data fill "${dev[j]}" 7 100 8 >"$BJ_TMP/said" 2>&1 &
	writer=$!
	bj_wait j 'held>0'
	is "the window" "$(bj_status j state io_status error)" \
		"pending failed -"
}

writer_is() {
	local status

	wait $writer
	status=$?
	case $1 in
	happy) [ $status -eq 0 ] || fail "the writer saw $(cat "$BJ_TMP/said")" ;;
	told) [ $status -ne 0 ] || fail "the writer saw no error" ;;
	esac
	expect j held 0
}

target_held_rollback() {
	held t
	tell j rollback
	writer_is happy
	filled s 7 100 8
	failed target-write-error "write:5:$(bj_status j last_error | cut -d : -f 3)"
}

target_held_rollback_repaired() {
	held t
	good lt t
	tell j rollback
	writer_is happy
	bj_wait j state=ready dirty=0 in_flight=0 io_status=ok
	same s t
	finish j
	filled t 7 100 8
}

target_held_finalize() {
	held t
	good lt t
	tell j finalize
	writer_is happy
	filled t 7 100 8
	expect j result completed
}

# The caller has decided for a leg that does not work.
target_held_finalize_broken() {
	held t
	tell j finalize
	writer_is told
}

target_held_cancel() {
	held t
	tell j cancel
	bj_wait_state j concluded
	writer_is happy
	filled s 7 100 8
	expect j active source
}

source_held_finalize() {
	held s
	tell j finalize
	writer_is happy
	filled t 7 100 8
	# The source is of no use any more, and not needed
	fill j 8
	filled t 8
}

source_held_rollback() {
	held s
	good ls s
	tell j rollback
	writer_is told
	bj_wait j state=ready dirty=0 in_flight=0
	same s t
}

# A soft cancel of a job whose target device has failed meanwhile.
cancel_with_error() {
	legs 8M
	mirror j s lt
	bj_wait_state j ready
	tell j pause
	fill j 2 0 8
	swap lt "0 $SECTORS error"
	tell j resume
	bj_dm message "${BJ_PREFIX}j" 0 cancel >/dev/null
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active)" "cancelled source"
}

# broken LEG: its device cannot do region 1000 of 8 sectors.
broken() {
	bad "l$1" "$1" 8000 8
}

# stop LEG KEY: paused, and it goes on where it was.
stop() {
	legs 8M
	broken "$1"
	mirror j ls lt granularity 4096 "$2" stop
	bj_wait_state j paused
	is "the stop" "$(bj_status j io_status error result)" "failed - -"
	fill j 2 0 1000
	good "l$1" "$1"
	tell j resume
	bj_wait_state j ready
	expect j io_status ok
	same s t
	finish j
}

# ignore LEG KEY: tried again, not too often, and ready only when all is copied.
ignore() {
	local before after

	legs 8M
	broken "$1"
	mirror j ls lt granularity 4096 "$2" ignore
	bj_wait j "${2#on_}s>1"
	before=$(events j)
	sleep 1
	after=$(events j)
	say "$((after - before)) events in a second"
	holds "$after - $before < 100"
	is "the job" "$(bj_status j state error result)" "running - -"
	good "l$1" "$1"
	bj_wait_state j ready
	expect j io_status ok
	same s t
	finish j
}

events() {
	local info

	info=$(bj_dm info "$BJ_PREFIX$1")
	echo "${info##*events=}"
}

# enospc LEG KEY WORD: any other error is reported.
enospc() {
	legs 8M
	broken "$1"
	mirror j ls lt granularity 4096 "$2" enospc
	bj_wait_state j concluded
	expect j error "$3"
}

# The policy of the moment counts.
set_policy() {
	legs 8M
	mirror j ls lt granularity 4096 paused on
	tell j set on_target_error stop
	broken t
	tell j resume
	bj_wait_state j paused
	tell j set on_target_error report
	tell j resume
	bj_wait_state j concluded
	expect j error target-write-error
}

conformance 76 83 85 88 89 94 98 104 107 113 125 316
bj_run source_read target_write "target_gone background" \
	"target_gone write-blocking" target_flush user_write \
	target_held_rollback target_held_rollback_repaired \
	target_held_finalize target_held_finalize_broken target_held_cancel \
	source_held_finalize source_held_rollback cancel_with_error \
	"stop s on_source_error" "stop t on_target_error" \
	"ignore s on_source_error" "ignore t on_target_error" \
	"enospc s on_source_error source-read-error" \
	"enospc t on_target_error target-write-error" set_policy
