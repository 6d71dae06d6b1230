#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Backup with a spill device: old data go there first, so that a slow target
# device delays no write; and what becomes of the image when it is full, fails,
# or the job ends before they have moved on.

# shellcheck source=lib-view.sh
. "$(dirname "$0")/lib-view.sh"

# Source s, target t, spill device p, and a layer over each, to be made to fail.
trio() {
	pair "$1"
	disk p "$2"
	layer lp p
}

# slow MILLISECONDS: the target device takes so long for each write.
slow() {
	local all

	need_target delay
	all=$(sectors t)
	dm slow "0 $all delay ${dev[t]} 0 0 ${dev[t]} 0 $1"
}

# The image is complete.
whole() {
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error held in_flight spilled)" \
		"completed source - 0 0 0"
	filled t 1
}

# image SIZE-OF-SPILL [KEY VALUE]...: of the instant, under a heavy writer.
image() {
	local size=$1

	shift
	trio 2M "$size"
	slow 100
	backup j ls slow buf_size 262144 cbw_timeout 600 spill "${dev[lp]}" "$@"
	load a j 1
	work a
	work a
	say "on the spill device: $(bj_status j spilled) bytes," \
		"no place for $(bj_status j spill_full) pieces"
	unload a
	[ "$(bj_status j state)" = concluded ] || [[ "$*" != *none* ]] ||
		tell j complete
	bj_wait_state j concluded
	is "the end" "$(bj_status j result spilled spill_errors)" "completed 0 0"
	verify s a
	[[ "$*" == *none* ]] || filled t 1
}

# hung [KEY VALUE]...: a target device that does not answer at all delays no
# write. Without a spill device they wait as soon as the buffers are full.
hung() {
	local without with

	trio 3M 8M
	backup j s lt paused on buf_size 262144 cbw_timeout 600 "$@"
	ctl suspend lt
	must_hang fill j 3 0 2048
	without=$(bj_status j pause_us)
	gone j
	fill s 1
	backup j s lt paused on buf_size 262144 cbw_timeout 600 \
		spill "${dev[p]}" "$@"
	ctl suspend lt
	fill j 3 0 2048
	is "what is there" "$(bj_status j spilled in_flight spill_full held)" \
		"1048576 1048576 0 0"
	with=$(bj_status j pause_us)
	say "held for $without us without a spill device, for $with us with it"
	ctl resume lt
	tell j resume
	whole
	filled s 3 0 2048
}

# must_hang COMMAND...: until the target device works again.
must_hang() {
	local hanging

	"$@" &
	hanging=$!
	bj_wait j 'held>0' 'in_flight>0'
	sleep 2
	kill -0 $hanging || fail "did not hang: $*"
	ctl resume lt
	wait $hanging || fail "failed: $*"
}

# hung_moving GRANULARITY: nor while all that can move has moved to it, and the
# sweep is in the middle of a region.
hung_moving() {
	trio 16M 24M
	backup j s lt paused on granularity "$1" buf_size 786432 \
		cbw_timeout 600 spill "${dev[p]}"
	ctl suspend lt
	fill j 3 20000 2048
	tell j resume
	bj_wait j "in_flight>$((1048575 + $1))"
	fill j 4 0 4096
	fill j 5 4096 12000
	expect j held 0
	expect j spill_full 0
	ctl resume lt
	whole
	filled s 3 20000 2048
	filled s 4 0 4096
	filled s 5 4096 12000
}

# Too small for what is overwritten: the rest waits, as without one.
full() {
	trio 4M "$1"
	slow 50
	backup j s slow paused on buf_size 262144 cbw_timeout 600 \
		spill "${dev[p]}" "${@:2}"
	fill j 3 0 4096
	holds "$(bj_status j spill_full) > 0"
	holds "$(bj_status j spilled) <= $(($(sectors p) * 512))"
	tell j resume
	fill j 4 4096 4096
	whole
	filled s 3 0 4096
	filled s 4 4096 4096
}

# full_policy: full, and a target device that hangs: the consumer comes first.
full_policy() {
	trio 4M 64K
	backup j s lt paused on buf_size 131072 cbw_timeout 1 spill "${dev[p]}"
	ctl suspend lt
	fill j 3 0 4096
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error held spilled)" \
		"cancelled cbw-timeout 0 0"
	filled s 3 0 4096
	ctl resume lt
	bj_wait j in_flight=0
}

# Places in the way of each other: pieces of all sizes come and go, and then all
# of them are free again.
places() {
	local i full

	trio 6M 128K
	slow 50
	backup j s slow sync none granularity 4096 buf_size 131072 \
		spill "${dev[p]}"
	for ((i = 0; i < 8000; i += 192)); do
		fill j 3 $i $((8 + i % 180))
	done
	bj_wait j in_flight=0
	tell j pause
	full=$(bj_status j spill_full)
	fill j 3 10000 256
	is "what is there" "$(bj_status j spilled spill_full)" "131072 $full"
	tell j resume
	tell j complete
	bj_wait_state j concluded
	is "the end" "$(bj_status j result spilled spill_errors)" "completed 0 0"
	for ((i = 0; i < 8000; i += 192)); do
		filled t 1 $i $((8 + i % 180))
	done
	filled t 1 10000 256
}

