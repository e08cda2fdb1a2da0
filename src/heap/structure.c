/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/structure.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "heap/par_search.h"
#include "proc/presence.h"
#include "proc/residency.h"

enum {
	N_BINS = 127,
	DISTANCE_MAX = 0x100,		/* from the struct's start to bins: 24 to 112 */
	HEADER_MAX = 0x80,		/* sizeof(struct heap_info): 16 to 48 */
	RUN_MAX = 64,			/* runs of present pages read with one call */
};

/* Writable data searched in one image; a libc has some 50 KiB of it. */
#define SEARCH_MAX (UINT64_C(4) << 20)

/* The search of one image. */
struct search {
	struct gs_mem *mem;
	const struct gs_maps *maps;
	struct gs_presence *presence;
	uint8_t word;
	bool may_have_tcache;
	/* One writable segment. */
	gs_addr start, end;
	char *bytes;
	/* What was found. */
	struct gs_structure best;
	size_t found;
};

static uint64_t word_at(const struct search *s, gs_addr addr)
{
	uint64_t value = 0;

	memcpy(&value, s->bytes + (addr - s->start), s->word);
	return value;
}

static bool in_segment(const struct search *s, gs_addr addr, uint64_t len)
{
	return addr >= s->start && addr < s->end && s->end - addr >= len;
}

/* Copy what is in memory of the segment; what is not there reads as zeros. */
static void read_segment(struct search *s)
{
	struct gs_residency residency = {};
	struct gs_span spans[RUN_MAX];
	gs_addr from, to, at = s->start;
	size_t n = 0;

	gs_residency_begin(&residency, s->mem, s->start, s->end);
	while (gs_residency_run(&residency, at, s->end, &from, &to)) {
		spans[n++] = (struct gs_span){
			.addr = from, .buf = s->bytes + (from - s->start), .len = to - from,
		};
		at = to;
		if (n == RUN_MAX) {
			gs_mem_readv(s->mem, spans, n);
			n = 0;
		}
	}
	gs_mem_readv(s->mem, spans, n);
	gs_residency_fini(&residency);
}

/* --- the bins --- */

struct bins {
	unsigned empty, linked, racy, untouched, bad;
};

static bool is_mapped(const struct search *s, gs_addr addr)
{
	const struct gs_map *map = gs_maps_find(s->maps, addr);

	return map && map->prot & GS_PROT_W;
}

/*
 * Judge the bins of an arena at arena whose bins start off behind it. A list that is being
 * changed may not point back at this moment: that is racy, not bad.
 */
static struct bins judge_bins(struct search *s, gs_addr arena, unsigned off)
{
	unsigned w = s->word;
	struct gs_span spans[2 * N_BINS];
	char back[2 * N_BINS][8] = {};
	gs_addr header[2 * N_BINS];
	struct bins bins = {};
	size_t n = 0;

	for (unsigned i = 0; i < N_BINS; i++) {
		gs_addr at = arena + off + 2 * i * w, h = at - 2 * w;
		gs_addr fd = word_at(s, at), bk = word_at(s, at + w);
		if (fd == h && bk == h) {
			bins.empty++;
		} else if (!fd && !bk) {
			bins.untouched++;
		} else if (fd % w || bk % w || !is_mapped(s, fd) || !is_mapped(s, bk)) {
			bins.bad++;
		} else if (gs_presence_has(s->presence, fd + 3 * w, w) &&
			   gs_presence_has(s->presence, bk + 2 * w, w)) {
			header[n] = h;
			spans[n] = (struct gs_span){ fd + 3 * w, back[n], w, 0 };
			header[n + 1] = h;
			spans[n + 1] = (struct gs_span){ bk + 2 * w, back[n + 1], w, 0 };
			n += 2;
		} else {
			bins.racy++;
		}
	}
	gs_mem_readv(s->mem, spans, n);
	for (size_t i = 0; i < n; i += 2) {
		uint64_t fd_bk = 0, bk_fd = 0;
		memcpy(&fd_bk, back[i], w);
		memcpy(&bk_fd, back[i + 1], w);
		if (fd_bk == header[i] && bk_fd == header[i])
			bins.linked++;
		else
			bins.racy++;
	}
	return bins;
}

