#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Legs that are more than a disk: stripes, a snapshot, a device of the network.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_COPY_MODE=auto

# Regions are smaller than a stripe, and larger.
striped_target() {
	local granularity

	need_target striped
	disk s 8M
	disk a 4M
	disk b 4M
	dm t "0 16384 striped 2 512 ${dev[a]} 0 ${dev[b]} 0"
	for granularity in 4096 1048576; do
		fill s 1
		fill t 9
		mirror j s t granularity "$granularity"
		load a j 1
		bj_wait_state j ready
		tell j complete
		bj_wait_state j pending
		unload a
		same s t
		tell j finalize
		verify t a
		gone j
	done
	same t a 0 0 512
	same t b 512 0 512
}

# What is written before, during and after is on the last device, and nobody
# needs the snapshot and its origin any more.
snapshot_source() {
	need_target snapshot
	disk old 8M
	disk cow 32M
	disk t 8M
	fill old 1
	layer top old
	load a top 1 -r 10
	ctl suspend top
	dm s "0 16384 snapshot ${dev[old]} ${dev[cow]} P 8"
	ctl load top "0 16384 linear ${dev[s]} 0"
	ctl resume top
	swap top "0 16384 blkjob mirror ${dev[s]} 0 ${dev[t]} 0 2 copy_mode auto"
	bj_wait_state top ready
	tell top complete
	bj_wait_state top pending
	tell top finalize
	swap top "0 16384 linear ${dev[t]} 0"
	gone s
	fill old 9
	fill cow 9
	unload a
	verify top a
	verify t a
}

# Both ends of it are here, and the block device is the network's.
network_target() {
	command -v qemu-nbd >/dev/null || skip "no program qemu-nbd"
	modprobe -q nbd nbds_max=2 || skip "no module nbd"
	disk s 4M
	truncate -s 4M "$BJ_TMP/served"
	fill s 1
	must qemu-nbd -f raw -c /dev/nbd0 "$BJ_TMP/served"
	dev[t]=/dev/nbd0
	must timeout 20 sh -c \
		'until [ "$(cat /sys/class/block/nbd0/size)" = 8192 ]; do sleep 0.1; done'
	(
		mirror j s t
		load a j 1
		bj_wait_state j ready
		tell j complete
		bj_wait_state j pending
		unload a
		same s t
		tell j finalize
		verify t a
		gone j
	)
	status=$?
	qemu-nbd -d /dev/nbd0 >/dev/null
	return $status
}

conformance 23 52 53
bj_run striped_target snapshot_source network_target
