#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The snapshot view: what the source of a backup was at the instant, to be read
# while the source is written. Each read is compared as a whole.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Both legs are layers, to be made to fail, and to hang.
pair() {
	disk s "$1"
	disk t "$1"
	fill s 1
	layer ls s
	layer lt t
}

# view NAME JOB
view() {
	dm "$1" "0 $(sectors "$2") blkjob-snapshot ${dev[$2]}"
}

# unreadable VIEW [OFFSET [SECTORS]]: nothing of it, and no error but this.
unreadable() {
	local said

	said=$(timeout 60 bj_data check "${dev[$1]}" 1 "${@:2}" 2>&1) &&
		fail "$* can be read"
	[[ $said == *"Input/output error"* ]] || fail "$* cannot be read: $said"
}

# unwritten JOB ERROR OFFSET SECTORS: such a write fails like this.
unwritten() {
	local job=$1 error=$2 said

	shift 2
	said=$(timeout 60 bj_data fill "${dev[$job]}" 7 "$@" 2>&1) &&
		fail "the write did not fail"
	[[ $said == *"$error"* ]] || fail "the write failed with: $said"
}

# give_up OPTION... DEVICE: without looking what is there, which it may not read.
give_up() {
	must blkdiscard -f "$@"
}

# Two readers, from end to end and again, until the file "stop" is there; then
# readers_end.
readers() {
	local i

	readers=()
	for i in 1 2; do
		while [ ! -e "$BJ_TMP/stop" ]; do
			bj_data check "${dev[$1]}" 1 || exit 1
			echo >>"$BJ_TMP/rounds"
		done >"$BJ_TMP/reader-$i" 2>&1 &
		readers+=($!)
	done
}

readers_end() {
	local i

	touch "$BJ_TMP/stop"
	for i in 0 1; do
		wait "${readers[i]}" && continue
		quote <"$BJ_TMP/reader-$((i + 1))"
		fail "a reader has seen something else"
	done
	say "rounds of the readers: $(wc -l <"$BJ_TMP/rounds")"
}

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

# A source that takes time to read, so that a write is often quicker than a
# reader that began before it.
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
	unload a
	readers_end
	filled v 1
	verify s a
	say "from the source, then again: $(bj_status v again)"
	holds "$(bj_status v again) > 0"
}

# A store that takes time, to read and to write: that is the readers' business.
slow_store() {
	local pause

	need_target delay
	pair 4M
	dm slow "0 8192 delay ${dev[t]} 0 200 ${dev[t]} 0 200"
	backup j ls slow sync none granularity 4096
	view v j
	readers v
	load a j 1 -m 64
	work a
	pause=$(bj_status j pause_us)
	readers_end
	unload a
	say "a write was held for $pause us"
	holds "$pause < 150000"
	filled v 1
	verify s a
}

# What was taken out of the source and has not reached the store yet.
not_stored() {
	local reader

	pair 8M
	backup j ls lt sync none on_cbw_error "$@"
	view v j
	ctl suspend lt
	case $1 in
	break-snapshot)
		fill j 3 8000 8
		;;
	*)
		# This writer waits, and so the source has it still
		bj_data fill "${dev[j]}" 3 8000 8 &
		bj_wait j held=1
		filled v 1
		;;
	esac
	bj_data check "${dev[v]}" 1 >"$BJ_TMP/reader" 2>&1 &
	reader=$!
	sleep 1
	[ "$1" != break-snapshot ] || kill -0 $reader || fail "it was read"
	ctl resume lt
	wait $reader || fail "the reader failed: $(<"$BJ_TMP/reader")"
	wait
	filled v 1
	filled j 3 8000 8
}

# The same, but it never gets there: the reader does not wait for ever.
never_stored() {
	local reader

	pair 8M
	backup j ls lt sync none
	view v j
	ctl suspend lt
	fill j 3 8000 8
	bj_data check "${dev[v]}" 1 7936 128 >"$BJ_TMP/reader" 2>&1 &
	reader=$!
	sleep 0.5
	kill -0 $reader || fail "it was read"
	tell j cancel
	wait $reader && fail "the reader has got something"
	quote <"$BJ_TMP/reader"
	unreadable v 0 8
	expect v state broken
	ctl resume lt
	gone j
}

