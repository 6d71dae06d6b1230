# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the tests of the command "blkjob" share, on top of lib.sh.
# It sets for them: job, out, err, status, mnt.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

BJ_VG=bjvg$$
# The runner's own descriptors are no business of LVM's.
export LVM_SUPPRESS_FD_WARNINGS=1

#-----------------------------------------------------------------
# Running the command
#-----------------------------------------------------------------

# cli WORD...: its output is in $out and $err, its exit status in $status.
cli() {
	status=0 out=$BJ_TMP/out err=$BJ_TMP/err
	timeout -s KILL "$BJ_TIMEOUT" blkjob "$@" >"$out" 2>"$err" </dev/null ||
		status=$?
}

# judge STATUS PATTERN WORD...: what the last command did, and had to do.
judge() {
	local wanted=$1 pattern=$2

	shift 2
	[ "$status" -eq "$wanted" ] &&
		{ [ -z "$pattern" ] || grep -qE -- "$pattern" "$out" "$err"; } &&
		return
	quote <"$out"
	quote <"$err"
	fail "ended with $status, not $wanted and '$pattern': blkjob $*"
}

# ends STATUS PATTERN WORD...
ends() {
	local wanted=$1 pattern=$2

	shift 2
	cli "$@"
	judge "$wanted" "$pattern" "$@"
}

# started WORD...: a new job, whose id is in $job.
started() {
	ends 0 'job [0-9a-f]{8} started' "$@"
	job=$(sed -n 's/^blkjob: job \([0-9a-f]*\) started.*/\1/p' "$out")
}

# background NAME WORD...: go on meanwhile. Not below "timeout", for signals.
background() {
	local name=$1

	shift
	blkjob "$@" >"$BJ_TMP/out-$name" 2>"$BJ_TMP/err-$name" </dev/null &
	pid[$name]=$!
}

# ended NAME STATUS PATTERN
ended() {
	local name=$1

	status=0 out=$BJ_TMP/out-$1 err=$BJ_TMP/err-$1
	wait_for "$name does not end" ended_now "$name"
	wait "${pid[$name]}" || status=$?
	judge "$2" "$3" "in the background: $name"
}

ended_now() {
	local state

	read -r _ _ state _ 2>/dev/null <"/proc/${pid[$1]}/stat" || return 0
	[ "$state" = Z ]
}

# wait_for TEXT COMMAND...: until it succeeds, or fail with the text.
wait_for() {
	local text=$1 end=$((SECONDS + BJ_TIMEOUT))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "$text"
		sleep 0.05
	done
}

# The background command has said this.
said() {
	wait_for "$1 does not say $2" grep -qE "$2" "$BJ_TMP/out-$1" "$BJ_TMP/err-$1"
}

can_kill() {
	need strace
	strace -o /dev/null -e trace=ioctl true 2>/dev/null || skip "strace does not work"
}

# ioctls WORD...: how many the command makes.
ioctls() {
	strace -qq -o "$BJ_TMP/trace" -e trace=ioctl \
		blkjob "$@" >"$BJ_TMP/out" 2>&1 || {
		quote <"$BJ_TMP/out"
		fail "blkjob $*"
	}
	grep -c '^ioctl' "$BJ_TMP/trace"
}

# killed N WORD...: when entering its Nth.
killed() {
	local n=$1

	shift
	strace -qq -o "$BJ_TMP/trace" -e trace=ioctl \
		-e "inject=ioctl:signal=KILL:when=$n" \
		blkjob "$@" >"$BJ_TMP/out" 2>&1 </dev/null
} 2>/dev/null	# the shell's own word about it

# job_is JOB CONDITION...: becomes, for a job with a stack of the command.
job_is() {
	local said

	said=$(bj_dm wait "blkjob.$1" "$BJ_TIMEOUT" "${@:2}") && return
	quote <<<"$said"
	fail "job $1 does not become: ${*:2}"
}

# json KIND FILE [KEY]: strictly checked, see there; prints the values.
json() {
	perl ./bj_json.pl "$@"
}

# The id of the only job.
only_job() {
	blkjob list --json | sed -n 's/^\[{"id":"\([^"]*\)".*/\1/p'
}

