#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# What an older kernel does not have, and what an ordinary user may not do, changes no number.

load ../lib/helpers

setup() {
	need jq
}

teardown() {
	victim_kill
	[[ ! ${PUBLIC_DIR:-} ]] || rm -rf "$PUBLIC_DIR"
}

# same_numbers COMMAND…: run as prefix of the program, it reports what the victim's truth says.
same_numbers() {
	local option
	REPORT=$BATS_TEST_TMPDIR/report.json
	for option in -- --stop; do
		run --separate-stderr "$@" inspect -J "$option" "$VICTIM_PID"
		assert_equal "$stderr" ""
		assert_equal "$status" 0
		echo "$output" >"$REPORT"
		assert_no_problems 'adds_up_problems, hole_problems, malloc_info_problems($truth),
			mallinfo_problems($truth), tcache_problems($truth),
			range_problems($truth)' --argjson truth "$VICTIM_TRUTH"
	done
	victim_is_well
}

# without CALL ERROR: what to run the program with so that this system call does not exist.
without() {
	need strace
	LOG=$BATS_TEST_TMPDIR/strace.log
	WITHOUT=(strace -o "$LOG" -e "trace=$1" -e "inject=$1:error=$2" "$GLIBCSTALL")
}

@test "a kernel without PAGEMAP_SCAN" {
	without ioctl ENOTTY
	victim_start trimmed mb=24
	same_numbers "${WITHOUT[@]}"
	run grep -c INJECTED "$LOG"
	assert_success
}

@test "a kernel without pidfds" {
	without pidfd_open ENOSYS
	victim_start many-arenas threads=2
	same_numbers "${WITHOUT[@]}"
	run grep -c INJECTED "$LOG"
	assert_success
}

@test "an ordinary user and a process of the same user" {
	[[ $EUID == 0 ]] || skip "only root can become another user"
	need setpriv
	# somewhere that everybody can reach
	PUBLIC_DIR=$(mktemp -d)
	chmod 755 "$PUBLIC_DIR"
	install -m 755 "$GLIBCSTALL" "$PUBLIC_DIR/glibcstall"
	install -m 755 "$MKHEAP" "$PUBLIC_DIR/mkheap"
	local user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
	victim_run "${user[@]}" "$PUBLIC_DIR/mkheap" many-arenas threads=2
	assert_equal "$(stat -c %u "/proc/$VICTIM_PID")" 65534
	same_numbers "${user[@]}" "$PUBLIC_DIR/glibcstall"
}
