#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command: its help, what it refuses as wrong usage, what it shows of a job
# in every state, how it steers one, and all of its exit statuses.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 16M
	disk t 16M
	fill s 1
	fill t 2
	user u s
}

# A job that will not be ready by itself.
slow() {
	pair
	started mirror "${dev[u]}" "${dev[t]}" --speed 64K --buf-size 64K \
		--latency-bound 150
}

help_texts() {
	local command general said commands=0

	general=$(blkjob help) || fail "no help"
	is --help "$(blkjob --help)" "$general"
	ends 0 '^blkjob [0-9]+\.[0-9]+' --version
	for command in $(sed -n 's/^  \([a-z]*\) .*/\1/p' <<<"$general"); do
		said=$(blkjob help "$command" 2>&1) || fail "no help for $command"
		is "$command --help" "$(blkjob "$command" --help)" "$said"
		[[ $said == "Usage: blkjob $command "* ]] ||
			fail "help $command is of something else"
		commands=$((commands + 1))
	done
	holds "$commands >= 12"
}

usage_errors() {
	local words said

	while read -r words; do
		# shellcheck disable=SC2086 # words it is
		said=$(blkjob $words 2>&1 >"$BJ_TMP/out")
		is "status of blkjob $words" $? 2
		[ -n "$said" ] || fail "no word about the error: $words"
		[ ! -s "$BJ_TMP/out" ] || fail "error on standard output: $words"
	done <<-'END'

	nonsense
	--nonsense
	help nonsense
	migrate
	migrate a
	migrate a b
	migrate --to b
	migrate a --to
	migrate a --to b --speed
	migrate a --to b --speed fast
	migrate a --to b --timeout never
	migrate a --to b --switch-timeout -1
	mirror
	mirror a
	mirror a b c
	mirror a b --speed 1x
	mirror a b --speed -1
	mirror a b --speed 99999999999999G
	mirror a b --granularity ten
	mirror a b --buf-size 1.2.3
	mirror a b --timeout 5
	mirror a b --nonsense
	list a
	list --nonsense
	status
	status a b
	wait
	wait a b
	wait a --timeout soon
	complete
	complete a b
	cancel
	cancel a b
	pause
	pause a b
	resume
	resume --speed 1 a
	set a
	set --speed 1
	set a --speed much
	check a b
	check --to b
	recover --nonsense
	END
}

latency_bound_is() {
	[[ $(bj_dm table "blkjob.$job") == *" latency_bound $1 "* ]] ||
		fail "the bound is not $1: $(bj_dm table "blkjob.$job")"
}

sizes() {
	local given bytes

	slow
	while read -r given bytes; do
		ends 0 '' set "$job" --speed "$given"
		is "speed $given" "$(bj_dm get "blkjob.$job" speed)" "$bytes"
	done <<-'END'
	65536 65536
	64K 65536
	100M 104857600
	1.5G 1610612736
	1T 1099511627776
	0 0
	END
	ends 3 'buf_size.*is not a number from 0 to' set "$job" --buf-size 2G
	latency_bound_is 150
	ends 0 '' set "$job" --latency-bound 200
	latency_bound_is 200
	ends 3 'latency_bound 90 is not a percentage' set "$job" --latency-bound 90
}

check_only() {
	pair
	ends 0 'target "blkjob" [0-9.]+ is available' check
	ends 0 'can have a job$' check "${dev[u]}"
	ends 0 'can have a job to' check "${dev[u]}" --to "${dev[t]}"
	ends 3 'not a device-mapper device' check "${dev[s]}"
	ends 3 'too small|stands on' check "${dev[u]}" --to "${dev[s]}"
	ends 0 '"ok":true' check "${dev[u]}" --to "${dev[t]}" --json
	must json check "$out"
	is error "$(json check "$out" error)" null
	ends 3 '"ok":false' check "${dev[s]}" --json
	must json check "$out"
	[ ! -s "$err" ] || fail "--json, and words on standard error"
	nothing_left
}

# shows JOB STATE: the same in all places; the JSON is checked at the end.
shows() {
	ends 0 "^status +$2" status "$1"
	ends 0 "\"status\":\"$2\"" status "$1" --json
	cat "$out" >>"$BJ_TMP/status"
	ends 0 " $2 " list
	ends 0 "\"status\":\"$2\"" list --json
	cat "$out" >>"$BJ_TMP/list"
}

# all_json KEY VALUE...: in the order in which the states were seen.
all_json() {
	local key=$1

	shift
	is "$key" "$(json job "$BJ_TMP/status" "$key" | xargs)" "$*"
}

