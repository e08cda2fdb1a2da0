#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# What is in swap is counted there, and stays there. What a look at it would need is named.

load ../lib/helpers

setup_file() {
	export SWAP_FILE=$BATS_FILE_TMPDIR/swap
	SWAP_REFUSED=$(swap_on 2>&1) && SWAP_REFUSED=
	export SWAP_REFUSED
}

teardown_file() {
	swapoff "$SWAP_FILE" 2>/dev/null || true
	rm -f "$SWAP_FILE"
}

# A swap file of our own, preferred to all others. It may not have holes.
swap_on() {
	umask 077
	dd if=/dev/zero of="$SWAP_FILE" bs=1M count=96 status=none &&
		mkswap "$SWAP_FILE" >/dev/null && swapon -p 32767 "$SWAP_FILE"
}

setup() {
	need jq
	[[ ! $SWAP_REFUSED ]] || skip "no swap file: ${SWAP_REFUSED//$'\n'/, }"
}

teardown() {
	victim_kill
}

# page_states START END: a letter a page: P in memory, s in swap, - nowhere.
page_states() {
	dd if="/proc/$VICTIM_PID/pagemap" bs=8 skip=$(($1 / 4096)) \
		count=$((($2 - $1) / 4096)) status=none |
		od -An -v -t u1 -w8 |
		awk '{ printf "%s", ($8 >= 128 ? "P" : $8 >= 64 ? "s" : "-") }'
}

count_swapped() { # START END
	page_states "$1" "$2" | tr -cd s | wc -c
}

# The pages of the mappings whose lines in maps match $1 (an awk condition), and what is in swap.
footprint() {
	local range
	while read -r range; do
		printf '%s ' "$range"
		page_states "0x${range%-*}" "0x${range#*-}" | sha256sum
	done < <(awk "$1 { print \$1 }" "/proc/$VICTIM_PID/maps")
}

all_pages() {
	grep -E '^Vm(Swap|PTE):' "/proc/$VICTIM_PID/status"
	footprint '$2 ~ /^rw/'
}

# A thread that runs again has its own stack and TLS back, however it was stopped: those of all
# threads but the main one are in anonymous mappings that hold no heap.
heap_pages() {
	local start end
	footprint '/\[heap\]/'
	while read -r start end; do
		echo "$start $(page_states "$start" "$end" | sha256sum)"
	done < <(jq -r '.ranges[] | "\(.start) \(.end)"' <<<"$VICTIM_TRUTH")
}

# heap_range: sets HEAP_START and HEAP_END.
heap_range() {
	local range
	range=$(awk '/\[heap\]/ { print $1 }' "/proc/$VICTIM_PID/maps")
	HEAP_START=0x${range%-*} HEAP_END=0x${range#*-}
}

# A page that another processor still has in hand is passed over, so it may take several tries.
page_out() { # START END
	local range
	printf -v range '%x %x' "$1" "$2"
	is_out() {
		victim_ask "pageout $range"
		assert_equal "$VICTIM_REPLY" ok
		[[ $(page_states "$1" "$2") != *P* ]]
	}
	wait_for 20 is_out "$1" "$2"
	(($(count_swapped "$1" "$2") > 0)) || fail "nothing of $range is in swap"
}

# look_both COMMAND…: inspect live and stopped, run COMMAND on each report; no page comes back.
look_both() {
	local before heaps
	before=$(all_pages)
	heaps=$(heap_pages)
	gs_report "$VICTIM_PID"
	assert_equal "$(all_pages)" "$before"
	"$@"
	gs_report --stop "$VICTIM_PID"
	assert_equal "$(heap_pages)" "$heaps"
	"$@"
}

# The last report is partial, says why, and its accounts add up.
assert_partial() { # WHAT THE WARNINGS SAY
	assert_equal "$status" 3
	assert_regex "$stderr" "$1"
	assert_no_problems 'adds_up_problems, differ("complete"; .capture.complete; false),
		differ("passes"; .capture.passes; 1),
		problem(.warnings | all(test("swap")) | not; "other warnings: \(.warnings)")'
	assert_no_problems 'problem(.warnings | any(test($what)) | not; "not in \(.warnings)")' \
		--arg what "$1"
}

assert_counted() {
	local swapped
	assert_equal "$stderr" ""
	assert_equal "$status" 0
	swapped=$(($(count_swapped "$HEAP_START" "$HEAP_END") * 4096))
	assert_no_problems 'adds_up_problems, malloc_info_problems($truth),
		mallinfo_problems($truth), hole_problems,
		(.arenas[0] | differ("swapped"; .swapped_bytes; $swapped),
			differ("stalled in swap"; .stalled_swapped_bytes; $swapped)),
		differ("of all"; .totals.stalled_swapped_bytes; $swapped),
		problem(.target.swap_bytes < $swapped; "the process has less in swap")' \
		--argjson truth "$VICTIM_TRUTH" --argjson swapped "$swapped"
}

@test "free pages in swap are counted as such" {
	victim_start stall mb=20 heaps=3
	heap_range
	# whole pages within the one large free chunk
	page_out $((HEAP_START + (1 << 20))) $((HEAP_START + (19 << 20)))
	look_both assert_counted
	victim_is_well
}

assert_some_unsettled() {
	assert_partial 'chunk headers are in swap'
	assert_no_problems '.totals.unsettled_bytes | problem(. < 1040000 or . > 2e6;
			"\(.) unsettled of 1 MiB in swap"),
		differ("stable"; [ $report.arenas[].heaps[].stable ]; [ false, true ]),
		differ("system"; [ $report.arenas[].system_bytes ];
		       [ $truth.arenas[].system_bytes ])' \
		--argjson truth "$VICTIM_TRUTH" --argjson report "$(<"$REPORT")"
}

