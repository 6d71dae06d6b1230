#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Incremental backups: "backup --since", checkpoints that begin with a backup,
# and when they move. Every image is compared with what the source held at its
# instant: by replaying a writer up to there, or because nobody wrote since.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# u over s, tracked on m in regions of 4 KiB, and a target t.
tracked() {
	disk s 4M
	disk t 4M
	disk m 1M
	fill s 1
	user u s
	started track "${dev[u]}" --metadata "${dev[m]}" --granularity 4K
	tracker=$job
}

backs_up() {
	ends 0 'is an image of' backup "${dev[u]}" "${dev[t]}" --wait "$@"
}

# A full backup that begins checkpoint c, and changes after it.
anchored() {
	tracked
	backs_up --checkpoint c
	same u t
	fill u 2 8 64
	fill u 3 4000 64
}

# slow RATE [OPTION]...: a backup since c that is not soon at its end.
slow() {
	started backup "${dev[u]}" "${dev[t]}" --since c --speed "$1" \
		--buf-size 4K "${@:2}"
}

# checkpoints NAME...: these are there, the oldest first.
checkpoints() {
	ends 0 '' checkpoint "${dev[u]}" --json
	is checkpoints "$(perl -MJSON::PP -ne \
		'print join " ", map $_->{name}, @{decode_json $_}' "$out")" "$*"
}

# changed RANGES: since c, in bytes.
changed() {
	ends 0 '' map "${dev[u]}" --since c --json
	is "since c" "$(json changed "$out" changed)" "$1"
}

saved() {
	grep -q " $1 saved" "$out" || {
		quote <"$out"
		fail "not $1 saved"
	}
}

untracked() {
	ends 0 'not tracked any more' untrack "${dev[u]}"
	nothing_left
}

#-----------------------------------------------------------------
# A writer that can be replayed
#-----------------------------------------------------------------

# write NAME N: its Nth write, of 4 KiB; the first sector counts them.
write() {
	bj_data fill "${dev[$1]}" "$2" $(($2 * 37 % 1023 * 8 + 8)) 8 &&
		bj_data fill "${dev[$1]}" "$2" 0 1
}

writer() {
	rm -f "$BJ_TMP/stop"
	disk ref 4M
	fill ref 1
	must write u 10
	must write ref 10
	replayed=10
	(
		for ((n = 11; ; n++)); do
			write u $n || exit 1
			[ ! -e "$BJ_TMP/stop" ] || exit 0
			# All of them are replayed
			sleep 0.05
		done
	) &
	pid[writer]=$!
}

written() {
	touch "$BJ_TMP/stop"
	wait "${pid[writer]}" || fail "the writer failed"
}

count() {
	od -An -t u8 -j 24 -N 8 "${dev[$1]}" | xargs
}

wrote() {
	[ "$(count u)" -gt "$1" ]
}

# The target device is the source as it was between two writes, and no earlier
# than write $1.
replay() {
	local n

	n=$(count t)
	holds "$n >= $1"
	while [ $replayed -lt "$n" ]; do
		replayed=$((replayed + 1))
		must write ref $replayed
	done
	say "an image after write $n"
	bj_data compare "${dev[t]}" "${dev[ref]}" >"$BJ_TMP/compared" && return
	# Its data were there, but not yet its number
	fill ref $((n + 1)) $(((n + 1) * 37 % 1023 * 8 + 8)) 8
	same t ref
}

written_sectors() {
	iostat "$1" | cut -d ' ' -f 4
}

# A full one, three increments under the writer, one after it, and one for
# nothing.
chain() {
	local i n sectors

	tracked
	writer
	backs_up --checkpoint c
	replay 10
	for i in 1 2 3; do
		n=$(count u)
		wait_for "the writer does not write" wrote $((n + 5))
		n=$(count u)
		backs_up --since c
		replay "$n"
		checkpoints c
	done
	written
	backs_up --since c
	same u t
	changed ""
	settle
	sectors=$(written_sectors t)
	backs_up --since c
	saved "0 B"
	settle
	is "sectors written" "$(written_sectors t)" "$sectors"
	same u t
	untracked
}

#-----------------------------------------------------------------
# When a checkpoint moves
#-----------------------------------------------------------------