/*
 * Before the first malloc all bins are untouched; afterwards none is. Bin 127 is never used and
 * so always empty; under the heaviest churn fewer than half the lists were ever seen in motion.
 */
static bool bins_fit(const struct bins *bins)
{
	if (bins->untouched)
		return bins->untouched == N_BINS;
	return !bins->bad && bins->empty && bins->racy <= N_BINS / 2;
}

/* --- the ring --- */

/* The heap_info in front of a thread arena points to it. Returns its size, 0: no thread arena. */
static unsigned heap_info_size(struct search *s, gs_addr arena)
{
	char word[8] = {};
	uint64_t ar_ptr = 0;
	gs_addr offset = arena & 0xfff;

	if (offset < 4u * s->word || offset > HEADER_MAX || !is_mapped(s, arena) ||
	    !gs_mem_try(s->mem, arena - offset, word, s->word))
		return 0;
	memcpy(&ar_ptr, word, s->word);
	return ar_ptr == arena ? (unsigned)offset : 0;
}

/* Does the ring that goes on from the thread arena at first lead back to main? */
static bool ring_closes(struct search *s, gs_addr main, gs_addr first, unsigned off)
{
	gs_addr arena = first;

	for (unsigned i = 0; i < GS_MAX_ARENAS && arena != main; i++) {
		char word[8] = {};
		if (!heap_info_size(s, arena) ||
		    !gs_mem_try(s->mem, arena + off + gs_bins_to_next(s->word), word, s->word))
			return false;
		arena = 0;
		memcpy(&arena, word, s->word);
	}
	return arena == main;
}

/* --- candidates --- */

/* Does top point to a chunk, not to nothing or into the arena itself? */
static bool is_used(const struct search *s, gs_addr arena, const struct gs_arena_variant *v)
{
	gs_addr top = word_at(s, arena + v->top);

	return top && (top < arena || top - arena >= v->size);
}

/*
 * Which variant has its bins there, and sums behind next that can be its? A17 and A23 differ
 * only there.
 */
static const struct gs_arena_variant *match_variant(const struct search *s, gs_addr arena,
						    unsigned off)
{
	for (size_t i = 0; i < gs_n_arena_variants; i++) {
		const struct gs_arena_variant *v = &gs_arena_variants[i];
		if (v->word != s->word || v->bins != off || !in_segment(s, arena, v->size))
			continue;
		uint64_t system = word_at(s, arena + v->system_mem);
		uint64_t max = word_at(s, arena + v->max_system_mem);
		uint64_t attached = v->attached_threads == GS_NO_MEMBER ?
			1 : word_at(s, arena + v->attached_threads);
		uint64_t least = is_used(s, arena, v) || system ? s->mem->page_size : 0;
		if (system <= max && system >= least && attached < GS_MAX_ARENAS * 64)
			return v;
	}
	return NULL;
}

static void try_candidate(struct search *s, gs_addr arena, unsigned off, unsigned header)
{
	if (arena % s->word || !in_segment(s, arena, off + gs_bins_to_next(s->word) + 5u * s->word))
		return;
	struct bins bins = judge_bins(s, arena, off);
	if (!bins_fit(&bins) || (s->found && s->best.main_arena == arena))
		return;
	s->found++;
	s->best = (struct gs_structure){
		.main_arena = arena,
		.arena = match_variant(s, arena, off),
		.heap_info_size = (uint16_t)header,
		/* The ring closes; bins agree; a thread arena's heap points back at it. */
		.checks = 2 + (header != 0),
	};
}

/* next points to its own struct: there is one arena. */
static void try_alone(struct search *s, gs_addr at, uint64_t value)
{
	gs_addr off = at - value - gs_bins_to_next(s->word);

	if (value >= s->start && off >= 2u * s->word && off < DISTANCE_MAX && off % s->word == 0)
		try_candidate(s, value, (unsigned)off, 0);
}

