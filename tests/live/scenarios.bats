#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# Every heap that mkheap can build, inspected live and stopped: the numbers must be glibc's own.

load ../lib/helpers

setup() {
	need jq
}

teardown() {
	victim_kill
}

assert_resident() {
	local problems
	problems=$(resident_problems)
	[[ -z $problems ]] || fail "$problems"
}

assert_report() { # live | stopped
	assert_equal "$stderr" ""
	assert_equal "$status" 0
	assert_no_problems "complete_problems(\"$1\")"
	assert_no_problems adds_up_problems
	assert_no_problems 'malloc_info_problems($truth), mallinfo_problems($truth)' \
		--argjson truth "$VICTIM_TRUTH"
	assert_no_problems 'tcache_problems($truth), range_problems($truth)' \
		--argjson truth "$VICTIM_TRUTH"
	assert_resident
}

# inspect_both SCENARIO…: start it and look at it both ways. The last report is the live one.
inspect_both() {
	victim_start "$@"
	gs_report --stop "$VICTIM_PID"
	assert_report stopped
	assert_no_problems 'problem(.capture.pause_ns <= 0; "no pause was measured")'
	gs_report "$VICTIM_PID"
	assert_report live
	assert_no_problems 'differ("pause"; .capture.pause_ns; null)'
	victim_is_well
	victim_ask truth
	assert_equal "$VICTIM_REPLY" "$VICTIM_TRUTH"
}

# assert_facts FILTER: jq problems of the last report, with $truth and $facts.
assert_facts() {
	assert_no_problems "\$truth.facts as \$facts | $1" --argjson truth "$VICTIM_TRUTH"
}

@test "fresh: malloc was never used" {
	victim_start fresh
	local option
	for option in --stop --; do
		gs_report "$option" "$VICTIM_PID"
		assert_equal "$status" 0
		assert_no_problems adds_up_problems
		assert_no_problems untouched_problems
	done
	run grep -F '[heap]' "/proc/$VICTIM_PID/maps"
	assert_failure
	victim_is_well
}

@test "one-chunk" {
	inspect_both one-chunk
	assert_no_problems hole_problems
	# the chunk asked for and the main thread's tcache
	assert_facts '.totals | differ("live chunks"; .live_chunks; 2)'
}

@test "one-chunk of every kind of size" {
	local size
	for size in 0 24 25 1032 1033 4072 65536 131000; do
		inspect_both one-chunk "size=$size"
		victim_stop
	done
}

@test "stall" {
	inspect_both stall
	assert_no_problems hole_problems
	assert_facts '
		.arenas[0].heaps[-1].pin as $pin
		| differ("pin"; $pin.address; $facts.pin),
		  differ("pin size"; $pin.size_bytes; $facts.pin_bytes),
		  differ("pin state"; $pin.state; "live"),
		  differ("below the pin"; $pin.below_bytes; $facts.pin_below_bytes)'
	assert_facts '
		.arenas[1].heaps[-1].pin as $pin
		| differ("thread pin"; $pin.address; $facts.thread_pin),
		  differ("thread pin size"; $pin.size_bytes; $facts.thread_pin_bytes)'
	assert_facts '
		differ("positions"; [ .arenas[1].heaps[].position ];
		       [ "first", "interior", "interior", "interior", "last" ]),
		differ("idle"; [ .arenas[1].heaps[].idle ]; [ false, true, true, true, false ])'
	assert_facts '
		[ .findings[].id ] as $ids
		| problem($ids | index("pinned-top") == null; "no pinned-top in \($ids)"),
		  problem($ids | index("idle-heaps") == null; "no idle-heaps in \($ids)"),
		  problem($ids | index("healthy"); "called healthy")'
	assert_facts '
		[ .findings[] | select(.id == "pinned-top") | .evidence | .. | strings ]
		| problem(index($facts.pin) == null; "pinned-top does not name the pin: \(.)")'
	assert_facts '
		.totals | problem(.stalled_bytes < 400e6; "only \(.stalled_bytes) stalled"),
		problem(.reclaimable_bytes < 400e6; "only \(.reclaimable_bytes) reclaimable")'
}

@test "many-arenas" {
	inspect_both many-arenas
	assert_no_problems hole_problems
	assert_facts 'differ("arenas"; .arenas | length; 9)'
}

@test "more threads than arenas" {
	inspect_both many-arenas threads=40
	assert_no_problems hole_problems
	assert_facts 'differ("attached"; [ .arenas[].threads[] ] | length; 41)'
}

@test "fragmented" {
	inspect_both fragmented
	assert_no_problems hole_problems
	assert_facts '.totals | problem(.reclaimable_bytes > .stalled_bytes / 4; "too good")'
}

