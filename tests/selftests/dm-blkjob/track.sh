#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tracking: what has changed since a checkpoint is never less than what the
# metadata say, whatever becomes of the metadata, the job or the machine.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# track_line SOURCE METADATA [KEY VALUE]...
track_line() {
	local source=$1 metadata=$2

	shift 2
	echo "0 $(sectors "$source") blkjob track ${dev[$source]} 0" \
		"${dev[$metadata]} 0 $# $*"
}

# track NAME SOURCE METADATA [KEY VALUE]...
track() {
	local name=$1

	shift
	dm "$name" "$(track_line "$@")"
}

# refused_track ERRNO PATTERN SOURCE METADATA [KEY VALUE]...
refused_track() {
	local errno=$1 pattern=$2

	shift 2
	must_fail "$errno" "$pattern" bj_dm create "${BJ_PREFIX}x" \
		"$(track_line "$@")"
}

pair() {
	disk s "${1-8M}"
	disk m "${2-1M}"
	fill s 1
}

# list JOB: "name state ..." of all checkpoints, the oldest first.
list() {
	bj_dm message "$BJ_PREFIX$1" 0 checkpoints | awk '{ printf "%s %s ", $1, $3 }'
}

# listed JOB WORDS: becomes.
listed() {
	local deadline=$((SECONDS + BJ_TIMEOUT))

	until [ "$(list "$1")" = "${2:+$2 }" ]; do
		[ $SECONDS -lt $deadline ] ||
			fail "checkpoints are '$(list "$1")', not '$2'"
		sleep 0.05
	done
}

# begin JOB NAME WORDS: a checkpoint, and all that are there then.
begin() {
	tell "$1" checkpoint "$2"
	listed "$1" "$3"
}

# drop JOB NAME WORDS
drop() {
	tell "$1" checkpoint-delete "$2"
	listed "$1" "$3"
}

# changed JOB NAME: "start length ..." in sectors.
changed() {
	bj_dm message "$BJ_PREFIX$1" 0 changed "$2" | xargs
}

# since JOB NAME RANGES
since() {
	is "what has changed since $2" "$(changed "$1" "$2")" "$3"
}

# Data go through, and every region that is written is there, and no other.
bits() {
	pair
	track j s m granularity 4096
	is checkpoints "$(list j)" ""
	fill j 2 0 8
	begin j a "a active"
	since j a ""
	fill j 3 8 1
	fill j 3 100 30
	fill j 3 16376 8
	since j a "8 8 96 40 16376 8"
	filled j 2 0 8
	filled s 3 100 30
	filled s 1 130 16246
	same j s
	must blkdiscard -o 1048576 -l 65536 "${dev[j]}"
	must blkdiscard -z -o $((2048 * 512)) -l 512 "${dev[j]}"
	must blkdiscard -z -o $((4096 * 512)) -l 8192 "${dev[j]}"
	since j a "8 8 96 40 2048 128 4096 16 16376 8"
	same j s
	expect j state running
	expect j held 0
}

# A region costs one write of metadata, and none when it is set.
cost() {
	local before

	pair
	track j s m
	begin j a "a active"
	fill j 2 0 128
	before=$(bj_status j metadata_writes)
	fill j 3 0 128
	is metadata_writes "$(bj_status j metadata_writes)" "$before"
	fill j 4 128 128
	is metadata_writes "$(bj_status j metadata_writes)" $((before + 1))
}

# Over a stop and a start, as after a reboot.
again() {
	local table

	pair
	track j s m granularity 4096 identity LVM-abc
	begin j a "a active"
	fill j 2 64 8
	table=$(bj_dm table "${BJ_PREFIX}j")
	gone j
	dm j "$table"
	is table "$(bj_dm table "${BJ_PREFIX}j")" "$table"
	is checkpoints "$(list j)" "a active "
	since j a "64 8"
	fill j 3 1000 1
	since j a "64 8 1000 8"
	begin j b "a active b active"
	since j b ""
	fill j 3 64 8
	gone j
	track j s m granularity 4096 identity LVM-abc
	since j a "64 8 1000 8"
	since j b "64 8"
	filled s 3 64 8
}

# What is deleted leaves what it knew to the one before it.
chain() {
	pair
	track j s m granularity 4096
	begin j a "a active"
	fill j 2 0 8
	begin j b "a active b active"
	fill j 2 80 8
	begin j c "a active b active c active"
	fill j 2 160 8
	since j a "0 8 80 8 160 8"
	since j b "80 8 160 8"
	since j c "160 8"
	drop j b "a active c active"
	since j a "0 8 80 8 160 8"
	since j c "160 8"
	drop j c "a active"
	since j a "0 8 80 8 160 8"
	gone j
	track j s m granularity 4096
	since j a "0 8 80 8 160 8"
	fill j 3 240 8
	since j a "0 8 80 8 160 8 240 8"
	gone j
	track j s m granularity 4096
	since j a "0 8 80 8 160 8 240 8"
	begin j d "a active d active"
	fill j 3 320 8
	drop j a "d active"
	since j d "320 8"
	drop j d ""
	fill j 3 400 8
	begin j a "a active"
	since j a ""
	fill j 3 480 8
	since j a "480 8"
	gone j
	track j s m granularity 4096
	since j a "480 8"
}

