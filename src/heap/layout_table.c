/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/layout_table.h"

#include <string.h>

#define NO GS_NO_MEMBER
#define MIB (UINT64_C(1) << 20)

/* clang-format off */

/*
 * struct malloc_state, malloc/malloc.c. A23: attached_threads (2.23). A27: have_fastchunks (2.27
 * and the 2.26 branch). A43: no fastbins any more (2.43). A26 is the tag 2.26 on i386, whose
 * alignment became 16. x86_64 and aarch64 are alike.
 */
const struct gs_arena_variant gs_arena_variants[] = {
	/*        word al nfb fast  top bins  next att.  system max   size   releases */
	{ "A17",  8, 16, 10,   8,  88, 104, 2152,   NO, 2168, 2176, 2184 },	/* 2.17-2.22 */
	{ "A23",  8, 16, 10,   8,  88, 104, 2152, 2168, 2176, 2184, 2192 },	/* 2.23-2.26 */
	{ "A27",  8, 16, 10,  16,  96, 112, 2160, 2176, 2184, 2192, 2200 },	/* 2.27-2.42 */
	{ "A43",  8, 16,  0,  NO,   8,  24, 2072, 2088, 2096, 2104, 2112 },	/* 2.43-2.44 */
	{ "A17",  4,  8, 10,   8,  48,  56, 1088,   NO, 1096, 1100, 1104 },	/* 2.17-2.22 */
	{ "A23",  4,  8, 10,   8,  48,  56, 1088, 1096, 1100, 1104, 1108 },	/* 2.23-2.25 */
	{ "A26",  4, 16, 11,   8,  52,  60, 1092, 1100, 1104, 1108, 1112 },	/* 2.26 */
	{ "A27",  4, 16, 11,  12,  56,  64, 1096, 1104, 1108, 1112, 1116 },	/* 2.27-2.42 */
	{ "A43",  4, 16,  0,  NO,   8,  16, 1048, 1056, 1060, 1064, 1068 },	/* 2.43-2.44 */
};
const size_t gs_n_arena_variants = sizeof(gs_arena_variants) / sizeof(gs_arena_variants[0]);

/*
 * struct malloc_par, malloc/malloc.c. trim_threshold, top_pad, mmap_threshold, arena_test and
 * arena_max are the first five words of all. P24: max_total_mem gone. P26: tcache. P35: huge
 * pages. P43: thp_mode. P44: tcache_unsorted_limit gone. P35N and P43N are built without tcache,
 * as libc_malloc_debug.so (2.34) is; its P24 is the same as that of 2.24.
 */
const struct gs_par_variant gs_par_variants[] = {
	/*       word hp n_mmaps no_dyn mem sbrk count maxb  size   releases */
	{ "P17", 8,  NO,  40,    52,    56,  80,  NO,   NO,   88 },	/* 2.17-2.23 */
	{ "P24", 8,  NO,  40,    52,    56,  72,  NO,   NO,   80 },	/* 2.24-2.25 */
	{ "P35N", 8, 48,  60,    72,    80,  96,  NO,   NO,  104 },	/* 2.35-2.42 */
	{ "P43N", 8, 56,  68,    80,    88, 104,  NO,   NO,  112 },	/* 2.43-2.44 */
	{ "P26", 8,  NO,  40,    52,    56,  72,  96,   88,  112 },	/* 2.26-2.34 */
	{ "P35", 8,  48,  60,    72,    80,  96, 120,  112,  136 },	/* 2.35-2.42 */
	{ "P43", 8,  56,  68,    80,    88, 104, 128,  120,  144 },	/* 2.43 */
	{ "P44", 8,  56,  68,    80,    88, 104, 128,  120,  136 },	/* 2.44 */
	{ "P17", 4,  NO,  20,    32,    36,  48,  NO,   NO,   52 },	/* 2.17-2.23 */
	{ "P24", 4,  NO,  20,    32,    36,  44,  NO,   NO,   48 },	/* 2.24-2.25 */
	{ "P35N", 4, 24,  32,    44,    48,  56,  NO,   NO,   60 },	/* 2.35-2.42 */
	{ "P43N", 4, 28,  36,    48,    52,  60,  NO,   NO,   64 },	/* 2.43-2.44 */
	{ "P26", 4,  NO,  20,    32,    36,  44,  56,   52,   64 },	/* 2.26-2.34 */
	{ "P35", 4,  24,  32,    44,    48,  56,  68,   64,   76 },	/* 2.35-2.42 */
	{ "P43", 4,  28,  36,    48,    52,  60,  72,   68,   80 },	/* 2.43 */
	{ "P44", 4,  28,  36,    48,    52,  60,  72,   68,   76 },	/* 2.44 */
};
const size_t gs_n_par_variants = sizeof(gs_par_variants) / sizeof(gs_par_variants[0]);

