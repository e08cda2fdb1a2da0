/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that a target names. They may be anything (a FIFO, a device, a link that leads out of
 * the container) and may change while they are read: only regular files are opened, links stay
 * inside the root they are in, and who wants to map a file into memory takes a stable copy.
 */
#ifndef GS_ELF_FILE_H
#define GS_ELF_FILE_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "elf/module.h"

/** Whose view of the file system a path is looked up in. */
enum gs_root {
	GS_ROOT_HOST,	/* ours */
	GS_ROOT_TARGET,	/* the target's: /proc/PID/root */
};

/** Open the regular file path below root for reading. */
struct gs_err *gs_file_open_at(struct gs_target *target, enum gs_root root, const char *path,
			       int *ret_fd);

/**
 * Open the file that module was mapped from, checked to be that very file; *ret_fd is a new
 * descriptor.
 */
struct gs_err *gs_file_open(const struct gs_module *module, int *ret_fd);

/**
 * Open fd as an ELF file that is read, not mapped, and whose tables of headers and notes have a
 * believable size: libelf reads them whole, and a sparse file may claim anything. NULL if it is
 * none. The caller ends it with elf_end() and closes fd.
 */
Elf *gs_file_elf(int fd);

/** Does the ELF file have this build-id (len > 0)? */
bool gs_file_has_build_id(int fd, const unsigned char *build_id, size_t len);

/**
 * Replace *fd by a copy in memory unless only root may write to the file: a file that shrinks
 * while it is mapped would kill us with SIGBUS. On error *fd is left alone.
 */
struct gs_err *gs_file_stabilise(int *fd);

#endif
