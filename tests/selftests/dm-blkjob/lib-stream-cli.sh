# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# What the tests of the commands "stream" and "recover" share.

# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

# A source s in use as u, a target t, and a device m for the metadata.
trio() {
	disk s 4M
	disk t 4M
	disk m 256K
	fill s 1
	fill t 2
	user u s
	before=$(table u)
}

# An image i that nobody can write, and what it is streamed to as x.
image() {
	disk i 4M
	fill i 1
	read_only
	disk t 4M
	disk m 256K
	fill t 2
}

# As attached anew: the same file, the same device.
attach() {
	must losetup "${@:2}" "${dev[$1]}" "$BJ_TMP/file-$1"
}

detach() {
	must losetup -d "${dev[$1]}"
}

read_only() {
	detach i
	attach i -r
}

# made NAME WORD...: with a device of its own; removed after the case.
made() {
	local name=$1

	shift
	started stream "$@" --name "$BJ_PREFIX$name"
	made_is "$name"
}

made_is() {
	dms+=("$1")
	dev[$1]=/dev/$(basename "$(readlink -f "/sys/dev/block/$(dmsetup info \
		-c --noheadings --separator : -o major,minor "$BJ_PREFIX$1")")")
}

# slow COMMAND...: does not end by itself while the case lasts.
slow() {
	"$@" --speed 4K --buf-size 4K
}

# Of a stream that is dropped: linear on t, and nothing to be found on m.
alone() {
	is table "$(table "$1")" "0 $(sectors "$1") linear $(devno "${2:-t}") 0"
	zeroed "${3:-m}" 0 16
	nothing_left
}

# What the source held in the end is what it holds still.
sum() {
	dd if="${dev[$1]}" bs=64K iflag=direct status=none | sha256sum
}
