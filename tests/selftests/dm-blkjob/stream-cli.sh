#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The commands "stream" and "recover": a device that is used at once and filled
# behind, from one in use or from an image, and put back after it was lost.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# A source s in use as u, a target t, and a device m for the metadata.
trio() {
	disk s 4M
	disk t 4M
	disk m 256K
	fill s 1
	fill t 2
	user u s
	before=$(table u)
}

# An image i that nobody can write, and what it is streamed to as x.
image() {
	disk i 4M
	fill i 1
	read_only
	disk t 4M
	disk m 256K
	fill t 2
}

# As attached anew: the same file, the same device.
attach() {
	must losetup "${@:2}" "${dev[$1]}" "$BJ_TMP/file-$1"
}

detach() {
	must losetup -d "${dev[$1]}"
}

read_only() {
	detach i
	attach i -r
}

# made NAME WORD...: with a device of its own; removed after the case.
made() {
	local name=$1

	shift
	started stream "$@" --name "$BJ_PREFIX$name"
	made_is "$name"
}

made_is() {
	dms+=("$1")
	dev[$1]=/dev/$(basename "$(readlink -f "/sys/dev/block/$(dmsetup info \
		-c --noheadings --separator : -o major,minor "$BJ_PREFIX$1")")")
}

# slow COMMAND...: does not end by itself while the case lasts.
slow() {
	"$@" --speed 4K --buf-size 4K
}

# Of a stream that is dropped: linear on t, and nothing to be found on m.
alone() {
	is table "$(table "$1")" "0 $(sectors "$1") linear $(number "${2:-t}") 0"
	zeroed "${3:-m}" 0 16
	nothing_left
}

number() {
	cat "/sys/class/block/${dev[$1]##*/}/dev"
}

# What the source held in the end is what it holds still.
sum() {
	sha256sum <"${dev[$1]}"
}

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
	made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}" --speed 1M
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
	[ "$1" != nbd ] || must qemu-nbd --disconnect "${dev[i]}"
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
	printf '1M 64K\n3M 4K\n' >"$BJ_TMP/base"
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
		fill "x$i" "$((i + 1))" 1024 8
	done
	load l x1 9
	work l
	ends 0 '' set "${ids[2]}" --speed 0
	ends 0 'is now on' complete "${ids[2]}"
	for i in 1 3 4; do
		is "state of $i" "$(bj_dm get "blkjob.${ids[i]}" state)" running
		ends 0 '' set "${ids[i]}" --speed 0
		background "end$i" complete "${ids[i]}"
	done
	unload l
	for i in 1 3 4; do
		ended "end$i" 0 'is now on'
	done
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
# Lost, and put back
#-----------------------------------------------------------------

# Nobody takes it away by the command: as if the machine had gone down.
lost() {
	gone x
	wait_for "the layer stays" none_left
}

recovered() {
	image
	slow made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}"
	fill x 3 4096 64
	fill x 4 8191 1
	lost
	ends 0 "a stream from ${dev[i]} to ${dev[t]}, for /dev/mapper/${BJ_PREFIX}x" \
		recover --dry-run "${dev[m]}"
	if [ "$1" = all ]; then
		# As the unit does it.
		started recover --all
	else
		started recover "${dev[m]}"
	fi
	made_is x
	ends 0 'the stream is there' recover "${dev[m]}"
	ends 0 'there is no stream to be put back' recover --all
	filled x 3 4096 64
	filled x 4 8191 1
	filled x 1 0 4096
	ends 0 'is now on' complete "$job"
	alone x
	filled x 1 0 4096
	filled x 3 4096 64
	filled x 1 4160 4031
	filled x 4 8191 1
	ends 0 'there is no stream to be put back' recover --all
}

# What is not to be filled has to be said again; until then nothing is.
base_again() {
	image
	echo "1M 64K" >"$BJ_TMP/base"
	slow made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}" \
		--base "$BJ_TMP/base"
	ends 0 '' pause "$job"
	lost
	started recover "${dev[m]}"
	grep -q 'paused, because of a base' "$out" || fail "no word about it"
	made_is x
	job_is "$job" state=paused
	started stream "${dev[i]}" "${dev[t]}" --name "${BJ_PREFIX}x" \
		--metadata "${dev[m]}" --base "$BJ_TMP/base"
	ends 0 '' wait --concluded "$job"
	filled t 1 0 2048
	filled t 2 2048 128
	filled t 1 2176
	filled x 1
}

# Taken away by the command, which only does that when nobody uses it.
taken_down() {
	image
	slow made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}"
	fill x 3 4096 64
	exec 8<"${dev[x]}"
	ends 3 'is in use; close it first' cancel --force "$job"
	exec 8<&-
	ends 0 "is removed; 'blkjob recover ${dev[m]}' brings it back" \
		cancel --force "$job"
	dms=()
	nothing_left
	started recover "${dev[m]}"
	made_is x
	filled x 3 4096 64
	filled x 1 0 4096
	ends 0 'is now on' complete "$job"
}

