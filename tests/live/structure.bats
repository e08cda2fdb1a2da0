#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# What is found by structure alone is what symbols and debug information say.

load ../lib/helpers

SCENARIOS=(
	'fresh'
	'one-chunk'
	'stall mb=6 heaps=3'
	'many-arenas threads=10'
	'fragmented blocks=3000'
	'tcache-heavy threads=2'
	'tcache-heavy threads=2 tcache_count=30'
	'fastbin-heavy'
	'fastbin-heavy mxfast=160 tcache_count=0'
	'foreign-sbrk bytes=100001'
	'brk-blocked blocks=40'
	'mmapped'
	'top-heavy threads=2 mb=4'
	'full-heap threads=4'
	'trimmed mb=8'
	'threads-gone threads=3'
	'after-fork threads=2'
	'huge chunks=60000 mb=12 arenas=3'
)

setup() {
	need jq
	DEBUGINFOD_URLS=
	export DEBUGINFOD_URLS
}

teardown() {
	victim_kill
}

# A report without what depends on how and when it was made.
comparable() {
	report 'del(.time, .capture, .allocator.symbols, .allocator.checks, .allocator.debug_file,
		    .allocator.layout)' -S
}

@test "every scenario without symbols: the same report" {
	local scenario with
	victim_start one-chunk
	gs_report "$VICTIM_PID"
	[[ $(report .allocator.symbols) != structure ]] || skip "libc has no symbols here"
	victim_stop
	for scenario in "${SCENARIOS[@]}"; do
		# shellcheck disable=SC2086 # words
		victim_start $scenario
		gs_report --stop "$VICTIM_PID"
		assert_equal "$status:$stderr" 0:
		with=$(comparable)
		gs_report --stop --no-debuginfo "$VICTIM_PID"
		assert_equal "$status:$stderr" 0:
		assert_equal "$(comparable)" "$with"
		assert_no_problems '.allocator | differ("symbols"; .symbols; "structure"),
			differ("layout"; .layout; "table"),
			differ("debug file"; .debug_file; null)'
		victim_stop
	done
}

@test "every scenario against the debug information" {
	local scenario
	victim_start one-chunk
	gs_report --verify "$VICTIM_PID"
	[[ $stderr != *'cannot verify'* ]] || skip "libc has no debug information here"
	victim_stop
	for scenario in "${SCENARIOS[@]}"; do
		# shellcheck disable=SC2086 # words
		victim_start $scenario
		gs_report --verify "$VICTIM_PID"
		assert_equal "$status:$stderr" 0:
		victim_stop
	done
}

@test "without debug information --verify says that it could not" {
	need gcc
	gcc -D_GNU_SOURCE -std=gnu11 -O1 -static -pthread -o "$BATS_TEST_TMPDIR/mkheap" \
		"$top_srcdir"/tests/fixtures/mkheap*.c || skip "no static programs here"
	strip "$BATS_TEST_TMPDIR/mkheap"
	MKHEAP=$BATS_TEST_TMPDIR/mkheap
	victim_start one-chunk
	local option
	for option in -- --stop; do
		gs_report --verify "$option" "$VICTIM_PID"
		assert_equal "$status" 3
		assert_regex "$stderr" 'cannot verify the layout: '
		assert_no_problems 'differ("warnings"; .warnings | length; 1)'
	done
}

# The heap of this one is nothing, so that all is for finding it.
@test "finding it reads less than 4 MiB of a process with hundreds of mappings" {
	need python3
	python3 - <<-'END' >"$BATS_TEST_TMPDIR/out" 3>&- 4>&- &
		import mmap, signal
		kept = [mmap.mmap(-1, 8192) for i in range(400)]
		for m in kept:
		    m[0:3] = b'abc'
		    m[4096:4099] = b'abc'
		print('ready', flush=True)
		signal.pause()
	END
	VICTIM_PID=$!
	VICTIM_JOB=$!
	wait_for 20 grep -q ready "$BATS_TEST_TMPDIR/out"
	local heap
	gs_report --no-debuginfo "$VICTIM_PID"
	assert_equal "$status" 0
	heap=$(report '.totals.resident_bytes')
	report '"# \(.capture.duration_ns / 1e6) ms, \(.capture.bytes_read) bytes read"' >&3
	assert_no_problems 'problem(.capture.bytes_read - ($heap | tonumber) > 4194304;
		"\(.capture.bytes_read) bytes read for a heap of \($heap)")' --arg heap "$heap"
}
