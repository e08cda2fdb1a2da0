#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# Core files, by the kernel and by gcore, of the same heaps that are inspected live: what a core has
# must be told as the live report told it a moment before, and nothing else.

load ../lib/helpers

setup() {
	need jq
	CORES=$BATS_TEST_TMPDIR/cores
}

teardown() {
	victim_kill
	rm -rf "$CORES"
}

SCENARIOS=("one-chunk" "stall mb=20 heaps=3" "many-arenas threads=2" "tcache-heavy threads=2"
	"fastbin-heavy" "foreign-sbrk" "foreign-sbrk bytes=100001" "brk-blocked" "mmapped"
	"full-heap threads=2" "threads-gone threads=2" "after-fork threads=2")

# core_victim COMMAND…: a mkheap that may dump core, into $CORES; its live report is in $LIVE.
core_victim() {
	rm -rf "$CORES"
	mkdir "$CORES"
	victim_run bash -c 'cd "$1" && shift && ulimit -c unlimited && exec "$@"' _ "$CORES" "$@"
	LIVE=$BATS_TEST_TMPDIR/live.json
	gs_report "$VICTIM_PID"
	assert_equal "$status" 0
	cp "$REPORT" "$LIVE"
}

# need_kernel_core: skip unless a core would be a file in the directory of its process.
need_kernel_core() {
	local pattern
	pattern=$(</proc/sys/kernel/core_pattern)
	[[ $pattern && $pattern != '|'* && $pattern != */* ]] ||
		skip "kernel.core_pattern is '$pattern': cores go elsewhere"
	(ulimit -c unlimited) 2>/dev/null || skip "the limit on core files cannot be raised"
}

# The victim's core in $CORE, and its end.
kernel_core() {
	kill -ABRT "$VICTIM_PID"
	wait "$VICTIM_JOB" || true
	unset VICTIM_JOB VICTIM_PID
	CORE=$(find "$CORES" -type f)
	[[ -s $CORE ]] || fail "the kernel wrote no core"
}

gcore_core() {
	gdb -nx -q -batch -p "$VICTIM_PID" -ex 'set debuginfod enabled off' \
		-ex "gcore $CORES/gcore" >"$BATS_TEST_TMPDIR/gdb.log" 2>&1 3>&- ||
		fail "$(cat "$BATS_TEST_TMPDIR/gdb.log")"
	CORE=$CORES/gcore
	[[ -s $CORE ]] || fail "gcore wrote no core: $(cat "$BATS_TEST_TMPDIR/gdb.log")"
}

# assert_core [ARGUMENT…]: the report of $CORE is the live one without residency.
assert_core() {
	gs_report --core="$CORE" "$@"
	assert_equal "$stderr" ""
	assert_equal "$status" 0
	assert_no_problems 'core_problems($live[0])' --slurpfile live "$LIVE"
	assert_no_problems 'malloc_info_problems($truth), mallinfo_problems($truth),
		tcache_problems($truth)' --argjson truth "$VICTIM_TRUTH"
}

@test "a kernel core has the accounts of the live report, in every scenario" {
	need_kernel_core
	local scenario
	for scenario in "${SCENARIOS[@]}"; do
		# shellcheck disable=SC2086 # words
		core_victim "$MKHEAP" $scenario
		kernel_core
		assert_core
	done
}

@test "gcore's core has the accounts of the live report, in every scenario" {
	need gdb
	local scenario
	for scenario in "${SCENARIOS[@]}"; do
		# shellcheck disable=SC2086 # words
		core_victim "$MKHEAP" $scenario
		gcore_core
		assert_core
		victim_is_well
		victim_stop
	done
}

@test "malloc was never used" {
	need_kernel_core
	core_victim "$MKHEAP" fresh
	kernel_core
	gs_report --core="$CORE"
	assert_equal "$status" 0
	assert_no_problems 'core_problems($live[0])' --slurpfile live "$LIVE"
}

@test "a core is read without symbols too" {
	need_kernel_core
	core_victim "$MKHEAP" many-arenas threads=2
	kernel_core
	assert_core --no-debuginfo
	assert_no_problems 'differ("symbols"; .allocator.symbols; "structure")'
}

# own_libc: a libc that is the same code under another build-id, in $OWN; $LOADER runs it.
own_libc() {
	need readelf
	local offset libc
	OWN=$BATS_TEST_TMPDIR/lib
	libc=$(ldd "$MKHEAP" | awk '$1 == "libc.so.6" { print $3 }')
	LOADER=$(ldd "$MKHEAP" | awk '/ld-linux/ { print $1 }')
	mkdir "$OWN"
	cp "$libc" "$OWN/libc.so.6"
	offset=$(readelf -SW "$OWN/libc.so.6" |
		awk '{ sub(/^ *\[ *[0-9]+\] */, "") } $1 == ".note.gnu.build-id" { print $4 }')
	[[ $offset ]] || skip "libc has no build-id"
	printf 'not a known one' |
		dd of="$OWN/libc.so.6" bs=1 seek=$((0x$offset + 16)) conv=notrunc status=none
}

@test "the libc is on this machine no more, or another one is in its place" {
	need_kernel_core
	own_libc
	core_victim "$LOADER" --library-path "$OWN" "$MKHEAP" many-arenas threads=2
	kernel_core
	mv "$OWN/libc.so.6" "$BATS_TEST_TMPDIR/away"
	assert_core
	assert_no_problems 'differ("symbols"; .allocator.symbols; "structure"),
		differ("version"; .allocator.version; null)'
	# the version would be this one's if it was taken for the right file
	cp "$(ldd "$MKHEAP" | awk '$1 == "libc.so.6" { print $3 }')" "$OWN/libc.so.6"
	assert_core
	assert_no_problems 'differ("version"; .allocator.version; null)'
	cp "$BATS_TEST_TMPDIR/away" "$OWN/libc.so.6"
	assert_core
	assert_no_problems 'differ("version"; .allocator.version; $live[0].allocator.version)' \
		--slurpfile live "$LIVE"
}

