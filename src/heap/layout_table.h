/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every layout of malloc's structures from glibc 2.17 to 2.44, as tables. What is in memory
 * decides which one it is; the version string is a hint, as stable branches and vendors carry
 * layouts of later releases back.
 */
#ifndef GS_HEAP_LAYOUT_TABLE_H
#define GS_HEAP_LAYOUT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/layout.h"

/** One variant of struct malloc_state. Offsets in bytes; GS_NO_MEMBER: not there. */
struct gs_arena_variant {
	const char *name;	/* "A27" */
	uint8_t word;
	uint8_t align;		/* MALLOC_ALIGNMENT that goes with it */
	uint8_t n_fastbins;
	uint16_t fastbins, top, bins, next, attached_threads, system_mem, max_system_mem, size;
};

/** One variant of struct malloc_par. */
struct gs_par_variant {
	const char *name;	/* "P35" */
	uint8_t word;
	uint16_t hp_pagesize, n_mmaps, no_dyn_threshold, mmapped_mem, sbrk_base;
	uint16_t tcache_count, tcache_max_bytes, size;
};

/** One variant of struct tcache_perthread_struct; entries and sizes follow from the word. */
struct gs_tcache_variant {
	const char *name;	/* "T30" */
	uint8_t count_size;
	uint8_t n_bins;
	bool counts_free;
};

extern const struct gs_arena_variant gs_arena_variants[];
extern const size_t gs_n_arena_variants;
extern const struct gs_par_variant gs_par_variants[];
extern const size_t gs_n_par_variants;
extern const struct gs_tcache_variant gs_tcache_variants[];
extern const size_t gs_n_tcache_variants;

/** Distance from the start of bins to next, constant since 2.17: 254 words and a binmap. */
unsigned gs_bins_to_next(uint8_t word);

/** Put a variant into layout; the rest of layout is left alone. */
void gs_layout_set_arena(struct gs_layout *layout, const struct gs_arena_variant *variant);
void gs_layout_set_par(struct gs_layout *layout, const struct gs_par_variant *variant);
/** variant NULL: this release has no tcache. */
void gs_layout_set_tcache(struct gs_layout *layout, const struct gs_tcache_variant *variant);
/** sizeof_: of struct heap_info, which tells its variant (32 or 48; 16 or 24 with 4-byte words). */
void gs_layout_set_heap(struct gs_layout *layout, uint16_t sizeof_);

/** Does variant go with that arena variant in some release or branch? */
bool gs_par_goes_with(const struct gs_par_variant *par, const struct gs_arena_variant *arena);

/**
 * Which par variant a release uses, by version ("2.36"); NULL if version is NULL or not known.
 */
const struct gs_par_variant *gs_par_of_version(const char *version, uint8_t word);

/** Which tcache variant a release uses; NULL: none, or version NULL. */
const struct gs_tcache_variant *gs_tcache_of_version(const char *version);

/** Bytes of the struct of a tcache variant. */
uint16_t gs_tcache_size(const struct gs_tcache_variant *variant, uint8_t word);

/** Do two layouts agree in every member? If not, *ret_member names the first that differs. */
bool gs_layout_equal(const struct gs_layout *a, const struct gs_layout *b,
		     const char **ret_member);

#endif
