#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# Looking changes nothing: what is resident before an inspect is resident after it, and no more.

load ../lib/helpers

setup() {
	need jq
}

teardown() {
	victim_kill
}

# Every mapping with its resident, anonymous and swapped memory, and the size of the page tables.
# (Shares of file pages are left out: they depend on who else maps the file.)
footprint() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { range = $1 " " $2 }
		/^(Rss|Anonymous|Swap|AnonHugePages|Locked):/ { print range, $1, $2 }' \
		"/proc/$VICTIM_PID/smaps"
	grep -E '^(Rss|Anonymous|Swap):' "/proc/$VICTIM_PID/smaps_rollup"
	grep -E '^(VmSize|VmPTE|VmSwap|Threads):' "/proc/$VICTIM_PID/status"
}

# The pages of [heap] and of everything else anonymous that have an entry in the page table, page
# by page: the shared zero page is in no sum of smaps, but it is seen here.
present_pages() {
	local range first count
	while read -r range; do
		first=$((0x${range%-*} / 4096))
		count=$((0x${range#*-} / 4096 - first))
		printf '%s ' "$range"
		# bit 63: present, bit 62: swapped; the frame number may change by itself
		dd if="/proc/$VICTIM_PID/pagemap" bs=8 skip="$first" count="$count" status=none |
			od -An -v -t u1 -w8 | awk '{ printf "%d", $8 >= 64 }' | sha256sum
	done < <(awk '$2 ~ /^rw/ && ($6 == "" || $6 == "[heap]") { print $1 }' \
		"/proc/$VICTIM_PID/maps")
}

# unchanged SCENARIO…: two inspects each way leave the victim as it was.
unchanged() {
	local before pages truth option
	victim_start "$@"
	victim_is_well
	victim_ask truth
	truth=$VICTIM_REPLY
	before=$(footprint)
	pages=$(present_pages)
	for option in -- --stop -- --stop; do
		gs_report "$option" "$VICTIM_PID"
		assert_equal "$status" 0
		assert_equal "$(footprint)" "$before"
		assert_equal "$(present_pages)" "$pages"
	done
	victim_ask truth
	assert_equal "$VICTIM_REPLY" "$truth"
	victim_is_well
	victim_stop
}

@test "a heap at rest is left as it was" {
	unchanged many-arenas
	unchanged mmapped
	unchanged brk-blocked
	unchanged full-heap
}

@test "pages that malloc_trim released stay released" {
	unchanged trimmed mb=24
}

@test "a process that never used malloc still has not" {
	unchanged fresh
}

@test "the idle heaps of a stall stay as they are" {
	unchanged stall mb=20 heaps=3
}

@test "no signal, stop or new thread reaches the target of a live inspect" {
	need strace
	victim_start many-arenas threads=2
	local log=$BATS_TEST_TMPDIR/strace.log
	strace -f -o "$log" "$GLIBCSTALL" inspect -J "$VICTIM_PID" >/dev/null 2>&1 3>&-
	run grep -c 'process_vm_readv(' "$log"	# it saw what there was to see
	assert_success
	run grep -nE '(ptrace|process_vm_writev|process_madvise|pidfd_send_signal|tkill)\(' "$log"
	assert_failure
	run grep -nE "[^a-z]kill\\($VICTIM_PID," "$log"
	assert_failure
	# nothing at all is opened for writing
	run grep -nE 'open(at)?\(.*O_(RDWR|WRONLY)' "$log"
	assert_failure
}
