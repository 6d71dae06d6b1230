#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What happened, in order and without gaps: the message "events" and the
# command of that name.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 4M
	disk t 4M
	fill s 1
}

# told JOB: the events, without numbers, times and offsets.
told() {
	bj_dm message "$BJ_PREFIX$1" 0 events |
		sed -E 's/^[0-9]+ [0-9]+ //; s/^state ([a-z]+) [0-9]+$/\1/' | xargs
}

# The whole life of a job that switches, and what the command says of it.
life() {
	pair
	mirror j s t
	background events events "${BJ_PREFIX}j" --json
	said events ready
	finish j
	said events concluded
	is events "$(told j)" "created running ready waiting pending concluded"
	# It stays in the list until it is taken out.
	ends 0 '"status":"concluded"' list --json
	ends 3 "no job" complete nonsense
	gone j
	ends 0 '^\[\]$' list --json
	ended events 0 ''
	json event "$out" id | sort -u >"$BJ_TMP/ids"
	is id "$(cat "$BJ_TMP/ids")" "${BJ_PREFIX}j"
	is events "$(json event "$out" status | xargs)" \
		"created running ready waiting pending concluded gone"
	is offsets "$(json event "$out" offset | xargs)" \
		"0 0 4194304 4194304 4194304 4194304 null"
	json event "$out" time_us >"$BJ_TMP/times"
	sort -nc "$BJ_TMP/times" || fail "times go back"
}

# A soft cancel goes through waiting, a forced one through aborting.
cancelled() {
	pair
	mirror j s t
	bj_wait_state j ready
	tell j cancel
	bj_wait_state j concluded
	is events "$(told j)" "created running ready waiting concluded"
	gone j
	mirror j s t speed 1
	tell j pause
	tell j resume
	tell j cancel force
	bj_wait_state j concluded
	is events "$(told j)" "created running paused running aborting concluded"
}

# failing POLICY STATE EVENTS...: a write of the target device fails.
failing() {
	local policy=$1 state=$2

	shift 2
	pair
	dm tt "0 4096 linear ${dev[t]} 0" "4096 4096 error"
	mirror j s tt granularity 4194304 on_target_error "$policy"
	if [ "$policy" = ignore ]; then
		bj_wait j 'target_errors>5'
	else
		bj_wait_state j "$state"
	fi
	told j | grep -qE "^$*$" || {
		told j | quote
		fail "not $*"
	}
	background events events "${BJ_PREFIX}j"
	said events "error: write at sector [0-9]+ failed: Input/output error; action $policy$"
	gone j
	ended events 0 " gone$"
}

# Of many, the last ones; the numbers tell which.
many() {
	local i

	pair
	mirror j s t paused on
	for i in {1..20}; do
		tell j resume
		tell j pause
	done
	bj_dm message "${BJ_PREFIX}j" 0 events >"$BJ_TMP/events"
	is lines "$(wc -l <"$BJ_TMP/events")" 32
	holds "$(head -n 1 "$BJ_TMP/events" | cut -d ' ' -f 1) > 0"
	i=$(tail -n 1 "$BJ_TMP/events" | cut -d ' ' -f 1)
	is last "$(bj_dm message "${BJ_PREFIX}j" 0 events "$i")" \
		"$(tail -n 1 "$BJ_TMP/events")"
	is none "$(bj_dm message "${BJ_PREFIX}j" 0 events $((i + 1)))" ""
	refuses j EINVAL 'events takes' events x
	refuses j EINVAL 'events takes' events 1 2
	ends 4 'events-lost' events "${BJ_PREFIX}j" --timeout 1
}

# Of all jobs, also of one that comes later; until there is none.
all() {
	pair
	disk s2 4M
	disk t2 4M
	mirror j s t
	background events events
	said events "${BJ_PREFIX}j ready"
	mirror k s2 t2
	said events "${BJ_PREFIX}k ready"
	gone j
	said events "${BJ_PREFIX}j gone"
	gone k
	ended events 0 "${BJ_PREFIX}k gone"
	ends 0 '' events
	ends 3 'no job' events nonsense
	ends 2 'at most one JOB' events a b
}

conformance 119 121 122
cli_run life cancelled \
	"failing report concluded created running error write 5 [0-9]+ report aborting concluded" \
	"failing stop paused created running error write 5 [0-9]+ stop paused" \
	"failing ignore running created running error write 5 [0-9]+ ignore.*" \
	many all
