/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/metrics.h"

#define K UINT64_C(1024)
#define M (1024 * K)
#define PAGE (4 * K)

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Every text has something in it that must not get through. */
#define EVIL "a\033[31mb\nc\x9b" "d\xff\xfe\xe2\x80\xae" "e\tf\x7f"

const char *const gs_sample_names[GS_SAMPLE_N] = {
	[GS_SAMPLE_STALLED] = "stalled",
	[GS_SAMPLE_SMALL] = "small",
	[GS_SAMPLE_HEALTHY] = "healthy",
	[GS_SAMPLE_UNUSED] = "unused",
	[GS_SAMPLE_PARTIAL] = "partial",
	[GS_SAMPLE_CORE] = "core",
	[GS_SAMPLE_OTHERS] = "others",
	[GS_SAMPLE_HOSTILE] = "hostile",
};

/* An arena in KiB; all but the top is spread over its heaps evenly. */
struct plan {
	unsigned index, threads, heaps;
	uint64_t live, tcache, fast, bin, top, returned;
	uint64_t cell;
};

static struct gs_account account_of(const struct plan *plan, bool first, bool last)
{
	uint64_t n = plan->heaps, returned = plan->returned * K / n;
	struct gs_account a = {
		.live_bytes = plan->live * K / n,
		.live_chunks = plan->live * K / n / 96,
		.overhead_bytes = first ? 2 * K : 32,
		.tcache_bytes = plan->tcache * K / n,
		.tcache_chunks = plan->tcache * K / n / 64,
		.fastbin_bytes = plan->fast * K / n,
		.fastbin_chunks = plan->fast * K / n / 48,
		.bin_bytes = plan->bin * K / n,
		.bin_chunks = plan->bin * K / n / 2000,
		.top_bytes = last ? plan->top * K : 0,
		.returned_bytes = returned,
	};

	a.mapped_bytes = a.live_bytes + a.overhead_bytes + a.tcache_bytes + a.fastbin_bytes +
			 a.bin_bytes + a.top_bytes;
	a.resident_bytes = a.mapped_bytes - returned;
	a.stalled_tcache_bytes = a.tcache_bytes;
	a.stalled_fastbin_bytes = a.fastbin_bytes;
	a.stalled_bin_bytes = a.bin_bytes - returned;
	a.stalled_top_bytes = a.top_bytes;
	a.stalled_bytes = a.tcache_bytes + a.fastbin_bytes + a.stalled_bin_bytes + a.top_bytes;
	a.reclaimable_bin_bytes = a.stalled_bin_bytes / 100 * 93 / PAGE * PAGE;
	a.reclaimable_top_bytes = a.top_bytes / PAGE * PAGE;
	a.reclaimable_bytes = a.reclaimable_bin_bytes + a.reclaimable_top_bytes;
	return a;
}

/* Letters in the proportions of the account, scattered by a fixed sequence, the top last. */
static char *cells_of(const struct gs_account *a, uint64_t cell)
{
	size_t n = (size_t)((a->mapped_bytes + cell - 1) / cell);
	size_t top = (size_t)(a->top_bytes / cell);
	char *cells = gs_xzalloc(n + 1);
	uint32_t seed = 12345;
	uint64_t body = a->mapped_bytes - a->top_bytes;

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		uint64_t at = body / 1000 * (seed >> 8) / ((UINT32_MAX >> 8) / 1000);

		if (i >= n - top)
			cells[i] = 'T';
		else if (at < a->live_bytes)
			cells[i] = i % 2 ? 'L' : 'X';
		else
			cells[i] = at > body - a->returned_bytes ? 'R' : 'S';
	}
	return cells;
}

static enum gs_position position_of(const struct plan *plan, unsigned i)
{
	if (plan->index == 0)
		return GS_POS_SEGMENT;
	if (plan->heaps == 1)
		return GS_POS_ONLY;
	if (i == 0)
		return GS_POS_FIRST;
	return i == plan->heaps - 1 ? GS_POS_LAST : GS_POS_INTERIOR;
}

