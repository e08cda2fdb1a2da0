/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads that wait in a system call are stopped and resumed again and again: the call goes on,
 * and ends with what it was waiting for, never with EINTR.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "stop_victim.h"

#define ROUNDS 20

/* Long enough for the rounds of stops, and not waited for if they take longer. */
#define NAP_MS 300

/* Made before the fork: the test writes to [1], or sends, when the call shall end. */
static int pipe_fds[2], poll_fds[2], select_fds[2], epoll_fds[2], sockets[2];
static int sem_id = -1;

static int open_all(void **state)
{
	struct timeval timeout = { .tv_sec = 2 * DEADLINE_S };

	if (pipe(pipe_fds) || pipe(poll_fds) || pipe(select_fds) || pipe(epoll_fds) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return -1;
	if (setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		return -1;
	sem_id = semget(IPC_PRIVATE, 1, 0600);
	return sem_id < 0 ? -1 : 0;
}

static int close_all(void **state)
{
	return semctl(sem_id, 0, IPC_RMID);
}

static int in_nanosleep(void)
{
	struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	uint64_t before = now_ns();

	if (nanosleep(&nap, NULL))
		return -1;
	/* Not cut short either. */
	errno = ETIME;
	return now_ns() - before >= NAP_MS * UINT64_C(1000000) ? 0 : -1;
}

static int in_read(void)
{
	char c;

	return read(pipe_fds[0], &c, 1) == 1 ? 0 : -1;
}

static int in_poll(void)
{
	struct pollfd pfd = { .fd = poll_fds[0], .events = POLLIN };

	return poll(&pfd, 1, -1) == 1 ? 0 : -1;
}

static int in_poll_with_timeout(void)
{
	struct pollfd pfd = { .fd = poll_fds[0], .events = POLLIN };

	return poll(&pfd, 1, 2 * DEADLINE_S * 1000) == 1 ? 0 : -1;
}

static int in_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(select_fds[0], &set);
	return select(select_fds[0] + 1, &set, NULL, NULL, NULL) == 1 ? 0 : -1;
}

static int in_futex(void)
{
	return (int)syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

/* Ends by a handler only, and then with EINTR: that one must get through. */
static int in_pause(void)
{
	int r = pause();

	return r == -1 && errno == EINTR && shared->signals == 1 ? 0 : -1;
}

static void send_byte(const int *fds)
{
	assert_int_equal(write(fds[1], "x", 1), 1);
}

static void end_read(struct victim *v, pid_t tid)
{
	send_byte(pipe_fds);
}

static void end_poll(struct victim *v, pid_t tid)
{
	send_byte(poll_fds);
}

static void end_select(struct victim *v, pid_t tid)
{
	send_byte(select_fds);
}

static void end_futex(struct victim *v, pid_t tid)
{
	v->shared->word = 1;
	syscall(SYS_futex, &v->shared->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void end_pause(struct victim *v, pid_t tid)
{
	syscall(SYS_tgkill, v->pid, tid, SIGUSR1);
}

static void end_by_itself(struct victim *v, pid_t tid)
{
}

#if defined(__x86_64__)

/* The calls that a stop alone ends with EINTR, and what the tool does against it. */
static int in_epoll_wait(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	epoll_ctl(fd, EPOLL_CTL_ADD, epoll_fds[0], &event);
	return epoll_wait(fd, &event, 1, -1) == 1 ? 0 : -1;
}

static int in_semop(void)
{
	struct sembuf op = { .sem_op = -1 };

	return semop(sem_id, &op, 1);
}

static int in_sigtimedwait(void)
{
	struct timespec timeout = { .tv_sec = 2 * DEADLINE_S };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &timeout) == SIGUSR2 ? 0 : -1;
}

static int in_recv_with_timeout(void)
{
	char c;

	return recv(sockets[0], &c, 1, 0) == 1 ? 0 : -1;
}

static void end_epoll(struct victim *v, pid_t tid)
{
	send_byte(epoll_fds);
}

static void end_semop(struct victim *v, pid_t tid)
{
	struct sembuf op = { .sem_op = 1 };

	assert_int_equal(semop(sem_id, &op, 1), 0);
}

static void end_sigtimedwait(struct victim *v, pid_t tid)
{
	syscall(SYS_tgkill, v->pid, tid, SIGUSR2);
}

static void end_recv(struct victim *v, pid_t tid)
{
	send_byte(sockets);
}

#endif

static const struct call {
	const char *name;
	int (*wait)(void);				/* in the victim */
	void (*end)(struct victim *v, pid_t tid);	/* in the test */
} calls[] = {
	{ "nanosleep", in_nanosleep, end_by_itself },
	{ "read", in_read, end_read },
	{ "poll", in_poll, end_poll },
	{ "poll with a timeout", in_poll_with_timeout, end_by_itself },
	{ "select", in_select, end_select },
	{ "futex", in_futex, end_futex },
	{ "pause", in_pause, end_pause },
#if defined(__x86_64__)
	{ "epoll_wait", in_epoll_wait, end_epoll },
	{ "semop", in_semop, end_semop },
	{ "sigtimedwait", in_sigtimedwait, end_sigtimedwait },
	{ "recv with a timeout", in_recv_with_timeout, end_recv },
#endif
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static void count_signal(int sig)
{
	shared->signals++;
}

static void *blocked(void *arg)
{
	size_t i = (uintptr_t)arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	announce(i);
	int r = calls[i].wait();
	shared->results[i] = r == 0 ? 1 : 1 + errno;
	for (;;)
		pause();
	return NULL;
}

static void blocks_in_everything(void)
{
	struct sigaction action = { .sa_handler = count_signal };

	sigaction(SIGUSR1, &action, NULL);
	for (size_t i = 1; i < N_CALLS; i++)
		start_thread(blocked, i);
	blocked((void *)0);
}

static void calls_go_on(void **state)
{
	struct victim v = victim_start(blocks_in_everything);

	wait_for(v.shared->ready == N_CALLS);
	for (size_t i = 0; i < N_CALLS; i++)
		wait_for(task_state(v.pid, v.shared->tids[i]) == 'S');
	struct gs_target *target = open_target(v.pid);
	for (unsigned round = 0; round < ROUNDS; round++) {
		gs_stop_resume(stop_target(target), NULL);
		/* Back in its call, else the next stop would not meet it there. */
		for (size_t i = 0; i < N_CALLS; i++)
			wait_for(task_state(v.pid, v.shared->tids[i]) == 'S');
	}
	for (size_t i = 1; i < N_CALLS; i++)
		if (v.shared->results[i])
			fail_msg("%s ended: %s", calls[i].name,
				 strerror(v.shared->results[i] - 1));
	for (size_t i = 0; i < N_CALLS; i++)
		calls[i].end(&v, v.shared->tids[i]);
	for (size_t i = 0; i < N_CALLS; i++) {
		wait_for(v.shared->results[i]);
		if (v.shared->results[i] != 1)
			fail_msg("%s failed: %s", calls[i].name,
				 strerror(v.shared->results[i] - 1));
	}
	gs_target_free(target);
	victim_stop(&v);
}

/* A handler that runs because of a signal in the stop makes the call end with EINTR, as ever. */
static void interrupted_by_a_real_signal(void)
{
	struct sigaction action = { .sa_handler = count_signal };

	sigaction(SIGUSR1, &action, NULL);
	announce(0);
	struct epoll_event event;
	int r = epoll_wait(epoll_create1(0), &event, 1, -1);
	shared->results[0] = r < 0 ? 1 + errno : 1;
	for (;;)
		pause();
}

static void real_signals_still_interrupt(void **state)
{
	struct victim v = victim_start(interrupted_by_a_real_signal);

	wait_for(v.shared->ready == 1 && task_state(v.pid, v.pid) == 'S');
	struct gs_target *target = open_target(v.pid);
	struct gs_stop *stop = stop_target(target);
	kill(v.pid, SIGUSR1);
	gs_stop_resume(stop, NULL);
	wait_for(v.shared->results[0]);
	assert_int_equal(v.shared->results[0], 1 + EINTR);
	assert_int_equal(v.shared->signals, 1);
	gs_target_free(target);
	victim_stop(&v);
}

#if defined(__x86_64__)

/* Kills whoever calls restart_syscall(2), which the kernel has a stopped nanosleep() do. */
static void sleeps_behind_a_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog))
		_exit(1);
	announce(0);
	shared->results[0] = in_nanosleep() == 0 ? 1 : 1 + errno;
	for (;;)
		pause();
}

static void filter_against_restart_does_not_kill(void **state)
{
	struct victim v = victim_start(sleeps_behind_a_filter);

	wait_for(v.shared->ready == 1 && task_state(v.pid, v.pid) == 'S');
	struct gs_target *target = open_target(v.pid);
	gs_stop_resume(stop_target(target), NULL);
	wait_for(v.shared->results[0] || waitpid(v.pid, NULL, WNOHANG) != 0);
	assert_int_equal(v.shared->results[0], 1);
	gs_target_free(target);
	victim_stop(&v);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_go_on),
		cmocka_unit_test(real_signals_still_interrupt),
#if defined(__x86_64__)
		cmocka_unit_test(filter_against_restart_does_not_kill),
#endif
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
