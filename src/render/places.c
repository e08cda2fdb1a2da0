/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/report.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/metrics.h"

#define PLACES_MAX 5
#define LABEL_WIDTH 33
#define NUMBER_WIDTH 6
#define PERCENT_WIDTH 6

struct place {
	char *label;
	uint64_t bytes;
	const char *returns;	/* what brings it back */
};

struct places {
	struct place data[PLACES_MAX];
	size_t len;
};

static void places_fini(struct places *places)
{
	for (size_t i = 0; i < places->len; i++)
		free(places->data[i].label);
}

/* Of free bytes those that are stalled, all of them if that is not known. */
static uint64_t held(const struct gs_snapshot *s, uint64_t stalled, uint64_t free_bytes)
{
	return gs_report_knows_residency(s) ? stalled : free_bytes;
}

/* Takes the label. */
static void add_place(struct places *places, char *label, uint64_t bytes, const char *returns)
{
	if (bytes == 0 || bytes == GS_UNKNOWN) {
		free(label);
		return;
	}
	places->data[places->len++] = (struct place){ label, bytes, returns };
}

static size_t threads_with_tcache(const struct gs_snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_arenas; i++) {
		for (size_t k = 0; k < s->arenas[i].n_threads; k++)
			n += s->arenas[i].threads[k].tcache_bytes > 0;
	}
	return n;
}

static void add_tops(struct places *places, const struct gs_snapshot *s)
{
	uint64_t main_top = 0, thread_tops = 0;
	size_t n = 0;

	for (size_t i = 0; i < s->n_arenas; i++) {
		const struct gs_account *account = &s->arenas[i].account;
		uint64_t top = held(s, account->stalled_top_bytes, account->top_bytes);

		if (top == 0 || top == GS_UNKNOWN)
			continue;
		if (s->arenas[i].index == 0) {
			main_top = top;
		} else {
			thread_tops += top;
			n++;
		}
	}
	add_place(places, gs_xstrdup("top chunk, main arena"), main_top, "malloc_trim");
	add_place(places, gs_xasprintf("top chunk%s, %zu thread arena%s", n == 1 ? "" : "s", n,
				       n == 1 ? "" : "s"),
		  thread_tops, "never by malloc_trim");
}

static void add_tcache(struct places *places, const struct gs_snapshot *s)
{
	size_t n = threads_with_tcache(s);
	char *label = n ? gs_xasprintf("tcache, %zu thread%s", n, n == 1 ? "" : "s") :
			  gs_xstrdup("tcache");

	add_place(places, label, held(s, s->totals.stalled_tcache_bytes, s->totals.tcache_bytes),
		  "only when the threads exit");
}

/* Where the columns of the table end, and whether there is room for the last one. */
struct columns {
	unsigned label_width, size_end, percent_end;
	bool one_line;
};

static struct columns columns_of(const struct gs_page *page, const struct places *places,
				 uint64_t whole)
{
	char size[GS_FMT_LEN];
	unsigned size_width = (unsigned)strlen(gs_page_size(page, size, whole));
	struct columns columns;

	if (size_width < NUMBER_WIDTH)
		size_width = NUMBER_WIDTH;
	columns.label_width = page->width - size_width - PERCENT_WIDTH - 1;
	if (columns.label_width > LABEL_WIDTH)
		columns.label_width = LABEL_WIDTH;
	columns.size_end = columns.label_width + 1 + size_width;
	columns.percent_end = columns.size_end + PERCENT_WIDTH;
	columns.one_line = true;
	for (size_t i = 0; i < places->len; i++) {
		if (columns.percent_end + 2 + strlen(places->data[i].returns) > page->width)
			columns.one_line = false;
	}
	return columns;
}

static void print_line(struct gs_page *page, const struct columns *columns, enum gs_style style,
		       const char *const cells[4])
{
	cleanup_free_ char *label = gs_text_safe(cells[0], columns->label_width);

	gs_page_text(page, style, label);
	gs_page_right(page, columns->size_end, cells[1]);
	gs_page_right(page, columns->percent_end, cells[2]);
	if (columns->one_line) {
		gs_page_to(page, columns->percent_end + 2);
	} else {
		gs_page_end(page);
		gs_page_to(page, 2);
	}
	gs_page_wrap(page, 2, cells[3]);
	gs_page_end(page);
}

static void print_places(struct gs_page *page, const struct places *places, uint64_t whole,
			 const char *heading)
{
	const char *const headings[4] = { heading, "SIZE", "%", "RETURNS WITH" };
	struct columns columns = columns_of(page, places, whole);

	gs_page_end(page);
	print_line(page, &columns, GS_STYLE_HEADING, headings);
	for (size_t i = 0; i < places->len; i++) {
		const struct place *place = &places->data[i];
		unsigned percent = gs_fmt_percent(place->bytes, whole);
		cleanup_free_ char *share =
			percent ? gs_xasprintf("%u", percent) : gs_xstrdup("<1");
		char size[GS_FMT_LEN];
		const char *const cells[4] = {
			place->label, gs_page_size(page, size, place->bytes), share, place->returns,
		};

		print_line(page, &columns, GS_STYLE_PLAIN, cells);
	}
}

void gs_report_places(struct gs_page *page, const struct gs_snapshot *s)
{
	cleanup_(places_fini) struct places places = {};

	add_place(&places, gs_xstrdup("free chunks in bins"),
		  held(s, s->totals.stalled_bin_bytes, s->totals.bin_bytes),
		  "malloc_trim (whole pages only)");
	add_tops(&places, s);
	add_place(&places, gs_xstrdup("fastbins"),
		  held(s, s->totals.stalled_fastbin_bytes, s->totals.fastbin_bytes),
		  "malloc_trim (consolidated first)");
	add_tcache(&places, s);
	if (!places.len)
		return;
	print_places(page, &places,
		     held(s, s->totals.stalled_bytes, gs_account_free(&s->totals)),
		     gs_report_knows_residency(s) ? "STALLED, BY WHERE IT SITS" :
						    "FREE, BY WHERE IT SITS");
}