# Lines in the kernel log that say that it is broken.
lost_lines() {
	dmesg | grep -c ":${dev[$1]##*-}: reads fail from now on"
}

# Old data that cannot be saved: break-snapshot is the end of the view ...
breaks() {
	local said

	pair 8M
	backup j ls lt sync none granularity 4096 "$@"
	view v j
	said=$(lost_lines v)
	fill j 2 4096 8
	filled v 1
	dead lt
	fill j 3 8000 8
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error)" "cancelled target-write-error"
	good lt t
	fill j 3 0 1000
	unreadable v 0 8
	unreadable v 4096 8
	unreadable v 16000 8
	expect v state broken
	is "lines in the log" "$(lost_lines v)" $((said + 1))
	filled s 3 0 1000
}

# ... and break-guest-write is not.
writes_fail() {
	pair 8M
	backup j ls lt sync none granularity 4096 on_cbw_error break-guest-write
	view v j
	bad lt t 8000 8
	unwritten j 'Input/output error' 8000 8
	fill j 3 4096 8
	filled v 1
	good lt t
	fill j 3 8000 8
	filled v 1
	expect v state whole
}

# A target device that is too slow, by either policy.
times_out() {
	need_target delay
	pair 4M
	dm slow "0 8192 delay ${dev[t]} 0 0 ${dev[t]} 0 3000"
	backup j ls slow sync none granularity 4096 cbw_timeout 1 \
		on_cbw_error "$1" cbw_stored on
	view v j
	if [ "$1" = break-guest-write ]; then
		unwritten j 'timed out' 4000 8
		filled v 1
		expect v state whole
		return
	fi
	fill j 3 4000 8
	fill j 3 8 8
	unreadable v 0 8
	unreadable v 8000 8
	expect v state broken
	filled s 3 4000 8
}

# The end of the job: what was saved by then is good, or nothing.
ended() {
	pair 8M
	backup j ls lt sync none granularity 4096
	view v j
	fill j 3 8000 80
	tell j "$1"
	bj_wait_state j concluded
	fill j 4
	if [ "$1" = cancel ]; then
		unreadable v 8000 8
		expect v state broken
	else
		filled v 1 8000 80
		expect v state saved
	fi
	unreadable v 7992 8
	unreadable v 8080 8
	gone j
	unreadable v 8000 8
	expect v state gone
	must_fail ENXIO 'no backup job at work' \
		bj_dm create "${BJ_PREFIX}no" "0 8 blkjob-snapshot ${dev[s]}"
	filled s 4
}

# A full backup is whole when it has ended, and so is its view.
full() {
	pair 4M
	backup j ls lt speed 65536 granularity 4096
	view v j
	readers v
	load a j 1
	work a
	filled v 1
	tell j set speed 0
	bj_wait_state j concluded
	expect j result completed
	work a
	readers_end
	unload a
	filled v 1
	filled t 1
	expect v state saved
	# What is in the image stays in it
	blkdiscard -f "${dev[v]}" 2>/dev/null && fail "it was discarded"
	filled t 1
}

# Readers do not notice that the job's device is suspended.
suspended() {
	local i

	pair 2M
	backup j ls lt sync none granularity 4096
	view v j
	readers v
	load a j 1
	for i in 1 2 3; do
		ctl suspend j
		must timeout 60 bj_data check "${dev[v]}" 1
		ctl suspend v
		ctl resume v
		ctl resume j
		ctl suspend-noflush v
		ctl suspend-noflush j
		ctl resume j
		ctl resume v
		work a
	done
	readers_end
	unload a
	filled v 1
	verify s a
}

