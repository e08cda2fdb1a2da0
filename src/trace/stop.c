/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who traces. A tracee belongs to one thread of the tracer, and one that never stopped cannot be
 * detached: PTRACE_DETACH wants it stopped, so a thread in vfork() would stay seized, and would
 * stop and hang the day it leaves the kernel. But the kernel lets go of everything, running or
 * not, when the tracing thread ends. So a thread of its own does the tracing. It detaches from
 * what has stopped the polite way, which leaves no gap until the process runs, and then it ends,
 * which takes care of the rest, of threads that were killed meanwhile too. A child process would
 * do as well, but needs pipes to be talked to and somebody to reap it. Reading the target's
 * memory does not need the tracer.
 */
#include "trace/stop.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "trace/tracees.h"

/* How often to look whether the tracer is gone: a tenth of a second at least. */
#define GONE_TURNS 2000

struct gs_stop {
	struct gs_target *target;
	uint64_t give_up_ns;
	pthread_t tracer;
	pid_t tracer_tid;
	sem_t settled;		/* the tracer has stopped everything, or given up: see err */
	sem_t resume;		/* it may let go */
	struct gs_err *err;
	pid_t *tids;
	size_t n_tids;
	uint64_t pause_ns;
	sigset_t old_mask;	/* of the thread that asked for the stop */
};

static void sem_wait_through(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR)
		;
}

static void collect_tids(struct gs_stop *stop, const struct gs_tracees *tracees)
{
	stop->tids = gs_xcalloc(tracees->len, sizeof(*stop->tids));
	for (size_t i = 0; i < tracees->len; i++)
		if (tracees->data[i].state == GS_TRACEE_STOPPED)
			stop->tids[stop->n_tids++] = tracees->data[i].tid;
}

static void *trace(void *arg)
{
	struct gs_stop *stop = arg;
	struct gs_tracees tracees = {};

	/* Naps are part of the pause: keep them as short as meant. For this thread only. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	stop->tracer_tid = (pid_t)syscall(SYS_gettid);
	stop->err = gs_tracees_stop(&tracees, stop->target, stop->give_up_ns);
	if (!stop->err) {
		collect_tids(stop, &tracees);
		sem_post(&stop->settled);
		sem_wait_through(&stop->resume);
	}
	gs_tracees_detach(&tracees);
	if (tracees.started_ns)
		stop->pause_ns = gs_trace_now() - tracees.started_ns;
	if (stop->err)
		sem_post(&stop->settled);
	gs_tracees_fini(&tracees);
	return NULL;
}

/*
 * Wait until the tracer is gone for the kernel too: pthread_join() returns a little before its
 * tracees are let go. Not for ever: the number may be that of a new thread of ours by then.
 */
static void join_tracer(struct gs_stop *stop)
{
	pthread_join(stop->tracer, NULL);
	for (unsigned turn = 0; turn < GONE_TURNS; turn++) {
		if (syscall(SYS_tgkill, getpid(), stop->tracer_tid, 0) < 0)
			return;
		gs_trace_wait(turn);
	}
}

/*
 * The tracer starts with every signal blocked: none is ever handled there. The calling thread then
 * has those blocked that would end the program in the middle of the stop.
 */
static int start_tracer(struct gs_stop *stop)
{
	sigset_t all, held;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &stop->old_mask);
	int os_errno = pthread_create(&stop->tracer, NULL, trace, stop);

	held = stop->old_mask;
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	pthread_sigmask(SIG_SETMASK, os_errno ? &stop->old_mask : &held, NULL);
	return os_errno;
}

/* Also lets in a signal that came meanwhile. */
static void unblock_signals(struct gs_stop *stop)
{
	pthread_sigmask(SIG_SETMASK, &stop->old_mask, NULL);
}

static void stop_free(struct gs_stop *stop)
{
	sem_destroy(&stop->settled);
	sem_destroy(&stop->resume);
	free(stop->tids);
	free(stop);
}

struct gs_err *gs_stop_all(struct gs_target *target, uint64_t deadline_ns, struct gs_stop **ret)
{
	struct gs_stop *stop = gs_xzalloc(sizeof(*stop));

	stop->target = target;
	if (__builtin_add_overflow(gs_trace_now(), deadline_ns, &stop->give_up_ns))
		stop->give_up_ns = UINT64_MAX;
	sem_init(&stop->settled, 0, 0);
	sem_init(&stop->resume, 0, 0);
	int os_errno = start_tracer(stop);
	if (os_errno) {
		stop_free(stop);
		return gs_err_os(os_errno, "cannot start a thread");
	}
	sem_wait_through(&stop->settled);
	if (!stop->err) {
		*ret = stop;
		return NULL;
	}
	join_tracer(stop);
	unblock_signals(stop);

	struct gs_err *err = stop->err;
	stop_free(stop);
	return err;
}

void gs_stop_resume(struct gs_stop *stop, uint64_t *ret_pause_ns)
{
	if (!stop)
		return;
	sem_post(&stop->resume);
	join_tracer(stop);
	if (ret_pause_ns)
		*ret_pause_ns = stop->pause_ns;
	unblock_signals(stop);
	stop_free(stop);
}

const pid_t *gs_stop_tids(const struct gs_stop *stop, size_t *ret_n)
{
	*ret_n = stop->n_tids;
	return stop->tids;
}

int gs_stop_interrupted(const struct gs_stop *stop)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
		sigismember(&pending, SIGHUP) == 1);
}
