#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Stream: the target device is used at once, over a source that nobody writes
# to, and what it lacks comes behind.

# shellcheck source=lib-stream.sh
. "$(dirname "$0")/lib-stream.sh"

# fills SIZE [KEY VALUE]...: all of it arrives, and then the source can go.
fills() {
	local size=$1

	shift
	trio "$size"
	stream j s t m paused on "$@"
	is "the start" "$(bj_status j state active valid)" "paused both 0"
	filled j 1
	filled t 9
	tell j resume
	over j
	same s t
	swap j "0 $(sectors s) linear ${dev[t]} 0"
	must losetup -d "${dev[s]}"
	loops=("${loops[@]:1}")
	filled j 1
}

# A source that cannot be written to at all.
read_only() {
	disk s 4M
	fill s 1
	must losetup -d "${dev[s]}"
	loops=()
	dev[s]=$(losetup --read-only --find --show "$BJ_TMP/file-s") ||
		fail "no read-only loop device"
	loops+=("${dev[s]}")
	disk t 4M
	disk m 1M
	stream j s t m
	fill j 2 8 100
	over j
	filled t 1 0 8
	filled t 2 8 100
	filled t 1 108 8084
	filled s 1
}

# Writes of a part of a region, of one, and of many with two parts.
writes_win() {
	trio
	stream j s t m paused on "$@"
	fill j 2 3 1
	fill j 2 40 8
	fill j 2 101 300
	fill j 2 16383 1
	filled j 1 0 3
	filled j 2 3 1
	filled j 1 4 36
	filled j 2 40 8
	filled j 1 48 53
	filled j 2 101 300
	filled j 1 401 15982
	filled j 2 16383 1
	expect j held 0
	holds "$(bj_status j valid) < 8388608"
	tell j resume
	over j
	filled t 1 0 3
	filled t 2 3 1
	filled t 1 4 36
	filled t 2 40 8
	filled t 1 48 53
	filled t 2 101 300
	filled t 1 401 15982
	filled t 2 16383 1
	untouched
}

# A region that is written whole is not fetched; a part of one is.
no_fetch() {
	local before

	trio
	stream j s t m paused on
	settle
	before=$(bj_status j copied)
	fill j 2 800 80
	is copied "$(bj_status j copied)" "$before"
	is valid "$(bj_status j valid)" $((10 * 4096))
	fill j 2 883 1
	expect j copied $((before + 4096))
	expect j cbw 4096
	is valid "$(bj_status j valid)" $((11 * 4096))
	expect j offset 4096
}

# The main race: who reads, writes and discards while it is filled sees
# nothing but what it wrote.
race() {
	local i

	trio 16M
	for ((i = 0; i < BJ_ROUNDS; i++)); do
		stream j s t m speed $((4 << 20)) "$@"
		load l j 1 -m 64 -d 5 -z 10 -r 30
		work l
		work l
		tell j set speed 0
		over j
		work l
		unload l
		verify j l
		gone j
		verify t l
		untouched
		poke m 0 8192
		fill t 9
	done
}

# A write to what has been read already, and not yet written, comes after it.
in_flight() {
	local writer

	trio
	layer ls s
	stream j ls t m paused on
	ctl suspend ls
	tell j resume
	bj_wait j 'in_flight>0'
	bj_data fill "${dev[j]}" 2 0 16384 &
	writer=$!
	bj_wait j 'held>0'
	ctl resume ls
	wait $writer || fail "the write failed"
	filled j 2
	over j
	filled t 2
	untouched
}

# Whoever reads and writes parts of the same few regions waits for one fetch.
crowd() {
	trio 1M
	stream j s t m paused on granularity 1048576
	load l j 1 -m 3 -t 16 -r 30
	work l
	unload l
	verify j l
	expect j cbw 1048576
	tell j resume
	over j
	verify t l
	untouched
}

