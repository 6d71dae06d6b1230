# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the programs of the collection share. A program is a list of cases, each
# a function in a subshell of its own: it passes unless it says "fail" or
# "skip", and what it made is removed afterwards, or it fails too.
#
#   . ./lib.sh
#   copies_all() { disk s 64M; disk t 64M; ...; }
#   bj_run "copies_all" "copies_all 4096"

set -u
cd "$(dirname "$0")" || exit 1

BJ_PREFIX=bjt$$-
BJ_ROUNDS=${BLKJOB_LONG:+20}	# of whatever is repeated: more in long runs
BJ_ROUNDS=${BJ_ROUNDS:-1}
BJ_TIMEOUT=60		# seconds for anything that must come
PATH=$PWD:$PATH
FAILSLAB=/sys/kernel/debug/failslab

#-----------------------------------------------------------------
# KTAP
#-----------------------------------------------------------------

say() {
	printf '# %s\n' "$@"
}

# Lines of output as KTAP comments.
quote() {
	sed 's/^/# /'
}

# What is wrong, and what the devices say then.
fail() {
	local name

	say "$*"
	for name in "${dms[@]}"; do
		say "$name: $(bj_dm status "$BJ_PREFIX$name" 2>&1)"
	done
	exit 1
}

skip() {
	printf '%s\n' "$*" >"$BJ_TMP/skip"
	exit 4
}

# The rows of the conformance list that the program covers.
conformance() {
	say "conformance: $*"
}

# Leave the whole program.
bj_skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

# One case, in a subshell: leaves what it made, and its status.
bj_case() (
	declare -A dev=()	# name: node
	declare -A pid=()	# name of a load
	dms=() loops=() zrams=() loads=()
	BJ_TMP=$BJ_TOP/case
	mkdir "$BJ_TMP" || exit 1
	trap bj_end EXIT
	"$@"
	exit 0
)

bj_end() {
	local status=$?

	bj_clean || status=1
	exit $status
}

bj_result() {
	local number=$1 name=$2 status=$3

	case $status in
	0) echo "ok $number $name" ;;
	4) echo "ok $number $name # SKIP $(cat "$BJ_TOP/case/skip")" ;;
	*) echo "not ok $number $name" ;;
	esac
	rm -rf "$BJ_TOP/case"
	[ "$status" -eq 0 ] || [ "$status" -eq 4 ]
}

# Each word is a case: a function and its arguments.
bj_run() {
	local number=0 failed=0 words since status

	[ "$(id -u)" -eq 0 ] || bj_skip_all "needs root"
	modprobe -q dm-blkjob
	modprobe -q loop
	dmsetup targets 2>/dev/null | grep -q '^blkjob ' ||
		bj_skip_all "the target blkjob is not there"
	BJ_TOP=$(mktemp -d /dev/shm/bj.XXXXXX) || exit 1
	trap 'rm -rf "$BJ_TOP"' EXIT
	echo "TAP version 13"
	echo "1..$#"
	for words; do
		number=$((number + 1))
		# For who reads the kernel's log.
		echo "check: case $number $words" >/dev/kmsg
		since=${EPOCHREALTIME/./}
		# shellcheck disable=SC2086 # words it is
		bj_case $words
		status=$?
		say "took $(((${EPOCHREALTIME/./} - since) / 1000)) ms"
		bj_result "$number" "$words" $status || failed=1
	done
	exit $failed
}

#-----------------------------------------------------------------
# Checks
#-----------------------------------------------------------------

# The command succeeds.
must() {
	local output

	output=$("$@" 2>&1) && return
	quote <<<"$output"
	fail "failed: $*"
}

# must_fail ERRNO PATTERN COMMAND...: bj_dm fails with it, and the kernel says so.
must_fail() {
	local errno=$1 pattern=$2 output

	shift 2
	output=$("$@" 2>&1) && fail "succeeded: $*"
	if ! [[ ${output%%$'\n'*} =~ ^$errno$ && $output =~ $pattern ]]; then
		quote <<<"$output"
		fail "not $errno with '$pattern': $*"
	fi
}

