#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the command refuses before it touches anything: each time with exit
# status 3 and a sentence, and nothing is left behind.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# Everything that a start could leave, but for event counters.
picture() {
	dmsetup table --nolocking 2>/dev/null || dmsetup table
	dmsetup info -c --noheadings -o name,suspended,tables_loaded
	leftovers
	[ -z "${LVM_SYSTEM_DIR-}" ] ||
		lvs --noheadings -o lv_name,lv_tags,devices "$BJ_VG"
	compgen -G '/run/lock/lvm/V_*'
}

# refused PATTERN WORD...: by mirror, and by check in the same words.
refused() {
	local pattern=$1 before

	shift
	before=$(picture)
	ends 3 "$pattern" "$@"
	is "what is there afterwards" "$(picture)" "$before"
}

no_mirror() {
	local pattern=$1

	refused "$pattern" mirror "${dev[$2]}" "${dev[$3]}"
	ends 3 "$pattern" check "${dev[$2]}" --to "${dev[$3]}"
}

pair() {
	disk s 16M
	disk t 16M
	user u s
}

# part NAME DISK START SECTORS
part() {
	must addpart "${dev[$2]}" 1 "$3" "$4"
	dev[$1]=${dev[$2]}p1
	wait_for "no partition" test -b "${dev[$1]}"
}

sources() {
	pair
	refused 'is not a device-mapper device: a job can be inserted only' \
		mirror "${dev[s]}" "${dev[t]}"
	refused 'No such file' mirror /dev/nonsense "${dev[t]}"
	refused 'not a block device' mirror "$BJ_TMP" "${dev[t]}"
	refused 'has no device' migrate nonsense/data --to "${dev[t]}"
	refused 'No such file' mirror "${dev[u]}" /dev/nonsense
	refused 'not a block device.*losetup' mirror "${dev[u]}" "$BJ_TMP/file-t"
}

suspended() {
	pair
	ctl suspend u
	no_mirror 'is suspended by another tool; see: dmsetup info' u t
	ctl resume u
}

inactive_table() {
	pair
	ctl load u "0 32768 linear ${dev[s]} 0"
	no_mirror 'second table loaded.*dmsetup clear' u t
	ctl clear u
}

no_table() {
	pair
	bj_dm new "${BJ_PREFIX}empty"
	dms+=(empty)
	refused 'has no table' mirror "${BJ_PREFIX}empty" "${dev[t]}"
}

already() {
	pair
	disk v 16M
	started mirror "${dev[u]}" "${dev[t]}" --speed 64K
	no_mirror "already has job $job" u v
	refused "already has job $job" mirror "/dev/mapper/blkjob.$job" "${dev[v]}"
	refused "already has job $job" mirror "/dev/mapper/blkjob.$job.src" "${dev[v]}"
	user w v
	refused "used by job $job" mirror "${dev[w]}" "${dev[t]}"
	ends 0 cancelled cancel "$job"
}

# table_of TYPE LINE...: such a device gets no layer.
table_of() {
	local type=$1

	shift
	need_target "$type"
	dm x "$@"
	no_mirror "type \"$type\"; only linear, striped, crypt and thin" x t
	gone x
}

tables() {
	disk a 16M
	disk b 16M
	disk t 32M
	table_of snapshot-origin "0 32768 snapshot-origin ${dev[a]}"
	table_of mirror "0 32768 mirror core 1 1024 2 ${dev[a]} 0 ${dev[b]} 0"
	table_of delay "0 32768 delay ${dev[a]} 0 0"
	table_of error "0 32768 error"
	table_of zero "0 32768 zero"
	dm x "0 1024 linear ${dev[a]} 0" "1024 1024 zero"
	no_mirror 'type "zero"' x t
}

thin_pool() {
	need_target thin-pool
	disk meta 4M
	disk data 32M
	disk t 16M
	dm pool "0 65536 thin-pool ${dev[meta]} ${dev[data]} 128 0"
	no_mirror 'type "thin-pool"' pool t
}

raid() {
	need_target raid
	disk a 16M
	disk b 16M
	disk t 32M
	dm x "0 32768 raid raid1 3 0 region_size 1024 2 - ${dev[a]} - ${dev[b]}"
	no_mirror 'type "raid".*lvconvert --replace' x t
}

