#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every command line in the documents is run as it stands there, and what the
# command offers is in its manual page.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

RST=Documentation/admin-guide/device-mapper/blkjob.rst
MAN=Documentation/man/blkjob.8

# The project's directory is somewhere above this file, or above the command.
find_documents() {
	local dir

	for dir in "$PWD" "$(dirname "$(command -v blkjob)")"; do
		while [ "$dir" != / ]; do
			[ ! -e "$dir/$RST" ] || {
				docs=$dir
				return
			}
			dir=$(dirname "$dir")
		done
	done
	skip "the documents are not here"
}

# device PATH NAME: the path that a document uses is our device, for this case.
device() {
	[ ! -e "$1" ] || skip "this machine has $1"
	must ln -s "${dev[$2]}" "$1"
	links+=("$1")
}

no_links() {
	[ ${#links[@]} -eq 0 ] || rm -f "${links[@]}"
}

# The lines between the fences, without what is said behind them.
readme_lines() {
	awk '/^```/ { on = !on; next } on' "$docs/README.md" | sed 's/ *#.*//'
}

# The text of the manual page.
man_text() {
	sed 's/\\f[A-Z]//g; s/\\-/-/g; s/\\&//g' "$docs/$MAN"
}

man_lines() {
	man_text | sed -n '/^\.SH EXAMPLES/,/^\.SH FILES/s/^# //p'
}

# rst_block N: the Nth block of commands in the section "Examples".
rst_block() {
	sed -n '/^Examples$/,/^Known issues$/p' "$docs/$RST" |
		awk -v wanted="$1" '
			/::$/ { block++ }
			/^   [^ ]/ && block == wanted { print substr($0, 4); next }
			/^     / && block == wanted { print substr($0, 4) }' |
		sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' -e '/^#/d'
}

volume() {
	links=()
	find_documents
	BJ_VG=vg0
	disk a 32M
	disk n 32M
	disk d 16M
	disk e 4M
	disk f 1M
	disk g 1M
	disk n0 16M
	disk n1 4M
	vg a n
	lv data -L 16M vg0 "${dev[a]}"
	lv log -L 4M vg0 "${dev[a]}"
	disk n2 4M
	disk h 4M
	disk i 1M
	disk j 4M
	disk k 1M
	lv old -L 4M vg0 "${dev[a]}"
	disk l 4M
	disk m 1M
	lv home -L 4M vg0 "${dev[a]}"
	fill home 5
	fill old 3
	fill n2 4
	fill data 1
	fill log 2
	device /dev/nvme0n1p1 n
	device /dev/sdd d
	device /dev/sde e
	device /dev/sdf f
	device /dev/sdg g
	device /dev/nbd0 n0
	device /dev/nbd1 n1
	device /dev/nbd2 n2
	device /dev/sdh h
	device /dev/sdi i
	device /dev/sdj j
	device /dev/sdk k
	device /dev/sdl l
	device /dev/sdm m
	disk image 4M
	disk over 4M
	disk bits 1M
	fill image 5
	device /dev/sdn image
	device /dev/sdo over
	device /dev/sdp bits
}

# as_written LINE...: all of them, in this order.
as_written() {
	local line

	for line; do
		say "runs: $line"
		bash -c "$line" >"$BJ_TMP/said" 2>&1 </dev/null || {
			quote <"$BJ_TMP/said"
			no_links
			fail "does not work: $line"
		}
	done
}

readme() {
	local lines

	volume
	mapfile -t lines < <(readme_lines | grep -E '^(blkjob|dd) ')
	holds "${#lines[@]} >= 3"
	as_written "${lines[@]}"
	no_links
	same data n0
	same log n1
	ends 0 '' untrack vg0/data
	ends 0 '' untrack vg0/log
	ends 0 'is a consistent copy' cancel vg0/home
	same home l
	ends 0 'guest is now on' complete guest
	ends 0 'srv is now on' complete srv
	must dmsetup remove guest srv trial
	filled h 4
	filled j 3
	filled image 5
	is devices "$(lv_field data devices)" "${dev[n]}(0)"
	filled data 1
	nothing_left
}

manual_page() {
	local lines

	volume
	mapfile -t lines < <(man_lines)
	holds "${#lines[@]} >= 3"
	as_written "${lines[@]}"
	no_links
	is devices "$(lv_field data devices)" "${dev[n]}(0)"
	same data d
	same log e
	same home l
	must dmsetup remove srv
	filled h 4
	filled j 3
	filled image 5
	nothing_left
}

# What make is told to make is there, and all packages have their names right.
build_lines() {
	local line goal goals=0

	find_documents
	for goal in $(readme_lines | grep -v '^apt' | grep -oE 'make [a-z_ ]+' |
		sed 's/^make//'); do
		grep -q "^$goal:.*##" "$docs/Makefile" ||
			fail "no goal $goal in the Makefile"
		goals=$((goals + 1))
	done
	holds "$goals >= 4"
	line=$(readme_lines | sed -n 's/^apt install //p')
	[ -n "$line" ] || fail "no line that installs packages"
	need apt-get
	# shellcheck disable=SC2086 # packages
	must apt-get -q -s install $line
}

# script BLOCK [JOB...]: the text says when to go on.
script() {
	local block=$1 line size='' job state

	shift
	while read -r line; do
		case $line in
		*' complete') state=ready ;;
		*' finalize') state=pending ;;
		*' load data '*' linear /dev/sd'[bc]' 0"') state=concluded ;;
		*) state='' ;;
		esac
		[ -z "$state" ] || for job; do
			must bj_dm wait "$job" "$BJ_TIMEOUT" "state=$state|pending"
		done
		say "runs: $line"
		eval "$line" >"$BJ_TMP/said" 2>&1 </dev/null || {
			quote <"$BJ_TMP/said"
			no_links
			fail "does not work: $line"
		}
	done < <(rst_block "$block")
}

