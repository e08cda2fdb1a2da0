#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# What cannot be inspected is refused in one line that says why, and nothing is printed. What could
# be taken for an obstacle, and is none, is at the end.

load ../lib/helpers

setup() {
	need jq
}

teardown() {
	local pid
	victim_kill
	for pid in "${STARTED[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[[ ! ${PUBLIC_DIR:-} ]] || rm -rf "$PUBLIC_DIR"
}

STARTED=()

# start_waiting COMMAND…: run a program that says "ready" and waits for its stdin; sets WAITING.
start_waiting() {
	local dir line
	dir=$(mktemp -d "$BATS_TEST_TMPDIR/waiting.XXXXXX")
	mkfifo "$dir/in" "$dir/out"
	"$@" <"$dir/in" >"$dir/out" 2>"$dir/err" 3>&- 4>&- &
	WAITING=$!
	STARTED+=("$WAITING")
	exec {IN}>"$dir/in" {OUT}<"$dir/out"
	IFS= read -r -t 20 -u "$OUT" line || fail "did not start: $* ($(cat "$dir/err"))"
	assert_equal "$line" ready
}

# build_waiting COMPILER…: a small program for start_waiting in $WAITER, or skip. Made of
# tests/fixtures/waiting.c, or of $SOURCE there.
build_waiting() {
	WAITER=$BATS_TEST_TMPDIR/waiter
	"$@" -o "$WAITER" "$top_srcdir/tests/fixtures/${SOURCE:-waiting.c}" 2>"$WAITER.log" ||
		skip "cannot compile with $*"
	"$WAITER" </dev/null >/dev/null || skip "programs made by $* do not run here"
}

# refused PID PATTERN: inspected live and stopped, as JSON and as text, it is refused, for this
# reason; and the process goes on as before.
refused() {
	local arguments
	for arguments in -J "-J --stop" "" --stop; do
		# shellcheck disable=SC2086 # words
		gs inspect $arguments "$1"
		assert_fails_cleanly
		assert_regex "$stderr" "$2"
	done
}

@test "no such process" {
	local pid
	true &
	pid=$!
	wait "$pid"
	refused "$pid" "$pid.*[Nn]o such process"
}

@test "a kernel thread" {
	local pid
	pid=$(pgrep -P 2 | head -n 1)
	[[ $pid ]] || skip "no kernel threads to be seen"
	refused "$pid" "$pid.*kernel thread"
}

@test "a zombie" {
	local parent zombie fifo=$BATS_TEST_TMPDIR/end
	mkfifo "$fifo"
	# the child ends only when its parent has become a program that waits for nobody
	sh -c 'read -r line <"$1" & exec sleep 1000' sh "$fifo" >/dev/null 3>&- 4>&- &
	parent=$!
	STARTED+=("$parent")
	wait_for 10 grep -qx sleep "/proc/$parent/comm"
	zombie=$(pgrep -P "$parent")
	echo >"$fifo"
	wait_for 10 has_state "$zombie" Z
	refused "$zombie" "$zombie.*zombie"
}

@test "another user's process" {
	[[ $EUID == 0 ]] || skip "only root can become another user"
	need setpriv
	victim_start one-chunk
	# somewhere that everybody can reach
	PUBLIC_DIR=$(mktemp -d)
	chmod 755 "$PUBLIC_DIR"
	install -m 755 "$GLIBCSTALL" "$PUBLIC_DIR/glibcstall"
	local option
	for option in -- --stop; do
		run --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$PUBLIC_DIR/glibcstall" inspect -J "$option" "$VICTIM_PID"
		assert_fails_cleanly
		assert_regex "$stderr" "$VICTIM_PID.*([Pp]ermission|not permitted)"
		assert_regex "$stderr" $'\n''glibcstall: hint: .*(root|user|uid)'
	done
	victim_is_well
}

