/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What /proc/PID/status and smaps_rollup say, and why the kernel refuses. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/file.h"
#include "proc/target.h"

static struct gs_err *slurp_proc(struct gs_target *target, const char *name, char **ret)
{
	cleanup_close_ int fd = -1;
	struct gs_err *err = gs_target_openat(target, name, O_RDONLY, &fd);
	if (err)
		return err;
	return gs_file_slurp(fd, name, ret, NULL);
}

/* The text after "Name:\t" at the start of a line, or NULL. */
static const char *find_field(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}

static uint64_t number_field(const char *text, const char *name)
{
	const char *value = find_field(text, name);

	return value ? strtoull(value, NULL, 10) : 0;
}

static uint64_t kib_field(const char *text, const char *name)
{
	return number_field(text, name) * 1024;
}

struct gs_err *gs_target_status(struct gs_target *target, struct gs_status *ret)
{
	cleanup_free_ char *text = NULL;
	struct gs_err *err = slurp_proc(target, "status", &text);
	if (err)
		return err;
	const char *uids = find_field(text, "Uid");
	const char *state = find_field(text, "State");
	if (!uids || !state)
		return gs_err_new(GS_ERR_FORMAT, "cannot parse /proc/%d/status",
				  (int)target->pid);
	char *end;
	uid_t uid = (uid_t)strtoul(uids, &end, 10);
	*ret = (struct gs_status){
		.uid = uid,
		.euid = (uid_t)strtoul(end, NULL, 10),
		.state = *state,
		.threads = (unsigned)number_field(text, "Threads"),
		.tracer_pid = (pid_t)number_field(text, "TracerPid"),
		.rss_bytes = kib_field(text, "VmRSS"),
		.swap_bytes = kib_field(text, "VmSwap"),
		.locked_bytes = kib_field(text, "VmLck"),
		.pinned_bytes = kib_field(text, "VmPin"),
		.seccomp = (int)number_field(text, "Seccomp"),
		.is_kernel_thread = !find_field(text, "VmSize"),
	};
	return NULL;
}

/* smaps_rollup has each field once, smaps once a mapping: the sum serves for both. */
static uint64_t kib_sum(const char *text, const char *name)
{
	uint64_t sum = 0;

	for (const char *at = find_field(text, name); at; at = find_field(at, name))
		sum += strtoull(at, NULL, 10) * 1024;
	return sum;
}

struct gs_err *gs_target_rollup(struct gs_target *target, struct gs_rollup *ret)
{
	cleanup_free_ char *text = NULL;
	struct gs_err *err = slurp_proc(target, "smaps_rollup", &text);
	if (err && err->os_errno == ENOENT) {
		gs_err_free(err);
		err = slurp_proc(target, "smaps", &text);
	}
	if (err)
		return err;
	*ret = (struct gs_rollup){
		.rss_bytes = kib_sum(text, "Rss"),
		.anonymous_bytes = kib_sum(text, "Anonymous"),
		.swap_bytes = kib_sum(text, "Swap"),
		.anon_huge_bytes = kib_sum(text, "AnonHugePages"),
	};
	return NULL;
}

/* Yama's kernel.yama.ptrace_scope; 0 where Yama is not in the kernel. */
static int yama_scope(void)
{
	cleanup_fclose_ FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (!f || fscanf(f, "%d", &scope) != 1)
		return 0;
	return scope;
}

struct gs_err *gs_target_denied(struct gs_target *target, int os_errno, const char *what)
{
	struct gs_err *denied = gs_err_os(os_errno, "%s", what);
	struct gs_status status;
	struct gs_err *err = gs_target_status(target, &status);

	if (err) {
		gs_err_free(err);
		return denied;
	}
	if (geteuid() == 0)
		return gs_err_hint(denied, "root lacks CAP_SYS_PTRACE here: run glibcstall outside "
					   "the container, or give it that capability");
	if (status.uid != geteuid() || status.euid != geteuid())
		return gs_err_hint(denied, "the process belongs to uid %u: run as root, or as "
					   "that user", (unsigned)status.euid);
	int scope = yama_scope();
	if (scope > 0)
		return gs_err_hint(denied, "run as root, or as the same user with "
					   "kernel.yama.ptrace_scope=0 (now %d)", scope);
	return gs_err_hint(denied, "the process is not dumpable (set-id, capabilities or "
				   "PR_SET_DUMPABLE): run as root");
}