/* next points to the newest thread arena. */
static void try_ring(struct search *s, gs_addr at, uint64_t value)
{
	unsigned header = heap_info_size(s, value);

	for (size_t i = 0; header && i < gs_n_arena_variants; i++) {
		const struct gs_arena_variant *v = &gs_arena_variants[i];
		gs_addr main = at - v->next;
		if (v->word == s->word && in_segment(s, main, v->size) &&
		    ring_closes(s, main, value, v->bins))
			try_candidate(s, main, v->bins, header);
	}
}

static void search_segment(struct search *s)
{
	for (gs_addr at = s->start; at + s->word <= s->end; at += s->word) {
		uint64_t value = word_at(s, at);
		if (!value || value % s->word)
			continue;
		try_alone(s, at, value);
		gs_addr offset = value & 0xfff;
		if (offset >= 4u * s->word && offset <= HEADER_MAX)
			try_ring(s, at, value);
	}
}

static void find_par(struct search *s, const char *version)
{
	struct gs_par_search search = {
		.arena = s->best.arena, .word = s->word, .maps = s->maps,
		.page_size = s->mem->page_size, .start = s->start, .end = s->end,
		.bytes = s->bytes, .main_arena = s->best.main_arena,
		.may_have_tcache = s->may_have_tcache,
	};

	if (!s->best.arena)
		return;
	s->best.par = gs_par_search_run(&search, version, &s->best.mp);
	s->best.checks += s->best.par != NULL;
}

struct gs_err *gs_structure_find(struct gs_mem *mem, const struct gs_module *libc,
				 const struct gs_maps *maps, const char *version,
				 struct gs_structure *ret)
{
	/* thread_arena is always there. */
	struct search s = {
		.mem = mem, .maps = maps, .word = libc->word,
		.may_have_tcache = libc->tls_memsz >= 2u * libc->word,
	};
	gs_addr page = mem->page_size;
	uint64_t left = SEARCH_MAX;

	s.presence = gs_presence_new(mem);
	for (size_t i = 0; i < libc->n_segments && left; i++) {
		const struct gs_segment *segment = &libc->segments[i];
		if (!(segment->prot & GS_PROT_W) || segment->end <= segment->start)
			continue;
		s.start = segment->start & ~(page - 1);
		s.end = segment->end & ~(gs_addr)(s.word - 1u);
		if (s.end - s.start > left)
			s.end = s.start + left;
		left -= s.end - s.start;
		cleanup_free_ char *bytes = gs_xcalloc(1, s.end - s.start);
		s.bytes = bytes;
		size_t before = s.found;
		read_segment(&s);
		search_segment(&s);
		if (s.found > before)
			find_par(&s, version);
	}
	gs_presence_free(s.presence);
	if (s.found == 0)
		return gs_err_new(GS_ERR_NOT_FOUND, "no main_arena in the data of %s", libc->path);
	if (s.found > 1)
		return gs_err_new(GS_ERR_NOT_FOUND, "%zu structures in %s look like main_arena",
				  s.found, libc->path);
	*ret = s.best;
	return NULL;
}

/* --- from what was found to a malloc --- */

static uint16_t heap_info_of(const struct gs_structure *found)
{
	if (found->heap_info_size)
		return found->heap_info_size;
	/* No heap to ask: pagesize came with the huge page members of malloc_par (2.35). */
	bool has_pagesize = found->par->hp_pagesize != GS_NO_MEMBER;
	if (found->arena->word == 8)
		return has_pagesize ? 48 : 32;
	return has_pagesize || found->arena->align == 16 ? 24 : 16;
}

static const struct gs_tcache_variant *tcache_of(const struct gs_structure *found,
						 const char *version)
{
	if (found->par->tcache_count == GS_NO_MEMBER)
		return NULL;
	const struct gs_tcache_variant *v = gs_tcache_of_version(version);
	/* No version (static programs): the newest that goes with the parameters. */
	if (!v)
		v = gs_tcache_of_version(!strcmp(found->par->name, "P26") ? "2.34" :
					 !strcmp(found->par->name, "P35") ? "2.41" : "2.44");
	return v;
}

