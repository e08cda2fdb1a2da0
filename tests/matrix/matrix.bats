#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# Every scenario of mkheap under the glibc of every Debian suite that can be had (fetch.bash), on
# amd64 and i386, with its debug files and without. The victims run in a mount namespace and below
# a root of their own, as in a container.
#
# Prints what was tried, and how many reports were right, wrong and refused, in a table.

load ../lib/helpers

CACHE=$top_builddir/tests/matrix/cache

# Small, and yet with everything that tells one glibc from another.
SCENARIOS=(
	'fresh'
	'one-chunk'
	'stall mb=6 heaps=3'
	'many-arenas threads=10'
	'fragmented blocks=3000'
	'tcache-heavy threads=2'
	'tcache-heavy threads=2 tcache_count=30'
	'fastbin-heavy'
	'fastbin-heavy mxfast=160 tcache_count=0'
	'fastbin-heavy mxfast=80 tcache_count=3'
	'foreign-sbrk bytes=65536'
	'foreign-sbrk bytes=100001'
	'brk-blocked blocks=40'
	'mmapped'
	'top-heavy threads=2 mb=4'
	'full-heap threads=4'
	'trimmed mb=8'
	'threads-gone threads=3'
	'after-fork threads=2'
	'huge chunks=60000 mb=12 arenas=3'
	'busy threads=3 slots=500'
	'many-arenas threads=3 hugetlb=1'
	'fragmented blocks=3000 hugetlb=1'
	'many-arenas threads=3 hugetlb=2'
	'mmapped hugetlb=2'
	'trimmed mb=8 hugetlb=2'
	'huge chunks=20000 mb=20 arenas=3 hugetlb=2'
)

# Those that are also tried where no debug file exists.
BARE_SCENARIOS=('one-chunk' 'many-arenas threads=4' 'brk-blocked blocks=40')

# What keeps all of this from being tried here; nothing if it can be.
obstacle() {
	local tool
	[[ $(uname -m) == x86_64 ]] || { echo 'not an x86_64 machine' && return; }
	for tool in jq gcc apt-get dpkg unshare chroot; do
		command -v "$tool" >/dev/null || { echo "$tool is not installed" && return; }
	done
	enter / true 2>&1
}

setup_file() {
	OBSTACLE=$(obstacle) || true
	export OBSTACLE
	[[ ! $OBSTACLE ]] || return 0
	bash "$top_srcdir/tests/matrix/fetch.bash" "$CACHE" >"$BATS_FILE_TMPDIR/suites"
	grep '^#' "$BATS_FILE_TMPDIR/suites" >&3 || true
	build_victim amd64 -m64
	build_victim i386 -m32
}

teardown_file() {
	[[ -e $BATS_FILE_TMPDIR/table ]] || return 0
	{
		echo 'suite arch glibc tried right wrong refused'
		cat "$BATS_FILE_TMPDIR/table"
	} | awk '{ printf "# %-13s %-6s %-20s %6s %6s %6s %8s\n", $1, $2, $3, $4, $5, $6, $7 }' >&3
}

setup() {
	[[ ! $OBSTACLE ]] || skip "$OBSTACLE"
}

teardown() {
	victim_kill
}

# enter ROOT COMMAND…: run it below ROOT, in a mount namespace of its own, where the folder DEBUG
# (if that is set) is its /usr/lib/debug.
enter() {
	local root=$1 user=()
	shift
	[[ $EUID == 0 ]] || user=(--map-root-user)
	unshare --mount "${user[@]}" sh -c '
		root=$1 debug=$2
		shift 2
		mount --rbind /proc "$root/proc" && mount --rbind /sys "$root/sys" || exit
		[ -z "$debug" ] || mount --bind "$debug" "$root/usr/lib/debug" || exit
		exec chroot "$root" "$@"' _ "$root" "${DEBUG:-}" "$@"
}

can_build() { # OPTION
	[[ -e $(gcc "$1" -print-file-name=crtbegin.o) ]]
}

# build_victim ARCH OPTION: mkheap against the oldest glibc there is.
build_victim() {
	local root=$CACHE/sysroot-$1
	rm -f "$CACHE/mkheap-$1"
	[[ -e $root ]] && can_build "$2" || return 0
	gcc "$2" --sysroot="$root" -B "$root/usr/lib/" -std=gnu11 -D_GNU_SOURCE -O1 -g -pthread \
		-o "$CACHE/mkheap-$1" "$top_srcdir"/tests/fixtures/mkheap*.c
}

# --- one report ------------------------------------------------------------------------------

