/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of RSS that is not malloc's: which mappings hold it. */
#ifndef GS_COLLECT_ELSEWHERE_H
#define GS_COLLECT_ELSEWHERE_H

#include "heap/ranges.h"
#include "model/snapshot.h"
#include "proc/smaps.h"

/**
 * Fill snapshot->not_malloc with the largest mappings, by resident bytes, after what the
 * snapshot's heaps and the mappings of mmapped chunks hold is taken off.
 */
void gs_elsewhere_fill(struct gs_snapshot *snapshot, const struct gs_smaps *smaps,
		       const struct gs_ranges *mmapped);

#endif