static struct gs_heap heap_of(const struct plan *plan, unsigned i)
{
	bool first = i == 0, last = i == plan->heaps - 1;
	uint64_t address = plan->index == 0 ? 0x5581b2c00000 :
					      0x7f2a40000000 - (plan->index * 8 + i) * 64 * M;
	struct gs_heap heap = {
		.address = address,
		.position = position_of(plan, i),
		.stable = true,
		.account = account_of(plan, first, last),
		.cell_bytes = plan->cell,
	};

	heap.end = address + heap.account.mapped_bytes;
	heap.reserved_bytes = plan->index == 0 ? heap.account.mapped_bytes : 64 * M;
	heap.cells = cells_of(&heap.account, plan->cell);
	if (heap.account.bin_bytes && plan->index != 7) {
		heap.pin = (struct gs_pin){
			.address = heap.end - heap.account.top_bytes - 48,
			.size = 48,
			.state = GS_CHUNK_LIVE,
			.below_bytes = heap.account.bin_bytes,
			.above_bytes = heap.account.top_bytes,
			.owner = gs_xstrdup("vtable for Session"),
		};
	}
	return heap;
}

static void fill_arena(struct gs_arena *arena, const struct plan *plan, unsigned *tid)
{
	arena->index = plan->index;
	arena->address = plan->index ? 0x7f2a40000030 - plan->index * 512 * M : 0x7f2a4c1d3c60;
	arena->attached_threads = plan->threads;
	arena->n_threads = plan->threads;
	arena->threads = gs_xcalloc(plan->threads, sizeof(*arena->threads));
	for (unsigned i = 0; i < plan->threads; i++) {
		arena->threads[i] = (struct gs_attached){
			.tid = (int)(*tid)++,
			.comm = gs_xstrdup("worker"),
			.tcache_bytes = plan->tcache * K / plan->threads,
			.tcache_chunks = plan->tcache * K / plan->threads / 64,
		};
	}
	arena->n_heaps = plan->heaps;
	arena->heaps = gs_xcalloc(plan->heaps, sizeof(*arena->heaps));
	for (unsigned i = 0; i < plan->heaps; i++) {
		arena->heaps[i] = heap_of(plan, i);
		gs_account_add(&arena->account, &arena->heaps[i].account);
	}
	arena->system_bytes = arena->account.mapped_bytes;
	arena->max_system_bytes = arena->account.mapped_bytes;
}

static void fill_arenas(struct gs_snapshot *s, const struct plan *plans, size_t n)
{
	unsigned tid = 4312;

	s->n_arenas = n;
	s->arenas = gs_xcalloc(n, sizeof(*s->arenas));
	for (size_t i = 0; i < n; i++) {
		fill_arena(&s->arenas[i], &plans[i], &tid);
		gs_account_add(&s->totals, &s->arenas[i].account);
	}
}

static void fill_words(char ***ret, size_t *ret_n, const char *const *words, size_t n)
{
	*ret = gs_xcalloc(n, sizeof(**ret));
	*ret_n = n;
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = gs_xstrdup(words[i]);
}

static struct gs_snapshot *new_process(const char *comm, unsigned threads, uint64_t rss)
{
	static const uint64_t granularities[GS_WHAT_IF_N] = {
		4 * K, 8 * K, 64 * K, 512 * K, M, 2 * M, 64 * M,
	};
	static const char *const cmdline[] = {
		"/usr/bin/api-server", "--listen", ":8080", "--workers", "12",
	};
	struct gs_snapshot *s = gs_snapshot_new();

