/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The arithmetic of accounts: what the words of the report mean, and only here. */
#ifndef GS_MODEL_METRICS_H
#define GS_MODEL_METRICS_H

#include "model/snapshot.h"

/** Add what from holds to to. Unknown stays unknown. */
void gs_account_add(struct gs_account *to, const struct gs_account *from);

/** Make all that depends on what is in memory unknown. */
void gs_account_forget_residency(struct gs_account *account);

/** tcache + fastbin bytes. */
uint64_t gs_account_cached(const struct gs_account *account);

/** cached + binned + top bytes. */
uint64_t gs_account_free(const struct gs_account *account);

/** Does mapped = live + overhead + tcache + fastbin + bin + top hold, and the parts add up? */
bool gs_account_adds_up(const struct gs_account *account);

/**
 * RSS that is not malloc's: RSS - (resident of arenas + mmapped chunks), at least 0. Mmapped chunks
 * whose residency is unknown count as resident; GS_UNKNOWN if that of the arenas or RSS is unknown.
 */
uint64_t gs_snapshot_not_malloc(const struct gs_snapshot *snapshot);

#endif
