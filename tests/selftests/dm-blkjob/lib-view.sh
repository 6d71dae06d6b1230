# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the programs about the snapshot view share: "view.sh" reads it, and
# "view-end.sh" looks at how it ends.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Both legs are layers, to be made to fail, and to hang.
pair() {
	disk s "$1"
	disk t "$1"
	fill s 1
	layer ls s
	layer lt t
}

# view NAME JOB
view() {
	dm "$1" "0 $(sectors "$2") blkjob-snapshot ${dev[$2]}"
}

# unreadable VIEW [OFFSET [SECTORS]]: nothing of it, and no error but this.
unreadable() {
	local said

	said=$(timeout 60 bj_data check "${dev[$1]}" 1 "${@:2}" 2>&1) &&
		fail "$* can be read"
	[[ $said == *"Input/output error"* ]] || fail "$* cannot be read: $said"
}

# give_up OPTION... DEVICE: without looking what is there, which it may not read.
give_up() {
	must blkdiscard -f "$@"
}

# Two readers, from end to end and again, until the file "stop" is there; then
# readers_end.
readers() {
	local i

	readers=()
	for i in 1 2; do
		while [ ! -e "$BJ_TMP/stop" ]; do
			bj_data check "${dev[$1]}" 1 || exit 1
			echo >>"$BJ_TMP/rounds"
		done >"$BJ_TMP/reader-$i" 2>&1 &
		readers+=($!)
	done
}

readers_end() {
	local i

	touch "$BJ_TMP/stop"
	for i in 0 1; do
		wait "${readers[i]}" && continue
		quote <"$BJ_TMP/reader-$((i + 1))"
		fail "a reader has seen something else"
	done
	say "rounds of the readers: $(wc -l <"$BJ_TMP/rounds")"
}

# unwritten JOB ERROR OFFSET SECTORS: such a write fails like this.
unwritten() {
	local job=$1 error=$2 said

	shift 2
	said=$(timeout 60 bj_data fill "${dev[$job]}" 7 "$@" 2>&1) &&
		fail "the write did not fail"
	[[ $said == *"$error"* ]] || fail "the write failed with: $said"
}
