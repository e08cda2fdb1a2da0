/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace/tracees.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/vec.h"
#include "proc/file.h"
#include "trace/restart.h"

/* A stop takes microseconds as a rule: first give way, then sleep. */
#define YIELDS 20
#define NAP_NS 50000

uint64_t gs_trace_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void gs_trace_wait(unsigned turn)
{
	struct timespec nap = { .tv_nsec = NAP_NS };

	if (turn < YIELDS)
		sched_yield();
	else
		nanosleep(&nap, NULL);
}

/* The number after "Name:" in /proc/PID/task/TID/status; fallback if it cannot be read. */
static long status_number(struct gs_tracees *tracees, pid_t tid, const char *name, long fallback)
{
	char path[32], key[32];
	cleanup_free_ char *text = NULL;

	snprintf(path, sizeof(path), "%d/status", (int)tid);
	cleanup_close_ int fd = openat(dirfd(tracees->task_dir), path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fallback;
	struct gs_err *err = gs_file_slurp(fd, path, &text, NULL);
	if (err) {
		gs_err_free(err);
		return fallback;
	}
	snprintf(key, sizeof(key), "\n%s:\t", name);
	const char *at = strstr(text, key);
	return at ? strtol(at + strlen(key), NULL, 10) : fallback;
}

/* R S D T t Z X …; 0 if the thread is gone. The name before it may hold anything, even ')'. */
static char thread_state(struct gs_tracees *tracees, pid_t tid)
{
	char path[32], text[512];

	snprintf(path, sizeof(path), "%d/stat", (int)tid);
	cleanup_close_ int fd = openat(dirfd(tracees->task_dir), path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '\0';
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return '\0';
	text[n] = '\0';
	const char *close = strrchr(text, ')');
	return close && close[1] == ' ' ? close[2] : '\0';
}

/* If in doubt there is a filter: that costs a timeout its exactness, the other its process. */
static bool has_seccomp(void *arg, pid_t tid)
{
	return status_number(arg, tid, "Seccomp", 1) != 0;
}

/* The next thread of the directory, 0 at its end. */
static pid_t next_tid(DIR *dir)
{
	struct dirent *entry;
	uint64_t tid;

	while ((entry = readdir(dir)))
		if (gs_parse_uint(entry->d_name, 1, INT32_MAX, &tid))
			return (pid_t)tid;
	return 0;
}

static struct gs_err *ended(const struct gs_tracees *tracees)
{
	return gs_err_new(GS_ERR_NO_PROCESS, "process %d ended while it was being stopped",
			  (int)tracees->target->pid);
}

static struct gs_err *timed_out(const struct gs_tracees *tracees, pid_t tid, char state)
{
	struct gs_err *err = gs_err_new(GS_ERR_OS, "thread %d of process %d did not stop in time",
					(int)tid, (int)tracees->target->pid);

	if (err != &gs_err_nomem)
		err->os_errno = ETIMEDOUT;
	if (state == 'D')
		return gs_err_hint(err, "it is in uninterruptible sleep: it waits for the child of "
				   "a vfork() or for a device; nothing was changed, try again");
	return gs_err_hint(err, "nothing was changed; try again");
}

/* Time is up, all known threads have stopped, and still there are others. */
static struct gs_err *not_held(const struct gs_tracees *tracees)
{
	struct gs_err *err = gs_target_check(tracees->target);

	if (err)
		return err;
	err = gs_err_new(GS_ERR_OS, "process %d makes threads faster than they can be stopped",
			 (int)tracees->target->pid);
	if (err != &gs_err_nomem)
		err->os_errno = ETIMEDOUT;
	return gs_err_hint(err, "nothing was changed; try again");
}

/* A thread in uninterruptible sleep, 0 if there is none. */
static pid_t find_unstoppable(struct gs_tracees *tracees)
{
	rewinddir(tracees->task_dir);
	for (pid_t tid = next_tid(tracees->task_dir); tid; tid = next_tid(tracees->task_dir))
		if (thread_state(tracees, tid) == 'D')
			return tid;
	return 0;
}

/*
 * A thread in vfork() cannot be interrupted before its child runs another program, and the rest of
 * the process would stand still for as long. So wait for that before anything is touched.
 */
static struct gs_err *wait_until_stoppable(struct gs_tracees *tracees, uint64_t give_up_ns)
{
	for (unsigned turn = 0;; turn++) {
		pid_t tid = find_unstoppable(tracees);

		if (!tid)
			return NULL;
		if (gs_trace_now() >= give_up_ns)
			return timed_out(tracees, tid, 'D');
		gs_trace_wait(turn);
	}
}

static struct gs_err *seize_refused(struct gs_tracees *tracees, pid_t tid, int os_errno)
{
	long tracer = status_number(tracees, tid, "TracerPid", 0);

	if (os_errno != EPERM || tracer <= 0)
		return gs_target_denied(tracees->target, os_errno, "cannot stop its threads");

	struct gs_err *err = gs_err_new(GS_ERR_PERMISSION,
					"process %d is traced already, by process %ld",
					(int)tracees->target->pid, tracer);
	return gs_err_hint(err, "end the debugger or tracer with PID %ld, or look without stopping",
			   tracer);
}

/*
 * The kernel takes a number: was it still this process's thread? A seized thread that ends is a
 * zombie until we wait for it, so if it is not listed any more, somebody else has its number.
 */
static bool is_ours(struct gs_tracees *tracees, pid_t tid)
{
	char name[16];
	struct stat st;

	snprintf(name, sizeof(name), "%d", (int)tid);
	return fstatat(dirfd(tracees->task_dir), name, &st, 0) == 0;
}

static struct gs_err *seize(struct gs_tracees *tracees, pid_t tid)
{
	/* An exec would swap the thread's number and the whole program: it must not go unseen. */
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(uintptr_t)PTRACE_O_TRACEEXEC) < 0) {
		int os_errno = errno;
		char state = thread_state(tracees, tid);

		/* Threads that have ended, as a leader can long before the others, refuse too. */
		if (os_errno == ESRCH || state == '\0' || state == 'Z' || state == 'X')
			return NULL;
		return seize_refused(tracees, tid, os_errno);
	}
	*gs_vec_push(tracees) = (struct gs_tracee){ .tid = tid, .state = GS_TRACEE_RUNNING };
	return is_ours(tracees, tid) ? NULL : ended(tracees);
}

