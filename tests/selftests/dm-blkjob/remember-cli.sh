#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command: mirrors with metadata, which go on with what may differ after a
# crash, an outage of the target device or their end.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-stream-cli.sh
. "$(dirname "$0")/lib-stream-cli.sh"

REGION=65536
ALL=$((4 << 20))

remembers() {
	started mirror "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" "$@"
}

# What may differ is no more than what does.
settled() {
	job_is "$job" state=ready remembers=1 rework=0 dirty=0 in_flight=0
}

# Three regions that the target device does not have.
differing() {
	trio
	remembers
	settled
	ends 0 '' pause "$job"
	fill u 3 0 1
	fill u 3 4000 200
}

# Nobody has ended the job, and the table is as it was: like after a reboot.
lost() {
	swap u "$before"
	wait_for "the layer stays" none_left
}

# copied BYTES: by the new job, and no more.
copied() {
	job_is "$job" state=ready dirty=0 in_flight=0
	is copied "$(bj_dm get "blkjob.$job" offset)" "$1"
	same u "${2:-t}"
}

# goes_on WORD...: by this command, with just these regions.
goes_on() {
	started "$@"
	grep -q 'goes on: 192.0 KiB of 4.0 MiB may differ' "$out" || {
		quote <"$out"
		fail "no word about it"
	}
	copied $((3 * REGION))
	filled t 3 0 1
	filled t 1 1 3999
	filled t 3 4000 200
	filled t 1 4200
}

switched() {
	ends 0 'is now on' complete "$job"
	alone u
	same s t
	filled u 3 4000 200
	ends 0 'there is no stream and no mirror to be put back' recover --all
}

again() {
	differing
	lost
	goes_on mirror "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	switched
}

recovered() {
	differing
	lost
	ends 0 "a mirror from /dev/mapper/${BJ_PREFIX}u to ${dev[t]}" \
		recover --dry-run "${dev[m]}"
	is table "$(table u)" "$before"
	if [ "$1" = all ]; then
		# As the unit does it.
		goes_on recover --all
	else
		goes_on recover "${dev[m]}"
	fi
	ends 0 'the mirror is there' recover "${dev[m]}"
	ends 0 'there is no stream and no mirror to be put back' recover --all
	switched
}

# In the middle of the first copy, by two crashes, and beside a writer.
under_load() {
	trio
	remembers --speed 512K --buf-size 64K
	job_is "$job" 'offset>1000000'
	lost
	remembers --speed 64K
	load l u 1
	work l
	unload l
	lost
	started recover "${dev[m]}"
	job_is "$job" state=ready dirty=0 in_flight=0
	same u t
	settled
	verify u l
	verify t l
	ends 0 'is now on' complete "$job"
	alone u
	verify u l
}

# The metadata do not know what is written now: nobody may have it open.
in_use() {
	local command

	differing
	lost
	command="mirror /dev/mapper/${BJ_PREFIX}u ${dev[t]} --metadata ${dev[m]} --reset --force"
	exec 8<"${dev[u]}"
	ends 3 'is in use, and the metadata do not know.*--unwritten' mirror \
		"${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
	ends 3 "copy everything: blkjob $command" recover "${dev[m]}"
	nothing_left
	goes_on mirror "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --unwritten
	settled
	lost
	# shellcheck disable=SC2086 # words it is
	started $command
	exec 8<&-
	copied $ALL
}

# Somebody has written to one of the legs meanwhile.
written() {
	local leg

	differing
	lost
	for leg in u t; do
		fill $leg 9 8191 1
		ends 3 'differ at .*, where the metadata say that they are equal' \
			mirror "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}"
		ends 3 'differ at .*blkjob mirror .* --reset --force' \
			recover "${dev[m]}" --unwritten
		nothing_left
		fill $leg 1 8191 1
	done
	fill u 9 8191 1
	remembers --reset
	grep -q 'goes on' "$out" && fail "it goes on"
	copied $ALL
	filled t 9 8191 1
	filled t 3 4000 200
}

