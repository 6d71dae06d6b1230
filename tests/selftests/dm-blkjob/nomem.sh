#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# No memory: each allocation of every constructor fails once, and all of those
# that the module makes at work. What a backup does then while it saves old data
# is in cbw.sh.

# shellcheck source=lib-view.sh
. "$(dirname "$0")/lib-view.sh"

PAGES=/sys/kernel/debug/fail_page_alloc

# each_fails LINE: it is loaded, or refused for want of memory, and nothing of
# it is left.
each_fails() {
	local said

	fail_slab 0
	[ -e $PAGES/verbose ] || skip "no fault injection"
	echo 0 >$PAGES/verbose
	echo N >$PAGES/ignore-gfp-wait
	echo 0 >$PAGES/min-order
	said=$(bj_nomem "${BJ_PREFIX}n" "$1") || fail "$said"
	say "$said"
}

references() {
	is "references" "$(cat /sys/module/dm_blkjob/refcnt)" "$1"
}

mirrors() {
	pair 4M
	each_fails "$(line s t copy_mode auto group g)"
	references 0
	mirror j s t
	bj_wait_state j ready
	same s t
}

# backups [KEY VALUE]...: p is a spill device.
backups() {
	pair 4M
	disk p 1M
	each_fails "$(type_line backup s t "${@/#SPILL/${dev[p]}}")"
	references 0
	backup j s t "${@/#SPILL/${dev[p]}}"
	bj_wait_state j concluded
	expect j result completed
	filled t 1
}

tracks() {
	pair 4M
	disk m 1M
	each_fails "$(type_line track s m)"
	references 0
	dm j "$(type_line track s m)"
	begun a
	fill j 2 0 8
	begun b
	fill j 3 128 8
	gone j
	# It has two bitmaps to read now
	each_fails "$(type_line track s m)"
	references 0
	dm j "$(type_line track s m)"
	since a "0 256"
	since b "128 128"
}

mirrors_with_metadata() {
	pair 4M
	disk m 1M
	each_fails "$(line s t metadata "${dev[m]}" paused on)"
	references 0
	mirror j s t metadata "${dev[m]}"
	bj_wait j state=ready rework=0 in_flight=0
	gone j
	# It has a bitmap to read now
	each_fails "$(line s t metadata "${dev[m]}" paused on)"
	references 0
	mirror j s t metadata "${dev[m]}"
	bj_wait_state j ready
	is copied "$(bj_status j offset)" 0
	same s t
}

stream_line() {
	type_line stream s t metadata "${dev[m]}" "$@"
}

streams() {
	pair 4M
	disk m 1M
	each_fails "$(stream_line paused on)"
	references 0
	dm j "$(stream_line paused on)"
	fill j 2 80 9
	gone j
	# It has a bitmap to read now
	each_fails "$(stream_line paused on)"
	references 0
	dm j "$(stream_line)"
	bj_wait_state j concluded
	filled t 1 0 80
	filled t 2 80 9
	filled t 1 89 8103
}

views() {
	pair 4M
	backup j s t sync none
	each_fails "0 8192 blkjob-snapshot ${dev[j]}"
	references 1
	view v j
	fill j 2 0 4096
	filled v 1
}

# list: "name state ..." of all checkpoints of j.
list() {
	bj_dm message "${BJ_PREFIX}j" 0 checkpoints | awk '{ printf "%s %s ", $1, $3 }'
}

# begun NAME: it begins, and that is over.
begun() {
	tell j checkpoint "$1"
	bj_wait j checkpoint_busy=0
	[[ " $(list)" == *" $1 active "* ]] || fail "not begun: $1 in '$(list)'"
}

# since NAME RANGES
since() {
	is "what has changed since $1" \
		"$(bj_dm message "${BJ_PREFIX}j" 0 changed "$1" | xargs)" "$2"
}

# A view is read all the same. What is discarded stays there, if that cannot be
# noted; later it goes.
view_works() {
	pair 2M
	backup j s lt sync none granularity 4096
	view v j
	fail_slab 100
	readers v
	load a j 1
	work a
	filled v 1
	give_up -o 0 -l 65536 "${dev[v]}"
	filled v 1
	work a
	readers_end
	fail_slab 0
	filled v 1
	give_up -o 0 -l 65536 "${dev[v]}"
	unload a
	unreadable v 0 128
	filled v 1 128
	verify s a
}

# A checkpoint that cannot begin is not there. One that is there goes on: no bit
# is missing.
tracking_works() {
	pair 4M
	disk m 1M
	dm j "$(type_line track s m granularity 4096)"
	fail_slab 100
	tell j checkpoint a
	bj_wait j checkpoint_busy=0
	is checkpoints "$(list)" ""
	fill j 2 0 8
	expect j state running
	fail_slab 0
	begun a
	since a ""
	fail_slab 100
	fill j 3 80 8
	fill j 4 4000 100
	tell j checkpoint b
	bj_wait j checkpoint_busy=0
	fill j 5 8000 1
	fail_slab 0
	is checkpoints "$(list)" "a active "
	since a "80 8 4000 104 8000 8"
	begun b
	fill j 6 160 8
	fail_slab 100
	tell j checkpoint-mark a 320 8
	bj_wait j checkpoint_busy=0
	tell j checkpoint-delete b
	bj_wait j checkpoint_busy=0
	fail_slab 0
	expect j state running
	gone j
	# ... and all of that is on disk
	dm j "$(type_line track s m granularity 4096)"
	is checkpoints "$(list)" "a active "
	since a "80 8 160 8 320 8 4000 104 8000 8"
	filled s 3 80 8
	filled s 4 4000 100
}

# A record that cannot begin: the last one goes on.
remembering_works() {
	local before

	pair 4M
	disk m 1M
	mirror j s t metadata "${dev[m]}" granularity 4096
	bj_wait j state=ready dirty=0 in_flight=0 rework=0
	before=$(logged 'no memory for checkpoint')
	fail_slab 100
	fill j 3 80 2048
	until [ "$(logged 'no memory for checkpoint')" -gt "$before" ]; do
		sleep 0.1
	done
	expect j state ready
	expect j remembers 1
	fill j 4 4000 100
	fail_slab 0
	bj_wait j dirty=0 in_flight=0 rework=0
	same s t
	gone j
	mirror j s t metadata "${dev[m]}" granularity 4096
	bj_wait_state j ready
	is copied "$(bj_status j offset)" 0
	same s t
}

# What is written, fetched, filled and committed needs none.
stream_works() {
	pair 4M
	disk m 1M
	dm j "$(stream_line paused on)"
	fail_slab 100
	fill j 2 83 1
	fill j 2 800 80
	must dd if=/dev/null of="${dev[j]}" conv=notrunc,fsync status=none
	tell j resume
	bj_wait_state j concluded
	fail_slab 0
	expect j active target
	gone j
	filled t 1 0 83
	filled t 2 83 1
	filled t 1 84 716
	filled t 2 800 80
	filled t 1 880 7312
	dm j "$(stream_line)"
	bj_wait_state j concluded
	filled j 2 800 80
}

bj_run mirrors backups "backups cbw_stored on checksum on granularity 4096" \
	"backups spill SPILL checksum on" tracks mirrors_with_metadata streams \
	views view_works tracking_works remembering_works stream_works