	s->time = 1769860800;	/* 2026-01-31T12:00:00Z */
	s->target.kind = GS_TARGET_PROCESS;
	s->target.pid = 4312;
	s->target.start_ticks = 123456;
	s->target.comm = gs_xstrdup(comm);
	s->target.exe = gs_xstrdup("/usr/bin/api-server");
	fill_words(&s->target.cmdline, &s->target.n_cmdline, cmdline, N(cmdline));
	s->target.machine = "x86_64";
	s->target.threads = threads;
	s->target.rss_bytes = rss;
	s->allocator.version = gs_xstrdup("2.36");
	s->allocator.package = gs_xstrdup("Debian 2.36-9+deb12u14");
	s->allocator.path = gs_xstrdup("/usr/lib/x86_64-linux-gnu/libc.so.6");
	s->allocator.build_id = gs_xstrdup("2aad7ac5f5d8b4a5e33d0c0e9fd2cc6e4d5a0a11");
	s->allocator.symbols = GS_SYMBOLS_STRUCTURE;
	s->allocator.layout = GS_LAYOUT_TABLE;
	s->allocator.checks = 5;
	s->allocator.has_tcache = true;
	s->allocator.has_fastbins = true;
	s->capture.mode = GS_CAPTURE_LIVE;
	s->capture.duration_ns = 31000000;
	s->capture.bytes_read = 90 * M;
	s->capture.passes = 1;
	s->capture.complete = true;
	s->mallopt.trim_threshold = 64 * M;
	s->mallopt.top_pad = 128 * K;
	s->mallopt.mmap_threshold = 32 * M;
	s->mallopt.tcache_count = 7;
	s->mallopt.tcache_max_bytes = 1032;
	s->mallopt.dynamic_threshold = true;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++) {
		s->what_if[i].granularity_bytes = granularities[i];
		s->what_if[i].releasable_bytes = rss / 2 >> i;
	}
	return s;
}

/* Add a finding without evidence and advice. */
static struct gs_finding *add_finding(struct gs_snapshot *s, const char *id,
				      enum gs_severity severity, uint64_t bytes,
				      const char *summary)
{
	s->findings = gs_xreallocarray(s->findings, s->n_findings + 1, sizeof(*s->findings));
	struct gs_finding *finding = &s->findings[s->n_findings++];

	*finding = (struct gs_finding){
		.id = id,
		.severity = severity,
		.bytes = bytes,
		.arena = -1,
		.summary = gs_xstrdup(summary),
	};
	return finding;
}

static void add_advice(struct gs_finding *finding, bool fix, const char *command, const char *text)
{
	finding->advice = gs_xreallocarray(finding->advice, finding->n_advice + 1,
					   sizeof(*finding->advice));
	finding->advice[finding->n_advice++] = (struct gs_advice){
		.fix = fix,
		.command = command ? gs_xstrdup(command) : NULL,
		.text = text ? gs_xstrdup(text) : NULL,
	};
}

static void add_evidence(struct gs_finding *finding, struct gs_evidence evidence)
{
	finding->evidence = gs_xreallocarray(finding->evidence, finding->n_evidence + 1,
					     sizeof(*finding->evidence));
	if (evidence.text)
		evidence.text = gs_xstrdup(evidence.text);
	finding->evidence[finding->n_evidence++] = evidence;
}

static char owner_evidence[] = "vtable for Session";

static void add_pinned_top(struct gs_snapshot *s)
{
	const struct gs_pin *pin = &s->arenas[0].heaps[0].pin;
	struct gs_finding *finding =
		add_finding(s, "pinned-top", GS_SEVERITY_HIGH, s->arenas[0].account.stalled_bytes,
			    "main arena: one block near the top holds all below it");

	finding->arena = 0;
	finding->heap = s->arenas[0].heaps[0].address;
	finding->detail = gs_xstrdup(
		"A live 48-byte block sits 19M below the break. free() trims only from the top, so "
		"the free pages beneath it never go back; the 19M above it stays as well, below "
		"trim_threshold (64M, raised by free()).");
	add_evidence(finding, (struct gs_evidence){
		.name = "pin", .type = GS_EVIDENCE_ADDRESS, .number = pin->address });
	add_evidence(finding, (struct gs_evidence){
		.name = "pin_bytes", .type = GS_EVIDENCE_NUMBER, .number = pin->size });
	add_evidence(finding, (struct gs_evidence){
		.name = "owner", .type = GS_EVIDENCE_TEXT, .text = owner_evidence });
	add_advice(finding, false, NULL, "call malloc_trim(0): it gives back whole pages below");
	add_advice(finding, true, NULL, "allocate what lives long before the burst, or call "
		   "malloc_trim(0) after it");
}

