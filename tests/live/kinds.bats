#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# Processes of every kind: static, 32-bit, with their libc deleted, in namespaces of their own,
# with several mallocs, and those whose malloc is not glibc's.

load ../lib/helpers

# Small, and yet with everything that depends on where malloc's data is and how it lies.
SCENARIOS=(
	'one-chunk'
	'stall mb=6 heaps=3'
	'many-arenas threads=10'
	'fragmented blocks=3000'
	'tcache-heavy threads=2'
	'fastbin-heavy mxfast=160 tcache_count=0'
	'brk-blocked blocks=40'
	'mmapped'
	'threads-gone threads=3'
)

setup_file() {
	need gcc jq
	export KINDS=$BATS_FILE_TMPDIR
	build odd || fail "cannot build odd: $(<"$KINDS/log")"
}

setup() {
	DEBUGINFOD_URLS=
	export DEBUGINFOD_URLS
}

teardown() {
	victim_kill
	[[ ! ${CONTAINER:-} ]] || kill -KILL "$CONTAINER" 2>/dev/null || true
}

# build NAME OPTION…: tests/fixtures/NAME*.c as $KINDS/NAME, compiled with the options. Status 1,
# and the file $KINDS/log, if that does not work here.
build() {
	local name=$1
	shift
	gcc -D_GNU_SOURCE -std=gnu11 -O1 -pthread "$@" -o "$KINDS/$name" \
		"$top_srcdir/tests/fixtures/$name"*.c >"$KINDS/log" 2>&1
}

# mkheap_of OPTION…: MKHEAP is one compiled with the options; skip if that does not work here.
mkheap_of() {
	MKHEAP=$KINDS/mkheap
	build mkheap "$@" || skip "cannot build with $*: $(tail -n 1 "$KINDS/log")"
	echo quit | "$MKHEAP" one-chunk >/dev/null || skip "what $* makes does not run here"
}

assert_right() {
	assert_equal "$stderr" ""
	assert_equal "$status" 0
	assert_no_problems adds_up_problems
	assert_no_problems 'malloc_info_problems($truth), mallinfo_problems($truth)' \
		--argjson truth "$VICTIM_TRUTH"
}

# inspect_all OPTION…: the reports of every scenario, with the options, are right.
inspect_all() {
	local scenario
	for scenario in "${SCENARIOS[@]}"; do
		# shellcheck disable=SC2086 # words
		victim_start $scenario
		gs_report "$@" "$VICTIM_PID"
		assert_right
		assert_no_problems 'tcache_problems($truth), complete_problems("live")' \
			--argjson truth "$VICTIM_TRUTH"
		victim_stop
	done
}

# --- how the program was linked --------------------------------------------------------------

# A program that does not ask for its libc's version has no banner: take it away from this one.
forget_version() {
	strip "$MKHEAP"
	sed -i 's/GNU C Library/GNU C library/' "$MKHEAP"
}

# static_program OPTION…: with symbols, without, and then without the version too.
static_program() {
	mkheap_of "$@"
	victim_start one-chunk
	gs_report "$VICTIM_PID"
	assert_right
	assert_no_problems 'differ("symbols"; .allocator.symbols; "symtab")'
	victim_stop
	forget_version
	inspect_all
	assert_no_problems '.allocator | differ("symbols"; .symbols; "structure"),
		differ("version"; .version; null)'
}

@test "static" {
	static_program -static
}

@test "static, position independent" {
	static_program -static-pie -fPIE
}

@test "static, i386" {
	static_program -m32 -static
}

@test "static, position independent, i386" {
	static_program -m32 -static-pie -fPIE
}

@test "not position independent" {
	mkheap_of -no-pie
	inspect_all
	inspect_all --no-debuginfo
}

@test "i386" {
	mkheap_of -m32
	inspect_all
	assert_no_problems 'differ("machine"; .target.machine; "i386")'
}

@test "i386, not position independent" {
	mkheap_of -m32 -no-pie
	inspect_all --no-debuginfo
}

# --- where its libc is -----------------------------------------------------------------------

# libc_of PROGRAM, loader_of PROGRAM
libc_of() {
	ldd "$1" | awk '$1 == "libc.so.6" { print $3 }'
}

loader_of() {
	ldd "$1" | awk '/ld-linux/ { print $1 }'
}

# start_with_copy SCENARIO…: run mkheap with a copy of its libc in $COPY.
start_with_copy() {
	COPY=$BATS_TEST_TMPDIR/lib
	mkdir -p "$COPY"
	cp "$(libc_of "$MKHEAP")" "$COPY/libc.so.6"
	victim_run "$(loader_of "$MKHEAP")" --library-path "$COPY" "$MKHEAP" "$@"
}

