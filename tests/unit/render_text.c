/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "render/render.h"
#include "sample.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define BLOCK "\u2588"

static char *render(const struct gs_snapshot *s, struct gs_text_options options)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	gs_render_text(s, &options, out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static char *render_sample(enum gs_sample which, struct gs_text_options options)
{
	struct gs_snapshot *s = gs_sample_new(which);
	char *text = render(s, options);

	gs_snapshot_free(s);
	return text;
}

static char *read_golden(const char *name)
{
	const char *dir = getenv("top_srcdir");
	cleanup_free_ char *path = gs_xasprintf("%s/tests/golden/%s", dir ? dir : ".", name);
	cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (!f)
		fail_msg("no golden file %s", path);
	ssize_t n = getdelim(&text, &cap, '\0', f);
	assert_true(n > 0);
	return text;
}

static void reports_are_as_drawn(void **state)
{
	static const struct {
		const char *file;
		enum gs_sample sample;
		struct gs_text_options options;
	} cases[] = {
		{ "stalled-80.txt", GS_SAMPLE_STALLED, { .width = 80, .arena = -1 } },
		{ "stalled-120-ascii.txt", GS_SAMPLE_STALLED,
		  { .width = 120, .ascii = true, .arena = -1 } },
		{ "stalled-40.txt", GS_SAMPLE_STALLED, { .width = 40, .arena = -1 } },
		{ "small-80.txt", GS_SAMPLE_SMALL, { .width = 80, .arena = -1 } },
		{ "healthy-80.txt", GS_SAMPLE_HEALTHY, { .width = 80, .arena = -1 } },
		{ "partial-80.txt", GS_SAMPLE_PARTIAL, { .width = 80, .arena = -1 } },
		{ "core-80.txt", GS_SAMPLE_CORE, { .width = 80, .arena = -1 } },
		{ "others-80.txt", GS_SAMPLE_OTHERS, { .width = 80, .arena = -1 } },
		{ "others-40.txt", GS_SAMPLE_OTHERS, { .width = 40, .arena = -1 } },
		{ "unused-80.txt", GS_SAMPLE_UNUSED, { .width = 80, .arena = -1 } },
	};

	for (size_t i = 0; i < N(cases); i++) {
		cleanup_free_ char *text = render_sample(cases[i].sample, cases[i].options);
		cleanup_free_ char *golden = read_golden(cases[i].file);

		assert_string_equal(text, golden);
	}
}

/* The columns of a line, counted by the C library alone. */
static int columns_of(const char *line, size_t len)
{
	wchar_t wide[1024];
	cleanup_free_ char *copy = strndup(line, len);
	size_t n = mbstowcs(wide, copy, N(wide));

	assert_true(n < N(wide));
	int width = wcswidth(wide, n);
	assert_true(width >= 0);
	return width;
}

static void check_lines(const char *text, unsigned width)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		if (columns_of(line, len) > (int)width)
			fail_msg("more than %u columns: %.*s", width, (int)len, line);
		if (len && line[len - 1] == ' ')
			fail_msg("blanks at the end: %.*s", (int)len, line);
		assert_int_equal(line[len], '\n');
		line += len + 1;
	}
}

static void lines_keep_to_the_width(void **state)
{
	static const unsigned widths[] = { 40, 41, 47, 60, 71, 79, 80, 99, 100, 120, 200 };

	for (int which = 0; which < GS_SAMPLE_N; which++) {
		struct gs_snapshot *s = gs_sample_new((enum gs_sample)which);

		for (unsigned i = 0; i < N(widths) * 8; i++) {
			struct gs_text_options options = {
				.width = widths[i / 8],
				.ascii = i & 1,
				.exact = i & 2,
				.all_heaps = i & 4,
				.arena = -1,
			};
			cleanup_free_ char *text = render(s, options);

			check_lines(text, options.width);
		}
		gs_snapshot_free(s);
	}
}

/* Names as long as they come, without a blank to break at, must not widen a line either. */
static void long_words_are_broken(void **state)
{
	static char word[3 * 200 + 1];
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_SMALL);

	for (size_t i = 0; i < 200; i++)
		memcpy(word + 3 * i, "\xe4\xb8\xad", 3);	/* two columns each */
	gs_snapshot_warn(s, "%s", word);
	free(s->target.comm);
	s->target.comm = gs_xstrdup(word);
	free(s->allocator.package);
	s->allocator.package = gs_xstrdup(word);
	free(s->findings[0].summary);
	s->findings[0].summary = gs_xstrdup(word);
	for (unsigned width = 40; width < 90; width++) {
		cleanup_free_ char *text =
			render(s, (struct gs_text_options){ .width = width, .arena = -1 });

		check_lines(text, width);
	}
	gs_snapshot_free(s);
}

