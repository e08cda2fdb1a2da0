/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stop must not show in the target: a system call that our interrupt ended early has to go on.
 */
#ifndef GS_TRACE_RESTART_H
#define GS_TRACE_RESTART_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * The thread tid is in a PTRACE_EVENT_STOP of ours. If it was in a system call that would return
 * EINTR to the program only because of us, have the kernel restart it instead. has_seccomp(arg,
 * tid) says whether a seccomp filter watches the thread; it is asked only if that matters.
 * Does nothing for other than native 64-bit x86 threads.
 */
void gs_restart_syscall(pid_t tid, bool (*has_seccomp)(void *arg, pid_t tid), void *arg);

#endif
