/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "proc/file.h"

/* Fields of /proc/PID/stat, counted as proc(5) does. */
enum { STAT_STATE = 3, STAT_FLAGS = 9, STAT_STARTTIME = 22, STAT_STARTSTACK = 28 };

/* include/linux/sched.h: a kernel thread. Shown in field 9 of /proc/PID/stat. */
#define PF_KTHREAD 0x00200000u

struct stat_line {
	char state;
	uint64_t flags, start_ticks, start_stack;
	char *comm;
};

static struct gs_err *no_process(pid_t pid)
{
	return gs_err_new(GS_ERR_NO_PROCESS, "no such process: %d", (int)pid);
}

static struct gs_err *slurp_at(int dir_fd, const char *name, char **ret, size_t *ret_len)
{
	cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gs_err_os(errno, "cannot open %s", name);
	return gs_file_slurp(fd, name, ret, ret_len);
}

/* The command name may hold anything, blanks and parentheses too: it ends at the last ')'. */
static struct gs_err *stat_read(int dir_fd, const char *name, struct stat_line *ret)
{
	cleanup_free_ char *text = NULL;
	struct gs_err *err = slurp_at(dir_fd, name, &text, NULL);
	if (err)
		return err;
	char *open = strchr(text, '(');
	char *close = strrchr(text, ')');
	if (!open || !close || close < open)
		return gs_err_new(GS_ERR_FORMAT, "cannot parse %s", name);
	*close = '\0';

	struct stat_line line = {};
	int field = STAT_STATE;
	char *save = NULL;
	for (char *word = strtok_r(close + 1, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save), field++) {
		uint64_t value = strtoull(word, NULL, 10);
		if (field == STAT_STATE)
			line.state = word[0];
		else if (field == STAT_FLAGS)
			line.flags = value;
		else if (field == STAT_STARTTIME)
			line.start_ticks = value;
		else if (field == STAT_STARTSTACK)
			line.start_stack = value;
	}
	if (field <= STAT_STARTTIME)
		return gs_err_new(GS_ERR_FORMAT, "cannot parse %s", name);
	line.comm = gs_xstrdup(open + 1);
	*ret = line;
	return NULL;
}

static bool is_dead(char state)
{
	return state == 'Z' || state == 'X';
}

