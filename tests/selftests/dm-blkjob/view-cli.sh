#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "backup --snapshot": a device that shows another one as it was.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

NAME=bjview$$

pair() {
	disk s 4M
	disk t 4M
	fill s 1
	fill t 2
	user u s
	before=$(table u)
}

# snapshot [OPTION...]
snapshot() {
	started backup --snapshot $NAME --force "$@" "${dev[u]}" "${dev[t]}"
	grep -q "/dev/mapper/$NAME is ${dev[u]} as it was.*'blkjob complete $job'" \
		"$out" || fail "no word about the view"
	[ -e /dev/mapper/$NAME ] || must dmsetup mknodes $NAME
	dev[v]=$(readlink -f /dev/mapper/$NAME)
}

# The device has the table that it had; of job and view nothing is left.
taken_out() {
	is table "$(table u)" "$before"
	bj_dm info $NAME >/dev/null 2>&1 && fail "the view is still there"
	nothing_left
}

shows() {
	pair
	snapshot
	is "read-only" "$(blockdev --getro "${dev[v]}")" 1
	fill u 3 1000 100
	filled v 1
	fill u 4
	filled v 1
	ends 0 '^type +backup' status "$job"
	exec 8<"${dev[v]}"
	ends 3 "/dev/mapper/$NAME, which shows the source of job $job as it was, is in use; close it" \
		complete "$job"
	ends 3 "is in use; close it" cancel "$job"
	filled v 1
	exec 8<&-
	ends 0 '' complete "$job"
	taken_out
	filled u 4
}

discarded() {
	pair
	snapshot --discard
	is "read-only" "$(blockdev --getro "${dev[v]}")" 0
	fill u 3
	must blkdiscard -f -o 1048576 -l 1048576 "${dev[v]}"
	filled v 1 0 2048
	filled v 1 4096
	bj_data check "${dev[v]}" 1 2048 8 >/dev/null 2>&1 &&
		fail "what was discarded can be read"
	bj_data fill "${dev[v]}" 9 0 8 >/dev/null 2>&1 && fail "it can be written"
	ends 0 cancelled cancel "$job"
	taken_out
	filled u 3
}

# Two that were there by hand go too.
by_hand() {
	local id

	pair
	snapshot
	id=$(bj_dm create "${BJ_PREFIX}w" "0 8 blkjob-snapshot /dev/mapper/blkjob.$job") ||
		fail "no second view: $id"
	ends 0 cancelled cancel "$job"
	taken_out
	bj_dm info "${BJ_PREFIX}w" >/dev/null 2>&1 && fail "the second view is there"
	filled u 1
}

refused() {
	pair
	ends 2 'goes with --sync none alone' \
		backup --snapshot $NAME --sync full "${dev[u]}" "${dev[t]}"
	ends 2 'goes with --sync none alone' \
		backup --snapshot $NAME --wait "${dev[u]}" "${dev[t]}"
	ends 2 '--discard needs --snapshot' \
		backup --discard "${dev[u]}" "${dev[t]}"
	ends 2 'not "a/b"' backup --snapshot a/b "${dev[u]}" "${dev[t]}"
	layer other t
	ends 3 'there is a device /dev/mapper/.* already; choose another name' \
		backup --snapshot "${BJ_PREFIX}other" "${dev[u]}" "${dev[t]}"
	taken_out
}

conformance 206
cli_run shows discarded by_hand refused
