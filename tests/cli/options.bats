#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Options, help, messages and exit statuses that need no process to look at.

load "$top_srcdir/tests/lib/helpers"

setup()
{
	# No process has the highest possible PID plus one.
	nobody=$(($(cat /proc/sys/kernel/pid_max) + 1))
}

# The command is wrong usage: status 2, nothing on stdout, where help is on stderr.
assert_usage()
{
	local message=$1
	shift
	run -2 --separate-stderr "$GLIBCSTALL" "$@"
	assert_output ''
	assert_equal "${stderr_lines[0]}" "$message"
	[[ ${stderr_lines[-1]} == "Try 'glibcstall "*"--help' for more information." ]]
}

@test "no command: short usage on stderr" {
	run -2 --separate-stderr "$GLIBCSTALL"
	assert_output ''
	assert_regex "${stderr_lines[0]}" '^Usage: glibcstall '
}

@test "help is the same however it is asked for" {
	run -0 --separate-stderr "$GLIBCSTALL" inspect --help
	assert_equal "$stderr" ''
	assert_line --partial 'Usage: glibcstall inspect'
	help=$output
	for words in 'help inspect' 'inspect -h' 'inspect 1 --help'; do
		run -0 "$GLIBCSTALL" $words
		assert_output "$help"
	done
	run -0 "$GLIBCSTALL" --help
	help=$output
	for words in help -h; do
		run -0 "$GLIBCSTALL" $words
		assert_output "$help"
	done
}

@test "help lists the commands and every exit status" {
	run -0 "$GLIBCSTALL" --help
	assert_line --regexp '^ inspect  '
	assert_line --regexp '^ help  '
	run -0 "$GLIBCSTALL" inspect --help
	for status in '0 complete' '1 could not' '2 wrong usage' '3 partial' '4 --fail-above'; do
		assert_output --partial "$status"
	done
}

@test "the version names the program and what it was built with" {
	for words in --version -V 'inspect --version' 'help -V'; do
		run -0 "$GLIBCSTALL" $words
		assert_line --index 0 --regexp '^glibcstall [0-9]+\.[0-9]+\.[0-9]+$'
		assert_line --index 1 --regexp '^built with elfutils [0-9.]+, libsmartcols '
	done
}

@test "command names are exact" {
	assert_usage "glibcstall: unknown command 'insp'" insp
	assert_usage "glibcstall: unknown command 'INSPECT'" INSPECT
	assert_usage "glibcstall: help: unknown command 'frob'" help frob
	assert_usage 'glibcstall: help: too many arguments' help inspect inspect
}

@test "wrong options are usage errors" {
	assert_usage "glibcstall: unrecognized option '--frob'" --frob inspect
	assert_usage "glibcstall: inspect: unrecognized option '--frob'" inspect --frob 1
	assert_usage "glibcstall: inspect: invalid option -- 'z'" inspect -z
	assert_usage "glibcstall: inspect: option '--pid' requires an argument" inspect --pid
	assert_usage "glibcstall: inspect: option '--json' doesn't allow an argument" \
		inspect --json=yes
	assert_usage 'glibcstall: inspect: no PID given' inspect
	assert_usage 'glibcstall: inspect: no PID given' inspect --json
}

@test "wrong PIDs are usage errors" {
	for pid in '' 0 -0 1x x ' 1' +1 1.0 0x1 2147483648 99999999999999999999; do
		assert_usage "glibcstall: inspect: invalid PID '$pid'" inspect -- "$pid"
		assert_usage "glibcstall: inspect: invalid argument '$pid' of --pid" \
			inspect --pid="$pid"
	done
}