@test "a process that another tracer holds cannot be stopped, but looked at" {
	need strace
	victim_start one-chunk
	strace -p "$VICTIM_PID" -o /dev/null 2>/dev/null 3>&- 4>&- &
	STARTED+=("$!")
	local tracer=$!
	is_held() {
		[[ $(tracer_of "$VICTIM_PID") == "$tracer" ]]
	}
	wait_for 10 is_held
	gs inspect -J --stop "$VICTIM_PID"
	assert_fails_cleanly
	assert_regex "$stderr" "$tracer"
	gs_report "$VICTIM_PID"
	assert_equal "$status" 0
	assert_no_problems 'malloc_info_problems($truth)' --argjson truth "$VICTIM_TRUTH"
	victim_is_well
}

@test "a musl program" {
	need musl-gcc
	build_waiting musl-gcc
	start_waiting "$WAITER"
	refused "$WAITING" musl
}

@test "a static musl program" {
	need musl-gcc
	build_waiting musl-gcc -static
	start_waiting "$WAITER"
	refused "$WAITING" "static|musl"
}

# library NAME: path of the shared library whose name begins so, of this machine; or skip.
library() {
	LIBRARY=$(ldconfig -p | awk -v name="$1" \
		'index($1, name) == 1 && /x86-64|AArch64/ { print $NF; exit }')
	[[ $LIBRARY ]] || skip "$1 is not installed"
}

# allocator LIBRARY NAME: it is named where it is preloaded, and where the program is linked to it.
allocator() {
	library "$1"
	build_waiting gcc
	start_waiting env LD_PRELOAD="$LIBRARY" "$WAITER"
	wait_for 10 grep -q "$1" "/proc/$WAITING/maps"
	refused "$WAITING" "$2, in /.*$1"
	build_waiting gcc -Wl,--no-as-needed,"$LIBRARY"
	start_waiting "$WAITER"
	refused "$WAITING" "$2, in /.*$1"
}

@test "jemalloc" {
	allocator libjemalloc.so jemalloc
}

@test "tcmalloc" {
	allocator libtcmalloc_minimal.so tcmalloc
}

@test "mimalloc" {
	allocator libmimalloc.so mimalloc
}

@test "a program with a malloc of its own" {
	SOURCE=waiting_own.c build_waiting gcc -DTEXT='""'
	start_waiting "$WAITER"
	refused "$WAITING" "its malloc is in $WAITER, not glibc's"
}

# as it is in a program that an allocator is linked into: only its messages tell
@test "a program with an allocator in it is named by its messages" {
	local SOURCE=waiting_own.c
	build_waiting gcc -DTEXT='"<jemalloc>: "'
	start_waiting "$WAITER"
	refused "$WAITING" "jemalloc, in $WAITER"
	build_waiting gcc -static -DTEXT='"<jemalloc>: "'
	start_waiting "$WAITER"
	refused "$WAITING" "$WAITER is a static program with jemalloc"
}

@test "a static program without a libc" {
	SOURCE=waiting_bare.c build_waiting gcc -static -nostdlib
	start_waiting "$WAITER"
	refused "$WAITING" "$WAITER is a static program without it"
}

@test "a Go program" {
	SOURCE=waiting_bare.c build_waiting gcc -static -nostdlib -DGO_NOTE
	start_waiting "$WAITER"
	refused "$WAITING" "$WAITER is a Go program"
}

# What libraries took from glibc although the program has another malloc is worth a report.
@test "glibc's malloc beside jemalloc" {
	library libjemalloc.so
	build_waiting gcc -DBESIDE=__libc_malloc
	start_waiting env LD_PRELOAD="$LIBRARY" "$WAITER"
	wait_for 10 grep -q jemalloc "/proc/$WAITING/maps"
	gs_report "$WAITING"
	assert_equal "$status" 0
	assert_regex "$stderr" "^glibcstall: inspect: $WAITING: its malloc is jemalloc, in /[^ ]*;"
	assert_no_problems adds_up_problems
	assert_no_problems '
		problem(.totals.live_bytes < 1e6; "only \(.totals.live_bytes) live"),
		differ("name"; .program_malloc.name; "jemalloc"),
		differ("warnings"; .warnings; [])'
	gs_report --quiet "$WAITING"
	assert_equal "$status:$stderr" 0:
	gs inspect "$WAITING"
	assert_output --regexp "The program's own malloc is jemalloc"
}

