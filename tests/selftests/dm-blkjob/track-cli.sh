#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The commands track, checkpoint, untrack and dump: a device in use is tracked,
# and what they say has changed is all that a copy needs.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 16M
	disk m 1M
	fill s 1
	user u s
}

# since NAME RANGES: in bytes, as dump --since prints them.
since() {
	is "what has changed since $1" \
		"$(blkjob dump "${dev[m]}" --since "$1" | xargs)" "$2"
}

begun() {
	ends 0 "checkpoint $1 begun" checkpoint "${dev[u]}" "$1"
}

# The same with the table, the dump and the JSON.
life() {
	pair
	started track "${dev[u]}" --metadata "${dev[m]}" --granularity 4K \
		--checkpoint monday
	ends 0 '^\[' list --json
	must json jobs "$out"
	fill u 2 8 8
	begun tuesday
	fill u 3 80 1
	since monday "4096 4096 40960 4096"
	since tuesday "40960 4096"
	ends 0 '^monday .* active' checkpoint "${dev[u]}"
	ends 0 '' checkpoint "${dev[u]}" --json
	is names "$(perl -MJSON::PP -ne 'print map { "$_->{name} $_->{state} " }
		@{decode_json $_}' "$out")" "monday active tuesday active "
	ends 0 '^tuesday .* 4.0 KiB' dump "${dev[m]}"
	ends 0 '' dump "${dev[m]}" --since tuesday --json
	must json dump "$out"
	is ranges "$(json dump "$out" ranges)" "40960+4096"
	ends 0 'is whole, with 2 checkpoints' check --metadata "${dev[m]}"
	ends 0 'deleted' checkpoint "${dev[u]}" monday --delete
	ends 0 '^tuesday' checkpoint "${dev[u]}"
	grep -q monday "$out" && fail "monday is still there"
	since tuesday "40960 4096"
	ends 0 'not tracked any more' untrack "${dev[u]}"
	ends 7 'since checkpoint tuesday is not known' check --metadata "${dev[m]}"
	filled u 3 80 1
	nothing_left
}

# A copy, and twice what has changed since the last one: always the same.
incremental() {
	local i last=c0

	pair
	disk t 16M
	started track "${dev[u]}" --metadata "${dev[m]}" --granularity 4K
	begun c0
	must dd if="${dev[u]}" of="${dev[t]}" bs=1M iflag=direct oflag=direct \
		status=none
	load l u 1
	for i in 1 2 3; do
		work l
		begun c$i
		blkjob dump "${dev[m]}" --since $last >"$BJ_TMP/ranges" ||
			fail "no ranges"
		while read -r start length; do
			must dd if="${dev[u]}" of="${dev[t]}" bs=4096 \
				skip=$((start / 4096)) seek=$((start / 4096)) \
				count=$((length / 4096)) iflag=direct \
				oflag=direct status=none
		done <"$BJ_TMP/ranges"
		ends 0 deleted checkpoint "${dev[u]}" $last --delete
		last=c$i
	done
	unload l
	# All that differs is what was written since.
	blkjob dump "${dev[m]}" --since $last >"$BJ_TMP/ranges"
	while read -r start length; do
		must dd if="${dev[u]}" of="${dev[t]}" bs=4096 \
			skip=$((start / 4096)) seek=$((start / 4096)) \
			count=$((length / 4096)) iflag=direct oflag=direct \
			status=none
	done <"$BJ_TMP/ranges"
	same u t
	verify u l
	ends 0 '' untrack "${dev[u]}"
	nothing_left
}

# As after a reboot: the layer is gone, what is on disk counts.
again() {
	local table

	pair
	table=$(table u)
	started track "${dev[u]}" --metadata "${dev[m]}" --checkpoint a
	fill u 2 0 1
	swap u "$table"
	wait_for "the layer stays" none_left
	started track "${dev[u]}" --metadata "${dev[m]}"
	since a "0 65536"
	fill u 2 128 1
	since a "0 131072"
	swap u "$table"
	wait_for "the layer stays" none_left
	# Somebody has it open.
	exec 8<"${dev[u]}"
	ends 3 'is in use, and what was written .* --unwritten .* --reset' \
		track "${dev[u]}" --metadata "${dev[m]}"
	started track "${dev[u]}" --metadata "${dev[m]}" --unwritten
	since a "0 131072"
	ends 0 '' untrack "${dev[u]}"
	started track "${dev[u]}" --metadata "${dev[m]}" --reset --checkpoint b
	since b ""
	exec 8<&-
	ends 0 '' untrack "${dev[u]}"
}

# before GRANULARITY SECTORS SIZE-OF-METADATA: so much of the disk is tracked, with
# two checkpoints, and is not any more.
before() {
	disk s 24M
	disk m "$3"
	fill s 1
	layer lm m
	dm u "0 $2 linear ${dev[s]} 0"
	started track "${dev[u]}" --metadata "${dev[lm]}" --granularity "$1" \
		--checkpoint a
	fill u 2 0 1
	begun b
	fill u 3 8192 1
	swap u "0 $2 linear ${dev[s]} 0"
	wait_for "the layer stays" nothing_left
	old="$(blkjob dump "${dev[m]}" --json)"
}

