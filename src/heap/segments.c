/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/segments.h"

#include <string.h>

#include "heap/mmapped.h"
#include "heap/segment_owner.h"

/* Foreign memory between two segments in the brk area that is searched for the next one. */
#define FOREIGN_MAX (UINT64_C(256) << 20)

/* Memory that looks like chunks everywhere, and is none, would be read again from each place. */
#define TRIED_MAX (UINT64_C(256) << 20)

/* By how much the break may have grown since the mappings were read. */
#define GROWTH_MAX (UINT64_C(4) << 30)

bool gs_segment_top(struct gs_mem *mem, const struct gs_malloc *m,
		    const struct gs_arena_state *arena, gs_addr *ret_end)
{
	const struct gs_layout *l = &m->layout;
	char words[16];

	if (!gs_mem_try(mem, arena->top, words, 2u * l->word))
		return false;
	uint64_t raw = gs_layout_word(l, words, l->word);
	uint64_t size = raw & ~(uint64_t)GS_SIZE_BITS;
	gs_addr end;
	if (!(raw & GS_PREV_INUSE) || size < l->min_size || size > arena->system_mem ||
	    __builtin_add_overflow(arena->top, size, &end) || end % mem->page_size)
		return false;
	*ret_end = end;
	return true;
}

/* A segment that starts at start, in a mapping that ends at limit. */
static struct gs_extent extent_at(const struct gs_segment_search *s, gs_addr start, gs_addr limit)
{
	bool has_top = s->arena.top >= start && s->top_end <= limit;

	return (struct gs_extent){
		.start = start,
		.first = gs_layout_align_chunk(&s->m->layout, start),
		.end = has_top ? s->top_end : limit,
		.top = has_top ? s->arena.top : 0,
		.is_main = true,
	};
}

static bool probe(struct gs_segment_search *s, const struct gs_extent *extent)
{
	struct gs_residency residency = {};
	uint64_t before = s->mem->bytes_read;

	if (s->tried > TRIED_MAX)
		return false;
	gs_residency_begin(&residency, s->mem, extent->start, extent->end);
	bool ok = gs_walk_probe(s->walker, extent, &residency);
	gs_residency_fini(&residency);
	if (!ok)
		s->tried += s->mem->bytes_read - before;
	return ok;
}

/* Where the run of mappings without a hole that holds addr ends. */
static gs_addr run_end(const struct gs_maps *maps, gs_addr addr)
{
	const struct gs_map *map = gs_maps_find(maps, addr);

	if (!map)
		return 0;
	const struct gs_map *last = maps->data + maps->len;
	gs_addr end = map->end;
	for (map++; map < last && map->start == end && gs_map_is_anon_rw(map); map++)
		end = map->end;
	return end;
}

/*
 * Where the brk area ends: 0, it is not there. While the arena is contiguous that is the end of
 * top, which may have grown since the mappings were read; it is only what the target says.
 */
static gs_addr brk_end(const struct gs_segment_search *s)
{
	gs_addr mapped = run_end(s->maps, s->sbrk_base);

	if (!mapped || s->arena.flags & GS_ARENA_NONCONTIGUOUS || s->arena.top < s->sbrk_base ||
	    (s->top_end > mapped && s->top_end - mapped > GROWTH_MAX))
		return mapped;
	return s->top_end;
}

bool gs_segment_first(struct gs_segment_search *s, struct gs_extent *ret)
{
	gs_addr limit = brk_end(s);

	s->map = 0;
	s->from = 0;
	s->brk_done = 0;
	s->tried = 0;
	if (!limit)
		return false;
	*ret = extent_at(s, s->sbrk_base, limit);
	return true;
}

/* A header that can begin a segment: previous in use (there is none), no other flag. */
static bool may_begin(const struct gs_layout *l, const char *words, uint64_t room)
{
	uint64_t raw = gs_layout_word(l, words, l->word);
	uint64_t size = raw & ~(uint64_t)GS_SIZE_BITS;

	return (raw & GS_SIZE_BITS) == GS_PREV_INUSE && size >= l->min_size && size <= room &&
	       size % (2u * l->word) == 0;
}