@test "--exe: the program is somewhere else now" {
	need_kernel_core
	local static=$BATS_TEST_TMPDIR/static
	gcc -static -O1 -pthread -o "$static" "$top_srcdir"/tests/fixtures/mkheap*.c \
		2>/dev/null || skip "cannot link a static program"
	core_victim "$static" many-arenas threads=2
	kernel_core
	assert_core
	mv "$static" "$static.away"
	assert_core --exe="$static.away"
	gs inspect -J --core="$CORE" --exe="$MKHEAP"
	assert_fails_cleanly
	assert_regex "$stderr" "mkheap is not the program of the core file"
	gs inspect -J --core="$CORE" --exe="$static"
	assert_fails_cleanly
	assert_regex "$stderr" "No such file"
	gs inspect -J --core="$CORE"
	assert_fails_cleanly
}

@test "a 32-bit program's core" {
	need_kernel_core
	local narrow=$BATS_TEST_TMPDIR/narrow
	gcc -m32 -O1 -pthread -o "$narrow" "$top_srcdir"/tests/fixtures/mkheap*.c \
		2>/dev/null || skip "cannot compile with gcc -m32"
	core_victim "$narrow" many-arenas threads=2
	kernel_core
	assert_core
	assert_no_problems 'differ("machine"; .target.machine; "i386")'
}

@test "the report for people tells of free memory, not of stalled" {
	need_kernel_core
	core_victim "$MKHEAP" stall mb=20 heaps=3
	kernel_core
	gs inspect --core="$CORE"
	assert_equal "$stderr" ""
	assert_equal "$status" 0
	assert_line --index 0 --partial "mkheap ["
	assert_output --partial "from a core file"
	assert_output --partial "A core file does not say how much"
	assert_output --partial "FREE, BY WHERE IT SITS"
	refute_output --partial STALLED
	refute_output --partial stalled
	refute_output --partial '?'
	gs inspect --core="$CORE" -r --noheadings --bytes -o arena,free,stalled
	assert_line --regexp '^main [0-9]+ \?$'
}

# Whatever is left of a core, what is told as whole is what it was, and nothing is told as whole if
# the core is not.
@test "a core that was cut short" {
	need_kernel_core
	core_victim "$MKHEAP" many-arenas threads=3
	kernel_core
	local size step cut reports=0 refusals=0
	size=$(stat -c %s "$CORE")
	step=$((size / 40))
	for ((cut = 0; cut < size; cut += step)); do
		truncate -s "$((size - 1 - cut))" "$CORE"
		gs_report --core="$CORE"
		output=$(<"$REPORT")
		case $status in
		1)
			assert_fails_cleanly
			refusals=$((refusals + 1)) ;;
		3)
			assert_regex "${stderr%%$'\n'*}" "the core file is cut short: [0-9]+ bytes"
			assert_no_problems 'cut_problems($live[0])' --slurpfile live "$LIVE"
			reports=$((reports + 1)) ;;
		*)
			fail "status $status with $cut bytes less: $stderr" ;;
		esac
	done
	((reports > 0 && refusals > 0)) || fail "$reports reports, $refusals refusals"
}

# filtered MASK: a core of what the mask of core(5) lets through.
filtered() {
	core_victim bash -c 'echo "$1" >/proc/self/coredump_filter && shift && exec "$@"' _ \
		"$@" "$MKHEAP" one-chunk
	kernel_core
	gs inspect -J --core="$CORE"
}

@test "a core of which much was left out" {
	need_kernel_core
	filtered 0x23	# no ELF headers
	assert_fails_cleanly
	assert_regex "$stderr" "has no ELF headers"
	assert_regex "$stderr" $'\n''glibcstall: hint: .*coredump_filter'
	filtered 0x10	# nothing else
	assert_fails_cleanly
	filtered 0x7f	# everything
	assert_equal "$status" 0
}

@test "what is no core is refused" {
	local file
	cd "$BATS_TEST_TMPDIR"
	mkfifo fifo
	mkdir directory
	: >empty
	echo "this is no core file, it is a text" >text
	for file in fifo directory empty text "$MKHEAP" /dev/null no-such-file $'odd\nname'; do
		gs inspect -J --core="$file"
		assert_fails_cleanly
	done
	assert_regex "$stderr" "^glibcstall: inspect: odd\?name: "
}

@test "nobody who runs today is asked about the threads of a core" {
	need strace
	need_kernel_core
	core_victim "$MKHEAP" many-arenas threads=2
	kernel_core
	local log=$BATS_TEST_TMPDIR/strace.log
	strace -f -o "$log" "$GLIBCSTALL" inspect -J --core="$CORE" >/dev/null 2>&1 3>&-
	run grep -c pread "$log"	# it saw what there was to see
	assert_success
	run grep -nE '(get_robust_list|ptrace|process_vm_readv|pidfd_open|kill)\(' "$log"
	assert_failure
	run grep -nE '"/proc/[0-9]+' "$log"
	assert_failure
	run grep -nE 'open(at)?\(.*O_(RDWR|WRONLY)' "$log"
	assert_failure
}
