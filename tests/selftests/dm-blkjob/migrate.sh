#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Moving devices in use: logical volumes inside their group, with a file system
# and a writer on them, and plain device-mapper devices.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# Two or three physical volumes.
group() {
	local name

	for name; do
		disk "$name" 96M
	done
	vg "$@"
}

# Writes and verifies at random while it is going on, with discards beside it.
writer() {
	need fio
	need fstrim
	fio --name=busy --filename="$mnt/file" --size=8M --rw=randwrite --bs=4k \
		--direct=1 --ioengine=psync --rate_iops=200 --time_based=0 \
		--io_size=6M --fallocate=none --verify=crc32c --verify_fatal=1 \
		--randrepeat=1 --eta=never --output="$BJ_TMP/fio" \
		>/dev/null 2>&1 &
	pid["fio"]=$!
	wait_for "fio does not write" test -s "$mnt/file"
	(
		while kill -0 "${pid["fio"]}" 2>/dev/null; do
			fstrim "$mnt"
			sleep 0.3
		done
	) >/dev/null 2>&1 &
	pid["trim"]=$!
}

writer_ends() {
	wait "${pid["fio"]}" || {
		quote <"$BJ_TMP/fio"
		fail "fio fails, or its data are wrong"
	}
	wait "${pid["trim"]}"
	must umount "$mnt"
	must e2fsck -fn "${dev[$1]}"
}

# What must be the same before and after.
identity() {
	echo "$(lv_field "$1" lv_name,lv_uuid,lv_size,lv_attr)" \
		"$(readlink -f "/dev/$BJ_VG/$1")" "$(stat -c %d "$mnt")"
}

# The volume is on the target only, and the group has nothing else.
moved() {
	is devices "$(lv_field "$1" devices)" "${dev[$2]}(0)"
	is volumes "$(lvs --noheadings -o lv_name "$BJ_VG" | xargs)" "$1"
	must vgck "$BJ_VG"
	nothing_left
}

# under_load LVCREATE-ARGUMENT...: from a, or a and b, to c.
under_load() {
	local before

	lv data "$@"
	mounted data
	writer
	before=$(identity data)
	ends 0 "$BJ_VG/data is now on the target" \
		migrate "$BJ_VG/data" --to "${dev[c]}"
	grep -q 'no write was held longer than [0-9.]* ms' "$out" ||
		fail "no word about the pause"
	is identity "$(identity data)" "$before"
	moved data c
	writer_ends data
	must lvchange -an "$BJ_VG/data"
	must lvchange -ay "$BJ_VG/data"
	must e2fsck -fn "${dev[data]}"
	is "extents used on a" \
		"$(pvs --noheadings -o pv_used --units s --nosuffix "${dev[a]}" |
			xargs)" 0
}

one_segment() {
	group a c
	under_load -L 32M "$BJ_VG" "${dev[a]}"
}

three_segments() {
	local at

	group a b c
	at=${dev[a]}
	under_load -l 6 "$BJ_VG" "$at:0-1" "${dev[b]}:0-1" "$at:4-5"
}

striped() {
	group a b c
	under_load -L 32M -i 2 -I 64k "$BJ_VG" "${dev[a]}" "${dev[b]}"
}

# The old extents under another name, and unchanged from the switch on.
keep_source() {
	local kept

	group a c
	lv data -L 16M "$BJ_VG" "${dev[a]}"
	fill data 1
	ends 0 'old extents are kept' \
		migrate "$BJ_VG/data" --to "${dev[c]}" --keep-source
	kept=$(lvs --noheadings -o lv_name "$BJ_VG" | xargs -n 1 |
		grep '^data_bj') || fail "no volume with the old extents"
	is devices "$(lv_field "$kept" devices)" "${dev[a]}(0)"
	is tags "$(lv_field "$kept" tags)" ""
	is devices "$(lv_field data devices)" "${dev[c]}(0)"
	fill data 2
	must lvchange -ay -K "$BJ_VG/$kept"
	dev[kept]=$(readlink -f "/dev/$BJ_VG/$kept")
	filled kept 1
	filled data 2
	nothing_left
}

# Nothing remains of a cancelled move: not the volume, not the layer.
cancelled() {
	local before

	group a c
	lv data -L 16M "$BJ_VG" "${dev[a]}"
	fill data 1
	before=$(table data)
	background migrating migrate "$BJ_VG/data" --to "${dev[c]}" --speed 1M
	said migrating running
	job=$(only_job)
	is volumes "$(lvs --noheadings -o lv_name "$BJ_VG" | xargs)" \
		"data data_bj$job"
	ends 0 cancelled cancel "$BJ_VG/data"
	ended migrating 1 'removed by another command|was cancelled'
	is table "$(table data)" "$before"
	moved data a
	filled data 1
}

# The target device goes away before the switch: the source stays.
target_gone() {
	group a c
	disk t 16M
	layer tt t
	lv data -L 16M "$BJ_VG" "${dev[a]}"
	fill data 1
	started mirror "$BJ_VG/data" "${dev[tt]}" --wait
	swap tt "0 32768 error"
	fill data 2 100 8
	ends 5 'target' cancel "$job"
	filled data 1 0 100
	filled data 2 100 8
}

# A volume cannot leave its group under its name, but be copied.
copy_of_volume() {
	group a c
	disk t 16M
	lv data -L 16M "$BJ_VG" "${dev[a]}"
	fill data 1
	ends 3 'not a physical volume of' migrate "$BJ_VG/data" --to "${dev[t]}"
	started mirror "$BJ_VG/data" "${dev[t]}" --wait
	ends 3 "LVM's metadata would still name the old extents" complete "$job"
	ends 0 'is a consistent copy' cancel "$job"
	same data t
	moved data a
}

# A device that is not LVM's, with a file system in use.
plain() {
	disk s 32M
	disk t 48M
	user u s
	mounted u
	writer
	ends 0 'is now on' migrate "${dev[u]}" --to "${dev[t]}"
	is table "$(table u)" \
		"0 65536 linear $(cat "/sys/class/block/${dev[t]##*/}/dev") 0"
	nothing_left
	writer_ends u
}

# The key stays in the layer while the job runs, and is not shown.
crypt() {
	local key=000102030405060708090a0b0c0d0e0f

	need_target crypt
	disk s 16M
	disk t 16M
	dm u "0 32768 crypt aes-cbc-essiv:sha256 $key 0 ${dev[s]} 0"
	fill u 1
	started mirror "${dev[u]}" "${dev[t]}" --wait
	grep -q $key "$out" "$err" && fail "the key is shown"
	ends 0 'is a consistent copy' cancel "$job"
	[[ $(table u) == *crypt* ]] || fail "the table is not restored"
	filled u 1
	filled t 1
	nothing_left
}

conformance 61
cli_run one_segment three_segments striped keep_source cancelled target_gone \
	copy_of_volume plain crypt