# What is copied is not copied again, and a copy that is complete stays one.
cancelled() {
	trio
	remembers
	settled
	ends 0 "is a consistent copy of" cancel "$job"
	grep -q "as long as nobody writes to .*: blkjob mirror .* ${dev[t]} --metadata ${dev[m]}" \
		"$out" || fail "no word about going on"
	nothing_left
	# Who has cancelled it may use the target device now.
	ends 0 'was cancelled, and is left alone' recover --all
	nothing_left
	remembers
	grep -q 'goes on: 0 B of 4.0 MiB may differ' "$out" || {
		quote <"$out"
		fail "no word about it"
	}
	copied 0
	fill u 3 0 8
	lost
	started recover --all
	settled
	ends 0 '' cancel "$job"
	started recover "${dev[m]}"
	settled
	ends 0 '' cancel "$job"
	filled t 3 0 8
	same u t
	# By force, before the target device has all of it
	remembers --reset --speed 64K --buf-size 64K
	job_is "$job" 'offset>100000'
	ends 0 'the copy is incomplete' cancel --force "$job"
	remembers
	job_is "$job" state=ready dirty=0 in_flight=0
	same u t
}

# The target device is away, the job fails, and the consumer goes on meanwhile.
outage() {
	trio
	layer lt t
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	settled
	dead lt
	fill u 3 0 128
	job_is "$job" state=concluded
	fill u 3 1024 128
	good lt t
	ends 5 'a write of the target device failed' cancel "$job"
	nothing_left
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	copied $((2 * REGION)) lt
	filled t 3 0 128
	filled t 3 1024 128
	# With the policy, and without an end
	ends 0 '' cancel "$job"
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}" \
		--on-target-error stop
	settled
	dead lt
	fill u 4 0 128
	job_is "$job" state=standby io_status=failed
	lost
	good lt t
	started recover "${dev[m]}"
	copied $REGION lt
	filled t 4 0 128
}

# The layer is still there, and the consumer too: the job is taken up again, with
# all that was written meanwhile.
taken_up() {
	trio
	layer lt t
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	settled
	exec 8<"${dev[u]}"
	dead lt
	fill u 3 0 128
	ends 5 'What differs by then is copied by: blkjob mirror .* --metadata' \
		wait "$job"
	fill u 3 1024 128
	good lt t
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	grep -q 'started again' "$out" || fail "another job"
	grep -q 'goes on: 128.0 KiB of 4.0 MiB may differ' "$out" ||
		fail "no word about it"
	copied $((2 * REGION)) lt
	settled
	exec 8<&-
	fill u 1
	load l u 1
	dead lt
	job_is "$job" state=concluded
	work l
	good lt t
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	work l
	unload l
	job_is "$job" state=ready dirty=0 in_flight=0
	same u t
	verify u l
	verify t l
	ends 0 'is now on' complete "$job"
	alone u lt
	same u s
	# Before what it stands on now
	gone u
}

# It cannot be: then nobody may rely on the metadata.
not_taken_up() {
	trio
	layer lt t
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	settled
	dead lt
	fill u 3 0 128
	job_is "$job" state=concluded
	good lt t
	ends 1 'cannot be taken up: .*granularity' mirror "${dev[u]}" \
		"${dev[lt]}" --metadata "${dev[m]}" --granularity 4096
	grep -q 'the metadata are wiped' "$out" || fail "no word about it"
	is table "$(table u)" "$before"
	zeroed m 0 16
	filled u 3 0 128
	nothing_left
}

# outage_again SECTOR: the job fails, and that differs afterwards.
outage_again() {
	job_is "$job" state=ready dirty=0 in_flight=0
	dead lt
	fill u 3 "$1" 8
	job_is "$job" state=concluded
	good lt t
}

