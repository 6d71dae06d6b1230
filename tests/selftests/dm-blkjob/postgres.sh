#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Images of a database at work. A second server starts from them, finds nothing
# wrong, and has what was committed at the instant: no less and no more.

# shellcheck disable=SC2154 # set by lib-cli.sh
# shellcheck source=lib-cli.sh
. "$(dirname "$0")/lib-cli.sh"

CLIENTS=2
declare -A port=([first]=5433 [second]=5434)

# A server does not run as root. In the place of this shell, for its signals.
as_postgres() {
	exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

# The programs of one version; in /usr/bin Debian has wrappers.
programs() {
	local dir

	for dir in /usr/lib/postgresql/*/bin; do
		PATH=$dir:$PATH
	done
	need postgres
	need pg_amcheck
	export PGHOST=$BJ_TMP PGUSER=postgres PGDATABASE=postgres
	chmod a+x "$BJ_TOP"
}

# server NAME DIRECTORY: over these files.
server() {
	local end=$((SECONDS + BJ_TIMEOUT))

	# The socket's directory is the server's to write to.
	chown postgres "$BJ_TMP"
	as_postgres postgres -D "$2" -p "${port[$1]}" -k "$BJ_TMP" \
		-c listen_addresses= >"$BJ_TMP/log-$1" 2>&1 &
	pid[$1]=$!
	until pg_isready -q -p "${port[$1]}"; do
		if ended_now "$1" || [ $SECONDS -ge $end ]; then
			quote <"$BJ_TMP/log-$1"
			fail "the $1 server does not start"
		fi
		sleep 0.1
	done
}

# down NAME: in order, with a checkpoint.
down() {
	kill -INT "${pid[$1]}"
	wait "${pid[$1]}" && return
	quote <"$BJ_TMP/log-$1"
	fail "the $1 server failed"
}

# sql NAME STATEMENT: what the server answers.
sql() {
	psql -XAtq -v ON_ERROR_STOP=1 -p "${port[$1]}" -c "$2"
}

# Transactions of pgbench so far: each inserts a row.
rows() {
	sql "$1" "SELECT count(*) FROM pgbench_history"
}

more_rows() {
	[ "$(rows "$1")" -gt "$2" ]
}

# Made once for all cases. Pages have checksums.
template() {
	local made=$BJ_TOP/template

	[ ! -d "$made" ] || return 0
	install -d -o postgres "$made"
	(as_postgres initdb -D "$made/data" --no-sync --data-checksums \
		--no-locale -E UTF8 -A trust --wal-segsize=1) \
		>"$BJ_TMP/initdb" 2>&1 || {
		quote <"$BJ_TMP/initdb"
		fail "no database"
	}
	cat >>"$made/data/postgresql.conf" <<-END
		shared_buffers = 8MB
		max_wal_size = 8MB
		autovacuum_naptime = 5s
		jit = off
	END
	server first "$made/data"
	must pgbench -q -i -I dtGp -p "${port[first]}"
	must sql first "CREATE EXTENSION amcheck"
	down first
}

# files NAME: a file system on the volume, at $BJ_TMP/NAME.
files() {
	need mkfs.ext4
	must mkfs.ext4 -q "${dev[$1]}"
	mkdir "$BJ_TMP/$1"
	must mount "${dev[$1]}" "$BJ_TMP/$1"
}

# The first server and its clients, at work.
work_begins() {
	server first "$BJ_TMP/data/data"
	pgbench -n -c $CLIENTS -R 50 -T 600 -p "${port[first]}" \
		>"$BJ_TMP/pgbench" 2>&1 &
	pid[pgbench]=$!
	wait_for "no client works" more_rows first 20
}

work_ends() {
	kill -TERM "${pid[pgbench]}"
	wait "${pid[pgbench]}"
	balanced first
}

# image_is_made WORD...: it begins, to have so many rows at least and at most;
# and then much goes on.
image_is_made() {
	least=$(rows first)
	ends 0 'job [0-9a-f]{8} started' backup --speed 256K "$@"
	# What a client was not told yet may be on the disk.
	most=$(($(rows first) + CLIENTS))
	must sql first CHECKPOINT
	wait_for "no client works any more" more_rows first $((most + 30))
}

# saved_before_write JOB...: what was overwritten meanwhile.
saved_before_write() {
	for job; do
		ends 0 '' status "$job" --json
		holds "$(json job "$out" cbw) > 0"
	done
}

# restored DISK NAME: the file system of an image, at $BJ_TMP/image-NAME.
restored() {
	dumpe2fs -h "${dev[$1]}" 2>/dev/null | grep -q needs_recovery &&
		fail "the file system on $1 was not frozen"
	mkdir "$BJ_TMP/image-$2"
	must mount "${dev[$1]}" "$BJ_TMP/image-$2"
}

# Debits and credits are one transaction.
balanced() {
	is "balance of the $1 server" "$(sql "$1" "
		SELECT a = h AND t = h AND b = h FROM
		(SELECT sum(abalance) AS a FROM pgbench_accounts) AS accounts,
		(SELECT sum(tbalance) AS t FROM pgbench_tellers) AS tellers,
		(SELECT sum(bbalance) AS b FROM pgbench_branches) AS branches,
		(SELECT sum(delta) AS h FROM pgbench_history) AS history")" t
}

# What a second server says of the image.
image_is_right() {
	local data=$BJ_TMP/image-data/data found

	rm "$data/postmaster.pid"
	server second "$data"
	found=$(rows second)
	say "$found transactions in the image, of $least to $most; $(rows first) now"
	holds "$found >= $least && $found <= $most"
	balanced second
	must pg_amcheck -p "${port[second]}" --heapallindexed
	pg_dump -p "${port[second]}" >"$BJ_TMP/dump" || fail "no dump"
	is "rows of the dump" "$(awk '/^COPY public.pgbench_history/ { on = 1; next }
		/^\\\.$/ { on = 0 } on' "$BJ_TMP/dump" | wc -l)" "$found"
	down second
	must pg_checksums --check -D "$data"
	grep -E ' (PANIC|ERROR|WARNING): ' "$BJ_TMP/log-second" | quote
}

one_volume() {
	programs
	template
	disk a 104M
	disk t 96M
	vg a
	lv data -L 96M "$BJ_VG"
	files data
	cp -a "$BJ_TOP/template/data" "$BJ_TMP/data"
	work_begins
	image_is_made "$BJ_VG/data" "${dev[t]}"
	job=$(only_job)
	saved_before_write "$job"
	ends 0 '' set "$job" --speed 0
	ends 0 'is an image of' complete "$job"
	nothing_left
	work_ends
	restored t data
	image_is_right
	down first
}

# The log on a volume of its own; both images are of one instant.
data_and_log() {
	local ids

	programs
	template
	disk a 136M
	disk t1 96M
	disk t2 32M
	vg a
	lv data -L 96M "$BJ_VG"
	lv log -L 32M "$BJ_VG"
	files data
	files log
	cp -a "$BJ_TOP/template/data" "$BJ_TMP/data"
	mv "$BJ_TMP/data/data/pg_wal" "$BJ_TMP/log"
	ln -s "$BJ_TMP/log/pg_wal" "$BJ_TMP/data/data/pg_wal"
	work_begins
	image_is_made --group db \
		"$BJ_VG/data:${dev[t1]}" "$BJ_VG/log:${dev[t2]}"
	ends 0 '' list --json
	mapfile -t ids < <(json jobs "$out" id)
	saved_before_write "${ids[@]}"
	ends 0 '' set db --speed 0
	ends 0 'is an image of' complete db
	nothing_left
	work_ends
	restored t1 data
	restored t2 log
	ln -sfn "$BJ_TMP/image-log/pg_wal" "$BJ_TMP/image-data/data/pg_wal"
	image_is_right
	down first
}

conformance 193 194 244
cli_run one_volume data_and_log
