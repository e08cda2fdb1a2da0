/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One process under inspection. It is pinned by a pidfd and a descriptor of its /proc directory,
 * so a recycled PID can never be mistaken for it; gs_target_check() says whether it is still the
 * program that was opened (an exec replaces it).
 */
#ifndef GS_PROC_TARGET_H
#define GS_PROC_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct gs_target {
	pid_t pid;
	pid_t live_tid;		/* a thread that runs: a zombie leader has no memory */
	int dir_fd;		/* /proc/PID, -1: it is no more, only its core file is left */
	int pid_fd;		/* pidfd, or -1 on Linux before 5.3 */
	uint64_t start_ticks;	/* clock ticks after boot, /proc/PID/stat field 22 */
	char *comm;		/* command name, raw bytes of the target */
	char *exe;		/* /proc/PID/exe link, raw; NULL if it cannot be read */
	uint64_t start_stack;	/* changes with an exec; 0 if not shown to us */
};

/** What /proc/PID/status says. Sizes in bytes. */
struct gs_status {
	uid_t uid;		/* real */
	uid_t euid;
	char state;		/* R S D T t Z X */
	unsigned threads;
	pid_t tracer_pid;	/* 0: not traced */
	uint64_t rss_bytes;	/* VmRSS: approximate in the kernel, see gs_rollup */
	uint64_t swap_bytes;
	uint64_t locked_bytes;	/* VmLck */
	uint64_t pinned_bytes;	/* VmPin */
	int seccomp;		/* 0 off, 1 strict, 2 filter */
	bool is_kernel_thread;	/* no VmSize line */
};

/** What /proc/PID/smaps_rollup says, bytes. */
struct gs_rollup {
	uint64_t rss_bytes, anonymous_bytes, swap_bytes, anon_huge_bytes;
};

struct gs_thread {
	pid_t tid;
	char comm[64];		/* raw bytes, NUL-terminated */
	gs_addr tp;		/* thread pointer; 0: ask the kernel, GS_NO_ADDR: not known */
};

struct gs_threads {
	struct gs_thread *data;
	size_t len, cap;
};

/** Open the process pid. Errors: no such process, kernel thread, zombie (GS_ERR_NO_PROCESS). */
struct gs_err *gs_target_open(pid_t pid, struct gs_target **ret);

/** Release a target. Accepts NULL. */
void gs_target_free(struct gs_target *target);

/** NULL if the process lives and still runs the same program; else GS_ERR_NO_PROCESS. */
struct gs_err *gs_target_check(struct gs_target *target);

/** Read /proc/PID/status. */
struct gs_err *gs_target_status(struct gs_target *target, struct gs_status *ret);

/** Read /proc/PID/smaps_rollup (Linux 4.14), else sum /proc/PID/smaps. */
struct gs_err *gs_target_rollup(struct gs_target *target, struct gs_rollup *ret);

/** The command line as *ret_len bytes with NULs between the words. The caller frees *ret. */
struct gs_err *gs_target_cmdline(struct gs_target *target, char **ret, size_t *ret_len);

/** The threads, by ascending TID; those that end meanwhile are left out. gs_threads_fini(). */
struct gs_err *gs_target_threads(struct gs_target *target, struct gs_threads *ret);

void gs_threads_fini(struct gs_threads *threads);

/**
 * Open a file of the target's /proc directory, e.g. "maps" or "map_files/1000-2000" (flags as
 * open(2)). *ret is a new descriptor.
 */
struct gs_err *gs_target_openat(struct gs_target *target, const char *name, int flags, int *ret);

/**
 * An error for "the kernel does not let us look at the target", with a hint that says which rule
 * (other user, capability, Yama) forbids it.
 */
struct gs_err *gs_target_denied(struct gs_target *target, int os_errno, const char *what);

#endif
