/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/par_search.h"

#include <string.h>

enum {
	REACH = 0x2000,		/* mp_ lies 0x60 to 0x9c0 before main_arena in all builds seen */
	SCORE_MIN = 5,		/* a struct of zeros scores less */
	N_MMAPS_MAX = 65536,	/* default of n_mmaps_max */
	THRESHOLD = 131072,	/* default of three thresholds */
};

struct par {
	uint64_t trim, pad, mmap, test, max;
	uint32_t n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn;
	uint64_t mem, max_mem, sbrk_base, hp_pagesize, tcache_bins, tcache_max, tcache_count;
};

static uint64_t word_at(const struct gs_par_search *s, gs_addr addr)
{
	uint64_t value = 0;

	memcpy(&value, s->bytes + (addr - s->start), s->word);
	return value;
}

static uint32_t int_at(const struct gs_par_search *s, gs_addr addr)
{
	uint32_t value;

	memcpy(&value, s->bytes + (addr - s->start), sizeof(value));
	return value;
}

static void read_par(const struct gs_par_search *s, const struct gs_par_variant *v, gs_addr at,
		     struct par *p)
{
	unsigned w = s->word;

	*p = (struct par){
		.trim = word_at(s, at), .pad = word_at(s, at + w), .mmap = word_at(s, at + 2 * w),
		.test = word_at(s, at + 3 * w), .max = word_at(s, at + 4 * w),
		.n_mmaps = int_at(s, at + v->n_mmaps),
		.n_mmaps_max = int_at(s, at + v->n_mmaps + 4),
		.max_n_mmaps = int_at(s, at + v->n_mmaps + 8),
		.no_dyn = int_at(s, at + v->no_dyn_threshold),
		.mem = word_at(s, at + v->mmapped_mem),
		.max_mem = word_at(s, at + v->mmapped_mem + w),
		.sbrk_base = word_at(s, at + v->sbrk_base),
	};
	if (v->hp_pagesize != GS_NO_MEMBER)
		p->hp_pagesize = word_at(s, at + v->hp_pagesize);
	if (v->tcache_count != GS_NO_MEMBER) {
		p->tcache_bins = word_at(s, at + v->tcache_max_bytes - w);
		p->tcache_max = word_at(s, at + v->tcache_max_bytes);
		p->tcache_count = word_at(s, at + v->tcache_count);
	}
}

/* What cannot be otherwise, whatever mallopt() was told. */
static bool is_possible(const struct gs_par_search *s, const struct gs_par_variant *v,
			const struct par *p)
{
	const struct gs_map *map = gs_maps_find(s->maps, p->sbrk_base);

	return p->no_dyn <= 1 && p->n_mmaps <= p->max_n_mmaps && !p->n_mmaps == !p->mem &&
	       !p->max_n_mmaps == !p->max_mem && p->mem <= p->max_mem &&
	       p->mem % s->page_size == 0 && p->max_mem % s->page_size == 0 &&
	       p->test <= 65536 && (p->hp_pagesize & (p->hp_pagesize - 1)) == 0 &&
	       (!p->sbrk_base || (map && map->prot & GS_PROT_W)) && p->tcache_bins <= 76 &&
	       p->tcache_count <= 65535 &&
	       (v->tcache_count == GS_NO_MEMBER || p->tcache_bins);
}

/* Does the contiguous main arena that starts at sbrk_base end where its top chunk does? */
static bool ends_at_top(const struct gs_par_search *s, const struct par *p)
{
	gs_addr top = word_at(s, s->main_arena + s->arena->top);
	uint64_t system = word_at(s, s->main_arena + s->arena->system_mem);

	return p->sbrk_base && system && top >= p->sbrk_base && top - p->sbrk_base < system;
}

/* What all variants begin with. */
static unsigned score_head(const struct gs_par_search *s, const struct par *p)
{
	return (p->test == (s->word == 8 ? 8 : 2) ? 2 : 0) + (p->pad == THRESHOLD ? 2 : 0) +
	       (p->trim == THRESHOLD ? 2 : 0) +
	       (p->mmap == THRESHOLD || (p->mmap && p->trim == 2 * p->mmap) ? 2 : 0);
}

/* What lies elsewhere in every variant: without any of it, there is nothing to tell them apart. */
static unsigned score_tail(const struct gs_par_search *s, const struct par *p)
{
	const struct gs_map *map = gs_maps_find(s->maps, p->sbrk_base);

	return (p->n_mmaps_max == N_MMAPS_MAX ? 3 : 0) +
	       (map && map->start == p->sbrk_base && !strcmp(map->path, "[heap]") ? 4 : 0) +
	       (ends_at_top(s, p) ? 4 : 0) + (p->tcache_bins == 64 ? 2 : 0) +
	       (p->tcache_max >= 1020 && p->tcache_max <= 1041 ? 2 : 0) +
	       (p->tcache_count == 7 || p->tcache_count == 16 ? 2 : 0);
}

struct best {
	const struct gs_par_variant *variant;
	gs_addr at;
	unsigned score;
	bool tied;
};

static void try_variant(const struct gs_par_search *s, const struct gs_par_variant *v,
			struct best *best)
{
	gs_addr from = s->start, to = s->end;

	if (v->tcache_count != GS_NO_MEMBER && !s->may_have_tcache)
		return;
	if (s->main_arena - s->start > REACH)
		from = s->main_arena - REACH;
	if (s->end - s->main_arena > REACH)
		to = s->main_arena + REACH;
	for (gs_addr at = from; at + v->size <= to; at += s->word) {
		struct par par;
		if (at + v->size > s->main_arena && at < s->main_arena + s->arena->size)
			continue;
		read_par(s, v, at, &par);
		if (!is_possible(s, v, &par))
			continue;
		unsigned tail = score_tail(s, &par), points = score_head(s, &par) + tail;
		if (!tail || points < SCORE_MIN || points < best->score)
			continue;
		/* Variants that differ only behind what they share are no rivals. */
		best->tied = points == best->score && at != best->at;
		best->variant = v;
		best->at = at;
		best->score = points;
	}
}

const struct gs_par_variant *gs_par_search_run(const struct gs_par_search *search,
					       const char *version, gs_addr *ret)
{
	const struct gs_par_variant *hinted = gs_par_of_version(version, search->word);
	struct best best = {};

	if (hinted && gs_par_goes_with(hinted, search->arena))
		try_variant(search, hinted, &best);
	bool by_version = best.variant != NULL;
	for (size_t i = 0; i < gs_n_par_variants && !by_version; i++) {
		if (gs_par_goes_with(&gs_par_variants[i], search->arena))
			try_variant(search, &gs_par_variants[i], &best);
	}
	if (!best.variant || best.tied)
		return NULL;
	*ret = best.at;
	return best.variant;
}
