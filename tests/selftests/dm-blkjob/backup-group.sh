#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "backup" with file systems, which are frozen for the instant, and
# of several devices at one instant.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# Volumes data and log of 8 MiB, and free devices t1 and t2.
volumes() {
	disk a 20M
	disk t1 8M
	disk t2 8M
	vg a
	lv data -L 8M "$BJ_VG"
	lv log -L 8M "$BJ_VG"
	before=$(table data; table log)
}

taken_out() {
	is tables "$(table data; table log)" "$before"
	nothing_left
	is name "$(lv_field data lv_name)" data
}

# file_system NAME [MKFS-OPTION]...: mounted at $BJ_TMP/NAME.
file_system() {
	need mkfs.ext4
	must mkfs.ext4 -q "${@:2}" "${dev[$1]}"
	mkdir "$BJ_TMP/$1"
	must mount "${dev[$1]}" "$BJ_TMP/$1"
	mounts+=("$BJ_TMP/$1")
}

# write NAME...: the next number into a file of each, one after the other, and
# files that come and go, until "written".
write() {
	rm -f "$BJ_TMP/stop"
	(
		for ((n = 10000000; ; n++)); do
			for name; do
				dd of="$BJ_TMP/$name/number" conv=notrunc,fsync \
					status=none <<<"$n" || exit 1
			done
			dd if=/dev/urandom of="$BJ_TMP/$1/new$((n % 8))" bs=64K \
				count=4 status=none || exit 1
			sleep 0.05
			rm -f "$BJ_TMP/$1/new$(((n + 4) % 8))"
			[ ! -e "$BJ_TMP/stop" ] || exit 0
		done
	) &
	pid[writer]=$!
	wait_for "the writer does not write" test -s "$BJ_TMP/$1/new3"
}

written() {
	touch "$BJ_TMP/stop"
	wait "${pid[writer]}" || fail "the writer failed"
	must umount "${mounts[@]}"
	mounts=()
}

# On the disk as after umount: nothing to be replayed.
clean() {
	dumpe2fs -h "${dev[$1]}" 2>/dev/null >"$BJ_TMP/features"
	grep -q '^Filesystem features:.*has_journal' "$BJ_TMP/features" ||
		fail "no file system on $1"
	grep -q needs_recovery "$BJ_TMP/features" && fail "$1 needs recovery"
	must e2fsck -fn "${dev[$1]}"
}

# number NAME: what the image has in the file. Read without a replay.
number() {
	must mount -o ro,noload "${dev[$1]}" "$BJ_TMP"/image
	cat "$BJ_TMP/image/number"
	umount "$BJ_TMP/image"
}

frozen() {
	volumes
	mkdir "$BJ_TMP/image"
	file_system data
	echo kept >"$BJ_TMP/data/kept"
	write data
	ends 0 'with file systems frozen; no write was held longer than [0-9.]+ ms' \
		backup "$BJ_VG/data" "${dev[t1]}" --wait
	grep -q "is an image of $BJ_VG/data" "$out" || fail "no image"
	grep ' held longer ' "$out" | quote
	taken_out
	written
	clean t1
	holds "$(number t1) > 10000000"
	must mount "${dev[t1]}" "$BJ_TMP/image"
	is content "$(cat "$BJ_TMP/image/kept")" kept
	must umount "$BJ_TMP/image"
	must e2fsck -fn "${dev[data]}"
}

# As after a power cut: the journal makes it whole.
not_frozen() {
	volumes
	mkdir "$BJ_TMP/image"
	file_system data
	write data
	ends 0 'is an image of' backup "$BJ_VG/data" "${dev[t1]}" --wait --no-freeze
	grep -q 'without file systems frozen' "$out" || fail "no word about it"
	taken_out
	written
	dumpe2fs -h "${dev[t1]}" 2>/dev/null | grep -q needs_recovery ||
		fail "the image was frozen"
	must mount "${dev[t1]}" "$BJ_TMP/image"
	holds "$(cat "$BJ_TMP/image/number") > 10000000"
	must umount "$BJ_TMP/image"
	clean t1
}

# Two file systems and a writer that goes from one to the other.
together() {
	local a b

	volumes
	mkdir "$BJ_TMP/image"
	file_system data
	file_system log
	write data log
	ends 0 'of one instant, with file systems frozen' backup --group db \
		"$BJ_VG/data:${dev[t1]}" "$BJ_VG/log:${dev[t2]}" --speed 32K
	ends 0 '"group":"db"' list --json
	is types "$(json jobs "$out" type | xargs)" "backup backup"
	ends 0 '' pause db
	ends 0 '' resume db
	ends 0 '' set db --speed 0
	ends 0 'is an image of' complete db
	is images "$(grep -c 'is an image of' "$out")" 2
	taken_out
	written
	clean t1
	clean t2
	a=$(number t1) b=$(number t2)
	say "$a in one image, $b in the other"
	holds "$a == $b || $a == $b + 1"
}

# chain: dependent writes from u1 to u2 and back, and two pairs.
chained() {
	local n

	for n in 1 2; do
		disk "s$n" 2M
		disk "t$n" 2M
		user "u$n" "s$n"
	done
	pairs=("${dev[u1]}:${dev[t1]}" "${dev[u2]}:${dev[t2]}")
	before=$(table u1; table u2)
	bj_chain run 1 "${dev[u1]}" "${dev[u2]}" >"$BJ_TMP/chain" 2>&1 &
	pid[chain]=$!
	loads+=($!)
	wait_for "the chain does not run" grep -q running "$BJ_TMP/chain"
}

unchain() {
	kill -TERM "${pid[chain]}"
	wait "${pid[chain]}" || fail "a dependent write failed"
}