small() {
	pair
	disk v 8M
	no_mirror 'is too small: it has 8388608 bytes.*16777216' u v
}

block_size() {
	disk s 16M
	disk t 16M --sector-size 4096
	user u s
	no_mirror 'has 4096-byte sectors, the source 512' u t
}

read_only() {
	pair
	must blockdev --setro "${dev[t]}"
	no_mirror 'is read-only' u t
	must blockdev --setrw "${dev[t]}"
}

mounted_target() {
	pair
	mounted t
	no_mirror 'is mounted; unmount it first' u t
	refused 'is mounted' mirror "${dev[u]}" "${dev[t]}" --force
	must umount "$mnt"
}

held() {
	pair
	layer x t
	no_mirror 'is used by /dev/mapper/.*; take that away' u t
}

swap_space() {
	pair
	must mkswap "${dev[t]}"
	must swapon "${dev[t]}"
	no_mirror 'is in use \(swap, RAID' u t
	must swapoff "${dev[t]}"
	no_mirror 'contains data: swap' u t
}

md_member() {
	need mdadm
	modprobe -q md-mod || skip "no module md-mod"
	disk s 16M
	disk t 16M
	user u s
	must timeout 30 mdadm --build /dev/md/bj --level=linear --force \
		--raid-devices=1 "${dev[t]}"
	no_mirror 'is used by /dev/md' u t
	must timeout 30 mdadm --stop /dev/md/bj
}

volume_group() {
	disk a 32M
	disk b 32M
	vg a b
	lv data -L 16M "$BJ_VG" "${dev[a]}"
	lv other -L 12M "$BJ_VG" "${dev[b]}"
	refused 'is used by|contains data: LVM2_member' \
		mirror "$BJ_VG/data" "${dev[b]}"
	refused 'has [0-9]+ free extents.*needs 4' \
		migrate "$BJ_VG/data" --to "${dev[a]}"
	refused 'has no device.*lvchange -ay' migrate "$BJ_VG/no" --to "${dev[b]}"
	disk t 32M
	refused 'is not a physical volume of.*vgextend' \
		migrate "$BJ_VG/data" --to "${dev[t]}"
	must lvchange -an "$BJ_VG/other"
	refused 'has no device.*lvchange -ay' \
		migrate "$BJ_VG/other" --to "${dev[a]}"
	must lvcreate -q -y -s -l 1 -n snap "$BJ_VG/data" "${dev[a]}"
	refused 'snapshot' migrate "$BJ_VG/data" --to "${dev[b]}"
}

itself() {
	pair
	no_mirror 'source and target are both' u u
	no_mirror 'stands on .*copied onto itself' u s
	layer above u
	no_mirror 'stands on .* itself' u above
}

partition() {
	disk d 32M -P
	disk t 32M
	part p d 2048 32768
	dm u "0 32768 linear ${dev[p]} 0"
	no_mirror 'stands on|in use|is used' u p
	no_mirror 'stands on|in use|is used' u d
}

signature() {
	pair
	must mkfs.ext4 -q -L old "${dev[t]}"
	no_mirror 'contains data: ext4 \(label "old"\); use --force' u t
	ends 0 'can have a job' check "${dev[u]}" --to "${dev[t]}" --force
	started mirror "${dev[u]}" "${dev[t]}" --force --wait
	ends 0 'consistent copy' cancel "$job"
	same u t
}

not_root() {
	need setpriv
	pair
	ends 0 '' list
	for words in "list" "mirror ${dev[u]} ${dev[t]}" "check" "cancel x" \
		"complete x" "recover"; do
		status=0
		# shellcheck disable=SC2086,SC2034 # words it is
		setpriv --reuid 65534 --regid 65534 --clear-groups \
			"$(command -v blkjob)" $words >"$out" 2>"$err" ||
			status=$?
		judge 3 'root' "$words as nobody"
	done
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$(command -v blkjob)" help >"$out" || fail "no help for nobody"
	nothing_left
}

conformance 331
cli_run sources suspended inactive_table no_table already tables thin_pool raid \
	small block_size read_only mounted_target held swap_space md_member \
	volume_group itself partition signature not_root
