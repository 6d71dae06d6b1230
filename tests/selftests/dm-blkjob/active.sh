#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Writes that go to both legs: where they meet each other, where they end, what
# a leg that fails makes of them, and what is left of them after a power cut.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# in_step [KEY VALUE]...: both legs are equal, and stay so.
in_step() {
	legs 8M
	mirror j ls lt copy_mode write-blocking "$@"
	bj_wait j state=ready actively_synced=1
}

# Nothing becomes dirty, however much is written, and complete finds nothing
# to do. Only blocks of 4 KiB: smaller writes that are neighbours wait for none.
stays_clean() {
	local i

	in_step
	load a j 1 -m 64 -B 8
	for ((i = 0; i < 30; i++)); do
		expect j dirty 0
	done
	tell j complete
	bj_wait_state j pending
	expect j dirty 0
	tell j finalize
	unload a
	verify t a
}

# writer SEED SECTOR SECTORS: in the background.
writer() {
	bj_data fill "${dev[j]}" "$@" >/dev/null &
	writers+=($!)
}

# Four that overlap, held on the target device and let go together.
intersecting() {
	local writers=() i

	in_step
	ctl suspend lt
	writer 2 0 2048
	writer 3 0 4096
	writer 4 0 4096
	writer 5 2048 4096
	# On their way, as far as they come
	sleep 0.3
	ctl resume lt
	for i in "${writers[@]}"; do
		wait "$i" || fail "a writer failed"
	done
	bj_wait j dirty=0 in_flight=0
	same s t
	finish j
	same s t
}

zero() {
	must blkdiscard -z -o $(($1 * 512)) -l $(($2 * 512)) "${dev[j]}"
}

# Less than a region, over the borders of regions, and at the end.
unaligned() {
	local at

	in_step granularity 65536
	for ((at = 1; at < 16384; at += 2048)); do
		fill j 2 "$at" 1
		zero $((at + 2)) 1
	done
	fill j 3 127 2
	zero 255 3
	fill j 4 16382 1
	zero 16383 1
	must blkdiscard -o $((16000 * 512)) -l 65536 "${dev[j]}"
	must blkdiscard -o $((16129 * 512)) -l $((253 * 512)) "${dev[j]}"
	# Zeroes that a leg refuses are copied later, with nobody to wait for it
	bj_wait j dirty=0 in_flight=0
	same s t
	filled t 2 1 1
	filled t 2 14337 1
	filled t 1 2 1
	zeroed t 3 1
	filled t 3 127 2
	zeroed t 255 3
	filled t 4 16382 1
	zeroed t 16383 1
	finish j
	same s t
}

# acknowledged MODE: what is acknowledged before complete is on the target
# device in pending, each time.
acknowledged() {
	local i

	legs 8M
	mirror j ls lt copy_mode "$1"
	bj_wait_state j ready
	for i in 2 3 4; do
		fill j $i 100 8
		tell j complete
		bj_wait_state j pending
		filled t $i 100 8
		tell j rollback
		bj_wait_state j ready
	done
	fill j 5 100 8
	finish j
	filled t 5 100 8
}

# charged GROUP LEG: bytes that the cgroup is said to have written to it.
charged() {
	awk -v dev="$(stat -Lc %Hr:%Lr "${dev[$2]}")" '$1 == dev {
		for (i = 2; i <= NF; i++)
			if (sub(/^wbytes=/, "", $i))
				print $i
	}' "$1/io.stat"
}

# Both halves of a write are the consumer's, also where its cgroup has limits.
charges() {
	local root=/sys/fs/cgroup group leg

	mountpoint -q $root || must mount -t cgroup2 none $root
	must sh -c "echo +io >$root/cgroup.subtree_control"
	group=$root/blkjob-$BASHPID
	must mkdir "$group"
	in_step
	must sh -c "echo 0 >$group/cgroup.procs;
		exec dd if=/dev/zero of=${dev[j]} bs=64k count=16 oflag=direct"
	for leg in ls lt; do
		is "bytes charged for $leg" "$(charged "$group" $leg)" 1048576
	done
	must rmdir "$group"
}

# From the moment in which the job says so, every write is on both at once.
changed() {
	local i

	legs 8M
	mirror j ls lt
	bj_wait_state j ready
	tell j pause
	fill j 2 0 2048
	expect j actively_synced 0
	tell j resume
	tell j set copy_mode write-blocking
	tell j set copy_mode write-blocking
	bj_wait j actively_synced=1
	for i in 3 4 5; do
		fill j $i $((i * 1000)) 8
		filled t $i $((i * 1000)) 8
	done
	tell j set copy_mode background
	fill j 6 100 8
	bj_wait j dirty=0 in_flight=0
	same s t
	finish j
}

# target_fails POLICY: the writer is not told, and the range is known.
target_fails() {
	in_step on_target_error "$1" granularity 4096
	bad lt t 8000 8
	fill j 2 7900 200
	bj_wait j 'target_errors>0'
	is "the job" "$(bj_status j io_status error result)" "failed - -"
	if [ "$1" = stop ]; then
		bj_wait_state j standby
		# All of the writes that it was in
		is "the rest" "$(bj_status j actively_synced dirty)" "0 106496"
	fi
	fill j 3 100 8
	good lt t
	[ "$1" != stop ] || tell j resume
	bj_wait j state=ready dirty=0 in_flight=0 actively_synced=1
	expect j io_status ok
	same s t
	filled t 2 7900 200
	finish j
}

# The writer's own error is his: what the source holds then is copied by itself.
source_fails() {
	in_step granularity 4096 on_source_error ignore
	bad ls s 8000 8
	bj_data fill "${dev[j]}" 2 7992 24 >/dev/null && fail "no error"
	good ls s
	bj_wait j dirty=0 in_flight=0
	same s t
	finish j
}

# Both lose their power: what the target device has then is at least what the
# consumer flushed, because a flush goes to both legs.
power_cut() {
	need_target log-writes
	disk s 8M
	disk t 8M
	disk after 8M
	disk log 64M
	disk x 8M
	fill x 3
	dm lt "0 16384 log-writes ${dev[t]} ${dev[log]}"
	mirror j s lt copy_mode write-blocking
	bj_wait j state=ready actively_synced=1
	fill j 2 0 4096
	must sync "${dev[j]}"
	tell lt mark flushed
	must dd if="${dev[x]}" of="${dev[j]}" bs=4096 count=4 skip=1000 \
		seek=1000 iflag=direct oflag=direct,dsync status=none
	tell lt mark forced
	fill j 4 12000 8
	gone j
	gone lt
	must perl ./bj_replay.pl "$BJ_TMP/file-log" "${dev[after]}" flushed
	filled after 2 0 4096
	zeroed after 8000 32
	must perl ./bj_replay.pl "$BJ_TMP/file-log" "${dev[after]}" forced
	filled after 2 0 4096
	filled after 3 8000 32
	filled t 4 12000 8
}

conformance 67 68 70 71 74 77 79 80 82
bj_run stays_clean intersecting unaligned "acknowledged background" \
	"acknowledged write-blocking" changed "target_fails stop" \
	"target_fails ignore" source_fails charges power_cut
