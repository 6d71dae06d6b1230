#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command "commit": what a stream has on its target device goes back to the
# source, under a device that is in use all the time.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-stream-cli.sh
. "$(dirname "$0")/lib-stream-cli.sh"

# What is written over an image of seed 1: whole regions, parts of some, zeroes.
write_it() {
	fill "$1" 3 800 80
	fill "$1" 4 1003 5
	fill "$1" 5 4087 10
	must blkdiscard -z -o $((4096 * 300)) -l $((4096 * 5)) "${dev[$1]}"
	fill "$1" 6 8191 1
}

written() {
	filled "$1" 1 0 800
	filled "$1" 3 800 80
	filled "$1" 1 880 123
	filled "$1" 4 1003 5
	filled "$1" 1 1008 1392
	zeroed "$1" 2400 40
	filled "$1" 1 2440 1647
	filled "$1" 5 4087 10
	filled "$1" 1 4097 4094
	filled "$1" 6 8191 1
}

three() {
	disk s 4M
	disk t 4M
	disk m 256K
	fill s 1
	fill t 2
	layer ls s
	layer lt t
}

# overlay: x, of ls and lt, hardly filled; stream is its job.
overlay() {
	three
	slow made x "${dev[ls]}" "${dev[lt]}" --metadata "${dev[m]}"
	stream=$job
	write_it x
}

note_is() {
	ends 0 '' dump "${dev[m]}"
	is "note" "$(sed -n 's/^note .*\/\([^/]*\)$/\1/p' "$out")" "$1"
}

