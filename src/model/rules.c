/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules about where free memory sits: below pins, in idle heaps, in tops, in many arenas. */
#include "model/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/metrics.h"

#define WORTH_BYTES (UINT64_C(1) << 20)
#define WORTH_NTH 100

/* Below this many arenas that are mostly free, each is a case of its own and not a spread. */
#define SPREAD_MIN_ARENAS 3

/* Columns of text from the target that go into a sentence. */
#define OWNER_WIDTH 60

uint64_t gs_rule_known(uint64_t value)
{
	return value == GS_UNKNOWN ? 0 : value;
}

uint64_t gs_rule_sum(uint64_t a, uint64_t b)
{
	uint64_t total;

	if (__builtin_add_overflow(gs_rule_known(a), gs_rule_known(b), &total))
		return GS_UNKNOWN - 1;
	return total;
}

uint64_t gs_rule_whole(const struct gs_snapshot *snapshot)
{
	uint64_t rss = snapshot->target.rss_bytes;

	if (rss && rss != GS_UNKNOWN)
		return rss;
	if (snapshot->totals.resident_bytes != GS_UNKNOWN)
		return snapshot->totals.resident_bytes;
	return gs_rule_known(snapshot->totals.mapped_bytes);
}

bool gs_rule_at_least(uint64_t bytes, uint64_t whole, unsigned nth)
{
	return bytes >= whole / nth + (whole % nth != 0);
}

bool gs_rule_worth(const struct gs_snapshot *snapshot, uint64_t bytes)
{
	return bytes >= WORTH_BYTES && gs_rule_at_least(bytes, gs_rule_whole(snapshot), WORTH_NTH);
}

unsigned gs_rule_glibc_minor(const struct gs_snapshot *snapshot)
{
	unsigned minor;

	if (!snapshot->allocator.version ||
	    sscanf(snapshot->allocator.version, "2.%3u", &minor) != 1)
		return 0;
	return minor;
}

bool gs_rule_is_32bit(const struct gs_snapshot *snapshot)
{
	return snapshot->target.machine && !strcmp(snapshot->target.machine, "i386");
}

const struct gs_arena *gs_rule_main_arena(const struct gs_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_arenas; i++)
		if (snapshot->arenas[i].index == 0)
			return &snapshot->arenas[i];
	return NULL;
}

bool gs_rule_mostly_free(const struct gs_arena *arena)
{
	uint64_t stalled = arena->account.stalled_bytes;
	uint64_t resident = arena->account.resident_bytes;

	return stalled != GS_UNKNOWN && resident != GS_UNKNOWN && stalled > resident / 2;
}

static struct gs_evidence *evidence_new(struct gs_finding *finding, const char *name)
{
	finding->evidence = gs_xreallocarray(finding->evidence, finding->n_evidence + 1,
					     sizeof(*finding->evidence));
	struct gs_evidence *evidence = &finding->evidence[finding->n_evidence++];
	*evidence = (struct gs_evidence){ .name = name };
	return evidence;
}

void gs_evidence_number(struct gs_finding *finding, const char *name, uint64_t number)
{
	if (number == GS_UNKNOWN)
		return;
	struct gs_evidence *evidence = evidence_new(finding, name);

	evidence->type = GS_EVIDENCE_NUMBER;
	evidence->number = number;
}

void gs_evidence_address(struct gs_finding *finding, const char *name, gs_addr address)
{
	struct gs_evidence *evidence = evidence_new(finding, name);

	evidence->type = GS_EVIDENCE_ADDRESS;
	evidence->number = address;
}

void gs_evidence_text(struct gs_finding *finding, const char *name, const char *text)
{
	struct gs_evidence *evidence = evidence_new(finding, name);

	evidence->type = GS_EVIDENCE_TEXT;
	evidence->text = gs_xstrdup(text);
}

static const char *const state_names[] = {
	[GS_CHUNK_LIVE] = "live",
	[GS_CHUNK_TCACHE] = "cached",
	[GS_CHUNK_FASTBIN] = "cached",
};

