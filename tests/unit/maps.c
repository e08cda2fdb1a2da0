/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parsers of /proc/PID/maps and smaps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "proc/maps.h"
#include "proc/smaps.h"

static const char plain[] =
	"55d0c8a00000-55d0c8a02000 r-xp 00002000 fe:01 1835021                    /usr/bin/a b\n"
	"55d0ca1f7000-55d0ca218000 rw-p 00000000 00:00 0                          [heap]\n"
	"7f1c64000000-7f1c64021000 rw-p 00000000 00:00 0 \n"
	"7f1c64021000-7f1c68000000 ---p 00000000 00:00 0 \n"
	"7f1c70000000-7f1c70001000 rw-s 00000000 00:01 7                   /dev/zero (deleted)\n"
	"7f1c70002000-7f1c70003000 rw-p 00000000 fe:01 9                          /x\\012y\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static void maps_are_parsed(void **state)
{
	struct gs_maps maps;

	assert_null(gs_maps_parse(gs_xstrdup(plain), &maps));
	assert_int_equal(maps.len, 7);
	assert_true(maps.data[0].start == 0x55d0c8a00000);
	assert_true(maps.data[0].end == 0x55d0c8a02000);
	assert_int_equal(maps.data[0].offset, 0x2000);
	assert_int_equal(maps.data[0].ino, 1835021);
	assert_true(maps.data[0].dev == (UINT64_C(0xfe) << 32 | 1));
	assert_int_equal(maps.data[0].prot, GS_PROT_R | GS_PROT_X);
	assert_string_equal(maps.data[0].path, "/usr/bin/a b");
	assert_string_equal(maps.data[1].path, "[heap]");
	assert_string_equal(maps.data[2].path, "");
	assert_int_equal(maps.data[3].prot, 0);
	assert_true(maps.data[4].shared);
	assert_string_equal(maps.data[5].path, "/x\\012y");
	assert_true(maps.data[6].end == 0xffffffffff601000);
	static const bool anon_rw[] = { false, true, true, false, false, false, false };
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(gs_map_is_anon_rw(&maps.data[i]), anon_rw[i]);
	gs_maps_fini(&maps);
}

static void maps_are_found(void **state)
{
	struct gs_maps maps, none = {};

	assert_null(gs_maps_parse(gs_xstrdup(plain), &maps));
	for (size_t i = 0; i < maps.len; i++) {
		struct gs_map *map = &maps.data[i];
		assert_ptr_equal(gs_maps_find(&maps, map->start), map);
		assert_ptr_equal(gs_maps_find(&maps, map->end - 1), map);
	}
	assert_null(gs_maps_find(&maps, 0));
	assert_null(gs_maps_find(&maps, 0x55d0c89fffff));
	assert_null(gs_maps_find(&maps, 0x55d0c8a02000));
	assert_null(gs_maps_find(&maps, 0x7f1c70001000));
	assert_null(gs_maps_find(&maps, UINT64_MAX));
	assert_null(gs_maps_find(&none, 0x1000));
	gs_maps_fini(&maps);
}

/* An empty file, and a last line without a line end. */
static void maps_that_end_oddly(void **state)
{
	struct gs_maps maps;

	assert_null(gs_maps_parse(gs_xstrdup(""), &maps));
	assert_int_equal(maps.len, 0);
	gs_maps_fini(&maps);
	assert_null(gs_maps_parse(gs_xstrdup("1000-2000 rw-p 00000000 00:00 0"), &maps));
	assert_int_equal(maps.len, 1);
	assert_string_equal(maps.data[0].path, "");
	gs_maps_fini(&maps);
}

static void bad_maps(void **state)
{
	static const char *const bad[] = {
		"\n", "x", "1000", "1000-", "1000-2000", "1000-2000 ", "1000-2000 rw-p",
		"1000-2000 rw-p 0 00:00", "1000-2000 rw-p 0 00:00 ", "1000-2000 rw-p 0 00:00 x",
		"1000-1000 rw-p 00000000 00:00 0", "2000-1000 rw-p 00000000 00:00 0",
		"10000000000000000-20000000000000000 rw-p 00000000 00:00 0",
		"1000-2000 rw-p 10000000000000000 00:00 0", " 1000-2000 rw-p 00000000 00:00 0",
		"-1000-2000 rw-p 00000000 00:00 0", "1000-2000 rw 00000000 00:00 0",
		"1000-3000 rw-p 00000000 00:00 0\n2000-4000 rw-p 00000000 00:00 0",
		"3000-4000 rw-p 00000000 00:00 0\n1000-2000 rw-p 00000000 00:00 0",
		"1000-2000 rw-p 00000000 00:00 0\n\n", "1000-2000 rw-p 00000000 0000 0",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gs_maps maps;
		struct gs_err *err = gs_maps_parse(gs_xstrdup(bad[i]), &maps);
		assert_non_null(err);
		assert_int_equal(err->code, GS_ERR_FORMAT);
		gs_err_free(err);
	}
}

