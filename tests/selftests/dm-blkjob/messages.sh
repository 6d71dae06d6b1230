#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Messages: every verb in every state, and words that are none.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# A job that stays in its state; lt is a layer over the target device t.
job() {
	disk s 1M
	disk t 1M
	layer lt t
	mirror j s lt "$@"
}

# refuses_all STATE VERB...: and the state stays.
refuses_all() {
	local state=$1 verb

	shift
	for verb; do
		# shellcheck disable=SC2086
		refuses j EPERM \
			"job in state $state cannot accept ${verb%% *}" $verb
	done
}

in_running() {
	job speed 4096
	refuses_all running resume complete finalize rollback "unmark 0 128"
	expect j state running
	tell j mark 0 128
	tell j pause
	bj_wait_state j paused
	tell j resume
	bj_wait_state j running
	tell j cancel
	bj_wait_state j concluded
	expect j result cancelled
}

in_paused() {
	job paused on
	refuses_all paused pause complete finalize rollback
	tell j set speed 1000000
	tell j mark 0 128
	tell j unmark 0 128
	expect j state paused
	expect j speed 1000000
	tell j cancel
	bj_wait_state j concluded
	expect j result cancelled
	expect j error -
}

in_ready() {
	job
	bj_wait_state j ready
	refuses_all ready resume finalize rollback "unmark 0 128"
	tell j set speed 1000000
	tell j mark 0 128
	bj_wait j dirty=0 in_flight=0
	expect j state ready
	tell j pause
	bj_wait_state j standby
	tell j resume
	bj_wait_state j ready
}

in_standby() {
	job
	bj_wait_state j ready
	tell j pause
	refuses_all standby pause cancel finalize rollback
	tell j mark 0 128
	tell j unmark 0 128
	# complete takes effect when resumed, as in QEMU
	tell j complete
	expect j state standby
	tell j resume
	bj_wait_state j pending
}

in_waiting() {
	job
	bj_wait_state j ready
	ctl suspend lt
	fill j 1 0 1
	tell j complete
	refuses_all waiting pause resume complete finalize "mark 0 8" \
		"unmark 0 128"
	expect j state waiting
	tell j set speed 0
	tell j rollback
	bj_wait_state j ready
	tell j complete
	expect j state waiting
	ctl resume lt
	bj_wait_state j pending
}

in_pending() {
	job
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	refuses_all pending pause resume complete "mark 0 8" "unmark 0 128"
	expect j state pending
	tell j set speed 0
	tell j rollback
	bj_wait_state j ready
	finish j
}

# For a second at most, while copies do not end.
in_aborting() {
	job sync none
	bj_wait_state j ready
	ctl suspend lt
	fill j 1 0 1
	bj_wait j busy=1
	tell j cancel force
	refuses_all '(aborting|concluded)' pause resume cancel "cancel force" \
		complete finalize rollback "set speed 1" "mark 0 8" "unmark 0 8"
	bj_wait_state j concluded
	ctl resume lt
}

in_concluded() {
	job
	bj_wait_state j ready
	finish j
	refuses_all concluded pause resume cancel "cancel force" complete \
		finalize rollback "set speed 1" "mark 0 8" "unmark 0 8"
	is "the end" "$(bj_status j state result active error)" \
		"concluded completed target -"
}

no_words() {
	local words

	job paused on
	for words in foo Pause "pause now" "cancel hard" "cancel force now" \
		     "complete 1" set "set speed" "set speed 1 2" "mark 0" \
		     "mark 0 1 2" "help me"; do
		# shellcheck disable=SC2086
		refuses j EINVAL "message ${words%% *} with [0-9] words is not known" \
			$words
	done
	expect j state paused
}

