#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# LVM at work on a volume that has a job: it refuses, or takes the layer away, and
# the data are right.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

volume() {
	disk a 48M
	disk c 48M
	vg a c
	lv data -L 8M "$BJ_VG" "${dev[a]}"
	fill data 1
}

# Looking, and what does not concern the table.
harmless() {
	local says

	volume
	disk t 16M
	mounted data
	started mirror "$BJ_VG/data" "${dev[t]}" --speed 64K
	for says in lvs vgs pvs "vgck $BJ_VG" "lvchange -q --addtag x $BJ_VG/data" \
		"lvchange -q --deltag x $BJ_VG/data" "vgchange -q --addtag y $BJ_VG"; do
		# shellcheck disable=SC2086 # words it is
		$says >/dev/null 2>"$BJ_TMP/said" || fail "fails: $says"
		[ ! -s "$BJ_TMP/said" ] || {
			quote <"$BJ_TMP/said"
			fail "complains: $says"
		}
	done
	lvremove -q -y "$BJ_VG/data" >/dev/null 2>&1 && fail "lvremove of a volume in use"
	vgchange -q -an "$BJ_VG" >/dev/null 2>&1 && fail "vgchange -an in use"
	is state "$(bj_dm get "blkjob.$job" state)" running
	ends 0 cancelled cancel "$job"
	must umount "$mnt"
	must e2fsck -fn "${dev[data]}"
	nothing_left
}

# The volume that a migration writes to is not to be had.
spare() {
	volume
	background migrating migrate "$BJ_VG/data" --to "${dev[c]}" --speed 64K
	said migrating running
	job=$(only_job)
	lvremove -q -y "$BJ_VG/data_bj$job" >/dev/null 2>&1 &&
		fail "lvremove of the target of a job"
	is state "$(bj_dm get "blkjob.$job" state)" running
	ends 0 cancelled cancel "$job"
	ended migrating 1 'removed by another command|was cancelled'
	filled data 1
	nothing_left
}

# replaces COMMAND...: LVM loads its own table, and the layer goes with it.
replaces() {
	disk t 16M
	started mirror "$BJ_VG/data" "${dev[t]}" --speed 64K
	background waiting wait "$job"
	said waiting running
	must "$@"
	ended waiting 1 'another tool removed its layer|removed by another'
	[[ $(table data) != *blkjob* ]] || fail "the layer is still there"
	filled data 1 0 16384
	fill data 2 0 16384
	ends 3 "no job" status "$job"
	nothing_left
}

refresh() {
	volume
	replaces lvchange -q --refresh "$BJ_VG/data"
}

extend() {
	volume
	replaces lvextend -q -l +1 "$BJ_VG/data"
}

# Of a migration: then there is also a volume to be removed.
refresh_migration() {
	volume
	background migrating migrate "$BJ_VG/data" --to "${dev[c]}" --speed 64K
	said migrating running
	must lvchange -q --refresh "$BJ_VG/data"
	ended migrating 1 'was removed by another command or tool'
	ends 0 'which is gone' recover
	is volumes "$(lvs --noheadings -o lv_name "$BJ_VG" | xargs)" data
	filled data 1
	nothing_left
}

cli_run harmless spare refresh extend refresh_migration
