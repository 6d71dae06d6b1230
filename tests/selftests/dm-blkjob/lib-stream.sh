# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the programs about streams share.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# stream_line SOURCE TARGET METADATA [KEY VALUE]...
stream_line() {
	local source=$1 target=$2 metadata=$3

	shift 3
	type_line stream "$source" "$target" metadata "${dev[$metadata]}" "$@"
}

# stream NAME SOURCE TARGET METADATA [KEY VALUE]...
stream() {
	local name=$1

	shift
	dm "$name" "$(stream_line "$@")"
}

# refused_stream ERRNO PATTERN SOURCE TARGET METADATA [KEY VALUE]...
refused_stream() {
	local errno=$1 pattern=$2

	shift 2
	must_fail "$errno" "$pattern" bj_dm create "${BJ_PREFIX}x" \
		"$(stream_line "$@")"
}

# trio [SIZE]: a source that has the data, a target device that has somebody
# else's, and a blank metadata device.
trio() {
	disk s "${1-8M}"
	disk t "${1-8M}"
	disk m 1M
	fill s 1
	fill t 9
	written=$(writes s)
}

# The source is as it was, and nobody has written to it.
untouched() {
	filled s 1
	is "writes to the source" "$(writes s)" "$written"
}

# over JOB: all of it is on the target device.
over() {
	bj_wait_state "$1" concluded
	is "the end of $1" "$(bj_status "$1" result error active dirty valid)" \
		"completed - target 0 $(($(sectors "$1") * 512))"
}

# synced DEVICE: what was written there is on stable storage.
synced() {
	dd if=/dev/null of="${dev[$1]}" conv=notrunc,fsync status=none
}
