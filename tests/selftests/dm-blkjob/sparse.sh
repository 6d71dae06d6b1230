#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Zeroes of the source: not written where it can be avoided, and always zeroes
# on the target device.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# 16 MiB, of them 1 MiB and one sector with data.
pair() {
	disk s 16M
	disk t 16M
	fill s 1 4096 2048
	fill s 1 30001 1
}

# KiB that the file behind a device takes.
allocated() {
	echo $(($(stat -c %b "$BJ_TMP/file-$1") / 2))
}

sound() {
	zeroed t 0 4096
	filled t 1 4096 2048
	zeroed t 6144 23857
	filled t 1 30001 1
	zeroed t 30002
	same s t
}

stays_sparse() {
	pair
	mirror j s t
	bj_wait_state j ready
	sound
	say "zeroed $(bj_status j zeroed), allocated $(allocated t) KiB"
	is "offset and len" "$(bj_status j offset len)" "16777216 16777216"
	holds "$(bj_status j zeroed) >= 14 * 1048576"
	holds "$(allocated t) < 2048"
	finish j
}

# Old data goes, and its space too.
over_old_data() {
	pair
	fill t 42
	mirror j s t
	bj_wait_state j ready
	sound
	holds "$(allocated t) < 2048"
}

# Whatever the device makes of it, it reads as zeroes.
without_unmap() {
	pair
	fill t 42
	mirror j s t unmap off
	bj_wait_state j ready
	sound
	finish j
}

# A device refuses to write zeroes, and many such writes are on their way.
refused_together() {
	disk s 16M
	disk t 16M
	fill t 42
	layer lt t
	ctl suspend lt
	# Extents of one region, which are not tried again in parts
	mirror j s lt unmap off granularity 1048576
	bj_wait j in_flight=16777216
	sleep 1
	ctl resume lt
	bj_wait_state j ready
	is "errors" "$(bj_status j error target_errors)" "- 0"
	same s t
}

# Nothing is written for zeroes at all.
promised() {
	local before after

	pair
	before=$(sectors_written t)
	mirror j s t target_is_zero on "$@"
	bj_wait_state j ready
	after=$(sectors_written t)
	sound
	holds "$after - $before <= 2048 + 128"
	holds "$(allocated t) < 2048"
	# Not any more, once something else was there
	fill j 7 0 128
	bj_wait j dirty=0 in_flight=0
	must blkdiscard -z -o 0 -l 65536 "${dev[j]}"
	bj_wait j dirty=0 in_flight=0
	finish j
	sound
}

sectors_written() {
	local io

	read -ra io <<<"$(iostat "$1")"
	echo "${io[3]}"
}

conformance 29 47 49 50
bj_run stays_sparse over_old_data without_unmap refused_together promised \
	"promised unmap off"