every_state() {
	local name=${BJ_PREFIX}a

	pair
	ends 0 '^\[\]$' list --json
	cat "$out" >"$BJ_TMP/list"
	layer tt t
	mirror a u tt speed 65536
	shows "$name" running
	ends 0 '' pause "$name"
	shows "$name" paused
	ends 0 '' resume "$name"
	ends 0 '' set "$name" --speed 0
	ends 0 'ready +100.0%' wait "$name"
	shows "$name" ready
	ends 0 '' pause "$name"
	shows "$name" standby
	ends 3 'paused.*resume' complete "$name"
	ends 3 'paused.*--force' cancel "$name"
	ends 0 '' resume "$name"
	bj_wait_state a ready
	# Getting in step ends with a flush of the target device.
	ctl suspend-noflush tt
	tell a complete
	shows "$name" waiting
	ctl resume tt
	bj_wait_state a pending
	shows "$name" pending
	tell a finalize
	bj_wait_state a concluded
	shows "$name" concluded
	must json jobs "$BJ_TMP/list"
	all_json status running paused ready standby waiting pending concluded
	all_json paused 0 1 0 1 0 0 0
	all_json ready 0 0 1 1 1 1 0
	all_json result null null null null null null completed
	all_json active source source source source source source target
	all_json len 16777216 16777216 16777216 16777216 16777216 16777216 16777216
}

# By id, by the names and paths of the user's device, of the layer.
names() {
	local name ref

	slow
	name=$(cat "/sys/class/block/${dev[u]##*/}/dm/name")
	for ref in "$job" "$name" "${dev[u]}" "blkjob.$job" \
		/dev/disk/by-id/dm-name-"$name"; do
		[ "${ref#/dev/disk}" = "$ref" ] || [ -e "$ref" ] || continue
		ends 0 "^job +$job" status "$ref"
	done
	ends 3 'no job "nonsense"; see: blkjob list' status nonsense
	ends 3 'no job' status "${dev[t]}"
	ends 3 'no job' cancel 00000000
	ends 0 'cancelled' cancel "${dev[u]}"
}

steer() {
	local before

	slow
	ends 0 '' pause "$job"
	ends 3 'refused "pause"' pause "$job"
	before=$(bj_dm get "blkjob.$job" offset)
	job_is "$job" in_flight=0
	before=$(bj_dm get "blkjob.$job" offset)
	ends 4 'detached.*wait' wait "$job" --timeout 1
	is offset "$(bj_dm get "blkjob.$job" offset)" "$before"
	ends 0 '' resume "$job"
	ends 3 'refused "resume"' resume "$job"
	ends 0 '' set "$job" --speed 0 --buf-size 1M
	ends 0 'ready +100' wait "$job"
	filled u 1
	same u t
}

cancel_before_ready() {
	local before after

	pair
	before=$(table u)
	started mirror "${dev[u]}" "${dev[t]}" --speed 64K
	holds "$(table u | grep -c linear) == 1"
	after=$(table u)
	[ "$before" != "$after" ] || fail "no layer"
	ends 0 'the copy is incomplete' cancel "$job"
	is table "$(table u)" "$before"
	filled u 1
	nothing_left
}

# However long another command is at it.
cancel_after_another() {
	local lock

	slow
	lock=/run/lock/blkjob.$(cat "/sys/class/block/${dev[u]##*/}/dev").lock
	exec 8>"$lock"
	flock 8
	background ending cancel "$job" --force
	said ending "waiting for another blkjob command that is changing"
	is state "$(bj_dm get "blkjob.$job" state)" running
	flock -u 8
	exec 8>&-
	ended ending 0 'the copy is incomplete'
	nothing_left
}

cancel_after_ready() {
	local before

	pair
	before=$(table u)
	started mirror "${dev[u]}" "${dev[t]}" --wait
	fill u 3 4096 8
	ends 0 'is a consistent copy' cancel "$job"
	is table "$(table u)" "$before"
	same u t
	filled t 3 4096 8
	nothing_left
}

