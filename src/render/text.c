/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/render.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "model/metrics.h"
#include "render/page.h"
#include "render/report.h"

/* More of a command line than this is never shown. */
#define CMDLINE_MAX 4096

static const char *or_unknown(const char *s)
{
	return s && s[0] ? s : "?";
}

static bool known(uint64_t n)
{
	return n != GS_UNKNOWN;
}

static void print_program(struct gs_page *page, const struct gs_snapshot *s)
{
	const char *version = s->allocator.version;
	struct gs_strbuf sb = {};

	gs_page_text(page, GS_STYLE_HEADING, or_unknown(s->target.comm));
	gs_page_textf(page, " [%d]", s->target.pid);

	gs_strbuf_addf(&sb, "glibc %s", version ? version : "of unknown version");
	if (s->allocator.package)
		gs_strbuf_addf(&sb, " (%s)", s->allocator.package);
	gs_page_piece(page, 2, gs_strbuf_str(&sb));
	gs_strbuf_fini(&sb);

	gs_page_piece(page, 2, or_unknown(s->target.machine));
	gs_strbuf_addf(&sb, "%u thread%s", s->target.threads, s->target.threads == 1 ? "" : "s");
	gs_page_piece(page, 2, gs_strbuf_str(&sb));
	gs_strbuf_fini(&sb);
	gs_page_end(page);
}

static char *capture_text(const struct gs_snapshot *s)
{
	struct gs_strbuf sb = {};
	char buf[GS_FMT_LEN];

	switch (s->capture.mode) {
	case GS_CAPTURE_LIVE:
		gs_strbuf_addf(&sb, "sampled live");
		break;
	case GS_CAPTURE_STOPPED:
		gs_strbuf_addf(&sb, "stopped");
		if (known(s->capture.pause_ns))
			gs_strbuf_addf(&sb, " for %s", gs_fmt_duration(buf, s->capture.pause_ns));
		break;
	case GS_CAPTURE_CORE:
		gs_strbuf_addf(&sb, "from a core file");
		break;
	}
	if (s->capture.passes > 1)
		gs_strbuf_addf(&sb, ", %u passes", s->capture.passes);
	return gs_strbuf_take(&sb);
}

static char *cmdline_text(const struct gs_snapshot *s)
{
	struct gs_strbuf sb = {};

	for (size_t i = 0; i < s->target.n_cmdline && sb.len < CMDLINE_MAX; i++)
		gs_strbuf_addf(&sb, "%s%.*s", i ? " " : "", CMDLINE_MAX, s->target.cmdline[i]);
	if (sb.len == 0)
		gs_strbuf_addf(&sb, "%s", s->target.exe ? s->target.exe : "");
	return gs_strbuf_take(&sb);
}

static void print_cmdline(struct gs_page *page, const struct gs_snapshot *s)
{
	cleanup_free_ char *cmdline = cmdline_text(s);
	cleanup_free_ char *capture = capture_text(s);
	size_t capture_width = gs_text_width(capture);

	/* Half the line at least is for the command. */
	if (capture_width + 2 > page->width / 2) {
		cleanup_free_ char *safe = gs_text_safe(cmdline, page->width);

		gs_page_text(page, GS_STYLE_PLAIN, safe);
		if (safe[0])
			gs_page_end(page);
	} else {
		cleanup_free_ char *safe =
			gs_text_safe(cmdline, page->width - capture_width - 2);

		gs_page_text(page, GS_STYLE_PLAIN, safe);
	}
	gs_page_right(page, page->width, capture);
	gs_page_end(page);
}

static bool has_rss(const struct gs_snapshot *s)
{
	return known(s->target.rss_bytes) && s->target.rss_bytes > 0;
}

static bool has_unsettled(const struct gs_snapshot *s)
{
	return known(s->totals.unsettled_bytes) && s->totals.unsettled_bytes > 0;
}

/* No arena holds memory. */
static void answer_unused(struct gs_strbuf *sb, const struct gs_page *page,
			  const struct gs_snapshot *s)
{
	char buf[GS_FMT_LEN];

	if (!s->capture.complete) {
		gs_strbuf_addf(sb, "No heap could be read, so what they hold is not known.");
		return;
	}
	if (!known(s->mmapped.chunks) || s->mmapped.chunks == 0) {
		gs_strbuf_addf(sb, "malloc is not used yet: no arena holds memory.");
		return;
	}
	gs_strbuf_addf(sb, "No arena holds memory, so nothing is stalled. All that malloc holds is"
		       " %s in mappings of its own, which free() gives back at once.",
		       gs_page_size(page, buf, s->mmapped.bytes));
}

