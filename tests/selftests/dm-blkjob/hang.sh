#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A target device that does not answer: a layer under it is suspended.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

pair() {
	disk s 8M
	disk t 8M
	fill s 1
	layer lt t
}

# The consumer reads and writes within seconds.
consumer_lives() {
	must timeout 20 bj_data fill "${dev[j]}" "$1" 100 1000
	must timeout 20 bj_data check "${dev[j]}" "$1" 100 1000
}

# ended: forced out in less than two seconds.
force() {
	local since=${EPOCHREALTIME/./}

	tell j cancel force
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active)" "cancelled source"
	since=$(((${EPOCHREALTIME/./} - since) / 1000))
	say "cancel force took $since ms"
	holds "$since < ${BJ_HANG_MS:-5000}"
}

# in_running mirror|backup
in_running() {
	pair
	"$1" j s lt speed 2097152
	bj_wait j 'offset>500000'
	ctl suspend lt
	tell j set speed 0
	bj_wait j busy=1
	consumer_lives 2
	force
	consumer_lives 3
	ctl resume lt
	gone j
	filled s 3 100 1000
}

in_ready() {
	pair
	mirror j s lt
	bj_wait_state j ready
	ctl suspend lt
	consumer_lives 2
	bj_wait j busy=1
	force
	ctl resume lt
}

in_waiting() {
	pair
	mirror j s lt
	bj_wait_state j ready
	ctl suspend lt
	fill j 2 0 8
	tell j complete
	expect j state waiting
	force
	consumer_lives 3
	ctl resume lt
}

# Writes to both legs wait for both, until the job is forced out.
in_step() {
	pair
	mirror j s lt copy_mode write-blocking
	bj_wait_state j ready
	[ "$1" != pending ] || tell j complete
	bj_wait_state j "$1"
	ctl suspend lt
	bj_data fill "${dev[j]}" 2 4000 8 &
	force
	wait $! || fail "the write on its way failed"
	filled s 2 4000 8
	consumer_lives 3
	ctl resume lt
	gone j
}

# It comes back: nothing was lost, the job goes on by itself.
comes_back() {
	pair
	mirror j s lt speed 1048576
	bj_wait j 'offset>500000'
	ctl suspend lt
	load a j 1
	unload a
	tell j set speed 0
	expect j state running
	ctl resume lt
	bj_wait_state j ready
	finish j
	verify t a
}

# The copies that hang do not keep the consumer's device from being suspended
# for ever, nor from being removed once they end.
suspend_of_the_job() {
	pair
	mirror j s lt
	bj_wait_state j ready
	ctl suspend lt
	fill j 2 0 8
	bj_wait j busy=1
	must timeout 40 bj_dm suspend "${BJ_PREFIX}j"
	must bj_dm resume "${BJ_PREFIX}j"
	consumer_lives 3
	ctl resume lt
	bj_wait j dirty=0 in_flight=0
	same s t
	gone j
}

conformance 109 110 112
bj_run "in_running mirror" "in_running backup" in_ready in_waiting \
	"in_step ready" "in_step pending" comes_back suspend_of_the_job
