/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Larger files are not copied: no libc and no debug file of one comes near. */
#define COPY_MAX (INT64_C(1) << 30)

enum {
	SECTIONS_MAX = 1 << 20,
	PHDRS_MAX = 4096,
	NOTES_MAX = 1 << 20,	/* bytes of one segment or section of notes */
};

static int open_root(struct gs_target *target, enum gs_root root)
{
	if (root == GS_ROOT_HOST || target->dir_fd < 0)
		return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return openat(target->dir_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Without openat2(2) (Linux 5.6, or a sandbox forbids it) links may lead out of the root. */
static int open_path(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	path += strspn(path, "/");
	return openat(root_fd, path, O_PATH | O_CLOEXEC);
}

/* Opening a FIFO blocks and opening a device acts, so look first: path_fd is an O_PATH one. */
static struct gs_err *open_regular(int path_fd, const char *what, int *ret_fd)
{
	struct stat st;

	if (fstat(path_fd, &st) < 0)
		return gs_err_os(errno, "cannot stat %s", what);
	if (!S_ISREG(st.st_mode))
		return gs_err_new(GS_ERR_FORMAT, "%s is not a regular file", what);
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	int fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gs_err_os(errno, "cannot open %s", what);
	*ret_fd = fd;
	return NULL;
}

struct gs_err *gs_file_open_at(struct gs_target *target, enum gs_root root, const char *path,
			       int *ret_fd)
{
	cleanup_close_ int root_fd = open_root(target, root);
	if (root_fd < 0)
		return gs_err_os(errno, "cannot open the root of process %d", (int)target->pid);
	cleanup_close_ int path_fd = open_path(root_fd, path);
	if (path_fd < 0)
		return gs_err_os(errno, "cannot open %s", path);
	return open_regular(path_fd, path, ret_fd);
}

static bool has_small_notes(Elf *elf)
{
	size_t n_sections, n_phdrs;
	Elf_Scn *section = NULL;

	if (elf_getshdrnum(elf, &n_sections) != 0 || n_sections > SECTIONS_MAX ||
	    elf_getphdrnum(elf, &n_phdrs) != 0 || n_phdrs > PHDRS_MAX)
		return false;
	for (size_t i = 0; i < n_phdrs; i++) {
		GElf_Phdr phdr;
		if (!gelf_getphdr(elf, (int)i, &phdr) ||
		    (phdr.p_type == PT_NOTE && phdr.p_filesz > NOTES_MAX))
			return false;
	}
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type == SHT_NOTE && header.sh_size > NOTES_MAX))
			return false;
	}
	return true;
}

Elf *gs_file_elf(int fd)
{
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && has_small_notes(elf))
		return elf;
	elf_end(elf);
	return NULL;
}

bool gs_file_has_build_id(int fd, const unsigned char *build_id, size_t len)
{
	const void *id;
	Elf *elf = gs_file_elf(fd);

	if (!elf)
		return false;
	ssize_t n = dwelf_elf_gnu_build_id(elf, &id);
	bool same = n > 0 && (size_t)n == len && memcmp(id, build_id, len) == 0;
	elf_end(elf);
	return same;
}

static bool is_mapped_inode(int fd, const struct gs_map *map)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == map->ino &&
	       ((uint64_t)major(st.st_dev) << 32 | minor(st.st_dev)) == map->dev;
}

static bool is_modules_file(int fd, const struct gs_module *module)
{
	if (module->build_id_len)
		return gs_file_has_build_id(fd, module->build_id, module->build_id_len);
	return is_mapped_inode(fd, module->map);
}

/* The kernel's own link to the mapped file: right whatever became of the path. */
static struct gs_err *open_map_file(const struct gs_module *module, int *ret_fd)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%llx-%llx",
		 (unsigned long long)module->map->start, (unsigned long long)module->map->end);
	cleanup_close_ int path_fd = -1, fd = -1;
	struct gs_err *err = gs_target_openat(module->target, name, O_PATH, &path_fd);
	if (!err)
		err = open_regular(path_fd, module->path, &fd);
	if (err)
		return err;
	if (module->build_id_len && !is_modules_file(fd, module))
		return gs_err_new(GS_ERR_FORMAT, "%s was overwritten since it was mapped",
				  module->path);
	*ret_fd = take_fd(&fd);
	return NULL;
}

static struct gs_err *open_by_path(const struct gs_module *module, enum gs_root root, int *ret_fd)
{
	cleanup_close_ int fd = -1;
	struct gs_err *err = gs_file_open_at(module->target, root, module->path, &fd);
	if (err)
		return err;
	if (!is_modules_file(fd, module))
		return gs_err_new(GS_ERR_FORMAT, "%s is not the file that is mapped",
				  module->path);
	*ret_fd = take_fd(&fd);
	return NULL;
}

struct gs_err *gs_file_open(const struct gs_module *module, int *ret_fd)
{
	/* A core file has nothing but paths. */
	if (module->target->dir_fd < 0)
		return open_by_path(module, GS_ROOT_HOST, ret_fd);
	struct gs_err *err = open_map_file(module, ret_fd);
	if (!err || err->code == GS_ERR_FORMAT || module->path[0] != '/')
		return err;
	gs_err_free(err);

	/* No privilege for map_files. In a chroot the path is relative to our root, not its own. */
	err = open_by_path(module, GS_ROOT_TARGET, ret_fd);
	if (!err)
		return NULL;
	struct gs_err *host_err = open_by_path(module, GS_ROOT_HOST, ret_fd);
	if (host_err) {
		gs_err_free(host_err);
		return err;
	}
	gs_err_free(err);
	return NULL;
}

static struct gs_err *copy_to_memory(int fd, off_t size, int *ret_fd)
{
	cleanup_close_ int copy = memfd_create("elf", MFD_CLOEXEC);
	if (copy < 0)
		return gs_err_os(errno, "cannot make a file in memory");
	for (off_t done = 0; done < size;) {
		ssize_t n = sendfile(copy, fd, &done, (size_t)(size - done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return gs_err_os(errno, "cannot copy an ELF file");
		if (n == 0)
			return gs_err_new(GS_ERR_FORMAT, "an ELF file shrank while it was copied");
	}
	*ret_fd = take_fd(&copy);
	return NULL;
}

struct gs_err *gs_file_stabilise(int *fd)
{
	struct stat st;

	if (fstat(*fd, &st) < 0)
		return gs_err_os(errno, "cannot stat an ELF file");
	if (st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return NULL;
	if (st.st_size > COPY_MAX)
		return gs_err_new(GS_ERR_UNSUPPORTED, "an ELF file of %lld bytes is too large",
				  (long long)st.st_size);
	int copy = -1;
	struct gs_err *err = copy_to_memory(*fd, st.st_size, &copy);
	if (err)
		return err;
	close(*fd);
	*fd = copy;
	return NULL;
}
