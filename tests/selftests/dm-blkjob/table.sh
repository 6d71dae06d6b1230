#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the constructor takes and refuses, each time with a sentence that names
# the value, and that a refusal leaves nothing behind.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# no ERRNO PATTERN LINE...: such a table cannot be loaded.
no() {
	local errno=$1 pattern=$2

	shift 2
	must_fail "$errno" "blkjob: $pattern" bj_dm create "${BJ_PREFIX}no" "$@"
}

# no_words PATTERN WORD...: behind "blkjob", s and t being the devices.
no_words() {
	local pattern=$1 words

	shift
	words=" $* "
	words=${words// s / ${dev[s]} }
	no EINVAL "$pattern" "0 2048 blkjob${words// t / ${dev[t]} }"
}

pair() {
	disk s 16M
	disk t 16M
}

arguments() {
	pair
	no_words '0 arguments are too few' ''
	no_words '4 arguments are too few' mirror s 0 t
	no_words 'type miror is not known, it can be mirror, backup' miror s 0 t 0
	no_words '0 option words announced, 2 found' mirror s 0 t 0 0 sync full
	no_words '4 option words announced, 2 found' mirror s 0 t 0 4 sync full
	no_words '1 option words announced, 1 found' mirror s 0 t 0 1 sync
	no_words 'sync option words announced, 1' mirror s 0 t 0 sync full
	no_words 'option colour is not known' mirror s 0 t 0 2 colour red
	no_words 'option sync is given twice' \
		mirror s 0 t 0 4 sync full sync none
	no_words 'sync half is not known, it can be full, none' \
		mirror s 0 t 0 2 sync half
	no_words 'copy_mode fast is not known' mirror s 0 t 0 2 copy_mode fast
	no_words 'paused yes is not known' mirror s 0 t 0 2 paused yes
	no_words 'on_source_error auto is not known' \
		mirror s 0 t 0 2 on_source_error auto
	no_words 'on_target_error x is not known' \
		mirror s 0 t 0 2 on_target_error x
	no_words 'unmap 1 is not known' mirror s 0 t 0 2 unmap 1
	no_words 'target_is_zero yes is not known' \
		mirror s 0 t 0 2 target_is_zero yes
}

numbers() {
	local bad big=18446744073709551616

	pair
	for bad in -1 1.5 0x10 a 1a +1 $big; do
		no_words "source offset ${bad/+/.} is not a number" mirror s $bad t 0
		no_words "target device offset ${bad/+/.} is not" mirror s 0 t $bad
		no_words "granularity ${bad/+/.} is not a power of two" \
			mirror s 0 t 0 2 granularity $bad
		no_words "buf_size ${bad/+/.} is not a number from 0 to" \
			mirror s 0 t 0 2 buf_size $bad
		no_words "speed ${bad/+/.} is not a number from 0 to" \
			mirror s 0 t 0 2 speed $bad
		no_words "${bad/+/.} option words announced" \
			mirror s 0 t 0 $bad speed 0
	done
	for bad in 9223372036854775807 18446744073709551615 18014398509481984; do
		no_words "source offset $bad is beyond" mirror s $bad t 0
		no_words "target device offset $bad is beyond" mirror s 0 t $bad
	done
	for bad in 0 256 513 65535 134217728 4294967296; do
		no_words "granularity $bad is not a power of two from 512 to" \
			mirror s 0 t 0 2 granularity $bad
	done
	no_words 'buf_size 1073741825 is not a number from 0 to' \
		mirror s 0 t 0 2 buf_size 1073741825
	no_words 'speed 1125899906842625 is not' \
		mirror s 0 t 0 2 speed 1125899906842625
}

# For every option there is: no value, two values, and values that are none.
every_key() {
	local long key value
	local -A good=()

	pair
	mirror j s t
	while read -r key value; do
		good[$key]=$value
	done < <(bj_dm table "${BJ_PREFIX}j" | cut -d ' ' -f 10- | xargs -n 2)
	gone j
	long=$(printf 'x%.0s' {1..3000})
	holds "${#good[@]} >= 10"
	for key in "${!good[@]}"; do
		no_words '1 option words announced, 1 found' mirror s 0 t 0 1 "$key"
		no_words "option $key is given twice" mirror s 0 t 0 4 \
			"$key" "${good[$key]}" "$key" "${good[$key]}"
		no_words "option ${key^^} is not known" mirror s 0 t 0 2 \
			"${key^^}" "${good[$key]}"
		for value in -1 "$long" 18446744073709551616; do
			no_words "$key ${value:0:40} is not" \
				mirror s 0 t 0 2 "$key" "$value"
		done
	done
	# Words that end nowhere, and more of them than anybody has
	no_words "option x{40} is not known" mirror s 0 t 0 2 "$long" 1
	no_words "type x{40} is not known" "$long" s 0 t 0
	no_words "source offset x{40} is not" mirror s "$long" t 0
	no '(ENODEV|ENAMETOOLONG)' "target device /dev/x* cannot be opened" \
		"0 2048 blkjob mirror ${dev[s]} 0 /dev/$long 0"
	# shellcheck disable=SC2046 # words they are
	no_words "option speed is given twice" \
		mirror s 0 t 0 2000 $(printf 'speed 1 %.0s' {1..1000})
	is "references" "$(cat /sys/module/dm_blkjob/refcnt)" 0
}

# A drive without a disk in it.
no_medium() {
	pair
	losetup -d "${dev[s]}"
	no EINVAL 'source .* has 0 sectors, 2048 are needed' \
		"0 2048 blkjob mirror ${dev[s]} 0 ${dev[t]} 0"
	must losetup "${dev[s]}" "$BJ_TMP/file-s"
	losetup -d "${dev[t]}"
	no EINVAL 'target device .* has 0 sectors, 2048 are needed' \
		"0 2048 blkjob mirror ${dev[s]} 0 ${dev[t]} 0"
	must losetup "${dev[t]}" "$BJ_TMP/file-t"
	mirror j s t
}

short_legs() {
	pair
	no_words 'source .* has 32768 sectors, 2048 are needed from 30721 on' \
		mirror s 30721 t 0
	no_words 'target device .* has 32768 sectors, 2048 are needed from 32769' \
		mirror s 0 t 32769
	disk small 8M
	no EINVAL 'target device .* has 16384 sectors, 32768 are needed' \
		"$(line s small)"
	mirror fits s t
}

overlaps() {
	pair
	no EINVAL 'source .* and target device .* overlap' "$(line s s)"
	no_words 'source .* and target device .* overlap' mirror s 0 s 2047
	no_words 'source .* and target device .* overlap' mirror s 2047 s 0
	# By another name
	no_words 'source .* and target device .* overlap' mirror s 0 \
		"$(lsblk -dno MAJ:MIN "${dev[s]}" | tr -d ' ')" 0
	must ln -s "${dev[s]}" "$BJ_TMP/alias"
	no_words 'source .* and target device .* overlap' mirror \
		"$BJ_TMP/alias" 0 s 0
	dm neighbours "0 2048 blkjob mirror ${dev[s]} 0 ${dev[s]} 2048"
	bj_wait_state neighbours ready
}

partitions() {
	local part

	disk s 16M -P
	must addpart "${dev[s]}" 1 2048 8192
	part=${dev[s]}p1
	must timeout 10 sh -c "until [ -b $part ]; do sleep 0.05; done"
	# A partition and its disk cannot both be opened for ourselves ...
	no EBUSY 'source .* cannot be opened' \
		"0 4096 blkjob mirror ${dev[s]} 0 $part 0"
	no EBUSY 'source .* cannot be opened' \
		"0 4096 blkjob mirror $part 0 ${dev[s]} 10240"
	# ... two partitions can.
	must addpart "${dev[s]}" 2 10240 8192
	no EINVAL 'source .* and target device .* overlap' \
		"0 4096 blkjob mirror $part 0 $part 4095"
	dm apart "0 4096 blkjob mirror $part 4096 ${part%1}2 4096"
	bj_wait_state apart ready
	gone apart
	must delpart "${dev[s]}" 2
	must delpart "${dev[s]}" 1
}

no_such_device() {
	pair
	no ENODEV 'source /dev/nowhere cannot be opened' \
		"0 2048 blkjob mirror /dev/nowhere 0 ${dev[t]} 0"
	no ENODEV 'target device /dev/nowhere cannot be opened' \
		"0 2048 blkjob mirror ${dev[s]} 0 /dev/nowhere 0"
}

# In place of its own linear table.
own_device() {
	pair
	layer j s
	must_fail EINVAL 'source .* is the device itself' bj_dm load \
		"${BJ_PREFIX}j" "$(line j t)"
	must_fail EINVAL 'target device .* is the device itself' bj_dm load \
		"${BJ_PREFIX}j" "$(line s j)"
}

# A target device belongs to one job.
used() {
	pair
	disk u 16M
	mirror j s t
	no EBUSY 'target device .* is the target device of another job' \
		"$(line u t)"
	no EBUSY 'source .* is the target device of another job' "$(line t u)"
	no EBUSY 'target device .* is the source of another job' "$(line u s)"
	dm second "$(line s u)"
	bj_wait_state second ready
	gone second
	gone j
	mirror again u t
	bj_wait_state again ready
}

read_only_target() {
	pair
	losetup -d "${dev[t]}"
	losetup -r "${dev[t]}" "$BJ_TMP/file-t"
	no EROFS 'target device .* is read-only' "$(line s t)"
	disk u 16M
	must blockdev --setro "${dev[u]}"
	no EROFS 'target device .* is read-only' "$(line s u)"
	must blockdev --setrw "${dev[u]}"
	mirror j s u
}

large_blocks() {
	pair
	disk big 16M --sector-size 4096
	no EINVAL 'target device .* has logical blocks of 4096 bytes, the source of 512' \
		"$(line s big)"
	no EINVAL 'granularity 512 is less than the logical block of source' \
		"$(line big t granularity 512)"
	no EINVAL '.* is not a multiple of the logical block of source' \
		"0 2048 blkjob mirror ${dev[big]} 1 ${dev[t]} 0"
	fill big 1
	mirror j big t
	bj_wait_state j ready
	filled t 1
	is "logical block of the device" \
		"$(blockdev --getss "${dev[j]}")" 4096
}

zoned() {
	local nullb=/sys/kernel/config/nullb

	pair
	modprobe -q null_blk nr_devices=0 || skip "no null_blk"
	mountpoint -q /sys/kernel/config ||
		mount -t configfs none /sys/kernel/config
	mkdir $nullb/bjt || skip "no configfs for null_blk"
	if ! { echo 64 >$nullb/bjt/size && echo 4 >$nullb/bjt/zone_size &&
	       echo 1 >$nullb/bjt/zoned && echo 1 >$nullb/bjt/power; }; then
		rmdir $nullb/bjt
		skip "no zoned null_blk"
	fi 2>/dev/null
	dev[z]=/dev/nullb$(cat $nullb/bjt/index)
	(
		no EINVAL 'source .* is zoned' \
			"0 8192 blkjob mirror ${dev[z]} 0 ${dev[t]} 0"
		no EINVAL 'target device .* is zoned' \
			"0 8192 blkjob mirror ${dev[s]} 0 ${dev[z]} 0"
	)
	status=$?
	rmdir $nullb/bjt
	return $status
}

too_many_regions() {
	disk s 1T
	disk t 1T
	no EINVAL 'granularity 512 makes 2147483648 regions, at most' \
		"$(line s t granularity 512)"
}

# A refusal leaves nothing: no device, no open leg, no reference.
nothing_left() {
	pair
	no EINVAL '.* overlap' "$(line s s)"
	no_words 'option colour is not known' mirror s 0 t 0 2 colour red
	is "devices" "$(dmsetup ls | grep -c "^$BJ_PREFIX")" 0
	is "references" "$(cat /sys/module/dm_blkjob/refcnt)" 0
	must is_free s
	must is_free t
}

# A loop device can be detached at once only when nobody has it open.
is_free() {
	losetup -d "${dev[$1]}" && ! losetup "${dev[$1]}" 2>/dev/null &&
		losetup "${dev[$1]}" "$BJ_TMP/file-$1"
}

# The table line makes the same job again.
line_recreates() {
	local first second

	pair
	mirror j s t sync none granularity 8192 buf_size 65536 speed 1000000 \
		copy_mode write-blocking paused on on_source_error stop \
		on_target_error ignore unmap off latency_bound 150
	first=$(bj_dm table "${BJ_PREFIX}j")
	is "the line" "${first#* * * * * * * }" "0 22 sync none copy_mode \
write-blocking granularity 8192 buf_size 65536 speed 1000000 latency_bound 150 \
on_source_error stop on_target_error ignore unmap off target_is_zero off \
paused on"
	gone j
	dm j "$first"
	second=$(bj_dm table "${BJ_PREFIX}j")
	is "the second line" "$second" "$first"
	gone j
	mirror j s t
	first=$(bj_dm table "${BJ_PREFIX}j")
	gone j
	dm j "$first"
	is "the default line" "$(bj_dm table "${BJ_PREFIX}j")" "$first"
}

# Loading the table again would lose the map: refused, the job goes on.
reload() {
	pair
	fill s 1
	mirror j s t speed 1048576
	must_fail EBUSY 'target device .* is the target device of another job' \
		bj_dm load "${BJ_PREFIX}j" "$(bj_dm table "${BJ_PREFIX}j")"
	is "the device" "$(bj_dm info "${BJ_PREFIX}j" | cut -d ' ' -f 1-3)" \
		"suspended=0 live=1 inactive=0"
	expect j state running
	tell j set speed 0
	bj_wait_state j ready
	same s t
	must_fail EBUSY 'of another job' \
		bj_dm load "${BJ_PREFIX}j" "$(line s t sync none)"
	finish j
}

# Loaded, never resumed: created, and it goes without a trace.
never_resumed() {
	pair
	fill t 2
	must bj_dm new "${BJ_PREFIX}j"
	dms+=(j)
	must bj_dm load "${BJ_PREFIX}j" "$(line s t)"
	bj_dm status-inactive "${BJ_PREFIX}j" | grep -q ' mirror created ' ||
		fail "is not created"
	must_fail '(ENXIO|EINVAL)' '' bj_dm message "${BJ_PREFIX}j" 0 pause
	gone j
	filled t 2
	is "references" "$(cat /sys/module/dm_blkjob/refcnt)" 0
}

conformance 8 10 11 14 28 43 58 160 161
bj_run arguments numbers every_key no_medium short_legs overlaps partitions no_such_device \
	own_device used read_only_target large_blocks zoned too_many_regions \
	nothing_left line_recreates reload never_resumed
