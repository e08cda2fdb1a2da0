/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/snapshot.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct gs_snapshot *gs_snapshot_new(void)
{
	struct gs_snapshot *snapshot = gs_xzalloc(sizeof(*snapshot));

	snapshot->capture.pause_ns = GS_UNKNOWN;
	snapshot->mallopt = (struct gs_mallopt){
		.trim_threshold = GS_UNKNOWN,
		.top_pad = GS_UNKNOWN,
		.mmap_threshold = GS_UNKNOWN,
		.arena_max = GS_UNKNOWN,
		.arena_test = GS_UNKNOWN,
		.tcache_count = GS_UNKNOWN,
		.tcache_max_bytes = GS_UNKNOWN,
	};
	return snapshot;
}

static void heap_fini(struct gs_heap *heap)
{
	free(heap->pin.owner);
	free(heap->cells);
}

static void arena_fini(struct gs_arena *arena)
{
	for (size_t i = 0; i < arena->n_threads; i++)
		free(arena->threads[i].comm);
	free(arena->threads);
	for (size_t i = 0; i < arena->n_heaps; i++)
		heap_fini(&arena->heaps[i]);
	free(arena->heaps);
}

void gs_finding_fini(struct gs_finding *finding)
{
	free(finding->summary);
	free(finding->detail);
	for (size_t i = 0; i < finding->n_evidence; i++)
		free(finding->evidence[i].text);
	free(finding->evidence);
	for (size_t i = 0; i < finding->n_advice; i++) {
		free(finding->advice[i].command);
		free(finding->advice[i].text);
	}
	free(finding->advice);
}

static void strings_free(char **strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(strings[i]);
	free(strings);
}

static void identity_fini(struct gs_snapshot *snapshot)
{
	free(snapshot->target.comm);
	free(snapshot->target.exe);
	strings_free(snapshot->target.cmdline, snapshot->target.n_cmdline);
	free(snapshot->allocator.version);
	free(snapshot->allocator.package);
	free(snapshot->allocator.path);
	free(snapshot->allocator.build_id);
	free(snapshot->allocator.debug_file);
}

void gs_snapshot_free(struct gs_snapshot *snapshot)
{
	if (!snapshot)
		return;
	identity_fini(snapshot);
	for (size_t i = 0; i < snapshot->n_arenas; i++)
		arena_fini(&snapshot->arenas[i]);
	free(snapshot->arenas);
	for (size_t i = 0; i < snapshot->n_not_malloc; i++)
		free(snapshot->not_malloc[i].name);
	free(snapshot->not_malloc);
	for (size_t i = 0; i < snapshot->n_findings; i++)
		gs_finding_fini(&snapshot->findings[i]);
	free(snapshot->findings);
	strings_free(snapshot->warnings, snapshot->n_warnings);
	free(snapshot->program_malloc.name);
	free(snapshot->program_malloc.path);
	for (size_t i = 0; i < snapshot->n_others; i++)
		gs_snapshot_free(snapshot->others[i]);
	free(snapshot->others);
	free(snapshot);
}

void gs_snapshot_clear_heap(struct gs_snapshot *snapshot, size_t n_warnings)
{
	for (size_t i = 0; i < snapshot->n_arenas; i++)
		arena_fini(&snapshot->arenas[i]);
	free(snapshot->arenas);
	snapshot->arenas = NULL;
	snapshot->n_arenas = 0;
	while (snapshot->n_warnings > n_warnings)
		free(snapshot->warnings[--snapshot->n_warnings]);
	snapshot->totals = (struct gs_account){};
	snapshot->mmapped.chunks = snapshot->mmapped.bytes = 0;
	snapshot->mmapped.resident_bytes = 0;
	snapshot->capture.unstable_heaps = 0;
	snapshot->capture.changed_chunks = 0;
	memset(snapshot->what_if, 0, sizeof(snapshot->what_if));
}

void gs_snapshot_vwarn(struct gs_snapshot *snapshot, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		text = gs_xstrdup("a warning could not be written: out of memory");
	snapshot->warnings = gs_xreallocarray(snapshot->warnings, snapshot->n_warnings + 1,
					      sizeof(*snapshot->warnings));
	snapshot->warnings[snapshot->n_warnings++] = text;
}

void gs_snapshot_warn(struct gs_snapshot *snapshot, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	gs_snapshot_vwarn(snapshot, fmt, ap);
	va_end(ap);
}
