#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Streams and devices that fail: what the consumer hears of, what becomes of the
# job, and that nothing is promised which could be lost.

# shellcheck source=lib-stream.sh
. "$(dirname "$0")/lib-stream.sh"

# Bad places of the source: they fail for who reads them, and by the policy.
bad_source() {
	trio
	layer ls s
	bad ls s 803 1
	stream j ls t m on_source_error ignore
	bj_wait j dirty=4096 in_flight=0
	filled j 1 0 800
	filled j 1 808 15576
	if bj_data check "${dev[j]}" 1 800 8 >/dev/null 2>&1; then
		fail "what cannot be read was read"
	fi
	# A part of it cannot be fetched; all of it can be written.
	if bj_data fill "${dev[j]}" 2 801 1 2>/dev/null; then
		fail "a part of what cannot be read was written"
	fi
	expect j state running
	fill j 2 800 8
	over j
	filled t 1 0 800
	filled t 2 800 8
	filled t 1 808 15576
}

report() {
	trio
	layer ls s
	bad ls s 803 1
	stream j ls t m
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error active)" \
		"cancelled source-read-error both"
	fill j 2 40 8
	filled j 1 0 40
	filled j 2 40 8
	filled j 1 48 752
	good ls s
	tell j resume
	over j
	filled t 2 40 8
	untouched
}

# The source has gone: what is there is there.
no_source() {
	trio
	layer ls s
	stream j ls t m paused on
	fill j 2 0 800
	dead ls
	filled j 2 0 800
	if bj_data check "${dev[j]}" 1 800 8 >/dev/null 2>&1; then
		fail "what is nowhere was read"
	fi
	fill j 2 800 15584
	filled j 2
	expect j state paused
	tell j resume
	over j
}

# Errors of the target device are the consumer's.
bad_target() {
	local before

	trio
	layer lt t
	bad lt t 800 8
	stream j s lt m paused on on_target_error stop
	if bj_data fill "${dev[j]}" 2 792 16 2>/dev/null; then
		fail "the write to a bad target device did not fail"
	fi
	filled j 1 792 16
	expect j state paused
	before=$(bj_status j target_errors)
	tell j resume
	bj_wait j state=paused "target_errors>$before"
	filled j 1
	good lt t
	tell j resume
	over j
	same s t
}

# The metadata cannot be written: nothing is promised that could be lost.
bad_metadata() {
	trio
	layer lm m
	stream j s t lm paused on
	fill j 2 0 8
	synced j || fail "a flush failed"
	dead lm
	fill j 2 8 8
	if synced j 2>/dev/null; then
		fail "a flush without its metadata succeeded"
	fi
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error active)" \
		"cancelled metadata-write-error both"
	holds "$(bj_status j metadata_errors) > 0"
	if synced j 2>/dev/null; then
		fail "another flush without its metadata succeeded"
	fi
	# What is on disk can be written; else nothing can.
	fill j 3 0 8
	if bj_data fill "${dev[j]}" 2 80 8 2>/dev/null; then
		fail "a write without metadata succeeded"
	fi
	filled j 3 0 8
	filled j 1 16 1000
	refuses j EPERM "cannot commit" resume
	gone j
	good lm m
	stream j s t lm
	over j
	filled t 3 0 8
	filled t 1 16 16368
	untouched
}

# A target device that has failed a flush may have lost anything.
bad_flush() {
	need_target flakey
	trio
	layer lt t
	stream j s lt m paused on
	fill j 2 0 8
	synced j || fail "a flush failed"
	fill j 2 8 8
	swap lt "0 16384 flakey ${dev[t]} 0 0 60 1 error_writes"
	if synced j 2>/dev/null; then
		fail "a flush that failed succeeded"
	fi
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error)" "cancelled target-flush-error"
	gone j
	good lt t
	stream j s lt m
	over j
	filled t 2 0 8
	filled t 1 16 16368
}

conformance 271
bj_run bad_source report no_source bad_target bad_metadata bad_flush
