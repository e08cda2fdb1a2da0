/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checked allocation. When memory runs out these say so on stderr and exit with status 1.
 * A process that we hold stopped is resumed by the kernel when its tracer exits.
 */
#ifndef GS_BASE_XALLOC_H
#define GS_BASE_XALLOC_H

#include <stddef.h>

/** Allocate size bytes, zeroed. Never NULL. The caller frees. */
void *gs_xzalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));

/** Allocate n elements of size bytes, zeroed; the product is checked. Never NULL. */
void *gs_xcalloc(size_t n, size_t size)
	__attribute__((malloc, alloc_size(1, 2), returns_nonnull));

/** Resize to n elements of size bytes; the product is checked. Never NULL (n > 0). */
void *gs_xreallocarray(void *p, size_t n, size_t size)
	__attribute__((alloc_size(2, 3), returns_nonnull));

/** Duplicate a string. Never NULL. */
char *gs_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));

/** Format into a new string. Never NULL. The caller frees. */
char *gs_xasprintf(const char *fmt, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