# It fails by its target device; after that, more is written.
failed() {
	anchored
	layer tt t
	bad tt t 4032 8
	ends 5 'of the target device failed' backup "${dev[u]}" "${dev[tt]}" \
		--since c --wait
	checkpoints c
	changed "4096+32768 2048000+32768"
	fill u 4 2048 8
	good tt t
	ends 0 'is an image of' backup "${dev[u]}" "${dev[tt]}" --since c --wait
	saved "68.0 KiB"
	same u t
	changed ""
	gone tt
	untracked
}

# By hand, with a look at what is busy; and the other way, by complete.
cancelled() {
	anchored
	slow 512
	checkpoints c blkjob.backup
	ends 3 "checkpoint c is in use by job $job" checkpoint "${dev[u]}" c --delete
	ends 3 "another job stands on job $tracker" untrack "${dev[u]}"
	ends 3 "another job stands on job $tracker" cancel "$tracker"
	ends 3 "already has job $job" backup "${dev[u]}" "${dev[t]}" --since c
	fill u 4 2048 8
	ends 0 cancelled cancel "$job"
	checkpoints c
	changed "4096+32768 1048576+4096 2048000+32768"
	slow 512
	fill u 5 1024 8
	ends 0 '' set "$job" --speed 0
	ends 0 'is an image of' complete "$job"
	saved "68.0 KiB"
	filled t 1 1024 8
	changed "524288+4096"
	backs_up --since c
	saved "4.0 KiB"
	same u t
	untracked
}

# An increment that stops at an error, and goes on.
paused() {
	anchored
	layer tt t
	bad tt t 4032 8
	started backup "${dev[u]}" "${dev[tt]}" --since c --on-target-error stop
	job_is "$job" state=paused
	checkpoints c blkjob.backup
	fill u 4 2048 8
	good tt t
	ends 0 '' resume "$job"
	ends 0 'is an image of' complete "$job"
	filled t 2 8 64
	filled t 3 4000 64
	filled t 1 2048 8
	checkpoints c
	changed "1048576+4096"
	gone tt
	untracked
}

# It stays where it is, however it ends.
differential() {
	anchored
	backs_up --since c --bitmap-mode never
	saved "64.0 KiB"
	same u t
	fill u 4 2048 8
	slow 512 --bitmap-mode never
	checkpoints c
	ends 0 cancelled cancel "$job"
	changed "4096+32768 1048576+4096 2048000+32768"
	layer tt t
	dead tt
	ends 5 '' backup "${dev[u]}" "${dev[tt]}" --since c --wait \
		--bitmap-mode never
	gone tt
	changed "4096+32768 1048576+4096 2048000+32768"
	# With a new one that begins beside it
	backs_up --since c --bitmap-mode never --checkpoint d
	saved "68.0 KiB"
	same u t
	checkpoints c d
	fill u 5 0 8
	backs_up --since d --checkpoint e
	saved "4.0 KiB"
	checkpoints c e
	changed "0+36864 1048576+4096 2048000+32768"
	same u t
	untracked
}

# What was copied need not be again, even if it did not come to its end.
always() {
	local left

	anchored
	slow 1K --bitmap-mode always
	fill u 4 2048 8
	job_is "$job" 'offset>8191'
	ends 0 cancelled cancel "$job"
	checkpoints c
	ends 0 '' map "${dev[u]}" --since c --json
	left=$(json changed "$out" changed)
	say "left: $left"
	[[ $left == *" 1048576+4096 2048000+32768" ]] || fail "$left is left"
	[[ $left != "4096+32768 "* ]] || fail "nothing was kept"
	backs_up --since c --bitmap-mode always
	same u t
	changed ""
	untracked
}

# An anchor that fails is none; or one of what it has.
anchor() {
	local left

	tracked
	started backup "${dev[u]}" "${dev[t]}" --checkpoint c --speed 8K \
		--buf-size 4K
	ends 0 cancelled cancel "$job"
	checkpoints
	started backup "${dev[u]}" "${dev[t]}" --checkpoint c --speed 16K \
		--buf-size 64K --bitmap-mode always
	fill u 4 8184 8
	# One was saved for the write
	job_is "$job" 'offset>131071'
	ends 0 cancelled cancel "$job"
	checkpoints c
	ends 0 '' map "${dev[u]}" --since c --json
	left=$(json changed "$out" changed)
	say "left: $left"
	# Two regions of the copy are kept, but for what was written
	left=$(sed 's/[0-9]*+//g; s/ / + /g' <<<"$left")
	holds "$left <= 4194304 - 131072 + 4096"
	backs_up --since c
	same u t
	checkpoints c
	untracked
}

