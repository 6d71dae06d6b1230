#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A mirror with metadata: after it is gone, however it went, the next one copies
# only what may differ.

# shellcheck disable=SC2154 # dev is set by bj_case
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto
REGION=65536
ALL=$((8 << 20))

disks() {
	legs 8M
	disk m 1M
	layer lm m
}

remembers() {
	mirror j ls lt metadata "${dev[lm]}" "$@"
}

# What may differ is no more than what does.
settled() {
	bj_wait j remembers=1 rework=0 dirty=0 in_flight=0
}

# again [KEY VALUE]...: the same job once more.
again() {
	gone j
	remembers "$@"
}

# copied BYTES: that, and no more, was to be copied; and all of it was.
copied() {
	bj_wait j state=ready dirty=0 in_flight=0
	is "copied" "$(bj_status j offset)" "$1"
	same s t
}

# Nothing was written: nothing is copied. Some regions: these.
delta() {
	disks
	remembers
	is "at first" "$(bj_status j len)" $ALL
	bj_wait_state j ready
	settled
	same s t
	again
	copied 0
	settled
	tell j pause
	bj_wait_state j standby
	fill j 2 0 1
	fill j 3 8000 200
	filled t 1
	again paused on
	expect j dirty $((4 * REGION))
	filled j 2 0 1
	tell j resume
	copied $((4 * REGION))
	settled
	again
	copied 0
	finish j
	filled t 3 8000 200
}

# In the middle of the first copy.
first_copy() {
	disks
	remembers speed 262144
	bj_wait j 'offset>2000000'
	again speed 0
	bj_wait_state j ready
	holds "$(bj_status j offset) <= $ALL"
	same s t
}

# cut NUMBER: what the disks hold just now. The metadata first: what comes to the
# others after that must be in them already.
cut() {
	local name

	for name in lm lt ls; do
		ctl suspend-noflush $name
	done
	for name in m t s; do
		must cp "$BJ_TMP/file-$name" "$BJ_TMP/file-$name$1"
	done
	for name in ls lt lm; do
		ctl resume $name
	done
}

# A job on what was there at the cut: what is not to be copied is equal.
restarted() {
	local name

	for name in m t s; do
		disk "$name$1" "$(stat -c %s "$BJ_TMP/file-$name$1")"
	done
	dm "k$1" "$(line "s$1" "t$1" metadata "${dev[m$1]}")"
	bj_wait_state "k$1" ready
	bj_wait "k$1" dirty=0 in_flight=0
	say "copied $(bj_status "k$1" offset) of $ALL"
	same "s$1" "t$1"
}

# At any moment, under a writer.
cut_off() {
	local i n=0

	disks
	remembers granularity 4096 "$@"
	load a j 1 -r 10 -z 5 -d 5 -m 64
	while [ $n -lt $((4 * BJ_ROUNDS)) ]; do
		work a
		cut $n
		# Metadata that do not answer for too long are given up.
		[ "$(bj_status j remembers)" = 1 ] || break
		n=$((n + 1))
	done
	unload a
	for ((i = 0; i < n; i++)); do
		restarted $i
	done
	verify j a
}

# The target device is away, the consumer goes on, and it comes back.
outage() {
	disks
	remembers
	bj_wait_state j ready
	settled
	dead lt
	fill j 2 0 128
	bj_wait_state j concluded
	fill j 3 1024 128
	good lt t
	again
	copied $((2 * REGION))
	filled t 3 1024 128
}

# refused_again WHY [KEY VALUE]...: the same job once more.
refused_again() {
	local why=$1

	shift
	must_fail EINVAL "$why" bj_dm create "${BJ_PREFIX}j" \
		"$(line ls lt metadata "${dev[lm]}" "$@")"
}

pending() {
	tell j complete
	bj_wait_state j pending
}

# From pending on nobody goes on with the source, unless it was left again.
switched() {
	disks
	remembers
	bj_wait_state j ready
	settled
	pending
	expect j remembers 0
	gone j
	refused_again 'has ended on its target device, or was about to'
	must dd if=/dev/zero of="${dev[m]}" bs=4k count=2 oflag=direct status=none
	remembers
	bj_wait_state j ready
	is "to be copied" "$(bj_status j offset)" $ALL
	settled
	pending
	tell j rollback
	settled
	again
	copied 0
	pending
	tell j finalize source
	bj_wait_state j concluded
	fill j 2 0 1
	bj_wait j remembers=1
	again
	copied $REGION
	tell j cancel
	bj_wait_state j concluded
	expect j remembers 1
	fill j 4 0 1
	again
	copied $REGION
	finish j
	fill j 3
	expect j remembers 0
	gone j
	refused_again 'has ended on its target device'
	filled t 3
}

