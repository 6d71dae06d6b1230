#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The snapshot view: what it does when the backup fails, ends, or goes.

# shellcheck source=lib-view.sh
. "$(dirname "$0")/lib-view.sh"

# What was taken out never gets to the store: the reader does not wait for ever.
never_stored() {
	local reader

	pair 8M
	backup j ls lt sync none
	view v j
	ctl suspend lt
	fill j 3 8000 8
	timeout -k 1 30 bj_data check "${dev[v]}" 1 7936 128 >"$BJ_TMP/reader" 2>&1 &
	reader=$!
	sleep 0.5
	kill -0 $reader || fail "it was read"
	tell j cancel
	wait $reader && fail "the reader has got something"
	grep -q 'Input/output error' "$BJ_TMP/reader" ||
		fail "the reader says $(<"$BJ_TMP/reader")"
	unreadable v 0 8
	expect v state broken
	ctl resume lt
	gone j
}

# Lines in the kernel log that say that it is broken.
lost_lines() {
	dmesg | grep -c ":${dev[$1]##*-}: reads fail from now on"
}

# Old data that cannot be saved: break-snapshot is the end of the view ...
breaks() {
	local said

	pair 8M
	backup j ls lt sync none granularity 4096 "$@"
	view v j
	said=$(lost_lines v)
	fill j 2 4096 8
	filled v 1
	dead lt
	fill j 3 8000 8
	bj_wait_state j concluded
	is "the end" "$(bj_status j result error)" "cancelled target-write-error"
	good lt t
	fill j 3 0 1000
	unreadable v 0 8
	unreadable v 4096 8
	unreadable v 16000 8
	expect v state broken
	is "lines in the log" "$(lost_lines v)" $((said + 1))
	filled s 3 0 1000
}

# ... and break-guest-write is not.
writes_fail() {
	pair 8M
	backup j ls lt sync none granularity 4096 on_cbw_error break-guest-write
	view v j
	bad lt t 8000 8
	unwritten j 'Input/output error' 8000 8
	fill j 3 4096 8
	filled v 1
	good lt t
	fill j 3 8000 8
	filled v 1
	expect v state whole
}

# A target device that is too slow, by either policy.
times_out() {
	need_target delay
	pair 4M
	dm slow "0 8192 delay ${dev[t]} 0 0 ${dev[t]} 0 3000"
	backup j ls slow sync none granularity 4096 cbw_timeout 1 \
		on_cbw_error "$1" cbw_stored on
	view v j
	if [ "$1" = break-guest-write ]; then
		unwritten j 'timed out' 4000 8
		filled v 1
		expect v state whole
		return
	fi
	fill j 3 4000 8
	fill j 3 8 8
	unreadable v 0 8
	unreadable v 8000 8
	expect v state broken
	filled s 3 4000 8
}

# The end of the job: what was saved by then is good, or nothing.
ended() {
	pair 8M
	backup j ls lt sync none granularity 4096
	view v j
	fill j 3 8000 80
	tell j "$1"
	bj_wait_state j concluded
	fill j 4
	if [ "$1" = cancel ]; then
		unreadable v 8000 8
		expect v state broken
	else
		filled v 1 8000 80
		expect v state saved
	fi
	unreadable v 7992 8
	unreadable v 8080 8
	gone j
	unreadable v 8000 8
	expect v state gone
	must_fail ENXIO 'no backup job at work' \
		bj_dm create "${BJ_PREFIX}no" "0 8 blkjob-snapshot ${dev[s]}"
	filled s 4
}

# A full backup is whole when it has ended, and so is its view.
full() {
	pair 4M
	backup j ls lt speed 65536 granularity 4096
	view v j
	readers v
	load a j 1
	work a
	filled v 1
	# The writer may have brought it to its end
	bj_dm message "${BJ_PREFIX}j" 0 set speed 0 >/dev/null
	bj_wait_state j concluded
	expect j result completed
	work a
	readers_end
	unload a
	filled v 1
	filled t 1
	expect v state saved
	# What is in the image stays in it
	blkdiscard -f "${dev[v]}" 2>/dev/null && fail "it was discarded"
	filled t 1
}

