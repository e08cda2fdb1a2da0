/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/term.h"

struct fixture {
	int terminal;	/* the master of a pseudo terminal: a terminal too */
	int file;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture.terminal = posix_openpt(O_RDWR | O_NOCTTY);
	fixture.file = open("/dev/null", O_RDWR);
	*state = &fixture;
	unsetenv("NO_COLOR");
	unsetenv("COLUMNS");
	setenv("TERM", "xterm", 1);
	return fixture.terminal < 0 || fixture.file < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->terminal);
	close(fixture->file);
	return 0;
}

static void colour_needs_a_terminal(void **state)
{
	struct fixture *fixture = *state;

	assert_true(gs_term_color(fixture->terminal, GS_COLOR_AUTO));
	assert_false(gs_term_color(fixture->file, GS_COLOR_AUTO));
	assert_false(gs_term_color(-1, GS_COLOR_AUTO));
	assert_true(gs_term_color(fixture->file, GS_COLOR_ALWAYS));
	assert_false(gs_term_color(fixture->terminal, GS_COLOR_NEVER));
}

static void environment_forbids_colour(void **state)
{
	struct fixture *fixture = *state;

	setenv("NO_COLOR", "1", 1);
	assert_false(gs_term_color(fixture->terminal, GS_COLOR_AUTO));
	assert_true(gs_term_color(fixture->terminal, GS_COLOR_ALWAYS));
	setenv("NO_COLOR", "", 1);
	assert_true(gs_term_color(fixture->terminal, GS_COLOR_AUTO));
	setenv("TERM", "dumb", 1);
	assert_false(gs_term_color(fixture->terminal, GS_COLOR_AUTO));
	unsetenv("TERM");
	assert_false(gs_term_color(fixture->terminal, GS_COLOR_AUTO));
	assert_true(gs_term_color(fixture->terminal, GS_COLOR_ALWAYS));
}

static void terminal_tells_its_width(void **state)
{
	struct fixture *fixture = *state;
	struct winsize size = { .ws_row = 24, .ws_col = 123 };

	setenv("COLUMNS", "77", 1);
	assert_int_equal(ioctl(fixture->terminal, TIOCSWINSZ, &size), 0);
	assert_int_equal(gs_term_width(fixture->terminal), 123);
	size.ws_col = 10;
	assert_int_equal(ioctl(fixture->terminal, TIOCSWINSZ, &size), 0);
	assert_int_equal(gs_term_width(fixture->terminal), 40);
	size.ws_col = 0;
	assert_int_equal(ioctl(fixture->terminal, TIOCSWINSZ, &size), 0);
	assert_int_equal(gs_term_width(fixture->terminal), 77);
}

static void columns_tells_the_width(void **state)
{
	static const struct { const char *columns; unsigned width; } cases[] = {
		{ "100", 100 }, { "20", 40 }, { "0", 80 }, { "", 80 }, { "x", 80 }, { "-5", 80 },
		{ "99999999999999999999", 80 }, { "1000000000", 80 },
	};
	struct fixture *fixture = *state;

	assert_int_equal(gs_term_width(fixture->file), 80);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setenv("COLUMNS", cases[i].columns, 1);
		assert_int_equal(gs_term_width(fixture->file), cases[i].width);
	}
}

static void blocks_need_utf8(void **state)
{
	assert_non_null(setlocale(LC_ALL, "C"));
	assert_false(gs_term_has_blocks());
	assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
	assert_true(gs_term_has_blocks());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(colour_needs_a_terminal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(environment_forbids_colour, set_up, tear_down),
		cmocka_unit_test_setup_teardown(terminal_tells_its_width, set_up, tear_down),
		cmocka_unit_test_setup_teardown(columns_tells_the_width, set_up, tear_down),
		cmocka_unit_test(blocks_need_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
