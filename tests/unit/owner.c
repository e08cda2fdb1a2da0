/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a pin is, from its first bytes; the test says what has a name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "collect/owner.h"

#define VTABLE UINT64_C(0x7f0000001000)
#define VTABLE_32 UINT64_C(0xf7001000)

/* Stands in for the symbols of a process. */
char *gs_symbolizer_name(struct gs_symbolizer *symbolizer, gs_addr addr)
{
	assert_true(addr != 0);
	return addr == VTABLE || addr == VTABLE_32 ? gs_xstrdup("vtable for Order") : NULL;
}

static void assert_owner(const void *bytes, size_t len, unsigned word, const char *expected)
{
	/* Exactly as long as it is said to be, so that reading past its end is seen. */
	unsigned char *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	char *owner = gs_owner_of(NULL, copy, len, word);
	if (expected) {
		assert_non_null(owner);
		assert_string_equal(owner, expected);
	} else {
		assert_null(owner);
	}
	free(owner);
	free(copy);
}

static void pointers_to_symbols(void **state)
{
	const uint64_t first[] = { VTABLE, 5 }, second[] = { 0, 0, VTABLE, 0 };
	const uint64_t none[] = { 1, 2, 3, VTABLE + 8 };
	const uint32_t narrow[] = { 7, VTABLE_32 };

	assert_owner(first, sizeof(first), 8, "vtable for Order");
	assert_owner(second, sizeof(second), 8, "vtable for Order");
	assert_owner(none, sizeof(none), 8, NULL);
	assert_owner(narrow, sizeof(narrow), 4, "vtable for Order");
	assert_owner(narrow, sizeof(narrow), 8, NULL);
	assert_owner(second, 23, 8, NULL);	/* not all of the pointer is there */
}

static void texts(void **state)
{
	static const struct { const char *bytes; size_t len; const char *expected; } cases[] = {
		{ "hello\0\0\0\1\2\3", 11, "\"hello\"" },
		{ "GET /index.html HTTP/1.1 Host: x", 32, "\"GET /index.html HTTP/1.1 Host: x…\"" },
		{ "abcd\0", 5, "\"abcd\"" }, { "abcd", 4, "\"abcd…\"" },
		{ "abc\0\0\0\0\0", 8, NULL },		/* too short to mean anything */
		{ "text\x1b[31m\0\0", 11, NULL },	/* what follows is no text */
		{ "caf\xc3\xa9 au lait\0", 14, NULL }, { "\0\0\0\0hello\0", 10, NULL },
		{ "", 0, NULL }, { "\x7f\x7f\x7f\x7f\x7f\0", 6, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_owner(cases[i].bytes, cases[i].len, 8, cases[i].expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers_to_symbols),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
