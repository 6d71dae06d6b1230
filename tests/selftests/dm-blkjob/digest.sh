#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "backup --verify": an image is read back and compared with the
# checksums of what was copied; and what is wrong is found, whoever did it.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# pair [BYTES]
pair() {
	disk s "${1:-4194304}"
	disk t "${1:-4194304}"
	fill s 1
	fill t 2
	user u s
	before=$(table u)
}

# slow [OPTION...]: that is not complete soon, in the background; $job.
slow() {
	background making backup "${dev[u]}" "${dev[lt]:-${dev[t]}}" --verify \
		--speed 32K --buf-size 64K "$@"
	said making ' started'
	job=$(only_job)
}

taken_out() {
	is table "$(table u)" "$before"
	nothing_left
}

# The command has told the digest of the disk, all of it.
told() {
	local sum

	sum=$(dd if="${dev[$1]}" iflag=direct bs=64K 2>/dev/null | sha256sum)
	grep -q "sha256:${sum%% *} of $(($(sectors "$1") * 512)) bytes" "$out" || {
		quote <"$out"
		fail "not ${sum%% *}"
	}
}

# no_digest: of what is not to be trusted.
no_digest() {
	if grep -q sha256: "$out"; then
		fail "there is a digest"
	fi
}

# verified BYTES GRANULARITY [OPTION...]: of a device that nobody writes.
verified() {
	pair "$1"
	ends 0 'and all that was copied is there' backup "${dev[u]}" \
		"${dev[t]}" --verify --granularity "$2" "${@:3}"
	filled t 1
	told t
	taken_out
}

# written OPTION...: it is, in and before the sweep, and has zeroes.
written() {
	pair
	must dd if=/dev/zero of="${dev[u]}" oflag=direct bs=64K seek=16 count=15
	slow "$@"
	fill u 3 4090 200
	fill u 4 8191 1
	fill u 5 0 1
	fill u 6 2100 8
	ends 0 '' set "$job" --speed 0
	ended making 0 ' 4.0 MiB compared'
	filled t 1 0 2048
	zeroed t 2048 1920
	filled t 1 3968 4224
	told t
	taken_out
}

# A sector of what was copied is changed behind our back.
changed() {
	pair
	slow
	job_is "$job" 'copied>655359'
	ends 0 '' pause "$job"
	fill t 9 1000 1
	ends 0 '' set "$job" --speed 0
	ends 0 '' resume "$job"
	ended making 5 'does not hold what was copied.*: 1 ranges differ, 64.0 KiB in all. The image is not to be trusted'
	is differ "$(grep differ: "$out")" "differ: 65536 bytes at 458752"
	no_digest
	taken_out
}

# What was not saved yet may be changed: it is not copied yet.
overwritten_later() {
	pair
	slow
	ends 0 '' pause "$job"
	fill t 9 8000 100
	ends 0 '' set "$job" --speed 0
	ends 0 '' resume "$job"
	ended making 0 sha256:
	told t
}

# lies FEATURE...: of a device that loses or changes what it has taken.
lies() {
	need_target flakey
	pair
	dm lt "0 8192 flakey ${dev[t]} 0 0 60 $*"
	ends 5 'is not to be trusted' backup "${dev[u]}" "${dev[lt]}" --verify
	grep -q '^differ: [0-9]* bytes at 0' "$out" || fail "not named"
	no_digest
	taken_out
}

# spilling: a job that is paused, and has old data on its spill device p.
spilling() {
	pair
	disk p 8M
	slow --spill "${dev[p]}"
	ends 0 '' pause "$job"
	fill u 3 7168 1024
	job_is "$job" 'spilled>0'
}

go_on() {
	ends 0 '' set "$job" --speed 0
	ends 0 '' resume "$job"
}

spilled() {
	spilling
	go_on
	ended making 0 ' 4.0 MiB compared'
	filled t 1
	told t
	taken_out
}

# The spill device gives back something else than it has taken.
spill_lies() {
	spilling
	fill p 9 0 1024
	go_on
	ended making 5 'does not hold what was copied.* is not to be trusted'
	grep -q '^differ: ' "$out" || fail "not named"
	no_digest
	taken_out
}

# Reads again what it had read, as the target device did not take it.
write_errors() {
	pair
	layer lt t
	slow --granularity 1M --on-target-error ignore \
		--on-cbw-error break-guest-write
	bad lt t 3000 8
	ends 0 '' set "$job" --speed 0
	job_is "$job" 'target_errors>2'
	good_again lt t
}

