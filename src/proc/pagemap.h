/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which pages of a live process are in memory: /proc/PID/pagemap. */
#ifndef GS_PROC_PAGEMAP_H
#define GS_PROC_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/target.h"

struct gs_pagemap;

/**
 * Open the pagemap of target. Uses the PAGEMAP_SCAN ioctl (Linux 6.7) where there is one: it
 * tells the shared zero page from real memory. Without it a page of zeros that was only ever
 * read counts as resident (Documentation/admin-guide/mm/pagemap.rst).
 */
struct gs_err *gs_pagemap_open(struct gs_target *target, size_t page_size,
			       struct gs_pagemap **ret);

void gs_pagemap_free(struct gs_pagemap *pagemap);

/** Write the enum gs_page of n pages from addr (page-aligned) on to ret[0..n). */
struct gs_err *gs_pagemap_states(struct gs_pagemap *pagemap, gs_addr addr, size_t n,
				 uint8_t *ret);

#endif
