/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process without findings, and one change for each finding that makes it appear. */
#ifndef TESTS_UNIT_FINDINGS_CASES_H
#define TESTS_UNIT_FINDINGS_CASES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/findings.h"

#define MIB (UINT64_C(1) << 20)
#define N_ARENAS 5

/* Percent of the RSS of the process below are as many times this. */
#define PERCENT (10 * MIB)

/*
 * A process of 1000 MiB that nothing is to be said about: main arena with one segment, four thread
 * arenas with an only heap, all in use.
 */
static inline struct gs_snapshot *content_process(void)
{
	struct gs_snapshot *s = gs_snapshot_new();

	s->target.pid = 4312;
	s->target.machine = "x86_64";
	s->target.exe = gs_xstrdup("/usr/bin/api-server");
	s->target.threads = 14;
	s->target.rss_bytes = 100 * PERCENT;
	s->allocator.version = gs_xstrdup("2.36");
	s->mallopt = (struct gs_mallopt){
		.trim_threshold = 131072, .top_pad = 131072, .mmap_threshold = 131072,
		.arena_max = 0, .arena_test = 8, .tcache_count = 7, .tcache_max_bytes = 1032,
		.dynamic_threshold = true,
	};
	s->totals.mapped_bytes = s->totals.resident_bytes = 95 * PERCENT;
	s->totals.live_bytes = 95 * PERCENT;
	s->n_arenas = N_ARENAS;
	s->arenas = gs_xcalloc(N_ARENAS, sizeof(*s->arenas));
	for (unsigned i = 0; i < N_ARENAS; i++) {
		struct gs_arena *arena = &s->arenas[i];

		arena->index = i;
		arena->n_heaps = 1;
		arena->heaps = gs_xcalloc(1, sizeof(*arena->heaps));
		arena->heaps[0].address = 0x7f0000000000 + i * 0x4000000;
		arena->heaps[0].position = i ? GS_POS_ONLY : GS_POS_SEGMENT;
		arena->account.resident_bytes = 19 * PERCENT;
		arena->account.live_bytes = 19 * PERCENT;
	}
	return s;
}

static inline void set_version(struct gs_snapshot *s, const char *version)
{
	free(s->allocator.version);
	s->allocator.version = version ? gs_xstrdup(version) : NULL;
}

static inline void pin_main(struct gs_snapshot *s, uint64_t bytes)
{
	struct gs_arena *arena = &s->arenas[0];

	arena->account.reclaimable_bin_bytes = bytes;
	arena->heaps[0].pin = (struct gs_pin){
		.address = 0x5581e44ff2a0, .size = 48, .state = GS_CHUNK_LIVE,
		.below_bytes = bytes, .above_bytes = 65536,
	};
}

static inline void pin_thread(struct gs_snapshot *s, uint64_t bytes)
{
	struct gs_heap *heap = &s->arenas[2].heaps[0];

	heap->account.reclaimable_bin_bytes = bytes;
	heap->pin = (struct gs_pin){ .address = 0x7f0008001000, .size = 64, .below_bytes = bytes };
}

static inline void make_idle(struct gs_snapshot *s, uint64_t bytes)
{
	s->arenas[3].heaps[0].idle = true;
	s->arenas[3].heaps[0].account.stalled_bytes = bytes;
}

static inline void grow_thread_top(struct gs_snapshot *s, uint64_t bytes)
{
	s->arenas[1].heaps[0].account.stalled_top_bytes = bytes;
}

/* All thread arenas mostly free, bytes in all. */
static inline void spread(struct gs_snapshot *s, uint64_t bytes)
{
	for (unsigned i = 1; i < N_ARENAS; i++) {
		s->arenas[i].account.stalled_bytes = bytes / (N_ARENAS - 1);
		s->arenas[i].account.resident_bytes = bytes / (N_ARENAS - 1);
	}
}

static inline void fragment(struct gs_snapshot *s, uint64_t bytes)
{
	s->totals.stalled_bin_bytes = bytes + 3 * MIB;
	s->totals.reclaimable_bin_bytes = 3 * MIB;
	s->totals.bin_chunks = 77;
}

static inline void hoard_tcache(struct gs_snapshot *s, uint64_t bytes)
{
	s->totals.stalled_tcache_bytes = bytes;
}

static inline void hoard_fastbin(struct gs_snapshot *s, uint64_t bytes)
{
	s->totals.stalled_fastbin_bytes = bytes;
}

static inline void grow_threshold(struct gs_snapshot *s, uint64_t bytes)
{
	s->mallopt.mmap_threshold = 1000 * MIB;
	s->mallopt.trim_threshold = 2000 * MIB;
	s->arenas[0].account.top_bytes = bytes;
	s->arenas[0].account.stalled_top_bytes = bytes;
}

static inline void disable_trim(struct gs_snapshot *s, uint64_t bytes)
{
	s->mallopt.dynamic_threshold = false;
	s->mallopt.trim_threshold = GS_UNLIMITED;
	s->arenas[0].account.top_bytes = bytes;
	s->arenas[0].account.stalled_top_bytes = bytes;
}

static inline void not_malloc(struct gs_snapshot *s, uint64_t bytes)
{
	s->totals.resident_bytes = s->target.rss_bytes - bytes;
}

static const struct scenario {
	const char *id;
	void (*make)(struct gs_snapshot *s, uint64_t bytes);
} scenarios[] = {
	{ "pinned-top", pin_main }, { "pinned-top", pin_thread }, { "idle-heaps", make_idle },
	{ "thread-top", grow_thread_top }, { "arena-spread", spread }, { "fragmented", fragment },
	{ "tcache-hoard", hoard_tcache }, { "fastbin-hoard", hoard_fastbin },
	{ "threshold-grown", grow_threshold }, { "trim-disabled", disable_trim },
	{ "not-malloc", not_malloc },
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static inline const struct gs_finding *find(const struct gs_snapshot *s, const char *id)
{
	for (size_t i = 0; i < s->n_findings; i++)
		if (!strcmp(s->findings[i].id, id))
			return &s->findings[i];
	return NULL;
}

static inline const struct gs_advice *advice(const struct gs_snapshot *s, const char *id, bool fix)
{
	const struct gs_finding *f = find(s, id);

	assert_non_null(f);
	for (size_t i = 0; i < f->n_advice; i++)
		if (f->advice[i].fix == fix)
			return &f->advice[i];
	fail_msg("%s has no advice", id);
	return NULL;
}

static inline const struct gs_evidence *evidence(const struct gs_finding *f, const char *name)
{
	assert_non_null(f);
	for (size_t i = 0; i < f->n_evidence; i++)
		if (!strcmp(f->evidence[i].name, name))
			return &f->evidence[i];
	fail_msg("%s has no evidence %s", f->id, name);
	return NULL;
}

static inline void assert_contains(const char *text, const char *part)
{
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

static inline void assert_lacks(const char *text, const char *part)
{
	if (text && strstr(text, part))
		fail_msg("\"%s\" is in: %s", part, text);
}

#endif