bool gs_structure_apply(const struct gs_structure *found, const struct gs_module *libc,
			const char *version, struct gs_malloc *m)
{
	if (!found->arena || !found->par)
		return false;
	m->main_arena = found->main_arena;
	m->mp = found->mp;
	m->image_start = libc->map_start;
	m->image_end = libc->map_end;
	m->machine = libc->machine;
	m->tls_tcache = m->tls_thread_arena = GS_NO_TLS;
	gs_layout_set_arena(&m->layout, found->arena);
	gs_layout_set_par(&m->layout, found->par);
	gs_layout_set_heap(&m->layout, heap_info_of(found));
	gs_layout_set_tcache(&m->layout, tcache_of(found, version));
	/* 2.30 to 2.34 share all structures, but 2.32 mangles links: see below. */
	m->layout.safe_linking = found->par->hp_pagesize != GS_NO_MEMBER ||
				 gs_version_at_least(version, 32);
	return true;
}

/* --- mangled links? --- */

struct votes {
	unsigned mangled, plain;
};

/* Chunk size of the chunk with that user pointer, 0 if there is none. */
static uint64_t size_at(struct gs_mem *mem, const struct gs_layout *l, gs_addr user)
{
	char word[8] = {};

	if (user < l->word || user % l->align || !gs_mem_try(mem, user - l->word, word, l->word))
		return 0;
	return gs_layout_word(l, word, 0) & ~(uint64_t)GS_SIZE_BITS;
}

/*
 * Look at the link of the chunk at user. That of the only chunk of a list is NULL, mangled or
 * not; others lead to a chunk of the same size. behind: what a user pointer is more than a link
 * (fastbins link chunks).
 */
static void vote_on(struct gs_mem *mem, const struct gs_layout *l, gs_addr user, unsigned behind,
		    bool is_last, struct votes *votes)
{
	char word[8] = {};
	uint64_t size = size_at(mem, l, user);

	if (!size || !gs_mem_try(mem, user, word, l->word))
		return;
	uint64_t stored = gs_layout_word(l, word, 0), revealed = stored ^ user >> 12;
	if (is_last) {
		votes->plain += stored == 0;
		votes->mangled += revealed == 0;
		return;
	}
	votes->plain += stored && size_at(mem, l, stored + behind) == size;
	votes->mangled += revealed && size_at(mem, l, revealed + behind) == size;
}

static void vote_of_tcache(struct gs_mem *mem, const struct gs_layout *l, gs_addr tcache,
			   struct votes *votes)
{
	char buf[GS_MAX_STRUCT];

	if (!tcache || !gs_mem_try(mem, tcache, buf, l->tcache.size))
		return;
	for (unsigned i = 0; i < l->tcache.n_bins; i++) {
		uint16_t n = 0;
		memcpy(&n, buf + l->tcache.counts + i * l->tcache.count_size,
		       l->tcache.count_size);
		gs_addr user = gs_layout_word(l, buf, l->tcache.entries + i * l->word);
		if (n)
			vote_on(mem, l, user, 0, n == 1, votes);
	}
}

/* Fastbins do not say how long they are: only links that lead on are counted. */
static void vote_of_fastbins(struct gs_mem *mem, const struct gs_malloc *m, gs_addr address,
			     struct votes *votes)
{
	struct gs_arena_state arena;

	if (!gs_arena_read(mem, m, address, &arena))
		return;
	for (unsigned i = 0; i < m->layout.arena.n_fastbins; i++) {
		if (arena.fastbins[i])
			vote_on(mem, &m->layout, arena.fastbins[i] + 2u * m->layout.word,
				2u * m->layout.word, false, votes);
	}
}

bool gs_structure_safe_linking(struct gs_mem *mem, const struct gs_malloc *m,
			       const struct gs_thread_states *threads,
			       const struct gs_addrs *arenas, bool fallback)
{
	const struct gs_layout *l = &m->layout;
	struct votes votes = {};

	for (size_t i = 0; i < threads->len && l->has_tcache && !l->tcache.counts_free; i++)
		vote_of_tcache(mem, l, threads->data[i].tcache, &votes);
	for (size_t i = 0; i < arenas->len; i++)
		vote_of_fastbins(mem, m, arenas->data[i], &votes);
	if (votes.mangled == votes.plain)
		return fallback;
	return votes.mangled > votes.plain;
}