# What is discarded shows neither the source again, where it was a whole
# region, nor ever what the target device had before.
discards() {
	trio
	stream j s t m paused on
	must blkdiscard -o $((4096 * 10)) -l $((4096 * 5)) "${dev[j]}"
	zeroed j 80 40
	is valid "$(bj_status j valid)" $((5 * 4096))
	# A part of a region at both ends.
	must blkdiscard -o $((512 * 163)) -l $((512 * 30)) "${dev[j]}"
	filled j 1 120 48
	zeroed j 168 24
	filled j 1 192 800
	# A part of one region.
	must blkdiscard -o $((512 * 1001)) -l 512 "${dev[j]}"
	filled j 1 192 2000
	# What is there already, on both sides of what is not.
	fill j 2 4000 8
	fill j 2 4016 8
	must blkdiscard -o $((512 * 3996)) -l $((512 * 40)) "${dev[j]}"
	zeroed j 4000 32
	# Zeroes that are no hint.
	must blkdiscard -z -o $((512 * 8003)) -l $((512 * 10)) "${dev[j]}"
	filled j 1 8000 3
	zeroed j 8003 10
	filled j 1 8013 100
	# All of it.
	must blkdiscard "${dev[j]}"
	zeroed j
	untouched
	tell j resume
	over j
	zeroed t
}

# Discards where the target device can write no zeroes are dropped.
no_zeroes() {
	need_target flakey
	trio
	dm lt "0 16384 flakey ${dev[t]} 0 60 0"
	[ "$(<"/sys/class/block/${dev[lt]##*/}/queue/write_zeroes_max_bytes")" = 0 ] ||
		skip "the device can write zeroes"
	stream j s lt m paused on
	must blkdiscard -o 40960 -l 40960 "${dev[j]}"
	filled j 1
}

# After an orderly end the next table goes on.
again() {
	local table valid

	trio
	stream j s t m paused on identity LVM-a target_identity LVM-b
	fill j 2 163 330
	valid=$(bj_status j valid)
	table=$(bj_dm table "${BJ_PREFIX}j")
	gone j
	dm j "$table"
	is table "$(bj_dm table "${BJ_PREFIX}j")" "$table"
	is valid "$(bj_status j valid)" "$valid"
	filled j 1 0 163
	filled j 2 163 330
	filled j 1 493 15891
	tell j resume
	over j
	gone j
	stream j s t m identity LVM-a target_identity LVM-b
	over j
	filled j 2 163 330
	untouched
}

# Cancelled it stays an overlay of both, and can go on.
cancelled() {
	trio
	stream j s t m paused on
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error active)" "cancelled - both"
	refuses j EPERM "concluded cannot accept cancel" cancel
	load l j 1 -m 40 -d 5 -z 5 -r 30
	work l
	unload l
	verify j l
	holds "$(bj_status j dirty) > 0"
	gone j
	stream j s t m paused on
	verify j l
	tell j cancel force
	bj_wait_state j concluded
	tell j resume
	over j
	verify j l
	verify t l
	untouched
	refuses j EPERM "all of it is on the target device" resume
}

# What was unmarked is read from the source for good.
base() {
	trio
	stream j s t m paused on
	tell j unmark 8192 8192
	# Not for being read either.
	filled j 1
	tell j resume
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active dirty valid)" \
		"completed both 0 4194304"
	filled t 9 8192 8192
	same s t 0 0 8192
	filled j 1
	expect j valid 4194304
	fill j 2 9001 2
	filled j 1 8192 809
	filled j 2 9001 2
	filled j 1 9003 7381
	gone j
	stream j s t m paused on
	# Marking what is there does no harm.
	fill j 2 0 8
	tell j mark 0 16384
	tell j resume
	over j
	filled t 2 0 8
	filled t 1 8 8993
	filled t 2 9001 2
	filled t 1 9003 7381
	untouched
}

# A flush waits for the bits of what was written, and these for its data.
commit_order() {
	local flusher before

	trio
	layer lt t
	layer lm m
	stream j s lt lm paused on
	synced j || fail "the first flush failed"
	before=$(bj_status j metadata_writes)
	fill j 2 0 8
	is metadata_writes "$(bj_status j metadata_writes)" "$before"
	ctl suspend lm
	synced j &
	flusher=$!
	bj_wait j "metadata_writes>$before"
	sleep 0.3
	kill -0 $flusher 2>/dev/null || fail "the flush did not wait for the bits"
	ctl resume lm
	wait $flusher || fail "the flush failed"
	before=$(bj_status j metadata_writes)
	# Nothing new: nothing to be written.
	synced j || fail "a flush failed"
	fill j 2 0 8
	synced j || fail "a flush failed"
	is metadata_writes "$(bj_status j metadata_writes)" "$before"
	fill j 2 8 8
	ctl suspend lt
	synced j &
	flusher=$!
	sleep 1.5
	is metadata_writes "$(bj_status j metadata_writes)" "$before"
	kill -0 $flusher 2>/dev/null || fail "the flush did not wait for the data"
	ctl resume lt
	wait $flusher || fail "the flush failed"
	holds "$(bj_status j metadata_writes) > $before"
}