@test "tcache-heavy" {
	inspect_both tcache-heavy
	assert_no_problems hole_problems
	# every tcache is known here: the totals must be the sum of them
	assert_facts '
		differ("chunks"; .totals.free.tcache_chunks;
			[ $truth.threads[].tcache_chunks ] | add),
		differ("bytes"; .totals.free.tcache_bytes; [ $truth.threads[].tcache_bytes ] | add)'
}

@test "tcache-heavy, tcache_count=100" {
	inspect_both tcache-heavy tcache_count=100
	assert_facts 'differ("tcache_count"; .mallopt.tcache_count; 100)'
	assert_facts '
		differ("chunks"; .totals.free.tcache_chunks;
			[ $truth.threads[].tcache_chunks ] | add)'
}

@test "fastbin-heavy" {
	inspect_both fastbin-heavy
	assert_no_problems hole_problems
}

@test "fastbin-heavy, the largest sizes, without tcache" {
	inspect_both fastbin-heavy mxfast=160 tcache_count=0
	assert_facts 'differ("fastbins"; .totals.free.fastbin_chunks; 2430)'
	assert_facts 'differ("tcache"; .totals.free.tcache_chunks // 0; 0)'
}

# Lists too long to be followed one by one: their chunks are told by their links.
@test "fastbin-heavy, long lists" {
	inspect_both fastbin-heavy rounds=3000
	assert_facts '.totals.free | problem(.fastbin_chunks < 50000;
		"only \(.fastbin_chunks) in fastbins")'
	assert_no_problems hole_problems
}

@test "foreign-sbrk" {
	inspect_foreign bytes=1048576
	assert_no_problems hole_problems
}

@test "foreign-sbrk that is no multiple of a page" {
	inspect_foreign bytes=100001
}

# glibc counts the gaps as its own (system_bytes), but nothing of malloc lies in them.
inspect_foreign() {
	victim_start foreign-sbrk "$@"
	local option
	for option in --stop --; do
		gs_report "$option" "$VICTIM_PID"
		assert_equal "$status" 0
		assert_no_problems adds_up_problems
		assert_no_problems 'malloc_info_problems($truth), mallinfo_problems($truth)' \
			--argjson truth "$VICTIM_TRUTH"
		assert_facts 'foreign_problems($facts)'
		assert_resident
	done
	victim_is_well
}

@test "brk-blocked" {
	inspect_both brk-blocked
	assert_no_problems hole_problems
	assert_facts '.arenas[0] | problem(.heaps | length < 3; "few segments"),
		differ("positions"; [ .heaps[].position ] | unique; [ "segment" ])'
}

@test "mmapped" {
	inspect_both mmapped
	assert_facts 'differ("mmapped"; .mmapped.chunks; $facts.mmapped_chunks)'
	assert_facts '.mmapped | problem(.resident_bytes > .bytes; "more resident than mapped")'
}

@test "top-heavy" {
	inspect_both top-heavy
	assert_no_problems hole_problems
	assert_facts '
		[ .arenas[1:][].free.top_bytes ] | add
		| problem(. < $facts.thread_top_bytes; "tops hold only \(.)")'
	assert_facts '
		[ .findings[].id ]
		| problem(index("thread-top") == null; "no thread-top in \(.)")'
	assert_facts 'problem(.mallopt.mmap_threshold_bytes < 31e6; "threshold was raised")'
}

@test "full-heap" {
	inspect_both full-heap
	assert_facts '.arenas[1:][] |
		differ("positions"; [ .heaps[].position ]; [ "first", "last" ])'
}

@test "trimmed" {
	inspect_both trimmed
	assert_no_problems hole_problems
	assert_facts '
		.totals | problem(.returned_bytes < $facts.released_bytes;
				  "returned \(.returned_bytes) < \($facts.released_bytes)"),
		problem(.stalled_bytes > 4e6; "\(.stalled_bytes) still stalled")'
}

@test "threads-gone" {
	inspect_both threads-gone
	assert_no_problems hole_problems
	assert_facts '
		differ("attached"; [ .arenas[1:][].attached_threads ]; [ 0, 0, 0, 0, 0, 0 ]),
		differ("threads"; [ .arenas[1:][].threads[] ]; [])'
}

@test "after-fork" {
	inspect_both after-fork
	assert_no_problems hole_problems
	assert_facts 'differ("threads"; .target.threads; 1)'
	# what was in the lost tcaches looks live, and nothing tells it apart
	assert_facts '
		.totals | problem(.live_chunks < $truth.live.blocks + $facts.lost_tcache_chunks;
				  "\(.live_chunks) live chunks")'
}

@test "huge, a small one" {
	inspect_both huge chunks=900000 mb=180
	assert_no_problems hole_problems
	assert_facts 'differ("arenas"; .arenas | length; 9)'
}
