#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# How long an inspect of a large heap takes, against the floor in the same run: a plain copy of the
# same resident pages. Prints ratios; it is no test. `make bench` runs it.
#
#	RUNS=7 tests/bench/inspect.bash [mkheap scenario and parameters]
set -eu
cd "${top_builddir:-.}"
gs=${GLIBCSTALL:-./glibcstall}
runs=${RUNS:-5}
[ $# -gt 0 ] || set -- huge

dir=$(mktemp -d)
trap 'exec 7>&-; rm -rf "$dir"' EXIT
mkfifo "$dir/in"
tests/fixtures/mkheap "$@" <"$dir/in" >"$dir/out" &
victim=$!
exec 7>"$dir/in"
until grep -q '^ready' "$dir/out"; do
	kill -0 "$victim"
	sleep 0.05
done
pid=$(sed -n 's/^ready pid=\([0-9]*\).*/\1/p' "$dir/out")

"$gs" inspect -J "$pid" >"$dir/report"
mapfile -t ranges < <(jq -r '.arenas[].heaps[] | "\(.address[2:])-\(.end[2:])"' "$dir/report")
jq -r '"target: \(.totals.mapped_bytes / 1e6 | floor) MB in \(.arenas | length) arenas, " +
	"\(.totals | .live_chunks + .free.tcache_chunks + (.free.fastbin_chunks // 0) +
	.free.bin_chunks) chunks"' "$dir/report"

wall() { # COMMAND…: its wall time in ns; its output goes to $dir/report
	local begin end
	begin=$(date +%s%N)
	"$@" >"$dir/report"
	end=$(date +%s%N)
	echo $((end - begin))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((i = 0; i < runs; i++)); do
	tests/bench/floor "$pid" "${ranges[@]}" | cut -d' ' -f1 >>"$dir/floor"
	wall "$gs" inspect -J "$pid" >>"$dir/live"
	wall "$gs" inspect --stop -J "$pid" >>"$dir/stopped"
	jq .capture.pause_ns "$dir/report" >>"$dir/pause"
done
floor=$(median <"$dir/floor")
live=$(median <"$dir/live")
stopped=$(median <"$dir/stopped")
pause=$(median <"$dir/pause")
# the program, not the shell's own word
time=$(type -P time) || time=
rss=$([ ! "$time" ] || "$time" -f %M "$gs" inspect -J "$pid" 2>&1 >/dev/null | tail -n 1)

awk -v floor="$floor" -v live="$live" -v stopped="$stopped" -v pause="$pause" -v rss="$rss" \
	-v runs="$runs" 'BEGIN {
	printf "medians of %d runs\n", runs
	printf "floor, plain copy + pagemap   %7.1f ms\n", floor / 1e6
	printf "inspect, live                 %7.1f ms   %.2f x floor\n", live / 1e6, live / floor
	printf "inspect --stop                %7.1f ms   %.2f x floor\n", stopped / 1e6,
		stopped / floor
	printf "  of which the target stood   %7.1f ms   %.2f x floor\n", pause / 1e6, pause / floor
	if (rss == "")
		print "peak RSS of inspect           unknown: time(1) is not installed"
	else
		printf "peak RSS of inspect           %7.1f MB\n", rss / 1024
}'
