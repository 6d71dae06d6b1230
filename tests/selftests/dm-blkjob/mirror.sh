#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a mirror copies, and what it leaves alone.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# copies SIZE [KEY VALUE]...: all of it, nothing behind it, and the switch.
copies() {
	local size=$1 before n

	shift
	n=$((size / 512))
	disk s "$size"
	disk t $((size + 1048576))
	fill s 1
	fill t 2
	before=$(writes s)
	mirror j s t "$@"
	bj_wait_state j ready
	same s t 0 0 "$n"
	is "offset and len" "$(bj_status j offset len)" "$size $size"
	is "dirty and in_flight" "$(bj_status j dirty in_flight)" "0 0"
	# One sector more, the first or the last
	fill j 3 $((n - 1)) 1
	bj_wait j dirty=0 in_flight=0
	finish j
	same s t 0 0 "$n"
	is "writes to the source" "$(writes s)" $((before + 1))
	fill j 4
	filled t 4 0 "$n"
	is "writes to the source after the switch" "$(writes s)" $((before + 1))
	filled t 2 "$n" 2048
	gone j
}

# The order and the number of the events of a life.
events() {
	local before

	disk s 4M
	disk t 4M
	mirror j s t paused on
	before=$(bj_dm info "${BJ_PREFIX}j")
	tell j resume
	bj_wait_state j ready
	finish j
	# resume, ready, waiting, pending, concluded; each may be seen with the next
	[ "$before" != "$(bj_dm info "${BJ_PREFIX}j")" ] || fail "no event at all"
}

# Only what is written while the job lives.
sync_none() {
	disk s 16M
	disk t 16M
	fill s 1
	fill t 2
	mirror j s t sync none granularity 4096
	bj_wait_state j ready
	is "len" "$(bj_status j len)" 0
	fill j 3 800 80
	fill j 4 8007 2
	bj_wait j dirty=0 in_flight=0 'copied>0'
	finish j
	filled t 2 0 800
	filled t 3 800 80
	filled t 2 880 7120
	same s t 8000 8000 16
	filled t 2 8016 24752
	is "copied" "$(bj_status j copied)" $((80 * 512 + 8192))
}

# Exactly the marked regions, which are rounded outwards.
marked() {
	disk s 16M
	disk t 16M
	fill s 1
	fill t 2
	mirror j s t sync none granularity 4096 paused on
	expect j state paused
	tell j mark 800 80
	tell j mark 8007 2
	is "the map" "$(tell_reply j map)" "800 80 8000 16"
	expect j dirty $((96 * 512))
	tell j resume
	bj_wait_state j ready
	filled t 2 0 800
	filled t 1 800 80
	filled t 2 880 7120
	filled t 1 8000 16
	filled t 2 8016 24752
}

# All but what was taken out, which is rounded inwards.
unmarked() {
	disk s 16M
	disk t 16M
	fill s 1
	fill t 2
	mirror j s t granularity 4096 paused on
	tell j unmark 801 103
	tell j unmark 32760 8
	is "the map" "$(tell_reply j map)" "0 808 904 31856"
	tell j resume
	bj_wait_state j ready
	filled t 1 0 808
	filled t 2 808 96
	filled t 1 904 31856
	filled t 2 32760 8
}

tell_reply() {
	local name=$1

	shift
	bj_dm message "$BJ_PREFIX$name" 0 "$@" | tr '\n' ' ' | sed 's/ $//'
}

# Legs that begin somewhere, and end before the device does.
offsets() {
	disk s 16M
	disk t 32M
	fill s 1
	fill t 2
	dm j "0 20001 blkjob mirror ${dev[s]} 1003 ${dev[t]} 30011"
	bj_wait_state j ready
	filled t 2 0 30011
	filled t 1 30011 20001 1003
	filled t 2 50012 15524
	fill j 3 19990 11
	finish j
	filled t 3 50001 11 19990
	filled s 3 20993 11 19990
}