#-----------------------------------------------------------------
# More
#-----------------------------------------------------------------

# Two devices, and dependent writes from one to the other and back.
group() {
	local n pairs=()

	for n in 1 2; do
		disk "s$n" 2M
		disk "t$n" 2M
		disk "m$n" 1M
		user "u$n" "s$n"
		layer "l$n" "t$n"
		started track "${dev[u$n]}" --metadata "${dev[m$n]}"
		pairs+=("${dev[u$n]}:${dev[l$n]}")
	done
	bj_chain run 1 "${dev[u1]}" "${dev[u2]}" >"$BJ_TMP/chain" 2>&1 &
	pid[chain]=$!
	loads+=($!)
	wait_for "the chain does not run" grep -q running "$BJ_TMP/chain"
	ends 0 'is an image of' backup --group db --wait --checkpoint c "${pairs[@]}"
	must bj_chain check 1 "${dev[t1]}" "${dev[t2]}"
	for n in 1 2; do
		ends 0 'is an image of' backup --group db --wait --since c \
			"${pairs[@]}"
		must bj_chain check 1 "${dev[t1]}" "${dev[t2]}"
	done
	kill -TERM "${pid[chain]}"
	wait "${pid[chain]}" || fail "a dependent write failed"
	ends 0 'is an image of' backup --group db --wait --since c "${pairs[@]}"
	same u1 t1
	same u2 t2
	# One has nothing to do and the other one fails: no checkpoint moves
	fill u2 7 1024 8
	dead l2
	ends 5 '' backup --group db --wait --since c "${pairs[@]}"
	for n in 1 2; do
		ends 0 '^c .* active' checkpoint "${dev[u$n]}"
		is checkpoints "$(wc -l <"$out")" 1
	done
	good l2 t2
	ends 0 'is an image of' backup --group db --wait --since c "${pairs[@]}"
	same u1 t1
	same u2 t2
	for n in 1 2; do
		ends 0 '' untrack "${dev[u$n]}"
	done
	nothing_left
}

# The layers go, as at a reboot, in the middle of a backup as well; what is on
# disk counts.
again() {
	local table

	disk s 4M
	disk t 4M
	disk m 1M
	fill s 1
	user u s
	table=$(table u)
	started track "${dev[u]}" --metadata "${dev[m]}" --granularity 4K
	backs_up --checkpoint c
	fill u 2 8 64
	swap u "$table"
	wait_for "the layer stays" none_left
	started track "${dev[u]}" --metadata "${dev[m]}"
	changed "4096+32768"
	slow 512
	fill u 3 2048 8
	swap u "$table"
	wait_for "the layers stay" none_left
	started track "${dev[u]}" --metadata "${dev[m]}"
	checkpoints c blkjob.backup
	changed "4096+32768 1048576+4096"
	backs_up --since c
	checkpoints c
	same u t
	untracked
}

# The command is killed at any ioctl: no change is lost, and the next one works.
killed_between() {
	local all i n

	can_kill
	anchored
	all=$(ioctls backup "${dev[u]}" "${dev[t]}" --since c --wait)
	say "$all ioctls"
	for ((i = 1; i <= 4 * BJ_ROUNDS; i++)); do
		n=$((all / 3 + RANDOM % (all * 2 / 3)))
		say "killed at $n"
		fill u $((i + 10)) $((i * 64)) 64
		killed "$n" backup "${dev[u]}" "${dev[t]}" --since c --wait
		must dmsetup udevcomplete_all -y
		ends 0 '' recover
		ends 0 '' list --json
		if grep -q '"type":"backup"' "$out"; then
			ends 0 '' cancel "${dev[u]}"
		fi
		fill u $((i + 20)) $((i * 64 + 32)) 64
		ends 0 '' backup "${dev[u]}" "${dev[t]}" --since c --wait
		must dmsetup udevcomplete_all -y
		checkpoints c
		same u t
	done
	untracked
}

# Copied in larger pieces than tracked.
larger() {
	anchored
	fill u 4 2048 8
	backs_up --since c --granularity 64K
	same u t
	untracked
}

