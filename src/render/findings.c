/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

#define ID_WIDTH 15
#define INDENT 2
#define ADVICE_INDENT 8

/* A summary beside the number and the name needs that much. */
#define SUMMARY_MIN 36

static const struct {
	const char *word;
	enum gs_style style;
} severities[] = {
	[GS_SEVERITY_HIGH] = { "HIGH", GS_STYLE_HIGH },
	[GS_SEVERITY_MEDIUM] = { "MED", GS_STYLE_MEDIUM },
	[GS_SEVERITY_LOW] = { "LOW", GS_STYLE_PLAIN },
};

static char *bytes_text(const struct gs_page *page, char *buf, const struct gs_finding *finding)
{
	if (finding->bytes == 0)
		return strcpy(buf, "-");
	return gs_page_size(page, buf, finding->bytes);
}

static void print_paragraph(struct gs_page *page, unsigned indent, const char *text)
{
	gs_page_to(page, indent);
	gs_page_wrap(page, indent, text);
	gs_page_end(page);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool has_advice(const struct gs_finding *finding, const struct gs_advice *advice)
{
	for (size_t i = 0; i < finding->n_advice; i++) {
		const struct gs_advice *other = &finding->advice[i];

		if (other->fix == advice->fix && same_text(other->command, advice->command) &&
		    same_text(other->text, advice->text))
			return true;
	}
	return false;
}

static void print_advice(struct gs_page *page, const struct gs_finding *findings, size_t n,
			 const struct gs_advice *advice)
{
	gs_page_to(page, INDENT);
	gs_page_text(page, GS_STYLE_PLAIN, advice->fix ? "fix" : "now");
	gs_page_to(page, ADVICE_INDENT);
	/* Many findings end in the same advice: one of the n before may have given it. */
	for (size_t i = 0; i < n; i++) {
		if (!has_advice(&findings[i], advice))
			continue;
		gs_page_textf(page, "as in %zu", i + 1);
		gs_page_end(page);
		return;
	}
	if (advice->command)
		gs_page_wrap(page, ADVICE_INDENT, advice->command);
	if (advice->command && advice->text)
		gs_page_piece(page, ADVICE_INDENT, advice->text);
	else if (advice->text)
		gs_page_wrap(page, ADVICE_INDENT, advice->text);
	gs_page_end(page);
}

static void print_finding(struct gs_page *page, const struct gs_finding *findings, size_t nth,
			  unsigned size_width)
{
	const struct gs_finding *finding = &findings[nth];
	char buf[GS_FMT_LEN];

	gs_page_textf(page, "%zu ", nth + 1);
	unsigned col = page->col;
	gs_page_text(page, severities[finding->severity].style,
		     severities[finding->severity].word);
	gs_page_to(page, col + 6);
	gs_page_text(page, GS_STYLE_PLAIN, finding->id);
	unsigned end = col + 6 + ID_WIDTH + 1 + size_width;
	gs_page_right(page, end, bytes_text(page, buf, finding));
	if (page->width < end + 2 + SUMMARY_MIN) {
		gs_page_end(page);
		print_paragraph(page, INDENT, finding->summary);
	} else {
		print_paragraph(page, end + 2, finding->summary);
	}
	if (finding->detail)
		print_paragraph(page, INDENT, finding->detail);
	for (size_t i = 0; i < finding->n_advice; i++)
		print_advice(page, findings, nth, &finding->advice[i]);
}

bool gs_report_is_healthy(const struct gs_snapshot *s)
{
	return s->n_findings == 1 && strcmp(s->findings[0].id, "healthy") == 0;
}

void gs_report_findings(struct gs_page *page, const struct gs_snapshot *s)
{
	unsigned size_width = 5;

	if (s->n_findings == 0)
		return;
	for (size_t i = 0; i < s->n_findings; i++) {
		char buf[GS_FMT_LEN];
		unsigned width = (unsigned)strlen(bytes_text(page, buf, &s->findings[i]));

		size_width = width > size_width ? width : size_width;
	}
	gs_page_end(page);
	gs_page_text(page, GS_STYLE_HEADING, "FINDINGS");
	gs_page_end(page);
	if (gs_report_is_healthy(s)) {
		print_paragraph(page, 0, s->findings[0].summary);
		if (s->findings[0].detail)
			print_paragraph(page, INDENT, s->findings[0].detail);
		return;
	}
	for (size_t i = 0; i < s->n_findings; i++) {
		if (i)
			gs_page_end(page);
		print_finding(page, s->findings, i, size_width);
	}
}

static void print_note(struct gs_page *page, const char *text)
{
	static const char prefix[] = "note: ";

	gs_page_text(page, GS_STYLE_PLAIN, prefix);
	gs_page_wrap(page, sizeof(prefix) - 1, text);
	gs_page_end(page);
}

/* How malloc was found, and how sure that is. */
static void print_provenance(struct gs_page *page, const struct gs_snapshot *s)
{
	static const char *const found[] = {
		[GS_SYMBOLS_DEBUGINFO] = "by structure and debug symbols",
		[GS_SYMBOLS_SYMTAB] = "by structure and symbols",
		[GS_SYMBOLS_STRUCTURE] = "by structure alone",
	};
	static const char *const layout[] = {
		[GS_LAYOUT_DWARF] = "layout by debug information",
		[GS_LAYOUT_TABLE] = "layout by table",
	};
	cleanup_free_ char *text =
		gs_xasprintf("located %s, %s: %u checks agree", found[s->allocator.symbols],
			     layout[s->allocator.layout], s->allocator.checks);

	print_note(page, text);
}

void gs_report_notes(struct gs_page *page, const struct gs_snapshot *s)
{
	uint64_t changed = s->capture.changed_chunks;
	bool has_changed = changed > 0 && changed != GS_UNKNOWN;

	gs_page_end(page);
	print_provenance(page, s);
	for (size_t i = 0; i < s->n_warnings; i++)
		print_note(page, s->warnings[i]);
	if (!has_changed)
		return;
	cleanup_free_ char *text =
		gs_xasprintf("%" PRIu64 " cached chunk%s changed while being read and %s left out",
			     changed, changed == 1 ? "" : "s", changed == 1 ? "was" : "were");
	print_note(page, text);
}
