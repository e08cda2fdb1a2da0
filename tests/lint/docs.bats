#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The program, its help, its manual and its completions tell the same.

load "$top_srcdir/tests/lib/helpers"

# The long options of a command ("" for the program itself) that the program has.
long_options()
{
	"$GLIBCSTALL" ${1:+"$1"} --list-options | sed -n 's/^--//p'
}

# The options of a manual page as mdoc's Fl macros name them, one a line, dashes taken off.
page_options()
{
	grep -oE '\bFl -?[a-zA-Z][a-zA-Z-]*' "$1" | sed -e 's/^Fl -\{0,1\}//' | sort -u
}

page_of()
{
	echo "$top_srcdir/man/glibcstall${1:+-$1}.1"
}

# check_page COMMAND: its page has all its options, and no page has one that no command has.
check_page()
{
	local command=$1 page own=$BATS_TEST_TMPDIR/own any=$BATS_TEST_TMPDIR/any
	page=$(page_of "$command")

	"$GLIBCSTALL" ${command:+"$command"} --list-options | sed 's/^-*//' | sort -u >"$own"
	[ -s "$own" ]
	{
		"$GLIBCSTALL" --list-options
		"$GLIBCSTALL" inspect --list-options
	} | sed 's/^-*//' | sort -u >"$any"
	run comm -23 "$own" <(page_options "$page")
	assert_output ''
	run comm -13 "$any" <(page_options "$page")
	assert_output ''
}

@test "glibcstall(1) names the program's options, and none that does not exist" {
	check_page ''
}

@test "glibcstall-inspect(1) names the options of inspect, and none that does not exist" {
	check_page inspect
}

@test "the help shows every option" {
	for command in '' inspect help; do
		run "$GLIBCSTALL" ${command:+"$command"} --help
		assert_success
		for option in $(long_options "$command"); do
			assert_line --regexp "^ (-., |    )--$option([]= []|\$)"
		done
	done
}

@test "help fits 80 columns" {
	for command in '' inspect help; do
		run "$GLIBCSTALL" ${command:+"$command"} --help
		assert_success
		refute_line --regexp '.{81}'
	done
}

@test "bash completes every option of inspect" {
	run complete_bash glibcstall inspect --
	assert_success
	for option in $(long_options inspect); do
		assert_line -- "--$option"
	done
}

@test "zsh completes every option of inspect" {
	for option in $(long_options inspect); do
		run grep -cE -- "--$option[]=}[]" "$top_srcdir/src/completions/_glibcstall"
		refute_output 0
	done
}

@test "zsh completes no option that does not exist" {
	run bash -c 'grep -oE -- "--[a-z-]+[]=}[]" "$1" | grep -oE "[a-z][a-z-]*" | sort -u' _ \
		"$top_srcdir/src/completions/_glibcstall"
	assert_success
	for option in "${lines[@]}"; do
		run "$GLIBCSTALL" inspect --list-options
		assert_line -- "--$option"
	done
}

# complete_bash WORD...: what bash offers for the last word.
complete_bash()
{
	source "$top_srcdir/src/completions/glibcstall"
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_glibcstall "$GLIBCSTALL" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
	printf '%s\n' "${COMPREPLY[@]}"
}

@test "bash completes commands, formats and columns" {
	run complete_bash glibcstall ins
	assert_output inspect
	run complete_bash glibcstall inspect --format = j
	assert_output json
	run complete_bash glibcstall inspect -o ''
	first=$("$GLIBCSTALL" inspect -H | awk 'NR == 1 { print $1 }')
	[ -n "$first" ]
	assert_line "$first"
}

@test "NEWS tells of this version" {
	version=$("$GLIBCSTALL" --version | awk 'NR == 1 { print $2 }')
	run grep -c "^glibcstall $version" "$top_srcdir/NEWS"
	refute_output 0
}