/* struct tcache_perthread_struct, malloc/malloc.c: counters, then as many pointers. */
const struct gs_tcache_variant gs_tcache_variants[] = {
	{ "T26", 1, 64, false },	/* 2.26-2.29 */
	{ "T30", 2, 64, false },	/* 2.30-2.41, and the branches of 2.28 and 2.29 */
	{ "T42", 2, 76, true },		/* 2.42-2.44 */
};
const size_t gs_n_tcache_variants = sizeof(gs_tcache_variants) / sizeof(gs_tcache_variants[0]);

/* Which par variants were ever built with which arena variant. */
static const struct { const char *arena, *par; } companions[] = {
	{ "A17", "P17" }, { "A23", "P17" }, { "A23", "P24" }, { "A23", "P26" }, { "A26", "P26" },
	{ "A27", "P24" }, { "A27", "P26" }, { "A27", "P35" }, { "A27", "P35N" },
	{ "A43", "P43" }, { "A43", "P44" }, { "A43", "P43N" },
};

static const struct { unsigned minor; const char *par, *tcache; } releases[] = {
	{ 44, "P44", "T42" }, { 43, "P43", "T42" }, { 42, "P35", "T42" }, { 35, "P35", "T30" },
	{ 30, "P26", "T30" }, { 26, "P26", "T26" }, { 24, "P24", NULL }, { 17, "P17", NULL },
};

/* clang-format on */

#define N(array) (sizeof(array) / sizeof((array)[0]))

unsigned gs_bins_to_next(uint8_t word)
{
	return 254u * word + 16;
}

void gs_layout_set_arena(struct gs_layout *layout, const struct gs_arena_variant *v)
{
	layout->word = v->word;
	layout->align = v->align;
	layout->min_size = v->word == 8 ? 32 : 16;
	layout->heap_max = v->word == 8 ? 64 * MIB : MIB;
	layout->arena.mutex = 0;
	layout->arena.flags = 4;
	layout->arena.top = v->top;
	layout->arena.bins = v->bins;
	layout->arena.next = v->next;
	layout->arena.system_mem = v->system_mem;
	layout->arena.max_system_mem = v->max_system_mem;
	layout->arena.attached_threads = v->attached_threads;
	layout->arena.fastbins = v->fastbins;
	layout->arena.n_fastbins = v->n_fastbins;
	layout->arena.size = v->size;
	layout->mmapped_trailer = v->n_fastbins == 0;
}

void gs_layout_set_par(struct gs_layout *layout, const struct gs_par_variant *v)
{
	layout->par.trim_threshold = 0;
	layout->par.top_pad = v->word;
	layout->par.mmap_threshold = (uint16_t)(2 * v->word);
	layout->par.arena_test = (uint16_t)(3 * v->word);
	layout->par.arena_max = (uint16_t)(4 * v->word);
	layout->par.n_mmaps = v->n_mmaps;
	layout->par.no_dyn_threshold = v->no_dyn_threshold;
	layout->par.mmapped_mem = v->mmapped_mem;
	layout->par.sbrk_base = v->sbrk_base;
	layout->par.hp_pagesize = v->hp_pagesize;
	layout->par.tcache_count = v->tcache_count;
	layout->par.tcache_max_bytes = v->tcache_max_bytes;
	layout->par.size = v->size;
}

/* The pointers are aligned behind the counters. */
static uint16_t entries_offset(const struct gs_tcache_variant *v, uint8_t word)
{
	return (uint16_t)((v->n_bins * v->count_size + word - 1) / word * word);
}

uint16_t gs_tcache_size(const struct gs_tcache_variant *v, uint8_t word)
{
	return (uint16_t)(entries_offset(v, word) + v->n_bins * word);
}