deleted_libc() {
	start_with_copy many-arenas threads=3
	rm "$COPY/libc.so.6"
	gs_report "$VICTIM_PID"
	assert_right
	assert_no_problems 'differ("path"; .allocator.path; $path)' --arg path "$COPY/libc.so.6"
	gs_report --no-debuginfo "$VICTIM_PID"
	assert_right
	# another file in its place must not be taken for it
	cp "$GLIBCSTALL" "$COPY/libc.so.6"
	gs_report "$VICTIM_PID"
	assert_right
	victim_stop
}

@test "its libc was deleted, or replaced" {
	deleted_libc
}

@test "its libc was deleted, or replaced, i386" {
	mkheap_of -m32
	deleted_libc
}

# contain COMMAND…: run it in user, mount, PID and IPC namespaces of its own, below the root ROOT.
# Prints the command's PID as it is outside to the file $BATS_TEST_TMPDIR/pid.
contain() {
	exec unshare --user --map-root-user --mount --pid --ipc --fork --kill-child sh -c '
		root=$1
		shift
		mount -t proc proc "$root/proc" || exit
		exec chroot "$root" "$@"' _ "$ROOT" "$@"
}

# start_contained SCENARIO…: mkheap in a container. VICTIM_PID is as seen from here.
start_contained() {
	victim_run contain /mkheap "$@"
	VICTIM_PID=$(pgrep -P "$VICTIM_JOB")
}

# make_root: a root with nothing but mkheap, its loader and its libc, under another build-id, so
# that neither the files nor the debug files of this system are those of the container.
make_root() {
	local libc offset
	ROOT=$BATS_TEST_TMPDIR/root
	libc=$(libc_of "$MKHEAP")
	mkdir -p "$ROOT"/{proc,"$(dirname "$libc")","$(dirname "$(loader_of "$MKHEAP")")"}
	cp "$libc" "$ROOT$libc"
	cp "$(loader_of "$MKHEAP")" "$ROOT$(loader_of "$MKHEAP")"
	cp "$MKHEAP" "$ROOT/mkheap"
	offset=$(readelf -SW "$libc" |
		awk '{ sub(/^ *\[ *[0-9]+\] */, "") } $1 == ".note.gnu.build-id" { print $4 }')
	printf 'not a known one' |
		dd of="$ROOT$libc" bs=1 seek=$((0x$offset + 16)) conv=notrunc status=none
}

contained() {
	need unshare chroot readelf
	make_root
	(contain /mkheap one-chunk </dev/null >/dev/null 2>"$BATS_TEST_TMPDIR/log") ||
		skip "no namespaces here: $(tail -n 1 "$BATS_TEST_TMPDIR/log")"
	local scenario option
	for scenario in one-chunk 'many-arenas threads=3' 'tcache-heavy threads=2'; do
		# shellcheck disable=SC2086 # words
		start_contained $scenario
		for option in -- --stop; do
			gs_report "$option" "$VICTIM_PID"
			assert_right
			assert_no_problems '.allocator |
				differ("symbols"; .symbols; "structure")'
		done
		# its threads are known by their numbers out here
		assert_no_problems '[ .arenas[].threads[] ] |
			differ("tcaches"; length; $truth.threads | length),
			differ("not found"; [ $truth.threads[].tcache_chunks | numbers ] -
			       map(.tcache_chunks); [])' \
			--argjson truth "$VICTIM_TRUTH"
		victim_stop
	done
}

@test "in a container" {
	contained
}

@test "in a container, i386" {
	mkheap_of -m32
	contained
}

# --- what state it is in ---------------------------------------------------------------------

# odd_start KIND [N]: run odd; ODD_INFO is what malloc_info said inside.
odd_start() {
	ODD=${ODD:-$KINDS/odd}
	ODD_FILE=$BATS_TEST_TMPDIR/info
	victim_run "${ODD_ENV[@]}" "$ODD" "$1" "$ODD_FILE" "${@:2}"
	[[ $VICTIM_PID != 0 ]] || VICTIM_PID=$VICTIM_JOB
	ODD_INFO=$(parse_malloc_info "$ODD_FILE")
}

ODD_ENV=(env)

assert_odd() {
	assert_equal "$stderr" ""
	assert_equal "$status" 0
	assert_no_problems adds_up_problems
	assert_no_problems 'malloc_info_problems($truth)' --argjson truth "$ODD_INFO"
}

@test "its main thread has ended" {
	odd_start leader-gone
	assert_equal "$(process_state "$VICTIM_PID")" Z
	gs_report "$VICTIM_PID"
	assert_odd
	gs_report --stop "$VICTIM_PID"
	assert_odd
	victim_stop
}

