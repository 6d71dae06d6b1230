#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# finalize reverse: the consumer goes on on the target device, the old source is
# kept equal to it, and the way back is a switch like any other.

# shellcheck disable=SC2154 # dev is set by bj_case
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

# The legs are s and t, below layers that can be made to fail.
pair() {
	legs 8M
	mirror j ls lt "$@"
}

# direction SOURCE TARGET: of the job, as its table says.
direction() {
	local source target

	read -r _ _ _ _ source _ target _ < <(bj_dm table "${BJ_PREFIX}j")
	is "direction" "$source $target" "$(devno "$1") $(devno "$2")"
}

pending() {
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
}

# The legs change places, which nobody has to wait for.
turn() {
	pending
	tell j finalize reverse
}

turned() {
	is "turned" "$(bj_status j reversed active result)" "1 source -"
	direction lt ls
}

# equal: ready, and nothing left to copy.
equal() {
	bj_wait j state=ready dirty=0 in_flight=0
	same s t
}

# What is written goes to the new source, and from there to the old one.
kept_equal() {
	pair "$@"
	is "at first" "$(bj_status j reversed)" 0
	bj_wait_state j ready
	load a j 1 -r 10 -d 5 -z 5
	turn
	turned
	work a
	unload a
	equal
	turned
	verify j a
	fill j 2 100 8
	filled t 2 100 8
	equal
	filled s 2 100 8
	is errors "$(bj_status j source_errors target_errors)" "0 0"
}

# Back without copying all of it, with a writer all the time.
undone() {
	pair
	load a j 1 -r 10 -z 5
	turn
	work a
	bj_wait_state j ready
	finish j
	direction lt ls
	work a
	unload a
	verify j a
	verify s a
	fill j 3 0 8
	filled s 3 0 8
	gone j
}

# Nothing is written in between: nothing is copied again.
without_copying() {
	local copied

	pair
	turn
	copied=$(bj_status j copied zeroed passes)
	finish j
	is "copied" "$(bj_status j copied zeroed passes)" "$copied"
	same s t
	fill j 3
	filled s 3
	filled t 1
}

