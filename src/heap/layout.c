/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/layout.h"

#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

uint64_t gs_layout_tcache_size(const struct gs_layout *layout, unsigned i)
{
	return layout->min_size + (uint64_t)i * layout->align;
}

uint64_t gs_layout_fastbin_size(const struct gs_layout *layout, unsigned i)
{
	return (uint64_t)(i + 2) * 2 * layout->word;
}

gs_addr gs_layout_align_chunk(const struct gs_layout *layout, gs_addr addr)
{
	gs_addr user = addr + 2u * layout->word;

	return ((user + layout->align - 1) & ~(gs_addr)(layout->align - 1)) - 2u * layout->word;
}

/* malloc.c, PROTECT_PTR: always shifted by 12, whatever the page size. */
gs_addr gs_layout_reveal(const struct gs_layout *layout, gs_addr where, uint64_t stored)
{
	return layout->safe_linking ? where >> 12 ^ stored : stored;
}

bool gs_version_at_least(const char *version, unsigned minor)
{
	return version && !strncmp(version, "2.", 2) && strtoul(version + 2, NULL, 10) >= minor;
}

/* One member to read from DWARF and where its offset goes. */
struct wanted {
	const char *type, *name;
	size_t into;		/* offsetof a uint16_t in struct gs_layout */
	bool optional;		/* not in every release */
};

#define WANT(t, n, field) { t, n, offsetof(struct gs_layout, field), false }
#define MAY(t, n, field) { t, n, offsetof(struct gs_layout, field), true }

static const struct wanted wanted[] = {
	WANT("malloc_state", "mutex", arena.mutex),
	WANT("malloc_state", "flags", arena.flags),
	WANT("malloc_state", "top", arena.top),
	WANT("malloc_state", "bins", arena.bins),
	WANT("malloc_state", "next", arena.next),
	WANT("malloc_state", "system_mem", arena.system_mem),
	WANT("malloc_state", "max_system_mem", arena.max_system_mem),
	MAY("malloc_state", "attached_threads", arena.attached_threads),
	MAY("malloc_state", "fastbinsY", arena.fastbins),
	WANT("_heap_info", "ar_ptr", heap.ar_ptr),
	WANT("_heap_info", "prev", heap.prev),
	WANT("_heap_info", "size", heap.size),
	WANT("_heap_info", "mprotect_size", heap.mprotect_size),
	WANT("malloc_par", "trim_threshold", par.trim_threshold),
	WANT("malloc_par", "top_pad", par.top_pad),
	WANT("malloc_par", "mmap_threshold", par.mmap_threshold),
	WANT("malloc_par", "arena_test", par.arena_test),
	WANT("malloc_par", "arena_max", par.arena_max),
	WANT("malloc_par", "n_mmaps", par.n_mmaps),
	WANT("malloc_par", "no_dyn_threshold", par.no_dyn_threshold),
	WANT("malloc_par", "mmapped_mem", par.mmapped_mem),
	WANT("malloc_par", "sbrk_base", par.sbrk_base),
	MAY("malloc_par", "hp_pagesize", par.hp_pagesize),
	MAY("malloc_par", "tcache_count", par.tcache_count),
	MAY("malloc_par", "tcache_max_bytes", par.tcache_max_bytes),
	MAY("tcache_perthread_struct", "entries", tcache.entries),
};

enum { N_WANTED = sizeof(wanted) / sizeof(wanted[0]) };

/* Asked for besides the members above: whole structs and arrays. */
enum extra {
	X_ARENA, X_HEAP, X_PAR, X_TCACHE, X_FASTBINS, X_COUNTS, X_NUM_SLOTS, X_ENTRIES, X_CHUNK_FD,
	N_EXTRA,
};

static const struct { const char *type, *name; } extras[N_EXTRA] = {
	[X_ARENA] = { "malloc_state", NULL },
	[X_HEAP] = { "_heap_info", NULL },
	[X_PAR] = { "malloc_par", NULL },
	[X_TCACHE] = { "tcache_perthread_struct", NULL },
	[X_FASTBINS] = { "malloc_state", "fastbinsY" },
	[X_COUNTS] = { "tcache_perthread_struct", "counts" },
	[X_NUM_SLOTS] = { "tcache_perthread_struct", "num_slots" },
	[X_ENTRIES] = { "tcache_perthread_struct", "entries" },
	[X_CHUNK_FD] = { "malloc_chunk", "fd" },
};

static struct gs_err *bad_dwarf(const char *type, const char *name)
{
	return gs_err_new(GS_ERR_NO_SYMBOLS,
			  "the debug information of libc does not describe %s%s%s", type,
			  name ? "." : "", name ? name : "");
}

static struct gs_err *take_members(const struct gs_member *members, struct gs_layout *layout)
{
	for (size_t i = 0; i < N_WANTED; i++) {
		uint16_t offset = GS_NO_MEMBER;
		if (members[i].found && members[i].offset < GS_MAX_STRUCT)
			offset = (uint16_t)members[i].offset;
		else if (members[i].found || !wanted[i].optional)
			return bad_dwarf(wanted[i].type, wanted[i].name);
		memcpy((char *)layout + wanted[i].into, &offset, sizeof(offset));
	}
	return NULL;
}

