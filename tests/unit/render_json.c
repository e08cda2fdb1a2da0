/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "render/render.h"
#include "sample.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static char *render(const struct gs_snapshot *s, bool compact)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_null(gs_render_json(s, compact, out));
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static json_t *parse(const struct gs_snapshot *s)
{
	cleanup_free_ char *text = render(s, false);
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s at line %d", error.text, error.line);
	return root;
}

static json_t *parse_sample(enum gs_sample which)
{
	struct gs_snapshot *s = gs_sample_new(which);
	json_t *root = parse(s);

	gs_snapshot_free(s);
	return root;
}

static json_t *get(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!value)
		fail_msg("no member %s", name);
	return value;
}

static json_t *first(json_t *object, const char *name)
{
	json_t *value = json_array_get(get(object, name), 0);

	assert_non_null(value);
	return value;
}

static void assert_text(json_t *object, const char *name, const char *text)
{
	assert_non_null(json_string_value(get(object, name)));
	assert_string_equal(json_string_value(get(object, name)), text);
}

static void assert_number(json_t *object, const char *name, json_int_t number)
{
	assert_true(json_is_integer(get(object, name)));
	assert_int_equal(json_integer_value(get(object, name)), number);
}

static void assert_null_member(json_t *object, const char *name)
{
	assert_true(json_is_null(get(object, name)));
}

static void assert_members(json_t *object, const char *const *names, size_t n)
{
	const char *name;
	json_t *value;
	size_t i = 0;

	json_object_foreach(object, name, value) {
		assert_true(i < n);
		assert_string_equal(name, names[i]);
		i++;
	}
	assert_int_equal(i, n);
}

static void members_are_in_order(void **state)
{
	static const char *const root_names[] = {
		"schema", "version", "time", "target", "allocator", "program_malloc", "capture",
		"mallopt", "totals", "arenas", "mmapped", "not_malloc", "other_allocators",
		"what_if", "findings", "warnings",
	};
	static const char *const heap_names[] = {
		"address", "end", "reserved_bytes", "position", "idle", "stable", "mapped_bytes",
		"resident_bytes", "swapped_bytes", "live_bytes", "live_chunks", "overhead_bytes",
		"free", "stalled_bytes", "stalled_swapped_bytes", "reclaimable_bytes",
		"returned_bytes", "unsettled_bytes", "pin", "map",
	};
	json_t *root = parse_sample(GS_SAMPLE_STALLED);

	assert_members(root, root_names, N(root_names));
	assert_members(first(first(root, "arenas"), "heaps"), heap_names, N(heap_names));
	json_decref(root);
}

static void values_are_those_of_the_snapshot(void **state)
{
	json_t *root = parse_sample(GS_SAMPLE_SMALL);
	json_t *arena = first(root, "arenas"), *heap = first(arena, "heaps");
	json_t *finding = first(root, "findings");

	assert_text(root, "schema", "glibcstall.inspect/1");
	assert_text(root, "time", "2026-01-31T12:00:00Z");
	assert_number(get(root, "target"), "pid", 4312);
	assert_text(get(root, "target"), "kind", "process");
	assert_int_equal(json_array_size(get(get(root, "target"), "cmdline")), 5);
	assert_null_member(get(root, "capture"), "pause_ns");
	assert_null_member(get(root, "allocator"), "debug_file");
	assert_number(get(root, "mallopt"), "trim_threshold_bytes", 64 << 20);
	assert_number(get(root, "totals"), "stalled_bytes", 4194304);
	assert_number(get(get(root, "totals"), "free"), "tcache_bytes", 8192);
	assert_text(arena, "kind", "main");
	assert_text(arena, "address", "0x7f2a4c1d3c60");
	assert_number(first(arena, "threads"), "tid", 4312);
	assert_text(heap, "position", "segment");
	assert_text(get(heap, "pin"), "state", "live");
	assert_null_member(get(heap, "pin"), "cache");
	assert_null_member(get(heap, "pin"), "tid");
	assert_text(get(heap, "pin"), "owner", "vtable for Session");
	assert_number(get(heap, "map"), "cell_bytes", 256 << 10);
	assert_text(finding, "severity", "high");
	assert_number(get(finding, "evidence"), "pin_bytes", 48);
	assert_text(get(finding, "evidence"), "owner", "vtable for Session");
	assert_int_equal(json_string_value(get(get(finding, "evidence"), "pin"))[1], 'x');
	assert_text(first(finding, "advice"), "kind", "now");
	assert_null_member(first(finding, "advice"), "command");
	json_decref(root);
}

