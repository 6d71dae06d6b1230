#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Mirrors under load: what is acknowledged is there, on the leg that counts,
# through every state and switch.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

pair() {
	disk s "$1"
	disk t "$1"
	fill s "$2"
	read -ra source_before <<<"$(iostat s)"
}

# What the consumer wrote is what the source leg has been given: no more.
source_is_not_written() {
	local j s

	read -ra j <<<"$(iostat j)"
	read -ra s <<<"$(iostat s)"
	is "sectors written to the source" \
		$((s[3] - source_before[3])) "${j[3]}"
}

# Through a whole life. OPTION of bj_stomp and KEY VALUE of the job by words.
whole_life() {
	local stomp=$1 options=${2-}

	pair 16M 1
	# shellcheck disable=SC2086
	mirror j s t speed 2097152 ${options//,/ }
	# shellcheck disable=SC2086
	load a j 1 ${stomp//,/ }
	bj_wait j 'offset>1048576'
	tell j set speed 0
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	bj_wait j actively_synced=1
	# Long enough in the commit window, and behind it
	work a
	tell j finalize
	work a
	unload a
	verify j a
	verify t a
	is "the end" "$(bj_status j state result active error)" \
		"concluded completed target -"
}

# Devices that can write zeroes without data. The loop devices of the other
# cases announce it and then refuse, as disks do.
zeroes() {
	zdisk s 16M
	zdisk t 16M
	fill s 1
	mirror j s t copy_mode auto
	load a j 1 -B 8 -z 20 -d 5 -r 10
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	work a
	tell j finalize
	work a
	unload a
	verify t a
}

# Only data, so that sectors can be counted.
source_untouched() {
	pair 16M 1
	mirror j s t
	load a j 1
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	work a
	unload a
	source_is_not_written
	verify s a
	verify t a
	same s t
	tell j finalize
	load b j 2
	unload b
	verify s a
}

# Writes that overlap: their order may be any, but the same on both legs.
overlapping() {
	pair 4M 1
	mirror j s t copy_mode "$1"
	load a j 1 -o -t 8 -m 512
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	work a
	unload a
	same s t
	verify t a
}

# In and out of the commit window.
many_times() {
	local i

	pair 16M 1
	mirror j s t
	load a j 1 -r 10
	bj_wait_state j ready
	for ((i = 0; i < 5 * BJ_ROUNDS; i++)); do
		tell j complete
		bj_wait_state j pending
		tell j rollback
		bj_wait_state j ready
	done
	tell j complete
	bj_wait_state j pending
	tell j finalize
	unload a
	verify t a
	say "held for $(bj_status j pause_us) us, load: $(cat "$BJ_TMP/said-a")"
}

# From one device to the other and back, under one load.
to_and_fro() {
	local i from=s to=t spare

	pair 8M 1
	layer j s
	load a j 1 -d 3 -r 20
	for ((i = 0; i < 4 * BJ_ROUNDS; i++)); do
		swap j "0 16384 blkjob mirror ${dev[$from]} 0 ${dev[$to]} 0"
		bj_wait_state j ready
		finish j
		swap j "0 16384 linear ${dev[$to]} 0"
		spare=$from
		from=$to
		to=$spare
	done
	unload a
	verify "$from" a
}

# One region, written again and again while it is copied.
hot_region() {
	pair 64K 1
	mirror j s t
	load a j 1 -m 16
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	unload a
	same s t
	verify t a
}

# A pause stops the copy and not the consumer.
paused() {
	pair 16M 1
	mirror j s t speed 2097152
	load a j 1
	tell j pause
	bj_wait j busy=0
	before=$(writes t)
	work a
	is "writes to the target device" "$(writes t)" "$before"
	tell j resume
	tell j set speed 0
	bj_wait_state j ready
	finish j
	unload a
	verify t a
}

# To write-blocking and back, at run time.
both_ways() {
	local i

	pair 16M 1
	mirror j s t
	load a j 1 -r 10
	bj_wait_state j ready
	for ((i = 0; i < 3 * BJ_ROUNDS; i++)); do
		tell j set copy_mode write-blocking
		bj_wait j actively_synced=1
		work a
		tell j set copy_mode background
		work a
	done
	unload a
	bj_wait j dirty=0 in_flight=0
	same s t
	finish j
	verify t a
}

conformance 4 46 68 70 73 74
bj_run "whole_life -r,20" "whole_life -d,5,-r,20,-f,5" \
	"whole_life -d,10 copy_mode,write-blocking" \
	"whole_life -r,5 copy_mode,auto,granularity,4096" \
	"whole_life -m,64 granularity,1048576,buf_size,65536" \
	"whole_life -z,10,-d,5" "whole_life -z,10 copy_mode,write-blocking" \
	zeroes source_untouched "overlapping background" "overlapping write-blocking" \
	many_times to_and_fro hot_region paused both_ways
