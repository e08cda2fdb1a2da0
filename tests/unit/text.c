/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define BAD "\xef\xbf\xbd"

static int use_utf8(void **state)
{
	return setlocale(LC_ALL, "C.UTF-8") ? 0 : -1;
}

static int use_c(void **state)
{
	return setlocale(LC_ALL, "C") ? 0 : -1;
}

static void invalid_utf8_is_replaced(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" },
		{ "plain \x1b[0m\n", "plain \x1b[0m\n" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff", BAD },
		{ "a\x80" "b", "a" BAD "b" },
		{ "\xc3", BAD },
		{ "\xc3" "a", BAD "a" },
		{ "\xe2\x82", BAD BAD },
		{ "\xc0\xaf", BAD BAD },			/* overlong '/' */
		{ "\xe0\x80\xaf", BAD BAD BAD },
		{ "\xed\xa0\x80", BAD BAD BAD },		/* a surrogate */
		{ "\xf4\x90\x80\x80", BAD BAD BAD BAD },	/* beyond U+10FFFF */
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xf5\x80\x80\x80", BAD BAD BAD BAD },
	};

	for (size_t i = 0; i < N(cases); i++) {
		cleanup_free_ char *out = gs_text_utf8(cases[i].in, strlen(cases[i].in));

		assert_string_equal(out, cases[i].out);
	}
}

/* Nothing behind n is read: the bytes are at the end of their allocation. */
static void length_is_obeyed(void **state)
{
	char *cut = malloc(2);

	assert_non_null(cut);
	memcpy(cut, "a\xe2", 2);
	cleanup_free_ char *out = gs_text_utf8(cut, 2);
	free(cut);
	assert_string_equal(out, "a" BAD);
	cleanup_free_ char *nul = gs_text_utf8("ab\0cd", 5);
	assert_string_equal(nul, "ab");
	cleanup_free_ char *none = gs_text_utf8("ab", 0);
	assert_string_equal(none, "");
}

static void terminals_are_protected(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "a\x1b[31mb\x07\r\n\tc\x7f", "a?[31mb????c?" },
		{ "\xc2\x9b" "31m", "?31m" },			/* C1 CSI */
		{ "\x9b" "31m", "?31m" },			/* the same, invalid here */
		{ "\xe2\x80\xae" "abc", "?abc" },		/* right-to-left override */
		{ "\xe2\x81\xa6" "abc", "?abc" },		/* isolate */
		{ "a\xe2\x80\x8b" "b", "a?b" },		/* zero width space */
		{ "a\xe2\x80\xae" "b", "a?b" },
		{ "a\xe2\x80\x8f" "b", "a?b" },		/* right-to-left mark */
		{ "\xe2\x80\xa8", "?" },			/* line separator */
		{ "\xff\xfe", "??" },
		{ "\xc3\xa9 \xe4\xb8\xad", "\xc3\xa9 \xe4\xb8\xad" },
		{ "e\xcc\x81", "e\xcc\x81" },			/* a combining accent is fine */
		{ "\xcc\x81" "e", "?e" },			/* nothing to combine with */
	};

	for (size_t i = 0; i < N(cases); i++) {
		cleanup_free_ char *out = gs_text_safe(cases[i].in, 0);

		assert_string_equal(out, cases[i].out);
	}
}

static void marks_do_not_pile_up(void **state)
{
	char in[1 + 2 * 100 + 1] = "e";

	for (size_t i = 0; i < 100; i++)
		memcpy(in + 1 + 2 * i, "\xcc\x81", 2);
	cleanup_free_ char *out = gs_text_safe(in, 20);
	assert_int_equal(gs_text_width(out), 20);
	assert_true(strlen(out) < 120);
}

static void text_is_cut_by_columns(void **state)
{
	static const struct { const char *in; size_t width; const char *out; } cases[] = {
		{ "abcdef", 7, "abcdef" },
		{ "abcdef", 6, "abcdef" },
		{ "abcdef", 5, "abcd+" },
		{ "abcdef", 1, "+" },
		{ "a", 1, "a" },
		{ "\xe4\xb8\xad\xe6\x96\x87", 4, "\xe4\xb8\xad\xe6\x96\x87" },
		{ "\xe4\xb8\xad\xe6\x96\x87", 3, "\xe4\xb8\xad+" },	/* two columns each */
		{ "\xe4\xb8\xad\xe6\x96\x87", 2, "+" },
		{ "a\x1b\x1b\x1b", 3, "a?+" },
	};

	for (size_t i = 0; i < N(cases); i++) {
		cleanup_free_ char *out = gs_text_safe(cases[i].in, cases[i].width);

		assert_string_equal(out, cases[i].out);
		assert_true(gs_text_width(out) <= cases[i].width);
	}
}

static void width_is_counted(void **state)
{
	assert_int_equal(gs_text_width(""), 0);
	assert_int_equal(gs_text_width("abc"), 3);
	assert_int_equal(gs_text_width("\xc3\xa9\xe4\xb8\xad"), 3);
	assert_int_equal(gs_text_width("e\xcc\x81"), 1);
	assert_int_equal(gs_text_width("\x1b\xff"), 2);
}

static void plain_locale_gets_ascii(void **state)
{
	cleanup_free_ char *out = gs_text_safe("a\xc3\xa9\x1b" "b\x9b", 0);

	assert_string_equal(out, "a???b?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invalid_utf8_is_replaced),
		cmocka_unit_test(length_is_obeyed),
		cmocka_unit_test_setup(terminals_are_protected, use_utf8),
		cmocka_unit_test_setup(marks_do_not_pile_up, use_utf8),
		cmocka_unit_test_setup(text_is_cut_by_columns, use_utf8),
		cmocka_unit_test_setup(width_is_counted, use_utf8),
		cmocka_unit_test_setup(plain_locale_gets_ascii, use_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
