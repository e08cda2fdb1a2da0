/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Find malloc's parameters, struct malloc_par mp_, near main_arena by their values. */
#ifndef GS_HEAP_PAR_SEARCH_H
#define GS_HEAP_PAR_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "heap/layout_table.h"
#include "proc/maps.h"

/** Where to look: bytes are those of [start, end), which holds main_arena. */
struct gs_par_search {
	const struct gs_arena_variant *arena;
	uint8_t word;
	const struct gs_maps *maps;
	size_t page_size;
	gs_addr start, end;
	const char *bytes;
	gs_addr main_arena;
	bool may_have_tcache;	/* its TLS has room for one's address */
};

/**
 * The variant whose members fit best, and the address in *ret. NULL if none fits, or two fit
 * equally well. The variant of version is preferred where it fits.
 */
const struct gs_par_variant *gs_par_search_run(const struct gs_par_search *search,
					       const char *version, gs_addr *ret);

#endif
