/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Core files: whatever is in one, its mappings are in order, and its memory is readable where
 * pages are said to exist.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf/core.h"
#include "fuzz.h"

enum { MAPS_MAX = 64, PAGES = 4 };	/* looked at of one input, and of one mapping */

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_maps(const struct gs_core *core, const struct gs_maps *maps)
{
	for (size_t i = 0; i < maps->len; i++) {
		const struct gs_map *map = &maps->data[i];

		require(map->path && map->start < map->end);
		require(!i || map->start >= map[-1].end);
	}
	for (size_t i = 0; i < core->files.len; i++) {
		const struct gs_map *map = gs_maps_find(maps, core->files.data[i].start);

		require(map && !strcmp(map->path, core->files.data[i].path));
	}
}

static void check_threads(const struct gs_core *core)
{
	for (size_t i = 0; i < core->threads.len; i++) {
		const struct gs_thread *thread = &core->threads.data[i];

		require(thread->tid > 0 && thread->tp);
		require(!i || thread->tid >= thread[-1].tid);
	}
}

static void check_memory(struct gs_mem *mem, gs_addr addr)
{
	static char buf[65536];
	uint8_t pages[PAGES];

	addr &= ~(gs_addr)(mem->page_size - 1);
	require(mem->page_size <= sizeof(buf));
	require(!gs_mem_pages(mem, addr, PAGES, pages));
	for (size_t i = 0; i < PAGES; i++, addr += mem->page_size) {
		struct gs_span span = { .addr = addr, .buf = buf, .len = mem->page_size };

		gs_mem_readv(mem, &span, 1);
		require(pages[i] == GS_PAGE_NONE || span.got == mem->page_size);
	}
}

static void check(const struct gs_core *core)
{
	struct gs_mem *mem = gs_core_mem_new(core);
	struct gs_target *target = gs_core_target_new(core);
	struct gs_maps maps;

	gs_core_maps(core, &maps);
	check_maps(core, &maps);
	check_threads(core);
	for (size_t i = 0; i < maps.len && i < MAPS_MAX; i++)
		check_memory(mem, maps.data[i].start);
	gs_maps_fini(&maps);
	gs_target_free(target);
	gs_mem_free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gs_core *core;
	char path[64];
	int fd = memfd_create("core", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct gs_err *err = gs_core_open(path, &core);
	if (!err) {
		check(core);
		gs_core_free(core);
	}
	gs_err_free(err);
	close(fd);
	return 0;
}
