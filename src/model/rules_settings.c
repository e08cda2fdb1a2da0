/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules about caches, settings, and memory that malloc has nothing to do with. */
#include "model/rules.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/metrics.h"

/* Default of mmap_threshold and trim_threshold alike, in every version. */
#define DEFAULT_THRESHOLD 131072

/* Columns of the name of a mapping in a sentence. */
#define NAME_WIDTH 60

bool gs_rule_tcache_hoard(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	const struct gs_account *totals = &snapshot->totals;
	const struct gs_attached *worst = NULL;
	uint64_t threads = 0;

	finding->bytes = gs_rule_known(totals->stalled_tcache_bytes);
	if (!finding->bytes)
		return false;
	for (size_t i = 0; i < snapshot->n_arenas; i++) {
		const struct gs_arena *arena = &snapshot->arenas[i];

		for (size_t j = 0; j < arena->n_threads; j++) {
			const struct gs_attached *thread = &arena->threads[j];

			if (!gs_rule_known(thread->tcache_bytes))
				continue;
			threads++;
			if (!worst || thread->tcache_bytes > worst->tcache_bytes)
				worst = thread;
		}
	}

	struct gs_strbuf detail = {};

	finding->summary = gs_xasprintf("%s freed by the program, kept in the threads' tcaches",
					GS_SIZE(finding->bytes));
	gs_strbuf_addf(&detail, "Each thread keeps some of the blocks it frees for itself, out of "
		       "reach of other threads and of malloc_trim.");
	gs_evidence_number(finding, "tcache_chunks", totals->tcache_chunks);
	if (snapshot->mallopt.tcache_count != GS_UNKNOWN) {
		gs_strbuf_addf(&detail, " It keeps up to %" PRIu64 " of each size.",
			       snapshot->mallopt.tcache_count);
		gs_evidence_number(finding, "tcache_count", snapshot->mallopt.tcache_count);
	}
	if (worst) {
		gs_strbuf_addf(&detail, " Thread %d holds most, %s.", worst->tid,
			       GS_SIZE(worst->tcache_bytes));
		gs_evidence_number(finding, "threads", threads);
		gs_evidence_number(finding, "largest_tid", (uint64_t)worst->tid);
		gs_evidence_number(finding, "largest_bytes", worst->tcache_bytes);
	}
	finding->detail = gs_strbuf_take(&detail);
	return true;
}

bool gs_rule_fastbin_hoard(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	const struct gs_account *totals = &snapshot->totals;

	finding->bytes = gs_rule_known(totals->stalled_fastbin_bytes);
	if (!finding->bytes)
		return false;
	finding->summary = gs_xasprintf("%s freed by the program, kept in fastbins",
					GS_SIZE(finding->bytes));
	finding->detail = gs_xasprintf(
		"Small freed blocks wait in fastbins without being merged with their neighbours, "
		"so they also keep larger free stretches apart. A large free() or malloc_trim "
		"merges them.");
	gs_evidence_number(finding, "fastbin_chunks", totals->fastbin_chunks);
	return true;
}

bool gs_rule_threshold_grown(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	const struct gs_mallopt *opt = &snapshot->mallopt;
	const struct gs_arena *arena = gs_rule_main_arena(snapshot);
	struct gs_strbuf detail = {};

	if (!opt->dynamic_threshold || gs_rule_known(opt->mmap_threshold) <= DEFAULT_THRESHOLD)
		return false;

	/* What it holds right now: the end of the main arena that it keeps from being cut. */
	uint64_t top = arena ? gs_rule_known(arena->account.stalled_top_bytes) : 0;
	if (top > DEFAULT_THRESHOLD && top < gs_rule_known(opt->trim_threshold))
		finding->bytes = top;
	finding->summary = gs_xasprintf("free() has raised the mmap threshold to %s",
					GS_SIZE(opt->mmap_threshold));
	gs_strbuf_addf(&detail, "When the program freed a large block, glibc raised its "
		       "thresholds: blocks of up to %s now come from a heap, where they leave "
		       "holes, instead of from a mapping of their own, which goes back at once.",
		       GS_SIZE(opt->mmap_threshold));
	if (opt->trim_threshold != GS_UNKNOWN)
		gs_strbuf_addf(&detail, " The end of the heap is cut only when %s of it are free.",
			       GS_SIZE(opt->trim_threshold));
	if (finding->bytes)
		gs_strbuf_addf(&detail, " That keeps %s at the end of the main arena.",
			       GS_SIZE(finding->bytes));
	finding->detail = gs_strbuf_take(&detail);
	gs_evidence_number(finding, "mmap_threshold_bytes", opt->mmap_threshold);
	gs_evidence_number(finding, "trim_threshold_bytes", opt->trim_threshold);
	return true;
}

