#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A commit of what a stream holds: a mirror over its device, whose target device
# is the source below. It alone may write there.

# shellcheck source=lib-stream.sh
. "$(dirname "$0")/lib-stream.sh"

# overlay: o, of s and t, with whole regions, parts of some, and
# what was discarded.
overlay() {
	trio
	stream o s t m paused on
	fill o 2 800 80
	fill o 3 1003 5
	fill o 4 8187 10
	must blkdiscard -o $((4096 * 500)) -l $((4096 * 5)) "${dev[o]}"
	fill o 5 16383 1
}

# holds_it NAME: what was written to an overlay.
holds_it() {
	filled "$1" 1 0 800
	filled "$1" 2 800 80
	filled "$1" 1 880 123
	filled "$1" 3 1003 5
	filled "$1" 1 1008 2992
	zeroed "$1" 4000 40
	filled "$1" 1 4040 4147
	filled "$1" 4 8187 10
	filled "$1" 1 8197 8186
	filled "$1" 5 16383 1
}

# commits [KEY VALUE]...: j copies what o holds back to s.
commits() {
	mirror j o s sync none paused on "$@"
	tell j mark 800 80
	tell j mark 1000 8
	tell j mark 4000 40
	tell j mark 8184 16
	tell j mark 16376 8
	tell j resume
}

# Whatever the regions of the one and of the other are.
whole() {
	overlay
	tell o cancel
	bj_wait_state o concluded
	commits "$@"
	bj_wait_state j ready
	holds_it j
	fill j 6 12000 3
	holds "$(bj_status j copied) < 8388608"
	finish j
	same j s
	gone j
	gone o
	filled s 6 12000 3
	fill s 1 12000 3
	holds_it s
}

# A device of which it has copied nothing yet, or half, or all: it is what it was.
cancelled() {
	overlay
	commits speed 4096 buf_size 4096
	tell j cancel force
	bj_wait_state j concluded
	gone j
	holds_it o
	commits
	bj_wait_state j ready
	fill j 6 12000 3
	tell j cancel
	bj_wait_state j concluded
	is "the end" "$(bj_status j result active)" "completed source"
	filled s 6 12000 3
	gone j
	filled o 6 12000 3
	fill o 1 12000 3
	holds_it o
	# The next one on what is left.
	gone o
	stream o s t m paused on
	holds_it o
}

# Writers all the time, of every size, while it is filled as well; for any mode
# of the mirror and any size of its regions.
loaded() {
	trio 16M
	stream o s t m speed $((1 << 20))
	mirror j o s "$@"
	load l j 1 -m 64 -d 5 -z 10 -r 30
	work l
	work l
	# As it is, it goes on with what s has become.
	tell j cancel force
	bj_wait_state j concluded
	work l
	swap j "0 $(sectors o) linear ${dev[o]} 0"
	tell o set speed 0
	# Unless it is over already.
	bj_dm message "${BJ_PREFIX}o" 0 cancel >"$BJ_TMP/cancel" 2>&1
	bj_wait_state o concluded
	work l
	swap j "$(line o s "$@")"
	bj_wait_state j ready
	work l
	finish j
	work l
	unload l
	verify j l
	gone j
	gone o
	verify s l
}

# refused ERRNO PATTERN LINE
refused() {
	must_fail "$1" "$2" bj_dm create "${BJ_PREFIX}x" "$3"
}

# Who else reads the source would see it change; and nobody else may write.
others() {
	overlay
	disk t2 8M
	disk m2 1M
	disk x 8M
	stream o2 s t2 m2 paused on
	refused EBUSY "target device .* is the source of another job" \
		"$(line o s)"
	gone o2
	refused EBUSY "target device .* is the target device of another job" \
		"$(line o t)"
	refused EBUSY "target device .* is the source of another job" \
		"$(line x s)"
	refused EBUSY "target device .* is the source of another job" \
		"$(type_line backup o s)"
	layer lo o
	refused EBUSY "target device .* is the source of another job" \
		"$(line lo s)"
	# Another sector than the one below.
	refused EBUSY "target device .* is the source of another job" \
		"0 8192 blkjob mirror ${dev[o]} 8 ${dev[s]} 0 0"
	refused EBUSY "target device .* is the source of another job" \
		"0 8192 blkjob mirror ${dev[o]} 0 ${dev[s]} 8 0"
	dm j "0 8192 blkjob mirror ${dev[o]} 8 ${dev[s]} 8 0"
	refused_stream EBUSY "source .* is the target device of another job" \
		s t2 m2
	bj_wait_state j ready
	finish j
	gone j
	gone lo
	holds_it o
}

# An overlay that is to come below what is at work there already.
below() {
	trio
	disk x 8M
	dm o "0 16384 linear ${dev[x]} 0"
	mirror j o s paused on
	must_fail EBUSY "source .* is the target device of another job" \
		bj_dm load "${BJ_PREFIX}o" "$(stream_line s t m)"
}

# Where one begins in the table of its device.
shifted() {
	disk a 1M
	trio
	dm o "0 2048 linear ${dev[a]} 0" \
		"2048 16384 blkjob stream ${dev[s]} 0 ${dev[t]} 0 4 metadata ${dev[m]} paused on"
	fill o 2 2048 8
	refused EBUSY "target device .* is the source of another job" \
		"0 16384 blkjob mirror ${dev[o]} 0 ${dev[s]} 0 0"
	dm j "0 16384 blkjob mirror ${dev[o]} 2048 ${dev[s]} 0 0"
	bj_wait_state j ready
	finish j
	filled s 2 0 8 2048
	filled s 1 8
}

# The legs cannot change places: what is below shows through.
turned() {
	overlay
	commits
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	refuses j EPERM "source .* lies over the target device" finalize reverse
	expect j state pending
	tell j finalize
	expect j active target
	gone j
	gone o
	holds_it s
}

# A source that cannot be written to.
read_only() {
	overlay
	must blockdev --setro "${dev[s]}"
	refused EROFS "target device .* is read-only" "$(line o s)"
	must blockdev --setrw "${dev[s]}"
	holds_it o
}

# Errors of either side follow the mirror's policies, and the view stays.
failing() {
	trio
	layer ls s
	stream o ls t m paused on
	fill o 2 800 80
	bad ls s 840 8
	filled o 2 800 80
	mirror j o ls sync none paused on on_target_error "$1"
	tell j mark 800 80
	tell j resume
	case $1 in
	report) bj_wait_state j concluded ;;
	stop) bj_wait_state j paused ;;
	ignore) bj_wait j "target_errors>2" ;;
	esac
	filled j 2 800 80
	filled j 1 0 800
	good ls s
	[ "$1" != stop ] || tell j resume
	if [ "$1" = report ]; then
		is "the end" "$(bj_status j result error active)" \
			"cancelled target-write-error source"
		gone j
		mirror j o ls sync none paused on
		tell j mark 800 80
		tell j resume
	fi
	bj_wait_state j ready
	finish j
	filled s 1 0 800
	filled s 2 800 80
	filled s 1 880
}

conformance 101 281 295 298 299
bj_run whole "whole granularity 65536" "whole granularity 512" \
	"whole copy_mode write-blocking granularity 1048576" cancelled \
	"loaded" "loaded copy_mode write-blocking granularity 65536" \
	"loaded copy_mode write-blocking granularity 4096" \
	"loaded copy_mode background granularity 1048576" \
	others below shifted turned read_only "failing report" "failing stop" \
	"failing ignore"
