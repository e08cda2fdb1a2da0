/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory made of the caller's bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "proc/mem.h"

struct image_mem {
	struct gs_mem mem;
	struct gs_image_region *regions;
	size_t n;
};

static const struct gs_image_region *find_region(const struct image_mem *image, gs_addr addr)
{
	for (size_t i = 0; i < image->n; i++) {
		const struct gs_image_region *region = &image->regions[i];
		if (addr >= region->addr && addr - region->addr < region->len)
			return region;
	}
	return NULL;
}

static void image_readv(struct gs_mem *mem, struct gs_span *spans, size_t n)
{
	struct image_mem *image = (struct image_mem *)mem;

	for (size_t i = 0; i < n; i++) {
		struct gs_span *span = &spans[i];
		span->got = 0;
		while (span->got < span->len) {
			gs_addr addr = span->addr + span->got;
			const struct gs_image_region *region = find_region(image, addr);
			if (!region)
				break;
			size_t skip = addr - region->addr;
			size_t len = span->len - span->got;
			if (len > region->len - skip)
				len = region->len - skip;
			memcpy((char *)span->buf + span->got, region->data + skip, len);
			span->got += len;
		}
	}
}

static struct gs_err *image_pages(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret)
{
	struct image_mem *image = (struct image_mem *)mem;

	for (size_t i = 0; i < n; i++) {
		const struct gs_image_region *region = find_region(image, addr);
		ret[i] = GS_PAGE_NONE;
		if (region)
			ret[i] = region->pages ?
				region->pages[(addr - region->addr) / mem->page_size] :
				(uint8_t)GS_PAGE_RESIDENT;
		addr += mem->page_size;
	}
	return NULL;
}

static void image_free(struct gs_mem *mem)
{
	struct image_mem *image = (struct image_mem *)mem;

	free(image->regions);
	free(image);
}

static const struct gs_mem_ops image_ops = {
	.readv = image_readv,
	.pages = image_pages,
	.free = image_free,
};

struct gs_mem *gs_mem_image_new(const struct gs_image_region *regions, size_t n, size_t page_size)
{
	struct image_mem *image = gs_xzalloc(sizeof(*image));

	image->mem = (struct gs_mem){
		.ops = &image_ops,
		.page_size = page_size,
		.knows_residency = true,
	};
	image->regions = gs_xcalloc(n, sizeof(*regions));
	if (n)
		memcpy(image->regions, regions, n * sizeof(*regions));
	image->n = n;
	return &image->mem;
}