# Readers do not notice that the job's device is suspended.
suspended() {
	local i

	pair 2M
	backup j ls lt sync none granularity 4096
	view v j
	readers v
	load a j 1
	for i in 1 2 3; do
		ctl suspend j
		must timeout 60 bj_data check "${dev[v]}" 1
		ctl suspend v
		ctl resume v
		ctl resume j
		ctl suspend-noflush v
		ctl suspend-noflush j
		ctl resume j
		ctl resume v
		work a
	done
	readers_end
	unload a
	filled v 1
	verify s a
}

# The job's device gets another table, with readers at work: they get an error,
# and nobody hangs.
replaced() {
	local n i

	pair 2M
	n=$(sectors s)
	backup j ls lt sync none granularity 4096
	for ((i = 0; i < 3 * BJ_ROUNDS; i++)); do
		view v j
		view w j
		readers v
		load a j 1
		work a
		swap j "0 $n linear ${dev[ls]} 0"
		wait "${readers[0]}" && fail "the reader goes on"
		wait "${readers[1]}" && fail "the reader goes on"
		unload a
		grep -L 'Input/output error' "$BJ_TMP"/reader-[12] | grep . &&
			fail "$(cat "$BJ_TMP"/reader-[12])"
		grep -h 'is not as filled' "$BJ_TMP"/reader-[12] &&
			fail "a reader has seen something else"
		expect v state gone
		unreadable v 0 8
		# The next job is another instant: not for this view
		fill s 1
		swap j "$(type_line backup ls lt sync none granularity 4096)"
		unreadable v 0 8
		gone v
		gone w
	done
	filled j 1
}

# Both orders of leaving, and a view more.
leaves() {
	pair 8M
	backup j ls lt sync none
	view v j
	gone v
	fill j 2 0 8
	view v j
	filled v 1
	view w j
	gone v
	filled w 1
	gone j
	unreadable w 0 8
	gone w
	fill ls 1
	backup j ls lt sync none
	view v j
	fill j 3
	filled v 1
	# In use, or not there: it is removed all the same
	exec 8<"${dev[v]}"
	gone j
	unreadable v 0 8
	exec 8<&-
	gone v
}

refused() {
	must_fail "$1" "$2" bj_dm create "${BJ_PREFIX}no" "$3"
}

arguments() {
	local number

	pair 8M
	backup j ls lt sync none
	refused EINVAL 'there are 0 words, not one' '0 8 blkjob-snapshot'
	refused EINVAL 'there are 2 words, not one' \
		"0 8 blkjob-snapshot ${dev[j]} 0"
	refused ENOENT 'there is no device /dev/nothing' \
		'0 8 blkjob-snapshot /dev/nothing'
	refused ENXIO "device ${dev[s]} has no backup job at work" \
		"0 8 blkjob-snapshot ${dev[s]}"
	refused EINVAL 'the backup job has 16384 sectors, not 16392' \
		"0 16392 blkjob-snapshot ${dev[j]}"
	disk m 8M
	disk n 8M
	mirror mirror m n
	refused ENXIO 'has no backup job at work' \
		"0 8 blkjob-snapshot ${dev[mirror]}"
	# Not before the instant, and not after the end
	layer later ls
	gone j
	ctl load later "$(type_line backup ls lt sync none)"
	refused ENXIO 'has no backup job at work' \
		"0 8 blkjob-snapshot ${dev[later]}"
	ctl suspend later
	ctl resume later
	view v later
	number=$(<"/sys/class/block/${dev[later]##*/}/dev")
	is "the table" "$(bj_dm table "${BJ_PREFIX}v")" \
		"0 16384 blkjob-snapshot $number"
	unwritten v 'Input/output error' 0 8
	blkdiscard -z "${dev[v]}" 2>/dev/null && fail "it was written"
	filled v 1
	dm part "0 1000 blkjob-snapshot $number"
	filled part 1
	tell later complete
	bj_wait_state later concluded
	refused ENXIO 'has no backup job at work' \
		"0 8 blkjob-snapshot ${dev[later]}"
}

conformance 199 200 202 203 206 212
bj_run never_stored breaks "breaks cbw_stored on" writes_fail \
	"times_out break-guest-write" "times_out break-snapshot" \
	"ended cancel" "ended complete" full suspended replaced leaves arguments