by_hand() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 16M
	disk c 16M
	fill b 1
	device /dev/sdb b
	device /dev/sdc c
	holds "$(rst_block 1 | wc -l) >= 10"
	dm data "0 32768 linear ${dev[b]} 0"
	[ -e /dev/mapper/data ] || must dmsetup mknodes data
	script 1 job
	no_links
	[[ $(bj_dm table data) == *" linear "* ]] || fail "no linear table at the end"
	filled data 1
	fill data 2
	filled c 2
	filled b 1
}

limit_and_copy() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 16M
	disk c 16M
	fill b 1
	holds "$(rst_block 2 | wc -l) == 2"
	holds "$(rst_block 3 | wc -l) == 1"
	mirror job b c speed 65536
	script 2
	bj_wait_state job ready
	script 3
	bj_wait_state job concluded
	expect job result completed
	expect job active source
	same b c
}

two_devices() {
	local name

	links=()
	find_documents
	BJ_PREFIX=''
	for name in 1 2; do
		disk "b$name" 1M
		disk "c$name" 1M
		mirror "job$name" "b$name" "c$name" group db
	done
	holds "$(rst_block 4 | wc -l) == 3"
	script 4 job1 job2
	expect job1 active target
	expect job2 active target
}

tracked_by_hand() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 1M
	disk d 64K
	device /dev/sdb b
	device /dev/sdd d
	holds "$(rst_block 6 | wc -l) == 6"
	script 6 job
	dms+=(job)
	no_links
	is changed "$(bj_dm message job 0 changed monday)" "0 128"
}

image_by_hand() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 16M
	disk c 16M
	fill b 1
	device /dev/sdb b
	device /dev/sdc c
	holds "$(rst_block 5 | wc -l) >= 10"
	dm data "0 32768 linear ${dev[b]} 0"
	[ -e /dev/mapper/data ] || must dmsetup mknodes data
	script 5 job
	no_links
	fill data 2
	filled b 2
	filled c 1
}

view_by_hand() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 16M
	disk c 16M
	fill b 1
	device /dev/sdb b
	device /dev/sdc c
	holds "$(rst_block 7 | wc -l) >= 12"
	dm data "0 32768 linear ${dev[b]} 0"
	[ -e /dev/mapper/data ] || must dmsetup mknodes data
	script 7 job
	no_links
	[[ $(bj_dm table data) == *" linear "* ]] || fail "no linear table at the end"
	filled data 1
}