# No write of the spill device goes well, from now on: what is there is read.
write_error() {
	need_target flakey
	trio 4M 8M
	backup j s lt paused on spill "${dev[lp]}" "$@"
	fill j 3 0 1024
	expect j spilled 524288
	swap lp "0 $(sectors p) flakey ${dev[p]} 0 0 60 1 error_writes"
	fill j 3 1024 1024
	is "what is there" "$(bj_status j spilled state)" "524288 paused"
	holds "$(bj_status j spill_errors) > 0"
	is "target errors" "$(bj_status j target_errors)" 0
	is "events" "$(bj_dm message "${BJ_PREFIX}j" 0 events |
		grep -c ' error spill-write 5 [0-9]* no-spill$')" 1
	good lp p
	fill j 3 2048 1024
	expect j spilled 524288
	tell j resume
	whole
	filled s 3 0 3072
}

# What is there cannot be read: there is no image, and the consumer goes on.
read_error() {
	trio 4M 8M
	backup j s lt paused on spill "${dev[lp]}" "$@"
	fill j 3 0 1024
	dead lp
	expect j state paused
	tell j resume
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active error held spilled in_flight)" \
		"cancelled source spill-read-error 0 0 0"
	holds "$(bj_status j spill_errors) > 0"
	[[ $(bj_dm message "${BJ_PREFIX}j" 0 events) == \
		*" error spill-read 5 "*" report"* ]] || fail "no such event"
	fill j 4 4096 1024
	filled s 3 0 1024
	filled s 4 4096 1024
}

# The target device refuses what comes from there: as any other piece.
target_error() {
	trio 4M 8M
	bad lt t 512 8
	backup j s lt paused on spill "${dev[p]}" on_target_error "$1"
	fill j 3 0 1024
	expect j target_errors 0
	tell j resume
	if [ "$1" = report ]; then
		bj_wait_state j concluded
		is "the end" "$(bj_status j result error spilled)" \
			"cancelled target-write-error 0"
		return
	fi
	bj_wait j 'target_errors>0'
	[ "$1" != stop ] || bj_wait_state j paused
	good lt t
	[ "$1" != stop ] || tell j resume
	whole
}

