#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Backup: what becomes of a write, and of the image, when the old data cannot be
# saved: devices that fail, hang, are slow or full, and no memory.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Both legs are layers, to be made to fail.
pair() {
	disk s 8M
	disk t 8M
	fill s 1
	layer ls s
	layer lt t
}

# broken ERROR: there is no image, and the consumer goes on.
broken() {
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error held)" \
		"cancelled source $1 0"
	must timeout 20 bj_data fill "${dev[j]}" 9 100 1000
	must timeout 20 bj_data check "${dev[j]}" 9 100 1000
	refuses j EPERM 'in state concluded' complete
}

# whole: the image is complete after all.
whole() {
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error held)" \
		"completed source - 0"
	filled t 1
}

# unwritten ERROR OFFSET SECTORS: such a write fails like this.
unwritten() {
	local error=$1 said

	shift
	said=$(timeout 60 bj_data fill "${dev[j]}" 7 "$@" 2>&1) &&
		fail "the write did not fail"
	[[ $said == *"$error"* ]] || fail "the write failed with: $said"
}

# A target device of which nothing works.
dead_target() {
	pair
	backup j s lt speed 65536 "$@"
	dead lt
	fill j 3 8000 8
	broken target-write-error
	expect j source_errors 0
	holds "$(bj_status j target_errors) > 0"
}

# It hangs: a writer that is fast fills the buffers, and then waits for what it
# was told to wait for, once.
hung_target() {
	local since

	pair
	backup j s lt speed 65536 buf_size 131072 cbw_timeout 1 "$@"
	ctl suspend lt
	since=${EPOCHREALTIME/./}
	fill j 3 0 8192
	since=$(((${EPOCHREALTIME/./} - since) / 1000))
	say "the writer took $since ms"
	holds "$since >= 900 && $since < 10000"
	holds "$(bj_status j pause_us) >= 900000 && $(bj_status j pause_us) < 5000000"
	broken cbw-timeout
	[[ $(bj_dm message "${BJ_PREFIX}j" 0 events) == \
		*" error cbw 110 "*" break-snapshot"* ]] || fail "no such event"
	ctl resume lt
	filled s 3 1100 7000
	filled j 3 1100 7000
}

# The default is ten seconds.
hung_default() {
	local since

	pair
	backup j s lt speed 65536 buf_size 1
	ctl suspend lt
	since=${EPOCHREALTIME/./}
	fill j 3 0 2048
	since=$(((${EPOCHREALTIME/./} - since) / 1000))
	say "the writer took $since ms"
	holds "$since >= 9000 && $since < 20000"
	broken cbw-timeout
	ctl resume lt
}

# The write gets the error, and the image stays whole.
hung_break_write() {
	pair
	backup j s lt paused on on_cbw_error break-guest-write cbw_timeout 1
	fill j 3 0 8
	ctl suspend lt
	unwritten 'timed out' 8000 8
	is "the job" "$(bj_status j state result held)" "paused - 0"
	ctl resume lt
	tell j resume
	whole
	filled s 3 0 8
	filled s 1 8
}

# Without a limit it waits for as long as that takes; a limit set meanwhile
# counts at once.
hung_unlimited() {
	local writer

	pair
	backup j s lt paused on on_cbw_error break-guest-write
	ctl suspend lt
	bj_data fill "${dev[j]}" 3 8000 8 &
	writer=$!
	bj_wait j held=1
	sleep 2
	expect j held 1
	filled s 1
	ctl resume lt
	wait $writer || fail "the write failed"
	filled s 3 8000 8
	ctl suspend lt
	bj_data fill "${dev[j]}" 3 100 8 >/dev/null 2>&1 &
	writer=$!
	bj_wait j held=1
	tell j set cbw_timeout 1
	wait $writer && fail "the write did not fail"
	ctl resume lt
	tell j resume
	whole
}

# A discard that would have to wait is dropped.
hung_discard() {
	pair
	backup j s lt paused on cbw_stored on cbw_timeout 1 "$@"
	ctl suspend lt
	must timeout 30 blkdiscard -o 65536 -l 1048576 "${dev[j]}"
	is "the job" "$(bj_status j state result held)" "paused - 0"
	ctl resume lt
	tell j resume
	whole
	filled s 1
}