static void cached_pins_say_where(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_SMALL);
	struct gs_pin *pin = &s->arenas[0].heaps[0].pin;

	pin->state = GS_CHUNK_TCACHE;
	pin->tid = 4313;
	json_t *root = parse(s);
	json_t *object = get(first(first(root, "arenas"), "heaps"), "pin");
	assert_text(object, "state", "cached");
	assert_text(object, "cache", "tcache");
	assert_number(object, "tid", 4313);
	json_decref(root);

	pin->address = 0;
	root = parse(s);
	assert_null_member(first(first(root, "arenas"), "heaps"), "pin");
	json_decref(root);
	gs_snapshot_free(s);
}

static void unknown_is_null(void **state)
{
	json_t *root = parse_sample(GS_SAMPLE_CORE);
	json_t *totals = get(root, "totals");

	assert_text(get(root, "target"), "kind", "core");
	assert_null_member(get(root, "target"), "rss_bytes");
	assert_null_member(totals, "resident_bytes");
	assert_null_member(totals, "stalled_bytes");
	assert_null_member(get(totals, "free"), "tcache_chunks");
	assert_null_member(get(totals, "free"), "fastbin_bytes");
	assert_true(json_is_integer(get(get(totals, "free"), "bin_bytes")));
	assert_null_member(first(root, "arenas"), "attached_threads");
	assert_null_member(get(root, "mmapped"), "resident_bytes");
	assert_null_member(get(root, "mallopt"), "tcache_count");
	assert_null_member(first(root, "what_if"), "releasable_bytes");
	json_decref(root);
}

static void other_mallocs_are_listed(void **state)
{
	static const char *const names[] = { "allocator", "totals", "arenas", "mmapped" };
	json_t *root = parse_sample(GS_SAMPLE_OTHERS);
	json_t *others = get(root, "other_allocators");

	assert_text(get(root, "program_malloc"), "name", "jemalloc");
	assert_int_equal(json_array_size(others), 2);
	assert_members(json_array_get(others, 0), names, N(names));
	json_t *debug = json_array_get(others, 1);
	assert_null_member(get(debug, "allocator"), "version");
	assert_number(get(debug, "totals"), "mapped_bytes",
		      json_integer_value(get(first(debug, "arenas"), "mapped_bytes")));
	json_decref(root);
}

static void hostile_text_is_escaped(void **state)
{
	static const char evil[] = "a\033[31mb\nc\xef\xbf\xbd" "d\xef\xbf\xbd\xef\xbf\xbd"
				   "\xe2\x80\xae" "e\tf\x7f";
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_HOSTILE);
	cleanup_free_ char *text = render(s, true);
	json_t *root = parse(s);

	for (const char *c = text; *c != '\n'; c++)
		assert_true((unsigned char)*c >= 0x20);
	assert_text(get(root, "target"), "comm", evil);
	assert_text(first(root, "not_malloc"), "name", evil);
	assert_text(get(first(first(root, "arenas"), "heaps"), "pin"), "owner", evil);
	/* More than a JSON integer holds. */
	assert_number(get(root, "mallopt"), "top_pad_bytes", INT64_MAX);
	json_decref(root);
	gs_snapshot_free(s);
}

static void compact_is_one_line(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_STALLED);
	cleanup_free_ char *compact = render(s, true);
	cleanup_free_ char *indented = render(s, false);
	json_t *one = json_loads(compact, 0, NULL), *two = json_loads(indented, 0, NULL);

	assert_ptr_equal(strchr(compact, '\n'), compact + strlen(compact) - 1);
	assert_int_equal(indented[strlen(indented) - 1], '\n');
	assert_true(json_equal(one, two));
	json_decref(one);
	json_decref(two);
	gs_snapshot_free(s);
}

/* A failed write is the caller's to find. */
static void full_disk_shows_in_ferror(void **state)
{
	struct gs_snapshot *s = gs_sample_new(GS_SAMPLE_STALLED);
	FILE *out = fopen("/dev/full", "w");

	assert_non_null(out);
	assert_null(gs_render_json(s, false, out));
	fflush(out);
	assert_true(ferror(out));
	fclose(out);
	gs_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_in_order),
		cmocka_unit_test(values_are_those_of_the_snapshot),
		cmocka_unit_test(cached_pins_say_where),
		cmocka_unit_test(unknown_is_null),
		cmocka_unit_test(other_mallocs_are_listed),
		cmocka_unit_test(hostile_text_is_escaped),
		cmocka_unit_test(compact_is_one_line),
		cmocka_unit_test(full_disk_shows_in_ferror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