# The overlay as it was: it alone has the source, and cannot write there.
overlay_again() {
	is "stream" "$(bj_dm get "blkjob.$stream" state active)" "concluded both"
	is "holders of the source" \
		"$(cat "/sys/class/block/${dev[ls]##*/}"/holders/*/dm/name)" \
		"blkjob.$stream.src"
	is "read-only" "$(cat "/sys/class/block/${dev[ls]##*/}"/holders/*/ro)" 1
	note_is -
}

# On the source alone, and so is everything.
back() {
	is table "$(table "$1")" "0 $(sectors "$1") linear $(devno "$2") 0"
	zeroed m 0 16
	nothing_left
}

#-----------------------------------------------------------------
# From the beginning to the end
#-----------------------------------------------------------------

# whole [WORD]...
whole() {
	overlay
	started commit "${dev[x]}" "$@"
	grep -q 'ls, its source; .*x stays in use' "$out" || fail "not so said"
	note_is commit
	ends 0 '' wait "$job"
	holds "$(bj_dm get "blkjob.$job" copied) < 2097152"
	written x
	same x s
	fill x 7 6001 3
	ends 0 "x is now on .*ls" complete "${dev[x]}"
	back x ls
	filled s 7 6001 3
	filled x 7 6001 3
	fill s 1 6001 3
	written s
	gone x
	nothing_left
}

# A writer that knows what it has written, from before the stream to the end.
under_load() {
	three
	slow made x "${dev[ls]}" "${dev[lt]}" --metadata "${dev[m]}"
	load l x 1
	work l
	started commit "$job"
	work l
	ends 0 'is now on' complete "$job"
	work l
	unload l
	back x ls
	verify x l
	verify s l
}

# In use before, during and after: u has its old table again.
in_use() {
	trio
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --force
	write_it u
	started commit "${dev[u]}" "${dev[s]}"
	ends 0 'is now on' complete "$job"
	is "table of u" "$(table u)" "$before"
	back u s
	written s
	written u
}

# Layers above and below are no obstacle, and stay; an offset is kept.
layers() {
	disk d 5M
	disk t 4M
	disk m 256K
	dm s "0 8192 linear ${dev[d]} 1024"
	fill s 1
	dm u "0 8192 linear ${dev[d]} 1024"
	before=$(table u)
	gone s
	dm top "0 8192 linear ${dev[u]} 0"
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" \
		--unwritten
	write_it top
	started commit "${dev[u]}"
	ends 0 'is now on' complete "$job"
	is "table of u" "$(table u)" "$before"
	is "table above" "$(table top)" "0 8192 linear $(devno u) 0"
	written top
	nothing_left
}

# Nothing was written, and nothing filled: there is nothing to do.
nothing() {
	three
	echo "0 4M" >"$BJ_TMP/base"
	made x "${dev[ls]}" "${dev[lt]}" --metadata "${dev[m]}" \
		--base "$BJ_TMP/base"
	ends 0 '' wait --concluded "$job"
	started commit "${dev[x]}"
	ends 0 '' wait "$job"
	is copied "$(bj_dm get "blkjob.$job" copied zeroed)" "0 0"
	ends 0 'is now on' complete "$job"
	back x ls
	filled s 1
}

# One region after the other is written, without a flush: of the last ones the
# metadata know nothing when the mirror comes.
at_once() {
	local n writer

	three
	slow made x "${dev[ls]}" "${dev[lt]}" --metadata "${dev[m]}"
	ends 0 'is kept' cancel "$job"
	for ((n = 0; n < 1000; n++)); do
		[ ! -e "$BJ_TMP/stop" ] || break
		bj_data fill "${dev[x]}" 3 $((n * 8)) 8 || exit
		echo $((n + 1)) >"$BJ_TMP/written"
	done >"$BJ_TMP/writer" &
	writer=$!
	wait_for "nothing is written" test -s "$BJ_TMP/written"
	started commit "${dev[x]}"
	touch "$BJ_TMP/stop"
	wait $writer || fail "the writer failed"
	ends 0 'is now on' complete "$job"
	back x ls
	n=$(<"$BJ_TMP/written")
	filled s 3 0 $((n * 8))
	filled s 1 $((n * 8))
}

# It was filled meanwhile: everything goes back.
filled_up() {
	three
	made x "${dev[ls]}" "${dev[lt]}" --metadata "${dev[m]}"
	write_it x
	ends 0 '' wait --concluded "$job"
	started commit "${dev[x]}"
	ends 0 'is now on' complete "$job"
	back x ls
	written s
}

#-----------------------------------------------------------------
# Cancelled, failed
#-----------------------------------------------------------------

# Before it is ready, or when it is: the view stays, and it can begin again.
cancelled() {
	overlay
	slow started commit "${dev[x]}"
	[ "$1" = early ] || {
		ends 0 '' set "$job" --speed 0
		ends 0 '' wait "$job"
	}
	fill x 7 6001 3
	if [ "$1" = early ]; then
		ends 0 'x stays in use on .*lt and .*ls, with everything.*: blkjob commit' \
			cancel --force "$job"
	else
		ends 0 'x stays in use on' cancel "$job"
		filled s 7 6001 3
	fi
	overlay_again
	filled x 7 6001 3
	fill x 1 6001 3
	written x
	# It is filled as before, or goes back after all.
	if [ "$2" = fill ]; then
		started stream "${dev[ls]}" "${dev[lt]}" --name "${BJ_PREFIX}x" \
			--metadata "${dev[m]}" --speed 0
		ends 0 'is now on' complete "$job"
		alone x lt
	else
		started commit "${dev[x]}"
		ends 0 'is now on' complete "$job"
		back x ls
		written s
	fi
	written x
}

# failing POLICY LEG: sectors of a leg fail for a while.
failing() {
	local side=target layer=ls disk=s failed=5

	overlay
	[ "$2" != source ] || side=source layer=lt disk=t failed=6
	bad $layer $disk 840 8
	started commit "${dev[x]}" "--on-$side-error" "$1"
	case $1 in
	report)
		ends $failed 'x keeps running on its source' \
			wait "$job"
		ends 0 'x stays in use on' cancel --force "$job"
		overlay_again
		;;
	stop) job_is "$job" state=paused ;;
	ignore) job_is "$job" "${side}_errors>2" ;;
	esac
	filled x 1 0 800
	good $layer $disk
	written x
	case $1 in
	report) started commit "${dev[x]}" ;;
	stop) ends 0 '' resume "$job" ;;
	esac
	ends 0 'is now on' complete "$job"
	back x ls
	written s
}

