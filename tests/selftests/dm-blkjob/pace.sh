#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How fast the copy goes: the speed limit, never above it, and what changes it;
# latency_bound; and when copy_mode auto lets writes go to both legs.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

REGION=65536

us() {
	echo "${EPOCHREALTIME/./}"
}

# below SPEED SINCE BASE: the offset now, against the time. It is read before
# the clock, so a slow machine makes the check only weaker.
below() {
	local offset bound

	offset=$(bj_status j offset)
	bound=$(($3 + $1 * ($(us) - $2) / 1000000 + REGION + $1 / 200))
	[ "$offset" -le $bound ] ||
		fail "$offset bytes at $1/s: more than $bound"
}

pair() {
	disk s 16M
	disk t 16M
}

# limit SPEED
limit() {
	local since i

	pair
	since=$(us)
	mirror j s t speed "$1"
	for i in 1 2 3 4 5 6; do
		below "$1" "$since" 0
		sleep 0.3
	done
	# And not much less
	holds "$(bj_status j offset) >= $1 * ($(us) - $since) / 1000000 / 2 \
		- 2 * $REGION"
}

# Lower and higher, at once.
changes() {
	local since base i

	pair
	mirror j s t speed 2097152
	bj_wait j 'offset>1000000'
	tell j set speed 262144
	since=$(us)
	base=$(bj_status j offset in_flight)
	base=$((${base/ /+}))
	for i in 1 2 3; do
		below 262144 "$since" $base
		sleep 0.3
	done
	base=$(bj_status j offset)
	since=$(us)
	tell j set speed 4194304
	bj_wait j "offset>$((base + 2097152))"
	say "2 MiB at 4 MiB/s took $((($(us) - since) / 1000)) ms"
	below 4194304 "$since" "$base"
	tell j set speed 0
	bj_wait_state j ready
}

pause() {
	local before

	pair
	mirror j s t speed 2097152
	bj_wait j 'offset>500000'
	tell j pause
	bj_wait j in_flight=0
	before=$(bj_status j offset dirty)
	sleep 0.7
	is "offset and dirty" "$(bj_status j offset dirty)" "$before"
	tell j resume
	bj_wait j "offset>${before% *}"
	# A pause is no credit
	pause_gives_nothing
}

pause_gives_nothing() {
	local base since

	tell j pause
	bj_wait j in_flight=0
	base=$(bj_status j offset)
	sleep 1
	since=$(us)
	tell j resume
	below 2097152 "$since" "$base"
}

# len grows with what is newly dirty; offset neither falls nor passes it.
progress() {
	local last=0 offset len i

	pair
	mirror j s t sync none
	bj_wait_state j ready
	is "offset and len" "$(bj_status j offset len)" "0 0"
	tell j pause
	fill j 1 0 16384
	is "len" "$(bj_status j len)" 8388608
	tell j set speed 8388608
	tell j resume
	for ((i = 0; i < 100; i++)); do
		read -r offset len <<<"$(bj_status j offset len)"
		holds "$offset >= $last && $offset <= $len"
		last=$offset
		[ "$offset" -lt "$len" ] || break
	done
	bj_wait j dirty=0 in_flight=0
	is "offset and len" "$(bj_status j offset len)" "8388608 8388608"
}

# With a bound, set at once or later: the copy goes on, and is one.
bounded() {
	pair
	fill s 1
	mirror j s t latency_bound 150
	load a j 1 -r 30
	bj_wait_state j ready
	refuses j EINVAL 'latency_bound 100 is not a percentage from 101 to 10000, and not 0' \
		set latency_bound 100
	tell j set latency_bound 0
	tell j set latency_bound 200
	work a
	finish j
	unload a
	verify t a
}

# Writes go to both legs when they are too many, and to one when they are gone.
through_and_back() {
	pair
	fill s 1
	mirror j s t speed 8388608
	load a j 1
	bj_wait j converge=write-blocking
	tell j set speed 0
	bj_wait_state j ready
	unload a
	bj_wait j actively_synced=1
	bj_wait j actively_synced=0
	expect j state ready
	finish j
	verify t a
}

conformance 4 163 164 166 167 169
bj_run "limit 65536" "limit 1048576" changes pause progress bounded \
	through_and_back
