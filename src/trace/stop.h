/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stop every thread of a process for a short time and give it back as it was.
 *
 * PTRACE_SEIZE, then PTRACE_INTERRUPT, never PTRACE_ATTACH: no SIGSTOP is sent, a group that
 * was stopped stays stopped, a signal that arrives meanwhile is delivered. If we die, the kernel
 * detaches and the process runs on.
 */
#ifndef GS_TRACE_STOP_H
#define GS_TRACE_STOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/target.h"

struct gs_stop;

/**
 * Stop all threads of target, those created meanwhile too. Gives up after deadline_ns (all are
 * resumed then): a thread in uninterruptible sleep (vfork) cannot be stopped.
 * Errors: permission or traced already (message names the tracer), deadline, process ended.
 * SIGINT, SIGTERM and SIGHUP are blocked in the calling thread from here until gs_stop_resume().
 */
struct gs_err *gs_stop_all(struct gs_target *target, uint64_t deadline_ns, struct gs_stop **ret);

/**
 * Resume every thread to the state it had, detach, and release stop. Accepts NULL.
 * *ret_pause_ns (may be NULL) is the time from the first PTRACE_INTERRUPT to the last detach.
 * A blocked SIGINT, SIGTERM or SIGHUP that came meanwhile is delivered after that.
 */
void gs_stop_resume(struct gs_stop *stop, uint64_t *ret_pause_ns);

/** The stopped threads, by TID; owned by stop. */
const pid_t *gs_stop_tids(const struct gs_stop *stop, size_t *ret_n);

/** True once SIGINT, SIGTERM or SIGHUP is pending: whoever works in the stop should give up. */
int gs_stop_interrupted(const struct gs_stop *stop);

#endif
