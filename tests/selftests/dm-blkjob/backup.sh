#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Backup: the target device is what the source was at one instant, whatever is
# written meanwhile. Every image is compared as a whole.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

pair() {
	disk s "$1"
	disk t "$1"
	fill s 1
	fill t 2
}

# ended JOB: completed by itself; the source goes on.
ended() {
	bj_wait_state "$1" concluded
	is "the end" "$(bj_status "$1" result active error held)" \
		"completed source - 0"
}

# image SIZE [KEY VALUE]...: of an idle source, then of one that is written.
image() {
	local size=$1 n

	shift
	n=$((size / 512))
	disk s "$size"
	disk t $((size + 1048576))
	fill s 1
	fill t 2
	backup j s t "$@" paused on
	fill j 3 $((n / 2)) 1
	fill j 4 $((n - 1)) 1
	tell j resume
	ended j
	is "offset and len" "$(bj_status j offset len)" "$size $size"
	is "dirty and in_flight" "$(bj_status j dirty in_flight)" "0 0"
	is "copied once" "$(bj_status j recopied)" 0
	filled t 1 0 "$n"
	filled t 2 "$n" 2048
	filled j 4 $((n - 1)) 1
	fill j 5
	filled s 5
	filled t 1 0 "$n"
	gone j
}