static struct gs_snapshot *new_stalled(void)
{
	static const struct plan plans[] = {
		{ 0, 1, 1, 148 * 1024, 307, 2150, 657862, 19 * 1024, 22 * 1024, 4 * M },
		{ 1, 3, 3, 52 * 1024, 500, 700, 134 * 1024, 5000, 21 * 1024, 256 * K },
		{ 2, 2, 1, 19 * 1024, 200, 300, 29000, 700, 9000, 256 * K },
		{ 3, 2, 4, 61 * 1024, 410, 922, 187 * 1024, 7373, 15 * 1024, 256 * K },
		{ 4, 1, 1, 18 * 1024, 200, 300, 28000, 700, 9000, 256 * K },
		{ 5, 2, 3, 44 * 1024, 512, 800, 146 * 1024, 4096, 9 * 1024, 256 * K },
		{ 6, 1, 1, 17 * 1024, 200, 200, 27000, 600, 9000, 256 * K },
		{ 7, 1, 2, 38 * 1024, 480, 600, 86 * 1024, 3000, 11 * 1024, 256 * K },
		{ 8, 1, 1, 15 * 1024, 150, 200, 26000, 500, 9000, 256 * K },
	};
	struct gs_snapshot *s = new_process("api-server", 14, 1884 * M);
	struct gs_finding *finding;

	fill_arenas(s, plans, N(plans));
	s->capture.passes = 3;
	s->capture.changed_chunks = 2;
	s->mmapped.chunks = 2;
	s->mmapped.bytes = 40 * M;
	s->mmapped.resident_bytes = 24 * M;
	s->not_malloc = gs_xcalloc(1, sizeof(*s->not_malloc));
	s->n_not_malloc = 1;
	s->not_malloc[0] = (struct gs_mapping){ gs_xstrdup("[stack]"), 132 * K, 64 * K };

	add_pinned_top(s);
	finding = add_finding(s, "arena-spread", GS_SEVERITY_MEDIUM, 598 * M,
			      "8 thread arenas for 14 threads");
	add_advice(finding, true, "GLIBC_TUNABLES=glibc.malloc.arena_max=2", "(needs a restart)");
	finding = add_finding(s, "threshold-grown", GS_SEVERITY_LOW, 0,
			      "raised to 32M by free(): blocks up to 32M come from a heap instead "
			      "of a mapping of their own");
	add_advice(finding, true, "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072",
		   "(turns that off)");
	return s;
}

static struct gs_snapshot *new_small(void)
{
	static const struct plan plan = { 0, 1, 1, 1024, 8, 16, 5096, 0, 1024, 256 * K };
	struct gs_snapshot *s = new_process("api-server", 1, 8 * M);

	fill_arenas(s, &plan, 1);
	add_pinned_top(s);
	return s;
}

static struct gs_snapshot *new_healthy(void)
{
	static const struct plan plan = { 0, 1, 1, 7168, 8, 16, 100, 132, 0, 256 * K };
	struct gs_snapshot *s = new_process("api-server", 1, 12 * M);

	fill_arenas(s, &plan, 1);
	add_finding(s, "healthy", GS_SEVERITY_LOW, s->totals.stalled_bytes,
		    "nothing to do: malloc holds little for nothing");
	return s;
}

static struct gs_snapshot *new_partial(void)
{
	struct gs_snapshot *s = new_small();

	s->arenas[0].heaps[0].stable = false;
	s->arenas[0].heaps[0].account.unsettled_bytes = 512 * K;
	s->arenas[0].account.unsettled_bytes = 512 * K;
	s->totals.unsettled_bytes = 512 * K;
	s->capture.unstable_heaps = 1;
	s->capture.complete = false;
	gs_snapshot_warn(s, "main arena: 512K of the heap at 0x5581b2c00000 kept changing while "
			    "they were read and are counted as live");
	return s;
}

static void forget_residency(struct gs_account *a)
{
	a->resident_bytes = a->swapped_bytes = GS_UNKNOWN;
	a->stalled_bytes = a->stalled_swapped_bytes = GS_UNKNOWN;
	a->reclaimable_bytes = a->returned_bytes = GS_UNKNOWN;
	a->stalled_tcache_bytes = a->stalled_fastbin_bytes = GS_UNKNOWN;
	a->stalled_bin_bytes = a->stalled_top_bytes = GS_UNKNOWN;
	a->reclaimable_bin_bytes = a->reclaimable_top_bytes = GS_UNKNOWN;
}

