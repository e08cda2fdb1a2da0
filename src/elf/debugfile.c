/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/debugfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "elf/file.h"

enum {
	OS_RELEASE_MAX = 8192,	/* bytes of /etc/os-release that are read */
	HEX_LEN = 2 * GS_BUILD_ID_MAX + 1,
};

static void format_build_id(const struct gs_module *module, char hex[HEX_LEN])
{
	hex[0] = '\0';
	for (size_t i = 0; i < module->build_id_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", module->build_id[i]);
}

/* "/usr/lib/debug/.build-id/93/ac61….debug"; NULL without a build-id. */
static char *build_id_path(const struct gs_module *module)
{
	char hex[HEX_LEN];

	if (module->build_id_len < 2)
		return NULL;
	format_build_id(module, hex);
	return gs_xasprintf("/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
}

static struct gs_err *open_below(const struct gs_module *module, enum gs_root root,
				 const char *path, int *ret_fd)
{
	cleanup_close_ int fd = -1;
	struct gs_err *err = gs_file_open_at(module->target, root, path, &fd);
	if (err)
		return err;
	err = gs_file_stabilise(&fd);
	if (err)
		return err;
	if (!gs_file_has_build_id(fd, module->build_id, module->build_id_len))
		return gs_err_new(GS_ERR_FORMAT, "%s has another build-id than its name", path);
	*ret_fd = take_fd(&fd);
	return NULL;
}

struct gs_err *gs_debugfile_open(const struct gs_module *module, int *ret_fd, char **ret_path,
				 bool *ret_of_target)
{
	cleanup_free_ char *path = build_id_path(module);

	if (!path)
		return gs_err_new(GS_ERR_NOT_FOUND, "%s has no build-id", module->path);
	struct gs_err *err = open_below(module, GS_ROOT_HOST, path, ret_fd);
	if (!err) {
		*ret_path = take_ptr(path);
		*ret_of_target = false;
		return NULL;
	}
	gs_err_free(err);
	err = open_below(module, GS_ROOT_TARGET, path, ret_fd);
	if (err)
		return err;
	*ret_path = gs_xasprintf("/proc/%d/root%s", (int)module->target->pid, path);
	*ret_of_target = true;
	return NULL;
}

/* How to get the symbols, by a word in ID= or ID_LIKE= of os-release. */
static const struct {
	const char *id;
	const char *hint;
} distributions[] = {
	{ "debian", "install libc6-dbg" },
	{ "ubuntu", "install libc6-dbg" },
	{ "fedora", "run debuginfo-install glibc" },
	{ "rhel", "run debuginfo-install glibc" },
	{ "centos", "run debuginfo-install glibc" },
	{ "suse", "install glibc-debuginfo" },
	{ "opensuse", "install glibc-debuginfo" },
	{ "sles", "install glibc-debuginfo" },
	{ "arch", "set DEBUGINFOD_URLS=https://debuginfod.archlinux.org" },
};

static const char *hint_for_id(const char *id, size_t len)
{
	for (size_t i = 0; i < sizeof(distributions) / sizeof(distributions[0]); i++) {
		const char *known = distributions[i].id;
		if (strlen(known) == len && memcmp(known, id, len) == 0)
			return distributions[i].hint;
	}
	return NULL;
}

/* The words of ID=debian, ID="sles", ID_LIKE="suse opensuse". */
static const char *hint_in_line(const char *line)
{
	static const char separators[] = " \"'\n";

	line += strcspn(line, "=") + 1;
	for (size_t len = strcspn(line, separators); *line && *line != '\n';
	     len = strcspn(line, separators)) {
		const char *hint = hint_for_id(line, len);
		if (hint)
			return hint;
		line += len ? len : 1;
	}
	return NULL;
}

static const char *hint_in_os_release(const char *text)
{
	for (const char *line = text; *line;) {
		const char *hint = NULL;
		if (strncmp(line, "ID=", 3) == 0 || strncmp(line, "ID_LIKE=", 8) == 0)
			hint = hint_in_line(line);
		if (hint)
			return hint;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return NULL;
}

static const char *package_hint(struct gs_target *target)
{
	static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };
	char text[OS_RELEASE_MAX];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cleanup_close_ int fd = -1;
		struct gs_err *err = gs_file_open_at(target, GS_ROOT_TARGET, paths[i], &fd);
		gs_err_free(err);
		ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
		if (n < 0)
			continue;
		text[n] = '\0';
		return hint_in_os_release(text);
	}
	return NULL;
}

struct gs_err *gs_debugfile_missing(const struct gs_module *module)
{
	char hex[HEX_LEN];

	if (!module->build_id_len)
		return gs_err_new(GS_ERR_NO_SYMBOLS,
				  "%s has no symbols, no debug file and no build-id", module->path);
	format_build_id(module, hex);
	struct gs_err *err = gs_err_new(GS_ERR_NO_SYMBOLS,
					"%s has no symbols and no debug file (build-id %s)",
					module->path, hex);
	/* A static program is in nobody's libc package. */
	const char *hint = module->is_static ? NULL : package_hint(module->target);
	if (hint)
		return gs_err_hint(err, "%s", hint);
	cleanup_free_ char *path = build_id_path(module);
	return path ? gs_err_hint(err, "its debug file belongs at %s", path) : err;
}
