#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The metadata of a stream: what is on disk is never more than is there, and
# nothing that was promised is missing, whatever becomes of them.

# shellcheck source=lib-stream.sh
. "$(dirname "$0")/lib-stream.sh"

# md_sum: of all that is in use.
md_sum() {
	dd if="${dev[m]}" bs=8192 count=3 iflag=direct status=none | md5sum
}

# A table that cannot be: each with a sentence of its own.
refused() {
	local sum

	trio 1M
	disk n 1M
	disk o 16K
	disk u 512K
	must_fail EINVAL "needs a device for its metadata" bj_dm create \
		"${BJ_PREFIX}x" "$(type_line stream s t)"
	refused_stream EINVAL "has no option sync" s t m sync none
	refused_stream EINVAL "has no option group" s t m group a
	refused_stream EINVAL "source .* and metadata device .* overlap" s t s
	refused_stream EINVAL "target device .* and metadata device .* overlap" s t t
	refused_stream EINVAL "source .* and target device .* overlap" s s m
	refused_stream ENOSPC "has 32 sectors, at least 48 are needed" s t o
	refused_stream EINVAL "target device .* has 1024 sectors, 2048 are needed" s u m
	refused_stream EINVAL "copy_on_read 1 is not known" s t m copy_on_read 1
	must blockdev --setro "${dev[n]}"
	refused_stream EROFS "metadata device .* is read-only" s t n
	refused_stream EROFS "target device .* is read-only" s n m
	must blockdev --setrw "${dev[n]}"
	must_fail EINVAL "backup job has no option metadata" bj_dm create \
		"${BJ_PREFIX}x" "$(type_line backup s t metadata "${dev[m]}")"
	stream j s t m paused on
	refused_stream EBUSY "metadata device .* is the metadata device of another" s n m
	refused_stream EBUSY "target device .* is the target device of another" s t n
	sum=$(md_sum)
	is "what was refused" "$(md_sum)" "$sum"
	untouched
}

# The verbs that a stream has not.
verbs() {
	trio 1M
	stream j s t m paused on
	refuses j EPERM "a stream ends by itself" complete
	refuses j EPERM "ends by itself, on the target device" finalize
	refuses j EPERM "on the target device only" rollback
	refuses j EPERM "it is paused already" pause
	refuses j EINVAL "cannot change in a running job" set granularity 512
	tell j set speed 1000000
	tell j set copy_on_read off
	expect j speed 1000000
	tell j cancel
	bj_wait_state j concluded
	refuses j EPERM "state concluded cannot accept cancel" cancel
	refuses j EPERM "state concluded cannot accept pause" pause
	refuses j EPERM "state concluded cannot accept mark" mark 0 8
	tell j set speed 0
	tell j resume
	over j
}

# Metadata of something else; of none of these a byte is written.
foreign() {
	local sum

	trio 1M
	disk big 2M
	fill big 1
	disk wide 2M
	stream j s t m paused on identity a target_identity b granularity 8192
	gone j
	sum=$(md_sum)
	refused_stream EINVAL 'those of source "a", not "b"' t s m \
		identity b target_identity a
	refused_stream EINVAL 'those of target device "b", not "c"' s t m \
		identity a target_identity c
	refused_stream EINVAL 'those of source "a", not ""' s t m
	refused_stream EINVAL "those of a source of 2048 sectors, not 4096" \
		big wide m identity a target_identity b
	refused_stream EINVAL "granularity 4096 does not agree .* have 8192" \
		s t m identity a target_identity b granularity 4096
	must_fail EINVAL "those of a stream job, not track" bj_dm create \
		"${BJ_PREFIX}x" "$(type_line track s m granularity 8192)"
	is "what was refused" "$(md_sum)" "$sum"
	# What the table does not say they know.
	stream j s t m paused on identity a target_identity b
	expect j granularity 8192
	gone j
	must dd if="${dev[m]}" of="$BJ_TMP/md" bs=4096 count=2 iflag=direct status=none
	perl ./bj_md_version.pl "$BJ_TMP/md" 2 || fail "no other version"
	must dd if="$BJ_TMP/md" of="${dev[m]}" oflag=direct bs=4096 conv=notrunc status=none
	sum=$(md_sum)
	refused_stream EPROTONOSUPPORT "have version 2, and only 1" s t m \
		identity a target_identity b
	is "what was refused" "$(md_sum)" "$sum"
	# Those of another job type.
	poke m 0 8192
	dm k "$(type_line track s m)"
	gone k
	refused_stream EINVAL "those of a track job, not stream" s t m
	fill m 3 0 32
	refused_stream EMEDIUMTYPE "something else" s t m
	filled m 3 0 32
	filled t 9
	untouched
}