static struct gs_snapshot *new_core(void)
{
	static const struct plan plan = { 0, 1, 1, 1024, 0, 0, 5096, 0, 0, 256 * K };
	struct gs_snapshot *s = new_process("api-server", 1, GS_UNKNOWN);

	fill_arenas(s, &plan, 1);
	s->target.kind = GS_TARGET_CORE;
	s->target.swap_bytes = GS_UNKNOWN;
	s->capture.mode = GS_CAPTURE_CORE;
	s->allocator.has_tcache = false;
	s->allocator.has_fastbins = false;
	s->arenas[0].attached_threads = GS_UNKNOWN;
	s->arenas[0].n_threads = 0;
	free(s->arenas[0].threads[0].comm);
	s->mmapped.resident_bytes = GS_UNKNOWN;
	s->mallopt.tcache_count = GS_UNKNOWN;
	s->mallopt.tcache_max_bytes = GS_UNKNOWN;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++)
		s->what_if[i].releasable_bytes = GS_UNKNOWN;
	forget_residency(&s->totals);
	forget_residency(&s->arenas[0].account);
	forget_residency(&s->arenas[0].heaps[0].account);
	return s;
}

static void add_other(struct gs_snapshot *s, struct gs_snapshot *other)
{
	s->others = gs_xreallocarray(s->others, s->n_others + 1, sizeof(struct gs_snapshot *));
	s->others[s->n_others++] = other;
}

static struct gs_snapshot *new_others(void)
{
	struct gs_snapshot *s = new_small(), *debug = new_healthy();

	s->program_malloc.name = gs_xstrdup("jemalloc");
	s->program_malloc.path = gs_xstrdup("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2");
	add_other(s, new_small());
	free(debug->allocator.version);
	debug->allocator.version = NULL;
	free(debug->allocator.path);
	debug->allocator.path = gs_xstrdup("/opt/a/longer/path/than/a/narrow/terminal/has/columns/"
					   "for/lib/libc_malloc_debug.so.0");
	add_other(s, debug);
	return s;
}

static void replace(char **text)
{
	free(*text);
	*text = gs_xstrdup(EVIL);
}

static struct gs_snapshot *new_hostile(void)
{
	struct gs_snapshot *s = new_stalled();
	struct gs_finding *finding = &s->findings[0];

	replace(&s->target.comm);
	replace(&s->target.exe);
	for (size_t i = 0; i < s->target.n_cmdline; i++)
		replace(&s->target.cmdline[i]);
	replace(&s->allocator.version);
	replace(&s->allocator.package);
	replace(&s->allocator.path);
	replace(&s->arenas[0].threads[0].comm);
	replace(&s->arenas[0].heaps[0].pin.owner);
	replace(&s->not_malloc[0].name);
	replace(&s->program_malloc.name);
	replace(&s->program_malloc.path);
	add_other(s, new_small());
	replace(&s->others[0]->allocator.version);
	replace(&s->others[0]->allocator.path);
	replace(&finding->summary);
	replace(&finding->detail);
	replace(&finding->evidence[2].text);
	replace(&finding->advice[0].text);
	finding->advice[0].command = gs_xstrdup(EVIL);
	gs_snapshot_warn(s, "%s", EVIL);
	s->mallopt.top_pad = UINT64_MAX - 1;
	return s;
}

static struct gs_snapshot *new_unused(void)
{
	return new_process("api-server", 1, 2 * M);
}

struct gs_snapshot *gs_sample_new(enum gs_sample which)
{
	static struct gs_snapshot *(*const makers[GS_SAMPLE_N])(void) = {
		[GS_SAMPLE_STALLED] = new_stalled,
		[GS_SAMPLE_SMALL] = new_small,
		[GS_SAMPLE_HEALTHY] = new_healthy,
		[GS_SAMPLE_UNUSED] = new_unused,
		[GS_SAMPLE_PARTIAL] = new_partial,
		[GS_SAMPLE_CORE] = new_core,
		[GS_SAMPLE_OTHERS] = new_others,
		[GS_SAMPLE_HOSTILE] = new_hostile,
	};

	return makers[which]();
}