# Killed while it is being looked at; every outcome must be a clean one.
@test "a target that ends midway" {
	local i job delay refusals=0 options=(-J "-J --stop")
	for ((i = 0; i < 60; i++)); do
		victim_start fragmented blocks=5000
		# shellcheck disable=SC2086 # words
		"$GLIBCSTALL" inspect ${options[i % 2]} "$VICTIM_PID" \
			>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- 4>&- &
		job=$!
		# a millisecond later every time, so that no phase is left out
		printf -v delay '0.%03d' $((i + 1))
		read -r -t "$delay" -u "$VICTIM_OUT" || true
		kill -KILL "$VICTIM_PID"
		status=0
		wait "$job" || status=$?
		output=$(<"$BATS_TEST_TMPDIR/out")
		stderr=$(<"$BATS_TEST_TMPDIR/err")
		case $status in
		0 | 3)
			jq -e '.schema == "glibcstall.inspect/1"' <<<"$output" >/dev/null ||
				fail "round $i: not a report: $output" ;;
		*)
			assert_fails_cleanly
			refusals=$((refusals + 1)) ;;
		esac
		victim_kill
	done
	((refusals > 0)) || fail "no target ended in time"
}

@test "several processes: the good ones are reported, the worst status wins" {
	local gone
	true &
	gone=$!
	wait "$gone"
	victim_start one-chunk
	gs inspect -J "$VICTIM_PID" "$gone"
	assert_equal "$status" 1
	run jq -r '.target.pid' <<<"$output"
	assert_output "$VICTIM_PID"
}

# inspected PID: live and stopped, there is a whole report.
inspected() {
	local option
	for option in --stop --; do
		DEBUGINFOD_URLS='' gs_report "$option" "$1"
		assert_equal "$stderr" ""
		assert_equal "$status" 0
		assert_no_problems adds_up_problems
	done
}

@test "no obstacle: a 32-bit process" {
	build_waiting gcc -m32
	start_waiting "$WAITER"
	inspected "$WAITING"
	assert_no_problems 'differ("machine"; .target.machine; "i386")'
}

# A libc that nobody has debug symbols for: the same code under another build-id.
@test "no obstacle: no debug symbols" {
	need readelf
	local libc loader offset dir=$BATS_TEST_TMPDIR/lib
	libc=$(ldd "$MKHEAP" | awk '$1 == "libc.so.6" { print $3 }')
	loader=$(ldd "$MKHEAP" | awk '/ld-linux/ { print $1 }')
	mkdir "$dir"
	cp "$libc" "$dir/libc.so.6"
	# the id follows the note's three words and its name, "GNU"
	offset=$(readelf -SW "$dir/libc.so.6" |
		awk '{ sub(/^ *\[ *[0-9]+\] */, "") } $1 == ".note.gnu.build-id" { print $4 }')
	[[ $offset ]] || skip "libc has no build-id"
	printf 'not a known one' |
		dd of="$dir/libc.so.6" bs=1 seek=$((0x$offset + 16)) conv=notrunc status=none
	victim_run "$loader" --library-path "$dir" "$MKHEAP" one-chunk
	run grep -F "$dir/libc.so.6" "/proc/$VICTIM_PID/maps"
	assert_success
	inspected "$VICTIM_PID"
	assert_no_problems 'differ("symbols"; .allocator.symbols; "structure"),
		malloc_info_problems($truth), mallinfo_problems($truth)' \
		--argjson truth "$VICTIM_TRUTH"
	victim_is_well
}