complete_mirror() {
	pair
	started mirror "${dev[u]}" "${dev[t]}" --speed 8M
	fill u 3 4096 8
	ends 0 'is now on' complete "$job"
	grep -q 'no write was held longer than [0-9.]* ms' "$out" ||
		fail "no word about the pause"
	is table "$(table u)" "0 32768 linear $(cat "/sys/class/block/${dev[t]##*/}/dev") 0"
	filled u 3 4096 8
	filled u 1 0 4096
	fill u 4
	filled t 4
	filled s 1 8192
	nothing_left
}

# A job has a name of its own, although nobody gave it one.
ids() {
	local first

	pair
	disk v 16M
	disk w 16M
	user x v
	started mirror "${dev[u]}" "${dev[t]}" --speed 64K
	first=$job
	started mirror "${dev[x]}" "${dev[w]}" --speed 64K
	[ "$job" != "$first" ] || fail "two jobs with one name"
	ends 0 "^$first .*" list
	ends 0 "^$job .*" list
	ends 0 cancelled cancel "$first"
	is state "$(bj_dm get "blkjob.$job" state)" running
	ends 0 cancelled cancel "$job"
	nothing_left
}

# Who ended the job is gone, and with it what it wanted to do then: another one
# finds the result, takes the layer out, and there can be a new job.
helper_died() {
	local before verb=cancel

	pair
	disk v 16M
	before=$(table u)
	started mirror "${dev[u]}" "${dev[t]}" --wait
	if [ "$1" = completed ]; then
		must bj_dm message "blkjob.$job" 0 complete
		job_is "$job" state=pending
		must bj_dm message "blkjob.$job" 0 finalize
		verb=complete
	else
		must bj_dm message "blkjob.$job" 0 cancel force
	fi
	job_is "$job" state=concluded
	ends 0 '"status":"concluded"' list --json
	is result "$(json jobs "$out" result)" "$1"
	ends 0 "$1" status "$job"
	ends 3 "already has job $job" mirror "${dev[u]}" "${dev[v]}"
	ends 0 "job $job is concluded: 'blkjob complete $job' or" recover
	ends 0 '' $verb "$job"
	nothing_left
	[ "$1" != cancelled ] || is table "$(table u)" "$before"
	[ "$1" != completed ] || is table "$(table u)" \
		"0 32768 linear $(cat "/sys/class/block/${dev[t]##*/}/dev") 0"
	filled u 1
	started mirror "${dev[u]}" "${dev[v]}" --wait
	ends 0 'consistent copy' cancel "$job"
	same u v
}

# A job that dmsetup made.
by_hand() {
	pair
	gone u
	mirror a s t speed 65536
	ends 0 '^status +running' status "${BJ_PREFIX}a"
	ends 0 '' set "${dev[a]}" --speed 0
	ends 0 'ready' wait "${BJ_PREFIX}a"
	ends 0 'is now on' complete "${BJ_PREFIX}a"
	holds "$(table a | grep -c linear) == 1"
	filled a 1
	same s t
}

# signal NAME: what the command does is detach, and anybody can come back.
signal() {
	slow
	background waiting wait "$job"
	said waiting running
	kill "-$1" "${pid[waiting]}"
	ended waiting 4 "detached; job $job goes on.*'blkjob wait $job'.*'blkjob cancel"
	is state "$(bj_dm get "blkjob.$job" state)" running
	ends 0 '' set "$job" --speed 0
	ends 0 'ready' wait "$job"
	ends 0 'is now on' complete "$job"
	filled u 1
	nothing_left
}

# Also while it is to switch: not by itself then.
signal_to_migrate() {
	pair
	background migrating migrate "${dev[u]}" --to "${dev[t]}" --speed 64K
	said migrating running
	job=$(only_job)
	kill -INT "${pid[migrating]}"
	ended migrating 4 "will not switch by itself.*'blkjob complete $job'"
	ends 0 '' set "$job" --speed 0
	ends 0 'is now on' complete "$job"
	same u t
	nothing_left
}

# One line that changes, on a terminal.
terminal() {
	need script
	pair
	started mirror "${dev[u]}" "${dev[t]}" --speed 8M
	script -qec "blkjob wait $job" /dev/null >"$BJ_TMP/tty" </dev/null ||
		fail "wait fails on a terminal"
	grep -q $'\r\033\\[Krunning .*MiB/16.0 MiB.*dirty' "$BJ_TMP/tty" ||
		fail "no line that changes"
	grep -q $'\r\033\\[Kready *100.0%' "$BJ_TMP/tty" || fail "no last line"
	holds "$(grep -c . "$BJ_TMP/tty") == 1"
}

# Each exit status at least once.
exit_plain() {
	ends 0 '' list
	ends 2 'see: blkjob help' frobnicate
	ends 3 'no job' status nonsense
}

exit_rolled_back() {
	pair
	background migrating migrate "${dev[u]}" --to "${dev[t]}" --speed 64K
	said migrating running
	ends 0 cancelled cancel "${dev[u]}"
	ended migrating 1 'removed by another command|was cancelled'
	filled u 1
	nothing_left
}

exit_detached() {
	slow
	ends 4 'detached' wait "$job" --timeout 1s
	ends 4 'detached.*will not switch by itself' complete "$job" --timeout 1s
}

exit_target_error() {
	pair
	layer tt t
	started mirror "${dev[u]}" "${dev[tt]}" --speed 64K
	swap tt "0 32768 error"
	ends 5 'target-write-error' wait "$job" --concluded
	filled u 1
	ends 5 'target-write-error' complete "$job"
	filled u 1
	nothing_left
}

exit_source_error() {
	disk s 16M
	disk t 16M
	dm ss "0 8192 linear ${dev[s]} 0" "8192 8 error" \
		"8200 24568 linear ${dev[s]} 8200"
	user u ss
	started mirror "${dev[u]}" "${dev[t]}"
	ends 6 'source-read-error' wait "$job" --concluded
	ends 6 'source-read-error' complete "$job"
	nothing_left
}

exit_attention() {
	blkjob help >/dev/full 2>"$BJ_TMP/err" && fail "a full disk is no error"
	status=0 out=/dev/null err=$BJ_TMP/err
	blkjob list --json >/dev/full 2>"$err" || status=$?
	judge 7 'cannot write the output' list --json
}

conformance 34 154 158 320 323 325 328 329 332
cli_run help_texts usage_errors sizes check_only every_state names steer \
	cancel_before_ready cancel_after_another cancel_after_ready \
	complete_mirror ids \
	"helper_died completed" "helper_died cancelled" by_hand \
	"signal INT" "signal TERM" signal_to_migrate terminal exit_plain \
	exit_rolled_back exit_detached exit_target_error exit_source_error \
	exit_attention