# A volume with a file system, which is frozen for each of them.
volume() {
	local i

	disk a 24M
	disk t 12M
	disk m 1M
	vg a
	lv data -L 12M "$BJ_VG"
	mounted data
	started track "$BJ_VG/data" --metadata "${dev[m]}" --granularity 4K
	ends 0 'with file systems frozen' backup "$BJ_VG/data" "${dev[t]}" --wait \
		--checkpoint c
	for i in 1 2; do
		must dd if=/dev/urandom of="$mnt/file$i" bs=64K count=2 \
			status=none
		ends 0 'is an image of' backup "$BJ_VG/data" "${dev[t]}" --wait \
			--since c
		grep ' held longer ' "$out" | quote
		must e2fsck -fn "${dev[t]}"
		is name "$(lv_field data lv_name)" data
	done
	must umount "$mnt"
	must mount -o ro,noload "${dev[t]}" "$mnt"
	must test -s "$mnt/file2"
	must umount "$mnt"
	ends 0 'is an image of' backup "$BJ_VG/data" "${dev[t]}" --wait --since c
	same data t
	ends 0 '' untrack "$BJ_VG/data"
	nothing_left
}

# grown GRANULARITY: the device becomes longer between two increments.
grown() {
	disk s 24M
	disk t 24M
	disk m 1M
	fill s 1
	dm u "0 24577 linear ${dev[s]} 0"
	started track "${dev[u]}" --metadata "${dev[m]}" --granularity "$1"
	backs_up --checkpoint c
	same u t 0 0 24577
	fill u 2 8 64
	backs_up --since c
	fill u 3 4000 64
	swap u "0 49152 linear ${dev[s]} 0"
	wait_for "the layer stays" nothing_left
	started track "${dev[u]}" --metadata "${dev[m]}" --resize
	fill u 4 49000 8
	backs_up --since c
	same u t
	# Not all of it: what is new, and what was written.
	grep -qE ' 1[12]\.[0-9] MiB saved' "$out" || fail "not a half: $(cat "$out")"
	fill u 5 49000 8
	fill u 6 100 8
	backs_up --since c
	same u t
	filled s 5 49000 8
	untracked
}

refused() {
	local i words said

	disk s 4M
	disk t 4M
	disk small 1M
	disk m 40K
	fill s 1
	user u s
	while read -r words; do
		# shellcheck disable=SC2086 # words it is
		said=$(blkjob $words 2>&1)
		is "status of blkjob $words" $? 2
		[ -n "$said" ] || fail "no word about the error: $words"
	done <<-'END'
	backup a b --since
	backup a b --since c --sync top
	backup a b --since c --sync none
	backup a b --since c --bitmap x --sync bitmap
	backup a b --since c --target-is-zero
	backup a b --since c --checkpoint c
	backup a b --since c --bitmap-mode sometimes
	backup a b --checkpoint c --sync none
	backup a b --checkpoint c --bitmap-mode never
	backup a b --checkpoint blkjob.backup
	backup a b --bitmap-mode always
	map
	END
	ends 3 'is not tracked, .*blkjob track' backup "${dev[u]}" "${dev[t]}" \
		--since c
	ends 3 'no job' map "${dev[u]}" --since c
	started track "${dev[u]}" --metadata "${dev[m]}" --granularity 4K
	ends 3 'has no checkpoint c;.* full backup with --checkpoint c' \
		backup "${dev[u]}" "${dev[t]}" --since c
	ends 3 'has no checkpoint c, or not yet' map "${dev[u]}" --since c
	ends 3 'too small' backup "${dev[u]}" "${dev[small]}" --checkpoint c
	checkpoints
	backs_up --checkpoint c
	ends 3 'has a checkpoint c already; name another' \
		backup "${dev[u]}" "${dev[t]}" --checkpoint c
	ends 3 'granularity 64000 is not a power of two' \
		backup "${dev[u]}" "${dev[t]}" --since c --granularity 64000
	ends 3 'too small' backup "${dev[u]}" "${dev[small]}" --since c
	ends 3 'already has job' migrate "${dev[u]}" --to "${dev[t]}"
	checkpoints c
	for i in d e f; do
		cli checkpoint "${dev[u]}" $i
		[ "$status" -eq 0 ] || break
	done
	ends 3 'checkpoint blkjob.backup has no place on the metadata device; delete one first' \
		backup "${dev[u]}" "${dev[t]}" --since c
	ends 0 deleted checkpoint "${dev[u]}" d --delete
	backs_up --since c
	same u t
	untracked
}

conformance 215 217 218 220 221 223 224 226 227 229 230 232 235 242 244 245
cli_run chain failed cancelled paused differential always anchor group again \
	killed_between larger volume "grown 512" "grown 65536" refused
