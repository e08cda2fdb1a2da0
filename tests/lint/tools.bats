#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What other programs think of our files.

load "$top_srcdir/tests/lib/helpers"

@test "mandoc finds nothing in the manual pages" {
	need mandoc
	run mandoc -T lint -W warning "$top_srcdir"/man/*.[1-9]
	assert_output ''
	assert_success
}

@test "every page of a command has EXIT STATUS and EXAMPLES" {
	for page in "$top_srcdir"/man/*.1; do
		run cat "$page"
		assert_line '.Sh EXIT STATUS'
		assert_line '.Sh EXAMPLES'
	done
}

@test "shellcheck finds nothing in the scripts" {
	need shellcheck
	cd "$top_srcdir"
	run shellcheck quickstart .ci/run tests/matrix/fetch.bash
	assert_output ''
	assert_success
}

@test "the completion for bash is valid" {
	run bash -n "$top_srcdir/src/completions/glibcstall"
	assert_success
}

@test "the completion for zsh is valid" {
	need zsh
	run zsh -n "$top_srcdir/src/completions/_glibcstall"
	assert_success
}