unchanged() {
	is metadata "$(blkjob dump "${dev[m]}" --json)" "$old"
}

# resized GRANULARITY SECTORS: what is new counts as changed, and a region that
# was not whole before.
resized() {
	local g=$1 first=$(($2 * 512 / $1 * $1))

	before "$1" "$2" 1M
	swap u "0 49152 linear ${dev[s]} 0"
	ends 3 'has 25165824 bytes, and .* --resize .* --reset' \
		track "${dev[u]}" --metadata "${dev[lm]}"
	unchanged
	started track "${dev[u]}" --metadata "${dev[lm]}" --resize
	since a "0 $g 4194304 $g $first $((25165824 - first))"
	since b "4194304 $g $first $((25165824 - first))"
	ends 0 'is whole, with 2 checkpoints' check --metadata "${dev[m]}"
	fill u 4 0 1
	fill u 4 49151 1
	begun c
	fill u 5 49151 1
	since c "$((25165824 - g)) $g"
	since b "0 $g 4194304 $g $first $((25165824 - first))"
	ends 0 deleted checkpoint "${dev[u]}" b --delete
	since a "0 $g 4194304 $g $first $((25165824 - first))"
	# From the disk again
	swap u "0 49152 linear ${dev[s]} 0"
	wait_for "the layer stays" nothing_left
	started track "${dev[u]}" --metadata "${dev[lm]}" --resize
	since a "0 $g 4194304 $g $first $((25165824 - first))"
	since c "$((25165824 - g)) $g"
	ends 0 '' untrack "${dev[u]}"
	nothing_left
}

# What cannot go on is left as it was.
resize_refused() {
	before 512 24576 24K
	swap u "0 49152 linear ${dev[s]} 0"
	ends 2 'give one of them' track "${dev[u]}" --metadata "${dev[lm]}" \
		--resize --reset
	ends 3 'has 48 sectors, and 80 are needed for 2 checkpoints .*--reset' \
		track "${dev[u]}" --metadata "${dev[lm]}" --resize
	unchanged
	exec 8<"${dev[u]}"
	ends 3 'is in use, and what was written' track "${dev[u]}" \
		--metadata "${dev[lm]}" --resize
	exec 8<&-
	unchanged
	swap u "0 16384 linear ${dev[s]} 0"
	ends 3 'has 8388608 bytes, and .* of one with 12582912.*became shorter.*--reset' \
		track "${dev[u]}" --metadata "${dev[lm]}" --resize
	unchanged
	started track "${dev[u]}" --metadata "${dev[lm]}" --reset --granularity 4K
	ends 0 '' untrack "${dev[u]}"
	nothing_left
}

# The metadata device takes the superblock, and no bitmap: nothing is known.
resize_fails() {
	need_target flakey
	before 512 24576 1M
	swap u "0 49152 linear ${dev[s]} 0"
	swap lm "0 16 linear ${dev[m]} 0" \
		"16 2032 flakey ${dev[m]} 16 0 60 1 error_writes"
	ends 5 'cannot write .*may have become inconsistent' \
		track "${dev[u]}" --metadata "${dev[lm]}" --resize
	good lm m
	ends 7 'since checkpoint [ab] is not known' check --metadata "${dev[m]}"
	since a "0 25165824"
	started track "${dev[u]}" --metadata "${dev[lm]}"
	since b "0 25165824"
	begun c
	fill u 5 9 1
	since c "4608 512"
	ends 0 '' untrack "${dev[u]}"
	nothing_left
}

refused() {
	pair
	disk n 1M
	ends 2 'needs --metadata' track "${dev[u]}"
	ends 2 'needs SOURCE' checkpoint
	ends 2 'list, and --delete needs' checkpoint "${dev[u]}" --delete
	ends 3 'no job' checkpoint "${dev[u]}" a
	ends 3 'there are no metadata; is it the right device' dump "${dev[n]}"
	fill n 9
	ends 3 'something else than metadata.*--force' track "${dev[u]}" \
		--metadata "${dev[n]}"
	filled n 9
	ends 3 'something else' check --metadata "${dev[n]}"
	ends 2 'stands alone' check "${dev[u]}" --metadata "${dev[n]}"
	started track "${dev[u]}" --metadata "${dev[n]}" --force
	ends 3 'refused.*no name of at most 63' checkpoint "${dev[u]}" a/b
	ends 3 'refused.*is not there' checkpoint "${dev[u]}" a --delete
	begun a
	ends 3 'refused.*is there already' checkpoint "${dev[u]}" a
	ends 3 "never completes; 'blkjob untrack" complete "${dev[u]}"
	ends 3 'never completes' wait "${dev[u]}"
	ends 3 '' verify "${dev[u]}"
	ends 3 'has no checkpoint b; see: blkjob dump' dump "${dev[n]}" --since b
	ends 3 'already has job' track "${dev[u]}" --metadata "${dev[m]}"
	ends 0 '' untrack "${dev[u]}"
	nothing_left
}

conformance 233 235 236 239 242
cli_run life incremental again "resized 65536 24576" "resized 65536 24577" \
	"resized 4096 16391" "resized 512 24576" resize_refused resize_fails refused
