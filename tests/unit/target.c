/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processes as targets: opened, described, ended, replaced. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/target.h"

enum { DEADLINE_S = 20 };

static void wait_to_be_killed(void)
{
	for (;;)
		pause();
}

/* Fork a child that runs body. Returns once it has said that it is ready. */
static pid_t start(void (*body)(int ready_fd), int ready[2])
{
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(ready[1]);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	return pid;
}

static void finish(pid_t pid, int ready[2])
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
}

static void say_ready(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(1);
}

/* Wait until the condition holds; the test fails at the deadline. */
static void wait_for(bool (*condition)(void *arg), void *arg)
{
	time_t give_up = time(NULL) + DEADLINE_S;

	while (!condition(arg)) {
		assert_true(time(NULL) < give_up);
		sched_yield();
	}
}

static void assert_error(struct gs_err *err, enum gs_err_code code)
{
	assert_non_null(err);
	assert_int_equal(err->code, code);
	gs_err_free(err);
}

/* --- open --- */

static void odd_name_body(int fd)
{
	prctl(PR_SET_NAME, ") R 1 (\n");
	say_ready(fd);
	wait_to_be_killed();
}

/* The command name holds all that could lead a parser of stat astray. */
static void a_process_is_described(void **state)
{
	struct gs_target *target;
	struct gs_status status;
	struct gs_rollup rollup;
	struct gs_threads threads;
	char exe[4096] = {};
	int ready[2];

	pid_t pid = start(odd_name_body, ready);
	assert_null(gs_target_open(pid, &target));
	assert_int_equal(target->pid, pid);
	assert_int_equal(target->live_tid, pid);
	assert_string_equal(target->comm, ") R 1 (\n");
	assert_true(target->start_ticks > 0);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(target->exe, exe);
	assert_null(gs_target_check(target));

	assert_null(gs_target_status(target, &status));
	assert_int_equal(status.uid, getuid());
	assert_int_equal(status.euid, geteuid());
	assert_int_equal(status.threads, 1);
	assert_int_equal(status.tracer_pid, 0);
	assert_int_equal(status.seccomp, 0);
	assert_false(status.is_kernel_thread);
	assert_true(status.rss_bytes > 0);
	assert_null(gs_target_rollup(target, &rollup));
	assert_true(rollup.rss_bytes > 0 && rollup.anonymous_bytes <= rollup.rss_bytes);
	assert_null(gs_target_threads(target, &threads));
	assert_int_equal(threads.len, 1);
	assert_int_equal(threads.data[0].tid, pid);
	assert_string_equal(threads.data[0].comm, ") R 1 (\n");
	gs_threads_fini(&threads);
	finish(pid, ready);
	assert_error(gs_target_check(target), GS_ERR_NO_PROCESS);
	gs_target_free(target);
}

static void the_command_line(void **state)
{
	struct gs_target *target;
	char *words, ours[16384];
	size_t len;

	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, ours, sizeof(ours));
	close(fd);
	assert_true(n > 0);
	assert_null(gs_target_open(getpid(), &target));
	assert_null(gs_target_cmdline(target, &words, &len));
	assert_int_equal(len, n);
	assert_memory_equal(words, ours, len);
	free(words);
	assert_error(gs_target_openat(target, "no-such-file", O_RDONLY, &fd), GS_ERR_OS);
	gs_target_free(target);
	gs_target_free(NULL);
}

static void no_such_process(void **state)
{
	struct gs_target *target;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_error(gs_target_open(pid, &target), GS_ERR_NO_PROCESS);
	assert_error(gs_target_open(0, &target), GS_ERR_NO_PROCESS);
	assert_error(gs_target_open(-1, &target), GS_ERR_NO_PROCESS);
	assert_error(gs_target_open(INT32_MAX, &target), GS_ERR_NO_PROCESS);
}

static void a_zombie(void **state)
{
	struct gs_target *target;
	siginfo_t info;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	/* It has ended, and stays until it is waited for. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	struct gs_err *err = gs_target_open(pid, &target);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "zombie"));
	assert_error(err, GS_ERR_NO_PROCESS);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- threads --- */

static int thread_fd;

static void *thread_body(void *arg)
{
	char name[16] = "worker-0";

	name[7] = (char)('0' + (intptr_t)arg);
	prctl(PR_SET_NAME, name);
	say_ready(thread_fd);
	wait_to_be_killed();
	return NULL;
}

static void make_threads(int fd, intptr_t n)
{
	pthread_t thread;

	thread_fd = fd;
	for (intptr_t i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, thread_body, (void *)i))
			_exit(1);
}

