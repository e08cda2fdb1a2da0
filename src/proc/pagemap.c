/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "proc/mem.h"

/*
 * The PAGEMAP_SCAN interface of include/uapi/linux/fs.h (Linux 6.7), spelled out here because
 * the headers of the machine that builds us may be older than the kernel that runs us.
 */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

enum { SCAN_PRESENT = 1 << 3, SCAN_SWAPPED = 1 << 4, SCAN_PFNZERO = 1 << 5 };

/* Bits of a pagemap entry, all kernels. */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)

enum { REGIONS = 1024, ENTRIES = 4096 };

struct gs_pagemap {
	int fd;
	size_t page_size;
	bool has_scan;
	union {
		struct scan_region regions[REGIONS];
		uint64_t entries[ENTRIES];
	};
};

static int scan(struct gs_pagemap *pagemap, gs_addr start, gs_addr end, gs_addr *ret_walked)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)pagemap->regions,
		.vec_len = REGIONS,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_PFNZERO,
	};
	int n = ioctl(pagemap->fd, SCAN_IOCTL, &arg);

	*ret_walked = arg.walk_end;
	return n;
}

struct gs_err *gs_pagemap_open(struct gs_target *target, size_t page_size,
			       struct gs_pagemap **ret)
{
	int fd;
	struct gs_err *err = gs_target_openat(target, "pagemap", O_RDONLY, &fd);
	if (err && err->code == GS_ERR_PERMISSION) {
		int os_errno = err->os_errno;
		gs_err_free(err);
		return gs_target_denied(target, os_errno, "cannot read its page map");
	}
	if (err)
		return err;
	struct gs_pagemap *pagemap = gs_xzalloc(sizeof(*pagemap));
	pagemap->fd = fd;
	pagemap->page_size = page_size;
	gs_addr walked;
	pagemap->has_scan = scan(pagemap, 0, page_size, &walked) >= 0;
	*ret = pagemap;
	return NULL;
}

void gs_pagemap_free(struct gs_pagemap *pagemap)
{
	if (!pagemap)
		return;
	close(pagemap->fd);
	free(pagemap);
}

static uint8_t state_of_categories(uint64_t categories)
{
	if (categories & SCAN_PFNZERO)
		return GS_PAGE_ZERO;
	if (categories & SCAN_PRESENT)
		return GS_PAGE_RESIDENT;
	return GS_PAGE_SWAPPED;
}

static struct gs_err *states_by_scan(struct gs_pagemap *pagemap, gs_addr addr, size_t n,
				     uint8_t *ret)
{
	gs_addr end = addr + n * pagemap->page_size, at = addr;

	memset(ret, GS_PAGE_NONE, n);
	while (at < end) {
		gs_addr walked;
		int found = scan(pagemap, at, end, &walked);
		if (found < 0)
			return gs_err_os(errno, "cannot scan its page map");
		for (int i = 0; i < found; i++) {
			const struct scan_region *region = &pagemap->regions[i];
			if (region->start < addr || region->end > end ||
			    region->start > region->end)
				continue;
			memset(ret + (region->start - addr) / pagemap->page_size,
			       state_of_categories(region->categories),
			       (region->end - region->start) / pagemap->page_size);
		}
		if (walked <= at)
			break;
		at = walked;
	}
	return NULL;
}

static struct gs_err *states_by_entry(struct gs_pagemap *pagemap, gs_addr addr, size_t n,
				      uint8_t *ret)
{
	memset(ret, GS_PAGE_NONE, n);
	for (size_t done = 0; done < n;) {
		size_t want = n - done < ENTRIES ? n - done : ENTRIES;
		off_t at = (off_t)((addr / pagemap->page_size + done) * sizeof(uint64_t));
		ssize_t got = pread(pagemap->fd, pagemap->entries, want * sizeof(uint64_t), at);
		if (got < 0)
			return gs_err_os(errno, "cannot read its page map");
		if (got == 0)
			break;
		size_t count = (size_t)got / sizeof(uint64_t);
		for (size_t i = 0; i < count; i++) {
			if (pagemap->entries[i] & ENTRY_PRESENT)
				ret[done + i] = GS_PAGE_RESIDENT;
			else if (pagemap->entries[i] & ENTRY_SWAPPED)
				ret[done + i] = GS_PAGE_SWAPPED;
		}
		done += count;
		if (!count)
			break;
	}
	return NULL;
}

struct gs_err *gs_pagemap_states(struct gs_pagemap *pagemap, gs_addr addr, size_t n, uint8_t *ret)
{
	gs_addr end;

	if (__builtin_add_overflow(addr, n * pagemap->page_size, &end))
		return gs_err_fault(addr, "address range overflows");
	if (pagemap->has_scan)
		return states_by_scan(pagemap, addr, n, ret);
	return states_by_entry(pagemap, addr, n, ret);
}
