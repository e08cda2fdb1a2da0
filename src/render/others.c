/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/report.h"

#include "model/metrics.h"

enum { LABEL_WIDTH = 33, LABEL_MIN = 12, NUMBER_WIDTH = 8, NUMBERS = 3, INDENT = 2 };

/* Columns before the numbers. */
static unsigned label_width(const struct gs_page *page)
{
	unsigned width = page->width - NUMBERS * NUMBER_WIDTH;

	return width > LABEL_WIDTH ? LABEL_WIDTH : width > LABEL_MIN ? width : LABEL_MIN;
}

static void print_headings(struct gs_page *page, bool knows_residency)
{
	const char *const names[NUMBERS] = { "MAPPED", "LIVE",
					     knows_residency ? "STALLED" : "FREE" };

	gs_page_text(page, GS_STYLE_HEADING, "OTHER MALLOCS");
	for (unsigned i = 0; i < NUMBERS; i++)
		gs_page_right(page, label_width(page) + (i + 1) * NUMBER_WIDTH, names[i]);
	gs_page_end(page);
}

static void print_other(struct gs_page *page, const struct gs_snapshot *other,
			bool knows_residency)
{
	const struct gs_account *a = &other->totals;
	const uint64_t numbers[NUMBERS] = {
		a->mapped_bytes, a->live_bytes,
		knows_residency ? a->stalled_bytes : gs_account_free(a),
	};
	const char *version = other->allocator.version;
	char size[GS_FMT_LEN];

	gs_page_textf(page, "glibc %s", version ? version : "?");
	for (unsigned i = 0; i < NUMBERS; i++)
		gs_page_right(page, label_width(page) + (i + 1) * NUMBER_WIDTH,
			      gs_page_size(page, size, numbers[i]));
	gs_page_end(page);
	gs_page_to(page, INDENT);
	gs_page_text(page, GS_STYLE_PLAIN, other->allocator.path);
	gs_page_end(page);
}

void gs_report_others(struct gs_page *page, const struct gs_snapshot *s)
{
	if (!s->n_others)
		return;
	gs_page_end(page);
	print_headings(page, gs_report_knows_residency(s));
	for (size_t i = 0; i < s->n_others; i++)
		print_other(page, s->others[i], gs_report_knows_residency(s));
}
