/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stops that cannot be or that end badly: no victim may be left behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/ptrace.h>

#include "stop_victim.h"

#define VFORK_STACK 65536

/* As vfork() does, but on a stack of its own, so that the child may run what it likes. */
static pid_t vfork_on(char *stack, int (*body)(void *))
{
	return clone(body, stack + VFORK_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
}

static int lives_until_told(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!shared->word)
		sched_yield();
	return 0;
}

/* Cannot be stopped before word is set. */
static void vforks_once(void)
{
	static char stack[VFORK_STACK] __attribute__((aligned(16)));

	start_thread(ticker, 1);
	announce(0);
	if (vfork_on(stack, lives_until_told) < 0)
		_exit(1);
	ticker(NULL);
}

static void assert_timed_out(struct gs_err *err)
{
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_OS);
	assert_int_equal(err->os_errno, ETIMEDOUT);
	gs_err_free(err);
}

static void vfork_is_refused_unharmed(void **state)
{
	struct victim v = victim_start(vforks_once);

	wait_for(v.shared->ready == 2 && task_state(v.pid, v.pid) == 'D');
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = NULL;
	unsigned long before = v.shared->ticks[1];
	assert_timed_out(gs_stop_all(target, SECOND / 2, &stop));
	assert_null(stop);
	/* The other thread did not stand still meanwhile. It ticks once a millisecond. */
	assert_true(v.shared->ticks[1] > before + 5);
	assert_int_equal(each_thread(v.pid, assert_untraced), 2);
	v.shared->word = 1;
	assert_works_on(&v, 2);
	stop = stop_target(target);
	gs_stop_resume(stop, NULL);
	assert_works_on(&v, 2);
	gs_target_free(target);
	victim_stop(&v);
}

static int lives_a_millisecond(void *arg)
{
	struct timespec nap = { .tv_nsec = 1000000 };

	syscall(SYS_nanosleep, &nap, NULL);
	return 0;
}

static void *vforks_often(void *arg)
{
	static char stack[VFORK_STACK] __attribute__((aligned(16)));
	size_t i = (uintptr_t)arg;

	announce(i);
	for (;;) {
		pid_t pid = vfork_on(stack, lives_a_millisecond);
		int status;

		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			_exit(1);
		shared->ticks[i]++;
	}
	return NULL;
}

static void vforks_in_a_thread(void)
{
	start_thread(vforks_often, 1);
	ticker(NULL);
}

/* A thread that enters vfork() when it is seized already is the one that cannot be detached. */
static void vfork_in_the_middle_is_let_go(void **state)
{
	struct victim v = victim_start(vforks_in_a_thread);
	unsigned stopped = 0, refused = 0;

	wait_for(v.shared->ready == 2);
	struct gs_target *target = open_target(v.pid);
	for (unsigned round = 0; round < 300; round++) {
		struct gs_stop *stop = NULL;
		struct gs_err *err = gs_stop_all(target, 300000, &stop);

		if (err) {
			assert_timed_out(err);
			refused++;
		} else {
			gs_stop_resume(stop, NULL);
			stopped++;
		}
		assert_int_equal(each_thread(v.pid, assert_untraced), 2);
	}
	assert_true(stopped + refused == 300);
	assert_true(refused > 0);
	assert_works_on(&v, 2);
	gs_target_free(target);
	victim_stop(&v);
}

/* A process that stops the victim and never resumes it. */
static pid_t start_dying_tracer(struct victim *v)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct gs_target *target;
	struct gs_stop *stop;
	if (gs_target_open(v->pid, &target) || gs_stop_all(target, DEADLINE_S * SECOND, &stop))
		_exit(1);
	v->shared->word = 1;
	for (;;)
		pause();
}

static void death_of_the_tracer_resumes(void **state)
{
	struct victim v = victim_start(eight_threads);

	wait_for(v.shared->ready == 8);
	pid_t tracer = start_dying_tracer(&v);
	wait_for(v.shared->word == 1);
	assert_int_equal(each_thread(v.pid, assert_stopped), 8);
	kill(tracer, SIGKILL);
	int status;
	assert_int_equal(waitpid(tracer, &status, 0), tracer);
	assert_true(WIFSIGNALED(status));
	assert_works_on(&v, 8);
	assert_int_equal(each_thread(v.pid, assert_untraced), 8);
	victim_stop(&v);
}

static pid_t start_debugger(struct victim *v)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_SEIZE, v->shared->tids[3], NULL, NULL) < 0)
		_exit(1);
	v->shared->word = 1;
	for (;;)
		pause();
}

/* Even where only one of the threads is traced, and not the first. */
static void traced_already_names_the_tracer(void **state)
{
	struct victim v = victim_start(eight_threads);
	char text[32];

	wait_for(v.shared->ready == 8);
	pid_t debugger = start_debugger(&v);
	wait_for(v.shared->word == 1);
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = NULL;
	struct gs_err *err = gs_stop_all(target, DEADLINE_S * SECOND, &stop);
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_PERMISSION);
	snprintf(text, sizeof(text), "by process %d", (int)debugger);
	assert_non_null(strstr(err->msg, text));
	gs_err_free(err);
	assert_works_on(&v, 8);
	kill(debugger, SIGKILL);
	waitpid(debugger, NULL, 0);
	wait_for(tracer_of(v.pid, v.shared->tids[3]) == 0);
	each_thread(v.pid, assert_untraced);
	gs_target_free(target);
	victim_stop(&v);
}

static void ended_process_is_an_error(void **state)
{
	struct victim v = victim_start(one_thread);
	struct gs_stop *stop = NULL;

	wait_for(v.shared->ready == 1);
	struct gs_target *target = open_target(v.pid);
	victim_stop(&v);
	struct gs_err *err = gs_stop_all(target, DEADLINE_S * SECOND, &stop);
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_NO_PROCESS);
	gs_err_free(err);
	gs_target_free(target);
}

static void killed_in_the_stop_is_reaped(void **state)
{
	struct victim v = victim_start(eight_threads);
	int status;

	wait_for(v.shared->ready == 8);
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = stop_target(target);
	kill(v.pid, SIGKILL);
	gs_stop_resume(stop, NULL);
	assert_int_equal(waitpid(v.pid, &status, 0), v.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	gs_target_free(target);
	munmap(v.shared, sizeof(*v.shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vfork_is_refused_unharmed),
		cmocka_unit_test(vfork_in_the_middle_is_let_go),
		cmocka_unit_test(death_of_the_tracer_resumes),
		cmocka_unit_test(traced_already_names_the_tracer),
		cmocka_unit_test(ended_process_is_an_error),
		cmocka_unit_test(killed_in_the_stop_is_reaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
