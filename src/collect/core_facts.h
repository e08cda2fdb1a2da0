/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a core file tells of its process, and what it does not. */
#ifndef GS_COLLECT_CORE_FACTS_H
#define GS_COLLECT_CORE_FACTS_H

#include "elf/core.h"
#include "model/snapshot.h"

/** Fill snapshot->target from core; its machine stays as it is. */
void gs_core_fill_target(struct gs_snapshot *snapshot, const struct gs_core *core);

/** Make everything unknown that depends on what was in memory; maps show what is free. */
void gs_core_forget_residency(struct gs_snapshot *snapshot);

#endif