# Some of a region was read; then that failed.
read_errors() {
	disk s 8M
	disk t 8M
	fill s 1
	layer ss s
	user u ss
	before=$(table u)
	slow --granularity 4M --on-source-error ignore
	bad ss s 7000 8
	ends 0 '' set "$job" --speed 0 --buf-size 16M
	job_is "$job" 'source_errors>2'
	good_again ss s
}

# good_again LAYER DISK
good_again() {
	good "$1" "$2"
	ended making 0 'MiB compared'
	filled t 1
	told t
	taken_out
}

# It cannot be read: nobody knows what it holds.
unreadable() {
	slow_to_read
	dead lt
	ended making 5 'cannot read .*between byte .*Input/output error'
	no_digest
	taken_out
}

# Only what was copied has checksums; the digest is of all of it.
listed() {
	pair
	printf '1M 64K\n3M 100\n' >"$BJ_TMP/bitmap"
	ends 0 ': 68.0 KiB compared' backup "${dev[u]}" "${dev[t]}" --verify \
		--sync bitmap --bitmap "$BJ_TMP/bitmap" --granularity 4K
	filled t 1 2048 128
	filled t 2 0 2048
	told t
	taken_out
}

endless() {
	pair
	background making backup "${dev[u]}" "${dev[t]}" --verify --sync none \
		--granularity 4K
	said making ' started'
	job=$(only_job)
	fill u 3 1024 16
	fill u 4 960 256
	must bj_dm message "blkjob.$job" 0 complete
	ended making 0 ': 128.0 KiB compared'
	filled t 1 960 256
	filled t 2 1216 6976
	told t
	taken_out
}

# slow_to_read: an image that is complete, and being read.
slow_to_read() {
	need_target delay
	pair
	layer lt t
	slow
	swap lt "0 8192 delay ${dev[t]} 0 2000 ${dev[t]} 0 0"
	ends 0 '' set "$job" --speed 0
	job_is "$job" state=concluded
	said making 'concluded'
}

# The check is interrupted: the image is there, and can be verified.
interrupted() {
	slow_to_read
	kill -INT "${pid[making]}"
	ended making 4 "job $job is complete, and is not verified. 'blkjob complete $job'"
	no_digest
	ends 0 ' backup +concluded ' list
	good lt t
	fill u 3 0 8
	if [ "$1" = cancel ]; then
		ends 0 'is a consistent copy of .*, and was not verified' \
			cancel "$job"
	else
		ends 0 'MiB compared' complete "$job"
		told t
	fi
	filled t 1
	taken_out
}

# The job of this target device.
job_to() {
	job=$(sed -n "s|^blkjob: job \([0-9a-f]*\) started: .* to ${dev[$1]};.*|\1|p" \
		"$BJ_TMP/out-making")
}

# One image of two is wrong.
group() {
	pair
	disk s2 2M
	disk t2 2M
	fill s2 5
	user u2 s2
	background making backup --verify --group g "${dev[u]}:${dev[t]}" \
		"${dev[u2]}:${dev[t2]}" --speed 32K --buf-size 64K
	said making "started: .* to ${dev[t2]};"
	job_to t
	job_is "$job" 'copied>655359'
	fill t 9 1000 1
	ends 0 '' set "$job" --speed 0
	job_to t2
	ends 0 '' set "$job" --speed 0
	ended making 5 "^blkjob: ${dev[t]} does not hold what was copied"
	is differ "$(grep differ: "$out")" "differ: 65536 bytes at 458752"
	told t2
	filled t2 5
	taken_out
}

modprobe -q algif_hash || bj_skip_all "no SHA-256 of the kernel for programs"
cli_run "verified 512 64K" "verified 4194304 512" "verified 4194816 4K" "verified 5242880 1M" \
	"verified 9437696 4M --buf-size 4M" "verified 4194304 64K --on-cbw-error break-guest-write" \
	"written --granularity 4K" "written --cbw-stored --granularity 512" changed \
	overwritten_later "lies 5 corrupt_bio_byte 32 w 1 0" "lies 1 drop_writes" \
	write_errors read_errors unreadable listed endless \
	spilled spill_lies "interrupted complete" "interrupted cancel" group