static void pin_evidence(struct gs_finding *finding, const struct gs_pin *pin)
{
	gs_evidence_address(finding, "pin_address", pin->address);
	gs_evidence_number(finding, "pin_size_bytes", pin->size);
	gs_evidence_text(finding, "pin_state", state_names[pin->state]);
	gs_evidence_number(finding, "below_bytes", pin->below_bytes);
	gs_evidence_number(finding, "above_bytes", pin->above_bytes);
	if (pin->state == GS_CHUNK_TCACHE && pin->tid)
		gs_evidence_number(finding, "tcache_tid", (uint64_t)pin->tid);
	if (pin->owner)
		gs_evidence_text(finding, "pin_owner", pin->owner);
}

/* "a live 48B block at 0x5581e44ff2a0 (vtable for Foo)" */
static void add_pin_name(struct gs_strbuf *sb, const struct gs_pin *pin)
{
	gs_strbuf_addf(sb, "a %s %s block at %s", state_names[pin->state], GS_SIZE(pin->size),
		       gs_fmt_addr((char[GS_FMT_LEN]){ 0 }, pin->address));
	if (!pin->owner)
		return;
	cleanup_free_ char *owner = gs_text_safe(pin->owner, OWNER_WIDTH);
	gs_strbuf_addf(sb, " (%s)", owner);
}

/* When will the pin go? Only a live one is up to the program alone. */
static void add_pin_fate(struct gs_strbuf *sb, const struct gs_pin *pin)
{
	if (pin->state == GS_CHUNK_FASTBIN)
		gs_strbuf_addf(sb, " The program has freed that block; it waits in a fastbin, "
			       "which counts as in use until malloc_trim or a large free() "
			       "merges it.");
	if (pin->state != GS_CHUNK_TCACHE)
		return;
	gs_strbuf_addf(sb, " The program has freed that block; the tcache of ");
	if (pin->tid)
		gs_strbuf_addf(sb, "thread %d", pin->tid);
	else
		gs_strbuf_addf(sb, "some thread");
	gs_strbuf_addf(sb, " keeps it, which counts as in use until that thread exits or uses it "
		       "again.");
}

/* What is above the pin could go, were it not below the threshold. */
static void add_top_fate(struct gs_strbuf *sb, const struct gs_snapshot *snapshot,
			 const struct gs_pin *pin)
{
	uint64_t threshold = snapshot->mallopt.trim_threshold;

	if (!pin->above_bytes || threshold == GS_UNKNOWN || pin->above_bytes >= threshold)
		return;
	gs_strbuf_addf(sb, " The %s above it stays too: it is less than the trim threshold (%s).",
		       GS_SIZE(pin->above_bytes), GS_SETTING(threshold));
}

bool gs_rule_pinned_main(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	const struct gs_arena *arena = gs_rule_main_arena(snapshot);

	if (!arena || !arena->n_heaps)
		return false;
	const struct gs_heap *last = &arena->heaps[arena->n_heaps - 1];
	const struct gs_pin *pin = &last->pin;

	if (!pin->address)
		return false;

	struct gs_strbuf detail = {};

	finding->bytes = gs_rule_known(arena->account.reclaimable_bin_bytes);
	finding->arena = (int)arena->index;
	finding->heap = last->address;
	finding->summary = gs_xasprintf("main arena: %s of free pages below a %s %s block",
					GS_SIZE(finding->bytes), state_names[pin->state],
					GS_SIZE(pin->size));
	gs_strbuf_addf(&detail, "free() gives memory of the main arena back only from its end. "
		       "There, ");
	add_pin_name(&detail, pin);
	gs_strbuf_addf(&detail, " is the last in use, %s below the end, so %s of free pages "
		       "beneath it stay in memory.", GS_SIZE(pin->above_bytes),
		       GS_SIZE(finding->bytes));
	add_pin_fate(&detail, pin);
	gs_strbuf_addf(&detail, " Once it is gone, what is free goes as far down as the next "
		       "block in use.");
	add_top_fate(&detail, snapshot, pin);
	finding->detail = gs_strbuf_take(&detail);
	pin_evidence(finding, pin);
	gs_evidence_number(finding, "reclaimable_bytes", finding->bytes);
	return true;
}