bool gs_report_knows_residency(const struct gs_snapshot *s)
{
	return known(s->totals.stalled_bytes);
}

/* Free memory of which nobody knows whether it is resident. */
static void answer_without_residency(struct gs_strbuf *sb, const struct gs_page *page,
				     const struct gs_snapshot *s)
{
	char mapped[GS_FMT_LEN], free_bytes[GS_FMT_LEN];

	gs_strbuf_addf(sb, "%s of the %s in malloc's heaps is free. %s",
		       gs_page_size(page, free_bytes, gs_account_free(&s->totals)),
		       gs_page_size(page, mapped, s->totals.mapped_bytes),
		       s->target.kind == GS_TARGET_CORE ?
			       "A core file does not say how much of that was resident." :
			       "How much of that is resident could not be read.");
}

static void answer_share(struct gs_strbuf *sb, const struct gs_page *page,
			 const struct gs_snapshot *s)
{
	char stalled[GS_FMT_LEN], rss[GS_FMT_LEN];
	unsigned percent = gs_fmt_percent(s->totals.stalled_bytes, s->target.rss_bytes);

	gs_page_size(page, stalled, s->totals.stalled_bytes);
	gs_page_size(page, rss, s->target.rss_bytes);
	/* The kernel's RSS is a little older than the walk: the share may come out above 1. */
	if (!has_rss(s) || s->totals.stalled_bytes > s->target.rss_bytes)
		gs_strbuf_addf(sb, "%s of this process's memory", stalled);
	else if (percent == 0)
		gs_strbuf_addf(sb, "%s of this process's %s", stalled, rss);
	else
		gs_strbuf_addf(sb, "%u%% of this process's memory (%s of %s)", percent, stalled,
			       rss);
	gs_strbuf_addf(sb, " is free inside malloc yet still resident.");
}

static const char *answer_start(const struct gs_snapshot *s)
{
	bool all_read = s->capture.complete && !has_unsettled(s);

	if (gs_report_is_healthy(s))
		return all_read ? "Nothing to do: only " : "As far as could be read, only ";
	if (has_unsettled(s))
		return "At least ";
	return all_read ? "" : "As far as could be read, ";
}

static void answer_stalled(struct gs_strbuf *sb, const struct gs_page *page,
			   const struct gs_snapshot *s)
{
	uint64_t reclaimable = s->totals.reclaimable_bytes;
	char buf[GS_FMT_LEN];

	gs_strbuf_addf(sb, "%s", answer_start(s));
	answer_share(sb, page, s);
	if (gs_report_is_healthy(s))
		return;
	if (reclaimable == 0)
		gs_strbuf_addf(sb, " None of it lies in whole pages.");
	else if (known(reclaimable))
		gs_strbuf_addf(sb, " About %s of it lies in whole pages that could be handed back.",
			       gs_page_size(page, buf, reclaimable));
}

static void answer_rest(struct gs_strbuf *sb, const struct gs_page *page,
			const struct gs_snapshot *s)
{
	uint64_t swapped = s->totals.stalled_swapped_bytes;
	char buf[GS_FMT_LEN];

	if (known(swapped) && swapped > 0)
		gs_strbuf_addf(sb, " %s is free inside malloc and in swap.",
			       gs_page_size(page, buf, swapped));
	if (has_unsettled(s))
		gs_strbuf_addf(sb, " %s could not be read and counts as live.",
			       gs_page_size(page, buf, s->totals.unsettled_bytes));
	else if (!s->capture.complete)
		gs_strbuf_addf(sb, " The report is not complete.");
}

/* The report is not of the malloc that the program calls. */
static void answer_program_malloc(struct gs_strbuf *sb, const struct gs_snapshot *s)
{
	const char *name = s->program_malloc.name;

	if (!s->program_malloc.path)
		return;
	gs_strbuf_addf(sb, "The program's own malloc is %s%sin %s. This is what glibc's malloc"
			   " holds beside it. ",
		       name ? name : "", name ? ", " : "", s->program_malloc.path);
}