# As whoever was killed there has left it: u is in use, and goes on.
goes_on_after() {
	local node=$BJ_PREFIX$1

	wait_for "$1 stands still, killed at $2" \
		bash -c "bj_dm info $node | grep -q suspended=0"
	must dmsetup udevcomplete_all -y
	fill u 4 $((4096 + 8 * $2)) 8
	ends 0 '' recover
	cli mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	job=$(only_job)
	say "killed at $2: $status, $(blkjob list | awk 'NR == 2 { print $3 }')"
	if [ -z "$job" ]; then
		# What was written just now is not in the metadata.
		is "status of a new mirror" "$status" 3
		started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}" \
			--reset --force
	elif [ "$status" -ne 0 ]; then
		cli resume "$job"
	fi
	job_is "$job" state=ready dirty=0 in_flight=0
	same u t
}

# The command is killed while it takes a job up.
taken_up_killed() {
	local n all step=1

	can_kill
	trio
	layer lt t
	started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
	outage_again 0
	all=$(ioctls mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}")
	say "$all ioctls"
	ends 0 '' cancel "$job"
	[ -n "${BLKJOB_LONG-}" ] || step=$((all / 3))
	for ((n = 1 + RANDOM % step; n <= all; n += step)); do
		started mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
		exec 8<"${dev[u]}"
		outage_again $((8 * n))
		killed "$n" mirror "${dev[u]}" "${dev[lt]}" --metadata "${dev[m]}"
		goes_on_after u "$n"
		exec 8<&-
		ends 0 '' cancel "$job"
		swap u "$before"
		wait_for "the layer stays" none_left
		same u t
	done
}

# There, and back again: the metadata tell of a source that is none any more.
turned() {
	trio
	remembers
	settled
	ends 0 'its old source is kept equal' complete "$job" --keep-source-synced
	fill u 3 0 64
	ends 0 'its old source is a consistent copy' cancel "$job"
	zeroed m 0 16
	is table "$(table u)" "0 8192 linear $(devno t) 0"
	same s t
	swap u "$before"
	remembers
	settled
	ends 0 '' complete "$job" --keep-source-synced
	ends 0 'is on its old source again' undo "$job"
	zeroed m 0 16
	is table "$(table u)" "$before"
	nothing_left
}

# The machine goes down behind the switch, and the device is set up on its old
# source again: nobody may copy that over what was written since.
ended() {
	local word

	trio
	remembers
	settled
	for word in complete finalize; do
		must bj_dm message "blkjob.$job" 0 $word
		job_is "$job" 'state=pending|concluded'
	done
	fill u 3 0 8
	lost
	ends 3 "\"dm-name:.*\" was switched: \"loop:.*\" has everything" \
		recover "${dev[m]}" --unwritten
	ends 3 'has everything' recover --all
	ends 7 'has ended on its target device' check --metadata "${dev[m]}"
	ends 0 '^ended: the target device has everything' dump "${dev[m]}"
	ends 0 '"ended":true' dump "${dev[m]}" --json
	for word in --force --unwritten --reset; do
		ends 3 "was switched: ${dev[t]} has everything" mirror \
			"${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" $word
	done
	nothing_left
	filled t 3 0 8
	remembers --reset --force
	copied $ALL
	filled t 1
}

# The same while the old source is kept equal, and may lack the last of it.
ended_turned() {
	trio
	remembers
	settled
	ends 0 'its old source is kept equal' complete "$job" --keep-source-synced
	ends 0 '' pause "$job"
	fill u 3 0 8
	lost
	ends 3 "\"dm-name:.*\" was switched: \"loop:.*\" has everything" \
		recover "${dev[m]}" --unwritten
	ends 3 "was switched: ${dev[t]} has everything" mirror \
		"${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --reset
	nothing_left
	filled t 3 0 8
	filled s 1
}