# is WHAT WORD WANTED
is() {
	[ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
}

# holds EXPRESSION...: arithmetic.
holds() {
	(($*)) || fail "does not hold: $*"
}

#-----------------------------------------------------------------
# Devices: all are known by a short name, and removed after the case
#-----------------------------------------------------------------

sectors() {
	echo "$(<"/sys/class/block/${dev[$1]##*/}/size")"
}

# MAJOR:MINOR
devno() {
	cat "/sys/class/block/${dev[$1]##*/}/dev"
}

# disk NAME SIZE [LOSETUP OPTION...]: empty, in memory, can discard.
disk() {
	local name=$1 size=$2 loop

	shift 2
	truncate -s "$size" "$BJ_TMP/file-$name" || fail "no file for $name"
	loop=$(losetup --find --show "$@" "$BJ_TMP/file-$name") ||
		fail "no loop device for $name"
	loops+=("$loop")
	dev[$name]=$loop
}

# zdisk NAME SIZE: empty, in memory, can write zeroes; blocks of 4096 bytes.
zdisk() {
	local id

	modprobe -q zram num_devices=0
	id=$(cat /sys/class/zram-control/hot_add 2>/dev/null) || skip "no zram"
	zrams+=("$id")
	echo "$2" >"/sys/block/zram$id/disksize" || fail "no zram of $2"
	dev[$1]=/dev/zram$id
}

# dm NAME LINE...: a device with this table.
dm() {
	local name=$1 node

	shift
	node=$(bj_dm create "$BJ_PREFIX$name" "$@") || {
		quote <<<"$node"
		fail "no device $name: $*"
	}
	dms+=("$name")
	dev[$name]=$node
}

# layer NAME DISK: a linear device over it, to be made to fail or to hang.
layer() {
	dm "$1" "0 $(sectors "$2") linear ${dev[$2]} 0"
}

# legs SIZE: source s with data, target device t, and the layers ls, lt over them.
legs() {
	disk s "$1"
	disk t "$1"
	fill s 1
	layer ls s
	layer lt t
}

# swap NAME LINE...: another table, without waiting for its I/O.
swap() {
	local name=$1

	shift
	must bj_dm load "$BJ_PREFIX$name" "$@"
	must bj_dm suspend-noflush "$BJ_PREFIX$name"
	must bj_dm resume "$BJ_PREFIX$name"
}

# bad LAYER DISK FIRST SECTORS: of a layer over the disk, these cannot be read
# or written.
bad() {
	local end=$(($3 + $4)) all

	all=$(sectors "$2")
	swap "$1" "0 $3 linear ${dev[$2]} 0" "$3 $4 error" \
		"$end $((all - end)) linear ${dev[$2]} $end"
}

# good LAYER DISK: all of it works again.
good() {
	swap "$1" "0 $(sectors "$2") linear ${dev[$2]} 0"
}

# dead LAYER: nothing of it works.
dead() {
	swap "$1" "0 $(sectors "$1") error"
}

# ctl VERB NAME [WORD]...
ctl() {
	local verb=$1 name=$2

	shift 2
	must bj_dm "$verb" "$BJ_PREFIX$name" "$@"
}

need_target() {
	modprobe -q "dm-$1"
	dmsetup targets | grep -q "^$1 " || skip "no device-mapper target $1"
}

gone() {
	ctl remove "$1"
	is_gone "$1"
}

# is_gone NAME: somebody has removed it.
is_gone() {
	local name kept=()

	for name in "${dms[@]}"; do
		[ "$name" = "$1" ] || kept+=("$name")
	done
	dms=("${kept[@]}")
}

# logged TEXT: how often the kernel has said it.
logged() {
	dmesg | grep -c -- "$1" || :
}

# What a case left, dead or alive. The upper devices were made later.
bj_clean() {
	local said i clean=0

	[ ! -e $FAILSLAB ] || echo 0 >$FAILSLAB/probability
	[ ${#loads[@]} -eq 0 ] || kill -TERM "${loads[@]}" 2>/dev/null
	[ ${#dms[@]} -eq 0 ] || said=$(bj_dm sweep "${dms[@]/#/$BJ_PREFIX}") || {
		quote <<<"$said"
		clean=1
	}
	for i in "${zrams[@]}"; do
		echo "$i" >/sys/class/zram-control/hot_remove || clean=1
	done
	[ ${#loops[@]} -eq 0 ] || losetup -d "${loops[@]}" || clean=1
	return $clean
}

#-----------------------------------------------------------------
# Jobs
#-----------------------------------------------------------------

# type_line TYPE SOURCE TARGET [KEY VALUE]...: the table line for all of the
# source.
type_line() {
	local type=$1 source=$2 target=$3

	shift 3
	echo "0 $(sectors "$source") blkjob $type ${dev[$source]} 0" \
		"${dev[$target]} 0 $# $*"
}

# line SOURCE TARGET [KEY VALUE]...: of a mirror.
line() {
	type_line mirror "$@"
}

# backup NAME SOURCE TARGET [KEY VALUE]...
backup() {
	local name=$1

	shift
	dm "$name" "$(type_line backup "$@")"
}

# mirror NAME SOURCE TARGET [KEY VALUE]... A job in background mode need never
# catch up with a load: a program that puts one on it sets BJ_COPY_MODE=auto.
mirror() {
	local name=$1

	shift
	case " ${BJ_COPY_MODE-} $* " in
	"  "* | *" copy_mode "*) ;;
	*) set -- "$@" copy_mode "$BJ_COPY_MODE" ;;
	esac
	dm "$name" "$(line "$@")"
}

# tell JOB VERB [WORD]...
tell() {
	local name=$1

	shift
	must bj_dm message "$BJ_PREFIX$name" 0 "$@"
}

# refuses JOB ERRNO PATTERN VERB [WORD]...
refuses() {
	local name=$1 errno=$2 pattern=$3

	shift 3
	must_fail "$errno" "$pattern" bj_dm message "$BJ_PREFIX$name" 0 "$@"
}

# bj_status JOB KEY...
bj_status() {
	local name=$1

	shift
	bj_dm get "$BJ_PREFIX$name" "$@"
}

# bj_wait JOB CONDITION...
bj_wait() {
	local name=$1 said

	shift
	said=$(bj_dm wait "$BJ_PREFIX$name" "$BJ_TIMEOUT" "$@") && return
	quote <<<"$said"
	fail "$name does not become: $*"
}

# bj_wait_state JOB STATE[|STATE]...
bj_wait_state() {
	bj_wait "$1" "state=$2"
}

# expect JOB KEY VALUE: now.
expect() {
	is "$2 of $1" "$(bj_status "$1" "$2")" "$3"
}

# finish JOB: from ready to the target device.
finish() {
	tell "$1" complete
	bj_wait_state "$1" pending
	tell "$1" finalize
	expect "$1" state concluded
	expect "$1" result completed
	expect "$1" active target
}

#-----------------------------------------------------------------
# Data
#-----------------------------------------------------------------

# fill NAME SEED [OFFSET [SECTORS]]
fill() {
	local name=$1

	shift
	must bj_data fill "${dev[$name]}" "$@"
}

# filled NAME SEED [OFFSET [SECTORS [LBA]]]: is still as filled.
filled() {
	local name=$1

	shift
	must bj_data check "${dev[$name]}" "$@"
}

# poke DISK OFFSET BYTES: zeroes.
poke() {
	must dd if=/dev/zero of="${dev[$1]}" bs="$3" count=1 seek=$(($2 / $3)) \
		conv=notrunc oflag=direct status=none
}

# zeroed NAME [OFFSET [SECTORS]]
zeroed() {
	local name=$1

	shift
	must bj_data zero "${dev[$name]}" - "$@"
}

# same NAME NAME [OFFSET [OFFSET [SECTORS]]]
same() {
	local a=$1 b=$2

	shift 2
	must bj_data compare "${dev[$a]}" "${dev[$b]}" "$@"
}

# load NAME DEVICE SEED [OPTION]...: write until "unload"; it is at work when
# this returns. One at a time for each NAME.
load() {
	local name=$1 device=$2 seed=$3 word=''

	shift 3
	mkfifo "$BJ_TMP/fifo-$name"
	bj_stomp -a $((5 * BJ_TIMEOUT)) -s "$seed" "$@" run "${dev[$device]}" \
		"$BJ_TMP/log-$name" >"$BJ_TMP/fifo-$name" 2>&1 &
	pid[$name]=$!
	loads+=($!)
	exec 7<"$BJ_TMP/fifo-$name"
	read -r -t "$BJ_TIMEOUT" word <&7
	cat <&7 >"$BJ_TMP/said-$name" &
	exec 7<&-
	is "load $name" "$word" running
}

# Until the load has done some hundred more operations, which are counted in the
# header of its log.
work() {
	local end=$(($(ops "$1") + 200)) deadline=$((SECONDS + BJ_TIMEOUT))

	while [ "$(ops "$1")" -lt "$end" ]; do
		[ $SECONDS -lt $deadline ] || fail "the load $1 hangs"
		sleep 0.05
	done
}

ops() {
	od -An -t u4 -j 24 -N 4 "$BJ_TMP/log-$1"
}

unload() {
	local status

	kill -TERM "${pid[$1]}"
	wait "${pid[$1]}"
	status=$?
	wait
	rm "$BJ_TMP/fifo-$1"
	[ $status -eq 0 ] && return
	quote <"$BJ_TMP/said-$1"
	fail "load $1 ended with $status"
}

# verify DEVICE LOAD [OFFSET]: it holds what was acknowledged.
verify() {
	local device=$1 log=$BJ_TMP/log-$2

	shift 2
	must bj_stomp verify "${dev[$device]}" "$log" "$@"
}

# Until udev has looked at what is new, for who counts I/O.
settle() {
	[ ! -S /run/udev/control ] || must udevadm settle --timeout=60
}

# Completed I/O of a device: reads, sectors read, writes, sectors written.
iostat() {
	local stat

	read -ra stat <"/sys/class/block/${dev[$1]##*/}/stat"
	echo "${stat[0]} ${stat[2]} ${stat[4]} ${stat[6]}"
}

writes() {
	local stat

	read -ra stat <"/sys/class/block/${dev[$1]##*/}/stat"
	echo "${stat[4]}"
}

#-----------------------------------------------------------------
# No memory, where the kernel has fault injection
#-----------------------------------------------------------------

# fail_slab PERCENT [BYTES]: so many of the module's allocations fail, after so
# many bytes.
fail_slab() {
	local start size

	mountpoint -q /sys/kernel/debug ||
		mount -t debugfs none /sys/kernel/debug 2>/dev/null
	[ -e $FAILSLAB/require-start ] || skip "no fault injection"
	start=$(cat /sys/module/dm_blkjob/sections/.text)
	size=$(sed -n 's/^dm_blkjob \([0-9]*\) .*/\1/p' /proc/modules)
	echo "$start" >$FAILSLAB/require-start
	printf '0x%x\n' $((start + size)) >$FAILSLAB/require-end
	echo N >$FAILSLAB/ignore-gfp-wait
	echo N >$FAILSLAB/task-filter
	echo 1 >$FAILSLAB/interval
	echo 0 >$FAILSLAB/verbose
	echo -1 >$FAILSLAB/times
	echo "${2:-0}" >$FAILSLAB/space
	echo "$1" >$FAILSLAB/probability
}