# dropped VERB WORD: the consumer stays where it is, the old source is let go.
dropped() {
	pair
	load a j 1 -r 10
	turn
	work a
	bj_wait_state j ready
	tell j "$@"
	bj_wait_state j concluded
	expect j active source
	work a
	unload a
	verify t a
	[ $# -eq 2 ] || expect j result completed
	fill j 3
	filled t 3
	bj_data check "${dev[s]}" 3 >/dev/null && fail "is still kept equal"
	gone j
}

# To and fro under a writer. A job in background mode need not catch up with it.
to_and_fro() {
	local mode i turns=0

	pair copy_mode auto
	load a j 1 -r 10 -z 5
	for ((i = 0; i < 2 * BJ_ROUNDS; i++)); do
		for mode in write-blocking auto; do
			tell j set copy_mode $mode
			turn
			turns=$((turns + 1))
			expect j reversed $((turns % 2))
		done
	done
	turn
	turns=$((turns + 1))
	work a
	pending
	tell j finalize
	work a
	unload a
	verify j a
	same j "$([ $((turns % 2)) = 1 ] && echo s || echo t)"
}

# Every sector, while the consumer stands still at the turn.
at_the_turn() {
	pair copy_mode auto
	layer top j
	load a top 1 -r 10 -z 5
	bj_wait_state j ready
	ctl suspend top
	turn
	same s t
	turned
	ctl resume top
	work a
	ctl suspend top
	pending
	same s t
	tell j finalize
	same s t
	ctl resume top
	unload a
	verify s a
}

# old_source_dies POLICY STATE [KEY VALUE]...: the consumer hears nothing of it.
old_source_dies() {
	local policy=$1 state=$2

	shift 2
	pair on_target_error "$policy" on_source_error report "$@"
	load a j 1 -r 10
	turn
	bj_wait_state j ready
	dead ls
	bj_wait_state j "$state"
	work a
	is "errors" "$(bj_status j source_errors active)" "0 source"
	holds "$(bj_status j target_errors) > 0"
	if [ "$state" = standby ]; then
		good ls s
		tell j resume
		bj_wait_state j ready
		finish j
		unload a
		verify s a
	else
		is "the end" "$(bj_status j result error)" \
			"cancelled target-write-error"
		unload a
		verify t a
	fi
	verify j a
}

# Errors from before the turn are still those of their device.
errors_follow() {
	pair on_target_error stop
	bj_wait_state j ready
	dead lt
	fill j 2 0 8
	bj_wait_state j standby
	good lt t
	tell j resume
	bj_wait j state=ready dirty=0 in_flight=0
	is "errors" "$(bj_status j source_errors target_errors)" "0 1"
	turn
	is "errors" "$(bj_status j source_errors target_errors)" "1 0"
	equal
}

# The new source fails: now that is the consumer's, and a copy stops.
new_source_dies() {
	pair on_source_error stop
	turn
	dead lt
	bj_data fill "${dev[j]}" 2 0 8 >/dev/null 2>&1 && fail "was written"
	bj_wait_state j standby
	holds "$(bj_status j source_errors) > 0"
	good lt t
	tell j resume
	fill j 2 0 8
	equal
	finish j
	filled j 2 0 8
	filled s 1 8
}

# A write goes to both legs, the one has it, and then they turn: what the other
# one says about it is said by what that is now. half_way LEG: the other one.
half_way() {
	local before deadline=$((SECONDS + BJ_TIMEOUT)) other=t

	[ "$1" = s ] || other=s
	pair
	pending
	settle
	before=$(writes "$other")
	ctl suspend-noflush "l$1"
	bj_data fill "${dev[j]}" 2 0 8 >"$BJ_TMP/written" 2>&1 &
	pid[w]=$!
	loads+=($!)
	while [ "$(writes "$other")" = "$before" ]; do
		[ $SECONDS -lt $deadline ] || fail "is not written to $other"
		sleep 0.05
	done
	tell j finalize reverse
	turned
	must bj_dm load "${BJ_PREFIX}l$1" "0 $(sectors "l$1") error"
	ctl resume "l$1"
}

half_way_to_old_source() {
	half_way s
	wait "${pid[w]}" || fail "the consumer hears of it: $(cat "$BJ_TMP/written")"
	bj_wait_state j concluded
	is "errors" "$(bj_status j source_errors error)" "0 target-write-error"
	filled t 2 0 8
	filled j 2 0 8
}

half_way_to_new_source() {
	half_way t
	wait "${pid[w]}" && fail "the consumer hears nothing of it"
	is "errors" "$(bj_status j target_errors)" 0
	good lt t
}

# A leg fails in the window: nothing is turned before that is decided.
held() {
	pair
	pending
	dead lt
	bj_data fill "${dev[j]}" 2 0 8 >/dev/null 2>&1 &
	loads+=($!)
	bj_wait j 'held=1'
	refuses j EPERM 'holds a write that failed' finalize reverse
	is "not turned" "$(bj_status j reversed state)" "0 pending"
	good lt t
	tell j rollback
	wait
	turn
	equal
	filled t 2 0 8
}

# flushes DISK: that it has seen.
flushes() {
	awk '{ print $16 }' "/sys/class/block/${dev[$1]##*/}/stat"
}

# What the consumer flushes is where its data are.
flushed() {
	local s t

	disk s 8M
	disk t 8M
	fill s 1
	mirror j s t
	[ -n "$(flushes s)" ] || skip "flushes are not counted"
	turn
	s=$(flushes s) t=$(flushes t)
	must dd if=/dev/zero of="${dev[j]}" bs=4096 count=1 conv=fsync
	holds "$(flushes t) > $t"
	bj_wait j state=ready dirty=0 in_flight=0
	is "flushes of the old source" "$(flushes s)" "$s"
	tell j set copy_mode write-blocking
	bj_wait j actively_synced=1
	s=$(flushes s)
	must dd if=/dev/zero of="${dev[j]}" bs=4096 count=1 seek=8 conv=fsync
	holds "$(flushes s) > $s"
}

not_now() {
	pair paused on
	refuses j EPERM 'paused cannot accept finalize' finalize reverse
	tell j resume
	bj_wait_state j ready
	refuses j EPERM 'ready cannot accept finalize' finalize reverse
	refuses j EINVAL 'not known' finalize backwards
	refuses j EINVAL 'not known' finalize reverse target
	turn
	refuses j EPERM 'ready cannot accept finalize' finalize reverse
	tell j cancel force
	bj_wait_state j concluded
	refuses j EPERM 'concluded cannot accept finalize' finalize reverse
	expect j reversed 1
}

# Who reads the source as well cannot have it written below him.
source_in_use() {
	pair
	disk x 8M
	mirror k ls x
	pending
	refuses j EPERM 'source .* is the source of another job' finalize reverse
	is "not turned" "$(bj_status j reversed state)" "0 pending"
	gone k
	tell j finalize reverse
	must_fail EBUSY 'source .* is the target device of another job' \
		bj_dm create "${BJ_PREFIX}k" "$(line ls x)"
	# The new source can be read by others now, until it is to be written.
	mirror k lt x
	pending
	refuses j EPERM 'is the source of another job' finalize reverse
	tell j finalize
	filled j 1
}

read_only_source() {
	local said

	disk s 4M
	fill s 1
	disk t 4M
	losetup -d "${dev[s]}"
	losetup -r "${dev[s]}" "$BJ_TMP/file-s"
	said=$(bj_dm create-ro "${BJ_PREFIX}j" "$(line s t)") || fail "$said"
	dms+=(j)
	dev[j]=$said
	pending
	refuses j EPERM 'source .* is read-only' finalize reverse
	tell j finalize
	filled j 1
}

# A suspend changes nothing, and the table makes a job of the same direction.
suspended() {
	local table

	pair speed 1048576
	tell j set speed 0
	turn
	fill j 2 0 8
	ctl suspend j
	turned
	ctl resume j
	equal
	turned
	table=$(bj_dm table "${BJ_PREFIX}j")
	must_fail EBUSY 'of another job' bj_dm load "${BJ_PREFIX}j" "$table"
	fill j 3 8 8
	gone j
	dm j "$table"
	direction lt ls
	expect j reversed 0
	equal
	filled s 3 8 8
	finish j
	filled s 2 0 8
}

# All members or none.
group() {
	local i

	for i in 1 2; do
		disk "s$i" 1M
		disk "t$i" 1M
		disk "x$i" 1M
		fill "s$i" "$i"
		mirror "j$i" "s$i" "t$i" group g
		bj_wait_state "j$i" ready
	done
	mirror k s2 x2
	for i in 1 2; do
		tell "j$i" complete
		refuses j1 EPERM '' finalize reverse
	done
	bj_wait_state j1 pending
	bj_wait_state j2 pending
	refuses j1 EPERM 'is the source of another job' finalize reverse
	is "not turned" "$(bj_status j1 reversed state)" "0 pending"
	is "not turned" "$(bj_status j2 reversed state)" "0 pending"
	# What was refused has taken nothing.
	mirror m s1 x1
	gone m
	gone k
	tell j2 finalize reverse
	for i in 1 2; do
		is "turned" "$(bj_status "j$i" reversed state)" "1 ready"
		fill "j$i" 7 0 8
		filled "t$i" 7 0 8
		bj_wait "j$i" state=ready dirty=0 in_flight=0
		same "s$i" "t$i"
		tell "j$i" complete
	done
	bj_wait_state j1 pending
	bj_wait_state j2 pending
	tell j1 finalize
	for i in 1 2; do
		is "undone" "$(bj_status "j$i" state result active)" \
			"concluded completed target"
		fill "j$i" 8
		filled "s$i" 8
		filled "t$i" 7 0 8
	done
}

bj_run "kept_equal copy_mode background" \
	"kept_equal copy_mode write-blocking" undone without_copying \
	"dropped cancel" "dropped cancel force" to_and_fro at_the_turn \
	"old_source_dies report concluded copy_mode auto" \
	"old_source_dies report concluded copy_mode write-blocking" \
	"old_source_dies stop standby copy_mode write-blocking" \
	errors_follow new_source_dies half_way_to_old_source \
	half_way_to_new_source held flushed not_now source_in_use \
	read_only_source suspended group