# A write with FUA too, and one to what was filled and is not committed.
fua() {
	local writer before

	trio
	layer lm m
	stream j s t lm paused on
	before=$(bj_status j metadata_writes)
	must dd if=/dev/zero of="${dev[j]}" bs=4096 count=1 oflag=direct,dsync \
		conv=notrunc status=none
	holds "$(bj_status j metadata_writes) > $before"
	before=$(bj_status j metadata_writes)
	ctl suspend lm
	dd if=/dev/zero of="${dev[j]}" bs=4096 count=1 seek=5 \
		oflag=direct,dsync conv=notrunc status=none &
	writer=$!
	bj_wait j "metadata_writes>$before"
	sleep 0.3
	kill -0 $writer 2>/dev/null || fail "the write did not wait for its bit"
	# Meanwhile others do not wait.
	fill j 2 800 8
	filled j 2 800 8
	ctl resume lm
	wait $writer || fail "the write failed"
	zeroed j 40 8
}

# Suspended with and without its I/O, while it is at work.
suspended() {
	local i

	trio 16M
	stream j s t m speed $((2 << 20))
	load l j 1 -m 64 -r 30
	for i in 1 2 3 4 5; do
		ctl suspend j
		ctl resume j
		ctl suspend-noflush j
		ctl resume j
		work l
	done
	tell j set speed 0
	over j
	unload l
	verify j l
	verify t l
	untouched
}

# What an earlier job has left on a target device that was zero is not.
stale() {
	dm s "0 2048 zero"
	disk t 1M
	disk m 1M
	stream j s t m paused on target_is_zero on
	gone j
	fill t 9 80 800
	stream j s t m target_is_zero on
	over j
	zeroed t
}

# Some at once, of one source.
parallel() {
	local i

	disk s 4M
	fill s 1
	written=$(writes s)
	for i in 1 2 3 4; do
		disk t$i 4M
		disk m$i 1M
		stream j$i s t$i m$i speed $((1 << 20))
	done
	for i in 3 4; do
		fill j$i 2 $((i * 80)) 3
	done
	load a j1 1 -m 64
	fill j2 2
	work a
	for i in 1 2 3 4; do
		tell j$i set speed 0
	done
	over j1
	over j2
	unload a
	verify t1 a
	filled t2 2
	for i in 3 4; do
		over j$i
		filled t$i 1 0 $((i * 80))
		filled t$i 2 $((i * 80)) 3
		filled t$i 1 $((i * 80 + 3)) $((8192 - i * 80 - 3))
	done
	untouched
}

# A source of several disks.
striped() {
	disk a 2M
	disk b 2M
	dm s "0 8192 striped 2 128 ${dev[a]} 0 ${dev[b]} 0"
	fill s 1
	disk t 4M
	disk m 1M
	stream j s t m paused on
	fill j 2 1027 300
	tell j resume
	over j
	filled t 1 0 1027
	filled t 2 1027 300
	filled t 1 1327 6865
	filled s 1
}

# A source that is shorter, made as long with zeroes.
shorter() {
	disk a 4M
	fill a 1
	disk t 8M
	fill t 9
	disk m 1M
	refused_line "source .* has 8192 sectors, 16384 are needed"
	dm s "0 8192 linear ${dev[a]} 0" "8192 8192 zero"
	stream j s t m paused on
	filled j 1 0 8192
	zeroed j 8192 8192
	fill j 2 8190 4
	tell j resume
	over j
	filled t 1 0 8190
	filled t 2 8190 4
	zeroed t 8194 8190
}

refused_line() {
	must_fail EINVAL "$1" bj_dm create "${BJ_PREFIX}x" \
		"0 16384 blkjob stream ${dev[a]} 0 ${dev[t]} 0 2 metadata ${dev[m]}"
}

conformance 247 250 251 254 257 259 260 262 265 266 268 269 274 277
bj_run "fills 8M" "fills 4195840 granularity 65536" \
	"fills 2097664 granularity 512" \
	"fills 8M target_is_zero off speed 20000000" read_only writes_win \
	"writes_win granularity 65536" no_fetch race \
	"race granularity 65536 copy_on_read off" in_flight crowd discards \
	no_zeroes again cancelled base commit_order fua suspended stale \
	parallel striped shorter