@test "under seccomp" {
	odd_start seccomp
	gs_report "$VICTIM_PID"
	assert_odd
	gs_report --stop "$VICTIM_PID"
	assert_odd
	victim_stop
}

@test "undumpable: root sees it, its own user is told why not" {
	[[ $EUID == 0 ]] || skip "only root can become another user"
	need setpriv
	local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	mkdir -m 777 "$BATS_TEST_TMPDIR/public"
	install -m 755 "$KINDS/odd" "$GLIBCSTALL" "$BATS_TEST_TMPDIR/public"
	chmod 755 "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" \
		"$BATS_RUN_TMPDIR"
	victim_run "${as[@]}" "$BATS_TEST_TMPDIR/public/odd" undumpable \
		"$BATS_TEST_TMPDIR/public/info"
	ODD_INFO=$(parse_malloc_info "$BATS_TEST_TMPDIR/public/info")
	gs_report "$VICTIM_PID"
	assert_odd
	run --separate-stderr "${as[@]}" "$BATS_TEST_TMPDIR/public/glibcstall" inspect -J \
		"$VICTIM_PID"
	assert_fails_cleanly
	assert_regex "$stderr" "$VICTIM_PID.*([Pp]ermission|not permitted)"
	assert_regex "$stderr" $'\n''glibcstall: hint: .*(root|undumpable|set-user-ID)'
	victim_stop
}

# --- several mallocs -------------------------------------------------------------------------

# other_problems N: what is wrong with copy N, which odd numbers from 1 in the order of loading.
# Copies are told apart by their malloc_info: each was given another heap.
assert_copies() { # COUNT
	local i truths=() all
	for ((i = 1; i <= $1; i++)); do
		truths+=("$(parse_malloc_info "$ODD_FILE.$i")")
	done
	all=$(jq -s . <<<"${truths[*]}")
	assert_no_problems '.other_allocators as $others
		| differ("copies"; $others | length; $all | length),
		( $all[] | . as $truth
		  | [ $others[] | [ malloc_info_problems($truth) ] ]
		  | problem(all(. != []); "no copy is as \($truth): \(.)") ),
		( $others[] | adds_up_problems,
		  differ("unlocated"; [ .arenas[].unlocated_bytes ] | add; 0) )' \
		--argjson all "$all"
}

dlmopened() {
	odd_start dlmopen 3
	local option
	for option in -- --stop --no-debuginfo; do
		gs_report "$option" "$VICTIM_PID"
		assert_odd
		assert_copies 3
		# what is in their tcaches is known too
		assert_no_problems '.other_allocators[].totals
			| problem(.free.tcache_chunks < 100; "\(.free.tcache_chunks) cached")'
	done
	gs inspect --width=80 "$VICTIM_PID"
	assert_line --regexp '^OTHER MALLOCS +MAPPED +LIVE +STALLED$'
	victim_stop
}

@test "libcs of other link-map namespaces" {
	dlmopened
}

@test "libcs of other link-map namespaces, i386" {
	cp "$KINDS/odd" "$KINDS/odd.64"
	build odd -m32 || skip "cannot build for i386: $(tail -n 1 "$KINDS/log")"
	mv "$KINDS/odd" "$KINDS/odd.32"
	mv "$KINDS/odd.64" "$KINDS/odd"
	ODD=$KINDS/odd.32
	dlmopened
}

has_malloc_debug() {
	[[ -e $(dirname "$(libc_of "$KINDS/odd")")/libc_malloc_debug.so.0 ]] ||
		skip "this glibc has no libc_malloc_debug.so"
}

@test "libc_malloc_debug with MALLOC_CHECK_" {
	has_malloc_debug
	ODD_ENV=(env LD_PRELOAD=libc_malloc_debug.so.0 MALLOC_CHECK_=3)
	odd_start plain
	gs_report "$VICTIM_PID"
	assert_odd
	assert_no_problems '
		problem(.allocator.path | endswith("/libc_malloc_debug.so.0") | not;
			"the main one is \(.allocator.path)"),
		differ("others"; [ .other_allocators[].allocator.path | split("/")[-1] ];
		       [ "libc.so.6" ]),
		differ("unused"; [ .other_allocators[].totals.mapped_bytes ]; [ 0 ])'
	victim_stop
}

@test "libc_malloc_debug that passes everything on" {
	has_malloc_debug
	ODD_ENV=(env LD_PRELOAD=libc_malloc_debug.so.0)
	odd_start plain
	gs_report "$VICTIM_PID"
	assert_odd
	assert_no_problems '
		differ("main"; .allocator.path | split("/")[-1]; "libc.so.6"),
		differ("program malloc"; .program_malloc; null),
		differ("others"; [ .other_allocators[].allocator.path | split("/")[-1] ];
		       [ "libc_malloc_debug.so.0" ])'
	victim_stop
}
