# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154 # bats and make set the others
# What the tests share: victims, reports and waiting for a state.
#
# `make check` sets GLIBCSTALL (the program), top_srcdir and top_builddir.

bats_require_minimum_version 1.5.0
BATS_LIB_PATH=${BATS_LIB_PATH:+$BATS_LIB_PATH:}/usr/lib/bats:/usr/share/bats:/usr/lib
bats_load_library bats-support
bats_load_library bats-assert

MKHEAP=${MKHEAP:-$top_builddir/tests/fixtures/mkheap}

# Settings of the caller's environment would change what a victim's malloc does.
unset GLIBC_TUNABLES MALLOC_ARENA_MAX MALLOC_TRIM_THRESHOLD_ MALLOC_MMAP_THRESHOLD_ \
	MALLOC_TOP_PAD_ MALLOC_MMAP_MAX_ MALLOC_PERTURB_ MALLOC_CHECK_ LD_PRELOAD NO_COLOR

# --- waiting ---------------------------------------------------------------------------------

# wait_for SECONDS COMMAND…: run COMMAND until it succeeds; fail the test after SECONDS.
wait_for() {
	local seconds=$1 deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || fail "not within ${seconds}s: $*"
		sleep 0.02
	done
}

# process_state PID: the letter of /proc/PID/status.
process_state() {
	awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null
}

has_state() { # PID LETTERS
	[[ $(process_state "$1") == [$2] ]]
}

tracer_of() { # PID
	awk '$1 == "TracerPid:" { print $2 }' "/proc/$1/status" 2>/dev/null
}

need() { # TOOL…: skip the test if one is missing
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
}

# --- victims ---------------------------------------------------------------------------------

# victim_start SCENARIO [PARAM=VALUE…]: run mkheap. Sets VICTIM_PID and VICTIM_TRUTH (JSON).
victim_start() {
	victim_run "$MKHEAP" "$@"
}

# victim_run COMMAND…: the same for any command line that ends up in mkheap.
victim_run() {
	local dir line
	dir=$(mktemp -d "$BATS_TEST_TMPDIR/victim.XXXXXX")
	mkfifo "$dir/in" "$dir/out"
	"$@" <"$dir/in" >"$dir/out" 2>"$dir/err" 3>&- 4>&- &
	VICTIM_JOB=$!
	exec {VICTIM_IN}>"$dir/in" {VICTIM_OUT}<"$dir/out"
	if ! IFS= read -r -t 120 -u "$VICTIM_OUT" line || [[ $line != 'ready pid='* ]]; then
		fail "victim did not get ready: $* ($(cat "$dir/err"))"
	fi
	line=${line#ready pid=}
	VICTIM_PID=${line%% *}
	# shellcheck disable=SC2034 # for the tests
	VICTIM_TRUTH=${line#* }
}

# victim_ask COMMAND: one command, its answer in VICTIM_REPLY.
victim_ask() {
	printf '%s\n' "$1" >&"$VICTIM_IN"
	IFS= read -r -t 60 -u "$VICTIM_OUT" VICTIM_REPLY || fail "victim does not answer '$1'"
}

# victim_is_well: every live block still holds its pattern.
victim_is_well() {
	victim_ask echo
	assert_equal "$VICTIM_REPLY" ok
}

# victim_stop: end the victim the orderly way; it must exit with status 0.
victim_stop() {
	local status=0
	printf 'quit\n' >&"$VICTIM_IN"
	wait "$VICTIM_JOB" || status=$?
	exec {VICTIM_IN}>&- {VICTIM_OUT}<&-
	unset VICTIM_JOB VICTIM_PID
	assert_equal "$status" 0
}

# victim_kill: for teardown; accepts that there is no victim.
victim_kill() {
	[[ ! ${VICTIM_PID:-} ]] || kill -KILL "$VICTIM_PID" 2>/dev/null || true
	[[ ! ${VICTIM_JOB:-} ]] || kill -KILL "$VICTIM_JOB" 2>/dev/null || true
	[[ ! ${VICTIM_JOB:-} ]] || wait "$VICTIM_JOB" 2>/dev/null || true
	unset VICTIM_JOB VICTIM_PID
}

# --- the program -----------------------------------------------------------------------------

# gs ARGUMENT…: run the program; sets $status, $output and $stderr.
gs() {
	run --separate-stderr "$GLIBCSTALL" "$@"
}

# gs_report ARGUMENT…: inspect as JSON into the file $REPORT; sets $status and $stderr.
gs_report() {
	REPORT=$BATS_TEST_TMPDIR/report.json
	status=0
	"$GLIBCSTALL" inspect -J "$@" >"$REPORT" 2>"$REPORT.stderr" 3>&- 4>&- || status=$?
	# shellcheck disable=SC2034 # for the tests
	stderr=$(<"$REPORT.stderr")
}

# report FILTER [JQ OPTION…]: jq on the last report, with the functions of report.jq.
report() {
	local filter=$1
	shift
	jq -r -L "$top_srcdir/tests/lib" "$@" "include \"report\"; $filter" "$REPORT"
}

# assert_no_problems FILTER [JQ OPTION…]: FILTER lists what is wrong with the last report.
assert_no_problems() {
	local problems
	problems=$(report "$@") || fail "jq failed on $1: $(head -c 400 "$REPORT")"
	[[ -z $problems ]] || fail "$problems"
}

# resident_problems: heaps of the last report that are not as resident as the victim's own mincore
# says. That counts whole pages: what a segment shares of its first and last page with foreign
# memory is not the heap's.
resident_problems() {
	local address end bytes shared
	while read -r address end bytes; do
		victim_ask "resident $address $end"
		shared=$((address % 4096 + (4096 - end % 4096) % 4096))
		((VICTIM_REPLY - shared == bytes)) ||
			echo "heap $address: resident $bytes, mincore says $VICTIM_REPLY - $shared"
	done < <(report '.arenas[].heaps[] | "\(.address) \(.end) \(.resident_bytes)"')
}

# parse_malloc_info FILE: the numbers of a malloc_info document, as JSON like the truth of mkheap.
parse_malloc_info() {
	awk '
	function attribute(name,   s) {
		s = $0
		if (!sub(".* " name "=\"", "", s))
			return 0
		sub("\".*", "", s)
		return s
	}
	function put(name, value) { item = item ",\"" name "\":" value }
	/^<heap / { item = "\"nr\":" attribute("nr"); inside = 1 }
	!inside { next }
	/^<total type="(fast|rest)"/ {
		put(attribute("type") "_count", attribute("count"))
		put(attribute("type") "_bytes", attribute("size"))
	}
	/^<system type="current"/ { put("system_bytes", attribute("size")) }
	/^<system type="max"/ { put("system_max_bytes", attribute("size")) }
	/^<aspace type="subheaps"/ { put("subheaps", attribute("size")) }
	/^<\/heap>/ { list = list (list ? "," : "") "{" item "}"; inside = 0 }
	END { print "{\"arenas\":[" list "]}" }' "$1"
}

# assert_fails_cleanly: the last gs was refused: status 1, one line (and perhaps a hint), no output.
assert_fails_cleanly() {
	assert_equal "$status" 1
	assert_equal "$output" ""
	local lines
	mapfile -t lines <<<"$stderr"
	[[ ${lines[0]} == 'glibcstall: '?* && ${lines[0]} != 'glibcstall: hint:'* ]] ||
		fail "not a message: $stderr"
	((${#lines[@]} == 1)) && return
	[[ ${#lines[@]} == 2 && ${lines[1]} == 'glibcstall: hint: '?* ]] ||
		fail "more than a message and a hint: $stderr"
}
