#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a job begins with: --sync top (of thin volumes and snapshots) and
# --sync bitmap; and a snapshot that is committed to its origin.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 16M
	disk t 16M
	fill s 1
	fill t 2
	user u s
}

# copied_only FIRST SECTORS ...: of t, in regions of 4 KiB, is from u.
copied_only() {
	local at=0

	while [ $# -gt 0 ]; do
		[ "$1" -eq "$at" ] || filled t 2 "$at" $(($1 - at))
		same u t "$1" "$1" "$2"
		at=$(($1 + $2))
		shift 2
	done
	[ $at -eq 32768 ] || filled t 2 $at $((32768 - at))
}

bitmap() {
	pair
	cat >"$BJ_TMP/bitmap" <<-'END'
	# start length
	1M 4K      # a region
	0 1

	15.5M  512K
	4194304 8192
	4M 0.5M
	6144K 100
	END
	started mirror "${dev[u]}" "${dev[t]}" --sync bitmap --granularity 4K \
		--bitmap "$BJ_TMP/bitmap" --wait
	ends 0 cancelled cancel "$job"
	copied_only 0 8 2048 8 8192 1024 12288 8 31744 1024
	fill t 2
	echo "64K 64K" | blkjob mirror "${dev[u]}" "${dev[t]}" --sync bitmap \
		--bitmap - --wait >"$BJ_TMP/said" 2>&1 || {
		quote <"$BJ_TMP/said"
		fail "standard input is not taken"
	}
	fill u 5 1024 8
	ends 0 'consistent copy' cancel "$(only_job)"
	copied_only 128 128 1024 128
}

# With the file, the line and the reason; all of them are in a unit test.
bitmap_refused() {
	pair
	ends 3 'cannot read .*nofile: No such file' mirror "${dev[u]}" \
		"${dev[t]}" --sync bitmap --bitmap "$BJ_TMP/nofile"
	printf '# one\n0 4K\n15M 1025K\n' >"$BJ_TMP/bitmap"
	ends 3 "$BJ_TMP/bitmap, line 3: the range ends behind the source" mirror \
		"${dev[u]}" "${dev[t]}" --sync bitmap --bitmap "$BJ_TMP/bitmap"
	ends 2 'belong together' mirror a b --sync bitmap
	ends 2 'belong together' migrate a --to b --bitmap x
	nothing_left
}

# pool: a thin pool with blocks of 64 KiB, and a volume v that holds three.
pool() {
	need_target thin-pool
	need thin_dump
	disk meta 4M
	disk data 32M
	disk t 16M
	fill t 2
	dm pool "0 65536 thin-pool ${dev[meta]} ${dev[data]} 128 0"
	tell pool create_thin 0
	tell pool create_thin 7
	dm v "0 32768 thin ${dev[pool]} 7"
	fill v 1 0 1
	fill v 1 1280 256
}

# The pool's snapshot of its metadata is gone.
no_metadata_snapshot() {
	[[ $(dmsetup status "${BJ_PREFIX}pool") =~ \ [0-9]+/[0-9]+\ -\  ]] ||
		fail "the pool has a snapshot of its metadata"
}

# Only what is mapped is copied, and what is written.
thin_top() {
	pool
	started mirror "${dev[v]}" "${dev[t]}" --sync top --granularity 4K \
		--unmap off --wait
	no_metadata_snapshot
	fill v 3 4096 8
	fill v 4 1280 8
	ends 0 'consistent copy' cancel "$job"
	filled t 2 128 1152
	filled t 2 1536 2560
	filled t 2 4104
	same v t 0 0 128
	same v t 1280 1280 256
	same v t 4096 4096 8
	filled v 4 1280 8
	filled v 1 1288 248
	nothing_left
}

# Somebody else has the only snapshot of the metadata that there can be.
thin_refused() {
	pool
	tell pool reserve_metadata_snap
	ends 3 'makes no snapshot of its metadata.*another tool' mirror \
		"${dev[v]}" "${dev[t]}" --sync top
	filled v 1 1280 256
	tell pool release_metadata_snap
	nothing_left
}

# overlay: u is on a snapshot of s, which has its own at 64 KiB and at 1 MiB.
overlay() {
	need_target snapshot
	disk s 16M
	disk c 20M
	fill s 1
	dm o "0 32768 snapshot ${dev[s]} ${dev[c]} ${1-P} 16"
	layer u o
	fill u 3 128 16
	fill u 4 2048 1
}

# To a copy of the origin, which then shows the same.
snapshot_top() {
	overlay
	disk t 16M
	fill t 1
	# Where the snapshot holds nothing, nothing is copied.
	fill t 2 32000 8
	started mirror "${dev[u]}" "${dev[t]}" --sync top --granularity 4K --wait
	fill u 5 20000 100
	ends 0 'consistent copy' cancel "$job"
	filled t 2 32000 8
	same u t 0 0 32000
	filled s 1
}

snapshot_full() {
	overlay
	disk t 16M
	started mirror "${dev[u]}" "${dev[t]}" --sync full --wait
	ends 0 'is now on' complete "$job"
	filled t 3 128 16
	same o t
	filled s 1
}

# Many exceptions: more than one area of them. And a source that is a part.
snapshot_areas() {
	overlay
	disk t 16M
	fill o 6 0 24000
	fill o 6 32704 64
	dm p "0 32000 linear ${dev[o]} 64"
	started mirror "${dev[p]}" "${dev[t]}" --sync top --granularity 4K --wait
	ends 0 'consistent copy' cancel "$job"
	same p t 0 0 23936
	zeroed t 23936 8064
	gone p
	dm p "0 704 linear ${dev[o]} 32064"
	started mirror "${dev[p]}" "${dev[t]}" --sync top --granularity 4K --wait
	ends 0 'consistent copy' cancel "$job"
	filled t 6 0 640 64
	same p t 640 640 64
}

top_refused() {
	pair
	ends 3 'has no top; use --sync full' mirror "${dev[u]}" "${dev[t]}" \
		--sync top
	dm w "0 8192 linear ${dev[s]} 0" "8192 8192 linear ${dev[s]} 8192"
	ends 3 'has no top' mirror "${dev[w]}" "${dev[t]}" --sync top
	ends 2 'cannot be bottom' mirror "${dev[u]}" "${dev[t]}" --sync bottom
	nothing_left
}

snapshot_refused() {
	overlay N
	disk t 16M
	ends 3 'is not persistent.*--sync full' mirror "${dev[u]}" \
		"${dev[t]}" --sync top
	nothing_left
}

# It has overflowed: nobody knows any more what it was.
snapshot_invalid() {
	need_target snapshot
	disk s 16M
	disk t 16M
	disk c 256K
	dm o "0 32768 snapshot ${dev[s]} ${dev[c]} P 16"
	layer u o
	bj_data fill "${dev[u]}" 3 >"$BJ_TMP/said" 2>&1 && fail "no overflow"
	ends 3 'the snapshot is invalid' mirror "${dev[u]}" "${dev[t]}" --sync top
	nothing_left
}

# With writers all the time, also while the switch is made.
commit() {
	overlay
	fill u 7
	load l u 7
	started mirror "${dev[u]}" "${dev[s]}" --sync top --wait
	ends 0 'is now on' complete "$job"
	unload l
	verify u l
	verify s l
	is table "$(table u)" \
		"0 32768 linear $(cat "/sys/class/block/${dev[s]##*/}/dev") 0"
	nothing_left
}

# The view does not change while parts of it go down, nor when that ends early.
commit_cancelled() {
	overlay
	fill u 8 0 16384
	started mirror "${dev[u]}" "${dev[s]}" --sync top --speed 1M
	job_is "$job" 'offset>1000000'
	ends 0 'incomplete' cancel --force "$job"
	filled u 8 0 16384
	filled u 1 16384
	started mirror "${dev[u]}" "${dev[s]}" --sync top --wait
	fill u 9 30000 100
	ends 0 'consistent copy' cancel "$job"
	same u s
	filled u 9 30000 100
	fill u 10 0 100
	filled s 8 0 100
	nothing_left
}

commit_refused() {
	local mode

	overlay
	for mode in full none; do
		ends 3 'stands on the target.*use --sync top' mirror \
			"${dev[u]}" "${dev[s]}" --sync $mode
	done
	dm p "0 16384 linear ${dev[o]} 8"
	ends 3 'only what a whole snapshot' mirror "${dev[p]}" "${dev[s]}" \
		--sync top
	layer x s
	ends 3 'is used by /dev/mapper/[^ ]*x too; take that away' mirror \
		"${dev[u]}" "${dev[s]}" --sync top
	filled s 1
	nothing_left
}

# The command was killed between the insertion and the marks.
killed() {
	local name=blkjob.0badf00d uuid=BLKJOB-0badf00d

	pair
	must dmsetup create "$name.src" --uuid "$uuid-src" \
		--table "0 32768 linear ${dev[s]} 0"
	must dmsetup create "$name" --uuid "$uuid-job" \
		--table "0 32768 blkjob mirror /dev/mapper/$name.src 0 ${dev[t]} 0 4 sync none paused on"
	swap u "0 32768 linear /dev/mapper/$name 0"
	must dmsetup remove --deferred "$name"
	must dmsetup remove --deferred "$name.src"
	ends 3 "was killed before it knew what to copy; 'blkjob cancel 0badf00d'" \
		resume "${dev[u]}"
	ends 3 'is paused' complete "${dev[u]}"
	ends 0 'job 0badf00d was never started' recover
	ends 0 'is on its source' cancel "${dev[u]}"
	filled u 1
	nothing_left
}

conformance 31 32 43 292 298
cli_run bitmap bitmap_refused thin_top thin_refused snapshot_top \
	snapshot_full snapshot_areas top_refused snapshot_refused \
	snapshot_invalid commit commit_cancelled commit_refused killed
