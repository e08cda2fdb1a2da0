/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Victims for the stop test: processes forked by the test, watched through memory they share. */
#ifndef TESTS_UNIT_STOP_VICTIM_H
#define TESTS_UNIT_STOP_VICTIM_H

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/target.h"
#include "trace/stop.h"

#define MAX_THREADS 256
#define DEADLINE_S 20
#define SECOND UINT64_C(1000000000)

/* What a victim shows of itself. All zero at first. */
struct shared {
	atomic_uint ready;		/* threads that run */
	atomic_ulong ticks[MAX_THREADS];	/* work done, a thread */
	atomic_int tids[MAX_THREADS];
	atomic_int results[MAX_THREADS];	/* of a blocked call: 1 + errno, 1 for success */
	atomic_uint signals;		/* handled */
	atomic_uint word;		/* for futexes and flags */
	atomic_int pid;			/* of a helper */
};

struct victim {
	pid_t pid;
	struct shared *shared;
};

static struct shared *shared;	/* the child's view */

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Evaluate cond until it is true; the test fails after the deadline. */
#define wait_for(cond)                                                                             \
	do {                                                                                       \
		uint64_t until_ = now_ns() + DEADLINE_S * SECOND;                    \
		while (!(cond)) {                                                                  \
			if (now_ns() > until_)                                                     \
				fail_msg("never came true: %s", #cond);                            \
			sched_yield();                                                             \
		}                                                                                  \
	} while (0)

/* Fork a process that runs body() and dies with the test. Any process may trace it. */
static inline struct victim victim_start(void (*body)(void))
{
	struct victim v;

	v.shared = mmap(NULL, sizeof(*v.shared), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(v.shared, MAP_FAILED);
	v.pid = fork();
	assert_true(v.pid >= 0);
	if (v.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Fails where there is no Yama, which is as well. */
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		shared = v.shared;
		body();
		_exit(0);
	}
	return v;
}

static inline void victim_stop(struct victim *v)
{
	kill(v->pid, SIGKILL);
	waitpid(v->pid, NULL, 0);
	munmap(v->shared, sizeof(*v->shared));
}

/* The text of a small file of /proc/PID/task/TID; "" if it cannot be read. */
static inline void task_file(pid_t pid, pid_t tid, const char *name, char *buf, size_t size)
{
	char path[64];

	buf[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	buf[fread(buf, 1, size - 1, f)] = '\0';
	fclose(f);
}

static inline char task_state(pid_t pid, pid_t tid)
{
	char buf[512];

	task_file(pid, tid, "stat", buf, sizeof(buf));
	char *close = strrchr(buf, ')');
	return close ? close[2] : '\0';
}

static inline long tracer_of(pid_t pid, pid_t tid)
{
	char buf[4096];

	task_file(pid, tid, "status", buf, sizeof(buf));
	char *line = strstr(buf, "TracerPid:\t");
	return line ? strtol(line + strlen("TracerPid:\t"), NULL, 10) : -1;
}

static inline void start_thread(void *(*body)(void *), size_t i)
{
	pthread_t thread;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, body, (void *)(uintptr_t)i))
		_exit(1);
	pthread_attr_destroy(&attr);
}

static inline void announce(size_t i)
{
	shared->tids[i] = (int)syscall(SYS_gettid);
	shared->ready++;
}

/* Works a little, gives way, works on: 200 of these do not drown the machine. */
static inline void *ticker(void *arg)
{
	size_t i = (uintptr_t)arg;
	struct timespec nap = { .tv_nsec = 1000000 };

	announce(i);
	for (;;) {
		shared->ticks[i]++;
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* Never leaves user mode but when it has to. */
static inline void *spinner(void *arg)
{
	size_t i = (uintptr_t)arg;

	announce(i);
	for (;;)
		shared->ticks[i]++;
	return NULL;
}

static inline struct gs_target *open_target(pid_t pid)
{
	struct gs_target *target;

	assert_null(gs_target_open(pid, &target));
	return target;
}

/* Stop, with a deadline that only a mistake reaches. */
static inline struct gs_stop *stop_target(struct gs_target *target)
{
	struct gs_stop *stop = NULL;
	struct gs_err *err = gs_stop_all(target, DEADLINE_S * SECOND, &stop);

	if (err)
		fail_msg("%s", err->msg);
	assert_non_null(stop);
	return stop;
}

/* Call each() for every thread of pid; returns how many there are. */
static inline size_t each_thread(pid_t pid, void (*each)(pid_t pid, pid_t tid))
{
	char path[32];
	struct dirent *entry;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		each(pid, (pid_t)strtol(entry->d_name, NULL, 10));
		n++;
	}
	closedir(dir);
	return n;
}

static inline void assert_stopped(pid_t pid, pid_t tid)
{
	assert_int_equal(task_state(pid, tid), 't');
	assert_true(tracer_of(pid, tid) > 0);
}

static inline void assert_untraced(pid_t pid, pid_t tid)
{
	/* A thread may have ended since the listing: it has no tracer then either. */
	assert_true(tracer_of(pid, tid) <= 0);
}

static inline void assert_works_on(struct victim *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned long before = v->shared->ticks[i];

		wait_for(v->shared->ticks[i] > before);
	}
}

static inline void run_threads(size_t tickers, size_t spinners)
{
	for (size_t i = 1; i < tickers; i++)
		start_thread(ticker, i);
	for (size_t i = 0; i < spinners; i++)
		start_thread(spinner, tickers + i);
	ticker(NULL);
}

static inline void one_thread(void)
{
	run_threads(1, 0);
}

static inline void eight_threads(void)
{
	run_threads(6, 2);
}

#endif