#-----------------------------------------------------------------
# Interrupted
#-----------------------------------------------------------------

# Nobody takes it away by the command: as if the machine had gone down.
lost() {
	gone x
	wait_for "the layer stays" no_layer
}

# A killed command's lock is none of it.
no_layer() {
	! dmsetup ls | grep -q '^blkjob'
}

# crashed early|late: both legs, and the metadata as they are then.
crashed() {
	overlay
	slow started commit "${dev[x]}"
	[ "$1" = early ] || {
		ends 0 '' set "$job" --speed 0
		ends 0 '' wait "$job"
	}
	lost
	started recover "${dev[m]}"
	grep -q 'paused, because it was being committed' "$out" ||
		fail "no word about it"
	made_is x
	job_is "$job" state=paused
	written x
	started commit "${dev[x]}"
	ends 0 'is now on' complete "$job"
	back x ls
	written s
}

# sealed 1|2 AFTER: "complete" is killed when it writes that copy of the
# superblock; before the second, the first says that the source counts.
sealed() {
	local then=$2

	can_kill
	overlay
	started commit "${dev[x]}"
	ends 0 '' wait "$job"
	{
		strace -f -qq -o "$BJ_TMP/trace" -e trace=pwrite64 \
			-e "inject=pwrite64:signal=KILL:when=$1" \
			blkjob complete "$job" >"$BJ_TMP/out" 2>&1 </dev/null
	} 2>/dev/null
	job_is "$job" state=pending
	case $1 in
	1) note_is commit ;;
	2) note_is committed ;;
	esac
	case $1-$then in
	*-complete)
		ends 0 'is now on' complete "$job"
		back x ls
		written x
		;;
	*-cancel)
		ends 0 'stays in use on' cancel "$job"
		note_is -
		fill x 7 6001 3
		lost
		started recover "${dev[m]}"
		made_is x
		filled x 7 6001 3
		fill x 1 6001 3
		written x
		return
		;;
	1-lost)
		lost
		started recover "${dev[m]}"
		made_is x
		written x
		return
		;;
	2-lost)
		lost
		ends 3 'was committed: everything is on' recover "${dev[m]}"
		ends 0 'was committed' recover --all
		ends 3 'was committed.*--reset' stream "${dev[ls]}" \
			"${dev[lt]}" --metadata "${dev[m]}" \
			--name "${BJ_PREFIX}x"
		;;
	esac
	written s
}

# The recorded source is where it is found now, whatever its name was.
moved() {
	local was

	disk s 4M
	disk t 4M
	disk m 256K
	disk other 4M
	fill s 1
	fill other 8
	slow made x "${dev[s]}" "${dev[t]}" --metadata "${dev[m]}"
	write_it x
	lost
	detach s
	detach other
	was=${dev[s]} dev[s]=${dev[other]} dev[other]=$was
	attach s
	attach other
	started recover "${dev[m]}"
	made_is x
	started commit "${dev[x]}" "${dev[s]}"
	ends 0 'is now on' complete "$job"
	back x s
	written s
	filled other 8
}

# Killed at any step of its beginning, there is nothing that the next one does
# not mend.
killed_at() {
	local n ended

	can_kill
	overlay
	for ((n = $1; n < 400; n += $2)); do
		killed "$n" commit "${dev[x]}"
		ended=$?
		[ $ended -eq 137 ] || break
		ends 0 '' recover
		cli commit "${dev[x]}"
		[ "$status" -eq 0 ] ||
			judge 3 'is being committed already' commit "at $n"
		ends 0 'x stays in use' cancel --force "${dev[x]}"
		written x
	done
	is "the last one" $ended 0
	must dmsetup udevcomplete_all -y
	[ "$n" -gt "$1" ] || fail "never killed"
	ends 0 'is now on' complete "${dev[x]}"
	back x ls
	written s
}

