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

#include "base/cleanup.h"
#include "render/render.h"
#include "sample.h"

static char *render_sample(enum gs_sample which, struct gs_table_options options)
{
	struct gs_snapshot *s = gs_sample_new(which);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_null(gs_render_table(s, &options, out));
	assert_int_equal(fclose(out), 0);
	gs_snapshot_free(s);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static void default_table(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_SMALL,
		(struct gs_table_options){ .arena = -1, .width = 80 });

	assert_string_equal(text,
		"ARENA THR HEAPS MAPPED   RES  LIVE STALLED ST% RECLAIM\n"
		"main    1     1  6.00M 5.00M 1.00M   4.00M  80   3.70M\n");
}

static void worst_arena_first(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_STALLED, (struct gs_table_options){
		.columns = "arena", .arena = -1, .format = GS_TABLE_RAW, .no_headings = true });

	assert_string_equal(text, "main\n#3\n#5\n#1\n#7\n#2\n#4\n#6\n#8\n");
}

static void exact_raw(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_SMALL, (struct gs_table_options){
		.columns = "ARENA,address,stalled,stalled-pct,returned", .arena = -1,
		.format = GS_TABLE_RAW, .exact = true });

	assert_string_equal(text,
		"ARENA ADDRESS STALLED ST% RETURNED\n"
		"main 0x7f2a4c1d3c60 4194304 80 1048576\n");
}

static void pairs(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_SMALL, (struct gs_table_options){
		.columns = "arena,stalled,tcache", .arena = -1, .format = GS_TABLE_PAIRS });

	assert_string_equal(text, "ARENA=\"main\" STALLED=\"4.00M\" IN_TCACHE=\"8.00K\"\n");
}

static void columns_are_appended(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_SMALL, (struct gs_table_options){
		.columns = "+top,bins", .arena = -1, .format = GS_TABLE_RAW });

	assert_string_equal(text,
		"ARENA THR HEAPS MAPPED RES LIVE STALLED ST% RECLAIM TOP IN-BINS\n"
		"main 1 1 6.00M 5.00M 1.00M 4.00M 80 3.70M 0B 4.98M\n");
}

static void one_arena(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_STALLED, (struct gs_table_options){
		.columns = "arena,heaps", .arena = 3, .format = GS_TABLE_RAW });

	assert_string_equal(text, "ARENA HEAPS\n#3 4\n");
}

/* No number is cut, however narrow: half a number is a wrong one. */
static void numbers_are_whole(void **state)
{
	struct gs_table_options options = { .all_columns = true, .arena = -1, .exact = true };

	options.width = 400;
	cleanup_free_ char *wide = render_sample(GS_SAMPLE_STALLED, options);
	options.width = 40;
	cleanup_free_ char *narrow = render_sample(GS_SAMPLE_STALLED, options);
	assert_string_equal(wide, narrow);
	assert_int_equal(count_lines(wide), 10);
}

static void unknown_is_not_zero(void **state)
{
	cleanup_free_ char *text = render_sample(GS_SAMPLE_CORE, (struct gs_table_options){
		.columns = "arena,threads,resident,stalled,stalled-pct,tcache,fastbin,top,free",
		.arena = -1, .format = GS_TABLE_RAW, .no_headings = true });

	assert_string_equal(text, "main ? ? ? ? - - 0B 4.98M\n");
}

static void assert_unknown(const char *columns, const char *msg)
{
	struct gs_err *err = gs_table_check_columns(columns);

	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_NOT_FOUND);
	assert_string_equal(err->msg, msg);
	assert_non_null(strstr(err->hint, "stalled-pct, reclaimable"));
	gs_err_free(err);
}

static void columns_are_checked(void **state)
{
	assert_null(gs_table_check_columns(NULL));
	assert_null(gs_table_check_columns("arena"));
	assert_null(gs_table_check_columns("+Unlocated,SYSTEM"));
	assert_unknown("arena,size", "unknown column 'size'");
	assert_unknown("", "unknown column ''");
	assert_unknown("+", "unknown column ''");
	assert_unknown("arena,", "unknown column ''");
	assert_unknown("aren", "unknown column 'aren'");
	assert_unknown("a\x1b[31m", "unknown column 'a?[31m'");
}

static void bad_columns_print_nothing(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_SMALL);
	struct gs_table_options options = { .columns = "nonsense", .arena = -1 };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct gs_err *err = gs_render_table(s, &options, out);

	assert_int_equal(fclose(out), 0);
	assert_true(gs_err_catch(err, GS_ERR_NOT_FOUND));
	assert_int_equal(len, 0);
	free(text);
	gs_snapshot_free(s);
}

static void every_listed_column_exists(void **state)
{
	char *text = NULL;
	size_t len = 0, n = 0;
	FILE *out = open_memstream(&text, &len);

	gs_table_list_columns(out);
	assert_int_equal(fclose(out), 0);
	for (char *line = text; *line; n++) {
		char *end = strchr(line, '\n');
		char *help = line + strcspn(line, " ");

		*end = '\0';
		*help++ = '\0';
		assert_null(gs_table_check_columns(line));
		assert_true(strlen(help + strspn(help, " ")) > 3);
		line = end + 1;
	}
	assert_int_equal(n, 20);
	free(text);
}

static int use_utf8(void **state)
{
	return setlocale(LC_ALL, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_table),
		cmocka_unit_test(worst_arena_first),
		cmocka_unit_test(exact_raw),
		cmocka_unit_test(pairs),
		cmocka_unit_test(columns_are_appended),
		cmocka_unit_test(one_arena),
		cmocka_unit_test(numbers_are_whole),
		cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(columns_are_checked),
		cmocka_unit_test(bad_columns_print_nothing),
		cmocka_unit_test(every_listed_column_exists),
	};

	return cmocka_run_group_tests(tests, use_utf8, NULL);
}
