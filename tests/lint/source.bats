#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What every file of the project has to be.

load "$top_srcdir/tests/lib/helpers"

setup()
{
	cd "$top_srcdir"
}

# The C files and scripts of the project.
sources()
{
	find src tests -name '*.[ch]' -o -name '*.bats' -o -name '*.bash'
	find src/completions -type f
	ls quickstart .ci/run configure.ac Makefile.am
}

@test "every file says its licence in the first line, or after the interpreter's" {
	bad=$(sources | while read -r file; do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: GPL-3.0-or-later' ||
			echo "$file"
	done)
	assert_equal "$bad" ''
}

@test "every header compiles alone, with the include guard of its path" {
	bad=$(find src -name '*.h' | sort | while read -r header; do
		path=${header#src/}
		guard=GS_$(echo "${path%.h}" | tr 'a-z/' 'A-Z_')_H
		grep -q "^#ifndef $guard\$" "$header" || echo "$header: no guard $guard"
		echo "#include \"$path\"" |
			${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Isrc -fsyntax-only -Wall -Wextra \
				-Werror -Wno-unused-parameter -x c - 2>&1 || echo "$header"
	done)
	assert_equal "$bad" ''
}

@test "no line has more than 100 columns" {
	# A completion's specification is one word, however long.
	bad=$(sources | grep -v /_glibcstall | xargs wc -L |
		awk '$2 != "total" && $1 > 100 { print $2 ": " $1 }')
	assert_equal "$bad" ''
}

@test "no line ends with blanks" {
	bad=$(sources | xargs grep -nE '[[:blank:]]+$' || :)
	assert_equal "$bad" ''
}

@test "every file of src, tests and man is distributed" {
	[ -e .git ] || skip 'not a git work tree'
	make -s -C "$top_builddir" print-distfiles |
		sed -e "s|^$top_srcdir/||" -e 's|^\(\.\./\)*||' | sort -u >"$BATS_TEST_TMPDIR/dist"
	bad=$(git ls-files --cached --others --exclude-standard src tests man |
		while read -r file; do
			path=$file
			# A folder in the list covers what is below it.
			while [ "$path" != . ] && ! grep -qxF "$path" "$BATS_TEST_TMPDIR/dist"; do
				path=$(dirname "$path")
			done
			[ "$path" != . ] || [ ! -e "$file" ] || echo "$file"
		done)
	assert_equal "$bad" ''
}

@test "long files (a hint, never a failure)" {
	sources | xargs wc -l | awk '$2 != "total" && $1 > 600 {
		print "# " $2 ": " $1 " lines: which two things is it?" }' >&3
}
