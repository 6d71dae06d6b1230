#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The source is a leg of another device, its parent: at the end the parent uses
# the target device in its place, and the source stays what it was.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

SECTORS=8192	# of every device

# s is the leg, on a; t is to replace it.
leg() {
	disk a 4M
	disk t 4M
	fill a 1
	fill t 9
	user s a
	before=$(table s)
}

# Both halves of the leg, the other way round.
halves() {
	printf '%s\n' "0 4096 linear $(devno "$1") 4096" \
		"4096 4096 linear $(devno "$1") 0"
}

# The same, said otherwise.
thirds() {
	printf '%s\n' "0 1024 linear $(devno "$1") 4096" \
		"1024 3072 linear $(devno "$1") 5120" \
		"4096 4096 linear $(devno "$1") 0"
}

# A parent whose table is that.
parent() {
	local lines

	layout=halves
	mapfile -t lines < <(halves s)
	dm p "${lines[@]}"
}

# The leg has its own table, and nobody on it.
leg_is_free() {
	is "table of the leg" "$(table s)" "$before"
	is "holders of the leg" "$(ls "/sys/class/block/${dev[s]##*/}/holders")" ''
	nothing_left
}

# linear COMMAND...: with a writer on the parent all the time.
linear() {
	leg
	parent
	fill p 3
	load w p 3 -r 20
	"$@"
	is "table of the parent" "$(table p)" "$($layout t)"
	leg_is_free
	fill s 7
	unload w
	verify p w
	filled s 7
}

migrated() {
	ends 0 'is now on .* in place of .*, which gets its old table back' \
		migrate "${dev[s]}" --to "${dev[t]}" --replaces "${dev[p]}"
	grep -q 'no write was held longer than [0-9.]* ms' "$out" ||
		fail "no word about the pause"
}

completed() {
	started mirror "${dev[s]}" "${dev[t]}" --replaces "${dev[p]}" --wait
	ends 0 '^replaces it in +/dev/mapper/.*p$' status "$job"
	ends 0 '"replaces":"/dev/mapper/' status "$job" --json
	must json job "$out"
	ends 0 'is now on' complete "$job"
}

# The parent has been given another table meanwhile: that one counts.
followed() {
	local lines

	started mirror "${dev[s]}" "${dev[t]}" --replaces "${dev[p]}" --wait
	mapfile -t lines < <(thirds s)
	swap p "${lines[@]}"
	layout=thirds
	ends 0 'is now on' complete "$job"
}

synced() {
	[[ $(dmsetup status "$BJ_PREFIX$1") == *" $2/$2 1 AA "* ]]
}

# mirrored FIRST SECOND LOG...: s and the disk b, with a writer.
mirrored() {
	local first=$1 second=$2 target words

	need_target mirror
	leg
	disk b 4M
	fill b 1
	shift 2
	dm p "0 $SECTORS mirror $* 2 ${dev[$first]} 0 ${dev[$second]} 0"
	wait_for "the mirror does not get in sync" synced p 32
	fill p 3
	load w p 3 -r 20
	ends 0 'is now on' \
		migrate "${dev[s]}" --to "${dev[t]}" --replaces "${dev[p]}"
	leg_is_free
	target=$(writes b)
	words=$(table p)
	[[ $words == *" $(devno t) 0"* && $words != *" $(devno s) "* ]] ||
		fail "the parent has the table $words"
	synced p 32 || fail "the mirror copies everything again"
	unload w
	[ "$(writes b)" -gt "$target" ] || fail "the other leg is not written"
	verify p w
	gone p
	verify t w
	verify b w
	same t b
}

log_in_memory() {
	mirrored "$1" "$2" core 1 256
}

log_on_disk() {
	disk log 1M
	mirrored s b disk 2 "${dev[log]}" 256
}

# The other path leads elsewhere, and is not used.
multipathed() {
	local paths

	need_target multipath
	leg
	disk b 4M
	paths="2 queue_mode bio 0 2 1 service-time 0 1 1"
	dm p "0 $SECTORS multipath $paths ${dev[s]} 1 service-time 0 1 1 ${dev[b]} 1"
	fill p 3
	load w p 3 -r 20
	ends 0 'is now on' \
		migrate "${dev[s]}" --to "${dev[t]}" --replaces "${dev[p]}"
	leg_is_free
	[[ $(table p) == *" $(devno t) 1 "*" $(devno b) 1"* ]] ||
		fail "the parent has the table $(table p)"
	unload w
	verify t w
	zeroed b
}

# The source is a volume of LVM: its metadata stay as they are.
volume() {
	local before

	disk x 16M
	disk t 4M
	vg x
	lv leg -L 4M "$BJ_VG" "${dev[x]}"
	before=$(table leg)
	dm p "0 $SECTORS linear ${dev[leg]} 0"
	fill p 3
	load w p 3 -r 20
	ends 0 'is now on' \
		migrate "$BJ_VG/leg" --to "${dev[t]}" --replaces "${dev[p]}"
	is "table of the volume" "$(table leg)" "$before"
	is devices "$(lv_field leg devices)" "${dev[x]}(0)"
	unload w
	verify t w
	nothing_left
}

# refused PATTERN PARENT [WORD]...
refused() {
	local pattern=$1 parent=$2

	shift 2
	ends 3 "$pattern" \
		mirror "${dev[s]}" "${dev[t]}" --replaces "$parent" "$@"
	is "table of the leg" "$(table s)" "$before"
	nothing_left
}

refusals() {
	leg
	parent
	disk d 4M
	refused 'nonsense: No such file' /dev/nonsense
	refused 'not a device-mapper device, so it has no table' "${dev[d]}"
	user q d
	refused 'the table of .* does not name' "${dev[q]}"
	refused 'the table of .* does not name' "${dev[s]}"
	gone q
	ctl suspend p
	refused 'is suspended by another tool' "${dev[p]}"
	ctl resume p
	ctl load p "0 $SECTORS linear ${dev[d]} 0"
	refused 'second table loaded' "${dev[p]}"
	ctl clear p
	ends 2 'needs --sync full: .* missing' mirror "${dev[s]}" "${dev[t]}" \
		--replaces "${dev[p]}" --sync none
	leg_is_left
}

# What was refused has left nothing.
leg_is_left() {
	is "table of the leg" "$(table s)" "$before"
	nothing_left
}

# Whoever else uses the leg would be left behind on it.
other_users() {
	leg
	parent
	dm q "0 64 linear ${dev[s]} 0"
	refused 'is used by /dev/mapper/.*q as well as by .*p' "${dev[p]}"
	gone q
	exec 8<"${dev[s]}"
	refused 'is open in another program' "${dev[p]}"
	exec 8<&-
	started mirror "${dev[s]}" "${dev[t]}" --replaces "${dev[p]}" --wait
	dm q "0 64 linear ${dev[s]} 0"
	ends 3 'is used by /dev/mapper/.*q as well as by .*p' complete "$job"
	is "state" "$(bj_dm get "blkjob.$job" state)" ready
	gone q
	ends 0 'is now on' complete "$job"
	leg_is_free
	filled t 1
}

# Only where a new table loses nothing.
types() {
	leg
	disk b 4M
	need_target delay
	dm p "0 $SECTORS delay ${dev[s]} 0 0"
	refused 'type "delay"; only in linear' "${dev[p]}"
	gone p
	need_target mirror
	layer lb b
	dm p "0 $SECTORS mirror core 1 256 2 ${dev[s]} 0 ${dev[lb]} 0 2 handle_errors keep_log"
	wait_for "the mirror does not get in sync" synced p 32
	swap lb "0 $SECTORS error"
	bj_data fill "${dev[p]}" 2 0 8 >/dev/null
	refused 'the legs of mirror .* are not in sync' "${dev[p]}"
}

# The parent went another way: the job cannot replace anything there.
lost() {
	leg
	parent
	disk d 4M
	started mirror "${dev[s]}" "${dev[t]}" --replaces "${dev[p]}" --wait
	swap p "0 $SECTORS linear ${dev[d]} 0"
	ends 3 'the table of .* does not name' complete "$job"
	is "state" "$(bj_dm get "blkjob.$job" state)" ready
	gone p
	ends 3 'no table in which' complete "$job"
	ends 0 'is a consistent copy' cancel "$job"
	leg_is_free
	filled t 1
}

# The target device fails: everything stays.
target_gone() {
	leg
	parent
	layer lt t
	started mirror "${dev[s]}" "${dev[lt]}" --replaces "${dev[p]}" --wait
	swap lt "0 $SECTORS error"
	fill p 2 0 64
	ends 5 'target' complete "$job"
	is "table of the parent" "$(table p)" "$(halves s)"
	leg_is_left
	filled p 2 0 64
}

conformance 38 40 41 43 44
cli_run "linear migrated" "linear completed" "linear followed" \
	"log_in_memory s b" "log_in_memory b s" log_on_disk multipathed volume refusals \
	other_users types lost target_gone
