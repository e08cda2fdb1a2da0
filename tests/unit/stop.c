/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stopping and resuming: the victim must not be able to tell. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "stop_victim.h"

static void two_hundred_threads(void)
{
	run_threads(198, 2);
}

static void check_stops(void (*body)(void), size_t n)
{
	struct victim v = victim_start(body);

	wait_for(v.shared->ready == n);
	struct gs_target *target = open_target(v.pid);
	for (unsigned round = 0; round < 5; round++) {
		size_t n_tids;
		uint64_t pause = 0, before = now_ns();
		unsigned long ticks[MAX_THREADS];
		struct gs_stop *stop = stop_target(target);
		const pid_t *tids = gs_stop_tids(stop, &n_tids);

		assert_int_equal(n_tids, n);
		for (size_t i = 0; i < n; i++) {
			ticks[i] = v.shared->ticks[i];
			assert_true(i == 0 || tids[i] > tids[i - 1]);
		}
		assert_int_equal(each_thread(v.pid, assert_stopped), n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(v.shared->ticks[i], ticks[i]);
		gs_stop_resume(stop, &pause);
		assert_true(pause > 0 && pause <= now_ns() - before);
		assert_int_equal(each_thread(v.pid, assert_untraced), n);
		assert_works_on(&v, n);
	}
	gs_target_free(target);
	victim_stop(&v);
}

static void stops_one_thread(void **state)
{
	check_stops(one_thread, 1);
}

static void stops_eight_threads(void **state)
{
	check_stops(eight_threads, 8);
}

static void stops_two_hundred_threads(void **state)
{
	check_stops(two_hundred_threads, 200);
}

/* Makes its successor and ends: any list of these threads is old as soon as it is made. */
static void *relay(void *arg)
{
	shared->ticks[0]++;
	start_thread(relay, 0);
	return NULL;
}

static void storm(void)
{
	for (unsigned i = 0; i < 8; i++)
		start_thread(relay, 0);
	shared->ready = 1;
	for (;;)
		pause();
}

static void stops_threads_that_are_being_made(void **state)
{
	struct victim v = victim_start(storm);

	wait_for(v.shared->ready == 1 && v.shared->ticks[0] > 100);
	struct gs_target *target = open_target(v.pid);
	for (unsigned round = 0; round < 50; round++) {
		size_t n;
		struct gs_stop *stop = stop_target(target);

		gs_stop_tids(stop, &n);
		unsigned long before = v.shared->ticks[0];
		assert_int_equal(each_thread(v.pid, assert_stopped), n);
		assert_int_equal(v.shared->ticks[0], before);
		gs_stop_resume(stop, NULL);
		wait_for(v.shared->ticks[0] > before + 10);
	}
	each_thread(v.pid, assert_untraced);
	gs_target_free(target);
	victim_stop(&v);
}

static void leader_leaves(void)
{
	start_thread(ticker, 1);
	start_thread(ticker, 0);
	pthread_exit(NULL);
}

static void stops_what_a_dead_leader_left(void **state)
{
	struct victim v = victim_start(leader_leaves);
	size_t n;

	wait_for(v.shared->ready == 2 && task_state(v.pid, v.pid) == 'Z');
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = stop_target(target);
	gs_stop_tids(stop, &n);
	assert_int_equal(n, 2);
	gs_stop_resume(stop, NULL);
	assert_works_on(&v, 2);
	gs_target_free(target);
	victim_stop(&v);
}

static void stopped_group_stays_stopped(void **state)
{
	struct victim v = victim_start(eight_threads);

	wait_for(v.shared->ready == 8);
	kill(v.pid, SIGSTOP);
	for (size_t i = 0; i < 8; i++)
		wait_for(task_state(v.pid, v.shared->tids[i]) == 'T');

	unsigned long ticks[8];
	for (size_t i = 0; i < 8; i++)
		ticks[i] = v.shared->ticks[i];
	struct gs_target *target = open_target(v.pid);
	for (unsigned round = 0; round < 5; round++) {
		struct gs_stop *stop = stop_target(target);

		assert_int_equal(each_thread(v.pid, assert_stopped), 8);
		gs_stop_resume(stop, NULL);
		for (size_t i = 0; i < 8; i++)
			wait_for(task_state(v.pid, v.shared->tids[i]) == 'T');
		assert_int_equal(each_thread(v.pid, assert_untraced), 8);
	}
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(v.shared->ticks[i], ticks[i]);
	kill(v.pid, SIGCONT);
	assert_works_on(&v, 8);
	gs_target_free(target);
	victim_stop(&v);
}

/* A stop signal that arrives while we hold the process takes effect after that. */
static void stop_signal_in_the_stop_is_kept(void **state)
{
	struct victim v = victim_start(eight_threads);

	wait_for(v.shared->ready == 8);
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = stop_target(target);
	kill(v.pid, SIGSTOP);
	gs_stop_resume(stop, NULL);
	for (size_t i = 0; i < 8; i++)
		wait_for(task_state(v.pid, v.shared->tids[i]) == 'T');
	kill(v.pid, SIGCONT);
	assert_works_on(&v, 8);
	gs_target_free(target);
	victim_stop(&v);
}

static void count_signal(int sig)
{
	shared->signals++;
}

static void counts_signals(void)
{
	signal(SIGUSR1, count_signal);
	signal(SIGRTMIN, count_signal);
	eight_threads();
}

static void signals_in_the_stop_come_after_it(void **state)
{
	struct victim v = victim_start(counts_signals);

	wait_for(v.shared->ready == 8);
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = stop_target(target);
	kill(v.pid, SIGUSR1);
	for (size_t i = 0; i < 8; i++)
		syscall(SYS_tgkill, v.pid, v.shared->tids[i], SIGRTMIN);
	assert_int_equal(each_thread(v.pid, assert_stopped), 8);
	assert_int_equal(v.shared->signals, 0);
	gs_stop_resume(stop, NULL);
	wait_for(v.shared->signals == 9);
	assert_works_on(&v, 8);
	gs_target_free(target);
	victim_stop(&v);
}

/* Queued signals that arrive just before, in and after a stop: each is delivered exactly once. */
static void no_signal_is_lost_or_doubled(void **state)
{
	struct victim v = victim_start(counts_signals);
	unsigned sent = 0;

	wait_for(v.shared->ready == 8);
	struct gs_target *target = open_target(v.pid);
	for (unsigned round = 0; round < 100; round++) {
		for (size_t i = 0; i < 8; i++, sent++)
			syscall(SYS_tgkill, v.pid, v.shared->tids[i], SIGRTMIN);
		struct gs_stop *stop = stop_target(target);
		syscall(SYS_tgkill, v.pid, v.shared->tids[round % 8], SIGRTMIN);
		sent++;
		gs_stop_resume(stop, NULL);
	}
	wait_for(v.shared->signals == sent);
	assert_works_on(&v, 8);
	assert_int_equal(v.shared->signals, sent);
	gs_target_free(target);
	victim_stop(&v);
}

static volatile sig_atomic_t got_signal;

static void note_signal(int sig)
{
	got_signal = sig;
}

static void signals_to_us_wait_for_the_resume(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct victim v = victim_start(one_thread);
	sigset_t before, after;

	wait_for(v.shared->ready == 1);
	struct gs_target *target = open_target(v.pid);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	for (size_t i = 0; i < 3; i++) {
		void (*old)(int) = signal(signals[i], note_signal);
		struct gs_stop *stop = stop_target(target);

		got_signal = 0;
		assert_false(gs_stop_interrupted(stop));
		kill(getpid(), signals[i]);
		assert_true(gs_stop_interrupted(stop));
		assert_int_equal(got_signal, 0);
		gs_stop_resume(stop, NULL);
		assert_int_equal(got_signal, signals[i]);
		signal(signals[i], old);
	}
	struct gs_stop *stop;
	kill(v.pid, SIGKILL);
	waitpid(v.pid, NULL, 0);
	gs_err_free(gs_stop_all(target, SECOND, &stop));
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < NSIG; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	gs_target_free(target);
	munmap(v.shared, sizeof(*v.shared));
}

static void resume_of_nothing(void **state)
{
	gs_stop_resume(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_one_thread),
		cmocka_unit_test(stops_eight_threads),
		cmocka_unit_test(stops_two_hundred_threads),
		cmocka_unit_test(stops_threads_that_are_being_made),
		cmocka_unit_test(stops_what_a_dead_leader_left),
		cmocka_unit_test(stopped_group_stays_stopped),
		cmocka_unit_test(stop_signal_in_the_stop_is_kept),
		cmocka_unit_test(signals_in_the_stop_come_after_it),
		cmocka_unit_test(no_signal_is_lost_or_doubled),
		cmocka_unit_test(signals_to_us_wait_for_the_resume),
		cmocka_unit_test(resume_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
