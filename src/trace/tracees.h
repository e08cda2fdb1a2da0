/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The threads of a target as tracees of the calling thread. ptrace knows single threads only: all
 * functions must be called by the thread that called gs_tracees_stop().
 */
#ifndef GS_TRACE_TRACEES_H
#define GS_TRACE_TRACEES_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/target.h"

struct gs_tracee {
	pid_t tid;
	enum { GS_TRACEE_RUNNING, GS_TRACEE_STOPPED, GS_TRACEE_GONE } state;
};

/** Zero-initialise; gs_tracees_fini(). */
struct gs_tracees {
	struct gs_target *target;
	DIR *task_dir;		/* /proc/PID/task */
	struct gs_tracee *data;
	size_t len, cap;
	uint64_t started_ns;	/* CLOCK_MONOTONIC at the first PTRACE_INTERRUPT, 0: none yet */
};

/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t gs_trace_now(void);

/** Let others run for a moment; after the first few of its turns (0, 1, …) it sleeps. */
void gs_trace_wait(unsigned turn);

/**
 * Seize and stop all threads of target until give_up_ns (CLOCK_MONOTONIC). On an error some may be
 * seized or stopped: gs_tracees_detach() those that stopped, then end the calling thread, which is
 * the only way to let go of the others.
 */
struct gs_err *gs_tracees_stop(struct gs_tracees *tracees, struct gs_target *target,
			       uint64_t give_up_ns);

/** Detach from every stopped thread; each goes back to running, or to its group-stop. */
void gs_tracees_detach(struct gs_tracees *tracees);

/** Release the memory. */
void gs_tracees_fini(struct gs_tracees *tracees);

#endif