# A table with a linear piece before and behind the job.
in_the_middle() {
	disk s 16M
	disk t 16M
	fill s 1
	fill t 2
	dm j "0 8192 linear ${dev[s]} 0" \
	   "8192 8195 blkjob mirror ${dev[s]} 8192 ${dev[t]} 500" \
	   "16387 16381 linear ${dev[s]} 16387"
	bj_wait_state j ready
	filled j 1
	filled t 2 0 500
	filled t 1 500 8195 8192
	filled t 2 8695 24073
	must bj_dm message "${BJ_PREFIX}j" 8200 complete
	bj_wait_state j pending
	# Over both borders
	fill j 3 8000 9000
	must bj_dm message "${BJ_PREFIX}j" 8200 finalize
	fill j 4 8000 9000
	filled t 4 500 8195 8192
	filled s 4 8000 192
	filled s 3 8192 8195
	filled s 4 16387 613
	filled t 2 0 500
	filled t 2 8695 24073
}

# Old data of the target device must not show where the source has nothing.
sparse_source() {
	disk s 16M
	disk t 16M
	fill t 42
	fill s 1 2048 64
	mirror j s t
	bj_wait_state j ready
	zeroed t 0 2048
	filled t 1 2048 64
	zeroed t 2112
	finish j
}

read_only_source() {
	local said

	disk s 4M
	fill s 1
	disk t 4M
	losetup -d "${dev[s]}"
	losetup -r "${dev[s]}" "$BJ_TMP/file-s"
	said=$(bj_dm create-ro "${BJ_PREFIX}j" "$(line s t)") || fail "$said"
	dms+=(j)
	dev[j]=$said
	bj_wait_state j ready
	same s t
	finish j
	filled j 1
	bj_data fill "${dev[j]}" 2 0 8 >/dev/null && fail "can be written"
	same s t
}

# Two jobs from one source, and one from another.
at_once() {
	local i

	for i in 1 2 3; do
		disk t$i 16M
		fill t$i 9$i
	done
	disk s 16M
	disk s3 16M
	fill s 1
	fill s3 3
	mirror j1 s t1
	mirror j2 s t2
	mirror j3 s3 t3
	for i in 1 2 3; do
		bj_wait_state j$i ready
		finish j$i
	done
	filled t1 1
	filled t2 1
	filled t3 3
}

# Ready and nobody writes: no I/O at all.
idle() {
	local before

	disk s 4M
	disk t 4M
	fill s 1
	mirror j s t
	bj_wait_state j ready
	settle
	before="$(iostat s) $(iostat t)"
	sleep 1
	is "I/O of an idle job" "$(iostat s) $(iostat t)" "$before"
}

# Only what was written after ready is copied again.
copies_again() {
	local i

	disk s 16M
	disk t 16M
	mirror j s t
	bj_wait_state j ready
	tell j pause
	for i in 0 3 100 101 255; do
		fill j 2 $((i * 128)) 1
	done
	expect j dirty $((5 * 65536))
	tell j resume
	bj_wait j dirty=0 in_flight=0
	expect j recopied $((5 * 65536))
	same s t
	finish j
}

# Beyond 2^32 sectors.
large() {
	disk s 3T
	disk t 3T
	mirror j s t sync none
	bj_wait_state j ready
	fill j 1 5000000001 100
	fill j 1 705032704 16
	bj_wait j dirty=0 in_flight=0
	filled t 1 5000000001 100
	filled t 1 705032704 16
	zeroed t 705032705 0
	zeroed t 705032720 100
	tell j mark 6442450943 1
	bj_wait j dirty=0 in_flight=0
	finish j
}

conformance 1 5 7 16 17 19 20 25 26 28 29 31 35 37
bj_run "copies 512" "copies 1049600" "copies 20003328" \
	"copies 4194304 granularity 512" "copies 4194304 granularity 8192" \
	"copies 4194304 granularity $((512 << RANDOM % 18))" \
	"copies 4194304 buf_size 0" "copies 4194304 buf_size 512" \
	"copies 8388608 granularity 4096 buf_size 4096" \
	"copies 8388608 granularity 1048576 buf_size 1" \
	"copies 8389120 granularity 67108864" \
	"copies 8388608 buf_size 1048576" \
	"copies 33554944 buf_size 67108864" \
	"copies 8388608 buf_size 100 granularity 16384" \
	"copies 8388608 copy_mode write-blocking" \
	events sync_none marked unmarked offsets in_the_middle sparse_source \
	read_only_source at_once idle copies_again large
