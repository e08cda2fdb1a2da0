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

@test "live: what could not be settled is under a thousandth" {
	local i
	local sums=$BATS_TEST_TMPDIR/sums
	victim_start busy
	for ((i = 0; i < ROUNDS; i++)); do
		gs_report "$VICTIM_PID"
		[[ $status == [03] ]] || fail "round $i: status $status: $stderr"
		# exit status 3 is the same word as "not complete" and a warning that says why
		assert_no_problems 'adds_up_problems, differ("mode"; .capture.mode; "live"),
			differ("complete"; .capture.complete; $status == "0"),
			problem($status == "3" and .warnings == []; "no reason given")' \
			--arg status "$status"
		report '.totals | "\(.unsettled_bytes) \(.mapped_bytes)"' >>"$sums"
		((i % 10)) || victim_is_well
	done
	victim_is_well
	run awk '{ unsettled += $1; mapped += $2 }
		END { print unsettled, mapped; exit !(mapped > 0 && unsettled * 1000 < mapped) }' \
		"$sums"
	assert_success
}

@test "stopped: every report is complete" {
	local i
	victim_start busy
	for ((i = 0; i < ROUNDS; i++)); do
		gs_report --stop "$VICTIM_PID"
		assert_equal "$stderr" ""
		assert_equal "$status" 0
		assert_no_problems 'adds_up_problems, complete_problems("stopped")'
		((i % 10)) || victim_is_well
	done
	victim_is_well
	assert_equal "$(tracer_of "$VICTIM_PID")" 0
}