# What the unit runs at boot puts a stream back, and a mirror.
unit_line() {
	local units line

	links=()
	need systemd-analyze
	find_documents
	units=$docs/userspace/systemd
	line=$(sed -n 's|^ExecStart=@PREFIX@/sbin/||p' "$units/blkjob-recover.service.in")
	[ -n "$line" ] || fail "the unit runs nothing"
	disk s 1M
	disk t 1M
	disk m 64K
	fill s 1
	started stream "${dev[s]}" "${dev[t]}" --metadata "${dev[m]}" \
		--name "${BJ_PREFIX}x" --speed 64K --buf-size 64K
	must dmsetup remove "${BJ_PREFIX}x"
	wait_for "the layer stays" none_left
	as_written "$line"
	dms+=(x)
	dev[x]=$(readlink -f "/dev/mapper/${BJ_PREFIX}x")
	filled x 1
	ends 0 'is now on' complete "${dev[x]}"
	for line in "$units"/*.service.in; do
		sed "s|@PREFIX@/sbin/blkjob|$(command -v blkjob)|" "$line" \
			>"$BJ_TMP/$(basename "$line" .in)"
	done
	must systemd-analyze verify --man=no "$BJ_TMP"/*.service
}

stream_by_hand() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 4M
	disk c 4M
	disk d 64K
	fill b 1
	fill c 9
	device /dev/sdb b
	device /dev/sdc c
	device /dev/sdd d
	holds "$(rst_block 8 | wc -l) == 6"
	script 8 data
	dms+=(data)
	dev[data]=/dev/mapper/data
	no_links
	[[ $(bj_dm table data) == *" linear "* ]] || fail "no linear table at the end"
	filled data 1
	zeroed d 0 16
}

commit_by_hand() {
	links=()
	find_documents
	BJ_PREFIX=''
	disk b 4M
	disk c 4M
	disk d 64K
	fill b 1
	fill c 9
	dm overlay "0 8192 blkjob stream ${dev[b]} 0 ${dev[c]} 0 4 metadata ${dev[d]} paused on"
	dm data "0 8192 linear ${dev[overlay]} 0"
	[ -e /dev/mapper/data ] || must dmsetup mknodes overlay data
	fill data 2 100 9
	device /dev/sdb b
	device /dev/sdd d
	holds "$(rst_block 9 | wc -l) >= 10"
	script 9 job
	no_links
	dms=(data)
	[[ $(bj_dm table data) == *" linear "* ]] || fail "no linear table at the end"
	filled b 1 0 100
	filled b 2 100 9
	filled b 1 109
	same data b
	zeroed d 0 16
}

# One option or word per line.
options() {
	grep -oE -- '--[a-z][a-z-]+' | sort -u
}

# Commands and their options: in the manual page, as the command itself has them.
complete_manual() {
	local command said all=''

	find_documents
	man_text >"$BJ_TMP/man"
	options <"$BJ_TMP/man" >"$BJ_TMP/man-options"
	for command in $(blkjob help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		grep -qE "^\.(B|BI|BR) \"?$command( |\"|\$)" "$BJ_TMP/man" ||
			fail "the manual page has no entry for $command"
		said=$(blkjob help "$command")
		all+=$said$'\n'
		options <<<"$said" >"$BJ_TMP/options"
		said=$(comm -23 "$BJ_TMP/options" "$BJ_TMP/man-options" | xargs)
		is "options of $command that the manual page lacks" "$said" ""
	done
	# Of dmsetup and LVM, in the text.
	{
		printf '%s\n' --refresh --nolockfs --deferred
		options <<<"$all"
	} | sort >"$BJ_TMP/options"
	said=$(comm -13 "$BJ_TMP/options" "$BJ_TMP/man-options" | xargs)
	is "options that no command has" "$said" ""
}

cli_run readme manual_page build_lines by_hand limit_and_copy two_devices \
	tracked_by_hand image_by_hand view_by_hand stream_by_hand commit_by_hand unit_line \
	complete_manual
