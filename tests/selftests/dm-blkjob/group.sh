#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Groups: several jobs end at one instant, or not at all.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto
SECTORS=2048
CHAINS=4

# members NUMBER [KEY VALUE]...: jobs j1 ... in the group g, with what they copy.
members() {
	local i nr=$1

	shift
	for ((i = 1; i <= nr; i++)); do
		disk "s$i" $((SECTORS * 512))
		disk "t$i" $((SECTORS * 512))
		layer "lt$i" "t$i"
		fill "s$i" "$i"
		mirror "j$i" "s$i" "lt$i" group g "$@"
	done
}

# all STATE JOB...: from now on, or until they get there.
all() {
	local state=$1 job

	shift
	for job; do
		bj_wait_state "$job" "$state"
	done
}

# pending JOB...
pending() {
	local job

	all ready "$@"
	for job; do
		tell "$job" complete
	done
	all pending "$@"
}

# ended RESULT ACTIVE JOB...: already.
ended() {
	local end="concluded $1 $2 g" job

	shift 2
	for job; do
		is "the end of $job" \
			"$(bj_status "$job" state result active group)" "$end"
	done
}

# bad TARGET: it takes no writes; good: it does.
bad() {
	swap "l$1" "0 $SECTORS error"
}

good() {
	swap "l$1" "0 $SECTORS linear ${dev[$1]} 0"
}

# Nobody is final before all are, and then all are.
together() {
	members 2
	pending j1
	all ready j2
	refuses j1 EPERM 'pending cannot accept finalize: .* of its group is ready' \
		finalize
	refuses j2 EPERM 'ready cannot accept finalize' finalize
	pending j2
	tell j2 finalize
	ended completed target j1 j2
	same s1 t1
	same s2 t2
	fill j1 9
	filled t1 9
	filled s1 1
}

# A group is no more than a common end: one may be ready before another begins.
apart() {
	members 2 paused on
	tell j1 resume
	bj_wait_state j1 ready
	expect j2 state paused
	tell j1 pause
	tell j1 resume
	tell j1 complete
	bj_wait_state j1 pending
	refuses j1 EPERM 'of its group is paused' finalize
	tell j2 resume
	pending j2
	# The other way out of it
	tell j2 rollback
	all ready j1 j2
	pending j2
	tell j1 cancel force
	all concluded j1
	ended cancelled source j1
	all ready j2
}

# Other groups, and jobs of none, are not concerned.
others() {
	members 1
	disk a 1M
	disk b 1M
	mirror other a b group g2
	pending j1
	tell j1 finalize
	ended completed target j1
	all ready other
	pending other
	tell other finalize
	expect other active target
}

created() {
	members 1
	disk s 1M
	disk t 1M
	must bj_dm new "${BJ_PREFIX}new"
	dms+=(new)
	must bj_dm load "${BJ_PREFIX}new" "$(line s t group g)"
	pending j1
	refuses j1 EPERM 'of its group is created' finalize
	must bj_dm clear "${BJ_PREFIX}new"
	# It was a member, so that was a rollback
	all ready j1
	pending j1
	# Too late to join
	must_fail EBUSY 'group g takes no more jobs, .* of it is pending' \
		bj_dm load "${BJ_PREFIX}new" "$(line s t group g)"
	tell j1 finalize
	ended completed target j1
	must_fail EBUSY 'group g takes no more jobs, .* of it is concluded' \
		bj_dm load "${BJ_PREFIX}new" "$(line s t group g)"
}

# The table line makes the same job again; the group cannot change.
line_again() {
	local table

	members 1
	table=$(bj_dm table "${BJ_PREFIX}j1")
	[[ $table =~ " 24 sync "(.*)" group g"$ ]] ||
		fail "no group in the line: $table"
	refuses j1 EINVAL 'option group cannot change' set group h
	gone j1
	dm j1 "$table"
	expect j1 group g
	is "the line" "$(bj_dm table "${BJ_PREFIX}j1")" "$table"
	disk s 1M
	disk t 1M
	must bj_dm new "${BJ_PREFIX}new"
	dms+=(new)
	must_fail EINVAL 'group -g is not a name' \
		bj_dm load "${BJ_PREFIX}new" "$(line s t group -g)"
}