# As many as there is place for; a place that was used is as good as new.
places() {
	local i names=''

	disk s 1M
	disk m $((8192 * 4))
	track j s m
	for i in 1 2 3; do
		names+="${names:+ }c$i active"
		begin j c$i "$names"
	done
	refuses j EPERM "has no place" checkpoint c4
	drop j c2 "c1 active c3 active"
	fill j 2 0 1
	begin j c4 "c1 active c3 active c4 active"
	since j c4 ""
	since j c3 "0 128"
	gone j
	track j s m
	since j c4 ""
	since j c3 "0 128"
}

# Regions of many blocks of metadata, and one write that has them all.
large() {
	local line

	dm s "0 4194304 zero"
	disk m 2M
	track j s m granularity 512
	begin j a "a active"
	must blkdiscard -z -o 0 -l $((300000 * 512)) "${dev[j]}"
	since j a "0 300000 next 1048576"
	line=$(bj_dm message "${BJ_PREFIX}j" 0 changed a 299000 | xargs)
	is "from 299000" "$line" "299000 1000 next 1347576"
	gone j
	track j s m granularity 512
	since j a "0 300000 next 1048576"
}

# Nothing reaches the source before its bit is on the metadata device.
bit_first() {
	local writer

	pair
	layer lm m
	track j s lm granularity 4096
	begin j a "a active"
	fill j 2 0 8
	ctl suspend lm
	fill j 3 0 8
	bj_data fill "${dev[j]}" 3 800 8 &
	writer=$!
	bj_wait j held=1
	# Its bit is set, but not there yet: another one waits as well.
	bj_data fill "${dev[j]}" 3 800 8 &
	bj_wait j held=2
	sleep 0.3
	filled s 1 800 8
	ctl resume lm
	wait $writer || fail "the write failed"
	filled s 3 800 8
	expect j state running
	since j a "0 8 800 8"
	holds "$(bj_status j pause_us) > 300000"
}

# The image that is taken after the instant differs only where it says so.
instant() {
	local i start length at=0

	pair 16M
	disk image 16M
	track j s m granularity 4096
	load l j 1
	begin j a "a active"
	work l
	for ((i = 0; i < ${BLKJOB_LONG:+20} + 5; i++)); do
		begin j b "a active b active"
		must dd if="${dev[s]}" of="${dev[image]}" bs=1M iflag=direct \
			oflag=direct status=none
		work l
		at=0
		# Suspended: neither the data nor the bits change.
		ctl suspend j
		while read -r start length; do
			[ "$start" -eq $at ] ||
				same s image $at $at $((start - at))
			at=$((start + length))
		done < <(bj_dm message "${BJ_PREFIX}j" 0 changed b)
		[ $at -eq 32768 ] || same s image $at $at $((32768 - at))
		ctl resume j
		drop j b "a active"
	done
	unload l
	verify j l
	verify s l
}

# sent JOB: a write is on its way to the source, which does not answer.
sent() {
	local deadline=$((SECONDS + BJ_TIMEOUT)) writes=0

	until [ "$writes" -gt 0 ] && [ "$(bj_status "$1" held)" = 0 ]; do
		[ $SECONDS -lt $deadline ] || fail "no write is sent"
		sleep 0.1
		read -r _ writes <"/sys/class/block/${dev[$1]##*/}/inflight"
	done
}

# A write that was sent before the bitmap was there may not be in the copy.
in_flight() {
	local writer before

	pair
	layer ls s
	track j ls m granularity 4096
	begin j a "a active"
	fill j 2 0 8
	ctl suspend ls
	bj_data fill "${dev[j]}" 3 0 8 &
	writer=$!
	sent j
	tell j checkpoint b
	listed j "a active b starting"
	sleep 0.5
	is checkpoints "$(list j)" "a active b starting "
	refuses j EINVAL "not yet" changed b
	ctl resume ls
	wait $writer || fail "the write failed"
	listed j "a active b active"
	since j b ""
	# The same when what it was sent under is gone.
	drop j a "b active"
	ctl suspend ls
	bj_data fill "${dev[j]}" 4 0 8 &
	writer=$!
	sent j
	drop j b ""
	before=$(bj_status j metadata_writes)
	tell j checkpoint c
	# A blank block and a superblock, two slots each: then it has to wait.
	bj_wait j "metadata_writes>$((before + 3))"
	sleep 1
	is checkpoints "$(list j)" "c starting "
	ctl resume ls
	wait $writer || fail "the write failed"
	listed j "c active"
}

# Writes on their way when the job is suspended, and no metadata just then.
suspended() {
	local i

	pair
	track j s m granularity 4096
	load l j 1
	for i in 1 2 3 4 5; do
		begin j c$i "$(for ((n = 1; n <= i; n++)); do echo "c$n active"; done | xargs)"
		ctl suspend j
		ctl resume j
		ctl suspend-noflush j
		ctl resume j
	done
	unload l
	verify s l
	expect j state running
}

