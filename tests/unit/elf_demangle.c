/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "elf/demangle.h"

/* What c++filt says, where we do more than copy. */
static const struct {
	const char *name, *want;
} cases[] = {
	{ "_ZTV3Foo", "vtable for Foo" },
	{ "_ZTI3Foo", "typeinfo for Foo" },
	{ "_ZTS3Foo", "typeinfo name for Foo" },
	{ "_ZTVN1a1BE", "vtable for a::B" },
	{ "_ZTVN5outer5inner10LongerNameE", "vtable for outer::inner::LongerName" },
	{ "_ZTVSt9exception", "vtable for std::exception" },
	{ "_ZTVNSt3foo3barE", "vtable for std::foo::bar" },
	{ "_ZTVN12_GLOBAL__N_11XE", "vtable for (anonymous namespace)::X" },
	/* Copied: templates, other symbols, damaged names. */
	{ "_ZTV1AIiE", "_ZTV1AIiE" },
	{ "_ZTIPKc", "_ZTIPKc" },
	{ "_ZN1a1fEv", "_ZN1a1fEv" },
	{ "main", "main" },
	{ "", "" },
	{ "_ZTV", "_ZTV" },
	{ "_ZTVN", "_ZTVN" },
	{ "_ZTVNE", "_ZTVNE" },
	{ "_ZTV4Foo", "_ZTV4Foo" },
	{ "_ZTV3Foox", "_ZTV3Foox" },
	{ "_ZTVN1a1B", "_ZTVN1a1B" },
	{ "_ZTVN1a1BEx", "_ZTVN1a1BEx" },
	{ "_ZTV0", "_ZTV0" },
	{ "_ZTV99999999999999999999999999x", "_ZTV99999999999999999999999999x" },
	{ "_ZTV18446744073709551617x", "_ZTV18446744073709551617x" },
};

static void test_demangle(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = gs_demangle(cases[i].name);
		assert_string_equal(text, cases[i].want);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demangle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