untouched() {
	is tables "$(table u1; table u2)" "$before"
	nothing_left
}

# slow: the device u3 is long in coming to rest, as writes to it take their time.
slow() {
	need_target delay
	disk s3 2M
	disk t3 2M
	dm lag "0 4096 delay ${dev[s3]} 0 0 ${dev[s3]} 0 300"
	user u3 lag
	(
		until [ -e "$BJ_TMP/stop" ]; do
			dd if=/dev/zero of="${dev[u3]}" bs=4K count=1 \
				oflag=direct conv=notrunc status=none
		done
	) &
	pid[slow]=$!
}

# One after the other, they would not be of one instant: between those of the
# chain another device has to come to rest.
instant() {
	local round

	chained
	slow
	pairs=("${pairs[0]}" "${dev[u3]}:${dev[t3]}" "${pairs[1]}")
	for ((round = 0; round < BJ_ROUNDS; round++)); do
		ends 0 'is an image of' backup --group db --wait "${pairs[@]}"
		untouched
		must bj_chain check 1 "${dev[t1]}" "${dev[t2]}"
	done
	touch "$BJ_TMP/stop"
	wait "${pid[slow]}"
	unchain
}

# One fails: the other image is completed, and the status says it.
one_fails() {
	local ids

	chained
	layer lt t2
	pairs[1]=${dev[u2]}:${dev[lt]}
	ends 0 '' backup --group db --speed 64K --buf-size 64K "${pairs[@]}"
	mapfile -t ids < <(sed -n 's/^blkjob: job \([0-9a-f]*\) started.*/\1/p' "$out")
	dead lt
	job_is "${ids[1]}" state=concluded
	ends 0 '' set "${ids[0]}" --speed 0
	ends 5 'of the target device failed' complete db
	is images "$(grep -c 'is an image of' "$out")" 1
	untouched
	unchain
	gone lt
}

# Nothing at all is started.
group_refused() {
	chained
	disk small 1M
	dm on "0 2048 linear ${dev[u1]} 0"
	ends 3 'too small' backup --group db "${pairs[0]}" "${dev[u2]}:${dev[small]}"
	ends 3 'stands on .*cannot have one instant' backup --group db \
		"${pairs[0]}" "${dev[on]}:${dev[t2]}"
	gone on
	ends 3 'is not a name of at most' backup --group a/b "${pairs[@]}"
	untouched
	unchain
}

# An image in a file on the very file system would never be complete.
into_itself() {
	local loop

	volumes
	file_system data
	truncate -s 8M "$BJ_TMP/data/image"
	loop=$(losetup --find --show "$BJ_TMP/data/image") || fail "no loop device"
	cli backup "$BJ_VG/data" "$loop"
	losetup -d "$loop"
	judge 3 "$loop stands on $BJ_VG/data itself; name a target elsewhere" backup
	taken_out
}

# A file system that is frozen by somebody else: newer kernels count that.
frozen_twice() {
	volumes
	need fsfreeze
	file_system data
	must fsfreeze -f "$BJ_TMP/data"
	cli backup "$BJ_VG/data" "${dev[t1]}" --wait
	[ "$status" -eq 0 ] ||
		judge 1 'could not be frozen.*fsfreeze -u thaws' backup
	taken_out
	ends 0 'is an image of' backup "$BJ_VG/data" "${dev[t1]}" --no-freeze \
		--wait --force
	must fsfreeze -u "$BJ_TMP/data"
	taken_out
	clean t1
}

# The file system on data needs the log to come to rest.
freeze_timeout() {
	local since

	volumes
	must mkfs.ext4 -q -O journal_dev "${dev[log]}"
	file_system data -J device="${dev[log]}"
	mkdir "$BJ_TMP/image"
	write data
	since=$SECONDS
	ends 1 'did not freeze in time.*Name that device last' backup --group db \
		--freeze-timeout 2 "$BJ_VG/log:${dev[t2]}" "$BJ_VG/data:${dev[t1]}"
	holds "$SECONDS - $since >= 2"
	taken_out
	ends 0 'is an image of' backup --group db --wait --freeze-timeout 20 \
		"$BJ_VG/data:${dev[t1]}" "$BJ_VG/log:${dev[t2]}"
	taken_out
	written
}

usable() {
	[[ $(bj_dm info "$BJ_PREFIX$1") == "suspended=0 "* ]]
}

# Killed while devices stand still, and before and after: soon nothing is
# suspended, and what was started can be taken out.
killed_start() {
	local all at n

	can_kill
	chained
	all=$(ioctls backup --group db "${pairs[@]}")
	at=$(grep '^ioctl' "$BJ_TMP/trace" | grep -n DM_SUSPEND_FLAG |
		head -n 1 | cut -d : -f 1)
	holds "${at:-0} > 10"
	ends 0 '' complete db
	say "$all ioctls, the first suspend is number $at"
	for n in $((at + 1)) $((at + 2)) $((at + 3)) \
		$((at / 2 + RANDOM % (all - at / 2) + 1)); do
		say "killed at $n"
		killed "$n" backup --group db "${pairs[@]}"
		wait_for "u1 stays suspended" usable u1
		wait_for "u2 stays suspended" usable u2
		must dmsetup udevcomplete_all -y
		ends 0 '' recover
		ends 0 '' list --json
		# Done, or never told to begin
		[ -z "$(json jobs "$out" id)" ] || {
			ends 3 'was killed before|refused' resume db
			ends 0 '' cancel db
		}
		must dmsetup udevcomplete_all -y
		untouched
	done
	unchain
}

conformance 193 194 244
cli_run frozen not_frozen together instant one_fails group_refused \
	into_itself frozen_twice freeze_timeout killed_start