# Block 0 is the superblock, block 1 the only one of the bitmap, and each has
# two slots of eight sectors. Any one of them may be lost.
one_lost() {
	local sector

	trio 1M
	stream j s t m paused on
	fill j 2 80 8
	fill j 2 2040 8
	gone j
	for sector in 0 7 8 15 16 17 23 24 31; do
		poke m $((sector * 512)) 512
		stream j s t m paused on
		is "valid without $sector" "$(bj_status j valid)" 8192
		filled j 2 80 8
		filled j 2 2040 8
		# The superblock is only ever written at the start.
		gone j
		[ $sector -ge 16 ] || poke_back $sector
	done
	stream j s t m
	over j
	filled t 2 80 8
	filled t 1 88 1952
	untouched
}

# poke_back SECTOR: of the superblock, from its other slot; but that says which
# slot it is, so the whole metadata are made anew.
poke_back() {
	poke m 0 8192
	fill t 9
	stream j s t m paused on
	fill j 2 80 8
	fill j 2 2040 8
	gone j
}

# A slot can be lost whole.
slot_lost() {
	local slot

	trio 1M
	stream j s t m paused on
	for slot in 2 3; do
		fill j 2 $((80 * slot)) 8
		gone j
		poke m $((slot * 4096)) 4096
		stream j s t m paused on
		is "valid" "$(bj_status j valid)" $(((slot - 1) * 4096))
		filled j 2 $((80 * slot)) 8
	done
}

# The same sector of both: nobody knows, and nobody guesses.
both_lost() {
	trio 1M
	stream j s t m paused on
	fill j 2 80 8
	gone j
	poke m $((18 * 512)) 512
	poke m $((26 * 512)) 512
	refused_stream EUCLEAN "bitmap valid is damaged" s t m
	poke m 0 512
	poke m 4096 512
	refused_stream EUCLEAN "both copies of the superblock" s t m
	filled t 2 80 8
}

# A flush is enough: what follows may be lost, and it is not.
flushed() {
	trio 1M
	stream j s t m paused on
	fill j 2 80 8
	synced j || fail "a flush failed"
	must dd if="${dev[m]}" of="$BJ_TMP/md" bs=8192 count=3 iflag=direct status=none
	must dd if="${dev[t]}" of="$BJ_TMP/t" bs=1M iflag=direct status=none
	# That is what a crash leaves; then it is as if this had never been.
	fill j 3 160 8
	gone j
	must dd if="$BJ_TMP/md" of="${dev[m]}" bs=8192 oflag=direct conv=notrunc status=none
	must dd if="$BJ_TMP/t" of="${dev[t]}" bs=1M oflag=direct conv=notrunc status=none
	stream j s t m paused on
	filled j 1 0 80
	filled j 2 80 8
	filled j 1 88 1960
	tell j resume
	over j
	filled t 1 0 80
	filled t 2 80 8
	filled t 1 88 1960
}

# In regions of 512 bytes they are of many blocks.
blocks() {
	dm s "0 131072 zero"
	disk t 64M
	disk m 1M
	stream j s t m paused on granularity 512
	fill j 2 30700 40
	fill j 2 61439 2
	fill j 2 131071 1
	gone j
	stream j s t m paused on
	expect j granularity 512
	is valid "$(bj_status j valid)" $((43 * 512))
	filled j 2 30700 40
	filled j 2 61439 2
	filled j 2 131071 1
	tell j resume
	over j
	filled t 2 30700 40
	filled t 2 61439 2
	filled t 2 131071 1
	zeroed t 0 30700
	zeroed t 30740 30699
	gone j
	stream j s t m
	over j
}

conformance 253 263 272 275
bj_run refused verbs foreign one_lost slot_lost both_lost flushed blocks
