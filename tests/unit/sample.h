/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Snapshots made by hand, for the tests of what prints them. */
#ifndef GS_TESTS_UNIT_SAMPLE_H
#define GS_TESTS_UNIT_SAMPLE_H

#include "model/snapshot.h"

enum gs_sample {
	GS_SAMPLE_STALLED,	/* nine arenas, pinned and spread */
	GS_SAMPLE_SMALL,	/* one arena, one heap, one finding */
	GS_SAMPLE_HEALTHY,
	GS_SAMPLE_UNUSED,	/* malloc was never called */
	GS_SAMPLE_PARTIAL,	/* a heap could not be settled */
	GS_SAMPLE_CORE,		/* nothing known of residency; a glibc without tcache or fastbins */
	GS_SAMPLE_OTHERS,	/* several mallocs, and the program's is none of them */
	GS_SAMPLE_HOSTILE,	/* every text of the target is an attack */
	GS_SAMPLE_N,
};

/** Their names: "stalled" … */
extern const char *const gs_sample_names[GS_SAMPLE_N];

/** A new snapshot. Free it with gs_snapshot_free(). */
struct gs_snapshot *gs_sample_new(enum gs_sample which);

#endif