# A device that was in use: it is set up again as it was, and may not be open.
under() {
	trio
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	fill u 3 4096 64
	swap u "$before"
	wait_for "the layer stays" none_left
	exec 8<"${dev[u]}"
	ends 3 'is in use, and what was written.*--unwritten' recover "${dev[m]}"
	started recover "${dev[m]}" --unwritten
	exec 8<&-
	filled u 3 4096 64
	filled u 1 0 4096
	swap u "$before"
	wait_for "the layer stays" none_left
	started recover --all
	ends 0 'is now on' complete "$job"
	alone u
	filled u 1 0 4096
	filled u 3 4096 64
	filled u 1 4160
}

# A leg is not there, or is not what it was.
missing() {
	local leg

	image
	slow made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}"
	fill x 3 4096 64
	lost
	for leg in i t; do
		detach $leg
		ends 3 "the (source|target device) of this stream, \"loop:.*\", is not found" \
			recover "${dev[m]}"
		ends 3 'is not found' recover --all
		attach $leg
		[ $leg = t ] || read_only
	done
	# Two that say the same of themselves.
	must losetup -f "$BJ_TMP/file-t"
	loops+=("$(losetup -n -O NAME -j "$BJ_TMP/file-t" | grep -vx "${dev[t]}")")
	ends 3 'there are several devices "loop:.*take the others away' \
		recover "${dev[m]}"
	must losetup -d "${loops[-1]}"
	unset "loops[-1]"
	# Not the image that it was
	detach i
	attach i
	fill i 7 8184 8
	ends 3 'has changed since the stream began.*--reset --force' \
		recover "${dev[m]}"
	fill i 1 8184 8
	read_only
	[ "$(dmsetup ls | grep -c "$BJ_PREFIX")" = 0 ] || fail "left behind"
	started recover "${dev[m]}"
	made_is x
	filled x 3 4096 64
	filled x 1 0 4096
}

# Damage is found, and what cannot be known is not guessed.
damaged() {
	image
	slow made x "${dev[i]}" "${dev[t]}" --metadata "${dev[m]}"
	fill x 3 4096 64
	ends 0 '^valid' dump "${dev[m]}"
	lost
	ends 0 'is whole: a stream from loop:' check --metadata "${dev[m]}"
	ends 0 '^target device of 4.0 MiB: loop:' dump "${dev[m]}"
	ends 0 '' dump "${dev[m]}" --json --since valid
	must json dump-stream "$out"
	json dump-stream "$out" ranges | grep -qE '(^| )2097152\+' ||
		json dump-stream "$out" ranges | grep -q '+' || fail "no ranges"
	# One sector of one copy
	fill m 9 16 1
	ends 7 'the other copy of each is whole' check --metadata "${dev[m]}"
	started recover "${dev[m]}"
	made_is x
	filled x 3 4096 64
	lost
	ends 0 'is whole' check --metadata "${dev[m]}"
	fill m 9 16 1
	fill m 9 24 1
	ends 7 'are lost' check --metadata "${dev[m]}"
	ends 3 'refused' recover "${dev[m]}"
	# One sector of each copy of the superblock, and then all of it
	fill m 9 1 1
	fill m 9 9 1
	ends 7 "${dev[m]}: both copies of the superblock are damaged" \
		recover --all
	fill m 9 0 16
	ends 3 'something else' recover "${dev[m]}"
	ends 0 'there is no stream to be put back' recover --all
	nothing_left
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
		"${dev[t]}" --metadata "${dev[m]}" --force=
	is "table of u" "$(table u)" "$before"
	filled m 9
	nothing_left
}

# Metadata of others, and of another pair.
others() {
	trio
	disk other 4M
	started track "${dev[u]}" --metadata "${dev[m]}"
	swap u "$before"
	wait_for "the layer stays" none_left
	ends 3 'has the metadata of a track job' stream "${dev[u]}" "${dev[t]}" \
		--metadata "${dev[m]}"
	ends 3 'metadata of a track job, and not of a stream' recover "${dev[m]}"
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --reset
	fill u 3 0 8
	swap u "$before"
	wait_for "the layer stays" none_left
	ends 3 'has the metadata of the stream from .*--reset' stream \
		"${dev[u]}" "${dev[other]}" --metadata "${dev[m]}"
	started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	filled u 3 0 8
	swap u "$before"
	wait_for "the layer stays" none_left
	started stream "${dev[u]}" "${dev[other]}" --metadata "${dev[m]}" --reset
	filled u 1
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

conformance 247 248 250 251 253 254 256 257 259 260 263 266 271 272 274 275
cli_run mounted_volume under_load "golden loop" "golden nbd" larger base \
	partial striped parallel cancelled "bad_source ignore" \
	"bad_source stop" reported busy "recovered all" "recovered one" \
	base_again taken_down under missing damaged usage refused others volume
