#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "stream": a device that is used at once and filled behind, from one
# in use or from an image. How it is put back: recover-cli.sh.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-stream-cli.sh
. "$(dirname "$0")/lib-stream-cli.sh"

#-----------------------------------------------------------------
# From the beginning to the end
#-----------------------------------------------------------------

# A file system in use on a volume of LVM: u is linear on it.
mounted_volume() {
	local said

	need fio
	disk a 32M
	disk t 16M
	disk m 256K
	vg a
	lv data -L 16M "$BJ_VG"
	user u data
	mounted u
	fio --name=busy --filename="$mnt/file" --size=4M --rw=randwrite --bs=4k \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --ioengine=psync \
		--randrepeat=1 --eta=never --output="$BJ_TMP/fio" &
	pid["fio"]=$!
	wait_for "fio does not write" test -s "$mnt/file"
	started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	said=$(sum data)
	ends 0 'is now on .* alone' complete "$job"
	wait "${pid["fio"]}" || {
		quote <"$BJ_TMP/fio"
		fail "fio fails, or its data are wrong"
	}
	is "the source at the end" "$(sum data)" "$said"
	must umount "$mnt"
	alone u
	# Nobody needs the source any more.
	must lvchange -q -an "$BJ_VG/data"
	must e2fsck -fn "${dev[u]}"
}

# Every sector, with a writer that knows what it has written.
under_load() {
	trio
	load l u 5
	started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --force
	work l
	ends 0 'is now on' complete "$job"
	work l
	unload l
	alone u
	verify u l
	verify t l
}

# golden KIND: an image that is read-only, as a loop device or over the network.
golden() {
	image
	if [ "$1" = nbd ]; then
		need qemu-nbd
		modprobe -q nbd || skip "no nbd"
		dev[l]=${dev[i]} dev[i]=/dev/nbd0
		must qemu-nbd --connect="${dev[i]}" --read-only --format=raw \
			--fork "$BJ_TMP/file-i"
	fi
	slow made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}"
	is "read-only source" "$(cat "/sys/dev/block/$(dmsetup info -c \
		--noheadings --separator : -o major,minor "blkjob.$job.src")/ro")" 1
	fill x 3 100 9
	filled x 1 0 100
	filled x 3 100 9
	filled x 1 109
	ends 0 '' set "$job" --speed 0
	ends 0 "is now on ${dev[t]} alone" complete "${dev[x]}"
	alone x
	filled x 1 0 100
	filled x 3 100 9
	filled x 1 109
	same x t
	gone x
	filled i 1
	[ "$1" = nbd ] || return 0
	must qemu-nbd --disconnect "${dev[i]}"
	# Its devices have the names of those in the documents.
	wait_for "nbd stays" modprobe -r nbd
}

# Beyond the image there are zeroes, whatever the target device held.
larger() {
	image
	disk w 6M
	fill w 9
	ends 3 'a part of it cannot be had' stream "${dev[i]}" "${dev[w]}" \
		--metadata "${dev[m]}" --name "${BJ_PREFIX}x" --size 1M
	made x "${dev[i]}" "${dev[w]}" --metadata "${dev[m]}" --size 6M \
		--speed 4K --buf-size 4K
	is size "$(sectors x)" 12288
	zeroed x 8192 4096
	fill x 3 8190 4
	ends 0 '' set "$job" --speed 0
	ends 0 'is now on' complete "$job"
	alone x w
	filled x 1 0 8190
	filled x 3 8190 4
	zeroed x 8194 4094
}

# Already there: nothing is copied twice, and a whole base is nothing to do.
base() {
	trio
	echo "0 4M" >"$BJ_TMP/base"
	started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" \
		--base "$BJ_TMP/base"
	ends 0 '' wait --concluded "$job"
	filled t 2
	filled u 1
	ends 3 'the rest, its base, is on the source' complete "$job"
	filled u 1
	fill u 3 8 8
	filled t 3 8 8
	is active "$(bj_dm get "blkjob.$job" active)" both
}

partial() {
	trio
	printf '1M 64K\n3M 8000\n100 200\n' >"$BJ_TMP/base"
	started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" \
		--base "$BJ_TMP/base"
	ends 0 '' wait --concluded "$job"
	filled t 1 0 2048
	filled t 2 2048 128
	filled t 1 2176 3968
	filled t 2 6144 8
	filled t 1 6152
	filled u 1
}

# In the middle of a stack: the origin is a stripe set, and another device stands
# on the one that is filled, and sees no change.
striped() {
	disk s0 2M
	disk s1 2M
	disk t 4M
	disk m 256K
	dm u "0 8192 striped 2 128 ${dev[s0]} 0 ${dev[s1]} 0"
	fill u 1
	layer top u
	before=$(table top)
	ends 0 'is now on' stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" \
		--wait
	alone u
	is "table above" "$(table top)" "$before"
	filled top 1
	filled t 1
	fill top 2 8 8
	filled t 2 8 8
}

