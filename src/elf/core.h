/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Core files of Linux, as the kernel writes them (fs/binfmt_elf.c) and gdb's gcore does: what
 * was in memory, which files were mapped, and the threads with their thread pointers.
 *
 * The file is read, never mapped: it may be cut short while we look. Nothing in it is trusted.
 */
#ifndef GS_ELF_CORE_H
#define GS_ELF_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "elf/module.h"
#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/target.h"

/** A stretch of memory of a program header (PT_LOAD). */
struct gs_core_load {
	gs_addr start, end;	/* [start, end) */
	uint64_t offset;	/* of start in the core file */
	uint64_t present;	/* bytes from start on that are in the core file */
	uint8_t prot;		/* enum gs_prot bits */
};

/** A mapping of a file (NT_FILE). */
struct gs_core_file {
	gs_addr start, end;
	uint64_t offset;	/* of start in the file, bytes */
	const char *path;	/* in core->paths */
};

struct gs_core {
	int fd;
	uint16_t machine;	/* EM_X86_64, EM_386, EM_AARCH64 */
	uint8_t word;		/* bytes of a pointer: 8 or 4 */
	size_t page_size;
	pid_t pid;
	char *comm;		/* command name, raw */
	char *args;		/* the first bytes of the command line, blanks between words */
	gs_addr entry;		/* where the program was started (AT_ENTRY), 0: not said */
	gs_addr stack;		/* somewhere in the first thread's stack, 0: not said */
	struct { struct gs_core_load *data; size_t len, cap; } loads;	/* by address */
	struct { struct gs_core_file *data; size_t len, cap; } files;	/* by address */
	char *paths;
	/* By TID; tp is GS_NO_ADDR where it was not found. Only the leader's comm is known. */
	struct gs_threads threads;
	uint64_t missing_bytes;	/* of the loads' contents, because the file was cut short */
};

/**
 * Open the core file path. Errors: GS_ERR_FORMAT, it is none or is damaged; GS_ERR_UNSUPPORTED,
 * one of another machine. One that was cut short is no error as long as its notes are there.
 */
struct gs_err *gs_core_open(const char *path, struct gs_core **ret);

/** Release a core. Accepts NULL. */
void gs_core_free(struct gs_core *core);

/** The path of the executable as the core says, or NULL. Owned by core. */
const char *gs_core_exe(const struct gs_core *core);

/**
 * The memory in core, which must outlive it. Only what is in the core file is there: the rest of a
 * mapped file is read by elf/image.h, from the file if it has the build-id. Residency is not known.
 */
struct gs_mem *gs_core_mem_new(const struct gs_core *core);

/**
 * The mappings. Those of files have no known device, and a mapping that was left out of the core
 * counts as readable and executable. Paths are core's, which must outlive *ret.
 */
void gs_core_maps(const struct gs_core *core, struct gs_maps *ret);

/** A target that stands for the process that is no more: it has no /proc directory. */
struct gs_target *gs_core_target_new(const struct gs_core *core);

/**
 * Use the file path as that of the executable among modules, which are core's. GS_ERR_FORMAT if
 * its build-id says that it is another program.
 */
struct gs_err *gs_core_use_exe(const struct gs_core *core, const char *path,
			       const struct gs_modules *modules);

#endif
