/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sections of the text report below the answer. Each starts with an empty line, if it has
 * anything to say.
 */
#ifndef GS_RENDER_REPORT_H
#define GS_RENDER_REPORT_H

#include <stdbool.h>

#include "model/snapshot.h"
#include "render/page.h"
#include "render/render.h"

/** Is the only finding that there is nothing to do? */
bool gs_report_is_healthy(const struct gs_snapshot *snapshot);

/** Is it known what was in memory? If not (a core), the report tells of what is free instead. */
bool gs_report_knows_residency(const struct gs_snapshot *snapshot);

/** STALLED, BY WHERE IT SITS: and what would bring it back. */
void gs_report_places(struct gs_page *page, const struct gs_snapshot *snapshot);

/** The table of arenas, worst first. */
void gs_report_arenas(struct gs_page *page, const struct gs_snapshot *snapshot,
		      const struct gs_text_options *options);

/** HEAP MAPS: one line a heap. */
void gs_report_maps(struct gs_page *page, const struct gs_snapshot *snapshot,
		    const struct gs_text_options *options);

/** OTHER MALLOCS: further copies of glibc's malloc in the process. */
void gs_report_others(struct gs_page *page, const struct gs_snapshot *snapshot);

/** FINDINGS, with what to do. */
void gs_report_findings(struct gs_page *page, const struct gs_snapshot *snapshot);

/** What was not exact. */
void gs_report_notes(struct gs_page *page, const struct gs_snapshot *snapshot);

#endif
