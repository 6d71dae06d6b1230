#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The message "stats", and the status key "converge".

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SAMPLE=64
MIB=1048576

# reply JOB: its form is right, and what belongs together adds up.
reply() {
	bj_dm message "$BJ_PREFIX$1" 0 stats >"$BJ_TMP/stats" || {
		quote <"$BJ_TMP/stats"
		fail "no reply to stats"
	}
	awk -v sample=$SAMPLE '
		function wrong(why) { print why ": " $0; bad = 1 }
		NR <= 4 && NF != 2 { wrong("not two words") }
		NR == 1 && ($1 != "sample" || $2 != sample) { wrong("first line") }
		NR == 2 && $1 != "reads" { wrong("not reads") }
		NR == 3 && $1 != "writes" { wrong("not writes") }
		NR == 4 && $1 != "flushes" { wrong("not flushes") }
		NR > 4 {
			if ($1 != "latency" || $3 !~ /^count=/ ||
			    $4 !~ /^sum_us=/ || $5 !~ /^max_us=/ || NF < 6)
				wrong("not a histogram")
			count = substr($3, 7) + 0; sum_us = substr($4, 8) + 0
			max_us = substr($5, 8) + 0; sum = 0; last = 0
			for (i = 6; i <= NF; i++) {
				split($i, part, ":")
				bound = part[1] == "inf" ? 2 ^ 25 : part[1] + 0
				if (bound <= last || part[2] < 1)
					wrong("bucket " i)
				last = bound
				sum += part[2]
			}
			if (sum != count)
				wrong("the buckets do not add up")
			# Microseconds are rounded down, bounds are exact
			if (max_us > last || (last > 1 && max_us < int(last / 2)))
				wrong("the longest is in another bucket")
			if (sum_us < max_us || sum_us > (max_us + 1) * count)
				wrong("the sum cannot be")
		}
		END { exit bad }' "$BJ_TMP/stats" >"$BJ_TMP/wrong" && return
	quote <"$BJ_TMP/wrong"
	fail "the reply is wrong"
}

# Of the last reply.
counter() {
	awk -v name="$1" '$1 == name { print $2 }' "$BJ_TMP/stats"
}

# latency NAME count|sum_us|max_us
latency() {
	awk -v name="$1" -v key="$2=" '
		$1 == "latency" && $2 == name {
			for (i = 3; i <= 5; i++)
				if (index($i, key) == 1)
					value = substr($i, length(key) + 1)
		}
		END { print value + 0 }' "$BJ_TMP/stats"
}

# slower NAME US: how many are in buckets that end above it.
slower() {
	awk -v name="$1" -v us="$2" '
		$1 == "latency" && $2 == name {
			for (i = 6; i <= NF; i++) {
				split($i, part, ":")
				if (part[1] == "inf" || part[1] + 0 > us)
					n += part[2]
			}
		}
		END { print n + 0 }' "$BJ_TMP/stats"
}

# One of SAMPLE on each CPU: about so many of so many.
sampled() {
	local count cpus

	count=$(latency "$1" count)
	cpus=$(nproc --all)
	holds "$count > 0 && $count >= $2 / $SAMPLE - $cpus"
	holds "$count <= $2 / $SAMPLE + $cpus"
}

pair() {
	disk s "$1"
	disk t "$1"
}

# ios read|write COUNT: blocks of 4 KiB, one after the other, and no flush.
ios() {
	case $1 in
	read) must dd if="${dev[j]}" of=/dev/null bs=4096 count="$2" iflag=direct ;;
	write) must dd if=/dev/zero of="${dev[j]}" bs=4096 count="$2" oflag=direct ;;
	esac
}

