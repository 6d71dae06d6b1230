#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Whole lives of small and odd devices, two masters at once, many who look, and
# what the consumer and the administrator do meanwhile.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

# life SIZE: everything that can be done, with a device of so many bytes.
life() {
	local size=$1

	disk s "$size"
	disk t "$size"
	fill s 1
	fill t 7
	mirror j s t paused on
	is "paused" "$(bj_status j state offset len)" "paused 0 $size"
	tell j resume
	bj_wait_state j ready
	is "ready" "$(bj_status j offset len)" "$size $size"
	tell j pause
	fill j 2 0 1
	is "standby" "$(bj_status j state offset)" "standby $size"
	tell j resume
	bj_wait j state=ready dirty=0 in_flight=0
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active)" "completed source"
	same s t
	gone j
	fill t 7
	mirror j s t paused on
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active)" "cancelled source"
	filled t 7
	gone j
	mirror j s t copy_mode write-blocking
	bj_wait_state j ready
	fill j 3 $((size / 512 - 1)) 1
	finish j
	filled t 3 $((size / 512 - 1)) 1
}

# Sectors: read from s but not by who reads j, written to s, read, written at t.
moved() {
	local s t j=()

	read -ra s <<<"$(iostat s)"
	read -ra t <<<"$(iostat t)"
	[ -z "${dev[j]-}" ] || read -ra j <<<"$(iostat j)"
	echo "$((s[1] - ${j[1]-0})) ${s[3]} ${t[1]} ${t[3]}"
}

# Nothing to copy: ready at once, and nothing of it is read.
nothing_to_do() {
	local before

	disk s 16M
	disk t 16M
	settle
	before=$(moved)
	mirror j s t sync none
	bj_wait_state j ready
	settle
	is "sectors read and written" "$(moved)" "$before"
	is "len" "$(bj_status j offset len)" "0 0"
	# Somebody has it open
	exec 5<"${dev[j]}"
	dmsetup remove "${BJ_PREFIX}j" 2>/dev/null && fail "was removed"
	expect j state ready
	exec 5<&-
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" "completed source -"
	gone j
}

# The consumer stands still, and the whole devices are compared.
frozen() {
	disk s 8M
	disk t 8M
	fill s 1
	mirror j s t
	layer top j
	load a top 1 -r 10
	bj_wait_state j ready
	ctl suspend top
	tell j complete
	bj_wait_state j pending
	same s t
	tell j finalize
	ctl resume top
	unload a
	verify t a
}

# Legs cannot go while a job has them, and can afterwards.
legs_in_use() {
	local name

	disk s 8M
	disk t 8M
	layer ls s
	layer lt t
	mirror j ls lt speed 65536
	for name in ls lt; do
		dmsetup remove "$BJ_PREFIX$name" 2>/dev/null &&
			fail "$name was removed"
	done
	expect j state running
	tell j set speed 0
	bj_wait_state j ready
	finish j
	for name in ls lt; do
		dmsetup remove "$BJ_PREFIX$name" 2>/dev/null &&
			fail "$name was removed"
	done
	gone j
	gone ls
	gone lt
}

# look JOB: until it is gone, one line each time.
look() {
	while bj_status "$1" offset len state; do
		bj_dm message "$BJ_PREFIX$1" 0 map >/dev/null
	done 2>/dev/null
}

# Many look while a job lives and dies: no line is torn, offset never falls
# nor passes len.
watched() {
	local i

	need_target delay
	disk s 2M
	disk t 2M
	# So slow that copies are in flight most of the time
	dm slow "0 4096 delay ${dev[t]} 0 0 ${dev[t]} 0 30"
	mirror j s slow buf_size 131072
	for i in 1 2 3 4; do
		look j >"$BJ_TMP/look-$i" &
	done
	bj_wait_state j ready
	for i in 2 3; do
		fill j $i
		tell j complete
		bj_wait_state j pending
		[ $i -eq 3 ] || tell j rollback
	done
	tell j finalize
	gone j
	wait
	for i in 1 2 3 4; do
		must awk '
			$3 ~ /^E/ || NF == 1 { next }
			NF != 3 || $1 > $2 || $1 < last { print; bad = 1 }
			{ last = $1 }
			END { exit bad || NR < 2 }' "$BJ_TMP/look-$i"
	done
}

# master SEED: any verb at any time, and at last cancel; says what was accepted.
master() {
	local verbs=(pause resume complete rollback "set speed 0" "mark 0 8"
		resume complete "set copy_mode write-blocking") words i

	RANDOM=$1
	for ((i = 0; i < 12; i++)); do
		words=${verbs[RANDOM % ${#verbs[@]}]}
		[ $i -lt 11 ] || words="cancel force"
		# shellcheck disable=SC2086 # words they are
		bj_dm message "${BJ_PREFIX}j" 0 $words >/dev/null && echo "$words"
	done
}

# Three at once: whatever they do, there is one end, and it is a true one.
masters() {
	local masters=() i

	disk s 4M
	disk t 4M
	fill s 1
	mirror j s t
	layer top j
	load a top 1
	for i in 1 2 3; do
		master $i >"$BJ_TMP/master-$i" &
		masters+=($!)
	done
	wait "${masters[@]}"
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" "cancelled source -"
	is "cancels" "$(cat "$BJ_TMP"/master-* | grep -c '^cancel')" 1
	unload a
	verify s a
}

# Below a device in use the layer of a job comes and goes.
lower() {
	local i

	disk s 4M
	disk t 4M
	fill s 1
	layer j s
	layer top j
	load a top 1 -r 10
	for ((i = 0; i < 5 * BJ_ROUNDS; i++)); do
		swap j "0 8192 blkjob mirror ${dev[s]} 0 ${dev[t]} 0"
		((i % 2)) && bj_wait_state j ready
		swap j "0 8192 linear ${dev[s]} 0"
	done
	unload a
	verify s a
}

conformance 16 17 64 142 145 155 170 293
bj_run "life 512" "life 1049600" "life 65536" nothing_to_do frozen legs_in_use \
	watched masters lower