# Several from one image, one with a writer; one ends while others have just begun.
parallel() {
	local i ids=()

	image
	detach i
	truncate -s 1M "$BJ_TMP/file-i"
	attach i -r
	for i in 1 2 3 4; do
		disk "t$i" 1M
		disk "m$i" 256K
		slow made "x$i" "${dev[i]}" "${dev[t$i]}" --metadata "${dev[m$i]}"
		ids[i]=$job
		ends 0 '' pause "$job"
		fill "x$i" "$((i + 1))" 1024 8
	done
	load l x1 9
	work l
	ends 0 '' set "${ids[2]}" --speed 0
	ends 0 '' resume "${ids[2]}"
	ends 0 'is now on' complete "${ids[2]}"
	for i in 1 3 4; do
		is "state of $i" "$(bj_dm get "blkjob.${ids[i]}" state)" paused
		ends 0 '' set "${ids[i]}" --speed 0
		ends 0 '' resume "${ids[i]}"
		background "end$i" complete "${ids[i]}"
	done
	for i in 1 3 4; do
		ended "end$i" 0 'is now on'
	done
	unload l
	verify x1 l
	verify t1 l
	for i in 2 3 4; do
		filled "t$i" 1 0 1024
		filled "t$i" "$((i + 1))" 1024 8
		filled "t$i" 1 1032
	done
	filled i 1
	nothing_left
}

#-----------------------------------------------------------------
# Cancelled, failed
#-----------------------------------------------------------------

# The device goes on, on both; and so does the stream.
cancelled() {
	trio
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	fill u 3 4096 64
	ends 0 "what is there is kept, and .* in use on both devices.*: blkjob stream /dev/mapper/${BJ_PREFIX}u ${dev[t]} " \
		cancel "$job"
	filled u 1 0 4096
	fill u 4 4100 1
	fill u 4 8191 1
	ends 3 'no verb|was there before' cancel --force "$job"
	ends 1 'was cancelled' complete "$job"
	ends 3 'is used by job|metadata device is in use' stream "${dev[u]}" \
		"${dev[s]}" --metadata "${dev[m]}"
	started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --speed 0
	ends 0 'is now on' complete "$job"
	alone u
	filled t 1 0 4096
	filled t 3 4096 4
	filled t 4 4100 1
	filled t 3 4101 59
	filled t 1 4160 4031
	filled t 4 8191 1
	filled s 1
}

# A bad disk is left: what cannot be read is named, and need not be read when it
# is overwritten.
bad_source() {
	disk s 4M
	disk t 4M
	disk m 256K
	fill s 1
	layer ls s
	bad ls s 4096 8
	made x "${dev[ls]}" "${dev[t]}" --metadata "${dev[m]}" \
		--on-source-error "$1"
	case $1 in
	ignore) wait_for "not all else is filled" rest_is 4096 ;;
	stop) job_is "$job" state=paused ;;
	esac
	if [ "$1" = ignore ]; then
		ends 0 '' map "$job" --json
		is "what is not there" "$(json map "$out" dirty)" "2097152+4096"
	fi
	fill x 3 4096 8
	[ "$1" != stop ] || ends 0 '' resume "$job"
	ends 0 'is now on' complete "$job"
	filled x 1 0 4096
	filled x 3 4096 8
	filled x 1 4104
	gone x
	nothing_left
}

rest_is() {
	[ "$(bj_dm get "blkjob.$job" dirty)" = "$1" ]
}

# With "report" the job ends, the device does not.
reported() {
	disk s 4M
	disk t 4M
	disk m 256K
	fill s 1
	layer ls s
	bad ls s 4096 8
	made x "${dev[ls]}" "${dev[t]}" --metadata "${dev[m]}"
	ends 6 "read of the source failed.*in use on both devices" \
		complete "$job"
	fill x 3 0 8
	good ls s
	started stream "${dev[ls]}" "${dev[t]}" --name "${BJ_PREFIX}x" \
		--metadata "${dev[m]}"
	ends 0 'is now on' complete "$job"
	filled x 3 0 8
	filled x 1 8
}

