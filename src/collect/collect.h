/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One process, or its core file, to one snapshot. */
#ifndef GS_COLLECT_COLLECT_H
#define GS_COLLECT_COLLECT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "model/snapshot.h"

struct gs_collect_options {
	bool stop;	/* stop the target's threads while walking; default: never touch it */
	bool no_debuginfo;	/* structure alone, no symbols */
	bool verify;	/* compare the layout with the debug information */
};

/**
 * Inspect the process pid: everything DESIGN's "inspect" promises, findings included.
 * The caller frees *ret with gs_snapshot_free(). A report that is not complete is no error: it
 * says so in ret->warnings and ret->capture.complete.
 */
struct gs_err *gs_collect_process(pid_t pid, const struct gs_collect_options *options,
				  struct gs_snapshot **ret);

/**
 * The same from the core file core_path. exe_path (or NULL) is the file of the program if it is
 * not where the core says. Residency is not in a core: all that depends on it is GS_UNKNOWN.
 */
struct gs_err *gs_collect_core(const char *core_path, const char *exe_path,
			       const struct gs_collect_options *options,
			       struct gs_snapshot **ret);

#endif
