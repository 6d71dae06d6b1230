#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Backup with checksum on: the checksums of what was copied are those of the
# data, however these came. What is made of them: digest.sh.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

pair() {
	disk s 8M
	disk t 8M
	fill s 1
	layer ls s
	layer lt t
}

# All that the job has, as "<region> <checksum>".
sums() {
	local at=0 page

	while [ -n "$at" ]; do
		page=$(bj_dm message "${BJ_PREFIX}j" 0 checksums "$at")
		at=$(sed -n 's/^next //p' <<<"$page")
		awk '$1 != "next" { for (i = 2; i <= NF; i++) print $1 + i - 2, $i }' \
			<<<"$page"
	done
}

completed() {
	bj_wait_state j concluded
	expect j result completed
}

# plain GRANULARITY: as they are if nothing happens.
plain() {
	backup j s t checksum on granularity "$1"
	completed
	sums >"$BJ_TMP/plain"
	is "the number of checksums" "$(wc -l <"$BJ_TMP/plain")" $((8388608 / $1))
	gone j
	fill t 2
}

as_plain() {
	completed
	sums >"$BJ_TMP/sums"
	cmp -s "$BJ_TMP/plain" "$BJ_TMP/sums" || {
		diff "$BJ_TMP/plain" "$BJ_TMP/sums" | head -n 10 | quote
		fail "other checksums"
	}
	filled t 1
}

# pieces GRANULARITY [KEY VALUE]...: others than in the plain job, in both lanes.
pieces() {
	pair
	plain "$1"
	backup j s t paused on checksum on granularity "$@"
	fill j 3 8000 8
	fill j 3 100 3000
	fill j 3 16383 1
	tell j resume
	as_plain
}

# spilled GRANULARITY [KEY VALUE]...: they are of what was read from the source,
# whatever way it goes from there.
spilled() {
	pair
	disk p 4M
	plain "$1"
	backup j s t paused on checksum on spill "${dev[p]}" granularity "$@"
	fill j 3 8000 8
	fill j 3 100 3000
	fill j 3 16383 1
	holds "$(bj_status j spilled) > 0"
	tell j resume
	as_plain
}

# Once more what was not written; not what was.
write_errors() {
	pair
	plain "$1"
	backup j s lt paused on checksum on granularity "$1" \
		on_target_error ignore on_cbw_error break-guest-write
	bad lt t 9000 8
	tell j resume
	bj_wait j 'target_errors>2'
	good lt t
	as_plain
}

# Some of a region was read.
read_errors() {
	pair
	plain "$1"
	backup j ls t paused on checksum on granularity "$1" \
		on_source_error ignore
	bad ls s 9000 8
	tell j resume
	bj_wait j 'source_errors>2'
	good ls s
	as_plain
}

# The buffer has what was read, and waits.
kept() {
	pair
	plain "$1"
	backup j s lt paused on checksum on granularity "$1" on_target_error stop
	bad lt t 9000 8
	tell j resume
	bj_wait j state=paused 'target_errors>0'
	good lt t
	tell j resume
	as_plain
}

# Whatever was changed is told by another one, and by that alone.
one_sector() {
	pair
	plain 65536
	fill s 7 1001 1
	backup j s t checksum on
	completed
	sums >"$BJ_TMP/sums"
	is "the difference" "$(diff "$BJ_TMP/plain" "$BJ_TMP/sums" | awk '/^>/ { print $2 }')" 7
}

# What the message says, and when it does not.
messages() {
	local said

	disk s 4M
	disk t 4M
	fill s 1
	backup j s t paused on
	refuses j EPERM 'began without checksum on' checksums
	gone j
	backup j s t paused on checksum on granularity 512
	[[ $(bj_dm table "${BJ_PREFIX}j") == *" checksum on "* ]] ||
		fail "not in the table"
	refuses j EPERM 'before it has completed' checksums
	tell j unmark 16 8
	tell j resume
	bj_wait_state j concluded
	refuses j EINVAL 'the number of one region' checksums 8192
	refuses j EINVAL 'the number of one region' checksums 0 1
	said=$(bj_dm message "${BJ_PREFIX}j" 0 checksums)
	is "the first lines" "$(cut -d ' ' -f 1 <<<"$said" | head -4 | xargs)" "0 8 24 32"
	[[ ${said##*$'\n'} == next\ * ]] || fail "no next: ${said##*$'\n'}"
	said=$(bj_dm message "${BJ_PREFIX}j" 0 checksums 8190)
	[[ $said =~ ^8190\ [0-9a-f]{8}\ [0-9a-f]{8}$ ]] || fail "not $said"
	gone j
	backup j s t paused on checksum on
	tell j cancel
	bj_wait_state j concluded
	refuses j EPERM 'before it has completed' checksums
}

bj_run "pieces 512" "pieces 4096 buf_size 4096" "pieces 65536 buf_size 65536" \
	"pieces 65536 on_cbw_error break-guest-write" "pieces 65536 cbw_stored on" \
	"pieces 4194304" "write_errors 512" "write_errors 65536" \
	"write_errors 4194304" "read_errors 65536" "read_errors 4194304" \
	"kept 4096" "kept 4194304" "spilled 4096" "spilled 65536" \
	"spilled 4194304 on_cbw_error break-guest-write" one_sector messages
