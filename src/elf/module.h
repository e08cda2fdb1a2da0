/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ELF images mapped in a target and which of them is its libc.
 *
 * An image is recognised by its bytes in the target's memory, never by its name; its file is
 * opened through /proc/PID/map_files or /proc/PID/root and trusted only if its build-id (or,
 * without one, device and inode) is that of the memory.
 */
#ifndef GS_ELF_MODULE_H
#define GS_ELF_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/target.h"

#define GS_BUILD_ID_MAX 64

/** A PT_LOAD segment, at its run-time address. */
struct gs_segment {
	gs_addr start, end;	/* [start, end): p_vaddr, p_memsz plus bias, not page-rounded */
	gs_addr file_end;	/* start + p_filesz: beyond it is zero-filled (.bss) */
	uint64_t offset;	/* of start in the file */
	uint8_t prot;		/* enum gs_prot bits */
};

struct gs_module {
	char *path;		/* as maps says, " (deleted)" taken off; never NULL */
	bool deleted;		/* the file was deleted or replaced on disk */
	gs_addr map_start;	/* first mapping of the image */
	gs_addr map_end;	/* end of its last mapping */
	gs_addr bias;		/* run-time address minus ELF vaddr */
	uint8_t word;		/* bytes of a pointer: 8 or 4 */
	uint16_t machine;	/* EM_X86_64, EM_386, EM_AARCH64, … */
	bool is_static;		/* an executable without PT_INTERP and DT_NEEDED */
	bool is_go;		/* carries the note of the Go linker */
	struct gs_segment *segments;
	size_t n_segments;
	gs_addr tls_image;	/* PT_TLS at run time, 0: none */
	uint64_t tls_memsz;	/* bytes of its TLS block, 0: none */
	unsigned char build_id[GS_BUILD_ID_MAX];
	size_t build_id_len;	/* 0: none */
	gs_addr dynamic;	/* PT_DYNAMIC at run time, 0: none */
	uint64_t dynamic_size;	/* bytes */
	int fd;			/* the image's file, -1: not opened (see gs_module_open) */
	struct gs_err *fd_err;	/* why it could not be opened, or NULL */
	const struct gs_map *map;	/* its first mapping, in the caller's maps */
	struct gs_target *target;	/* whose image it is; the caller's */
	struct gs_mem *mem;		/* where its bytes are; the caller's */
};

/** What the search for an allocator found. */
struct gs_modules {
	struct gs_module **data;	/* every ELF image, in address order */
	size_t len, cap;
};

/**
 * Read the headers of every ELF image in the target. Files are not opened, except where a page
 * of headers is not in memory. target, maps and mem must outlive *ret.
 */
struct gs_err *gs_modules_read(struct gs_target *target, const struct gs_maps *maps,
			       struct gs_mem *mem, struct gs_modules *ret);

void gs_modules_fini(struct gs_modules *modules);

/** The module whose mappings hold addr, or NULL. */
struct gs_module *gs_modules_find(const struct gs_modules *modules, gs_addr addr);

/** Open module's file, unless that was tried before, and fill in fd or fd_err. */
void gs_module_open(struct gs_module *module);

/** Does module define symbol in its .dynsym, in whatever version? */
bool gs_module_defines(const struct gs_module *module, const char *symbol);

/**
 * The libc of the target: a static executable that contains glibc's malloc, else the image that
 * defines gnu_get_libc_version in its .dynsym (of several, as dlmopen makes them, the program's
 * own), else the one that is called libc and whose symbols cannot be read. It is returned with its
 * file opened; *ret belongs to modules. If there is none:
 * GS_ERR_NOT_GLIBC, the message naming what is there instead (musl, Go, a static program
 * without glibc malloc) and where it was seen.
 */
struct gs_err *gs_modules_libc(const struct gs_modules *modules, struct gs_module **ret);

/**
 * Which module provides malloc to the program: the first in link order (executable, then
 * DT_NEEDED and LD_PRELOAD order as the link map tells) that defines the dynamic symbol malloc;
 * ld.so is left out. NULL if none does or the link map cannot be read. mem is read.
 */
struct gs_module *gs_modules_malloc_owner(const struct gs_modules *modules, struct gs_mem *mem);

/**
 * A short name for a well-known allocator in module: "jemalloc", "tcmalloc", "mimalloc",
 * "snmalloc", "musl" …; NULL if it is none of them. By symbols it defines and messages it has, not
 * by its name.
 */
const char *gs_module_allocator_name(const struct gs_module *module);

/**
 * glibc's version ("2.36") and package text ("Debian 2.36-9+deb12u14", may be NULL) from the
 * banner in the module's read-only segments: from the target's memory where it is present, else
 * from the file. *ret_version is NULL if there is no banner (static executables). The caller
 * frees both.
 */
void gs_module_glibc_version(const struct gs_module *module, struct gs_mem *mem,
			     char **ret_version, char **ret_package);

#endif