/*
 * Behind a segment of the brk area somebody else called sbrk(); the next segment begins, at no
 * recorded place, where malloc's next sbrk() began, aligned up.
 */
static bool next_in_brk(struct gs_segment_search *s, gs_addr after, gs_addr limit,
			struct gs_extent *ret)
{
	const struct gs_layout *l = &s->m->layout;
	size_t step = l->align;
	char buf[4096 + 16];
	gs_addr searched_to = limit;

	if (searched_to - after > FOREIGN_MAX)
		searched_to = after + FOREIGN_MAX;
	for (gs_addr page = after & ~(gs_addr)4095; page < searched_to; page += 4096) {
		size_t len = sizeof(buf);
		if (!gs_mem_try(s->mem, page, buf, len)) {
			len = 4096;
			if (!gs_mem_try(s->mem, page, buf, len))
				continue;
		}
		gs_addr at = page < after ? after : page;
		for (at = gs_layout_align_chunk(l, at); at + 2u * l->word <= page + len;
		     at += step) {
			if (!may_begin(l, buf + (at - page), limit - at))
				continue;
			struct gs_extent extent = extent_at(s, at, limit);
			if (probe(s, &extent)) {
				*ret = extent;
				return true;
			}
		}
	}
	return false;
}

/* Other copies of malloc have segments too, which look the same. */
static bool is_ours(struct gs_segment_search *s, const struct gs_extent *extent)
{
	return !s->images || !gs_segment_is_rivals(s->mem, s->m, s->images, extent);
}

/* A segment outside the brk area begins at a page, as mmap() returned it. */
static bool next_mapped(struct gs_segment_search *s, struct gs_extent *ret)
{
	const struct gs_layout *l = &s->m->layout;
	size_t first = (size_t)gs_layout_align_chunk(l, 0), page_size = s->mem->page_size;
	gs_addr brk_done = (s->brk_done + page_size - 1) & ~(gs_addr)(page_size - 1);

	for (; s->map < s->maps->len; s->map++, s->from = 0) {
		const struct gs_map *map = &s->maps->data[s->map];
		const char *words;
		gs_addr page;
		if (!gs_map_is_anon_rw(map) || !strcmp(map->path, "[stack]"))
			continue;
		gs_addr from = s->from > map->start ? s->from : map->start;
		gs_page_scan_begin(s->scan, from, map->end);
		while (gs_page_scan_next(s->scan, &page, &words)) {
			gs_addr skip_to = gs_ranges_find(s->exclude, page);
			/* The first segment may be a mapping too, and later ones lie below it. */
			if (page >= s->sbrk_base && page < s->brk_done)
				skip_to = brk_done;
			if (!skip_to)
				skip_to = page + gs_mmapped_length(l, words, map->end - page,
								   page_size);
			if (skip_to > page) {
				gs_page_scan_skip_to(s->scan, skip_to);
				continue;
			}
			struct gs_extent extent = extent_at(s, page, map->end);
			if (may_begin(l, words + first, map->end - page) && probe(s, &extent) &&
			    is_ours(s, &extent)) {
				s->from = page + page_size;
				*ret = extent;
				return true;
			}
		}
	}
	return false;
}

bool gs_segment_next(struct gs_segment_search *s, gs_addr after, struct gs_extent *ret)
{
	gs_addr limit = brk_end(s);
	bool in_mappings = s->map || s->from;

	/* Before mappings are searched it were segments of the brk area, one after the other. */
	if (!s->brk_done || (!in_mappings && !s->no_brk && after <= limit))
		s->brk_done = after;
	if (!s->no_brk && after < limit && after > s->sbrk_base &&
	    next_in_brk(s, after, limit, ret))
		return true;
	if (!(s->arena.flags & GS_ARENA_NONCONTIGUOUS))
		return false;
	if (in_mappings && s->from < after && s->map < s->maps->len &&
	    after > s->maps->data[s->map].start && after <= s->maps->data[s->map].end)
		s->from = after;
	return next_mapped(s, ret);
}
