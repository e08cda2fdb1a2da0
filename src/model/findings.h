/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules that turn numbers into findings: what is wrong, the evidence, what to do. */
#ifndef GS_MODEL_FINDINGS_H
#define GS_MODEL_FINDINGS_H

#include "model/snapshot.h"

/** Fill snapshot->findings, worst first, from everything else in it. Exactly one if healthy. */
void gs_findings_fill(struct gs_snapshot *snapshot);

#endif