# What may not happen to a device that is being filled.
busy() {
	trio
	disk other 4M
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	ends 3 "is in use by job $job" stream "${dev[u]}" "${dev[t]}" \
		--metadata "${dev[m]}"
	disk n 256K
	ends 3 "already has job $job" stream "${dev[u]}" "${dev[other]}" \
		--metadata "${dev[n]}"
	ends 3 "already has job $job" migrate "${dev[u]}" --to "${dev[other]}"
	ends 3 "already has job $job" backup "${dev[u]}" "${dev[other]}"
	user v other
	ends 3 "is used by job $job" mirror "${dev[v]}" "${dev[t]}"
	ends 3 "is used by job $job" mirror "${dev[v]}" "${dev[m]}" --force
	ends 3 '' verify "$job"
	exec 8<"${dev[u]}"
	dmsetup remove "${BJ_PREFIX}u" 2>/dev/null && fail "removed in use"
	exec 8<&-
	ends 0 '' pause "$job"
	ends 3 "is paused; 'blkjob resume $job' first" complete "$job"
	ends 0 '' resume "$job"
	ends 4 "detached.*'blkjob complete $job'" complete "$job" --timeout 1
	ends 0 '' set "$job" --speed 0
	ends 0 'is now on' complete "$job"
	alone u
	filled u 1
}

#-----------------------------------------------------------------
# Refused
#-----------------------------------------------------------------

usage() {
	local words said

	while read -r words; do
		# shellcheck disable=SC2086 # words it is
		said=$(blkjob $words 2>&1)
		is "status of blkjob $words" $? 2
		[ -n "$said" ] || fail "no word about the error: $words"
	done <<-'END'
	stream
	stream a
	stream a b
	stream a b c --metadata d
	stream a b --metadata d --size 1M
	stream a b --metadata d --name x --unwritten
	stream a b --metadata d --unwritten --reset
	stream a b --metadata d --timeout 5
	stream a b --metadata d --base f --wait
	stream a b --metadata d --copy-on-read maybe
	stream a b --metadata d --sync top
	recover --unwritten
	recover --all x
	END
}

refused() {
	trio
	disk small 1M
	disk tiny 4K
	ends 3 'No such file' stream /dev/nothing "${dev[t]}" --metadata "${dev[m]}"
	ends 3 'not a device-mapper device' stream "${dev[s]}" "${dev[t]}" \
		--metadata "${dev[m]}"
	ends 3 'is too small' stream "${dev[u]}" "${dev[small]}" \
		--metadata "${dev[m]}"
	ends 3 'is too small|has .* sectors' stream "${dev[u]}" "${dev[t]}" \
		--metadata "${dev[tiny]}"
	ends 3 'both' stream "${dev[u]}" "${dev[u]}" --metadata "${dev[m]}"
	ends 3 'stands on' stream "${dev[u]}" "${dev[s]}" --metadata "${dev[m]}"
	ends 3 'overlap; name a device of its own' stream "${dev[u]}" \
		"${dev[t]}" --metadata "${dev[t]}"
	ends 3 'overlap' stream "${dev[u]}" "${dev[t]}" --metadata "${dev[u]}"
	disk ro 4M
	dev[i]=${dev[ro]}
	mv "$BJ_TMP/file-ro" "$BJ_TMP/file-i"
	read_only
	ends 3 'is read-only' stream "${dev[u]}" "${dev[ro]}" \
		--metadata "${dev[m]}"
	mounted t
	ends 3 'is mounted' stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	must umount "$mnt"
	ends 3 'contains data: ext4.*--force' stream "${dev[u]}" "${dev[t]}" \
		--metadata "${dev[m]}"
	ends 2 '--name takes' stream "${dev[s]}" "${dev[t]}" \
		--metadata "${dev[m]}" --name a/b
	ends 3 "there is a device /dev/mapper/${BJ_PREFIX}u already" stream \
		"${dev[s]}" "${dev[t]}" --metadata "${dev[m]}" \
		--name "${BJ_PREFIX}u"
	ends 3 'is in use, and what is written there' stream "${dev[s]}" \
		"${dev[t]}" --metadata "${dev[m]}" --name "${BJ_PREFIX}x"
	ends 3 'there are no metadata' recover "${dev[m]}"
	fill m 9
	ends 3 'something else than metadata.*--force' stream "${dev[u]}" \
		"${dev[t]}" --metadata "${dev[m]}"
	is "table of u" "$(table u)" "$before"
	filled m 9
	nothing_left
}

volume() {
	disk a 32M
	disk t 16M
	disk m 256K
	vg a
	lv data -L 8M "$BJ_VG"
	fill data 1
	ends 3 'logical volume, which is not supported.*--name' stream \
		"$BJ_VG/data" "${dev[t]}" --metadata "${dev[m]}"
	made x "$BJ_VG/data" "${dev[t]}" --metadata "${dev[m]}"
	fill x 2 0 8
	ends 0 'is now on' complete "$job"
	filled x 2 0 8
	filled x 1 8
	filled data 1
	gone x
}

conformance 247 248 250 251 253 254 256 257 259 260 263 266 271 274 275
cli_run mounted_volume under_load "golden loop" "golden nbd" larger base \
	partial striped parallel cancelled "bad_source ignore" \
	"bad_source stop" reported busy usage refused volume