static void nothing_hostile_gets_through(void **state)
{
	static const char *const forbidden[] = {
		"\x1b", "\x07", "\t", "\r", "\x7f", "\xe2\x80\xae", "\xff", "\xc2\x9b",
	};
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_HOSTILE);

	s->arenas[0].heaps[0].cells[0] = '\033';
	s->arenas[0].heaps[0].cells[1] = '%';
	for (unsigned width = 40; width <= 200; width += 20) {
		cleanup_free_ char *text =
			render(s, (struct gs_text_options){ .width = width, .arena = -1 });

		for (size_t i = 0; i < N(forbidden); i++)
			assert_null(strstr(text, forbidden[i]));
		assert_non_null(strstr(text, "a?[31mb?c?d"));
		assert_true(mbstowcs(NULL, text, 0) != (size_t)-1);
	}
	gs_snapshot_free(s);
}

static void ascii_is_ascii(void **state)
{
	for (int which = 0; which < GS_SAMPLE_HOSTILE; which++) {
		cleanup_free_ char *text = render_sample((enum gs_sample)which,
			(struct gs_text_options){ .width = 80, .ascii = true, .arena = -1 });

		for (const char *c = text; *c; c++)
			assert_true((unsigned char)*c < 0x80);
	}
}

static void strip_colour(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\033')
			text += strcspn(text, "m") + 1;
		else
			*to++ = *text++;
	}
	*to = '\0';
}

static void colour_only_repeats(void **state)
{
	struct gs_text_options options = { .width = 80, .arena = -1 };
	cleanup_free_ char *plain = render_sample(GS_SAMPLE_STALLED, options);

	options.color = true;
	cleanup_free_ char *coloured = render_sample(GS_SAMPLE_STALLED, options);
	assert_null(strchr(plain, '\033'));
	assert_non_null(strstr(coloured, "\033[32m" BLOCK));
	assert_non_null(strstr(coloured, "\033[31m\u2591"));
	assert_non_null(strstr(coloured, "\033[33m\u2593"));
	assert_non_null(strstr(coloured, "\033[2;34m\u00b7"));
	assert_non_null(strstr(coloured, "\033[36m\u2581"));
	assert_non_null(strstr(coloured, "\033[31mHIGH\033[0m"));
	assert_non_null(strstr(coloured, "\033[33mMED\033[0m"));
	strip_colour(coloured);
	assert_string_equal(plain, coloured);
}

static void summary_is_the_start(void **state)
{
	struct gs_text_options options = { .width = 80, .arena = -1 };
	cleanup_free_ char *full = render_sample(GS_SAMPLE_STALLED, options);

	options.summary = true;
	cleanup_free_ char *summary = render_sample(GS_SAMPLE_STALLED, options);
	assert_int_equal(strncmp(full, summary, strlen(summary)), 0);
	assert_non_null(strstr(summary, "RSS 1.84G"));
	assert_null(strstr(summary, "STALLED, BY"));
	assert_null(strstr(summary, "FINDINGS"));
}

static void one_arena_alone(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_STALLED,
		(struct gs_text_options){ .width = 80, .arena = 3 });

	assert_non_null(strstr(text, "\n#3 "));
	assert_non_null(strstr(text, "#3 heap4 "));
	assert_null(strstr(text, "\nmain "));
	assert_null(strstr(text, "\n#5 "));
	assert_null(strstr(text, "\ntotal"));
}

static void all_heaps_are_all(void **state)
{
	struct gs_text_options options = { .width = 80, .arena = -1 };
	cleanup_free_ char *some = render_sample(GS_SAMPLE_STALLED, options);

	options.all_heaps = true;
	cleanup_free_ char *all = render_sample(GS_SAMPLE_STALLED, options);
	assert_non_null(strstr(some, "5 more heaps: --all-heaps"));
	assert_null(strstr(all, "more heaps"));
	assert_null(strstr(some, "\n#8 "));
	assert_non_null(strstr(all, "\n#8 "));
	assert_null(strstr(all, "others  "));
}

static void wide_adds_columns(void **state)
{
	static const char *const headings[] = { "IN-TCACHE", "IN-FAST", "IN-BINS", " TOP " };
	struct gs_text_options options = { .width = 99, .arena = -1 };
	cleanup_free_ char *narrow = render_sample(GS_SAMPLE_STALLED, options);

	options.width = 100;
	cleanup_free_ char *wide = render_sample(GS_SAMPLE_STALLED, options);
	for (size_t i = 0; i < N(headings); i++) {
		assert_null(strstr(narrow, headings[i]));
		assert_non_null(strstr(wide, headings[i]));
	}
}

