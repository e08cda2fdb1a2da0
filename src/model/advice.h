/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What to do about a finding: one table of texts, each with the glibc versions it is true for. */
#ifndef GS_MODEL_ADVICE_H
#define GS_MODEL_ADVICE_H

#include "model/snapshot.h"

enum gs_remedy {
	GS_REMEDY_TRIM,			/* now: malloc_trim, however it can be reached */
	GS_REMEDY_RESTART,		/* now: nothing gives it back while the program runs */
	GS_REMEDY_THREADS_EXIT,		/* now: goes when threads exit */
	GS_REMEDY_LOOK_ELSEWHERE,	/* now: read the list of mappings */
	GS_REMEDY_NOTHING,		/* now: all is well */
	GS_REMEDY_TRIM_BURSTS,		/* fix: trim after bursts, order of allocation */
	GS_REMEDY_FEWER_HEAPS,		/* fix: fewer arenas, for the heaps left behind */
	GS_REMEDY_LOWER_TOPS,		/* fix: fewer arenas, for their tops */
	GS_REMEDY_FEWER_ARENAS,		/* fix: fewer arenas, for their own sake */
	GS_REMEDY_OTHER_ALLOCATOR,	/* fix: size classes, pools */
	GS_REMEDY_SMALLER_TCACHE,	/* fix: tcache_count, tcache_max */
	GS_REMEDY_NO_FASTBINS,		/* fix: mxfast */
	GS_REMEDY_FIX_THRESHOLD,	/* fix: set mmap_threshold */
	GS_REMEDY_UNSET_TRIM,		/* fix: undo trim_threshold or top_pad */
	GS_REMEDY_OWNER,		/* fix: whoever owns the mappings */
	GS_REMEDY_N
};

/**
 * Append the advice for remedy to finding: the text that is true for the snapshot's glibc version;
 * where that is unknown, one that is true for every version.
 */
void gs_advice_add(struct gs_finding *finding, const struct gs_snapshot *snapshot,
		   enum gs_remedy remedy);

#endif
