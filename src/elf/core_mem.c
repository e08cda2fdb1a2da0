/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory and the mappings of a core file. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/vec.h"
#include "base/xalloc.h"
#include "elf/core.h"

struct core_mem {
	struct gs_mem mem;
	const struct gs_core *core;
};

/* The first load that ends above addr, or NULL. */
static const struct gs_core_load *load_above(const struct gs_core *core, gs_addr addr)
{
	size_t lo = 0, hi = core->loads.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (core->loads.data[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < core->loads.len ? &core->loads.data[lo] : NULL;
}

/* Bytes from addr on that the core file has in one piece, and where. */
static uint64_t present_at(const struct gs_core_load *load, gs_addr addr, uint64_t *ret_offset)
{
	if (!load || addr < load->start || addr - load->start >= load->present)
		return 0;
	*ret_offset = load->offset + (addr - load->start);
	return load->present - (addr - load->start);
}

static void read_span(const struct gs_core *core, struct gs_span *span)
{
	span->got = 0;
	while (span->got < span->len) {
		gs_addr addr;
		uint64_t offset;
		if (__builtin_add_overflow(span->addr, span->got, &addr))
			return;
		uint64_t n = present_at(load_above(core, addr), addr, &offset);
		if (n > span->len - span->got)
			n = span->len - span->got;
		if (!n)
			return;
		ssize_t got = pread(core->fd, (char *)span->buf + span->got, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		span->got += (size_t)got;
	}
}

static void core_readv(struct gs_mem *mem, struct gs_span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++)
		read_span(((struct core_mem *)mem)->core, &spans[i]);
}

static struct gs_err *core_pages(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret)
{
	const struct gs_core *core = ((struct core_mem *)mem)->core;
	const struct gs_core_load *load = load_above(core, addr);
	uint64_t offset;

	for (size_t i = 0; i < n; i++, addr += mem->page_size) {
		if (load && load->end <= addr)
			load = load_above(core, addr);
		ret[i] = present_at(load, addr, &offset) >= mem->page_size ? GS_PAGE_RESIDENT :
									     GS_PAGE_NONE;
	}
	return NULL;
}

static void core_free(struct gs_mem *mem)
{
	free(mem);
}

static const struct gs_mem_ops core_ops = {
	.readv = core_readv,
	.pages = core_pages,
	.free = core_free,
};

struct gs_mem *gs_core_mem_new(const struct gs_core *core)
{
	struct core_mem *mem = gs_xzalloc(sizeof(*mem));

	mem->core = core;
	mem->mem = (struct gs_mem){
		.ops = &core_ops,
		.page_size = core->page_size,
		.knows_residency = false,
	};
	return &mem->mem;
}

/* --- mappings --- */

/* [start, end) is of load, of file, or of both; the other is NULL. */
static void add_map(const struct gs_core *core, struct gs_maps *maps, gs_addr start, gs_addr end,
		    const struct gs_core_load *load, const struct gs_core_file *file)
{
	struct gs_map map = {
		.start = start, .end = end, .path = "",
		.prot = load ? load->prot : GS_PROT_R | GS_PROT_X,
	};

	if (file) {
		map.path = file->path;
		map.offset = file->offset + (start - file->start);
		/* No file is on that device: none is taken for this one by its inode. */
		map.dev = UINT64_MAX;
		map.ino = 1;
	} else if (core->stack >= start && core->stack < end) {
		map.path = "[stack]";
	}
	*gs_vec_push(maps) = map;
}

static gs_addr lower(gs_addr a, gs_addr b)
{
	return a < b ? a : b;
}

/*
 * The kernel has a load for every mapping, also without contents; gcore has none for what it
 * leaves out. So go through both lists at once, from boundary to boundary.
 */
void gs_core_maps(const struct gs_core *core, struct gs_maps *ret)
{
	struct gs_maps maps = {};
	size_t i = 0, j = 0;
	gs_addr at = 0;

	while (i < core->loads.len || j < core->files.len) {
		const struct gs_core_load *load = i < core->loads.len ? &core->loads.data[i] : NULL;
		const struct gs_core_file *file = j < core->files.len ? &core->files.data[j] : NULL;
		gs_addr first = lower(load ? load->start : GS_NO_ADDR,
				      file ? file->start : GS_NO_ADDR);
		if (at < first)
			at = first;
		bool in_load = load && load->start <= at, in_file = file && file->start <= at;
		gs_addr end = lower(load ? in_load ? load->end : load->start : GS_NO_ADDR,
				    file ? in_file ? file->end : file->start : GS_NO_ADDR);
		add_map(core, &maps, at, end, in_load ? load : NULL, in_file ? file : NULL);
		at = end;
		i += in_load && load->end <= at;
		j += in_file && file->end <= at;
	}
	*ret = maps;
}