# The job's device gets another table, with readers at work: they get an error,
# and nobody hangs.
replaced() {
	local n i

	pair 2M
	n=$(sectors s)
	backup j ls lt sync none granularity 4096
	for ((i = 0; i < 3 * BJ_ROUNDS; i++)); do
		view v j
		view w j
		readers v
		load a j 1
		work a
		swap j "0 $n linear ${dev[ls]} 0"
		wait "${readers[0]}" && fail "the reader goes on"
		wait "${readers[1]}" && fail "the reader goes on"
		unload a
		grep -L 'Input/output error' "$BJ_TMP"/reader-[12] | grep . &&
			fail "$(cat "$BJ_TMP"/reader-[12])"
		grep -h 'is not as filled' "$BJ_TMP"/reader-[12] &&
			fail "a reader has seen something else"
		expect v state gone
		unreadable v 0 8
		# The next job is another instant: not for this view
		fill s 1
		swap j "$(type_line backup ls lt sync none granularity 4096)"
		unreadable v 0 8
		gone v
		gone w
	done
	filled j 1
}

# Both orders of leaving, and a view more.
leaves() {
	pair 8M
	backup j ls lt sync none
	view v j
	gone v
	fill j 2 0 8
	view v j
	filled v 1
	view w j
	gone v
	filled w 1
	gone j
	unreadable w 0 8
	gone w
	fill ls 1
	backup j ls lt sync none
	view v j
	fill j 3
	filled v 1
	# In use, or not there: it is removed all the same
	exec 8<"${dev[v]}"
	gone j
	unreadable v 0 8
	exec 8<&-
	gone v
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
	filled v 1 896
	tell j resume
	filled v 1 896
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

refused() {
	must_fail "$1" "$2" bj_dm create "${BJ_PREFIX}no" "$3"
}

arguments() {
	pair 8M
	backup j ls lt sync none
	refused EINVAL 'there are 0 words, not one' '0 8 blkjob-snapshot'
	refused EINVAL 'there are 2 words, not one' \
		"0 8 blkjob-snapshot ${dev[j]} 0"
	refused ENOENT 'there is no device /dev/nothing' \
		'0 8 blkjob-snapshot /dev/nothing'
	refused ENXIO "device ${dev[s]} has no backup job at work" \
		"0 8 blkjob-snapshot ${dev[s]}"
	refused EINVAL 'the backup job has 16384 sectors, not 16392' \
		"0 16392 blkjob-snapshot ${dev[j]}"
	disk m 8M
	disk n 8M
	mirror mirror m n
	refused ENXIO 'has no backup job at work' \
		"0 8 blkjob-snapshot ${dev[mirror]}"
	# Not before the instant, and not after the end
	layer later ls
	gone j
	ctl load later "$(type_line backup ls lt sync none)"
	refused ENXIO 'has no backup job at work' \
		"0 8 blkjob-snapshot ${dev[later]}"
	ctl suspend later
	ctl resume later
	view v later
	is "the table" "$(bj_dm table "${BJ_PREFIX}v")" \
		"0 16384 blkjob-snapshot 253:${dev[later]##*-}"
	unwritten v 'Input/output error' 0 8
	blkdiscard -z "${dev[v]}" 2>/dev/null && fail "it was written"
	filled v 1
	dm part "0 1000 blkjob-snapshot 253:${dev[later]##*-}"
	filled part 1
	tell later complete
	bj_wait_state later concluded
	refused ENXIO 'has no backup job at work' \
		"0 8 blkjob-snapshot ${dev[later]}"
}

conformance 199 200 202 203 205 206 208 209 211 212 214
bj_run idle "idle granularity 512 buf_size 1" "idle granularity 1048576" \
	"idle on_cbw_error break-guest-write" "idle cbw_stored on" \
	"loaded -d,10,-z,10 sync none" \
	"loaded -t,16 sync none granularity 4096 buf_size 1048576" \
	"loaded -m,64 sync none granularity 512 on_cbw_error break-guest-write" \
	"loaded -d,10 sync none cbw_stored on" \
	"loaded -t,16 granularity 4096 speed 524288" \
	slow_source slow_store "not_stored break-snapshot" \
	"not_stored break-guest-write" never_stored breaks \
	"breaks cbw_stored on" writes_fail \
	"times_out break-guest-write" "times_out break-snapshot" \
	"ended cancel" "ended complete" full suspended replaced leaves \
	discards "discards on_cbw_error break-guest-write" discards_loaded \
	"discards_loaded cbw_stored on" moved pushed unmarked large \
	"sizes 512 65536" "sizes 263168 512" "sizes 5003264 65536" \
	"sizes 8388608 67108864" mounted arguments