# bad_target_break_write: one region of the target device fails.
bad_target_break_write() {
	pair
	bad lt t 8000 8
	backup j s lt paused on on_cbw_error break-guest-write \
		granularity "$1"
	unwritten 'Input/output error' 8000 8
	holds "$(bj_status j target_errors) > 0"
	is "the job" "$(bj_status j state result)" "paused -"
	fill j 3 4096 100
	good lt t
	fill j 3 8000 8
	tell j resume
	whole
	filled s 3 4096 100
	filled s 3 8000 8
}

# bad_source POLICY: old data that cannot be read, but be overwritten.
bad_source() {
	need_target dust
	pair
	dm dust "0 16384 dust ${dev[s]} 0 512"
	tell dust addbadblock 8003
	tell dust enable
	backup j dust lt paused on on_cbw_error "$1" granularity 4096
	if [ "$1" = break-snapshot ]; then
		fill j 3 8000 8
		broken source-read-error
		filled s 3 8000 8
		return
	fi
	unwritten 'Input/output error' 8000 8
	# Together with good neighbours
	unwritten 'Input/output error' 7900 200
	filled s 1
	fill j 3 7984 16
	fill j 3 8008 16
	is "the job" "$(bj_status j state result source_errors)" "paused - 2"
	tell dust disable
	tell j resume
	whole
	filled s 3 7984 16
}

# The old data are in a buffer when the target device refuses them: it is kept
# until that is repaired, and the writer does not notice.
kept() {
	pair
	bad lt t 8000 8
	backup j s lt sync "$2" granularity 4096 speed 65536 on_target_error "$1"
	fill j 3 8000 8
	filled s 3 8000 8
	if [ "$1" = stop ]; then
		bj_wait_state j paused
		expect j in_flight 4096
		tell j resume
		bj_wait j state=paused 'target_errors>1'
	else
		bj_wait j 'target_errors>2'
		expect j state running
	fi
	fill j 4 8000 8
	ctl suspend j
	ctl resume j
	good lt t
	[ "$1" != stop ] || tell j resume
	if [ "$2" = none ]; then
		bj_wait j in_flight=0
		tell j complete
		bj_wait_state j concluded
		expect j result completed
		filled t 1 8000 8
		return
	fi
	tell j set speed 0
	whole
	filled s 4 8000 8
}

# Removed while a buffer is kept: it goes with the job.
kept_removed() {
	pair
	bad lt t 8000 8
	backup j s lt sync none granularity 4096 on_target_error stop
	fill j 3 8000 8
	bj_wait_state j paused
	gone j
	backup j s lt sync none granularity 4096 on_target_error stop
	fill j 3 8000 8
	bj_wait_state j paused
	tell j cancel
	bj_wait_state j concluded
	expect j in_flight 0
}

# A store in a pool that is too small. POLICY of on_target_error.
full_target() {
	need_target thin-pool
	disk s 8M
	disk meta 4M
	disk data 8M
	fill s 1
	dm pool "0 8192 thin-pool ${dev[meta]} ${dev[data]} 128 0 1 error_if_no_space"
	tell pool create_thin 0
	dm t "0 16384 thin ${dev[pool]} 0"
	backup j s t on_target_error "$1"
	if [ "$1" = report ]; then
		broken target-no-space
		return
	fi
	bj_wait_state j paused
	is "the stop" "$(bj_status j io_status result)" "nospace -"
	fill j 3 0 16384
	swap pool "0 16384 thin-pool ${dev[meta]} ${dev[data]} 128 0 1 error_if_no_space"
	tell j resume
	whole
	filled s 3
}

# slow_target LIMIT [KEY VALUE]...: a second for each write of the target
# device; LIMIT says how long a write of the consumer may be held.
slow_target() {
	local limit=$1

	shift
	need_target delay
	pair
	dm slow "0 16384 delay ${dev[t]} 0 0 ${dev[t]} 0 1000"
	backup j s slow paused on "$@"
	fill j 3 0 1
	fill j 3 8000 1
	say "held for $(bj_status j pause_us) us"
	holds "$(bj_status j pause_us) $limit"
	tell j resume
	whole
}

# The last flush fails: no silent "completed".
flush_fails() {
	need_target flakey
	pair
	backup j s lt sync none on_target_error "$1"
	fill j 3 8000 8
	bj_wait j in_flight=0 'cbw>0'
	swap lt "0 16384 flakey ${dev[t]} 0 0 60 1 error_writes"
	tell j complete
	if [ "$1" = report ]; then
		broken target-flush-error
		return
	fi
	bj_wait_state j paused
	# It was told to end: nothing more is saved
	fill j 4 100 8
	good lt t
	tell j resume
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error)" "completed -"
	filled t 1 7936 128
	zeroed t 0 7936
}

