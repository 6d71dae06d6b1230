#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "backup": an image of one instant, of a device that stays in use;
# with a file system on it, which is frozen for that. Groups: backup-group.sh.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 4M
	disk t 4M
	fill s 1
	fill t 2
	user u s
	before=$(table u)
}

# slow [OPTION...]: an image that is not complete soon.
slow() {
	pair
	started backup "${dev[u]}" "${dev[t]}" --speed 32K --buf-size 64K "$@"
}

# The device has the table that it had; of the job nothing is left.
taken_out() {
	is table "$(table u)" "$before"
	nothing_left
}

image() {
	slow
	fill u 3 4096 64
	fill u 4 8191 1
	background ending complete "$job"
	said ending running
	fill u 5 0 1
	ends 0 '' set "$job" --speed 0
	ended ending 0 '^blkjob: .* is an image of .*: 4.0 MiB saved'
	taken_out
	filled t 1
	filled u 5 0 1
	filled u 1 1 4095
	filled u 3 4096 64
	filled u 4 8191 1
}

# In one go, to a larger device; it is the target device's beginning.
in_one() {
	pair
	disk w 5M
	fill w 9
	ends 0 'is an image of' backup "${dev[u]}" "${dev[w]}" --wait
	grep -q 'of one instant, with file systems frozen; no write was held longer than [0-9.]* ms' \
		"$out" || fail "no word about the instant"
	taken_out
	same u w 0 0 8192
	filled w 9 8192 2048
}

look_and_steer() {
	slow
	ends 0 " backup +running " list
	ends 0 '^type +backup' status "$job"
	ends 0 '"type":"backup"' status "$job" --json
	must json job "$out"
	is active "$(json job "$out" active)" source
	ends 0 '' pause "$job"
	ends 3 "is paused; 'blkjob resume $job' first" complete "$job"
	ends 0 '"status":"paused"' list --json
	ends 0 '' set "$job" --speed 0
	ends 4 "detached.*'blkjob complete $job'.*'blkjob cancel $job'" \
		wait "$job" --timeout 1
	ends 0 'all dirty' map "$job"
	ends 0 '' stats "$job"
	ends 3 'is a backup: its source has been written' verify "$job"
	ends 3 "already has job $job" migrate "${dev[u]}" --to "${dev[t]}"
	ends 3 "already has job $job" backup "${dev[u]}" "${dev[t]}"
	ends 0 '' resume "$job"
	ends 0 'concluded *100.0%' wait "$job"
	ends 0 "job $job is concluded: 'blkjob complete $job' or" recover
	background following events "$job"
	said following 'concluded, 4.0 MiB done'
	ends 0 'is an image of' complete "$job"
	ended following 0 'paused'
	filled t 1
	taken_out
}

cancelled() {
	slow
	background waiting complete "$job"
	said waiting running
	fill u 3 4096 64
	ends 0 "job $job cancelled;.*the copy is incomplete" cancel "$job"
	ended waiting 1 "job $job (is gone|was cancelled)"
	taken_out
	filled u 3 4096 64
	filled u 1 0 4096
}

# LVM loads another table: the layer goes, and with it the image.
extended() {
	disk a 32M
	disk t 8M
	vg a
	lv data -L 8M "$BJ_VG"
	fill data 1
	background waiting backup "$BJ_VG/data" "${dev[t]}" --speed 32K \
		--buf-size 64K --wait
	said waiting running
	must lvextend -q -l +1 "$BJ_VG/data"
	ended waiting 1 "is gone: .*Unless that one has said"
	filled data 1 0 16384
	nothing_left
}

# signal NAME: of who waits; anybody can come back.
signal() {
	pair
	background waiting backup "${dev[u]}" "${dev[t]}" --speed 32K \
		--buf-size 64K --wait
	said waiting running
	job=$(only_job)
	kill "-$1" "${pid[waiting]}"
	ended waiting 4 "detached; job $job goes on.*'blkjob complete $job'"
	fill u 3 4096 64
	ends 0 '' set "$job" --speed 0
	ends 0 'is an image of' complete "$job"
	filled t 1
	taken_out
}

target_fails() {
	pair
	layer tt t
	background waiting backup "${dev[u]}" "${dev[tt]}" --speed 32K \
		--buf-size 64K --wait
	said waiting running
	dead tt
	fill u 3 0 64
	ended waiting 5 'target'
	taken_out
	filled u 3 0 64
	filled u 1 64
}

source_fails() {
	disk s 4M
	disk t 4M
	layer ss s
	user u ss
	before=$(table u)
	# The layer reads through a table like that of the device
	bad ss s 4096 8
	ends 6 'read of the source' backup "${dev[u]}" "${dev[t]}" --wait
	taken_out
}

# Only what is overwritten, and only once; until it is told to end.
endless() {
	pair
	started backup "${dev[u]}" "${dev[t]}" --sync none --granularity 4K
	fill u 3 1024 16
	fill u 4 960 256
	ends 4 detached wait "$job" --timeout 1
	ends 0 'is an image of' complete "$job"
	filled t 2 0 960
	filled t 1 960 256
	filled t 2 1216 6976
	filled u 4 960 256
	taken_out
}

# What is listed, as it was at the instant; nothing else is touched.
bitmap() {
	pair
	printf '1M 64K\n3M 100\n' >"$BJ_TMP/bitmap"
	started backup "${dev[u]}" "${dev[t]}" --sync bitmap --granularity 4K \
		--bitmap "$BJ_TMP/bitmap" --speed 4K --buf-size 4K
	fill u 3 2040 64
	ends 0 '' set "$job" --speed 0
	ends 0 'is an image of.*: 68.0 KiB saved' complete "$job"
	filled t 2 0 2048
	filled t 1 2048 128
	filled t 2 2176 3968
	filled t 1 6144 8
	filled t 2 6152 2040
	filled u 3 2040 64
	taken_out
}