static void threads_body(int fd)
{
	make_threads(fd, 3);
	wait_to_be_killed();
}

static void await_ready(int ready[2], unsigned n)
{
	char byte;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(read(ready[0], &byte, 1), 1);
}

static void threads_are_listed(void **state)
{
	struct gs_target *target, *thread;
	struct gs_threads threads;
	unsigned workers = 0;
	int ready[2];

	pid_t pid = start(threads_body, ready);
	await_ready(ready, 2);
	assert_null(gs_target_open(pid, &target));
	assert_null(gs_target_threads(target, &threads));
	assert_int_equal(threads.len, 4);
	for (size_t i = 0; i < threads.len; i++) {
		assert_true(!i || threads.data[i - 1].tid < threads.data[i].tid);
		workers += !strncmp(threads.data[i].comm, "worker-", 7);
	}
	assert_int_equal(workers, 3);
	/* A thread is not a process: what is meant is said. */
	struct gs_err *err = gs_target_open(threads.data[3].tid, &thread);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "thread"));
	assert_non_null(err->hint);
	assert_error(err, GS_ERR_NO_PROCESS);
	gs_threads_fini(&threads);
	gs_target_free(target);
	finish(pid, ready);
}

static void leader_ends_body(int fd)
{
	make_threads(fd, 1);
	pthread_exit(NULL);
}

static bool leader_is_zombie(void *arg)
{
	const pid_t *pid = arg;
	char path[64], text[512] = {};

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)*pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	char *name_end = n > 0 ? strrchr(text, ')') : NULL;
	return name_end && name_end[2] == 'Z';
}

/* The first thread has ended, the process has not: any other thread serves to look at it. */
static void a_process_without_its_first_thread(void **state)
{
	struct gs_target *target;
	struct gs_rollup rollup;
	int ready[2];

	pid_t pid = start(leader_ends_body, ready);
	wait_for(leader_is_zombie, &pid);
	assert_null(gs_target_open(pid, &target));
	assert_int_equal(target->pid, pid);
	assert_int_not_equal(target->live_tid, pid);
	assert_null(gs_target_check(target));
	assert_null(gs_target_rollup(target, &rollup));
	assert_true(rollup.rss_bytes > 0);
	gs_target_free(target);
	finish(pid, ready);
}

/* --- exec --- */

static void exec_body(int fd)
{
	sigset_t set;
	int sig;

	say_ready(fd);
	/* Goes on when it is told to. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &sig);
	/* The new program waits for what never comes. */
	int never[2];
	if (pipe(never) || dup2(never[0], 0) < 0)
		_exit(1);
	execlp("cat", "cat", NULL);
	_exit(1);
}

static bool is_cat(void *arg)
{
	const pid_t *pid = arg;
	char path[64], text[16] = {};

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)*pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && !strcmp(text, "cat\n");
}

static void another_program_is_another_target(void **state)
{
	struct gs_target *target;
	sigset_t set, old;
	int ready[2];

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid_t pid = start(exec_body, ready);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_null(gs_target_open(pid, &target));
	assert_null(gs_target_check(target));
	kill(pid, SIGUSR1);
	wait_for(is_cat, &pid);
	assert_error(gs_target_check(target), GS_ERR_NO_PROCESS);
	gs_target_free(target);
	finish(pid, ready);
}

static void denials_have_a_hint(void **state)
{
	struct gs_target *target;

	assert_null(gs_target_open(getpid(), &target));
	struct gs_err *err = gs_target_denied(target, EACCES, "cannot read its memory");
	assert_non_null(err->hint);
	assert_non_null(strstr(err->msg, "cannot read its memory"));
	assert_error(err, GS_ERR_PERMISSION);
	gs_target_free(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_described),
		cmocka_unit_test(the_command_line),
		cmocka_unit_test(no_such_process),
		cmocka_unit_test(a_zombie),
		cmocka_unit_test(threads_are_listed),
		cmocka_unit_test(a_process_without_its_first_thread),
		cmocka_unit_test(another_program_is_another_target),
		cmocka_unit_test(denials_have_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