bad_values() {
	local words

	job speed 4096
	for words in "set speed -1" "set speed 1.5" "set speed aaa" \
		     "set speed 8796093022208000000" "set speed 1k" \
		     "set buf_size 1073741825" "set copy_mode sync" \
		     "set colour red" "set granularity 512" "set sync none" \
		     "set paused on"; do
		# shellcheck disable=SC2086
		refuses j EINVAL "${words##* }|colour|cannot change" $words
	done
	for words in "0 0" "2048 1" "2047 2" "-1 1" "0 -1" "x 1" \
		     "18446744073709551615 2" "1 18446744073709551615"; do
		# shellcheck disable=SC2086
		refuses j EINVAL "does not lie in the device" mark $words
	done
	refuses j EINVAL "map takes one sector" map 2048
	refuses j EINVAL "map takes one sector" map x
	refuses j EINVAL "map takes one sector" map 0 1
	is "state and speed" "$(bj_status j state speed)" "running 4096"
}

# For every option there is: words that are no value, and nothing changes.
every_option() {
	local key good value before long

	job paused on
	before=$(bj_dm table "${BJ_PREFIX}j")
	long=$(printf 'x%.0s' {1..3000})
	while read -r key good; do
		refuses j EINVAL 'message set with 2 words is not known' set "$key"
		refuses j EINVAL 'message set with 4 words is not known' \
			set "$key" "$good" "$good"
		refuses j EINVAL "option ${key^^} is not known" \
			set "${key^^}" "$good"
		for value in -1 "$long" 18446744073709551616; do
			refuses j EINVAL \
				"$key (${value:0:40} is not|cannot change)" \
				set "$key" "$value"
		done
	done < <(cut -d ' ' -f 10- <<<"$before" | xargs -n 2)
	refuses j EINVAL 'option x{40} is not known' set "$long" 1
	refuses j EINVAL 'message x{40} with 1 words is not known' "$long"
	is "the table" "$(bj_dm table "${BJ_PREFIX}j")" "$before"
}

help() {
	local text verb

	job
	text=$(bj_dm message "${BJ_PREFIX}j" 0 help)
	for verb in pause resume cancel complete finalize rollback set mark \
		    unmark map; do
		[[ $text =~ (^|[^a-z])$verb([^a-z]|$) ]] ||
			fail "help does not know $verb"
	done
}

# The reply does not fit: "next" leads on. Sum and order must be right.
map_pages() {
	local next=0 reply pages=0

	disk s 8M
	disk t 8M
	mirror j s t sync none granularity 512 paused on
	must bj_stomp -n 6000 -m 1 -t 1 -f 0 run "${dev[j]}" "$BJ_TMP/log"
	while [ -n "$next" ]; do
		reply=$(bj_dm message "${BJ_PREFIX}j" 0 map "$next")
		next=
		if [[ ${reply##*$'\n'} = next* ]]; then
			next=${reply##* }
			reply=${reply%$'\n'*}
		fi
		echo "$reply" >>"$BJ_TMP/map"
		pages=$((pages + 1))
	done
	is "sum of the map" "$(awk '
		$1 < end { print "overlaps or is not sorted:", $0 }
		{ end = $1 + $2 + 1; sum += $2 }
		END { print sum * 512 }' "$BJ_TMP/map")" "$(bj_status j dirty)"
	holds "$pages > 1"
	tell j resume
	bj_wait_state j ready
	is "an empty map" "$(bj_dm message "${BJ_PREFIX}j" 0 map)" ""
	same s t
}

# Options change without losing progress.
set_while_copying() {
	disk s 16M
	disk t 16M
	fill s 1
	mirror j s t speed 1048576
	tell j set buf_size 512
	tell j set speed 4194304
	expect j speed 4194304
	tell j set buf_size 67108864
	tell j set copy_mode write-blocking
	bj_wait j 'offset>1000000'
	tell j set speed 0
	bj_wait_state j ready
	tell j set buf_size 1
	tell j mark 0 32768
	bj_wait j dirty=0 in_flight=0
	expect j recopied 16777216
	same s t
}

conformance 59 115 116 118 133 134 160 161
bj_run in_running in_paused in_ready in_standby in_waiting in_pending \
	in_aborting in_concluded no_words bad_values every_option help map_pages \
	set_while_copying