# A soft cancel of one would be another instant.
soft() {
	members 2
	all ready j1 j2
	refuses j1 EPERM 'its group ends at one instant' cancel
	all ready j1 j2
	pending j1 j2
	refuses j1 EINVAL 'finalize with 2 words' finalize nowhere
	tell j1 finalize source
	all concluded j1 j2
	ended completed source j1 j2
	same s1 t1
	same s2 t2
	fill j2 9
	filled t2 2
}

# Without a group there is one instant too.
soft_alone() {
	disk s 1M
	disk t 1M
	fill s 1
	mirror j s t
	bj_wait_state j ready
	refuses j EPERM 'ready cannot accept finalize' finalize source
	tell j complete
	bj_wait_state j pending
	tell j finalize source
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active)" "completed source"
	fill j 2
	filled t 1
}

# Someone takes a member away: the others do not switch, this time.
removed() {
	members 2
	pending j1 j2
	gone j2
	all ready j1
	pending j1
	tell j1 finalize
	ended completed target j1
}

# One target device fails while they get in step, or while a write is on its way.
one_fails() {
	members 2
	all ready j1 j2
	ctl suspend-noflush lt2
	fill j2 9 0 8
	pending j1
	tell j2 complete
	must bj_dm load "${BJ_PREFIX}lt2" "0 $SECTORS error"
	ctl resume lt2
	bj_wait_state j2 concluded
	ended cancelled source j2
	expect j2 error target-write-error
	all ready j1
	refuses j1 EPERM 'of its group has ended, remove that first' complete
	# The other by itself
	gone j2
	pending j1
	tell j1 finalize
	ended completed target j1
	filled s2 9 0 8
}

# One target device is full: it ends in the first sweep, and the other waits.
no_space() {
	need_target thin-pool
	disk meta 4M
	disk data 2M
	disk s1 4M
	disk s2 4M
	disk t1 4M
	fill s1 1
	fill s2 2
	dm pool "0 4096 thin-pool ${dev[meta]} ${dev[data]} 128 0 1 error_if_no_space"
	tell pool create_thin 0
	dm t2 "0 8192 thin ${dev[pool]} 0"
	mirror j1 s1 t1 group g
	mirror j2 s2 t2 group g
	all concluded j2
	ended cancelled source j2
	expect j2 error target-no-space
	all ready j1
	refuses j1 EPERM 'of its group has ended' complete
	gone j2
	pending j1
	tell j1 finalize
	ended completed target j1
	same s1 t1
}

# In the commit window a failure is not the end: nobody has decided yet.
write_fails() {
	members 2
	pending j1 j2
	bad t2
	fill j2 9 0 8 &
	bj_wait j2 held=1
	refuses j1 EPERM 'of its group holds a write' finalize
	refuses j1 EPERM 'of its group holds a write' finalize source
	refuses j2 EPERM 'it holds a write' finalize source
	tell j1 rollback
	wait $! || fail "the write failed"
	all ready j1
	good t2
	bj_wait_state j2 'ready|aborting|concluded'
	filled s2 9 0 8
}

# After the instant there is no way back: one image that lacks a write is none.
fails_after() {
	local before

	members 2
	pending j1 j2
	before=$(writes s2)
	ctl suspend-noflush lt2
	fill j2 9 0 8 &
	until [ "$(writes s2)" -gt "$before" ]; do
		sleep 0.01
	done
	tell j1 finalize source
	bj_wait_state j1 waiting
	refuses j1 EPERM 'it is being cancelled' rollback
	must bj_dm load "${BJ_PREFIX}lt2" "0 $SECTORS error"
	ctl resume lt2
	all concluded j1 j2
	ended cancelled source j1 j2
	expect j2 error target-write-error
	wait $! || fail "the write failed"
	filled s2 9 0 8
	fill j1 9
	filled s1 9
}