# ended WAY...: while old data are there; nothing is left of it.
ended() {
	trio 4M 8M
	slow 1000
	backup j s slow paused on buf_size 262144 spill "${dev[p]}"
	fill j 3 0 4096
	expect j spilled 2097152
	[ "$1" = paused ] || tell j resume
	shift
	if [ $# -gt 0 ]; then
		tell j "$@"
		bj_wait_state j concluded
		is "the end" "$(bj_status j result error held spilled in_flight)" \
			"cancelled - 0 0 0"
	fi
	gone j
	filled s 3 0 4096
	# It can be had again
	backup j s slow spill "${dev[p]}"
}

# Suspended, nothing of it is under way; and it goes on.
suspended() {
	local before

	trio 4M 8M
	slow 500
	backup j s slow paused on buf_size 262144 spill "${dev[lp]}" "$@"
	fill j 3 0 4096
	ctl suspend j
	ctl resume j
	expect j spilled 2097152
	tell j resume
	must timeout 40 bj_dm suspend "${BJ_PREFIX}j"
	before=$(bj_status j spilled)
	holds "$before > 0"
	settle
	set -- "$(iostat p)"
	sleep 1
	is "I/O" "$(iostat p)" "$1"
	expect j spilled "$before"
	tell j set buf_size 16777216
	ctl resume j
	whole
	filled s 3 0 4096
}

# A view waits for what is on its way, and the consumer for nobody.
viewed() {
	local reader

	trio 4M 8M
	backup j s lt sync none paused on spill "${dev[p]}" "$@"
	view v j
	fill j 3 512 1024
	filled v 1 0 512
	filled v 1 1536
	bj_data check "${dev[v]}" 1 1000 8 >"$BJ_TMP/reader" 2>&1 &
	reader=$!
	sleep 1
	kill -0 $reader || fail "it has read what nobody knows"
	fill j 4 1536 512
	tell j resume
	wait $reader || fail "the reader: $(cat "$BJ_TMP/reader")"
	filled v 1
	holds "$(bj_status v from_target) > 0"
}

# viewed_loaded: readers of it, a writer, and a target device that is slow.
viewed_loaded() {
	trio 2M 1M
	slow 100
	backup j s slow cbw_timeout 600 buf_size 262144 spill "${dev[p]}" "$@"
	view v j
	readers v
	load a j 1
	work a
	filled v 1
	work a
	say "from the target device: $(bj_status v from_target) reads"
	readers_end
	unload a
	filled v 1
	verify s a
}

# What a reader gives up while it is there.
viewed_discard() {
	trio 4M 8M
	backup j s lt sync none paused on spill "${dev[p]}"
	view v j
	fill j 3 0 1024
	give_up -o 0 -l 65536 "${dev[v]}" &
	sleep 1
	expect j spilled 524288
	tell j resume
	wait $! || fail "the discard failed"
	unreadable v 0 128
	filled v 1 128
	bj_wait j in_flight=0
	zeroed t 0 128
}

# Ranges that share the bits of the table of what is busy.
far() {
	disk s 300M
	disk t 300M
	disk p 8M
	fill s 1 0 128
	fill s 1 524288 128
	layer lt t
	backup j s lt sync none cbw_timeout 600 spill "${dev[p]}" "$@"
	ctl suspend lt
	fill j 3 0 128
	fill j 3 524288 128
	expect j in_flight 131072
	ctl resume lt
	tell j complete
	bj_wait_state j concluded
	expect j result completed
	filled t 1 0 128
	filled t 1 524288 128
}

# Regions of several pieces, some of which find a place.
large() {
	trio 16M "$1"
	slow 100
	backup j s slow granularity 4194304 buf_size 2097152 cbw_timeout 600 \
		spill "${dev[p]}" "${@:2}"
	fill j 3 100 30000
	whole
	filled s 3 100 30000
}

# A source that cannot be read: what is there of that region goes, too.
large_unreadable() {
	trio 16M 16M
	bad ls s 7000 8
	backup j ls lt granularity 4194304 buf_size 2097152 paused on \
		spill "${dev[p]}" on_cbw_error break-guest-write
	unwritten j 'Input/output error' 100 8
	bj_wait j in_flight=0
	is "the job" "$(bj_status j state result spilled)" "paused - 0"
	good ls s
	fill j 3 100 8
	tell j resume
	whole
	filled s 3 100 8
}

# no ERRNO PATTERN KEY VALUE...: such a backup is refused.
no() {
	local errno=$1 pattern=$2

	shift 2
	must_fail "$errno" "$pattern" bj_dm create "${BJ_PREFIX}n" \
		"$(type_line backup s t "$@")"
}

refused() {
	trio 4M 8M
	disk tiny 32K
	disk blocks 8M --sector-size 4096
	no '(ENODEV|ENOENT)' 'spill device /dev/nothing cannot be opened' spill /dev/nothing
	no EINVAL 'spill device .* is the source, too' spill "${dev[s]}"
	no EINVAL 'spill device .* is the target device, too' spill "${dev[t]}"
	no EINVAL 'spill device .* has 32768 bytes, at least 65536 are needed' \
		spill "${dev[tiny]}"
	no EINVAL 'spill device .* has logical blocks of 4096 bytes, the source of 512' \
		spill "${dev[blocks]}"
	no EINVAL 'cbw_stored waits for the target device' cbw_stored on \
		spill "${dev[p]}"
	must_fail EROFS 'spill device .* has no use in a table that is read-only' \
		bj_dm create-ro "${BJ_PREFIX}n" \
		"$(type_line backup s t spill "${dev[s]}")"
	no EINVAL 'option spill is given twice' spill "${dev[p]}" spill /dev/x
	must_fail EINVAL 'a mirror job has no option spill' bj_dm create \
		"${BJ_PREFIX}n" "$(line s t spill "${dev[p]}")"
	backup j s t paused on spill "${dev[p]}"
	[[ $(bj_dm table "${BJ_PREFIX}j") == \
		*" spill $(mountpoint -x "${dev[p]}")"* ]] ||
		fail "the table is $(bj_dm table "${BJ_PREFIX}j")"
	disk u 4M
	disk w 4M
	must_fail EBUSY 'spill device .* is the spill device of another job' \
		bj_dm create "${BJ_PREFIX}n" \
		"$(type_line backup u w spill "${dev[p]}")"
	must_fail EBUSY 'target device .* is the spill device of another job' \
		bj_dm create "${BJ_PREFIX}n" "$(type_line backup u p)"
	must_fail EBUSY 'spill device .* is the source of another job' \
		bj_dm create "${BJ_PREFIX}n" \
		"$(type_line backup u w spill "${dev[s]}")"
	gone j
	backup j s t paused on
	refuses j EINVAL 'option spill cannot change' set spill "${dev[p]}"
}

bj_run hung "hung on_cbw_error break-guest-write" "hung_moving 65536" \
	"hung_moving 4194304" "image 4M" "image 128K" \
	"image 1M sync none granularity 4096" \
	"image 1M on_cbw_error break-guest-write" "full 128K" \
	"full 64K on_cbw_error break-guest-write" full_policy places \
	write_error "write_error on_cbw_error break-guest-write" read_error \
	"read_error on_cbw_error break-guest-write" "target_error report" \
	"target_error stop" "target_error ignore" "ended running" \
	"ended paused" "ended running cancel" "ended paused cancel force" \
	suspended "suspended on_cbw_error break-guest-write" viewed \
	"viewed on_cbw_error break-guest-write" viewed_loaded \
	"viewed_loaded sync none" viewed_discard far \
	"far on_cbw_error break-guest-write" "large 16M" "large 2M" \
	"large 3M on_cbw_error break-guest-write" large_unreadable refused
