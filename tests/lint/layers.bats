#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Which layer of src/ may include which, and to whom some system headers are reserved. A file
# directly in src/ is of the layer cmd. HACKING explains the layers.

load "$top_srcdir/tests/lib/helpers"

# breaches SRC: print each include that is not allowed.
breaches()
{
	cd "$1"
	find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs grep -EHn '^[ \t]*#[ \t]*include' |
	awk -F: '
	BEGIN {
		may["base"] = " "
		may["proc"] = " base "
		may["elf"] = " base proc "
		may["heap"] = " base proc elf "
		may["model"] = " base "
		may["trace"] = " base proc "
		may["collect"] = " base proc elf heap trace model "
		may["render"] = " base model "
		may["cmd"] = " base model collect render "
		owner["libelf.h"] = owner["gelf.h"] = owner["dwarf.h"] = "elf"
		owner["elfutils/"] = "elf"
		owner["sys/ptrace.h"] = "trace"
		owner["libsmartcols.h"] = owner["jansson.h"] = "render"
		owner["getopt.h"] = "cmd"
	}
	function layer(path) { return path ~ "/" ? substr(path, 1, index(path, "/") - 1) : "cmd" }
	function complain(what)
	{
		print "src/" $1 ":" $2 ": layer " layer($1) " may not include " what
	}
	{
		from = layer($1)
		match($0, /[<"][^>"]*[>"]/)
		mark = substr($0, RSTART, 1)
		header = substr($0, RSTART + 1, RLENGTH - 2)
		if (!(from in may))
			complain("anything: the layer is unknown")
		else if (mark == "\"") {
			to = layer(header)
			if (to != from && index(may[from], " " to " ") == 0)
				complain(header)
		} else {
			for (name in owner)
				if (index(header, name) == 1 && from != owner[name])
					complain("<" header ">: it is for " owner[name])
		}
	}'
}

@test "no file includes what its layer may not see" {
	run breaches "$top_srcdir/src"
	assert_success
	assert_output ''
}

@test "the check sees each kind of breach" {
	src=$BATS_TEST_TMPDIR/src
	mkdir -p "$src/base" "$src/render" "$src/strange"
	echo '#include "proc/maps.h"' >"$src/base/a.c"
	echo '# include <sys/ptrace.h>' >"$src/render/b.c"
	echo '#include <elfutils/libdwfl.h>' >"$src/render/c.h"
	echo '#include "base/err.h"' >"$src/strange/d.c"
	echo '#include "heap/walk.h"' >"$src/cmd_x.c"
	printf '#include <stdio.h>\n#include "base/err.h"\n' >"$src/render/fine.c"
	run breaches "$src"
	assert_equal "${#lines[@]}" 5
	assert_line --partial 'base may not include proc/maps.h'
	assert_line --partial 'render may not include <sys/ptrace.h>'
	assert_line --partial 'render may not include <elfutils/libdwfl.h>'
	assert_line --partial 'strange may not include anything'
	assert_line --partial 'cmd may not include heap/walk.h'
}
