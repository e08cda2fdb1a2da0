/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "base/fmt.h"

#define K UINT64_C(1024)
#define M (1024 * K)
#define G (1024 * M)
#define N(array) (sizeof(array) / sizeof((array)[0]))

static void sizes(void **state)
{
	static const struct { uint64_t bytes; const char *text; } cases[] = {
		{ 0, "0B" },
		{ 1, "1B" },
		{ 999, "999B" },
		{ 1000, "1000B" },
		{ 1023, "1023B" },
		{ K, "1.00K" },
		{ K + 5, "1.00K" },
		{ K + 6, "1.01K" },
		{ 10234, "9.99K" },	/* 9.9941 */
		{ 10235, "10.0K" },	/* 9.9951 */
		{ 102348, "99.9K" },	/* 99.949 */
		{ 102349, "100K" },	/* 99.950 */
		{ 1023487, "999K" },	/* 999.4990 */
		{ 1023488, "1000K" },	/* 999.5: still of this unit */
		{ 1023 * K, "1023K" },
		{ 1023 * K + 511, "1023K" },
		{ 1023 * K + 512, "1.00M" },	/* 1023.5, never "1024K" */
		{ M - 1, "1.00M" },
		{ 412 * M, "412M" },
		{ 1299269621, "1.21G" },
		{ 1023 * G, "1023G" },
		{ UINT64_C(1) << 50, "1.00P" },
		{ UINT64_C(1) << 60, "1.00E" },
		{ INT64_MAX, "8.00E" },
		{ UINT64_MAX, "16.0E" },
	};
	char buf[GS_FMT_LEN];

	for (size_t i = 0; i < N(cases); i++) {
		assert_ptr_equal(gs_fmt_size(buf, cases[i].bytes), buf);
		assert_string_equal(buf, cases[i].text);
	}
}

/* Three digits, or four of 1000 to 1023: whatever the size. */
static void sizes_are_short(void **state)
{
	uint64_t size = 1;

	for (unsigned i = 0; i < 20000; i++) {
		char buf[GS_FMT_LEN];

		gs_fmt_size(buf, size);
		assert_true(strlen(buf) <= 5);
		assert_null(strstr(buf, "1024"));
		size = size * 6364136223846793005 + 1442695040888963407;
		size >>= i % 60;
	}
}

static void percents(void **state)
{
	assert_int_equal(gs_fmt_percent(0, 0), 0);
	assert_int_equal(gs_fmt_percent(5, 0), 0);
	assert_int_equal(gs_fmt_percent(0, 5), 0);
	assert_int_equal(gs_fmt_percent(1, 3), 33);
	assert_int_equal(gs_fmt_percent(2, 3), 67);
	assert_int_equal(gs_fmt_percent(4, 1000), 0);
	assert_int_equal(gs_fmt_percent(5, 1000), 1);
	assert_int_equal(gs_fmt_percent(3, 2), 150);
	assert_int_equal(gs_fmt_percent(UINT64_MAX, UINT64_MAX), 100);
	assert_int_equal(gs_fmt_percent(UINT64_MAX / 2, UINT64_MAX), 50);
	assert_int_equal(gs_fmt_percent(1, UINT64_MAX), 0);
	assert_int_equal(gs_fmt_percent(UINT64_MAX, 1), UINT_MAX);
}

static void durations(void **state)
{
	static const struct { uint64_t ns; const char *text; } cases[] = {
		{ 0, "0ns" },
		{ 850, "850ns" },
		{ 999, "999ns" },
		{ 1000, "1.00us" },
		{ 12345, "12.3us" },
		{ 999499, "999us" },
		{ 999500, "1.00ms" },
		{ 4560000, "4.56ms" },
		{ 999999999, "1.00s" },
		{ 1200000000, "1.20s" },
		{ 59940000000, "59.9s" },
		{ 59960000000, "1m 0s" },
		{ 60000000000, "1m 0s" },
		{ 200000000000, "3m 20s" },
		{ 3599000000000, "59m 59s" },
		{ 3600000000000, "1h 0m" },
		{ UINT64_C(86400000000000) * 3 + UINT64_C(3600000000000) * 4, "3d 4h" },
		{ UINT64_MAX, "213503d 23h" },
	};
	char buf[GS_FMT_LEN];

	for (size_t i = 0; i < N(cases); i++)
		assert_string_equal(gs_fmt_duration(buf, cases[i].ns), cases[i].text);
}

