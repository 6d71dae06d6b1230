#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "recover" and what streams leave on their metadata devices: after
# the layer was lost, everything that was written is there again.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-stream-cli.sh
. "$(dirname "$0")/lib-stream-cli.sh"

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
	ends 0 'there is no stream and no mirror to be put back' recover --all
	filled x 3 4096 64
	filled x 4 8191 1
	filled x 1 0 4096
	ends 0 'is now on' complete "$job"
	alone x
	filled x 1 0 4096
	filled x 3 4096 64
	filled x 1 4160 4031
	filled x 4 8191 1
	ends 0 'there is no stream and no mirror to be put back' recover --all
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
	ends 0 'there is no stream and no mirror to be put back' recover --all
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
	ends 3 'metadata of a track job, and not of a stream or a mirror' recover "${dev[m]}"
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

conformance 256 263 272
cli_run "recovered all" "recovered one" base_again taken_down under missing \
	damaged others
