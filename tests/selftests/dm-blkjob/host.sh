#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What happens to devices on a real host: they run out of space, are pulled
# out, are slow, are opened by others and handed over, and are stacked.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SECTORS=16384

#-----------------------------------------------------------------
# A thin volume in a pool that is too small for it, as the target device
#-----------------------------------------------------------------

# pool_line SECTORS
pool_line() {
	echo "0 $1 thin-pool ${dev[meta]} ${dev[data]} 128 0 1 error_if_no_space"
}

thin_target() {
	need_target thin-pool
	disk s 8M
	fill s 1
	disk meta 4M
	disk data 16M
	dm pool "$(pool_line $((SECTORS / 2)))"
	tell pool create_thin 0
	dm t "0 $SECTORS thin ${dev[pool]} 0"
}

extend_pool() {
	swap pool "$(pool_line $((2 * SECTORS)))"
}

# The consumer has noticed nothing, and gets what it writes.
undisturbed() {
	fill j "$1" 100 1000
	filled s "$1" 100 1000
	filled s 1 $((SECTORS - 1000)) 1000
}

events() {
	local info

	info=$(bj_dm info "${BJ_PREFIX}j")
	echo "${info##*events=}"
}

no_space_report() {
	thin_target
	mirror j s t on_target_error report
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error io_status)" \
		"cancelled source target-no-space nospace"
	undisturbed 2
}

no_space_ignore() {
	local before

	thin_target
	mirror j s t on_target_error ignore
	bj_wait j 'target_errors>3'
	before=$(events)
	sleep 1
	holds "$(events) - $before < 20"
	is "the job" "$(bj_status j state error result)" "running - -"
	undisturbed 2
	extend_pool
	bj_wait_state j ready
	same s t
	finish j
	filled t 2 100 1000
}

# no_space_stop POLICY: also enospc, which any other error ends.
no_space_stop() {
	thin_target
	mirror j s t on_target_error "$1"
	bj_wait_state j paused
	is "the stop" "$(bj_status j io_status error result)" "nospace - -"
	undisturbed 2
	tell j resume
	bj_wait_state j paused
	extend_pool
	tell j resume
	bj_wait_state j ready
	expect j io_status ok
	same s t
	finish j
}

# The pool fills up in the commit window.
no_space_pending() {
	local writer

	thin_target
	mirror j s t sync none
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	bj_data fill "${dev[j]}" 2 >"$BJ_TMP/said" 2>&1 &
	writer=$!
	bj_wait j 'held>0'
	extend_pool
	tell j rollback
	wait $writer || fail "the writer saw $(cat "$BJ_TMP/said")"
	bj_wait j state=ready dirty=0 in_flight=0
	same s t
}

#-----------------------------------------------------------------
# Devices that are pulled out
#-----------------------------------------------------------------

null_config=/sys/kernel/config/nullb
nulls=()