# loaded LOAD-OPTIONS [KEY VALUE]...: a heavy writer all the time; the options
# are one word, with commas for blanks.
loaded() {
	local options=${1//,/ }

	shift
	pair 32M
	backup j s t paused on "$@"
	# shellcheck disable=SC2086 # words they are
	load a j 1 $options
	work a
	tell j resume
	bj_wait_state j concluded
	work a
	unload a
	ended j
	say "saved for the writer: $(bj_status j cbw) of $((32 << 20))"
	holds "$(bj_status j cbw) > 0"
	holds "$(bj_status j pause_us) < $((BJ_TIMEOUT * 1000000))"
	filled t 1
	verify s a
	verify j a
}

# late_reads GRANULARITY [KEY VALUE]...: reads of the source are slow and writes
# are not, so a write that does not wait comes first.
late_reads() {
	local granularity=$1

	shift
	need_target delay
	pair 8M
	dm slow "0 16384 delay ${dev[s]} 0 200 ${dev[s]} 0 0"
	backup j slow t paused on granularity "$granularity" "$@"
	fill j 3 100 1
	holds "$(bj_status j pause_us) >= 190000"
	tell j resume
	fill j 4
	ended j
	filled t 1
	filled s 4
}

# The instant is when the table comes to life, under a writer; what the source
# holds then is kept by a recorder.
instant() {
	pair 32M
	disk golden 32M
	layer j s
	load a j 1
	work a
	ctl load j "$(type_line backup s t speed 33554432 "$@")"
	ctl suspend j
	dd if="$BJ_TMP/file-s" of="$BJ_TMP/file-golden" bs=1M conv=notrunc \
		status=none || fail "cannot record"
	ctl resume j
	work a
	ended j
	same golden t
	unload a
	same golden t
	verify j a
	verify s a
}

# Only what is overwritten, as it was; nothing else is read or written.
sync_none() {
	pair 16M
	backup j s t sync none granularity 4096
	fill j 3 800 80
	fill j 4 8007 2
	# Once more: the first one counts
	fill j 5 808 200
	is "the state" "$(bj_status j state)" running
	tell j complete
	ended j
	fill j 6 16000 100
	filled t 2 0 800
	filled t 1 800 208
	filled t 2 1008 6992
	filled t 1 8000 16
	filled t 2 8016 24752
	is "saved" "$(bj_status j cbw copied)" "$((224 * 512)) $((224 * 512))"
	filled s 3 800 8
	filled s 5 808 200
	filled s 4 8007 2
}

# A small write in the middle, then a large one over it, while paused.
overlapping() {
	pair 16M
	backup j s t sync none paused on
	fill j 3 8192 1
	filled t 1 8192 128
	fill j 4 8064 2048
	filled t 1 8064 2048
	filled t 2 0 8064
	filled t 2 10112
	tell j resume
	tell j complete
	ended j
	filled s 4 8064 2048
}

# What was taken out is neither swept nor saved.
unmarked() {
	pair 16M
	backup j s t granularity 4096 paused on
	tell j unmark 801 103
	tell j unmark 16384 16384
	fill j 3 840 8
	fill j 4 20000 8
	fill j 5 800 8
	tell j resume
	ended j
	filled t 1 0 808
	filled t 2 808 96
	filled t 1 904 15480
	filled t 2 16384 16384
	is "copied" "$(bj_status j copied)" $(((16384 - 96) * 512))
}

# A discard over many regions, not aligned; then zeroes.
discards() {
	disk s 32M
	disk t 32M
	fill s 1
	backup j s t "$@" paused on
	must blkdiscard -o $((4096 + 512)) -l $((20 << 20)) "${dev[j]}"
	filled t 1 16 40953
	tell j resume
	ended j
	filled t 1
}

zeroes() {
	zdisk s 16M
	disk t 16M
	fill s 1
	backup j s t granularity 4096 "$@" paused on
	must blkdiscard -z -o 8192 -l $((8 << 20)) "${dev[j]}"
	zeroed j 16 16384
	filled t 1 16 16384
	tell j resume
	ended j
	filled t 1
}

# half DEVICE: its first half, for a writer that does not touch it all.
half() {
	dm half "0 $(($(sectors "$1") / 2)) linear ${dev[$1]} 0"
}

# Neither a pause nor the speed limit is in the way of a write.
paced() {
	local since

	pair 64M
	backup j s t speed 65536 granularity "$1"
	since=${EPOCHREALTIME/./}
	fill j 3 30000 100
	fill j 4 100 1
	tell j pause
	fill j 5 50000 100
	since=$(((${EPOCHREALTIME/./} - since) / 1000))
	say "three writes took $since ms"
	holds "$since < 20000"
	tell j resume
	tell j set speed 0
	ended j
	filled t 1
}

cancelled() {
	pair 16M
	backup j s t speed 65536 "$@"
	half j
	load a half 1
	work a
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" "cancelled source -"
	work a
	unload a
	verify s a
	gone half
	gone j
	backup again s t
	ended again
	same s t
}

# Suspended and resumed under a writer, with and without flush.
suspended() {
	local i

	pair 32M
	backup j s t speed 65536 "$@"
	half j
	load a half 1
	for i in 1 2 3 4; do
		ctl suspend j
		ctl resume j
		ctl suspend-noflush j
		ctl resume j
		work a
	done
	tell j set speed 0
	ended j
	unload a
	filled t 1
	verify s a
}

# The device gets another table in the middle: the job is gone, nobody hangs.
replaced() {
	local n

	pair 16M
	n=$(sectors s)
	backup j s t speed 65536
	load a j 1
	work a
	swap j "0 $n linear ${dev[s]} 0"
	work a
	# The same job again would be another instant: first the old one must go
	swap j "$(type_line backup s t speed 65536)"
	work a
	must_fail EBUSY 'is the (source|target device) of another job' \
		bj_dm load "${BJ_PREFIX}j" "$(type_line backup s t)"
	swap j "0 $n linear ${dev[s]} 0"
	unload a
	verify s a
}

# A writer that goes by another job would spoil the image.
same_source() {
	pair 16M
	disk u 16M
	backup j s t paused on
	must_fail EBUSY 'source .* is the source of another job' \
		bj_dm create "${BJ_PREFIX}no" "$(type_line backup s u)"
	must_fail EBUSY 'source .* is the source of another job' \
		bj_dm create "${BJ_PREFIX}no" "$(line s u)"
	must_fail EBUSY 'target device .* is the (source|target device) of' \
		bj_dm create "${BJ_PREFIX}no" "$(type_line backup u t)"
	must_fail EBUSY 'target device .* is the source of another job' \
		bj_dm create "${BJ_PREFIX}no" "$(type_line backup u s)"
	must_fail EINVAL 'overlap' \
		bj_dm create "${BJ_PREFIX}no" "$(type_line backup u u)"
	# On top of each other is another thing
	backup above j u
	fill above 3 100 100
	ended above
	tell j resume
	ended j
	filled t 1
	filled u 1
	gone above
}

# Devices of other sizes.
sizes() {
	pair 16M
	disk small 8M
	must_fail EINVAL 'target device .* has 16384 sectors, 32768 are needed' \
		bj_dm create "${BJ_PREFIX}no" "$(type_line backup s small)"
	backup j small s
	ended j
	same small s 0 0 16384
	filled s 1 16384
}

# A job keeps to the length it has. What is not there cannot be written.
resized() {
	pair 16M
	backup j s t speed 65536
	truncate -s 24M "$BJ_TMP/file-s"
	must losetup -c "${dev[s]}"
	tell j set speed 0
	ended j
	filled t 1
	gone j
	backup j t s speed 65536
	truncate -s 8M "$BJ_TMP/file-s"
	must losetup -c "${dev[s]}"
	tell j set speed 0
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" \
		"cancelled source target-write-error"
	fill j 3
	filled t 3
}

# Several at once, with little memory, and writers.
at_once() {
	local i

	for i in 1 2 3; do
		disk s$i 16M
		disk t$i 16M
		fill s$i $i
		backup j$i s$i t$i paused on buf_size 1048576
	done
	load a j1 1
	for i in 1 2 3; do
		tell j$i resume
	done
	fill j2 8
	fill j3 9 0 10000
	for i in 1 2 3; do
		ended j$i
		filled t$i $i
	done
	unload a
	verify s1 a
	filled s2 8
	filled s3 9 0 10000
	filled s3 3 10000
}

# Beyond 2^32 sectors.
large() {
	disk s 3T
	disk t 3T
	fill s 1 5000000001 100
	backup j s t sync none
	fill j 2 5000000003 10
	fill j 2 705032707 10
	tell j complete
	ended j
	filled t 1 5000000001 100
	zeroed t 705032704 16
}

verbs() {
	pair 16M
	backup j s t paused on
	refuses j EPERM 'job in state paused cannot accept mark: what was saved' \
		mark 0 8
	refuses j EPERM 'cannot accept finalize: a backup ends by itself' finalize
	refuses j EPERM 'cannot accept rollback: a backup never' rollback
	refuses j EPERM 'cannot accept complete: it ends by itself' complete
	refuses j EPERM 'cannot accept pause: it is paused already' pause
	refuses j EINVAL 'a backup job has no option copy_mode' \
		set copy_mode background
	refuses j EINVAL 'option on_cbw_error cannot change' \
		set on_cbw_error break-snapshot
	refuses j EINVAL 'cbw_timeout x is not a number from 0 to 86400' \
		set cbw_timeout x
	refuses j EINVAL 'option checksum cannot change' set checksum on
	tell j set cbw_timeout 5
	tell j set speed 1048576
	is "the line" "$(bj_dm table "${BJ_PREFIX}j" | cut -d ' ' -f 8-)" \
		"0 28 sync full granularity 65536 buf_size 16777216 speed 1048576 latency_bound 0 on_source_error report on_target_error report on_cbw_error break-snapshot cbw_timeout 5 cbw_stored off checksum off unmap on target_is_zero off paused on"
	tell j resume
	refuses j EPERM 'job in state running cannot accept unmark' unmark 0 128
	tell j set speed 0
	ended j
	refuses j EPERM 'in state concluded cannot accept cancel' cancel
	must_fail EINVAL 'a mirror job has no option cbw_timeout' \
		bj_dm create "${BJ_PREFIX}no" "$(line s t cbw_timeout 5)"
	must_fail EINVAL 'a backup job has no option copy_mode' \
		bj_dm create "${BJ_PREFIX}no" "$(type_line backup s t copy_mode auto)"
}

conformance 173 175 176 178 179 182 184 185 187 188 190 191 193 194 214
bj_run "image 512" "image 1049600" "image 20003328" \
	"image 4194304 granularity 512" "image 8388608 granularity 4096 buf_size 4096" \
	"image 8388608 granularity 1048576 buf_size 1" \
	"image 134217728 granularity 67108864" \
	"image 8388608 cbw_stored on" \
	"image 8388608 on_cbw_error break-guest-write" \
	"image 4194304 target_is_zero off unmap off" \
	"loaded -d,10,-z,10" "loaded -t,16 granularity 4096 buf_size 1048576" \
	"loaded -d,10 cbw_stored on" \
	"loaded -m,64 on_cbw_error break-guest-write granularity 512" \
	"loaded -t,16 granularity 4194304 speed 67108864" \
	"late_reads 16384" "late_reads 4194304 buf_size 1" \
	"late_reads 4194304 cbw_stored on" instant "instant cbw_stored on" \
	sync_none overlapping unmarked discards \
	"discards buf_size 65536 granularity 512" zeroes "zeroes cbw_stored on" \
	"paced 65536" "paced 16777216" cancelled "cancelled cbw_stored on" \
	suspended "suspended cbw_stored on" replaced same_source sizes resized \
	at_once large verbs