/* Those of this process: where its code and its stack are. */
static void our_own_maps(void **state)
{
	struct gs_target *target;
	struct gs_maps maps;
	int local;

	assert_null(gs_target_open(getpid(), &target));
	assert_null(gs_maps_read(target, &maps));
	const struct gs_map *code = gs_maps_find(&maps, (gs_addr)(uintptr_t)our_own_maps);
	const struct gs_map *stack = gs_maps_find(&maps, (gs_addr)(uintptr_t)&local);
	assert_non_null(code);
	assert_int_equal(code->prot & GS_PROT_X, GS_PROT_X);
	assert_true(code->ino != 0);
	assert_non_null(stack);
	assert_true(gs_map_is_anon_rw(stack));
	gs_maps_fini(&maps);
	gs_target_free(target);
}

/* --- smaps --- */

static void smaps_are_parsed(void **state)
{
	static const char text[] =
		"55d0ca1f7000-55d0ca218000 rw-p 00000000 00:00 0                [heap]\n"
		"Size:                132 kB\nRss:                 100 kB\n"
		"Anonymous:            99 kB\nAnonHugePages:         0 kB\nSwap:        5 kB\n"
		"SwapPss:               4 kB\nVmFlags: rd wr mr mw me ac sd \n"
		"7f1c64000000-7f1c68000000 rw-p 00000000 00:00 0 \n"
		"Rss:               65536 kB\nAnonymous:         65536 kB\n"
		"AnonHugePages:     63488 kB\nSwap:                  0 kB\n"
		"7f1c70000000-7f1c70001000 r--p 00000000 fe:01 9   /usr/lib/Rss: 5 kB\n"
		"Rss:                   4 kB\n";
	struct gs_smaps smaps;

	assert_null(gs_smaps_parse(gs_xstrdup(text), &smaps));
	assert_int_equal(smaps.len, 3);
	assert_true(smaps.data[0].start == 0x55d0ca1f7000);
	assert_true(smaps.data[0].end == 0x55d0ca218000);
	assert_string_equal(smaps.data[0].name, "[heap]");
	assert_int_equal(smaps.data[0].rss_bytes, 100 << 10);
	assert_string_equal(smaps.data[1].name, "");
	assert_int_equal(smaps.data[1].rss_bytes, 64 << 20);
	assert_string_equal(smaps.data[2].name, "/usr/lib/Rss: 5 kB");
	assert_int_equal(smaps.data[2].rss_bytes, 4096);
	assert_int_equal(smaps.sum.rss_bytes, (100 << 10) + (64 << 20) + 4096);
	assert_int_equal(smaps.sum.anonymous_bytes, (99 << 10) + (64 << 20));
	assert_int_equal(smaps.sum.swap_bytes, 5 << 10);
	assert_int_equal(smaps.sum.anon_huge_bytes, 62 << 20);
	gs_smaps_fini(&smaps);
}

static void odd_smaps(void **state)
{
	static const struct { const char *text; bool ok; } cases[] = {
		{ "", true }, { "Rss: 4 kB\n", true },	/* of no mapping: left out */
		{ "1000-2000 rw-p 0 00:00 0 \nRss", true },
		{ "1000-2000 rw-p 0 00:00 0 \nRss:", true },
		{ "1000-2000 rw-p 0 00:00 0 \nX:99999999999999999999999999 kB\n", true },
		{ "\n", false }, { "1000\n", false }, { "2000-1000 rw-p 0 00:00 0 \n", false },
		{ "1000-2000 rw-p\n", false }, { "zzz\n", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gs_smaps smaps;
		struct gs_err *err = gs_smaps_parse(gs_xstrdup(cases[i].text), &smaps);
		assert_int_equal(!err, cases[i].ok);
		if (err) {
			assert_int_equal(err->code, GS_ERR_FORMAT);
			gs_err_free(err);
			continue;
		}
		assert_int_equal(smaps.sum.rss_bytes, 0);
		gs_smaps_fini(&smaps);
	}
}

/* A mapping of this process of which we know what is resident. */
static void our_own_smaps(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct gs_target *target;
	struct gs_smaps smaps;
	bool found = false;

	assert_null(gs_target_open(getpid(), &target));
	assert_null(gs_smaps_read(target, &smaps));
	for (size_t i = 0; i < smaps.len; i++) {
		const struct gs_smap *map = &smaps.data[i];
		/* A sanitizer may keep variables elsewhere. */
		gs_addr here = (gs_addr)(uintptr_t)__builtin_frame_address(0);
		found |= here >= map->start && here < map->end && map->rss_bytes >= page &&
			 map->rss_bytes <= map->end - map->start &&
			 !strcmp(map->name, "[stack]");
	}
	assert_true(found);
	assert_true(smaps.sum.anonymous_bytes > 0);
	assert_true(smaps.sum.anonymous_bytes <= smaps.sum.rss_bytes);
	gs_smaps_fini(&smaps);
	gs_target_free(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_are_parsed),
		cmocka_unit_test(maps_are_found),
		cmocka_unit_test(maps_that_end_oddly),
		cmocka_unit_test(bad_maps),
		cmocka_unit_test(our_own_maps),
		cmocka_unit_test(smaps_are_parsed),
		cmocka_unit_test(odd_smaps),
		cmocka_unit_test(our_own_smaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