# What was done is what is counted.
counts() {
	local reads writes flushes

	pair 8M
	mirror j s t sync none
	bj_wait_state j ready
	reply j
	reads=$(counter reads) writes=$(counter writes) flushes=$(counter flushes)
	ios write 1000
	ios read 1500
	must sync -d "${dev[j]}"
	reply j
	# Others may look at a new device, but do not write to it
	is writes $(($(counter writes) - writes)) 1000
	holds "$(counter reads) - reads >= 1500"
	holds "$(counter flushes) - flushes >= 1"
	sampled write "$(counter writes)"
	sampled read "$(counter reads)"
	is "flushes of the source" "$(latency flush_source count)" \
		"$(counter flushes)"
	is "writes to both legs" "$(latency active_source count)" 0
	# A new table starts with nothing; a suspended one keeps it
	writes=$(counter writes)
	ctl suspend j
	ctl resume j
	reply j
	is "writes after a suspend" "$(counter writes)" "$writes"
}

# Each piece of the copy, of at most 1 MiB, is read and written once.
copies() {
	local reads

	pair 16M
	fill s 1
	mirror j s t
	bj_wait_state j ready
	reply j
	reads=$(latency copy_source count)
	holds "$reads >= 16"
	is "writes of the copy" "$(latency copy_target count)" "$reads"
	holds "$(latency flush_target count) >= 1"
	is "writes of the consumer" "$(latency write count)" 0
	same s t
}

# Both halves of those writes that are timed.
active() {
	pair 8M
	mirror j s t copy_mode write-blocking sync none
	bj_wait_state j ready
	bj_wait j actively_synced=1
	ios write 640
	reply j
	sampled write 640
	is "source halves" "$(latency active_source count)" "$(latency write count)"
	is "target halves" "$(latency active_target count)" "$(latency write count)"
	same s t
}

# Discards and zeroes count, but say nothing about writes.
other_writes() {
	pair 8M
	mirror j s t sync none
	bj_wait_state j ready
	must blkdiscard -o 0 -l $MIB "${dev[j]}"
	reply j
	holds "$(counter writes) >= 1"
	is "timed writes" "$(latency write count)" 0
}

# delayed NAME DISK READ_MS WRITE_MS
delayed() {
	local node=${dev[$2]}

	dm "$1" "0 $(sectors "$2") delay $node 0 $3 $node 0 $4"
}

# The leg that is slow shows, and by how much.
slow_copy() {
	local slow=copy_target fast=copy_source

	need_target delay
	pair 1M
	fill s 1
	[ "$1" = target ] || slow=copy_source fast=copy_target
	if [ "$1" = target ]; then
		delayed d t 0 300
		mirror j s d
	else
		delayed d s 300 0
		mirror j d t
	fi
	bj_wait_state j ready
	reply j
	holds "$(latency $slow count) >= 1"
	is "$slow above 262 ms" "$(slower $slow 262144)" "$(latency $slow count)"
	holds "$(slower $fast 262144) < $(latency $fast count)"
	holds "$(latency $slow max_us) >= 300000"
	holds "$(latency $slow sum_us) >= 300000 * $(latency $slow count)"
}

# A write to both legs takes as long as the slower one.
slow_active() {
	need_target delay
	pair 1M
	delayed d t 0 300
	mirror j s d copy_mode write-blocking sync none
	bj_wait_state j ready
	bj_wait j actively_synced=1
	ios write 1
	reply j
	is "timed writes" "$(latency write count)" 1
	is "slow target halves" "$(slower active_target 262144)" 1
	is "slow source halves" "$(slower active_source 262144)" 0
	is "slow writes" "$(slower write 262144)" 1
	# In background mode the consumer does not feel it
	tell j set copy_mode background
	ios write 128
	reply j
	holds "$(latency write count) >= 2"
	is "slow writes" "$(slower write 262144)" 1
}

# Behind the switch the target device has the consumer's I/O, and its flush.
behind_the_end() {
	local flushes

	pair 4M
	mirror j s t
	bj_wait_state j ready
	finish j
	reply j
	flushes=$(latency flush_source count)
	ios write 64
	must sync -d "${dev[j]}"
	reply j
	holds "$(counter writes) >= 64"
	is "flushes of the source" "$(latency flush_source count)" "$flushes"
	holds "$(latency flush_target count) >= 2"
}

