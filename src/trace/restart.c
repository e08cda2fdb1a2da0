/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace/restart.h"

#if defined(__x86_64__)

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

/*
 * The kernel's own, never seen by programs: restart the call unless a handler runs, which then
 * sees EINTR; and: restart through restart_syscall(2), which knows the time that is left.
 */
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

/* CS of a thread that executes 64-bit code. */
#define CS_64BIT 0x33

/*
 * Calls that end with a plain EINTR when a thread is merely stopped and resumed, most of them
 * because they have a timeout. All can be made again as they were: they had done nothing yet, or
 * they would have returned how much. close(2) is the call that must never be in this table: its
 * descriptor is gone already and may be somebody else's by now. A relative timeout starts anew.
 */
static const int interruptible[] = {
	SYS_epoll_wait, SYS_epoll_pwait,
#ifdef SYS_epoll_pwait2
	SYS_epoll_pwait2,
#endif
	SYS_semop, SYS_semtimedop,
	SYS_rt_sigtimedwait,
	SYS_io_getevents,
#ifdef SYS_io_pgetevents
	SYS_io_pgetevents,
#endif
#ifdef SYS_io_uring_enter
	SYS_io_uring_enter,
#endif
	/* sockets with SO_RCVTIMEO or SO_SNDTIMEO */
	SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_accept, SYS_accept4,
	SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_connect,
};

static bool is_interruptible(int64_t nr)
{
	for (size_t i = 0; i < sizeof(interruptible) / sizeof(interruptible[0]); i++)
		if (interruptible[i] == nr)
			return true;
	return false;
}

void gs_restart_syscall(pid_t tid, bool (*has_seccomp)(void *arg, pid_t tid), void *arg)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0 || regs.cs != CS_64BIT)
		return;

	/* orig_rax is negative unless the thread is on its way out of a system call. */
	int64_t nr = (int64_t)regs.orig_rax;
	int64_t result = (int64_t)regs.rax;
	bool ended_early = result == -EINTR && is_interruptible(nr);

	/*
	 * The kernel goes on with a timed call by making it a restart_syscall(2). A seccomp filter
	 * that does not list that call would kill the process for it.
	 */
	bool would_be_killed = nr >= 0 && result == -ERESTART_RESTARTBLOCK && has_seccomp(arg, tid);

	if (!ended_early && !would_be_killed)
		return;
	regs.rax = (uint64_t)-ERESTARTNOHAND;
	/* If that fails the thread has been killed. */
	ptrace(PTRACE_SETREGS, tid, NULL, &regs);
}

#else

void gs_restart_syscall(pid_t tid, bool (*has_seccomp)(void *arg, pid_t tid), void *arg)
{
}

#endif