static int by_tid(const void *a, const void *b)
{
	const struct gs_tracee *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

/*
 * Seize all threads that are not yet among the first known ones. New threads are found by listing
 * again and again, not by PTRACE_O_TRACECLONE: that would stop every thread that makes another
 * one a second time, and would also give us processes made with clone(2), not ours to stop.
 */
static struct gs_err *seize_new(struct gs_tracees *tracees)
{
	size_t known = tracees->len;

	rewinddir(tracees->task_dir);
	for (pid_t tid = next_tid(tracees->task_dir); tid; tid = next_tid(tracees->task_dir)) {
		struct gs_tracee key = { .tid = tid };

		if (known && bsearch(&key, tracees->data, known, sizeof(key), by_tid))
			continue;
		struct gs_err *err = seize(tracees, tid);
		if (err)
			return err;
	}
	if (tracees->len > known)
		qsort(tracees->data, tracees->len, sizeof(*tracees->data), by_tid);
	return NULL;
}

/* One that stopped or ended before is interrupted no more: the pause starts once. */
static void interrupt_running(struct gs_tracees *tracees)
{
	if (!tracees->started_ns)
		tracees->started_ns = gs_trace_now();
	for (size_t i = 0; i < tracees->len; i++)
		if (tracees->data[i].state == GS_TRACEE_RUNNING)
			ptrace(PTRACE_INTERRUPT, tracees->data[i].tid, NULL, NULL);
}

/*
 * What the thread reported. PTRACE_EVENT_STOP is ours, or a group-stop that was there before: both
 * hold it, and detaching gives the latter back. Any other stop is a signal that came first: it is
 * handed on at once and its handler gets its frame. So no signal is ever kept from the target. The
 * kernel may have counted that stop as the answer to our interrupt, so there has to be another one,
 * which takes effect before the handler's first instruction.
 */
static struct gs_err *digest(struct gs_tracees *tracees, struct gs_tracee *tracee, int status)
{
	if (!WIFSTOPPED(status)) {
		tracee->state = GS_TRACEE_GONE;
		return NULL;
	}
	switch (status >> 16) {
	case PTRACE_EVENT_STOP:
		tracee->state = GS_TRACEE_STOPPED;
		gs_restart_syscall(tracee->tid, has_seccomp, tracees);
		return NULL;
	case PTRACE_EVENT_EXEC:
		tracee->state = GS_TRACEE_STOPPED;
		return gs_err_new(GS_ERR_NO_PROCESS,
				  "process %d started another program while it was being stopped",
				  (int)tracees->target->pid);
	default:
		ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
		ptrace(PTRACE_CONT, tracee->tid, NULL, (void *)(uintptr_t)WSTOPSIG(status));
		return NULL;
	}
}

/*
 * Ask every running tracee once. *ret_running is one that still runs, 0 if none does; *ret_news
 * whether any had something to report. Each is asked by number: the kernel finds it at once,
 * while for "any child" it walks its list, which for thousands of threads is most of the pause.
 */
static struct gs_err *poll_running(struct gs_tracees *tracees, pid_t *ret_running, bool *ret_news)
{
	*ret_running = 0;
	*ret_news = false;
	for (size_t i = 0; i < tracees->len; i++) {
		struct gs_tracee *tracee = &tracees->data[i];
		int status;

		if (tracee->state != GS_TRACEE_RUNNING)
			continue;
		/* __WALL: threads are children of the clone kind. __WNOTHREAD: and only ours. */
		pid_t tid = waitpid(tracee->tid, &status, __WALL | __WNOTHREAD | WNOHANG);
		if (tid > 0) {
			struct gs_err *err = digest(tracees, tracee, status);
			if (err)
				return err;
			*ret_news = true;
		} else if (tid < 0 && errno == ECHILD) {
			tracee->state = GS_TRACEE_GONE;
		}
		if (tracee->state == GS_TRACEE_RUNNING)
			*ret_running = tracee->tid;
	}
	return NULL;
}

static struct gs_err *wait_for_stops(struct gs_tracees *tracees, uint64_t give_up_ns)
{
	for (unsigned turn = 0;; turn++) {
		pid_t running;
		bool news;
		struct gs_err *err = poll_running(tracees, &running, &news);

		if (err || !running)
			return err;
		if (gs_trace_now() >= give_up_ns)
			return timed_out(tracees, running, thread_state(tracees, running));
		if (news)
			turn = 0;
		gs_trace_wait(turn);
	}
}

/*
 * Do we hold every thread there is? A listing cannot tell: it may end early when a thread ends
 * while it is made. The kernel's count can: a stopped thread neither ends nor makes another, so if
 * there are no more threads than we hold, none can come. A main thread that has ended counts until
 * the last of the others has.
 */
static bool holds_all(struct gs_tracees *tracees)
{
	pid_t held = 0;
	long n = 0;

	for (size_t i = 0; i < tracees->len; i++) {
		if (tracees->data[i].state != GS_TRACEE_STOPPED)
			continue;
		held = tracees->data[i].tid;
		n++;
	}
	if (!held)
		return false;

	long threads = status_number(tracees, held, "Threads", -1);
	return threads == n ||
	       (threads == n + 1 && thread_state(tracees, tracees->target->pid) == 'Z');
}

static struct gs_err *open_tasks(struct gs_tracees *tracees)
{
	int fd;
	struct gs_err *err = gs_target_openat(tracees->target, "task", O_RDONLY | O_DIRECTORY, &fd);

	if (err)
		return err;
	tracees->task_dir = fdopendir(fd);
	if (tracees->task_dir)
		return NULL;
	err = gs_err_os(errno, "cannot list the threads of process %d", (int)tracees->target->pid);
	close(fd);
	return err;
}

struct gs_err *gs_tracees_stop(struct gs_tracees *tracees, struct gs_target *target,
			       uint64_t give_up_ns)
{
	tracees->target = target;
	struct gs_err *err = open_tasks(tracees);
	if (err)
		return err;
	err = wait_until_stoppable(tracees, give_up_ns);
	if (err)
		return err;
	for (unsigned turn = 0;; turn++) {
		/* All are seized before the first is interrupted: the pause is shorter. */
		err = seize_new(tracees);
		if (err)
			return err;
		interrupt_running(tracees);
		err = wait_for_stops(tracees, give_up_ns);
		if (err || holds_all(tracees))
			return err;
		if (gs_trace_now() >= give_up_ns)
			return not_held(tracees);
		gs_trace_wait(turn);
	}
}

void gs_tracees_detach(struct gs_tracees *tracees)
{
	for (size_t i = 0; i < tracees->len; i++)
		if (tracees->data[i].state == GS_TRACEE_STOPPED)
			ptrace(PTRACE_DETACH, tracees->data[i].tid, NULL, NULL);
}

void gs_tracees_fini(struct gs_tracees *tracees)
{
	if (tracees->task_dir)
		closedir(tracees->task_dir);
	free(tracees->data);
	*tracees = (struct gs_tracees){};
}