/* The largest trim threshold that free() sets by itself; above it somebody meant "never". */
static uint64_t never(const struct gs_snapshot *snapshot)
{
	return gs_rule_is_32bit(snapshot) ? UINT64_C(1) << 20 : UINT64_C(64) << 20;
}

/* So high that the top as it is now cannot be cut. */
static bool blocks_trim(uint64_t setting, uint64_t top)
{
	return setting != GS_UNKNOWN && setting >= top;
}

static void evidence_setting(struct gs_finding *finding, const char *name, uint64_t bytes)
{
	if (bytes == GS_UNLIMITED)
		gs_evidence_text(finding, name, "unlimited");
	else
		gs_evidence_number(finding, name, bytes);
}

bool gs_rule_trim_disabled(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	const struct gs_mallopt *opt = &snapshot->mallopt;
	const struct gs_arena *arena = gs_rule_main_arena(snapshot);
	uint64_t top = arena ? gs_rule_known(arena->account.top_bytes) : 0;

	/* Thresholds that free() raised are another finding. */
	if (opt->dynamic_threshold)
		return false;

	bool threshold = blocks_trim(opt->trim_threshold, top);
	bool pad = blocks_trim(opt->top_pad, top);
	uint64_t highest = gs_rule_known(opt->trim_threshold);
	if (gs_rule_known(opt->top_pad) > highest)
		highest = opt->top_pad;

	finding->bytes = arena ? gs_rule_known(arena->account.stalled_top_bytes) : 0;
	/* A modest setting above a small top is no more than what was asked for. */
	if ((!threshold && !pad) ||
	    (highest <= never(snapshot) && !gs_rule_worth(snapshot, finding->bytes)))
		return false;

	struct gs_strbuf detail = {};

	finding->arena = 0;
	finding->summary = gs_xasprintf("%s is set so high that free() gives nothing back",
					threshold ? "trim_threshold" : "top_pad");
	gs_strbuf_addf(&detail, "free() cuts the end of the main arena when trim_threshold of it "
		       "is free, and leaves top_pad. The free end is %s now", GS_SIZE(top));
	if (threshold)
		gs_strbuf_addf(&detail, ", trim_threshold is %s", GS_SETTING(opt->trim_threshold));
	if (pad)
		gs_strbuf_addf(&detail, ", top_pad is %s", GS_SETTING(opt->top_pad));
	gs_strbuf_addf(&detail, ".");
	finding->detail = gs_strbuf_take(&detail);
	evidence_setting(finding, "trim_threshold_bytes", opt->trim_threshold);
	evidence_setting(finding, "top_pad_bytes", opt->top_pad);
	gs_evidence_number(finding, "top_bytes", top);
	return true;
}

/* Names of the evidence, which also bound how many mappings are named. */
static const char *const mapping_names[] = {
	"mapping_1", "mapping_2", "mapping_3", "mapping_4", "mapping_5",
};

#define MAPPINGS_MAX (sizeof(mapping_names) / sizeof(mapping_names[0]))

bool gs_rule_not_malloc(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	uint64_t rss = snapshot->target.rss_bytes;
	uint64_t bytes = gs_snapshot_not_malloc(snapshot);

	if (bytes == GS_UNKNOWN || bytes <= rss / 2)
		return false;

	struct gs_strbuf detail = {};

	finding->bytes = bytes;
	finding->summary = gs_xasprintf("%s of %s in memory is not malloc's", GS_SIZE(bytes),
					GS_SIZE(rss));
	gs_strbuf_addf(&detail, "%u%% of what this process has in memory belongs to something else "
		       "than glibc malloc.", gs_fmt_percent(bytes, rss));
	gs_evidence_number(finding, "rss_bytes", rss);
	for (size_t i = 0; i < snapshot->n_not_malloc && i < MAPPINGS_MAX; i++) {
		const struct gs_mapping *m = &snapshot->not_malloc[i];
		const char *raw = m->name ? m->name : "anonymous";
		char *size = GS_SIZE(gs_rule_known(m->resident_bytes));
		cleanup_free_ char *name = gs_text_safe(raw, NAME_WIDTH);
		cleanup_free_ char *text = gs_xasprintf("%s %s", size, raw);

		gs_strbuf_addf(&detail, "%s %s %s", i ? "," : " The largest:", size, name);
		gs_evidence_text(finding, mapping_names[i], text);
	}
	if (snapshot->n_not_malloc)
		gs_strbuf_addf(&detail, ".");
	finding->detail = gs_strbuf_take(&detail);
	return true;
}
