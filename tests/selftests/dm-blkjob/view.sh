#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The snapshot view: what the source of a backup was at the instant, to be read
# while the source is written. Each read is compared as a whole.

# shellcheck source=lib-view.sh
. "$(dirname "$0")/lib-view.sh"

# idle [KEY VALUE]...: reads of what was, and of what was not overwritten.
idle() {
	pair 4M
	backup j ls lt sync none "$@"
	view v j
	filled v 1
	is "what was read" "$(bj_status v state from_target again)" "whole 0 0"
	holds "$(bj_status v from_source) > 0"
	fill j 3 4000 80
	fill j 4 100 1
	fill j 5 8191 1
	filled v 1
	holds "$(bj_status v from_target) > 0"
	fill j 6
	filled v 1
	filled j 6
	filled s 6
	# From here on it is all in the target device
	filled t 1
	must blkdiscard -z "${dev[j]}"
	filled v 1
}

# loaded LOAD-OPTIONS [KEY VALUE]...: readers, and a heavy writer; the options
# are one word, with commas for blanks.
loaded() {
	local options=${1//,/ } i

	shift
	pair 2M
	backup j ls lt "$@"
	view v j
	view w j
	readers v
	# shellcheck disable=SC2086 # words they are
	load a j 1 $options
	for ((i = 0; i < 2 * BJ_ROUNDS; i++)); do
		filled w 1
		work a
	done
	readers_end
	unload a
	filled v 1
	filled w 1
	verify s a
	say "from the source, then again: $(bj_status v again), $(bj_status w again)"
}

# A reader that finds the old data on the source, and gets there after the write.
too_late() {
	local writer

	need_target delay
	pair 4M
	dm slow "0 8192 delay ${dev[s]} 0 6000 ${dev[s]} 0 0"
	backup j slow lt sync none granularity 4096
	view v j
	settle
	# Its old data take six seconds, and then it goes
	bj_data fill "${dev[j]}" 3 4000 8 &
	writer=$!
	bj_wait j held=1
	sleep 1
	kill -0 $writer || fail "the write was too fast"
	filled v 1 4000 8
	holds "$(bj_status v again) >= 1"
	wait $writer || fail "the write failed"
	filled s 3 4000 8
	filled v 1 4000 8
}

# The same by chance, many times.
slow_source() {
	need_target delay
	pair 4M
	dm slow "0 8192 delay ${dev[s]} 0 30 ${dev[s]} 0 0"
	backup j slow lt sync none granularity 4096
	view v j
	readers v
	load a j 1 -t 8
	while [ "$(bj_status v again)" -lt 20 ] && [ "$(bj_status j dirty)" -gt 0 ]; do
		sleep 0.1
	done
	readers_end
	unload a
	filled v 1
	verify s a
	say "from the source, then again: $(bj_status v again)"
}

# A store that takes time, to read even more: that is the readers' business.
slow_store() {
	local pause

	need_target delay
	pair 4M
	dm slow "0 8192 delay ${dev[t]} 0 1000 ${dev[t]} 0 200"
	backup j ls slow sync none granularity 4096
	view v j
	readers v
	load a j 1 -m 64
	work a
	pause=$(bj_status j pause_us)
	readers_end
	unload a
	say "a write was held for $pause us"
	holds "$pause < 1000000"
	filled v 1
	verify s a
}

# What was taken out of the source and has not reached the store yet.
not_stored() {
	local writer

	need_target delay
	pair 8M
	dm slow "0 16384 delay ${dev[t]} 0 0 ${dev[t]} 0 2000"
	backup j ls slow sync none on_cbw_error "$1"
	view v j
	settle
	bj_data fill "${dev[j]}" 3 8000 8 &
	writer=$!
	if [ "$1" = break-snapshot ]; then
		wait $writer || fail "the write failed"
		filled ls 3 8000 8
	else
		# This writer waits, and so the source has it still
		bj_wait j held=1
	fi
	filled v 1 7936 128
	[ "$1" = break-snapshot ] || expect j held 1
	wait
	filled v 1
	filled j 3 8000 8
}

# Another backup, of the view, to a target device that is slow: the writer only
# ever waits for the store.
pushed() {
	need_target delay
	pair 4M
	disk u 4M
	dm slow "0 8192 delay ${dev[u]} 0 0 ${dev[u]} 0 300"
	backup j ls lt sync none
	view v j
	backup push v slow
	load a j 1
	work a
	bj_wait_state push concluded
	is "the push" "$(bj_status push result error source_errors)" "completed - 0"
	say "a write was held for $(bj_status j pause_us) us"
	holds "$(bj_status j pause_us) < 250000"
	unload a
	filled u 1
	filled v 1
	verify s a
	gone push
}

# blocks NAME: bytes that the file takes.
blocks() {
	echo $(($(stat -c '%b * %B' "$BJ_TMP/file-$1")))
}

# What is discarded is not needed any more: it goes from the store, and is not
# saved if it was not yet.
discards() {
	local before after

	pair 16M
	backup j ls lt sync none granularity 65536 "$@"
	view v j
	fill j 3 0 16384
	bj_wait j in_flight=0
	filled v 1
	before=$(blocks t)
	# Whole regions only: 128 sectors each
	give_up -o $((100 * 512)) -l $((8192 * 512)) "${dev[v]}"
	is "discarded" "$(bj_status v discarded)" $((63 * 65536))
	after=$(blocks t)
	say "the store takes $before, then $after bytes"
	holds "$before - $after >= 60 * 65536"
	filled v 1 0 128
	unreadable v 128 128
	unreadable v 8064 128
	filled v 1 8192
	# Not saved yet: not any more
	before=$(bj_status j cbw)
	give_up -o $((16384 * 512)) -l $((8192 * 512)) "${dev[v]}"
	fill j 3 16384 8192
	is "saved" "$(bj_status j cbw)" "$before"
	unreadable v 16384 8
	unreadable v 24568 8
	filled v 1 24576
	fill j 4
	filled v 1 0 128
	filled v 1 8192 8192
	filled v 1 24576
	holds "$(bj_status j cbw) == $before + 8192 * 512"
	expect v state whole
	# All of it, the last region too
	give_up "${dev[v]}"
	unreadable v 32760 8
	unreadable v 0 8
	filled j 4
	say "the store takes $(blocks t) bytes"
	holds "$(blocks t) < 131072"
}

# Discards of the first half while there is a writer: the other half stays.
discards_loaded() {
	local at

	pair 4M
	backup j ls lt sync none granularity 4096 "$@"
	view v j
	load a j 1 -d,10,-z,10
	for ((at = 0; at < 2 << 20; at += 1 << 18)); do
		give_up -o $at -l $((1 << 18)) "${dev[v]}"
		filled v 1 4096
	done
	work a
	unload a
	filled v 1 4096
	unreadable v 0 8
	unreadable v 4088 8
	verify s a
}

# A copy that takes what it has read out of the store.
moved() {
	local at

	pair 4M
	disk u 4M
	backup j ls lt sync none granularity 65536
	view v j
	load a j 1
	work a
	for ((at = 0; at < 8192; at += 1024)); do
		must dd if="${dev[v]}" of="${dev[u]}" bs=512 skip=$at seek=$at \
			count=1024 iflag=direct oflag=direct status=none
		give_up -o $((at * 512)) -l $((1024 * 512)) "${dev[v]}"
	done
	filled u 1
	work a
	bj_wait j in_flight=0
	say "the store takes $(blocks t) bytes"
	holds "$(blocks t) < 262144"
	unload a
	verify s a
}

# What was taken out of the backup cannot be read.
unmarked() {
	pair 8M
	backup j ls lt sync none granularity 4096 paused on
	view v j
	filled v 1
	tell j unmark 801 103
	unreadable v 808 8
	unreadable v 888 8
	filled v 1 0 808
	filled v 1 904
	fill j 3
	filled v 1 0 808
	filled v 1 904
	tell j resume
	filled v 1 904
}

# Beyond 2^32 sectors.
large() {
	disk s 3T
	disk t 3T
	fill s 1 5000000001 100
	fill s 1 705032707 10
	backup j s t sync none
	view v j
	fill j 2 5000000003 10
	fill j 2 705032707 10
	filled v 1 5000000001 100
	filled v 1 705032707 10
	give_up "${dev[v]}"
	unreadable v 5000000001 8
	unreadable v 4 8
}

# Which sizes of regions and of devices there are.
sizes() {
	disk s "$1"
	disk t "$1"
	fill s 1
	backup j s t sync none granularity "$2"
	view v j
	filled v 1
	fill j 2 0 1
	filled v 1
	fill j 3
	filled v 1
	filled j 3
}

# The job's device may have a file system on it that is mounted.
mounted() {
	mkfs.ext4 --help 2>/dev/null
	[ $? -ne 127 ] || skip "no mkfs.ext4"
	disk s 32M
	disk t 32M
	must mkfs.ext4 -q "${dev[s]}"
	mkdir "$BJ_TMP/mnt" "$BJ_TMP/old"
	must mount "${dev[s]}" "$BJ_TMP/mnt"
	echo old >"$BJ_TMP/mnt/file"
	must umount "$BJ_TMP/mnt"
	backup j s t sync none
	must mount "${dev[j]}" "$BJ_TMP/mnt"
	view v j
	echo new >"$BJ_TMP/mnt/file"
	dd if=/dev/urandom of="$BJ_TMP/mnt/more" bs=1M count=8 status=none
	sync "$BJ_TMP/mnt/file" "$BJ_TMP/mnt/more"
	must mount -o ro "${dev[v]}" "$BJ_TMP/old"
	is "the file" "$(cat "$BJ_TMP/old/file")" old
	is "the new file" "$(ls "$BJ_TMP/old")" "$(printf 'file\nlost+found')"
	must umount "$BJ_TMP/old"
	must umount "$BJ_TMP/mnt"
	must e2fsck -fn "${dev[v]}"
}

conformance 205 206 208 209 211 214
bj_run idle "idle granularity 512 buf_size 1" "idle granularity 1048576" \
	"idle on_cbw_error break-guest-write" "idle cbw_stored on" \
	"loaded -d,10,-z,10 sync none" \
	"loaded -t,16 sync none granularity 4096 buf_size 1048576" \
	"loaded -m,64 sync none granularity 512 on_cbw_error break-guest-write" \
	"loaded -d,10 sync none cbw_stored on" \
	"loaded -t,16 granularity 4096 speed 524288" \
	too_late slow_source slow_store "not_stored break-snapshot" \
	"not_stored break-guest-write" pushed discards \
	"discards on_cbw_error break-guest-write" discards_loaded \
	"discards_loaded cbw_stored on" moved unmarked large \
	"sizes 512 65536" "sizes 263168 512" "sizes 5003264 65536" \
	"sizes 8388608 67108864" mounted