bj_end() {
	local status=$?

	bj_clean || status=1
	[ ${#nulls[@]} -eq 0 ] || rmdir "${nulls[@]}" || status=1
	exit $status
}

# nullb NAME: a disk with a memory that can be pulled out.
nullb() {
	local dir=$null_config/$BJ_PREFIX$1 end=$((SECONDS + BJ_TIMEOUT))

	modprobe -q null_blk nr_devices=0
	[ -d $null_config ] || mount -t configfs none /sys/kernel/config 2>/dev/null
	mkdir "$dir" 2>/dev/null || skip "no null_blk"
	nulls+=("$dir")
	echo 8 >"$dir/size"
	echo 1 >"$dir/memory_backed"
	echo 1 >"$dir/power"
	# Named by the directory, or by older kernels with a number
	dev[$1]=/dev/${dir##*/}
	[ -e "/sys/block/${dir##*/}" ] || dev[$1]=/dev/nullb$(cat "$dir/index")
	until [ -b "${dev[$1]}" ]; do
		[ $SECONDS -lt $end ] || fail "no node ${dev[$1]}"
		sleep 0.05
	done
}

pull() {
	echo 0 >"$null_config/$BJ_PREFIX$1/power"
}

# pull_target COPY_MODE: a writer goes on, on the source.
pull_target() {
	disk s 8M
	fill s 1
	nullb t
	mirror j s t speed 2097152 copy_mode "$1"
	load a j 1 -r 10
	bj_wait j 'offset>500000'
	pull t
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" \
		"cancelled source target-write-error"
	unload a
	verify s a
}

# The copy has not got everything: the job ends, the consumer hears of it.
pull_source_early() {
	nullb s
	disk t 8M
	fill s 1
	mirror j s t speed 1048576
	bj_wait j 'offset>500000'
	pull s
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error)" \
		"cancelled source source-read-error"
	bj_data check "${dev[j]}" 1 >/dev/null && fail "the consumer sees no error"
}

# Everything is on the target device: the consumer goes on there.
pull_source_ready() {
	nullb s
	disk t 8M
	fill s 1
	mirror j s t
	bj_wait_state j ready
	pull s
	finish j
	filled j 1
	fill j 2
	filled t 2
}

#-----------------------------------------------------------------
# Slow devices, and a job that has to go
#-----------------------------------------------------------------

# slow LAYER DISK MILLISECONDS
slow() {
	need_target delay
	swap "$1" "0 $(sectors "$2") delay ${dev[$2]} 0 $3"
}

ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# quit_ready WORD: half of it dirty, and a target device that takes long.
quit_ready() {
	local since

	disk s 8M
	disk t 8M
	layer lt t
	fill s 1
	mirror j s lt buf_size 65536
	bj_wait_state j ready
	slow lt t 300
	fill j 2 0 $((SECTORS / 2))
	# Long for this: 64 writes, one after the other
	holds "$(bj_status j dirty) > 3000000"
	since=$(ms)
	if [ "$1" = cancel ]; then
		tell j cancel force
		bj_wait_state j concluded
		is "the end" "$(bj_status j result active)" "cancelled source"
	fi
	gone j
	say "$1: $(($(ms) - since)) ms"
	holds "$(ms) - $since < 5000"
	filled s 2 0 $((SECTORS / 2))
	slow lt t 0
	mirror j s lt
	bj_wait_state j ready
	same s t
}

quit_throttled() {
	local since

	disk s 8M
	disk t 8M
	mirror j s t speed 65536
	bj_wait j 'offset>0'
	since=$(ms)
	tell j cancel force
	bj_wait_state j concluded
	gone j
	holds "$(ms) - $since < 5000"
}

# Slow for a while: the job goes on by itself, and the consumer never waits.
slow_and_back() {
	disk s 8M
	disk t 8M
	layer lt t
	fill s 1
	mirror j s lt speed 4194304
	bj_wait j 'offset>500000'
	slow lt t 200
	load a j 1
	unload a
	expect j state running
	slow lt t 0
	tell j set speed 0
	bj_wait_state j ready
	finish j
	verify t a
}

#-----------------------------------------------------------------
# Whose device is it?
#-----------------------------------------------------------------

# exclusive NAME [COMMAND]...: opened by it alone, while the command runs.
exclusive() {
	perl -e '
		use Fcntl;
		sysopen(my $f, shift, O_RDWR | O_EXCL) or exit 9;
		exit(@ARGV ? system(@ARGV) >> 8 : 0)' "${dev[$1]}" "${@:2}"
}

refused_exclusive() {
	exclusive "$1"
	is "exclusive open of $1" $? 9
}

legs_are_held() {
	disk s 2M
	disk t 2M
	must exclusive s
	mirror j s t
	bj_wait_state j ready
	refused_exclusive s
	refused_exclusive t
	tell j cancel
	bj_wait_state j concluded
	gone j
	must exclusive s
	must exclusive t
}

# A job that was loaded and never began holds the target device, and leaves it.
never_begun() {
	disk s 2M
	disk t 2M
	fill s 1
	must bj_dm new "${BJ_PREFIX}j"
	dms+=(j)
	must bj_dm load "${BJ_PREFIX}j" "$(line s t)"
	must_fail EBUSY 'target device of another job' \
		bj_dm create "${BJ_PREFIX}k" "$(line s t)"
	refused_exclusive t
	ctl clear j
	must exclusive t
	zeroed t
	filled s 1
	mirror k s t
	bj_wait_state k ready
	same s t
}

# Begun by one process, watched, steered and ended by others, used by a third.
many_processes() {
	local watcher

	disk s 8M
	disk t 8M
	fill s 1
	mirror j s t speed 2097152 copy_mode auto
	load a j 1 -r 10
	bj_dm wait "${BJ_PREFIX}j" $BJ_TIMEOUT state=concluded &
	watcher=$!
	(tell j pause && tell j set speed 0 && tell j resume) || exit
	bj_wait_state j ready
	(finish j) || exit
	wait $watcher || fail "who watched did not see the end"
	unload a
	verify t a
}

# One has had it open from the start, one comes when it is ready.
two_openers() {
	disk s 2M
	disk t 2M
	fill s 1
	mirror j s t
	exec 8<>"${dev[j]}"
	bj_wait_state j ready
	fill j 2 100 100
	tell j complete
	fill j 3 200 100
	bj_wait_state j pending
	fill j 4 300 100
	tell j finalize
	head -c 4096 /dev/zero >&8
	exec 8>&-
	must blockdev --flushbufs "${dev[j]}"
	zeroed t 0 8
	filled t 1 8 92
	filled t 2 100 100
	filled t 3 200 100
	filled t 4 300 100
	filled t 1 400
}

# One owner closes the device and another one takes it, with the job in place.
hand_over() {
	disk s 8M
	disk t 8M
	fill s 1
	mirror j s t speed 2097152
	must exclusive j sh -c "
		bj_data fill ${dev[j]} 2 0 100 &&
		! perl -e 'use Fcntl; sysopen(my \$f, \"${dev[j]}\",
			O_RDWR | O_EXCL) or exit 1'"
	must exclusive j bj_data fill "${dev[j]}" 3 100 100
	tell j set speed 0
	bj_wait_state j ready
	must exclusive j bj_data fill "${dev[j]}" 4 200 100
	finish j
	must exclusive j bj_data fill "${dev[j]}" 5 300 100
	filled t 2 0 100
	filled t 3 100 100
	filled t 4 200 100
	filled t 5 300 100
	filled t 1 400
}

#-----------------------------------------------------------------
# A job on a job
#-----------------------------------------------------------------

# The lower goes from a to b, the upper from the lower to t.
stack() {
	disk a 8M
	disk b 8M
	disk t 8M
	fill a 1
	mirror j a b copy_mode auto
	mirror k j t copy_mode auto
	load w k 1 -r 10
	bj_wait_state j ready
	bj_wait_state k ready
}

# on_target JOB: as finish, but in any order.
on_target() {
	tell "$1" finalize
	is "the end of $1" "$(bj_status "$1" state result active)" \
		"concluded completed target"
}

# stacked FIRST SECOND: both are told to complete, then to finalize.
stacked() {
	local first

	stack
	tell "$1" complete
	tell "$2" complete
	bj_wait_state "$1" pending
	bj_wait_state "$2" pending
	on_target "$1" &
	first=$!
	on_target "$2" || exit
	wait $first || exit
	unload w
	verify t w
	verify k w
}

# The lower ends on the target device, while the upper is cancelled.
stacked_cancel() {
	stack
	tell j complete
	tell k cancel
	bj_wait_state j pending
	tell j finalize
	bj_wait_state k concluded
	is "the ends" "$(bj_status j result active) $(bj_status k result active)" \
		"completed target completed source"
	must bj_stomp verify-instant "${dev[t]}" "$BJ_TMP/log-w"
	unload w
	verify b w
	verify k w
}

conformance 56 65 91 92 94 112 113 127 152 310 311 313 314 317
bj_run no_space_report no_space_ignore "no_space_stop stop" \
	"no_space_stop enospc" no_space_pending "pull_target background" \
	"pull_target write-blocking" pull_source_early pull_source_ready \
	"quit_ready cancel" "quit_ready remove" quit_throttled slow_and_back \
	legs_are_held never_begun many_processes two_openers hand_over "stacked j k" \
	"stacked k j" stacked_cancel