static DIR *open_tasks(int dir_fd)
{
	int fd = openat(dir_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	DIR *dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

/* The next thread of an open task directory; 0 at its end. */
static pid_t next_task(DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		uint64_t tid;
		if (gs_parse_uint(entry->d_name, 1, INT32_MAX, &tid))
			return (pid_t)tid;
	}
	return 0;
}

/* A thread that has not exited, although the leader has; 0 if there is none. */
static pid_t find_live_thread(int dir_fd)
{
	cleanup_closedir_ DIR *dir = open_tasks(dir_fd);
	if (!dir)
		return 0;
	for (pid_t tid = next_task(dir); tid; tid = next_task(dir)) {
		char name[64];
		struct stat_line line;
		snprintf(name, sizeof(name), "task/%d/stat", (int)tid);
		struct gs_err *err = stat_read(dir_fd, name, &line);
		if (err) {
			gs_err_free(err);
			continue;
		}
		free(line.comm);
		if (!is_dead(line.state))
			return tid;
	}
	return 0;
}

static int open_proc_dir(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/*
 * When the main thread has ended by pthread_exit(), /proc/PID/maps and its like are empty; those
 * of any thread that still runs are not.
 */
static struct gs_err *switch_to_live_thread(struct gs_target *target)
{
	pid_t tid = find_live_thread(target->dir_fd);
	if (!tid)
		return gs_err_new(GS_ERR_NO_PROCESS, "process %d is a zombie: it has ended",
				  (int)target->pid);
	int fd = open_proc_dir(tid);
	if (fd < 0)
		return no_process(target->pid);
	close(target->dir_fd);
	target->dir_fd = fd;
	target->live_tid = tid;
	return NULL;
}

static char *read_link(int dir_fd, const char *name)
{
	char buf[4096];
	ssize_t n = readlinkat(dir_fd, name, buf, sizeof(buf) - 1);
	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return gs_xstrdup(buf);
}

static void target_free_p(struct gs_target **target)
{
	gs_target_free(*target);
}

struct gs_err *gs_target_open(pid_t pid, struct gs_target **ret)
{
	cleanup_(target_free_p) struct gs_target *target = gs_xzalloc(sizeof(*target));
	target->pid = pid;
	target->live_tid = pid;
	target->pid_fd = -1;
	target->dir_fd = open_proc_dir(pid);
	if (target->dir_fd < 0)
		return no_process(pid);
	target->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* Of a thread that is no process: EINVAL, newer kernels say ENOENT. */
	if (target->pid_fd < 0 && (errno == EINVAL || errno == ENOENT))
		return gs_err_hint(gs_err_new(GS_ERR_NO_PROCESS, "%d is a thread, not a process",
					      (int)pid),
				   "give the PID of its process (Tgid in /proc/%d/status)",
				   (int)pid);

	struct stat_line line;
	struct gs_err *err = stat_read(target->dir_fd, "stat", &line);
	if (err) {
		gs_err_free(err);
		return no_process(pid);
	}
	target->comm = line.comm;
	target->start_ticks = line.start_ticks;
	if (line.flags & PF_KTHREAD)
		return gs_err_new(GS_ERR_NOT_GLIBC, "%d is a kernel thread: it has no malloc",
				  (int)pid);
	if (is_dead(line.state)) {
		err = switch_to_live_thread(target);
		if (err)
			return err;
		struct stat_line live;
		err = stat_read(target->dir_fd, "stat", &live);
		if (err) {
			gs_err_free(err);
			return no_process(pid);
		}
		free(live.comm);
		line.start_stack = live.start_stack;
	}
	target->start_stack = line.start_stack;
	target->exe = read_link(target->dir_fd, "exe");
	*ret = take_ptr(target);
	return NULL;
}

void gs_target_free(struct gs_target *target)
{
	if (!target)
		return;
	if (target->dir_fd >= 0)
		close(target->dir_fd);
	if (target->pid_fd >= 0)
		close(target->pid_fd);
	free(target->comm);
	free(target->exe);
	free(target);
}

struct gs_err *gs_target_check(struct gs_target *target)
{
	struct pollfd pfd = { .fd = target->pid_fd, .events = POLLIN };
	bool ended = target->pid_fd >= 0 && poll(&pfd, 1, 0) > 0;
	struct stat_line line = {};

	if (!ended) {
		struct gs_err *err = stat_read(target->dir_fd, "stat", &line);
		if (err) {
			gs_err_free(err);
			ended = true;
		}
	}
	free(line.comm);
	if (ended || is_dead(line.state))
		return gs_err_new(GS_ERR_NO_PROCESS, "process %d ended while it was inspected",
				  (int)target->pid);
	if (line.start_stack != target->start_stack)
		return gs_err_new(GS_ERR_NO_PROCESS,
				  "process %d started another program while it was inspected",
				  (int)target->pid);
	return NULL;
}

struct gs_err *gs_target_openat(struct gs_target *target, const char *name, int flags, int *ret)
{
	int fd = openat(target->dir_fd, name, flags | O_CLOEXEC);
	if (fd < 0)
		return gs_err_os(errno, "cannot open /proc/%d/%s", (int)target->pid, name);
	*ret = fd;
	return NULL;
}

struct gs_err *gs_target_cmdline(struct gs_target *target, char **ret, size_t *ret_len)
{
	return slurp_at(target->dir_fd, "cmdline", ret, ret_len);
}

static int compare_tids(const void *a, const void *b)
{
	const struct gs_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static bool thread_comm(struct gs_target *target, pid_t tid, char *buf, size_t size)
{
	char name[64];
	snprintf(name, sizeof(name), "task/%d/comm", (int)tid);
	cleanup_close_ int fd = openat(target->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, size - 1);
	if (n < 0)
		return false;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return true;
}

struct gs_err *gs_target_threads(struct gs_target *target, struct gs_threads *ret)
{
	cleanup_closedir_ DIR *dir = open_tasks(target->dir_fd);
	if (!dir)
		return no_process(target->pid);
	struct gs_threads threads = {};
	for (pid_t tid = next_task(dir); tid; tid = next_task(dir)) {
		struct gs_thread thread = { .tid = tid };
		if (thread_comm(target, tid, thread.comm, sizeof(thread.comm)))
			*gs_vec_push(&threads) = thread;
	}
	if (threads.len)
		qsort(threads.data, threads.len, sizeof(*threads.data), compare_tids);
	*ret = threads;
	return NULL;
}

void gs_threads_fini(struct gs_threads *threads)
{
	free(threads->data);
	*threads = (struct gs_threads){};
}
