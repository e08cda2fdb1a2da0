/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Separate debug files: where they are looked for, and what to say when there is none. */
#ifndef GS_ELF_DEBUGFILE_H
#define GS_ELF_DEBUGFILE_H

#include <stdbool.h>

#include "base/err.h"
#include "elf/module.h"

/**
 * Open the debug file of module by its build-id, on the host or in the target's root
 * (*ret_of_target). *ret_fd is safe to map into memory; *ret_path names it as seen from here
 * (malloc'd, the caller frees).
 */
struct gs_err *gs_debugfile_open(const struct gs_module *module, int *ret_fd, char **ret_path,
				 bool *ret_of_target);

/** The error for a libc without symbols: names it, and the hint says how to get the debug file. */
struct gs_err *gs_debugfile_missing(const struct gs_module *module);

#endif
