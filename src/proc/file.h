/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole small files, as those of /proc are. */
#ifndef GS_PROC_FILE_H
#define GS_PROC_FILE_H

#include <stddef.h>

#include "base/err.h"

/**
 * Read everything from fd. *ret is NUL-terminated (the NUL is not counted in *ret_len, which
 * may be NULL); the caller frees it. Stops with an error after 256 MiB. An error names what.
 */
struct gs_err *gs_file_slurp(int fd, const char *what, char **ret, size_t *ret_len);

#endif
