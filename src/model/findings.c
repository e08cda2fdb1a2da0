/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/findings.h"

#include <stdlib.h>
#include <string.h>

#include "base/fmt.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "model/advice.h"
#include "model/metrics.h"
#include "model/rules.h"

/* Shares of the whole, as one in N, from which on a finding is severe. */
#define HIGH_NTH 4
#define MEDIUM_NTH 20

static const struct rule {
	const char *id;
	gs_rule_fn *applies;
	enum gs_remedy now, fix;
	bool setting;	/* worth saying even where it holds no memory at the moment */
	bool no_fault;	/* good to know, nothing wrong: never more than low */
} rules[] = {
	{ "pinned-top", gs_rule_pinned_main, GS_REMEDY_TRIM, GS_REMEDY_TRIM_BURSTS },
	{ "pinned-top", gs_rule_pinned_threads, GS_REMEDY_TRIM, GS_REMEDY_TRIM_BURSTS },
	{ "idle-heaps", gs_rule_idle_heaps, GS_REMEDY_TRIM, GS_REMEDY_FEWER_HEAPS },
	{ "thread-top", gs_rule_thread_top, GS_REMEDY_RESTART, GS_REMEDY_LOWER_TOPS },
	{ "arena-spread", gs_rule_arena_spread, GS_REMEDY_TRIM, GS_REMEDY_FEWER_ARENAS },
	{ "fragmented", gs_rule_fragmented, GS_REMEDY_RESTART, GS_REMEDY_OTHER_ALLOCATOR },
	{ "tcache-hoard", gs_rule_tcache_hoard, GS_REMEDY_THREADS_EXIT, GS_REMEDY_SMALLER_TCACHE },
	{ "fastbin-hoard", gs_rule_fastbin_hoard, GS_REMEDY_TRIM, GS_REMEDY_NO_FASTBINS },
	{ "threshold-grown", gs_rule_threshold_grown, GS_REMEDY_TRIM, GS_REMEDY_FIX_THRESHOLD,
	  .setting = true },
	{ "trim-disabled", gs_rule_trim_disabled, GS_REMEDY_TRIM, GS_REMEDY_UNSET_TRIM,
	  .setting = true },
	{ "not-malloc", gs_rule_not_malloc, GS_REMEDY_LOOK_ELSEWHERE, GS_REMEDY_OWNER,
	  .no_fault = true },
};

struct finding_vec {
	struct gs_finding *data;
	size_t len, cap;
};

static enum gs_severity severity_of(uint64_t bytes, uint64_t whole)
{
	if (!bytes)
		return GS_SEVERITY_LOW;
	if (gs_rule_at_least(bytes, whole, HIGH_NTH))
		return GS_SEVERITY_HIGH;
	if (gs_rule_at_least(bytes, whole, MEDIUM_NTH))
		return GS_SEVERITY_MEDIUM;
	return GS_SEVERITY_LOW;
}

static void judge(const struct rule *rule, const struct gs_snapshot *snapshot,
		  struct finding_vec *found)
{
	struct gs_finding *finding = gs_vec_push(found);

	*finding = (struct gs_finding){ .id = rule->id, .arena = -1 };
	bool applies = rule->applies(snapshot, finding);
	bool worth = gs_rule_worth(snapshot, finding->bytes);

	if (!applies || (!worth && !rule->setting)) {
		gs_finding_fini(finding);
		found->len--;
		return;
	}
	if (!worth)
		finding->bytes = 0;
	finding->severity = rule->no_fault ? GS_SEVERITY_LOW :
					     severity_of(finding->bytes, gs_rule_whole(snapshot));
	/* Nothing can be done about a process that is no more. */
	if (snapshot->target.kind != GS_TARGET_CORE)
		gs_advice_add(finding, snapshot, rule->now);
	gs_advice_add(finding, snapshot, rule->fix);
}

/* By severity, then bytes. Ties by id and arena, so that a report does not change by chance. */
static int worse_first(const void *pa, const void *pb)
{
	const struct gs_finding *a = pa, *b = pb;

	if (a->severity != b->severity)
		return a->severity < b->severity ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	int by_id = strcmp(a->id, b->id);
	return by_id ? by_id : (a->arena > b->arena) - (a->arena < b->arena);
}

/*
 * Nothing found above the medium share does not make a process healthy by itself: residency and
 * the whole heap must be known, and what is stalled must not add up to a high share in small parts
 * or in a place that no rule looks at.
 */
static bool is_healthy(const struct gs_snapshot *snapshot, const struct finding_vec *found)
{
	uint64_t whole = gs_rule_whole(snapshot);
	const struct gs_account *totals = &snapshot->totals;

	for (size_t i = 0; i < found->len; i++)
		if (severity_of(found->data[i].bytes, whole) != GS_SEVERITY_LOW)
			return false;
	if (totals->stalled_bytes == GS_UNKNOWN || totals->unsettled_bytes == GS_UNKNOWN)
		return false;
	return severity_of(totals->stalled_bytes, whole) != GS_SEVERITY_HIGH &&
	       severity_of(totals->unsettled_bytes, whole) == GS_SEVERITY_LOW;
}

static struct gs_finding healthy(const struct gs_snapshot *snapshot,
				 const struct finding_vec *found)
{
	const struct gs_account *totals = &snapshot->totals;
	uint64_t whole = gs_rule_whole(snapshot);
	uint64_t swapped = gs_rule_known(totals->stalled_swapped_bytes);
	struct gs_finding finding = { .id = "healthy", .severity = GS_SEVERITY_LOW, .arena = -1 };
	struct gs_strbuf detail = {};

	finding.summary = gs_xasprintf("nothing to do: malloc holds little for nothing");
	gs_strbuf_addf(&detail, "Of %s in memory %s (%u%%) is free inside malloc, and no single "
		       "cause accounts for 5%%.", GS_SIZE(whole), GS_SIZE(totals->stalled_bytes),
		       gs_fmt_percent(totals->stalled_bytes, whole));
	if (gs_rule_worth(snapshot, swapped))
		gs_strbuf_addf(&detail, " Another %s of free memory is in swap.", GS_SIZE(swapped));
	for (size_t i = 0; i < found->len; i++)
		gs_strbuf_addf(&detail, "%s %s", i ? ";" : " Small things seen:",
			       found->data[i].summary);
	if (found->len)
		gs_strbuf_addf(&detail, ".");
	finding.detail = gs_strbuf_take(&detail);
	gs_evidence_number(&finding, "stalled_bytes", totals->stalled_bytes);
	gs_evidence_number(&finding, "rss_bytes", snapshot->target.rss_bytes);
	gs_advice_add(&finding, snapshot, GS_REMEDY_NOTHING);
	return finding;
}

void gs_findings_fill(struct gs_snapshot *snapshot)
{
	struct finding_vec found = {};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		judge(&rules[i], snapshot, &found);
	if (found.len)
		qsort(found.data, found.len, sizeof(*found.data), worse_first);
	if (is_healthy(snapshot, &found)) {
		struct gs_finding only = healthy(snapshot, &found);

		while (found.len)
			gs_finding_fini(&found.data[--found.len]);
		*gs_vec_push(&found) = only;
	}
	for (size_t i = 0; i < snapshot->n_findings; i++)
		gs_finding_fini(&snapshot->findings[i]);
	free(snapshot->findings);
	snapshot->findings = found.data;
	snapshot->n_findings = found.len;
}
