#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# What cannot be inspected is refused in one line that says why, and nothing is printed.

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

# build_waiting COMPILER…: a small program for start_waiting in $WAITER, or skip.
build_waiting() {
	WAITER=$BATS_TEST_TMPDIR/waiter
	cat >"$WAITER.c" <<-'END'
		#include <stdlib.h>
		#include <unistd.h>

		int main(void)
		{
			char *volatile p = malloc(1000);
			char c;

			return !p || write(1, "ready\n", 6) != 6 || read(0, &c, 1) < 0;
		}
	END
	"$@" -o "$WAITER" "$WAITER.c" 2>"$WAITER.log" || skip "cannot compile with $*"
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

@test "a 32-bit process" {
	build_waiting gcc -m32
	start_waiting "$WAITER"
	refused "$WAITING" "(32|64)-bit"
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

@test "jemalloc by LD_PRELOAD" {
	local lib
	lib=$(ldconfig -p | awk '/libjemalloc\.so/ && /x86-64|AArch64/ { print $NF; exit }')
	[[ $lib ]] || skip "libjemalloc is not installed"
	build_waiting gcc
	start_waiting env LD_PRELOAD="$lib" "$WAITER"
	wait_for 10 grep -q jemalloc "/proc/$WAITING/maps"
	refused "$WAITING" jemalloc
}

# A libc that nobody has debug symbols for: the same code under another build-id.
@test "no debug symbols" {
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
	DEBUGINFOD_URLS='' refused "$VICTIM_PID" "symbol"
	DEBUGINFOD_URLS='' gs inspect -J "$VICTIM_PID"
	assert_regex "$stderr" $'\n''glibcstall: hint: .*(libc6-dbg|debug)'
	victim_is_well
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
