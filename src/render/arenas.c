/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/metrics.h"
#include "render/columns.h"

/* Arenas above this many, or with less than this share of what is stalled, share one row. */
#define ROWS_MAX 10
#define ROWS_ALWAYS 6
#define SHARE_MIN_PERCENT 2

/* From here on there is room for where the free memory sits. */
#define WIDE 100

#define GAP_MAX 2

/* The columns in their order. The lower the rank, the longer one stays when it gets narrow. */
static const struct text_column {
	enum gs_column_id id;	/* GS_COLUMN_N: what pins the arena */
	unsigned rank;
	enum { ALWAYS, WITH_RESIDENCY, WITHOUT_RESIDENCY } when;
	bool wide;
} text_columns[] = {
	{ GS_COLUMN_ARENA, 0 },
	{ GS_COLUMN_THREADS, 9 },
	{ GS_COLUMN_HEAPS, 8 },
	{ GS_COLUMN_MAPPED, 6 },
	{ GS_COLUMN_RESIDENT, 5, WITH_RESIDENCY },
	{ GS_COLUMN_LIVE, 3 },
	{ GS_COLUMN_TCACHE, 13, .wide = true },
	{ GS_COLUMN_FASTBIN, 12, .wide = true },
	{ GS_COLUMN_BINS, 10, .wide = true },
	{ GS_COLUMN_TOP, 11, .wide = true },
	{ GS_COLUMN_FREE, 2, WITHOUT_RESIDENCY },
	{ GS_COLUMN_STALLED, 1, WITH_RESIDENCY },
	{ GS_COLUMN_STALLED_PCT, 7, WITH_RESIDENCY },
	{ GS_COLUMN_RECLAIMABLE, 4, WITH_RESIDENCY },
	{ GS_COLUMN_N, 14 },
};

#define N_COLUMNS (sizeof(text_columns) / sizeof(text_columns[0]))

/* The table as text: rows of N_COLUMNS cells, the headings first. */
struct grid {
	char *(*data)[N_COLUMNS];
	size_t len, cap;
	unsigned width[N_COLUMNS];
	bool shown[N_COLUMNS];
	unsigned gap[N_COLUMNS];	/* before the column */
};

static void grid_fini(struct grid *grid)
{
	for (size_t i = 0; i < grid->len; i++) {
		for (size_t c = 0; c < N_COLUMNS; c++)
			free(grid->data[i][c]);
	}
	free(grid->data);
}

/* The pins of an arena, in short. */
struct pins {
	const struct gs_heap *worst;	/* whose pin keeps most below it; NULL: no pin */
	size_t n;
	bool live;			/* one of them is live, not just cached */
};

static struct pins pins_of(const struct gs_arena *arena)
{
	struct pins pins = {};

	for (size_t i = 0; i < arena->n_heaps; i++) {
		const struct gs_heap *heap = &arena->heaps[i];

		if (heap->pin.address == 0 || heap->pin.below_bytes == 0)
			continue;
		pins.n++;
		pins.live |= heap->pin.state == GS_CHUNK_LIVE;
		if (!pins.worst || heap->pin.below_bytes > pins.worst->pin.below_bytes)
			pins.worst = heap;
	}
	return pins;
}

static char *pin_text(const struct gs_page *page, const struct gs_row *row)
{
	if (!row->arena)
		return gs_xstrdup("");
	struct pins pins = pins_of(row->arena);
	if (!pins.worst)
		return gs_xstrdup("-");
	if (pins.n > 1 && pins.worst->position != GS_POS_SEGMENT)
		return gs_xstrdup(pins.live ? "live heap tops" : "cached heap tops");

	const struct gs_pin *pin = &pins.worst->pin;
	uint64_t end = pins.worst->end;
	uint64_t distance = end > pin->address ? end - pin->address : 0;
	char size[GS_FMT_LEN], below_end[GS_FMT_LEN];
	return gs_xasprintf("%s%s at -%s", pin->state == GS_CHUNK_LIVE ? "" : "cached ",
			    gs_page_size(page, size, pin->size),
			    gs_page_size(page, below_end, distance));
}

static void add_row(struct grid *grid, const struct gs_page *page, const struct gs_row *row)
{
	char *(*cells)[N_COLUMNS];

	grid->data = gs_xreallocarray(grid->data, grid->len + 1, sizeof(*grid->data));
	cells = &grid->data[grid->len++];
	for (size_t c = 0; c < N_COLUMNS; c++) {
		enum gs_column_id id = text_columns[c].id;

		(*cells)[c] = id == GS_COLUMN_N ? pin_text(page, row) :
						  gs_column_text(id, row, page->exact);
	}
}

static void add_headings(struct grid *grid)
{
	grid->data = gs_xreallocarray(grid->data, 1, sizeof(*grid->data));
	for (size_t c = 0; c < N_COLUMNS; c++) {
		enum gs_column_id id = text_columns[c].id;

		grid->data[0][c] = gs_xstrdup(id == GS_COLUMN_N ? "PINNED BY" :
							 gs_columns[id].heading);
	}
	grid->len = 1;
}

static void measure(struct grid *grid)
{
	for (size_t i = 0; i < grid->len; i++) {
		for (size_t c = 0; c < N_COLUMNS; c++) {
			unsigned width = (unsigned)gs_text_width(grid->data[i][c]);

			if (width > grid->width[c])
				grid->width[c] = width;
		}
	}
}