/* Sums over heaps of thread arenas, and which one holds most. */
struct heap_tally {
	uint64_t bytes, worst_bytes;
	uint64_t heaps, arenas;
	const struct gs_heap *worst;
	const struct gs_arena *worst_arena;
};

/* Sum part() over the heaps of all thread arenas for which it is not 0. */
static struct heap_tally tally_heaps(const struct gs_snapshot *snapshot,
				     uint64_t (*part)(const struct gs_heap *heap))
{
	struct heap_tally tally = {};

	for (size_t i = 0; i < snapshot->n_arenas; i++) {
		const struct gs_arena *arena = &snapshot->arenas[i];
		uint64_t heaps_before = tally.heaps;

		for (size_t j = 0; arena->index && j < arena->n_heaps; j++) {
			const struct gs_heap *heap = &arena->heaps[j];
			uint64_t bytes = gs_rule_known(part(heap));

			if (!bytes)
				continue;
			tally.bytes = gs_rule_sum(tally.bytes, bytes);
			tally.heaps++;
			if (bytes <= tally.worst_bytes)
				continue;
			tally.worst_bytes = bytes;
			tally.worst = heap;
			tally.worst_arena = arena;
		}
		tally.arenas += tally.heaps > heaps_before;
	}
	return tally;
}

static void tally_evidence(struct gs_finding *finding, const struct heap_tally *tally)
{
	finding->bytes = tally->bytes;
	if (tally->arenas == 1)
		finding->arena = (int)tally->worst_arena->index;
	if (tally->heaps == 1)
		finding->heap = tally->worst->address;
	gs_evidence_number(finding, "arenas", tally->arenas);
	gs_evidence_number(finding, "heaps", tally->heaps);
	gs_evidence_address(finding, "largest_heap", tally->worst->address);
	gs_evidence_number(finding, "largest_arena", tally->worst_arena->index);
	gs_evidence_number(finding, "largest_bytes", tally->worst_bytes);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Idle heaps are a finding of their own; free pages of the others are held by their pins. */
static uint64_t pinned_part(const struct gs_heap *heap)
{
	return heap->idle || !heap->pin.address ? 0 : heap->account.reclaimable_bin_bytes;
}

bool gs_rule_pinned_threads(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	struct heap_tally tally = tally_heaps(snapshot, pinned_part);

	if (!tally.heaps)
		return false;

	struct gs_strbuf detail = {};

	tally_evidence(finding, &tally);
	finding->summary = gs_xasprintf("thread arenas: %s of free pages below blocks in use, in "
					"%" PRIu64 " heap%s", GS_SIZE(tally.bytes), tally.heaps,
					plural(tally.heaps));
	gs_strbuf_addf(&detail, "A thread arena gives memory back only from the end of its last "
		       "heap, so free pages below a block in use stay in memory. The largest part, "
		       "%s, is in arena %u, where ", GS_SIZE(tally.worst_bytes),
		       tally.worst_arena->index);
	add_pin_name(&detail, &tally.worst->pin);
	gs_strbuf_addf(&detail, " is the last in use of its heap.");
	add_pin_fate(&detail, &tally.worst->pin);
	finding->detail = gs_strbuf_take(&detail);
	pin_evidence(finding, &tally.worst->pin);
	return true;
}

static uint64_t idle_part(const struct gs_heap *heap)
{
	return heap->idle ? heap->account.stalled_bytes : 0;
}

bool gs_rule_idle_heaps(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	struct heap_tally tally = tally_heaps(snapshot, idle_part);

	if (!tally.heaps)
		return false;
	tally_evidence(finding, &tally);
	finding->summary = gs_xasprintf("%" PRIu64 " heap%s of thread arenas hold%s %s and nothing "
					"in use", tally.heaps, plural(tally.heaps),
					tally.heaps == 1 ? "s" : "", GS_SIZE(tally.bytes));
	finding->detail = gs_xasprintf(
		"A thread arena gives back only its last heap. The program uses nothing in %s, but "
		"a later heap of the same arena exists, so %s in memory.",
		tally.heaps == 1 ? "this heap" : "these heaps",
		tally.heaps == 1 ? "it stays" : "they stay");
	return true;
}

static uint64_t top_part(const struct gs_heap *heap)
{
	return heap->account.stalled_top_bytes;
}

bool gs_rule_thread_top(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	struct heap_tally tally = tally_heaps(snapshot, top_part);

	if (!tally.heaps)
		return false;
	tally_evidence(finding, &tally);
	finding->summary = gs_xasprintf("top chunk%s of %" PRIu64 " thread arena%s: %s",
					plural(tally.arenas), tally.arenas,
					plural(tally.arenas), GS_SIZE(tally.bytes));
	finding->detail = gs_xasprintf(
		"The free end of a thread arena is cut only by a later large free() in the same "
		"arena. malloc_trim never touches it, and it stays when the thread exits.");
	return true;
}

/* How many arenas glibc makes by itself: true for the target's version and machine. */
static const char *arena_limit(const struct gs_snapshot *snapshot)
{
	unsigned minor = gs_rule_glibc_minor(snapshot);

	if (!minor)
		return "a limit that grows with the number of CPUs is reached";
	if (minor >= 44)
		return "there is one for each CPU, and a few at least";
	if (gs_rule_is_32bit(snapshot))
		return "there are two for each CPU";
	return "there are eight for each CPU";
}

bool gs_rule_arena_spread(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	uint64_t arenas = 0, bytes = 0, live = 0;

	for (size_t i = 0; i < snapshot->n_arenas; i++) {
		const struct gs_arena *arena = &snapshot->arenas[i];

		if (!arena->index || !gs_rule_mostly_free(arena))
			continue;
		arenas++;
		bytes = gs_rule_sum(bytes, arena->account.stalled_bytes);
		live = gs_rule_sum(live, arena->account.live_bytes);
	}
	if (arenas < SPREAD_MIN_ARENAS)
		return false;

	struct gs_strbuf detail = {};

	finding->bytes = bytes;
	finding->summary = gs_xasprintf("%" PRIu64 " thread arenas, each mostly free, hold %s for "
					"nothing", arenas, GS_SIZE(bytes));
	gs_strbuf_addf(&detail, "Each arena keeps what its threads once needed at their worst. Of "
		       "%zu arenas %" PRIu64 " are mostly free: %s in use, %s free in memory. By "
		       "itself glibc makes arenas for new threads until %s.",
		       snapshot->n_arenas, arenas, GS_SIZE(live), GS_SIZE(bytes),
		       arena_limit(snapshot));
	if (gs_rule_known(snapshot->mallopt.arena_max))
		gs_strbuf_addf(&detail, " Here arena_max is set, to %" PRIu64 ".",
			       snapshot->mallopt.arena_max);
	finding->detail = gs_strbuf_take(&detail);
	gs_evidence_number(finding, "arenas", snapshot->n_arenas);
	gs_evidence_number(finding, "mostly_free_arenas", arenas);
	gs_evidence_number(finding, "live_bytes", live);
	gs_evidence_number(finding, "threads", snapshot->target.threads);
	return true;
}

bool gs_rule_fragmented(const struct gs_snapshot *snapshot, struct gs_finding *finding)
{
	const struct gs_account *totals = &snapshot->totals;
	uint64_t stalled = gs_rule_known(totals->stalled_bin_bytes);
	uint64_t pages = gs_rule_known(totals->reclaimable_bin_bytes);

	if (stalled <= pages)
		return false;
	finding->bytes = stalled - pages;
	finding->summary = gs_xasprintf("%s of free memory in pieces smaller than a page",
					GS_SIZE(finding->bytes));
	finding->detail = gs_xasprintf(
		"Free memory lies between blocks in use, in pieces that do not fill a page. Memory "
		"goes back in whole pages only, so no trim helps; the program can use these pieces "
		"again for small blocks. There are %" PRIu64 " free chunks in the bins.",
		gs_rule_known(totals->bin_chunks));
	gs_evidence_number(finding, "bin_chunks", totals->bin_chunks);
	gs_evidence_number(finding, "stalled_bin_bytes", stalled);
	gs_evidence_number(finding, "whole_page_bytes", pages);
	return true;
}