# The table of a device.
table() {
	bj_dm table "$(cat "/sys/class/block/${dev[$1]##*/}/dm/name")"
}

#-----------------------------------------------------------------
# Fixtures
#-----------------------------------------------------------------

# user NAME DISK: a device whose table the command can replace.
user() {
	layer "$1" "$2"
}

need() {
	command -v "$1" >/dev/null || skip "no program $1"
}

# vg DISK...: a group of these, with nothing of the host's configuration.
vg() {
	local nodes=() name

	need lvm
	[ -S /run/udev/control ] || skip "no udev"
	export LVM_SYSTEM_DIR=$BJ_TMP/lvm
	mkdir -p "$LVM_SYSTEM_DIR"
	cat >"$LVM_SYSTEM_DIR/lvm.conf" <<-END
	devices {
		global_filter = [ "a|^/dev/loop|", "r|.*|" ]
		use_devicesfile = 0
	}
	backup {
		backup_dir = "$BJ_TMP/backup"
		archive = 0
	}
	END
	for name; do
		nodes+=("${dev[$name]}")
	done
	must vgcreate -q --setautoactivation n "$BJ_VG" "${nodes[@]}"
}

# lv NAME LVCREATE-ARGUMENT...: dev[NAME] is it.
lv() {
	local name=$1

	shift
	must lvcreate -q -y -W n -n "$name" "$@"
	dev[$name]=$(readlink -f "/dev/$BJ_VG/$name")
}

# What LVM says about a volume; and it must not complain.
lv_field() {
	local said

	said=$(lvs --noheadings -o "$2" "$BJ_VG/$1" 2>"$BJ_TMP/lvs") ||
		fail "lvs fails"
	[ ! -s "$BJ_TMP/lvs" ] || {
		quote <"$BJ_TMP/lvs"
		fail "lvs complains"
	}
	xargs <<<"$said"
}

# mounted DEVICE [MKFS-OPTION]...: ext4 on it, at $mnt.
mounted() {
	need mkfs.ext4
	mnt=$BJ_TMP/mnt
	must mkfs.ext4 -q "${@:2}" "${dev[$1]}"
	mkdir -p "$mnt"
	must mount "${dev[$1]}" "$mnt"
}

#-----------------------------------------------------------------
# The end of a case
#-----------------------------------------------------------------

cli_clean() {
	local id at

	jobs -p | xargs -r kill -TERM 2>/dev/null
	wait
	# By which a case that failed may hold a device
	exec 8<&-
	while read -r _ at _; do
		[[ $at != "$BJ_TMP"/* ]] || umount "$at" || return
	done < <(tac /proc/self/mounts)
	for id in $(dmsetup ls | sed -n 's/^blkjob\.\([0-9a-f]*\)\t.*/\1/p'); do
		timeout 20 blkjob cancel --force "$id" >/dev/null 2>&1
	done
	# A stream takes the device that it has made with it.
	mapfile -t dms < <(for id in "${dms[@]}"; do
		[ -z "$(dmsetup info -c --noheadings -o name "$BJ_PREFIX$id" \
			2>/dev/null)" ] || echo "$id"
	done)
	[ -z "${LVM_SYSTEM_DIR-}" ] ||
		timeout 60 vgremove -q -q -f -y "$BJ_VG" >"$BJ_TMP/vgremove" 2>&1 || {
		quote <"$BJ_TMP/vgremove"
		return 1
	}
}

# Devices, cookies and files of the command.
leftovers() {
	dmsetup ls | grep '^blkjob'
	dmsetup udevcookies | grep '^0x'
	compgen -G '/run/blkjob*'
	compgen -G '/run/lock/blkjob*'
	compgen -G '/dev/.blkjob*'
}

# For wait_for.
none_left() {
	[ -z "$(leftovers)" ]
}

nothing_left() {
	local left

	left=$(leftovers)
	[ -z "$left" ] || {
		quote <<<"$left"
		fail "left behind"
	}
}

bj_end() {
	local status=$? left

	cli_clean || status=1
	bj_clean || status=1
	left=$(leftovers)
	[ -z "$left" ] || {
		quote <<<"$left"
		say "left behind"
		status=1
	}
	exit $status
}

cli_run() {
	command -v blkjob >/dev/null || bj_skip_all "no command blkjob in PATH"
	bj_run "$@"
}