static struct gs_err *take_sizes(const struct gs_member *extra, struct gs_layout *layout)
{
	static const enum extra needed[] = { X_ARENA, X_HEAP, X_PAR, X_CHUNK_FD };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		const struct gs_member *member = &extra[needed[i]];
		if (!member->found || member->size > GS_MAX_STRUCT)
			return bad_dwarf(member->type, member->name);
	}
	if (extra[X_CHUNK_FD].offset != 2u * layout->word)
		return bad_dwarf("malloc_chunk", "fd");
	layout->arena.size = (uint16_t)extra[X_ARENA].size;
	layout->heap.sizeof_ = (uint16_t)extra[X_HEAP].size;
	layout->par.size = (uint16_t)extra[X_PAR].size;
	if (extra[X_FASTBINS].found && extra[X_FASTBINS].count > GS_MAX_FASTBINS)
		return bad_dwarf("malloc_state", "fastbinsY");
	layout->arena.n_fastbins =
		extra[X_FASTBINS].found ? (uint16_t)extra[X_FASTBINS].count : 0;
	return NULL;
}

static struct gs_err *take_tcache(const struct gs_member *extra, struct gs_layout *layout)
{
	layout->has_tcache = extra[X_TCACHE].found;
	if (!layout->has_tcache)
		return NULL;
	layout->tcache.counts_free = extra[X_NUM_SLOTS].found;
	const struct gs_member *counts =
		&extra[layout->tcache.counts_free ? X_NUM_SLOTS : X_COUNTS];
	uint32_t n = extra[X_ENTRIES].count;
	if (!extra[X_ENTRIES].found || !counts->found || !n || n > GS_MAX_TCACHE_BINS ||
	    counts->count != n || counts->size / n < 1 || counts->size / n > 2 ||
	    extra[X_TCACHE].size > GS_MAX_STRUCT)
		return bad_dwarf("tcache_perthread_struct", NULL);
	layout->tcache.counts = (uint16_t)counts->offset;
	layout->tcache.count_size = (uint8_t)(counts->size / n);
	layout->tcache.n_bins = (uint16_t)n;
	layout->tcache.n_small_bins = n < 64 ? (uint16_t)n : 64;
	layout->tcache.size = (uint16_t)extra[X_TCACHE].size;
	return NULL;
}

/* The struct of that name, NULL if it is none that is read as a whole. */
static const struct gs_member *whole_struct(const struct gs_member *extra, const char *type)
{
	for (size_t i = 0; i < N_EXTRA; i++) {
		if (!extra[i].name && !strcmp(extra[i].type, type))
			return &extra[i];
	}
	return NULL;
}

/* Structs are read by their size: each member has to lie in its own, a word of it at least. */
static struct gs_err *check_members(const struct gs_member *members, const struct gs_layout *l)
{
	const struct gs_member *extra = members + N_WANTED;

	for (size_t i = 0; i < N_WANTED + N_EXTRA; i++) {
		const struct gs_member *m = &members[i];
		const struct gs_member *whole = whole_struct(extra, m->type);
		uint64_t end = (uint64_t)m->offset + (m->size > l->word ? m->size : l->word);
		if (m->found && m->name && whole && end > whole->size)
			return bad_dwarf(m->type, m->name);
	}
	if (l->arena.bins + 254u * l->word > l->arena.size)
		return bad_dwarf("malloc_state", "bins");
	if (extra[X_FASTBINS].found && extra[X_FASTBINS].size != l->arena.n_fastbins * l->word)
		return bad_dwarf("malloc_state", "fastbinsY");
	if (l->has_tcache && extra[X_ENTRIES].size != l->tcache.n_bins * l->word)
		return bad_dwarf("tcache_perthread_struct", "entries");
	return NULL;
}

/* What no member tells directly. */
static void take_features(const char *version, struct gs_layout *layout)
{
	bool wide = layout->word == 8;

	/* 32-bit: MALLOC_ALIGNMENT became 16 in 2.26 and with it NFASTBINS 11 (i386). */
	layout->align = wide || layout->arena.n_fastbins == 11 ||
			layout->arena.fastbins == GS_NO_MEMBER ? 16 : 8;
	layout->min_size = wide ? 32 : 16;
	layout->heap_max = wide ? 64 * MIB : MIB;
	layout->safe_linking = gs_version_at_least(version, 32) || layout->tcache.counts_free ||
			       layout->par.hp_pagesize != GS_NO_MEMBER;
	layout->mmapped_trailer = layout->arena.fastbins == GS_NO_MEMBER;
}

struct gs_err *gs_layout_from_dwarf(struct gs_symtab *symtab, uint8_t word, const char *version,
				    struct gs_layout *ret)
{
	struct gs_member members[N_WANTED + N_EXTRA] = {};
	struct gs_member *extra = members + N_WANTED;

	for (size_t i = 0; i < N_WANTED; i++) {
		members[i].type = wanted[i].type;
		members[i].name = wanted[i].name;
	}
	for (size_t i = 0; i < N_EXTRA; i++) {
		extra[i].type = extras[i].type;
		extra[i].name = extras[i].name;
	}
	struct gs_err *err = gs_symtab_members(symtab, members, N_WANTED + N_EXTRA);
	if (err)
		return err;

	struct gs_layout layout = { .word = word };
	err = take_members(members, &layout);
	if (!err)
		err = take_sizes(extra, &layout);
	if (!err)
		err = take_tcache(extra, &layout);
	if (!err)
		err = check_members(members, &layout);
	if (err)
		return err;
	take_features(version, &layout);
	*ret = layout;
	return NULL;
}