@test "wrong arguments are usage errors" {
	for argument in format=xml format= color=sometimes width=39 width=x width=-50 arena=-1 \
		arena= arena=main fail-above=101% fail-above=x fail-above=-5 fail-above=; do
		option=${argument%%=*} value=${argument#*=}
		assert_usage "glibcstall: inspect: invalid argument '$value' of --$option" \
			inspect "--$argument" 1
	done
}

@test "an unknown column is a usage error that lists the columns" {
	run -2 --separate-stderr "$GLIBCSTALL" inspect -o arena,frob 1
	assert_output ''
	assert_regex "${stderr_lines[0]}" '^glibcstall: inspect: .*frob'
	assert_regex "${stderr_lines[1]}" '^glibcstall: hint: '
	assert_equal "${#stderr_lines[@]}" 3
}

@test "options that contradict each other are usage errors" {
	while read -r a b name_a name_b; do
		for words in "$a $b" "$b $a"; do
			assert_usage "glibcstall: inspect: $name_a and $name_b exclude each other" \
				inspect $words 1
		done
	done <<-'END'
	-J -oarena --json --output
	--format=json -oarena --json --output
	-J --output-all --json --output-all
	-J -r --json --raw
	-J -P --json --pairs
	-J --noheadings --json --noheadings
	-J --summary --json --summary
	-J --arena=0 --json --arena
	-oarena --output-all --output --output-all
	-r -P --raw --pairs
	--summary -oarena --summary --output
	--summary --arena=0 --summary --arena
	--summary --all-heaps --summary --all-heaps
	--all-heaps -r --all-heaps --raw
	END
}

@test "a core goes with no process" {
	message='glibcstall: inspect: --core and PIDs exclude each other'
	for words in '--core=x 1' '1 --core x' '--core=x -p1'; do
		assert_usage "$message" inspect $words
	done
	for option in --stop --fail-above=1M; do
		message="glibcstall: inspect: --core and ${option%=*} exclude each other"
		assert_usage "$message" inspect --core=x $option
		assert_usage "$message" inspect $option --core=x
	done
	assert_usage 'glibcstall: inspect: --exe needs --core' inspect --exe=x 1
	assert_usage "glibcstall: inspect: invalid argument '' of --core" inspect --core=
	assert_usage "glibcstall: inspect: invalid argument '' of --exe" inspect --core=x --exe=
}

@test "the last format wins" {
	run -1 "$GLIBCSTALL" inspect -J --format=text --summary "$nobody"
	refute_output --partial exclude
}

@test "the columns are listed without a process" {
	for words in -H --list-columns '-H 1'; do
		run -0 --separate-stderr "$GLIBCSTALL" inspect $words
		assert_equal "$stderr" ''
		assert_line --regexp '^[A-Za-z_%-]+ +[a-z]'
		[ "${#lines[@]}" -ge 10 ]
	done
}

@test "a process that does not exist: one line, status 1, nothing on stdout" {
	for words in '' -J -r --stop --summary; do
		run -1 --separate-stderr "$GLIBCSTALL" inspect $words "$nobody"
		assert_output ''
		assert_regex "${stderr_lines[0]}" "^glibcstall: inspect: $nobody: [a-z]"
		refute_regex "${stderr_lines[0]}" '\.$'
		[ "${#stderr_lines[@]}" -le 2 ]
	done
}

@test "--quiet does not hide errors" {
	run -1 --separate-stderr "$GLIBCSTALL" inspect -q "$nobody"
	assert_regex "$stderr" "^glibcstall: inspect: $nobody: "
}

@test "every PID is tried, operands and --pid alike" {
	run -1 --separate-stderr "$GLIBCSTALL" inspect "$nobody" -p $((nobody + 1)) \
		--pid=$((nobody + 2))
	for pid in "$nobody" $((nobody + 1)) $((nobody + 2)); do
		assert_regex "$stderr" "inspect: $pid: "
	done
}

@test "output that cannot be written is an error" {
	run -1 --separate-stderr bash -c '"$GLIBCSTALL" --help >/dev/full'
	assert_equal "$stderr" \
		'glibcstall: cannot write to standard output: No space left on device'
	run -1 --separate-stderr bash -c '"$GLIBCSTALL" --help >&-'
	assert_equal "$stderr" 'glibcstall: cannot write to standard output: Bad file descriptor'
}

@test "a closed pipe ends it quietly, also where SIGPIPE was ignored" {
	for trap in ':' 'trap "" PIPE'; do
		# The reader is gone before the program starts, so its write must fail.
		run -141 --separate-stderr bash -c "$trap"'
			exec 3> >(exec true); wait $!; exec "$GLIBCSTALL" --help >&3'
		assert_equal "$stderr" ''
	done
}

@test "messages carry no control characters" {
	run -2 --separate-stderr "$GLIBCSTALL" inspect $'1\e[2Jx'
	assert_equal "${stderr_lines[0]}" "glibcstall: inspect: invalid PID '1?[2Jx'"
}
