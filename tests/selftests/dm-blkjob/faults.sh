#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Legs that fail: where the copy stands then, what the policies and a cancel
# make of it, and devices that change or slow down under a job.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

# The end of a job that failed: the consumer is on the source and lives.
ended() {
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" "cancelled source $1"
	fill j 9 0 100
	filled s 9 0 100
}

# All good neighbours of a bad region are copied, although they were read
# together with it.
neighbours() {
	legs 8M
	bad ls s 8000 8
	mirror j ls lt granularity 4096 on_source_error ignore
	bj_wait j offset=$((8388608 - 4096))
	is "len and state" "$(bj_status j len state)" "8388608 running"
	filled t 1 0 8000
	zeroed t 8000 8
	filled t 1 8008
	good ls s
	bj_wait_state j ready
	same s t
}

# One region at a time: the offset is where the bad one begins.
report_at() {
	legs 8M
	bad ls s 8000 8
	mirror j ls lt granularity 4096 buf_size 4096
	bj_wait_state j concluded
	is "where" "$(bj_status j offset error last_error)" \
		"4096000 source-read-error read:5:8000"
	filled t 1 0 8000
	zeroed t 8000
}

# Stopped as often as it fails, and not lost what there was.
stop_at() {
	legs 8M
	bad ls s 8000 8
	mirror j ls lt granularity 4096 buf_size 4096 on_source_error stop
	bj_wait_state j paused
	is "where" "$(bj_status j offset io_status)" "4096000 failed"
	tell j resume
	# Again, but with everything else
	bj_wait j 'source_errors>1' state=paused
	is "where" "$(bj_status j offset io_status)" "8384512 failed"
	good ls s
	tell j resume
	expect j io_status ok
	bj_wait_state j ready
	expect j copied 8388608
	same s t
}

# Both legs fail, each with a policy of its own.
both_fail() {
	legs 8M
	bad ls s 8000 8
	bad lt t 4000 8
	mirror j ls lt granularity 4096 on_source_error "$1" on_target_error "$2"
	if [ "$1$2" = ignoreignore ]; then
		bj_wait j 'source_errors>0' 'target_errors>0'
		expect j state running
	else
		bj_wait_state j paused
	fi
	good ls s
	good lt t
	while [ "$(bj_status j state)" = paused ]; do
		tell j resume
		bj_wait_state j "paused|ready"
	done
	bj_wait_state j ready
	same s t
	finish j
}

# cancel_stopped [force]: paused by an error, and not wanted any more.
cancel_stopped() {
	legs 8M
	bad lt t 8000 8
	mirror j ls lt granularity 4096 on_target_error stop
	bj_wait_state j paused
	tell j cancel "$@"
	ended -
	gone j
	good lt t
	mirror again s lt
	bj_wait_state again ready
	same s t
}

# The flush that complete and cancel need does not work: VERB. A table that is
# all errors would not do, it gets no flushes.
flush_fails() {
	need_target flakey
	legs 8M
	mirror j ls lt on_target_error stop
	bj_wait_state j ready
	swap lt "0 16384 flakey ${dev[t]} 0 0 60 1 error_writes"
	tell j "$1"
	bj_wait_state j standby
	is "the job" "$(bj_status j io_status result)" "failed -"
	tell j resume
	bj_wait j 'target_errors>1' state=standby
}

flush_fails_for_ever() {
	flush_fails "$1"
	refuses j EPERM 'paused: resume it first, or cancel force' cancel
	tell j cancel force
	ended -
}

# What was asked for is done when the device is repaired.
flush_fails_once() {
	flush_fails "$1"
	good lt t
	fill j 2 100 8
	tell j resume
	if [ "$1" = cancel ]; then
		bj_wait_state j concluded
		is "the end" "$(bj_status j result active)" "completed source"
	else
		bj_wait_state j pending
		tell j finalize
	fi
	same s t
	filled t 2 100 8
}

