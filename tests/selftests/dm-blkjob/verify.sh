#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "verify": it finds what differs, to the sector, and nothing else,
# whatever is written meanwhile. And "map": what is dirty, as a picture.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 16M
	disk t 16M
	fill s 1
	user u s
}

# A job that will not be ready by itself.
slow() {
	pair
	started mirror "${dev[u]}" "${dev[t]}" --speed 64K --buf-size 64K
}

# ready OPTION...: a job that has caught up.
ready() {
	pair
	started mirror "${dev[u]}" "${dev[t]}" --wait "$@"
}

# verified STATUS KEY VALUE...: as the JSON says.
verified() {
	local status=$1

	shift
	ends "$status" '"id"' verify "$job" --json
	[ ! -s "$err" ] || fail "--json, and words on standard error"
	while [ $# -gt 0 ]; do
		is "$1" "$(json verify "$out" "$1")" "$2"
		shift 2
	done
}

# Past the job, which does not know.
spoil() {
	fill "$1" 9 "$2" "$3"
}

equal() {
	ready
	ends 0 'are equal: 16.0 MiB compared' verify "$job"
	grep -q '^verify *100.0%  16.0 MiB/16.0 MiB$' "$out" || fail "no progress"
	verified 0 equal 1 differ '' not-compared '' length 16777216
}

differ() {
	ready --granularity 4K
	spoil t 0 1
	spoil t 2047 2
	spoil t 8192 128
	spoil t 32767 1
	verified 7 equal 0 not-compared '' \
		differ "0+512 1048064+1024 4194304+65536 16776704+512"
}

# A device whose end is not that of a piece, and offsets in a leg.
odd_end() {
	disk s 20M
	disk t 20M
	fill s 1
	dm u "0 20483 linear ${dev[s]} 7"
	started mirror "${dev[u]}" "${dev[t]}" --wait
	verified 0 equal 1 length 10487296
	spoil t 20482 1
	spoil s 8 1
	verified 7 differ "512+512 10486784+512"
}

# What is dirty is expected to differ.
dirty() {
	ready
	ends 0 '' pause "$job"
	job_is "$job" state=standby in_flight=0
	fill u 3 4096 64
	spoil t 16384 1
	ends 7 "differ in 1 ranges.*'blkjob cancel --force $job'" verify "$job"
	is lines "$(grep bytes "$out" | xargs)" \
		"differ: 512 bytes at 8388608 not compared, being written: 65536 bytes at 2097152"
	ends 0 '' map "$job" --json
	is dirty "$(json map "$out" dirty)" "2097152+65536"
	ends 0 '' resume "$job"
	job_is "$job" state=ready dirty=0 in_flight=0
	fill t 1 16384 1
	verified 0 equal 1 not-compared ''
}

# under_load MODE: everything is written again and again, and one place is not.
under_load() {
	ready --copy-mode "$1"
	spoil t 32760 1
	dm v "0 32512 linear ${dev[u]} 0"
	load l v 1
	verified 7 differ "16773120+512"
	unload l
	verify u l
	gone v
}

pending() {
	local job=${BJ_PREFIX}a

	pair
	mirror a u t
	bj_wait_state a ready
	tell a complete
	bj_wait_state a pending
	fill a 4 1000 100
	verified 0 equal 1
	spoil t 1050 1
	verified 7 differ "537600+512"
	tell a finalize
	bj_wait_state a concluded
	ends 3 'is concluded: its legs need not be equal' verify "$job"
}

not_ready() {
	slow
	ends 3 "is running: .*'blkjob wait $job'" verify "$job"
	ends 3 'no job' verify nonsense
	ends 2 'needs one JOB' verify
	ends 2 'is not a size' verify "$job" --speed fast
}

speed() {
	local since=$SECONDS

	ready
	ends 0 'are equal' verify "$job" --speed 8M
	holds "$SECONDS - $since >= 1"
	background verifying verify "$job" --speed 1M
	said verifying 'verify '
	kill -INT "${pid[verifying]}"
	ended verifying 4 "interrupted; job $job goes on"
	is state "$(bj_dm get "blkjob.$job" state)" ready
}

failing() {
	pair
	layer tt t
	started mirror "${dev[u]}" "${dev[tt]}" --wait
	swap tt "0 8192 linear ${dev[t]} 0" "8192 8 error" \
		"8200 24568 linear ${dev[t]} 8200"
	ends 5 'cannot read.*the target device of job.*between byte 4194304' verify "$job"
	ends 0 '' cancel --force "$job"
	gone tt
	layer ss s
	gone u
	user u ss
	started mirror "${dev[u]}" "${dev[t]}" --wait --force
	swap ss "0 32768 error"
	ends 6 'cannot read.*the source of job' verify "$job"
}

# picture LINE...: what "map" draws, but for the line that explains it.
picture() {
	ends 0 '32.0 KiB each: . copied  - dirty  \+ half dirty  # all dirty' map "$job"
	is picture "$(head -n -1 "$out" | xargs)" "$*"
}

map() {
	local name=${BJ_PREFIX}a job dots hashes

	job=$name
	pair
	dots=$(printf '.%.0s' {1..64})
	hashes=${dots//./#}
	mirror a u t sync none granularity 4096
	bj_wait_state a ready
	picture "$dots" "$dots" "$dots" "$dots" "$dots" "$dots" "$dots" "$dots"
	tell a pause
	tell a mark 0 4096
	tell a mark 4096 8
	tell a mark 32736 32
	picture "$hashes" "-${dots:1}" "$dots" "$dots" "$dots" "$dots" "$dots" \
		"${dots:1}+"
	ends 0 '"dirty":\[' map "$job" --json
	is ranges "$(json map "$out" dirty)" "0+2101248 16760832+16384"
}

# On a terminal: as wide as that, and with its characters.
map_terminal() {
	local name=${BJ_PREFIX}a

	need script
	pair
	mirror a u t sync none paused on
	tell a mark 0 16384
	LC_ALL=C.UTF-8 script -qec "stty cols 40; blkjob map $name" /dev/null \
		>"$BJ_TMP/tty" </dev/null || fail "map fails on a terminal"
	tr -d '\r' <"$BJ_TMP/tty" >"$BJ_TMP/plain"
	is lines "$(wc -l <"$BJ_TMP/plain")" 9
	is bytes "$(head -n 1 "$BJ_TMP/plain" | wc -c)" $((3 * 40 + 1))
	grep -q '^████' "$BJ_TMP/plain" || fail "no blocks"
	grep -q '░$' "$BJ_TMP/plain" || fail "no light shade"
	LC_ALL=C script -qec "blkjob map $name" /dev/null >"$BJ_TMP/tty" </dev/null
	grep -q '^####' "$BJ_TMP/tty" || fail "not plain"
}

cli_run equal differ odd_end dirty "under_load background" \
	"under_load write-blocking" pending not_ready speed failing map \
	map_terminal