static void print_answer(struct gs_page *page, const struct gs_snapshot *s)
{
	struct gs_strbuf sb = {};

	answer_program_malloc(&sb, s);
	if (s->totals.mapped_bytes == 0)
		answer_unused(&sb, page, s);
	else if (!gs_report_knows_residency(s))
		answer_without_residency(&sb, page, s);
	else if (s->totals.stalled_bytes > 0)
		answer_stalled(&sb, page, s);
	else if (s->capture.complete && !has_unsettled(s))
		gs_strbuf_addf(&sb, "Nothing is stalled: no free memory inside malloc is"
			       " resident.");
	else
		gs_strbuf_addf(&sb, "As far as could be read, nothing is stalled: no free memory"
			       " inside malloc is resident.");
	if (s->totals.mapped_bytes > 0)
		answer_rest(&sb, page, s);
	gs_page_end(page);
	gs_page_wrap(page, 0, gs_strbuf_str(&sb));
	gs_page_end(page);
	gs_strbuf_fini(&sb);
}

struct bar_part {
	char letter;
	const char *name;
	uint64_t bytes;
};

#define BAR_PARTS 3

static void print_bar(struct gs_page *page, const struct bar_part *parts, uint64_t whole)
{
	unsigned cells = page->width - page->goal, printed = 0;
	double before = 0;

	for (size_t i = 0; i < BAR_PARTS; i++) {
		before += (double)parts[i].bytes;
		unsigned end = (unsigned)(before / (double)whole * cells + 0.5);

		if (end > printed)
			gs_page_cells(page, parts[i].letter, end - printed);
		printed = end;
	}
}

static void print_legend(struct gs_page *page, unsigned indent, const struct bar_part *part,
			 uint64_t whole)
{
	char size[GS_FMT_LEN];
	struct gs_strbuf sb = {};

	gs_strbuf_addf(&sb, " %s %s (%u%%)", part->name, gs_page_size(page, size, part->bytes),
		       gs_fmt_percent(part->bytes, whole));
	unsigned gap = page->col > indent ? 3 : 0;
	if (page->col + gap + 1 + sb.len > page->width)
		gs_page_end(page);
	gs_page_to(page, page->col > indent ? page->col + gap : indent);
	gs_page_cells(page, part->letter, 1);
	gs_page_text(page, GS_STYLE_PLAIN, gs_strbuf_str(&sb));
	gs_strbuf_fini(&sb);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* RSS as live, stalled and not malloc's. Nothing is drawn of what is not known. */
static void print_rss(struct gs_page *page, const struct gs_snapshot *s)
{
	uint64_t not_malloc = gs_snapshot_not_malloc(s);
	uint64_t mmapped = s->mmapped.resident_bytes;
	char size[GS_FMT_LEN];

	if (!has_rss(s) || !known(not_malloc) || !known(s->totals.stalled_bytes))
		return;
	if (!known(mmapped))
		mmapped = s->mmapped.bytes;
	struct bar_part parts[BAR_PARTS] = {
		{ 'L', "live", minus(s->totals.resident_bytes, s->totals.stalled_bytes) + mmapped },
		{ 'S', "stalled", s->totals.stalled_bytes },
		{ 'R', "not malloc", not_malloc },
	};
	uint64_t whole = 0;
	for (size_t i = 0; i < BAR_PARTS; i++) {
		if (__builtin_add_overflow(whole, parts[i].bytes, &whole))
			return;
	}

	gs_page_end(page);
	gs_page_textf(page, "RSS %s", gs_page_size(page, size, s->target.rss_bytes));
	unsigned indent = page->col + 2;
	gs_page_to(page, indent);
	print_bar(page, parts, whole);
	gs_page_end(page);
	for (size_t i = 0; i < BAR_PARTS; i++)
		print_legend(page, indent, &parts[i], whole);
	gs_page_end(page);
}

void gs_render_text(const struct gs_snapshot *snapshot, const struct gs_text_options *options,
		    FILE *out)
{
	struct gs_page page = {
		.out = out,
		.width = options->width < 40 ? 40 : options->width,
		.color = options->color,
		.ascii = options->ascii,
		.exact = options->exact,
	};

	print_program(&page, snapshot);
	print_cmdline(&page, snapshot);
	print_answer(&page, snapshot);
	print_rss(&page, snapshot);
	if (options->summary)
		return;
	gs_report_places(&page, snapshot);
	gs_report_arenas(&page, snapshot, options);
	gs_report_maps(&page, snapshot, options);
	gs_report_others(&page, snapshot);
	gs_report_findings(&page, snapshot);
	gs_report_notes(&page, snapshot);
}