# A leg is not there, or there are two of them.
missing() {
	differing
	lost
	detach t
	ends 3 "the target device of this mirror, \"loop:.*\", is not found" \
		recover "${dev[m]}"
	ends 3 'is not found' recover --all
	attach t
	must losetup -f "$BJ_TMP/file-t"
	loops+=("$(losetup -n -O NAME -j "$BJ_TMP/file-t" | grep -vx "${dev[t]}")")
	ends 3 'there are several devices "loop:.*take the others away' \
		recover "${dev[m]}"
	must losetup -d "${loops[-1]}"
	unset "loops[-1]"
	gone u
	ends 3 "the source of this mirror, \"dm-name:.*\", is not found" \
		recover "${dev[m]}"
	user u s
	goes_on recover "${dev[m]}"
}

damaged() {
	differing
	lost
	ends 0 'is whole: a mirror from dm-name:.* to loop:' check \
		--metadata "${dev[m]}"
	ends 0 '^differ +192.0 KiB +4%' dump "${dev[m]}"
	ends 0 '' dump "${dev[m]}" --json --since differ
	must json dump-stream "$out"
	is ranges "$(tr -d ' \n' <"$out" | sed 's/.*"ranges"://')" \
		'[{"start":0,"length":65536},{"start":2031616,"length":131072}]}'
	# One sector of one copy: of the bits of all regions
	fill m 9 16 1
	fill m 9 24 1
	fill m 9 32 1
	fill m 9 40 1
	ends 7 'sectors are damaged; what they may hide counts as different' \
		check --metadata "${dev[m]}"
	started recover "${dev[m]}"
	copied $ALL
	settled
	lost
	fill m 9 1 1
	fill m 9 9 1
	ends 7 "${dev[m]}: both copies of the superblock are damaged" \
		recover --all
	ends 3 'damaged.*--force makes new metadata' mirror "${dev[u]}" \
		"${dev[t]}" --metadata "${dev[m]}"
	remembers --force
	copied $ALL
}

# Metadata of others, of another pair, and words that do not go together.
others() {
	trio
	disk other 4M
	for words in "--unwritten" "--reset" \
		"--metadata ${dev[m]} --reset --unwritten" \
		"--metadata ${dev[m]} --sync none" \
		"--metadata ${dev[m]} --replaces ${dev[other]}"; do
		# shellcheck disable=SC2086 # words it is
		ends 2 -- mirror "${dev[u]}" "${dev[t]}" $words
	done
	ends 2 'for one pair' mirror --group g "${dev[u]}:${dev[t]}" \
		--metadata "${dev[m]}"
	ends 3 'overlap' mirror "${dev[u]}" "${dev[t]}" --metadata "${dev[t]}"
	started track "${dev[u]}" --metadata "${dev[m]}"
	lost
	ends 3 'has the metadata of a track job' mirror "${dev[u]}" "${dev[t]}" \
		--metadata "${dev[m]}"
	remembers --reset
	settled
	lost
	ends 3 'has the metadata of a mirror job' stream "${dev[u]}" "${dev[t]}" \
		--metadata "${dev[m]}"
	ends 3 'has the metadata of the mirror from .*--reset' mirror \
		"${dev[u]}" "${dev[other]}" --metadata "${dev[m]}"
	started mirror "${dev[u]}" "${dev[other]}" --metadata "${dev[m]}" --reset
	copied $ALL other
	filled u 1
}

# What the user reads of it
shown() {
	trio
	remembers --speed 0
	settled
	fill u 3 0 256
	ends 0 'REWORK' list
	ends 0 '' list --json
	must json jobs "$out"
	is remembers "$(json jobs "$out" remembers)" 1
	ends 0 '^rework ' status "$job"
	ends 0 '^blkjob_rework_bytes{job=' stats --prometheus
	ends 0 '' cancel "$job"
	started mirror "${dev[u]}" "${dev[t]}"
	ends 0 '"rework":null,"remembers":null' status "$job" --json
	ends 0 '' list
	grep -q REWORK "$out" && fail "a column of nothing"
	return 0
}

cli_run again "recovered all" "recovered one" under_load in_use written \
	cancelled outage taken_up not_taken_up taken_up_killed turned ended ended_turned missing damaged others shown