# With cbw_stored a write waits for the flush, too.
stored_flush() {
	local policy=$1

	need_target flakey
	pair
	backup j s lt paused on cbw_stored on on_target_error ignore \
		on_cbw_error "$policy" cbw_timeout 1
	swap lt "0 16384 flakey ${dev[t]} 0 0 60 1 error_writes"
	if [ "$policy" = break-snapshot ]; then
		fill j 3 8000 8
		bj_wait_state j concluded
		expect j result cancelled
		filled s 3 8000 8
		return
	fi
	unwritten 'Input/output error' 8000 8
	good lt t
	fill j 3 8000 8
	tell j resume
	whole
}

# Cancelled, forced or not, while a write is held.
cancel_held() {
	local writer

	pair
	backup j s lt paused on on_cbw_error break-guest-write
	ctl suspend lt
	bj_data fill "${dev[j]}" 3 8000 800 &
	writer=$!
	bj_wait j 'held>0'
	tell j cancel "$@"
	wait $writer || fail "the write failed"
	broken -
	filled s 3 8000 800
	ctl resume lt
}

# A suspend with flush has to serve what is held; without, it gets it back.
suspend_held() {
	local writer

	pair
	backup j s lt paused on on_cbw_error break-guest-write
	ctl suspend lt
	bj_data fill "${dev[j]}" 3 8000 8 &
	writer=$!
	bj_wait j held=1
	must timeout 40 bj_dm suspend-noflush "${BJ_PREFIX}j"
	expect j held 0
	ctl resume j
	bj_wait j held=1
	ctl resume lt
	wait $writer || fail "the write failed"
	ctl suspend j
	ctl resume j
	tell j resume
	whole
	filled s 3 8000 8
}

#-----------------------------------------------------------------
# No memory: of the allocations that the module makes, some fail
#-----------------------------------------------------------------

# While it works: it has one buffer at least, nothing hangs, nothing is wrong.
no_memory() {
	local percent=$1

	shift
	pair
	disk p 1M
	backup j s lt paused on granularity 4096 buf_size 1048576 \
		"${@/#SPILL/${dev[p]}}"
	fail_slab "$percent"
	load a j 1
	work a
	tell j resume
	work a
	bj_wait_state j concluded
	fail_slab 0
	unload a
	whole
	verify s a
}

# When it begins: it is refused, wherever that happens, and leaves nothing.
no_memory_at_start() {
	local bytes said refused=0

	pair
	for bytes in 0 3000 6000 10000 14000 20000 28000 36000 44000 60000 \
		100000; do
		fail_slab 100 $bytes
		said=$(bj_dm create "${BJ_PREFIX}j" "$(type_line backup s t)")
		fail_slab 0
		if [ -e "/sys/class/block/${said##*/}" ]; then
			dms+=(j)
			gone j
			continue
		fi
		refused=$((refused + 1))
		[ "${said%%$'\n'*}" = ENOMEM ] || fail "refused with $said"
	done
	say "$refused were refused"
	holds "$refused >= 2"
	is "references" "$(cat /sys/module/dm_blkjob/refcnt)" 0
	backup j s t
	bj_wait_state j concluded
	whole
}

conformance 196 197 199 200 202 203
bj_run dead_target "dead_target cbw_stored on" hung_target \
	"hung_target cbw_stored on" hung_default hung_break_write hung_unlimited \
	hung_discard "hung_discard on_cbw_error break-guest-write" \
	"bad_target_break_write 65536" "bad_target_break_write 4096" \
	"bad_source break-snapshot" "bad_source break-guest-write" \
	"kept stop full" "kept ignore full" "kept stop none" "kept ignore none" \
	kept_removed "full_target report" "full_target enospc" \
	"slow_target <900000" "slow_target >=990000 cbw_stored on" \
	"slow_target >=990000 on_cbw_error break-guest-write" \
	"flush_fails report" "flush_fails stop" "stored_flush break-snapshot" \
	"stored_flush break-guest-write" cancel_held "cancel_held force" \
	suspend_held "no_memory 100" "no_memory 50 cbw_stored on" \
	"no_memory 50 spill SPILL" no_memory_at_start