# A target device that is gone and errors that are ignored: no storm, no
# READY that is none, and cancel force ends it.
ignored_for_ever() {
	local before after

	legs 8M
	mirror j ls lt on_target_error ignore
	bj_wait_state j ready
	dead lt
	fill j 2 0 8
	tell j cancel
	bj_wait j 'target_errors>1'
	before=$(bj_status j target_errors)
	sleep 1
	after=$(bj_status j target_errors)
	say "$((after - before)) tries in a second"
	holds "$after - $before < 200"
	is "the job" "$(bj_status j state result)" "waiting -"
	fill j 3 100 8
	tell j cancel force
	ended -
}

# In the middle of a stack: who is above sees nothing of the policy's work.
middle() {
	legs 8M
	# Nothing is copied before it fails: a job that was ready stands by.
	mirror j ls lt granularity 4096 on_target_error "$1" paused on
	layer top j
	load a top 1 -r 10
	bad lt t 8000 800
	tell j resume
	bj_wait j 'target_errors>0'
	case $1 in
	report)
		bj_wait_state j concluded
		expect j error target-write-error
		unload a
		verify s a
		return
		;;
	stop) bj_wait_state j paused ;;
	esac
	good lt t
	[ "$1" != stop ] || tell j resume
	bj_wait_state j ready
	finish j
	unload a
	verify t a
	verify top a
}

# The copy fails while the device is suspended, and the suspend waits for it.
fails_while_suspended() {
	need_target delay
	legs 8M
	dm e "0 16384 error"
	dm slow "0 16384 delay ${dev[t]} 0 0 ${dev[e]} 0 700"
	# One region, which is not tried again in parts
	mirror j s slow granularity 8388608
	bj_wait j busy=1
	ctl suspend j
	expect j state concluded
	ctl resume j
	ended target-write-error
}

# throttled LEG...: with a load and another request on their way.
throttled() {
	local leg

	need_target delay
	legs 8M
	for leg; do
		gone "l$leg"
		dm "l$leg" "0 16384 delay ${dev[$leg]} 0 5"
	done
	mirror j ls lt
	load a j 1 -r 30
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	tell j finalize
	unload a
	verify t a
}

# resize NAME SIZE
resize() {
	truncate -s "$2" "$BJ_TMP/file-$1"
	must losetup -c "${dev[$1]}"
}

# A leg that shrinks fails; the consumer is told only what concerns him.
shrinks() {
	disk s 8M
	disk t 8M
	fill s 1
	mirror j s t speed 2097152
	bj_wait j 'offset>100000'
	resize "$1" 4M
	tell j set speed 0
	bj_wait_state j concluded
	expect j active source
	[[ $(bj_status j error) == "$2" ]] || fail "the error is $(bj_status j error)"
	filled j 1 0 8192
	fill j 2 0 8192
	filled s 2 0 8192
}

# Neither read nor written behind the end that it had.
grows() {
	disk s 8M
	disk t 8M
	fill s 1
	mirror j s t speed 2097152
	bj_wait j 'offset>100000'
	resize t 16M
	resize s 16M
	fill t 7 16384
	tell j set speed 0
	bj_wait_state j ready
	finish j
	is "sectors" "$(sectors j)" 16384
	filled t 1 0 16384
	filled t 7 16384
}

# What may be done with a device afterwards is what could be done before.
modes() {
	local name

	legs 8M
	bad lt t 8000 8
	mirror j ls lt granularity 4096
	bj_wait_state j concluded
	gone j
	writable
	good lt t
	mirror j ls lt
	bj_wait_state j ready
	finish j
	gone j
	writable
}

writable() {
	local name

	for name in s t ls lt; do
		is "$name read-only" "$(blockdev --getro "${dev[$name]}")" 0
		fill $name 1 0 8
	done
}

conformance 13 55 86 95 97 103 106 107 140 148 172 289
bj_run neighbours report_at stop_at "both_fail stop ignore" \
	"both_fail ignore stop" "both_fail ignore ignore" \
	cancel_stopped "cancel_stopped force" \
	"flush_fails_for_ever cancel" "flush_fails_once cancel" \
	"flush_fails_once complete" ignored_for_ever "middle report" \
	"middle stop" "middle ignore" fails_while_suspended "throttled t" \
	"throttled s" "throttled s t" "shrinks t target-write-error" \
	"shrinks s source-read-error" grows modes
