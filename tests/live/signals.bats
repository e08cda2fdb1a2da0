#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# A stop is given back as it was taken, whatever happens to us meanwhile.

load ../lib/helpers

setup() {
	need jq
}

teardown() {
	victim_kill
}

# By the shell alone: a stop may be over before another program has started.
is_traced() {
	local key value
	while read -r key value && [[ $key != TracerPid: ]]; do
		:
	done <"/proc/$VICTIM_PID/status"
	[[ $value != 0 ]]
}

runs_untraced() {
	[[ $(tracer_of "$VICTIM_PID") == 0 ]] && has_state "$VICTIM_PID" RS
}

# interrupt_a_stop SIGNAL: start an inspect --stop and send it SIGNAL while it holds the victim.
# Its exit status is in $status. A walk that ended too soon is tried again.
interrupt_a_stop() {
	local job try
	for ((try = 0; try < 50; try++)); do
		# bash lets background jobs ignore SIGINT; the program must get the default
		env --default-signal=INT "$GLIBCSTALL" inspect --stop -J "$VICTIM_PID" \
			>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- 4>&- &
		job=$!
		until is_traced; do
			kill -0 "$job" 2>/dev/null || break
		done
		kill "-$1" "$job" 2>/dev/null || true
		status=0
		wait "$job" 2>/dev/null || status=$?
		((status)) && return
	done
	fail "never caught it in the stop"
}

@test "a stopped process stays stopped" {
	local option
	victim_start many-arenas threads=3
	kill -STOP "$VICTIM_PID"
	wait_for 10 has_state "$VICTIM_PID" T
	for option in --stop -- --stop; do
		gs_report "$option" "$VICTIM_PID"
		assert_equal "$status" 0
		assert_no_problems 'malloc_info_problems($truth)' --argjson truth "$VICTIM_TRUTH"
		wait_for 10 has_state "$VICTIM_PID" T
		assert_equal "$(tracer_of "$VICTIM_PID")" 0
	done
	kill -CONT "$VICTIM_PID"
	wait_for 10 runs_untraced
	victim_is_well
	victim_stop
}

@test "SIGINT in the stop resumes the target first" {
	victim_start huge chunks=2000000 mb=400
	interrupt_a_stop INT
	wait_for 10 runs_untraced
	victim_is_well
	victim_stop
}

@test "SIGTERM in the stop resumes the target first" {
	victim_start huge chunks=2000000 mb=400
	interrupt_a_stop TERM
	wait_for 10 runs_untraced
	victim_is_well
	victim_stop
}

@test "SIGKILL in the stop leaves the target running" {
	victim_start busy threads=4 slots=20000
	interrupt_a_stop KILL
	wait_for 10 runs_untraced
	victim_is_well
	victim_stop
}

@test "a signal for the target that comes in the stop is delivered after it" {
	victim_start huge chunks=2000000 mb=400
	local job try
	for ((try = 0; try < 50; try++)); do
		"$GLIBCSTALL" inspect --stop -J "$VICTIM_PID" >"$BATS_TEST_TMPDIR/out" 3>&- 4>&- &
		job=$!
		until is_traced; do
			kill -0 "$job" 2>/dev/null || break
		done
		is_traced && break
		wait "$job"
	done
	kill -STOP "$VICTIM_PID"
	wait "$job"
	wait_for 10 has_state "$VICTIM_PID" T
	assert_equal "$(tracer_of "$VICTIM_PID")" 0
	kill -CONT "$VICTIM_PID"
	victim_is_well
	victim_stop
}