# Which leg it was written to makes no difference. Which one counts does.
reversed() {
	disks
	remembers identity one target_identity two
	bj_wait_state j ready
	settled
	pending
	tell j finalize reverse
	tell j pause
	fill j 2 256 128
	bj_wait j remembers=1
	gone j
	refused_again 'of source "two", not "one"' identity one \
		target_identity two
	mirror j lt ls metadata "${dev[lm]}" identity two target_identity one
	copied $REGION
	filled s 2 256 128
	settled
	pending
	tell j finalize reverse
	fill j 3 512 128
	bj_wait j remembers=1
	again identity one target_identity two
	bj_wait_state j ready
	holds "$(bj_status j offset) <= $REGION"
	filled t 3 512 128
	settled
	same s t
}

# The bitmaps cannot be written: nobody relies on them, and the job goes on.
broken() {
	disks
	remembers
	bj_wait_state j ready
	settled
	bad lm m 16 1000
	fill j 2 0 8
	bj_wait j remembers=0
	expect j state ready
	fill j 3
	good lm m
	again
	is "to be copied" "$(bj_status j len)" $ALL
	bj_wait_state j ready
	settled
	same s t
	again
	copied 0
}

# The metadata device does not answer: nobody waits for it for ever.
hangs() {
	local before

	disks
	remembers
	bj_wait_state j ready
	settled
	ctl suspend lm
	fill j 2 0 8
	expect j remembers 0
	expect j state ready
	fill j 3
	bj_wait j dirty=0 in_flight=0
	before=$(logged 'copies do not end')
	bj_dm remove "${BJ_PREFIX}j" &
	until [ "$(logged 'copies do not end')" -gt "$before" ]; do
		sleep 0.1
	done
	ctl resume lm
	wait $! || fail "it cannot be removed"
	is_gone j
	same s t
}

refused() {
	disks
	must_fail EINVAL 'not sync none' bj_dm create "${BJ_PREFIX}j" \
		"$(line ls lt metadata "${dev[lm]}" sync none)"
	must_fail EINVAL 'without the option metadata has none' bj_dm create \
		"${BJ_PREFIX}j" "$(line ls lt identity one)"
	remembers identity one target_identity two note x/y
	bj_wait_state j ready
	gone j
	must_fail EINVAL 'of source "one", not "two"' bj_dm create \
		"${BJ_PREFIX}j" "$(line ls lt metadata "${dev[lm]}" \
		identity two target_identity one)"
	must_fail EINVAL 'granularity 4096 does not agree' bj_dm create \
		"${BJ_PREFIX}j" "$(line ls lt metadata "${dev[lm]}" \
		identity one target_identity two granularity 4096)"
	must_fail EINVAL 'overlap' bj_dm create \
		"${BJ_PREFIX}j" "$(line ls lt metadata "${dev[lt]}")"
	disk x 4M
	must_fail EINVAL 'those of a mirror job, not track' bj_dm create \
		"${BJ_PREFIX}j" "$(type_line track ls lm identity one)"
	must_fail EINVAL 'of 16384 sectors, not 8192' bj_dm create \
		"${BJ_PREFIX}j" "$(line x lt metadata "${dev[lm]}" \
		identity one target_identity two)"
	remembers identity one target_identity two
	copied 0
}

suspended() {
	disks
	remembers
	load a j 1 -r 10
	bj_wait_state j ready
	ctl suspend j
	ctl resume j
	ctl suspend-noflush j
	ctl resume j
	work a
	unload a
	bj_wait j state=ready dirty=0 in_flight=0
	same s t
	verify s a
	again
	bj_wait j state=ready dirty=0 in_flight=0
	same s t
}

conformance 232

bj_run delta first_copy "cut_off copy_mode background speed 1048576" \
	"cut_off copy_mode write-blocking" outage \
	switched reversed broken hangs refused suspended