@test "chunk headers in swap leave their stretch unsettled" {
	victim_start fragmented blocks=5000
	heap_range
	page_out $((HEAP_START + (1 << 20))) $((HEAP_START + (2 << 20)))
	look_both assert_some_unsettled
	victim_is_well
}

assert_main_unsettled() {
	assert_partial 'chunk headers are in swap'
	assert_no_problems '.arenas[0]
		| differ("mapped"; .mapped_bytes; $truth.arenas[0].system_bytes),
		differ("resident"; .resident_bytes; 0),
		problem(.mapped_bytes - .unsettled_bytes > 4096; "\(.unsettled_bytes) unsettled")' \
		--argjson truth "$VICTIM_TRUTH"
	assert_no_problems '.arenas[1:][] | arena_problems($truth.arenas[.index])' \
		--argjson truth "$VICTIM_TRUTH"
}

@test "a main arena that is wholly in swap" {
	victim_start stall mb=20 heaps=3
	heap_range
	page_out "$HEAP_START" "$HEAP_END"
	look_both assert_main_unsettled
	victim_is_well
}

assert_arena_unknown() {
	assert_partial 'arena 2 is in swap'
	assert_no_problems 'differ("arenas"; .arenas | length; 3),
		(.arenas[:2][] | arena_problems($truth.arenas[.index]))' \
		--argjson truth "$VICTIM_TRUTH"
}

@test "a thread arena that is in swap hides the older ones" {
	victim_start many-arenas threads=4
	gs_report "$VICTIM_PID"
	local heap
	heap=$(report '.arenas[2].heaps[0].address')
	page_out "$heap" $((heap + 4096))
	look_both assert_arena_unknown
	victim_is_well
}

assert_heaps_unknown() {
	assert_partial 'arena 1: some of its memory is not known'
	assert_no_problems '.arenas[1] | differ("positions"; [ .heaps[].position ];
			[ "first", "interior", "last" ]),
		differ("system"; .system_bytes; $truth.arenas[1].system_bytes),
		problem(.unlocated_bytes < 64 * 1048576; "only \(.unlocated_bytes) unlocated")' \
		--argjson truth "$VICTIM_TRUTH"
}

@test "a heap whose heap_info is in swap hides the older ones" {
	victim_start stall mb=20 heaps=5
	gs_report "$VICTIM_PID"
	local heap
	heap=$(report '.arenas[1].heaps[2].address')
	page_out "$heap" $((heap + 4096))
	look_both assert_heaps_unknown
	victim_is_well
}

assert_tcache_unknown() {
	assert_partial 'threads are not known'
	assert_no_problems 'differ("mapped"; .totals.mapped_bytes;
			[ $truth.arenas[].system_bytes ] | add),
		(.arenas[] | differ("system"; .system_bytes;
			$truth.arenas[.index].system_bytes))' --argjson truth "$VICTIM_TRUTH"
}

@test "threads whose TLS is in swap are named as unknown" {
	victim_start tcache-heavy threads=2
	local range before
	# a stack, with the TLS at its end, begins behind a guard page; so may a heap, at 64 MiB
	while read -r range; do
		page_out "0x${range%-*}" "0x${range#*-}"
	done < <(awk '$2 == "rw-p" && $6 == "" && $1 !~ /000000-/ &&
			guard == substr($1, 1, index($1, "-") - 1) { print $1 }
		{ guard = $2 == "---p" ? substr($1, index($1, "-") + 1) : "" }' \
		"/proc/$VICTIM_PID/maps")
	before=$(all_pages)
	gs_report "$VICTIM_PID"
	assert_equal "$(all_pages)" "$before"
	assert_tcache_unknown
	victim_is_well
}

@test "malloc's own variables in swap: refused, and told why" {
	victim_start one-chunk
	gs_report "$VICTIM_PID"
	local page before
	page=$(($(report '.arenas[0].address') & ~4095))
	page_out "$page" $((page + 4096))
	before=$(all_pages)
	gs inspect -J "$VICTIM_PID"
	assert_equal "$(all_pages)" "$before"
	assert_fails_cleanly
	assert_regex "$stderr" 'in swap'
	victim_is_well
}