words_and_buffers() {
	local words bytes text

	pair 4M
	fill s 1
	mirror j s t paused on
	for words in "stats 1" "stats reset" "Stats" "stats stats"; do
		# shellcheck disable=SC2086
		refuses j EINVAL "message [sS]tats with [12] words is not known" \
			$words
	done
	reply j
	tell j resume
	bj_wait_state j ready
	reply j
	text=$(<"$BJ_TMP/stats")
	# Too small for the reply: dm says so, and nothing is written behind it
	for bytes in 336 400 500; do
		is "a buffer of $bytes bytes" \
			"$(BJ_MESSAGE_BUFFER=$bytes bj_dm message \
				"${BJ_PREFIX}j" 0 stats)" "buffer full"
	done
	is "the reply after that" \
		"$(BJ_MESSAGE_BUFFER=2000 bj_dm message "${BJ_PREFIX}j" 0 stats)" \
		"$text"
}

# Many readers while all counts and the job ends.
at_any_time() {
	local i readers=()

	pair 8M
	fill s 1
	mirror j s t copy_mode write-blocking
	load a j 1
	for i in 1 2; do
		for ((; ; )); do
			bj_dm message "${BJ_PREFIX}j" 0 stats >"$BJ_TMP/reader-$i"
			bj_status j state offset len >"$BJ_TMP/status-$i"
			[ ! -e "$BJ_TMP/enough" ] || exit 0
		done &
		readers+=($!)
		loads+=($!)
	done
	bj_wait_state j ready
	tell j complete
	bj_wait_state j pending
	tell j finalize
	sleep 0.2
	touch "$BJ_TMP/enough"
	wait "${readers[@]}"
	unload a
	verify t a
	for i in 1 2; do
		read -r state offset len <"$BJ_TMP/status-$i"
		is "state of reader $i" "$state" concluded
		holds "$offset <= $len"
		grep -q '^writes' "$BJ_TMP/reader-$i" || fail "reader $i got nothing"
	done
}

# marks FROM: one MiB after the other becomes dirty, until it is stopped.
marks() {
	local at

	for ((at = $1; at < 64; at++)); do
		tell j mark $((at * 2048)) 2048
		sleep 0.1
	done
}

# Made dirty: some 8 MiB/s. Copied: 256 KiB/s.
diverging() {
	pair 64M
	mirror j s t sync none paused on speed 262144
	tell j mark 0 2048
	expect j converge -
	tell j resume
	marks 1 &
	pid[marks]=$!
	loads+=($!)
}

converge() {
	pair 8M
	fill s 1
	mirror j s t speed 2097152
	expect j converge -
	bj_wait j converge=yes
	tell j pause
	bj_wait_state j paused
	expect j converge -
	tell j resume
	bj_wait j converge=yes
	tell j set speed 0
	bj_wait_state j ready
	expect j converge -
}

# The same writes in each mode.
does_not_converge() {
	local converge='' dirty_rate rate

	diverging
	until [ "$converge" = no ]; do
		bj_wait j converge=no
		read -r converge dirty_rate rate \
			<<<"$(bj_status j converge dirty_rate rate)"
	done
	holds "$dirty_rate > $rate"
	tell j set copy_mode write-blocking
	bj_wait j converge=slow
	tell j set copy_mode background
	bj_wait j converge=no
	tell j set speed 0
	bj_wait_state j ready
	expect j converge -
	kill "${pid[marks]}"
	wait "${pid[marks]}"
}

chooses_write_blocking() {
	pair 16M
	fill s 1
	mirror j s t speed 2097152 copy_mode auto
	load a j 1
	bj_wait j converge=write-blocking
	tell j set copy_mode background
	[ "$(bj_status j converge)" != write-blocking ] ||
		fail "background mode writes to both"
	tell j set copy_mode auto
	tell j set speed 0
	bj_wait_state j ready
	unload a
	tell j complete
	bj_wait_state j pending
	verify t a
}

conformance 155
bj_run counts copies active other_writes "slow_copy source" \
	"slow_copy target" slow_active behind_the_end words_and_buffers \
	at_any_time converge does_not_converge chooses_write_blocking
