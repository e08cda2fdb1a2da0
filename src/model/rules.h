/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules behind gs_findings_fill(), for findings.c alone. A rule looks at a snapshot and, if it
 * applies, fills in bytes, arena, heap, summary, detail and evidence of a finding (arena -1, rest
 * zeroed). Whether the finding is worth showing, how severe it is and what to do about it is not
 * the rule's business.
 */
#ifndef GS_MODEL_RULES_H
#define GS_MODEL_RULES_H

#include <stdbool.h>

#include "model/snapshot.h"

typedef bool gs_rule_fn(const struct gs_snapshot *snapshot, struct gs_finding *finding);

gs_rule_fn gs_rule_pinned_main;
gs_rule_fn gs_rule_pinned_threads;
gs_rule_fn gs_rule_idle_heaps;
gs_rule_fn gs_rule_thread_top;
gs_rule_fn gs_rule_arena_spread;
gs_rule_fn gs_rule_fragmented;
gs_rule_fn gs_rule_tcache_hoard;
gs_rule_fn gs_rule_fastbin_hoard;
gs_rule_fn gs_rule_threshold_grown;
gs_rule_fn gs_rule_trim_disabled;
gs_rule_fn gs_rule_not_malloc;

/** What the shares of a finding are taken of: RSS, or where that is unknown what malloc holds. */
uint64_t gs_rule_whole(const struct gs_snapshot *snapshot);

/** Worth a reader's time: a MiB at least, and a hundredth of the whole. */
bool gs_rule_worth(const struct gs_snapshot *snapshot, uint64_t bytes);

/** Is bytes at least an nth of whole? */
bool gs_rule_at_least(uint64_t bytes, uint64_t whole, unsigned nth);

/** The N of the target's glibc version "2.N"; 0 if it is not known. */
unsigned gs_rule_glibc_minor(const struct gs_snapshot *snapshot);

/** Are the target's pointers 4 bytes? */
bool gs_rule_is_32bit(const struct gs_snapshot *snapshot);

/** The arena with index 0, or NULL. */
const struct gs_arena *gs_rule_main_arena(const struct gs_snapshot *snapshot);

/** More than half of what the arena has in memory is free? False where residency is unknown. */
bool gs_rule_mostly_free(const struct gs_arena *arena);

/** a + b where an unknown counts nothing; the largest number if the sum does not fit. */
uint64_t gs_rule_sum(uint64_t a, uint64_t b);

/** value, or 0 if it is unknown. */
uint64_t gs_rule_known(uint64_t value);

/** Append evidence: name is kept, text copied, an unknown number left out. */
void gs_evidence_number(struct gs_finding *finding, const char *name, uint64_t number);
void gs_evidence_address(struct gs_finding *finding, const char *name, gs_addr address);
void gs_evidence_text(struct gs_finding *finding, const char *name, const char *text);

/** A size as text in an array of the enclosing block. */
#define GS_SIZE(bytes) gs_fmt_size((char[GS_FMT_LEN]){ 0 }, (bytes))

/** The same for a setting, which may be without bounds. */
#define GS_SETTING(bytes) ((bytes) == GS_UNLIMITED ? "unlimited" : GS_SIZE(bytes))

#endif