static void addresses(void **state)
{
	char buf[GS_FMT_LEN];

	assert_string_equal(gs_fmt_addr(buf, 0), "0x0");
	assert_string_equal(gs_fmt_addr(buf, 0x7f2a40000000), "0x7f2a40000000");
	assert_string_equal(gs_fmt_addr(buf, UINT64_MAX), "0xffffffffffffffff");
}

static void sizes_are_parsed(void **state)
{
	static const struct { const char *text; uint64_t bytes; } cases[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "12B", 12 },
		{ "1k", K },
		{ "1K", K },
		{ "1KB", K },
		{ "1kib", K },
		{ "1.5M", M + 512 * K },
		{ "0.5G", 512 * M },
		{ "2TiB", 2048 * G },
		{ "0.0009765625K", 1 },
		{ "1.99", 1 },
		{ "0.99999999999999999999999999999999999999999M", M - 1 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", UINT64_C(16777215) << 40 },
	};

	for (size_t i = 0; i < N(cases); i++) {
		uint64_t bytes = 77;

		assert_true(gs_parse_size(cases[i].text, &bytes));
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void bad_sizes_are_refused(void **state)
{
	static const char *const cases[] = {
		"", " 1", "1 ", "+1", "-1", "K", ".5K", "1.", "1.K", "1.5.5", "1x", "1KK", "1Ki",
		"1iB", "1BB", "1BiB", "0x10", "1e3", "1,5M", "18446744073709551616", "16777216T",
		"99999999999999999999999999999999", "16777215.99999999999999TiBB",
	};

	for (size_t i = 0; i < N(cases); i++) {
		uint64_t bytes = 77;

		assert_false(gs_parse_size(cases[i], &bytes));
		assert_int_equal(bytes, 77);
	}
}

static void percents_are_parsed(void **state)
{
	static const struct { const char *text; double percent; } cases[] = {
		{ "0%", 0 }, { "20%", 20 }, { "7.5%", 7.5 }, { "100%", 100 }, { "100.0%", 100 },
		{ "0.25%", 0.25 },
	};
	static const char *const bad[] = {
		"", "%", "20", "20%%", "20 %", "-1%", "101%", "100.1%", ".5%", "5.%", "nan%",
		"99999999999999999999999%",
	};
	double percent;

	for (size_t i = 0; i < N(cases); i++) {
		assert_true(gs_parse_percent(cases[i].text, &percent));
		assert_true(percent == cases[i].percent);
	}
	for (size_t i = 0; i < N(bad); i++)
		assert_false(gs_parse_percent(bad[i], &percent));
}

static void numbers_are_parsed(void **state)
{
	uint64_t n = 77;

	assert_true(gs_parse_uint("0", 0, 10, &n));
	assert_int_equal(n, 0);
	assert_true(gs_parse_uint("10", 0, 10, &n));
	assert_int_equal(n, 10);
	assert_true(gs_parse_uint("18446744073709551615", 0, UINT64_MAX, &n));
	assert_int_equal(n, UINT64_MAX);
	n = 77;
	assert_false(gs_parse_uint("11", 0, 10, &n));
	assert_false(gs_parse_uint("0", 1, 10, &n));
	assert_false(gs_parse_uint("", 0, 10, &n));
	assert_false(gs_parse_uint("1x", 0, 10, &n));
	assert_false(gs_parse_uint("-1", 0, UINT64_MAX, &n));
	assert_false(gs_parse_uint(" 1", 0, 10, &n));
	assert_false(gs_parse_uint("18446744073709551616", 0, UINT64_MAX, &n));
	assert_int_equal(n, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(sizes_are_short),
		cmocka_unit_test(percents),
		cmocka_unit_test(durations),
		cmocka_unit_test(addresses),
		cmocka_unit_test(sizes_are_parsed),
		cmocka_unit_test(bad_sizes_are_refused),
		cmocka_unit_test(percents_are_parsed),
		cmocka_unit_test(numbers_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
