#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command: a switch that keeps the old source equal, the way back, and the
# end of both.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# u on s, below a layer that can be made to fail; t is free.
pair() {
	disk s 4M
	disk t 4M
	fill s 1
	fill t 2
	layer ls s
	user u ls
	before=$(table u)
}

# kept [WORD...]: the job has switched, and keeps the old source equal.
kept() {
	pair
	started mirror "${dev[u]}" "${dev[t]}" "$@"
	ends 0 "its old source is kept equal: 'blkjob undo $job'" \
		complete "$job" --keep-source-synced
	is reversed "$(bj_dm get "blkjob.$job" reversed state)" "1 ready"
}

on_target() {
	is table "$(table u)" "0 8192 linear $(cat "/sys/class/block/${dev[t]##*/}/dev") 0"
	nothing_left
}

on_old_source() {
	is table "$(table u)" "$before"
	nothing_left
}

undone() {
	kept
	ends 0 "^direction +reversed: .*'blkjob undo $job'" status "$job"
	ends 0 "^source +${dev[t]}" status "$job"
	ends 0 ' ready,reversed ' list
	ends 0 '"reversed":true' list --json
	must json jobs "$out"
	is target "$(json jobs "$out" target)" "/dev/mapper/blkjob.$job.src"
	fill u 3
	filled t 3
	ends 3 'has been switched already' complete "$job" --keep-source-synced
	ends 0 'is on its old source again' undo "${dev[u]}"
	on_old_source
	filled u 3
	filled s 3
	fill u 4
	filled t 3
}

let_go() {
	kept
	fill u 3
	ends 0 'stays where it is, and its old source is not kept' complete "$job"
	on_target
	fill u 4
	filled t 4
}

cancelled() {
	kept
	fill u 3
	ends 0 'its old source is a consistent copy of it' cancel "$job"
	on_target
	same s t
	filled u 3
}

for_a_time() {
	pair
	started mirror "${dev[u]}" "${dev[t]}"
	ends 0 'stays where it is, and its old source is not kept' \
		complete "$job" --keep-source-synced --for 1s
	on_target
	filled u 1
}

# The command that waits is ended, by a signal or by somebody who decides.
detached() {
	pair
	started mirror "${dev[u]}" "${dev[t]}"
	background kept complete "$job" --keep-source-synced --for 1h
	said kept 'kept equal'
	kill -INT "${pid[kept]}"
	ended kept 4 "detached.*'blkjob complete $job' lets it go, 'blkjob undo"
	ends 0 'old source again' undo "$job"
	on_old_source
	started mirror "${dev[u]}" "${dev[t]}"
	background kept complete "$job" --keep-source-synced --for 1h
	said kept 'kept equal'
	fill u 3
	ends 0 'old source again' undo "$job"
	ended kept 0 'ended by another command'
	on_old_source
	filled s 3
}

by_hand() {
	disk s 4M
	disk t 4M
	fill s 1
	mirror a s t
	ends 0 'kept equal' complete "${BJ_PREFIX}a" --keep-source-synced
	fill a 3
	ends 0 'old source again' undo "${BJ_PREFIX}a"
	is table "$(table a)" "0 8192 linear $(cat "/sys/class/block/${dev[s]##*/}/dev") 0"
	filled s 3
}

# The consumer does not notice, and is told when it asks for the way back.
old_source_dies() {
	kept --copy-mode write-blocking
	dead ls
	fill u 3
	job_is "$job" state=concluded
	ends 3 'has ended \(target-write-error\).*not kept equal any more' \
		undo "$job"
	ends 0 'stays where it is' complete "$job"
	on_target
	filled u 3
}

# An undo that was killed between its two steps is done again.
killed_undo() {
	kept
	fill u 3
	must bj_dm message "blkjob.$job" 0 complete
	job_is "$job" state=pending
	must bj_dm message "blkjob.$job" 0 finalize
	ends 0 'old source again' "$1" "$job"
	on_old_source
	filled u 3
}

# Somebody else reads the source, which must not be written below him.
source_in_use() {
	disk s 4M
	disk t 4M
	disk x 4M
	mirror a s t
	mirror k s x
	ends 1 'refused "finalize reverse": .*is the source of another job' \
		complete "${BJ_PREFIX}a" --keep-source-synced
	bj_wait a state=ready reversed=0
}

refused() {
	pair
	disk x 4M
	ends 2 'how long --keep-source-synced lasts' complete a --for 5s
	started mirror "${dev[u]}" "${dev[t]}" --wait
	ends 3 "nothing to undo.*'blkjob cancel $job'" undo "$job"
	must bj_dm message "blkjob.$job" 0 complete
	job_is "$job" state=pending
	must bj_dm message "blkjob.$job" 0 finalize
	ends 3 'has completed, without --keep-source-synced' \
		complete "$job" --keep-source-synced
	ends 3 'nothing to undo' undo "$job"
	ends 0 'is now on' complete "$job"
	on_target
	started backup "${dev[u]}" "${dev[x]}" --speed 64K
	ends 3 'is a backup' complete "$job" --keep-source-synced
	ends 0 '' cancel --force "$job"
}

# LVM's metadata can name only one place.
volume() {
	disk a 16M
	disk n 16M
	disk x 4M
	vg a n
	lv data -L 4M "$BJ_VG" "${dev[a]}"
	fill data 1
	started mirror "$BJ_VG/data" "${dev[x]}" --wait
	ends 3 "LVM's metadata would still name the old extents" \
		complete "$job" --keep-source-synced
	is state "$(bj_dm get "blkjob.$job" state)" ready
	ends 0 '' cancel --force "$job"
	nothing_left
	ends 4 '' migrate "$BJ_VG/data" --to "${dev[n]}" --speed 64K \
		--timeout 1s
	job=$(only_job)
	ends 3 "can name only one place.*--keep-source $job" \
		complete "$job" --keep-source-synced
	ends 0 '' cancel --force "$job"
	nothing_left
}

group() {
	local i before

	for i in 1 2; do
		disk "s$i" 2M
		disk "t$i" 2M
		fill "s$i" "$i"
		user "u$i" "s$i"
	done
	before=$(table u1; table u2)
	set -- mirror --group db "${dev[u1]}:${dev[t1]}" "${dev[u2]}:${dev[t2]}"
	ends 0 started "$@"
	ends 0 'kept equal' complete db --keep-source-synced
	is "switches reported" "$(grep -c 'kept equal' "$out")" 2
	fill u1 3
	fill u2 4
	ends 0 'old source again' undo db
	is tables "$(table u1; table u2)" "$before"
	filled s1 3
	filled s2 4
	nothing_left
	ends 0 started "$@"
	ends 0 'are not kept equal any more' \
		complete db --keep-source-synced --for 1s
	fill u1 5
	fill u2 6
	filled t1 5
	filled t2 6
	nothing_left
}

cli_run undone let_go cancelled for_a_time detached by_hand old_source_dies \
	"killed_undo undo" "killed_undo complete" source_in_use refused volume group