# One fails while another is being cancelled: one end each, and the third stays.
fail_and_cancel() {
	local i

	members 1
	for i in 2 3; do
		disk "s$i" 1M
		disk "t$i" 1M
		layer "lt$i" "t$i"
	done
	for ((i = 0; i < 2 * BJ_ROUNDS; i++)); do
		mirror j2 s2 lt2 group g
		mirror j3 s3 lt3 group g
		all ready j2 j3
		pending j1
		bad t2
		bj_dm message "${BJ_PREFIX}j3" 0 cancel force >/dev/null &
		tell j2 mark 0 8
		wait
		all concluded j2 j3
		ended cancelled source j2 j3
		all ready j1
		gone j2
		gone j3
		good t2
	done
	pending j1
	tell j1 finalize
	ended completed target j1
}

# chain DEVICE...: dependent writes until "unchain".
chain() {
	local word='' nodes=() name

	for name; do
		nodes+=("${dev[$name]}")
	done
	mkfifo "$BJ_TMP/chain"
	bj_chain run $CHAINS "${nodes[@]}" >"$BJ_TMP/chain" 2>&1 &
	pid[chain]=$!
	loads+=($!)
	exec 7<"$BJ_TMP/chain"
	read -r -t "$BJ_TIMEOUT" word <&7
	cat <&7 >"$BJ_TMP/said" &
	exec 7<&-
	is "the chain" "$word" running
}

unchain() {
	kill -TERM "${pid[chain]}"
	wait "${pid[chain]}" || {
		quote <"$BJ_TMP/said"
		fail "a dependent write failed"
	}
	wait
}

# one_instant DEVICE...: at least one number for each chain, and no gap.
one_instant() {
	local nodes=() name said

	for name; do
		nodes+=("${dev[$name]}")
	done
	said=$(bj_chain check $CHAINS "${nodes[@]}") || {
		quote <<<"$said"
		fail "not of one instant: $*"
	}
	holds "$said" '>' $CHAINS
}

# copies MODE: under dependent writes, again and again.
copies() {
	local i n round

	for n in 1 2; do
		disk "s$n" $((SECTORS * 512))
		disk "t$n" $((SECTORS * 512))
		layer "u$n" "s$n"
	done
	chain u1 u2
	for ((round = 0; round < 2 * BJ_ROUNDS; round++)); do
		for n in 1 2; do
			swap "u$n" "0 $SECTORS blkjob mirror ${dev["s$n"]} 0 ${dev["t$n"]} 0 4 group g copy_mode $1"
		done
		pending u1 u2
		tell "u$((1 + round % 2))" finalize source
		all concluded u1 u2
		ended completed source u1 u2
		one_instant t1 t2
		for n in 1 2; do
			swap "u$n" "0 $SECTORS linear ${dev["s$n"]} 0"
		done
	done
	unchain
	one_instant s1 s2
}

# Both sets are good: the old one is of the instant, the new one goes on.
switches() {
	local n

	for n in 1 2 3; do
		disk "s$n" $((SECTORS * 512))
		disk "t$n" $((SECTORS * 512))
		mirror "j$n" "s$n" "t$n" group g
	done
	chain j1 j2 j3
	pending j1 j2 j3
	tell j3 finalize
	ended completed target j1 j2 j3
	sleep 0.2
	one_instant s1 s2 s3
	unchain
	one_instant t1 t2 t3
}

conformance 301 302 304 305 307 308
bj_run together apart others created line_again soft soft_alone removed \
	one_fails no_space write_fails fails_after fail_and_cancel \
	"copies background" "copies write-blocking" switches