/* A glibc without fastbins has no fastbins with 0 bytes in them. */
static void what_does_not_exist_is_a_dash(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_SMALL);

	s->allocator.has_fastbins = false;
	s->arenas[0].account.swapped_bytes = GS_UNKNOWN;
	cleanup_free_ char *text = render(s, (struct gs_text_options){ .width = 120, .arena = -1 });
	char *row = strstr(text, "\nmain ");
	assert_non_null(row);
	row[strcspn(row + 1, "\n") + 1] = '\0';
	assert_non_null(strstr(row, " -  "));
	gs_snapshot_free(s);
}

/* No stalled memory, yet something could not be read: that is not "nothing". */
static void doubt_is_said(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_PARTIAL);
	struct gs_text_options options = { .width = 200, .arena = -1, .summary = true };

	s->totals.stalled_bytes = 0;
	cleanup_free_ char *none = render(s, options);
	assert_non_null(strstr(none, "As far as could be read, nothing is stalled"));
	assert_non_null(strstr(none, "512K could not be read and counts as live."));

	s->totals.mapped_bytes = 0;
	cleanup_free_ char *unread = render(s, options);
	assert_non_null(strstr(unread, "No heap could be read"));

	s->capture.complete = true;
	cleanup_free_ char *unused = render(s, options);
	assert_non_null(strstr(unused, "malloc is not used yet"));
	gs_snapshot_free(s);
}

static void swap_is_said(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_SMALL);

	s->totals.stalled_swapped_bytes = 300 << 20;
	cleanup_free_ char *text = render(s, (struct gs_text_options){ .width = 200, .arena = -1 });
	assert_non_null(strstr(text, "300M is free inside malloc and in swap."));
	gs_snapshot_free(s);
}

static void same_advice_is_given_once(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_STALLED);
	struct gs_advice *second = &s->findings[1].advice[0];

	free(second->command);
	free(second->text);
	*second = (struct gs_advice){ .text = gs_xstrdup(s->findings[0].advice[0].text) };
	cleanup_free_ char *text = render(s, (struct gs_text_options){ .width = 80, .arena = -1 });
	assert_non_null(strstr(text, "\n  now   as in 1\n"));
	gs_snapshot_free(s);
}

/* Two letters a printed cell: what the pair has in common must not hide what it has not. */
static void cells_are_merged(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_SMALL);
	char **cells = &s->arenas[0].heaps[0].cells;

	free(*cells);
	*cells = gs_xzalloc(101);
	for (size_t i = 0; i < 100; i += 20)
		memcpy(*cells + i, "LLLTRLLSSRRTR---XSTS", 20);
	cleanup_free_ char *text =
		render(s, (struct gs_text_options){ .width = 80, .ascii = true, .arena = -1 });
	assert_non_null(strstr(text, "main 0x5581b2c00000 "
				     "#+#+o^. +o#+#+o^. +o#+#+o^. +o#+#+o^. +o#+#+o^. +o\n"));
	assert_non_null(strstr(text, "1 cell = 512K"));
	gs_snapshot_free(s);
}

/* Numbers that no process has must not divide by zero, overflow or loop. */
static void absurd_numbers_are_survived(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_STALLED);
	static const uint64_t values[] = { 0, 1, UINT64_MAX - 1, UINT64_MAX };

	for (size_t v = 0; v < N(values); v++) {
		uint64_t *fields = (uint64_t *)&s->totals;

		for (size_t i = 0; i < sizeof(s->totals) / sizeof(*fields); i++)
			fields[i] = values[v];
		s->arenas[1].account = s->totals;
		s->target.rss_bytes = values[v];
		s->mmapped.resident_bytes = s->mmapped.bytes = values[v];
		s->arenas[0].heaps[0].cell_bytes = values[v];
		s->arenas[0].heaps[0].end = values[v];
		cleanup_free_ char *text =
			render(s, (struct gs_text_options){ .width = 80, .arena = -1 });
		check_lines(text, 80);
	}
	gs_snapshot_free(s);
}

static int use_utf8(void **state)
{
	return setlocale(LC_ALL, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_are_as_drawn),
		cmocka_unit_test(lines_keep_to_the_width),
		cmocka_unit_test(long_words_are_broken),
		cmocka_unit_test(nothing_hostile_gets_through),
		cmocka_unit_test(ascii_is_ascii),
		cmocka_unit_test(colour_only_repeats),
		cmocka_unit_test(summary_is_the_start),
		cmocka_unit_test(one_arena_alone),
		cmocka_unit_test(all_heaps_are_all),
		cmocka_unit_test(wide_adds_columns),
		cmocka_unit_test(what_does_not_exist_is_a_dash),
		cmocka_unit_test(doubt_is_said),
		cmocka_unit_test(swap_is_said),
		cmocka_unit_test(same_advice_is_given_once),
		cmocka_unit_test(cells_are_merged),
		cmocka_unit_test(absurd_numbers_are_survived),
	};

	return cmocka_run_group_tests(tests, use_utf8, NULL);
}