# A sector of the bitmap cannot be written: the consumer goes on, and the
# superblock says that nothing is known.
write_error() {
	pair
	layer lm m
	track j s lm granularity 4096
	begin j a "a active"
	fill j 2 0 8
	bad lm m 16 16
	fill j 3 800 8
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error active)" \
		"cancelled metadata-write-error source"
	filled s 3 800 8
	fill j 4 1600 8
	filled s 4 1600 8
	is checkpoints "$(list j)" "a inconsistent "
	since j a "0 16384"
	refuses j EPERM "nothing is tracked" checkpoint b
	gone j
	good lm m
	track j s lm granularity 4096
	is checkpoints "$(list j)" "a inconsistent "
	since j a "0 16384"
	begin j b "a inconsistent b active"
	drop j a "b active"
	since j b ""
}

# The metadata device is gone altogether, or does not answer.
dead_metadata() {
	pair
	layer lm m
	track j s lm
	begin j a "a active"
	dead lm
	fill j 3 800 8
	bj_wait_state j concluded
	expect j error metadata-write-error
	filled s 3 800 8
	since j a "0 16384"
}

hanging_metadata() {
	pair
	layer lm m
	track j s lm
	begin j a "a active"
	ctl suspend lm
	must timeout 40 bj_data fill "${dev[j]}" 3 800 8
	bj_wait_state j concluded
	expect j error metadata-timeout
	filled s 3 800 8
	ctl resume lm
}

# Whoever stops tracking and goes on writing cannot trust it later.
cancelled() {
	pair
	track j s m
	refuses j EPERM "does not end by itself" complete
	refuses j EPERM "what was written" mark 0 8
	refuses j EPERM "nothing to set" set speed 0
	tell j pause
	begin j a "a active"
	fill j 2 0 8
	since j a "0 128"
	tell j resume
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error)" "cancelled -"
	fill j 3 0 8
	filled s 3 0 8
	gone j
	track j s m
	is checkpoints "$(list j)" "a inconsistent "
}

# One sector of it is lost, and what it may have said counts as changed.
damaged() {
	pair
	track j s m granularity 4096
	begin j a "a active"
	fill j 2 0 8
	gone j
	# A copy of the superblock, and the older slot of the only block.
	poke m 512 512
	poke m $((8192)) 512
	track j s m granularity 4096
	is checkpoints "$(list j)" "a active "
	since j a "0 8"
	gone j
	track j s m granularity 4096
	since j a "0 8"
	fill j 2 160 8
	gone j
	poke m 8192 4096
	track j s m granularity 4096
	since j a "0 16384"
	gone j
	poke m 0 8192
	poke m 8704 512
	track j s m granularity 4096
	is checkpoints "$(list j)" ""
}

refused() {
	local sum

	pair
	disk n 1M
	disk o 8K
	refused_track EINVAL "identity .* is not a word" s m \
		identity "$(printf 'x%.0s' {1..120})"
	refused_track EINVAL "has no option speed" s m speed 1
	refused_track EINVAL "overlap" s s
	refused_track ENOSPC "has 16 sectors, at least 32 are needed" s o
	track j s m identity one
	refused_track EBUSY "is the metadata device of another job" n m
	refuses j EINVAL "not known" checkpoint
	refuses j EPERM "no name" checkpoint a/b
	refuses j EPERM "no name" checkpoint "$(printf 'x%.0s' {1..64})"
	refuses j EPERM "is not there" checkpoint-delete a
	refuses j EINVAL "not there" changed a
	begin j a "a active"
	refuses j EPERM "is there already" checkpoint a
	refuses j EINVAL "one sector" changed a 16384
	gone j
	refused_track EINVAL 'source "one", not ""' s m
	refused_track EINVAL 'source "one", not "two"' s m identity two
	refused_track EINVAL "granularity 4096 does not agree" s m \
		identity one granularity 4096
	disk u 4M
	refused_track EINVAL "a source of 16384 sectors, not 8192" u m \
		identity one
	fill n 3
	refused_track EMEDIUMTYPE "something else" s n
	filled n 3
	# Another version, with a checksum that is right: nothing is written.
	must dd if="${dev[m]}" of="$BJ_TMP/md" bs=4096 count=2 iflag=direct status=none
	perl ./bj_md_version.pl "$BJ_TMP/md" 2 || fail "no other version"
	must dd if="$BJ_TMP/md" of="${dev[m]}" oflag=direct bs=4096 status=none
	sum=$(md5sum <"$BJ_TMP/md")
	refused_track EPROTONOSUPPORT "have version 2, and only 1" s m identity one
	must dd if="${dev[m]}" of="$BJ_TMP/md" bs=4096 count=2 iflag=direct status=none
	is metadata "$(md5sum <"$BJ_TMP/md")" "$sum"
}

conformance 221 233 235 239
bj_run bits cost again chain places large bit_first instant in_flight suspended \
	write_error dead_metadata hanging_metadata cancelled damaged refused