# Of a thin volume: what it holds itself.
top() {
	need_target thin-pool
	need thin_dump
	disk meta 4M
	disk data 32M
	disk t 16M
	fill t 2
	dm pool "0 65536 thin-pool ${dev[meta]} ${dev[data]} 128 0"
	ctl message pool 0 create_thin 7
	dm v "0 32768 thin ${dev[pool]} 7"
	fill v 1 1280 256
	started backup "${dev[v]}" "${dev[t]}" --sync top --unmap off \
		--speed 16K --buf-size 64K
	fill v 3 1280 8
	fill v 3 8192 8
	ends 0 '' set "$job" --speed 0
	ends 0 'is an image of' complete "$job"
	filled t 1 1280 256
	filled t 2 0 1280
	filled t 2 1536 6656
	filled t 2 8320
	filled v 3 1280 8
	nothing_left
}

# What is overwritten goes by another device, and arrives.
spilled() {
	pair
	disk p 8M
	disk tiny 32K
	mounted p
	ends 3 'is mounted' backup "${dev[u]}" "${dev[t]}" --spill "${dev[p]}"
	must umount "$mnt"
	ends 3 'contains data: ext4.*--force' backup "${dev[u]}" "${dev[t]}" \
		--spill "${dev[p]}"
	must wipefs -qa "${dev[p]}"
	ends 3 'is not a block device' backup "${dev[u]}" "${dev[t]}" --spill /
	ends 3 'the spill device .* and the target .* are one' backup \
		"${dev[u]}" "${dev[t]}" --spill "${dev[t]}"
	ends 3 'stands on' backup "${dev[u]}" "${dev[t]}" --spill "${dev[s]}"
	ends 3 'is too small' backup "${dev[u]}" "${dev[t]}" \
		--spill "${dev[tiny]}"
	started backup "${dev[u]}" "${dev[t]}" --speed 256K --buf-size 192K \
		--spill "${dev[p]}"
	[[ $(bj_dm table "blkjob.$job") == \
		*" spill $(mountpoint -x "${dev[p]}")"* ]] ||
		fail "no spill: $(bj_dm table "blkjob.$job")"
	ends 0 '' pause "$job"
	fill u 3 7168 1024
	job_is "$job" 'spilled>0'
	ends 0 '"spilled":[1-9][0-9]*,"spill_full":0,"spill_errors":0' \
		status "$job" --json
	ends 0 '' set "$job" --speed 0
	ends 0 '' resume "$job"
	ends 0 'is an image of' complete "$job"
	filled t 1
	filled u 3 7168 1024
	taken_out
}

# spill_fails: what cannot be read back is said.
spill_fails() {
	pair
	disk p 8M
	layer pp p
	started backup "${dev[u]}" "${dev[t]}" --speed 256K --buf-size 192K \
		--spill "${dev[pp]}"
	ends 0 '' pause "$job"
	fill u 3 7168 1024
	job_is "$job" 'spilled>0'
	dead pp
	ends 0 '' resume "$job"
	ends 5 'were on the spill device could not be read back.*spill-read-error' \
		complete "$job"
	filled u 3 7168 1024
	taken_out
}

refused() {
	local words said

	pair
	disk small 1M
	while read -r words; do
		# shellcheck disable=SC2086 # words it is
		said=$(blkjob $words 2>&1)
		is "status of blkjob $words" $? 2
		[ -n "$said" ] || fail "no word about the error: $words"
	done <<-'END'
	backup
	backup a
	backup a b c
	backup a b --copy-mode auto
	backup a b --replaces c
	backup a b --sync incremental
	backup a b --sync bitmap
	backup a b --bitmap x
	backup a b --sync none --target-is-zero
	backup a b --on-cbw-error report
	backup a b --cbw-timeout -1
	backup a b --timeout 5
	backup a b --spill c --cbw-stored
	backup a b --spill c --since d --bitmap-mode always
	backup a b --spill c --snapshot d
	backup --group g a:b --spill c
	backup --group g a:b --sync bitmap --bitmap x
	END
	ends 3 'is too small' backup "${dev[u]}" "${dev[small]}"
	ends 3 'are both' backup "${dev[u]}" "${dev[u]}"
	ends 3 'stands on' backup "${dev[u]}" "${dev[s]}"
	ends 3 'not a device-mapper device' backup "${dev[s]}" "${dev[t]}"
	mounted t
	ends 3 'is mounted' backup "${dev[u]}" "${dev[t]}"
	must umount "$mnt"
	ends 3 'contains data: ext4.*--force' backup "${dev[u]}" "${dev[t]}"
	taken_out
}

# cbw KEY VALUE OPTION...: what goes into the table line.
cbw() {
	slow "${@:3}"
	[[ $(bj_dm table "blkjob.$job") == *" $1 $2 "* ]] ||
		fail "no $1 $2: $(bj_dm table "blkjob.$job")"
	ends 0 cancelled cancel "$job"
	taken_out
}

conformance 173 175 176 178 182 185 188
cli_run image in_one look_and_steer cancelled extended "signal INT" \
	target_fails source_fails endless bitmap top spilled spill_fails refused \
	"cbw on_cbw_error break-guest-write --on-cbw-error break-guest-write" \
	"cbw cbw_timeout 90 --cbw-timeout 90s" "cbw cbw_stored on --cbw-stored"
