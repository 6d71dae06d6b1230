#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "blkjob stats" for people, as JSON and for Prometheus; and the sentence of
# "blkjob status" about a job that does not converge.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

pair() {
	disk s 8M
	disk t 8M
	fill s 1
}

# A ready job that the consumer has used: j, by hand.
used() {
	pair
	mirror j s t
	bj_wait_state j ready
	must dd if=/dev/zero of="${dev[j]}" bs=4096 count=200 oflag=direct
	bj_wait j dirty=0 in_flight=0
}

# Of the kernel's own reply, for job j.
kernel_says() {
	bj_dm message "${BJ_PREFIX}j" 0 stats | awk -v name="$1" '
		$1 == name { print $2 }
		$2 == name { print substr($3, 7) }'
}

table_for_people() {
	used
	ends 0 "^job ${BJ_PREFIX}j of /dev/mapper/${BJ_PREFIX}j: ready" \
		stats "${BJ_PREFIX}j"
	is writes "$(awk '$1 == "writes" { print $2 }' "$out")" 200
	grep -qE '^write +consumer +[1-9][0-9]* +[0-9.]+ (us|ms|s) ' "$out" ||
		fail "no line about writes"
	is "reads of the copy" "$(awk '$1 == "copy" && $2 == "source" { print $3 }' \
		"$out")" "$(kernel_says copy_source)"
	grep -q 'one of 64 is timed' "$out" || fail "no word about the sample"
	# The only job, so all of them
	cp "$out" "$BJ_TMP/one"
	ends 0 '' stats
	must cmp "$out" "$BJ_TMP/one"
	ends 0 '"converge":null' status "${BJ_PREFIX}j" --json
	ends 3 'no job' stats nonsense
	ends 2 'takes one JOB' stats a b
	ends 2 'not both' stats --json --prometheus
}

as_json() {
	used
	ends 0 '' stats --json "${BJ_PREFIX}j"
	is writes "$(json stats "$out" writes)" 200
	is copied "$(json stats "$out" copied)" "$(bj_status j copied)"
	ends 0 '' stats --json
	is "id in the array" "$(json all-stats "$out" id)" "${BJ_PREFIX}j"
	gone j
	ends 0 '' stats --json
	is "no jobs" "$(<"$out")" '[]'
}

# Two jobs, one of them with a name that must be escaped.
for_prometheus() {
	local labels odd='odd\x22name' series

	used
	disk a 1M
	disk b 1M
	mirror "$odd" a b
	bj_wait_state "$odd" ready
	ends 0 '' stats --prometheus
	labels="job=\"${BJ_PREFIX}j\",device=\"/dev/mapper/${BJ_PREFIX}j\""
	series=$(perl ./bj_prom.pl "$out" \
		"blkjob_writes_total{$labels}" "blkjob_copied_bytes_total{$labels}" \
		"blkjob_state{$labels,type=\"mirror\",state=\"ready\"}" \
		"blkjob_errors_total{$labels,leg=\"target\"}" \
		"blkjob_foreground_latency_seconds_count{$labels,op=\"write\"}" \
		"blkjob_leg_latency_seconds_count{$labels,op=\"copy\",leg=\"source\"}" \
		"blkjob_leg_latency_seconds_bucket{$labels,op=\"copy\",leg=\"source\",le=\"+Inf\"}" \
		2>&1) || fail "$series"
	is series "$(xargs <<<"$series")" "200 $(bj_status j copied) 1 0 $(
		kernel_says write) $(kernel_says copy_source) $(
		kernel_says copy_source)"
	is "jobs in it" "$(grep -c '^blkjob_state{' "$out")" 2
	grep -qE '^blkjob_state\{job="[^"]*odd(\\"|\\\\x22)name"' "$out" ||
		fail "the odd name is not escaped"
	ends 0 '' stats "${BJ_PREFIX}j" --prometheus
	must perl ./bj_prom.pl "$out"
	is "jobs in it" "$(grep -c '^blkjob_state{' "$out")" 1
	gone "$odd"
	gone j
	ends 0 '' stats --prometheus
	[ ! -s "$out" ] || fail "something is printed for no job"
}

# More becomes dirty than is copied: 8 MiB/s at most, and 256 KiB/s.
marks() {
	local at

	for ((at = 1; at < 1024; at++)); do
		tell j mark $((at * 2048)) 2048
		sleep 0.1
	done
}

# ends, as a condition.
ended_so() (
	ends "$@"
)

# The command is asked until it says so: on a busy machine "marks" may come late.
does_not_converge() {
	disk s 1G
	disk t 1G
	mirror j s t sync none paused on speed 262144
	tell j mark 0 2048
	tell j resume
	marks &
	loads+=($!)
	bj_wait j converge=no
	wait_for "it is not said" ended_so 0 \
		'does not converge: writes make .*/s dirty, .*/s are copied; raise the speed limit, or set copy_mode' \
		status "${BJ_PREFIX}j"
	wait_for "it is not said in JSON" ended_so 0 '"converge":"no"' \
		status "${BJ_PREFIX}j" --json
	json job "$BJ_TMP/out" >"$BJ_TMP/keys" || fail "not the JSON of a job"
}

conformance 328
cli_run table_for_people as_json for_prometheus does_not_converge
