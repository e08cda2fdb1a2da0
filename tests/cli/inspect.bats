#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What inspect does with its processes as a command: formats, limits, several PIDs, statuses.

load "$top_srcdir/tests/lib/helpers"

setup()
{
	nobody=$(($(cat /proc/sys/kernel/pid_max) + 1))
	victim_start stall
}

teardown()
{
	victim_kill
}

@test "a report begins with the program" {
	run -0 --separate-stderr "$GLIBCSTALL" inspect "$VICTIM_PID"
	assert_equal "$stderr" ''
	assert_line --index 0 --partial "[$VICTIM_PID]"
}

@test "--pid is the same as an operand, options may follow operands" {
	for words in "$VICTIM_PID -r --noheadings -oarena" \
		"-r --noheadings -o arena --pid=$VICTIM_PID" \
		"-p $VICTIM_PID -r --noheadings -o arena"; do
		run -0 "$GLIBCSTALL" inspect $words
		assert_line main
	done
}

@test "one process in JSON is indented, several are one a line" {
	need jq
	run -0 "$GLIBCSTALL" inspect --format=json "$VICTIM_PID"
	assert_equal "${lines[0]}" '{'
	assert_equal "$(jq .target.pid <<<"$output")" "$VICTIM_PID"
	run -0 "$GLIBCSTALL" inspect -J "$VICTIM_PID" "$VICTIM_PID"
	assert_equal "${#lines[@]}" 2
	for line in "${lines[@]}"; do
		assert_equal "$(jq .target.pid <<<"$line")" "$VICTIM_PID"
	done
}

@test "JSON goes out whole or not at all, also beside a process that fails" {
	need jq
	run -1 --separate-stderr "$GLIBCSTALL" inspect -J "$nobody" "$VICTIM_PID" "$nobody"
	assert_equal "${#lines[@]}" 1
	assert_equal "$(jq .target.pid <<<"$output")" "$VICTIM_PID"
	assert_equal "$(grep -c "^glibcstall: inspect: $nobody: " <<<"$stderr")" 2
}

@test "reports of several processes are separated by an empty line" {
	run -0 --keep-empty-lines "$GLIBCSTALL" inspect --summary "$VICTIM_PID" "$VICTIM_PID"
	second=$(grep -nF "[$VICTIM_PID]" <<<"$output" | sed -n '2s/:.*//p')
	assert_equal "${lines[second - 2]}" ''
	run -1 --separate-stderr --keep-empty-lines "$GLIBCSTALL" inspect --summary "$nobody" \
		"$VICTIM_PID"
	assert_line --index 0 --partial "[$VICTIM_PID]"
}

@test "--fail-above compares the size, or the share of RSS" {
	# The victim holds some 400M, nearly all of it for nothing.
	for limit in 1 100M 0.1G 50% 0% 90.5%; do
		run -4 --separate-stderr "$GLIBCSTALL" inspect --fail-above=$limit "$VICTIM_PID"
		assert_line --index 0 --partial "[$VICTIM_PID]"
		assert_regex "$stderr" \
			"^glibcstall: inspect: $VICTIM_PID: [0-9.]+[MG] stalled, more than "
	done
	for limit in 1G 4T 100%; do
		run -0 --separate-stderr "$GLIBCSTALL" inspect --fail-above=$limit "$VICTIM_PID"
		assert_equal "$stderr" ''
	done
	run -4 --separate-stderr "$GLIBCSTALL" inspect --quiet --fail-above=1M "$VICTIM_PID"
	assert_equal "$stderr" ''
}

@test "of several processes the worst status counts" {
	run -1 "$GLIBCSTALL" inspect --fail-above=1M "$VICTIM_PID" "$nobody"
	run -1 "$GLIBCSTALL" inspect --fail-above=1M "$nobody" "$VICTIM_PID"
	run -4 "$GLIBCSTALL" inspect --fail-above=1M $$ "$VICTIM_PID"
	run -4 "$GLIBCSTALL" inspect --fail-above=1M "$VICTIM_PID" $$
}

@test "--arena shows that arena only, and one that is not there is an error" {
	run -0 "$GLIBCSTALL" inspect --arena=0 -r --noheadings -o arena "$VICTIM_PID"
	assert_line main
	refute_line '#1'
	run -0 "$GLIBCSTALL" inspect --arena=1 -r --noheadings -o arena "$VICTIM_PID"
	assert_line '#1'
	refute_line main
	for words in '' -r; do
		gs inspect --arena=99 $words "$VICTIM_PID"
		assert_fails_cleanly
		assert_regex "$stderr" 'no arena 99'
	done
}

@test "the report fits the width asked for" {
	for width in 60 80 132; do
		run -0 "$GLIBCSTALL" inspect --width=$width --ascii "$VICTIM_PID"
		assert_output --partial 'STALLED, BY WHERE IT SITS'
		# Commands to copy are never cut, and paragraphs are the renderer's tests.
		refute_line --regexp "^[^ ].{$width}"
	done
}

@test "colour only where it is asked for" {
	escape=$'\e['
	for words in '' --color=auto --color=never; do
		run -0 "$GLIBCSTALL" inspect $words "$VICTIM_PID"
		refute_output --partial "$escape"
	done
	for words in --color --color=always; do
		run -0 "$GLIBCSTALL" inspect $words "$VICTIM_PID"
		assert_output --partial "$escape"
	done
}

@test "--ascii writes ASCII" {
	run -0 "$GLIBCSTALL" inspect --ascii --color=never "$VICTIM_PID"
	run env LC_ALL=C grep -c '[^ -~]' <<<"$output"
	assert_output 0
}

@test "output that cannot be written is an error, and the victim is well" {
	run -1 --separate-stderr bash -c '"$GLIBCSTALL" inspect "$1" >/dev/full' _ "$VICTIM_PID"
	assert_equal "$stderr" \
		'glibcstall: cannot write to standard output: No space left on device'
	run -1 --separate-stderr bash -c '"$GLIBCSTALL" inspect "$1" >&-' _ "$VICTIM_PID"
	assert_equal "$stderr" 'glibcstall: cannot write to standard output: Bad file descriptor'
	victim_is_well
	victim_stop
}
