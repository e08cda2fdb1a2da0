#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# A target that allocates as fast as it can on eight threads, and checks every block it gets back.

load ../lib/helpers

ROUNDS=${ROUNDS:-100}

setup() {
	need jq
}

teardown() {
	victim_kill
}

# Look ROUNDS times, and check the reports when the victim no longer needs all processors.
look() { # OPTION STATUSES
	local i
	victim_start busy
	for ((i = 0; i < ROUNDS; i++)); do
		gs_report "$1" "$VICTIM_PID"
		[[ $status == [$2] ]] || fail "round $i: status $status: $stderr"
		mv "$REPORT" "$BATS_TEST_TMPDIR/$i-$status.json"
		((i % 10)) || victim_is_well
	done
	victim_is_well
	assert_equal "$(tracer_of "$VICTIM_PID")" 0
	victim_kill
}

@test "live: what could not be settled is under a thousandth" {
	local sums=$BATS_TEST_TMPDIR/sums
	look -- 03
	for REPORT in "$BATS_TEST_TMPDIR"/*-[03].json; do
		status=${REPORT%.json}
		# exit status 3 is the same word as "not complete" and a warning that says why
		assert_no_problems 'adds_up_problems, differ("mode"; .capture.mode; "live"),
			differ("complete"; .capture.complete; $status == "0"),
			problem($status == "3" and .warnings == []; "no reason given")' \
			--arg status "${status##*-}"
		report '.totals | "\(.unsettled_bytes) \(.mapped_bytes)"' >>"$sums"
	done
	run awk '{ unsettled += $1; mapped += $2 }
		END { print NR, unsettled, mapped
			exit !(mapped > 0 && unsettled * 1000 < mapped) }' "$sums"
	assert_success
	assert_regex "$output" "^$ROUNDS "
}

@test "stopped: every report is complete" {
	look --stop 0
	for REPORT in "$BATS_TEST_TMPDIR"/*-0.json; do
		assert_no_problems 'adds_up_problems, complete_problems("stopped")'
	done
}