#-----------------------------------------------------------------
# Refused
#-----------------------------------------------------------------

refused() {
	overlay
	disk other 4M
	disk n 256K
	disk w 4M
	user v w
	ends 3 'no job' commit "${dev[v]}"
	ends 3 'is not the source of .*x, which is .*ls' commit "${dev[x]}" \
		"${dev[other]}"
	ends 3 'is not the source of' commit "${dev[x]}" "${dev[lt]}"
	ends 3 'No such file' commit "${dev[x]}" /dev/nothing
	must blockdev --setro "${dev[ls]}"
	ends 3 'ls is read-only' commit "${dev[x]}"
	must blockdev --setrw "${dev[ls]}"
	# Somebody else reads it.
	slow made y "${dev[ls]}" "${dev[other]}" --metadata "${dev[n]}"
	ends 3 'is used by .* too, which would see it change' commit "${dev[x]}"
	ends 0 '' cancel --force "$job"
	is "the stream" "$(bj_dm get "blkjob.$stream" state)" running
	slow started commit "${dev[x]}"
	ends 3 "is being committed already, by job $job" commit "${dev[x]}"
	ends 3 "another job stands on job $stream" commit "$stream"
	ends 3 "another job stands on job $stream" cancel "$stream"
	ends 3 "another job stands on job $stream" complete "$stream"
	ends 3 "another job stands on job $stream" stream "${dev[ls]}" \
		"${dev[lt]}" --name "${BJ_PREFIX}x" --metadata "${dev[m]}"
	ends 3 "job $job commits: .*without --keep-source-synced" complete \
		--keep-source-synced "$job"
	ends 3 "already has job $job" backup "${dev[x]}" "${dev[other]}"
	must blkdiscard -z "${dev[n]}"
	ends 3 "is written by job $job" stream "${dev[ls]}" "${dev[v]}" \
		--name "${BJ_PREFIX}y" --metadata "${dev[n]}"
	ends 0 '' cancel --force "$job"
	written x
	ends 2 'needs one JOB' commit
	ends 2 '' commit "${dev[x]}" --sync full
}

# A mirror is no stream, and some sources cannot be written to.
others() {
	disk s0 2M
	disk s1 2M
	disk t 6M
	disk m 256K
	dm u "0 8192 striped 2 128 ${dev[s0]} 0 ${dev[s1]} 0"
	started mirror "${dev[u]}" "${dev[t]}"
	ends 3 'is a mirror and not a stream' commit "${dev[u]}"
	ends 0 '' cancel --force "$job"
	slow started stream "${dev[u]}" "${dev[t]}" --metadata "${dev[m]}" --force
	ends 3 'is not one device with everything in a row' commit "${dev[u]}"
	is "the stream" "$(bj_dm get "blkjob.$job" state)" running
	ends 0 '' set "$job" --speed 0
	ends 0 '' complete "$job"
	gone u
	disk s 4M
	slow made x "${dev[s]}" "${dev[t]}" --metadata "${dev[m]}" --size 6M \
		--force
	ends 3 'is larger than its source' commit "${dev[x]}"
}

conformance 100 101 278 280 281 283 284 286 287 289 298 299
cli_run whole "whole --granularity 64K --copy-mode write-blocking" under_load \
	in_use layers nothing at_once filled_up "cancelled early fill" \
	"cancelled late commit" "failing report target" "failing stop target" \
	"failing ignore target" "failing report source" "failing stop source" \
	"crashed early" "crashed late" "sealed 1 complete" "sealed 2 complete" \
	"sealed 1 cancel" "sealed 2 cancel" "sealed 1 lost" "sealed 2 lost" \
	"killed_at 1 7" moved refused others