static size_t column_of_rank(unsigned rank)
{
	size_t c = 0;

	while (text_columns[c].rank != rank)
		c++;
	return c;
}

/* Show columns by rank until one does not fit, then spread what is left of the line. */
static void fit(struct grid *grid, unsigned width, bool resident)
{
	unsigned used = 0;

	for (unsigned rank = 0; rank < N_COLUMNS; rank++) {
		size_t c = column_of_rank(rank);

		if ((text_columns[c].wide && width < WIDE) ||
		    text_columns[c].when == (resident ? WITHOUT_RESIDENCY : WITH_RESIDENCY))
			continue;
		grid->gap[c] = c == 0 ? 0 : text_columns[c].id == GS_COLUMN_N ? GAP_MAX : 1;
		if (used + grid->gap[c] + grid->width[c] > width)
			break;
		used += grid->gap[c] + grid->width[c];
		grid->shown[c] = true;
	}
	for (size_t c = N_COLUMNS - 1; c > 0 && used < width; c--) {
		if (!grid->shown[c] || grid->gap[c] == GAP_MAX)
			continue;
		grid->gap[c]++;
		used++;
	}
}

static void print_grid(struct gs_page *page, const struct grid *grid)
{
	for (size_t i = 0; i < grid->len; i++) {
		unsigned col = 0;

		for (size_t c = 0; c < N_COLUMNS; c++) {
			enum gs_column_id id = text_columns[c].id;
			const char *cell = grid->data[i][c];

			if (!grid->shown[c])
				continue;
			col += grid->gap[c];
			gs_page_to(page, col);
			col += grid->width[c];
			if (id != GS_COLUMN_N && gs_column_is_right(id))
				gs_page_to(page, col - (unsigned)gs_text_width(cell));
			gs_page_text(page, i ? GS_STYLE_PLAIN : GS_STYLE_HEADING, cell);
		}
		gs_page_end(page);
	}
}

/* What the account holds for nothing, as far as that is known. */
static uint64_t held(const struct gs_snapshot *s, const struct gs_account *account)
{
	return gs_report_knows_residency(s) ? account->stalled_bytes : gs_account_free(account);
}

/* How many of the n arenas, worst first, have a row of their own. */
static size_t rows_alone(const struct gs_snapshot *s, const struct gs_arena **arenas, size_t n,
			 bool all)
{
	if (all || n <= ROWS_ALWAYS)
		return n;
	size_t alone = 1;
	while (alone < n && alone < ROWS_MAX &&
	       gs_fmt_percent(held(s, &arenas[alone]->account), held(s, &s->totals)) >=
		       SHARE_MIN_PERCENT)
		alone++;
	return alone == n - 1 ? n : alone;	/* "1 others" would take a row as well */
}

static void add_total(struct grid *grid, const struct gs_page *page, const struct gs_snapshot *s)
{
	struct gs_row row;

	gs_row_init_sum(&row, s);
	for (size_t i = 0; i < s->n_arenas; i++)
		gs_row_add(&row, &s->arenas[i]);
	row.account = s->totals;
	strcpy(row.name, "total");
	add_row(grid, page, &row);
}

static void add_rows(struct grid *grid, const struct gs_page *page, const struct gs_snapshot *s,
		     const struct gs_text_options *options)
{
	size_t n;
	cleanup_free_ const struct gs_arena **arenas = gs_arenas_worst(s, options->arena, &n);
	size_t alone = rows_alone(s, arenas, n, options->all_heaps);
	struct gs_row row;

	for (size_t i = 0; i < alone; i++) {
		gs_row_init(&row, s, arenas[i]);
		add_row(grid, page, &row);
	}
	if (alone < n) {
		gs_row_init_sum(&row, s);
		snprintf(row.name, sizeof(row.name), "%zu others", n - alone);
		for (size_t i = alone; i < n; i++)
			gs_row_add(&row, arenas[i]);
		add_row(grid, page, &row);
	}
	if (n > 1)
		add_total(grid, page, s);
}

static void print_mmapped(struct gs_page *page, const struct gs_snapshot *s)
{
	char size[GS_FMT_LEN];

	if (s->mmapped.chunks == 0 || s->mmapped.chunks == GS_UNKNOWN)
		return;
	cleanup_free_ char *text =
		gs_xasprintf("and %" PRIu64 " block%s in mappings of their own, %s, all live",
			     s->mmapped.chunks, s->mmapped.chunks == 1 ? "" : "s",
			     gs_page_size(page, size, s->mmapped.bytes));
	gs_page_wrap(page, 0, text);
	gs_page_end(page);
}

void gs_report_arenas(struct gs_page *page, const struct gs_snapshot *s,
		      const struct gs_text_options *options)
{
	cleanup_(grid_fini) struct grid grid = {};

	add_headings(&grid);
	add_rows(&grid, page, s, options);
	if (grid.len == 1)
		return;
	measure(&grid);
	fit(&grid, page->width, gs_report_knows_residency(s));
	gs_page_end(page);
	print_grid(page, &grid);
	if (options->arena == -1)
		print_mmapped(page, s);
}