void gs_layout_set_tcache(struct gs_layout *layout, const struct gs_tcache_variant *v)
{
	memset(&layout->tcache, 0, sizeof(layout->tcache));
	layout->has_tcache = v != NULL;
	layout->tcache.entries = NO;
	if (!v)
		return;
	layout->tcache.counts = 0;
	layout->tcache.count_size = v->count_size;
	layout->tcache.counts_free = v->counts_free;
	layout->tcache.n_bins = v->n_bins;
	layout->tcache.n_small_bins = 64;
	layout->tcache.entries = entries_offset(v, layout->word);
	layout->tcache.size = gs_tcache_size(v, layout->word);
}

void gs_layout_set_heap(struct gs_layout *layout, uint16_t sizeof_)
{
	layout->heap.ar_ptr = 0;
	layout->heap.prev = layout->word;
	layout->heap.size = (uint16_t)(2 * layout->word);
	layout->heap.mprotect_size = (uint16_t)(3 * layout->word);
	layout->heap.sizeof_ = sizeof_;
}

bool gs_par_goes_with(const struct gs_par_variant *par, const struct gs_arena_variant *arena)
{
	if (par->word != arena->word)
		return false;
	for (size_t i = 0; i < N(companions); i++) {
		if (!strcmp(companions[i].arena, arena->name) &&
		    !strcmp(companions[i].par, par->name))
			return true;
	}
	return false;
}

const struct gs_par_variant *gs_par_of_version(const char *version, uint8_t word)
{
	for (size_t i = 0; i < N(releases); i++) {
		if (!gs_version_at_least(version, releases[i].minor))
			continue;
		for (size_t j = 0; j < gs_n_par_variants; j++) {
			const struct gs_par_variant *v = &gs_par_variants[j];
			if (v->word == word && !strcmp(v->name, releases[i].par))
				return v;
		}
	}
	return NULL;
}

const struct gs_tcache_variant *gs_tcache_of_version(const char *version)
{
	for (size_t i = 0; i < N(releases); i++) {
		if (!gs_version_at_least(version, releases[i].minor))
			continue;
		for (size_t j = 0; j < gs_n_tcache_variants && releases[i].tcache; j++) {
			if (!strcmp(gs_tcache_variants[j].name, releases[i].tcache))
				return &gs_tcache_variants[j];
		}
		return NULL;
	}
	return NULL;
}

#define FIELD(f) { #f, offsetof(struct gs_layout, f), sizeof(((struct gs_layout *)0)->f) }

/* P43 and P44 differ in nothing but their size, which memory does not tell and nobody needs. */
bool gs_layout_equal(const struct gs_layout *a, const struct gs_layout *b,
		     const char **ret_member)
{
	static const struct { const char *name; size_t at, size; } fields[] = {
		FIELD(word), FIELD(align), FIELD(min_size), FIELD(heap_max),
		FIELD(safe_linking), FIELD(mmapped_trailer), FIELD(has_tcache),
		FIELD(arena.mutex), FIELD(arena.flags), FIELD(arena.top), FIELD(arena.bins),
		FIELD(arena.next), FIELD(arena.system_mem), FIELD(arena.max_system_mem),
		FIELD(arena.attached_threads), FIELD(arena.fastbins), FIELD(arena.n_fastbins),
		FIELD(arena.size), FIELD(heap.ar_ptr), FIELD(heap.prev), FIELD(heap.size),
		FIELD(heap.mprotect_size), FIELD(heap.sizeof_), FIELD(par.trim_threshold),
		FIELD(par.top_pad), FIELD(par.mmap_threshold), FIELD(par.arena_test),
		FIELD(par.arena_max), FIELD(par.n_mmaps), FIELD(par.no_dyn_threshold),
		FIELD(par.mmapped_mem), FIELD(par.sbrk_base), FIELD(par.hp_pagesize),
		FIELD(par.tcache_count), FIELD(par.tcache_max_bytes),
		FIELD(tcache.counts), FIELD(tcache.count_size), FIELD(tcache.counts_free),
		FIELD(tcache.n_bins), FIELD(tcache.entries), FIELD(tcache.size),
	};

	for (size_t i = 0; i < N(fields); i++) {
		if (memcmp((const char *)a + fields[i].at, (const char *)b + fields[i].at,
			   fields[i].size)) {
			*ret_member = fields[i].name;
			return false;
		}
	}
	return true;
}