# what_must_hold OPTION SCENARIO: jq filters that list what does not.
what_must_hold() {
	local option=$1 scenario=$2 mode=live symbols=debuginfo
	[[ $option != --stop ]] || mode=stopped
	[[ $option != --no-debuginfo ]] || symbols=structure
	local complete=", complete_problems(\"$mode\")"
	echo 'adds_up_problems, differ("glibc"; .allocator.version; $truth.glibc)'
	[[ ! $DEBUG ]] || echo ", differ(\"symbols\"; .allocator.symbols; \"$symbols\")"
	case $scenario in
	fresh) echo ', untouched_problems' && return ;;
	busy*)
		[[ $mode == live ]] || echo "$complete"
		return
		;;
	one-chunk) echo ', default_settings_problems($truth.glibc)' ;;
	*tcache_count=*) echo ", differ(\"count\"; .mallopt.tcache_count; ${scenario##*=})" ;;
	esac
	echo ', malloc_info_problems($truth), mallinfo_problems($truth)'
	echo ', tcache_problems($truth), range_problems($truth)'
	case $scenario in
	foreign-sbrk*) echo ', foreign_problems($truth.facts)' ;;
	mmapped* | full-heap*) echo "$complete" ;; # not all is written to
	*) echo "$complete, hole_problems" ;;
	esac
}

# differences: what the last report says of the heap unlike the victim's first. It must not matter
# which way malloc was found.
differences() {
	local heap=$BATS_TEST_TMPDIR/heap first=$BATS_TEST_TMPDIR/first
	report '.totals, .arenas, .mmapped, .mallopt, .what_if, .other_allocators' >"$heap"
	[[ -e $first ]] || cp "$heap" "$first"
	diff "$first" "$heap" || true
}

# problems OPTION SCENARIO: what is wrong with the last report.
problems() {
	report "$(what_must_hold "$@")" --argjson truth "$VICTIM_TRUTH" 2>&1 || true
	[[ $2 != busy* ]] || return 0	# never at rest
	[[ $status == 0 && ! $stderr ]] || echo "status $status: $stderr"
	resident_problems
	differences
}

# look OPTION SCENARIO: one inspect of the victim, counted in right, wrong and refused.
look() {
	local found
	gs_report "$1" "$VICTIM_PID"
	if [[ $status != [03] ]]; then
		refused=$((refused + 1))
		echo "$2, $1: status $status: $stderr"
		return
	fi
	found=$(problems "$@")
	if [[ $found ]]; then
		wrong=$((wrong + 1))
		echo "$2, $1: $found"
	else
		right=$((right + 1))
	fi
}

# --- all of a suite --------------------------------------------------------------------------

# look_at SCENARIO OPTION…: start it and look at it in each way. All must tell the same.
look_at() {
	local scenario=$1 option
	shift
	rm -f "$BATS_TEST_TMPDIR/first"	# of another victim
	# shellcheck disable=SC2086 # words
	victim_run enter "$TREE" /mkheap $scenario
	for option; do
		look "$option" "$scenario"
	done
	victim_is_well
	victim_ask truth
	assert_equal "$VICTIM_REPLY" "$VICTIM_TRUTH"
	victim_stop
}

# check_suite SUITE ARCH
check_suite() {
	local version scenario right=0 wrong=0 refused=0
	version=$(sed -n "s/^$1 $2 //p" "$BATS_FILE_TMPDIR/suites")
	[[ $version != '- '* ]] || skip "${version#- }"
	[[ -e $CACHE/mkheap-$2 ]] || skip "gcc cannot build for $2"
	TREE=$CACHE/$1-$2
	cp "$CACHE/mkheap-$2" "$TREE/mkheap"

	for scenario in "${SCENARIOS[@]}"; do
		DEBUG=$TREE.dbg/usr/lib/debug look_at "$scenario" -- --stop --verify --no-debuginfo
	done
	for scenario in "${BARE_SCENARIOS[@]}"; do
		DEBUG='' look_at "$scenario" -- --stop
	done
	echo "$1 $2 $version $((right + wrong + refused)) $right $wrong $refused" \
		>>"$BATS_FILE_TMPDIR/table"
	((wrong + refused == 0)) || fail "$wrong wrong, $refused refused"
}

@test "bullseye amd64" {
	check_suite bullseye amd64
}

@test "bullseye i386" {
	check_suite bullseye i386
}

@test "bookworm amd64" {
	check_suite bookworm amd64
}

@test "bookworm i386" {
	check_suite bookworm i386
}

@test "trixie amd64" {
	check_suite trixie amd64
}

@test "trixie i386" {
	check_suite trixie i386
}

@test "sid amd64" {
	check_suite sid amd64
}

@test "sid i386" {
	check_suite sid i386
}

@test "experimental amd64" {
	check_suite experimental amd64
}

@test "experimental i386" {
	check_suite experimental i386
}
