/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each mapping of a process has in memory: /proc/PID/smaps. */
#ifndef GS_PROC_SMAPS_H
#define GS_PROC_SMAPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/target.h"

struct gs_smap {
	gs_addr start, end;
	const char *name;	/* path, "[heap]", "" …; backed by the list */
	uint64_t rss_bytes;
};

struct gs_smaps {
	struct gs_smap *data;
	size_t len, cap;
	struct gs_rollup sum;	/* over all mappings */
	char *text;
};

/** Read /proc/PID/smaps. Costs the kernel a walk of the page tables, as smaps_rollup does. */
struct gs_err *gs_smaps_read(struct gs_target *target, struct gs_smaps *ret);

/** Parse the text of an smaps file. Takes ownership of text (malloc'd, NUL-terminated). */
struct gs_err *gs_smaps_parse(char *text, struct gs_smaps *ret);

void gs_smaps_fini(struct gs_smaps *smaps);

#endif
