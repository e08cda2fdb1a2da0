/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A typed growable array: any struct with members `data`, `len` and `cap`, zero-initialised.
 *
 *	struct { struct gs_map *data; size_t len, cap; } maps = {};
 *	*gs_vec_push(&maps) = m;
 *	free(maps.data);
 */
#ifndef GS_BASE_VEC_H
#define GS_BASE_VEC_H

#include <stddef.h>

#include "base/xalloc.h"

static inline void *gs_vec_grow(void *data, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return data;
	size_t cap2 = *cap ? *cap * 2 : 16;
	*cap = cap2 < need ? need : cap2;
	return gs_xreallocarray(data, *cap, size);
}

/** Append one uninitialised element and yield a pointer to it (valid until the next push). */
#define gs_vec_push(v)                                                                             \
	({                                                                                         \
		(v)->data = gs_vec_grow((v)->data, &(v)->cap, (v)->len + 1, sizeof(*(v)->data));   \
		&(v)->data[(v)->len++];                                                            \
	})

#endif
