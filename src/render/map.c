/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/report.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "render/columns.h"

#define LINES_MAX 12

struct map_line {
	const struct gs_heap *heap;
	char name[64];		/* "main", "#3 heap2" */
	char address[GS_FMT_LEN];
};

struct map_lines {
	struct map_line *data;
	size_t len, cap;
};

/* Heaps of thread arenas are small beside the main arena: they get a scale of their own. */
struct map_scale {
	uint64_t segments, heaps;	/* bytes a printed cell */
};

static void map_lines_fini(struct map_lines *lines)
{
	free(lines->data);
}

static bool is_drawable(const struct gs_heap *heap)
{
	return heap->cells && heap->cells[0] && heap->cell_bytes > 0;
}

static void add_heaps(struct map_lines *lines, const struct gs_arena *arena)
{
	char name[32];

	gs_arena_name(name, arena);
	for (size_t i = 0; i < arena->n_heaps; i++) {
		const struct gs_heap *heap = &arena->heaps[i];

		if (!is_drawable(heap))
			continue;
		struct map_line *line = gs_vec_push(lines);
		line->heap = heap;
		gs_fmt_addr(line->address, heap->address);
		if (arena->n_heaps == 1)
			strcpy(line->name, name);
		else
			snprintf(line->name, sizeof(line->name), "%s %s%zu", name,
				 heap->position == GS_POS_SEGMENT ? "part" : "heap", i + 1);
	}
}

/* The letter for two neighbouring cells in one. */
static char merge_cells(char a, char b)
{
	static const char by_weight[] = "-RTSLX";
	const char *wa = strchr(by_weight, a), *wb = strchr(by_weight, b);

	if (!wa || !wb)
		return wa ? a : b;
	const char *high = wa > wb ? wa : wb, *low = wa > wb ? wb : wa;
	/* Live beside free and resident is mixed. */
	if (*high == 'L' && (*low == 'S' || *low == 'T'))
		return 'X';
	return *high;
}

/* The smallest power of two a cell with which the heap takes at most width cells. */
static uint64_t scale_of(const struct gs_heap *heap, unsigned width)
{
	uint64_t scale = heap->cell_bytes;
	size_t n = strlen(heap->cells);

	while (n > width && scale <= UINT64_MAX / 2) {
		scale *= 2;
		n = (n + 1) / 2;
	}
	return scale;
}

static struct map_scale scale_of_lines(const struct map_lines *lines, size_t n, unsigned width)
{
	struct map_scale scale = {};

	for (size_t i = 0; i < n; i++) {
		const struct gs_heap *heap = lines->data[i].heap;
		uint64_t *slot = heap->position == GS_POS_SEGMENT ? &scale.segments : &scale.heaps;
		uint64_t own = scale_of(heap, width);

		if (own > *slot)
			*slot = own;
	}
	return scale;
}

/* The letter of the next printed cell, made of up to per_cell letters at *cells. */
static char take_cell(const char **cells, uint64_t per_cell)
{
	char letter = *(*cells)++;

	for (uint64_t k = 1; k < per_cell && **cells; k++)
		letter = merge_cells(letter, *(*cells)++);
	return letter;
}

static void print_cells(struct gs_page *page, const struct gs_heap *heap, uint64_t scale)
{
	uint64_t per_cell = scale > heap->cell_bytes ? scale / heap->cell_bytes : 1;
	const char *cells = heap->cells;
	char run = 0;
	size_t n = 0;

	/* Equal neighbours go out together: a colour sequence each would triple the output. */
	while (*cells) {
		char letter = take_cell(&cells, per_cell);

		if (letter != run && n) {
			gs_page_cells(page, run, n);
			n = 0;
		}
		run = letter;
		n++;
	}
	if (n)
		gs_page_cells(page, run, n);
}

static void print_heading(struct gs_page *page, const struct map_scale *scale, bool resident)
{
	const struct { char letter; const char *name; } legend[] = {
		{ 'L', "live" }, { 'X', "mixed" }, { 'S', resident ? "stalled" : "free" },
		{ 'R', resident ? "returned" : NULL }, { 'T', "top" },
	};
	char segments[GS_FMT_LEN], heaps[GS_FMT_LEN];

	gs_page_text(page, GS_STYLE_HEADING, "HEAP MAPS");
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++) {
		if (!legend[i].name)
			continue;
		if (!gs_page_fits(page, 4, legend[i].name))
			gs_page_end(page);
		gs_page_to(page, page->col + 2);
		gs_page_cells(page, legend[i].letter, 1);
		gs_page_textf(page, " %s", legend[i].name);
	}
	gs_page_size(page, segments, scale->segments);
	gs_page_size(page, heaps, scale->heaps);
	cleanup_free_ char *text =
		scale->segments && scale->heaps && scale->segments != scale->heaps ?
			gs_xasprintf("1 cell = %s in main, %s in others", segments, heaps) :
			gs_xasprintf("1 cell = %s", scale->segments ? segments : heaps);
	gs_page_piece(page, 2, text);
	gs_page_end(page);
}

static void print_lines(struct gs_page *page, const struct map_lines *lines, size_t n,
			bool resident)
{
	unsigned name_width = 0, address_width = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned name = (unsigned)strlen(lines->data[i].name);
		unsigned address = (unsigned)strlen(lines->data[i].address);

		name_width = name > name_width ? name : name_width;
		address_width = address > address_width ? address : address_width;
	}
	unsigned indent = name_width + 1 + address_width + 1;
	/* Only absurd arena numbers and addresses leave no room. */
	if (indent + 8 > page->width)
		return;
	struct map_scale scale = scale_of_lines(lines, n, page->width - indent);

	print_heading(page, &scale, resident);
	for (size_t i = 0; i < n; i++) {
		const struct map_line *line = &lines->data[i];

		gs_page_text(page, GS_STYLE_PLAIN, line->name);
		gs_page_to(page, name_width + 1);
		gs_page_text(page, GS_STYLE_PLAIN, line->address);
		gs_page_to(page, indent);
		print_cells(page, line->heap, line->heap->position == GS_POS_SEGMENT ?
						      scale.segments : scale.heaps);
		gs_page_end(page);
	}
}

void gs_report_maps(struct gs_page *page, const struct gs_snapshot *s,
		    const struct gs_text_options *options)
{
	cleanup_(map_lines_fini) struct map_lines lines = {};
	size_t n_arenas;
	cleanup_free_ const struct gs_arena **arenas =
		gs_arenas_worst(s, options->arena, &n_arenas);

	for (size_t i = 0; i < n_arenas; i++)
		add_heaps(&lines, arenas[i]);
	if (lines.len == 0)
		return;
	size_t n = options->all_heaps || lines.len <= LINES_MAX ? lines.len : LINES_MAX;

	gs_page_end(page);
	print_lines(page, &lines, n, gs_report_knows_residency(s));
	if (n < lines.len) {
		gs_page_to(page, 2);
		gs_page_textf(page, "%zu more heap%s: --all-heaps", lines.len - n,
			      lines.len - n == 1 ? "" : "s");
		gs_page_end(page);
	}
}
