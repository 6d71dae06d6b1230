#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Groups by the command: several devices, switched or copied at one instant.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# two [LOSETUP OPTION...]: devices u1 and u2 in use, t1 and t2 free.
two() {
	local n

	for n in 1 2; do
		disk "s$n" 2M "$@"
		disk "t$n" 2M
		fill "s$n" "$n"
		user "u$n" "s$n"
	done
	pairs=("${dev[u1]}:${dev[t1]}" "${dev[u2]}:${dev[t2]}")
	before=$(table u1; table u2)
}

# grouped [WORD...]: their jobs; their ids are in ids.
grouped() {
	ends 0 'job [0-9a-f]{8} started' mirror --group db "${pairs[@]}" "$@"
	mapfile -t ids < <(sed -n 's/^blkjob: job \([0-9a-f]*\) started.*/\1/p' "$out")
	is "jobs started" "${#ids[@]}" 2
}

# The devices have the tables that they had; of the jobs nothing is left.
untouched() {
	is tables "$(table u1; table u2)" "$before"
	nothing_left
}

# chain DEVICE DEVICE: dependent writes, until "unchain".
chain() {
	bj_chain run 2 "${dev[$1]}" "${dev[$2]}" >"$BJ_TMP/chain" 2>&1 &
	pid[chain]=$!
	loads+=($!)
	wait_for "the chain does not run" grep -q running "$BJ_TMP/chain"
}

unchain() {
	kill -TERM "${pid[chain]}"
	wait "${pid[chain]}" || {
		quote <"$BJ_TMP/chain"
		fail "a dependent write failed"
	}
}

switched() {
	two
	chain u1 u2
	grouped --wait
	ends 0 'DIRTY +RATE +GROUP' list
	ends 0 '' list --json
	must json jobs "$out"
	is groups "$(json jobs "$out" group | xargs)" "db db"
	ends 0 '' status db --json
	is objects "$(wc -l <"$out")" 2
	ends 0 'group +db' status "${ids[1]}"
	ends 0 '' pause db
	ends 3 'is paused' complete db
	ends 0 '' resume db
	ends 0 '' set db --speed 1G
	is speed "$(bj_dm get "blkjob.${ids[1]}" speed)" 1073741824
	ends 0 '' wait db
	ends 3 'group of 2 jobs' map db
	ends 3 "is one of 2 in group db" complete "${ids[0]}"
	ends 3 "is one of 2 in group db" cancel "${ids[0]}"
	ends 3 'there is a job or a group db already' \
		mirror --group db "${pairs[@]}"
	ends 0 'now on' complete db
	is "switches reported" "$(grep -c ' is now on ' "$out")" 2
	nothing_left
	unchain
	must bj_chain check 2 "${dev[t1]}" "${dev[t2]}"
	must bj_chain check 2 "${dev[s1]}" "${dev[s2]}"
	filled t1 1 1024
	filled t2 2 1024
}

copied() {
	two
	chain u1 u2
	grouped --wait
	ends 0 'consistent copies of one instant' cancel db
	untouched
	must bj_chain check 2 "${dev[t1]}" "${dev[t2]}"
	filled t1 1 1024
	filled t2 2 1024
	unchain
	# Not ready, there is nothing to be saved
	grouped --speed 64K --buf-size 64K --force
	ends 0 'copies are incomplete' cancel db
	untouched
}

# Everything is looked at before the first layer, and a failure leaves none.
refused() {
	two --sector-size 4096
	disk small 1M
	ends 2 'SOURCE:TARGET' mirror --group db
	ends 2 '' mirror "${pairs[@]}" "${pairs[0]}"
	ends 2 'does not go together' mirror --group db --replaces x "${pairs[@]}"
	ends 3 'is not SOURCE:TARGET' mirror --group db "${pairs[0]}" "${dev[u2]}"
	ends 3 'have a device in common' mirror --group db "${pairs[0]}" \
		"${dev[u2]}:${dev[t1]}"
	ends 3 'is too small' mirror --group db "${pairs[0]}" \
		"${dev[u2]}:${dev[small]}"
	ends 3 'is not a name of at most' mirror --group a/b "${pairs[@]}"
	untouched
	# Found out by the kernel, at the second one
	disk w 2M
	layer v t1
	fill t1 3
	ends 3 'less than the logical block.*' mirror --group db \
		--granularity 512 "${dev[v]}:${dev[w]}" "${pairs[1]}" --force
	grep -q 'started' "$out" && fail "one was started before"
	untouched
	filled v 3
	ends 0 '' list
	is "jobs left" "$(wc -l <"$out")" 0
}

# One fails: no device switches, until somebody has said to go on without it.
one_fails() {
	two
	layer lt2 t2
	pairs[1]=${dev[u2]}:${dev[lt2]}
	grouped --wait
	swap lt2 "0 4096 error"
	fill u2 9 0 8
	job_is "${ids[1]}" state=concluded
	ends 5 'has ended, so the others cannot switch' complete db
	job_is "${ids[0]}" state=ready
	is table "$(table u2 | cut -d ' ' -f 3)" linear
	ends 5 '' cancel "${ids[1]}"
	ends 0 'now on' complete db
	nothing_left
	filled u1 1
	filled t1 1
	filled u2 9 0 8
}

taken_out() {
	two
	grouped --wait
	ends 0 'incomplete' cancel --force "${ids[1]}"
	job_is "${ids[0]}" state=ready
	# A group of one ends as a job does
	ends 0 'consistent cop' cancel "${ids[0]}"
	untouched
}

# Killed while it ends the group: all or none, and the same command goes on.
killed_end() {
	local all i n verb=complete

	can_kill
	two
	grouped --wait
	all=$(ioctls complete db)
	say "$all ioctls"
	for i in 1 2 3; do
		swap u1 "$(head -n 1 <<<"$before")"
		swap u2 "$(tail -n 1 <<<"$before")"
		grouped --wait --force
		n=$((i * all / 4 + RANDOM % 3))
		say "killed at $n"
		killed "$n" complete db
		must dmsetup udevcomplete_all -y
		ends 0 '' recover
		cli $verb db
		# It may have switched already, or not yet.
		[ "$status" -ne 3 ] || cli complete db
		# Or have ended altogether.
		[ "$status" -eq 3 ] || judge 0 '' "$verb db, killed at $n"
		must dmsetup udevcomplete_all -y
		[ "$verb" = complete ] && verb=cancel || verb=complete
		nothing_left
		is "killed at $n: the first on a target device" \
			"$(on_target 1)" "$(on_target 2)"
		filled u1 1
		filled u2 2
	done
}

# on_target N: yes or no.
on_target() {
	[[ $(table "u$1") == *" linear $(stat -Lc '%Hr:%Lr' "${dev["t$1"]}") "* ]] &&
		echo yes || echo no
}

conformance 301 302 307 308
cli_run switched copied refused one_fails taken_out killed_end
