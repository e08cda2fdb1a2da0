#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# The victim itself: the tests are worth as much as what it says of its own heap.

load ../lib/helpers

setup() {
	need jq
}

teardown() {
	victim_kill
}

truth() {
	jq -e "$1" <<<"$VICTIM_TRUTH" >/dev/null || fail "not so: $1 in $VICTIM_TRUTH"
}

# $1: a line of /proc/PID/smaps of the [heap] mapping, in bytes
heap_rss() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { heap = /\[heap\]$/ }
		heap && $1 == "Rss:" { print $2 * 1024 }' \
		"/proc/$VICTIM_PID/smaps"
}

# The sums of malloc_info and of mallinfo2 tell of the same heap (DESIGN says how they read).
@test "every scenario tells the same truth twice, and its sources agree" {
	local scenario
	for scenario in one-chunk "stall mb=20 heaps=3" many-arenas fragmented tcache-heavy \
		fastbin-heavy foreign-sbrk brk-blocked mmapped top-heavy full-heap trimmed \
		threads-gone after-fork "huge chunks=90000 mb=18"; do
		# shellcheck disable=SC2086 # words
		victim_start $scenario
		victim_ask truth
		assert_equal "$VICTIM_REPLY" "$VICTIM_TRUTH"
		truth '.mallinfo.fordblks ==
			([.arenas[] | .fast_bytes + .rest_bytes - (.rest_count - 1)] | add)'
		truth '.mallinfo.arena == ([.arenas[].system_bytes] | add)'
		truth '.mallinfo.hblks == .totals.mmap_count and
			.mallinfo.hblkhd == .totals.mmap_bytes'
		truth '.totals.rest_count == ([.arenas[].rest_count] | add)'
		assert_equal "$(jq '.ranges[0].resident_bytes' <<<"$VICTIM_TRUTH")" "$(heap_rss)"
		victim_is_well
		victim_stop
	done
}

@test "fresh never used malloc" {
	victim_start fresh
	run grep -F '[heap]' "/proc/$VICTIM_PID/maps"
	assert_failure
	victim_is_well
	victim_stop
}

@test "the stall is what it is said to be" {
	victim_start stall
	truth '.totals.rest_bytes > 380e6'
	truth '.arenas[1].subheaps == 5 and .facts.idle_heaps == 3'
	truth '[.ranges[].resident_bytes] | add > 380e6'
}

@test "the burst of trimmed is free and gone" {
	victim_start trimmed
	truth '.facts.released_bytes > 100e6'
	truth '.mallinfo.fordblks > 100e6 and ([.ranges[].resident_bytes] | add) < 20e6'
}

@test "tcache-heavy holds no bins, fastbin-heavy holds fastbins of every class" {
	victim_start tcache-heavy
	truth '[.arenas[1:][] | .rest_count] == [1, 1, 1, 1]'
	truth '[.threads[1:][].tcache_chunks] | min > 200'
	victim_stop
	victim_start fastbin-heavy mxfast=160 tcache_count=0
	truth '[.arenas[].fast_count] == [810, 810, 810]'
	truth '[.threads[].tcache_chunks] == [0, 0, 0]'
}

@test "brk-blocked has memory outside [heap], in several mappings" {
	victim_start brk-blocked
	truth '.ranges[0].resident_bytes < .mallinfo.arena / 10'
}

@test "full-heap ends a heap with nothing left, and with 16 bytes more each" {
	victim_start full-heap
	truth '[.arenas[1:][].subheaps] == [2, 2, 2, 2]'
	truth '[.threads[1:][].tcache_chunks] == [0, 0, 1, 1]'
}

@test "mmapped chunks are as many as were asked for" {
	victim_start mmapped
	truth '.mallinfo.hblks == .facts.mmapped_chunks'
}

@test "a victim notices a damaged block" {
	need gdb
	victim_start one-chunk
	gdb -nx -q -batch -p "$VICTIM_PID" -ex 'set debuginfod enabled off' \
		-ex 'set {char} gs_workers[0].pool.blocks[0].p = 0' \
		-ex 'set {char} ((char *) gs_workers[0].pool.blocks[0].p + 1) = 0' \
		>/dev/null 2>&1 3>&-
	victim_ask echo
	assert_equal "$VICTIM_REPLY" bad
}

@test "wrong usage is refused" {
	run "$MKHEAP" no-such-scenario
	assert_failure 2
	run "$MKHEAP" stall nonsense=1
	assert_failure 2
	run "$MKHEAP" stall mb=much
	assert_failure 2
}
