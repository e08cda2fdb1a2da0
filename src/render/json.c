/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/render.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/text.h"

/* A member of a document that is a uint64_t of a struct of the model. */
struct number_member {
	const char *name;
	size_t offset;
};

#define MEMBER(type, field, name) { name, offsetof(struct type, field) }
#define N(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Jansson reports that memory ran out at each call; here a failure just leaves something out and
 * is remembered, so that the code below reads like the document.
 */
struct doc {
	const struct gs_snapshot *snapshot;
	bool failed;
};

static void put(struct doc *doc, json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) != 0)
		doc->failed = true;
}

static void append(struct doc *doc, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		doc->failed = true;
}

/* JSON readers have signed 64 bits at most; what is more cannot be a size. */
static json_t *number(uint64_t n)
{
	if (n == GS_UNKNOWN)
		return json_null();
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *address(gs_addr addr)
{
	char buf[GS_FMT_LEN];

	return json_string(gs_fmt_addr(buf, addr));
}

static json_t *text(const char *s)
{
	if (!s)
		return json_null();
	cleanup_free_ char *utf8 = gs_text_utf8(s, strlen(s));
	return json_string(utf8);
}

static void put_numbers(struct doc *doc, json_t *object, const struct number_member *members,
			size_t n, const void *from, bool exists)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value;

		memcpy(&value, (const char *)from + members[i].offset, sizeof(value));
		put(doc, object, members[i].name, exists ? number(value) : json_null());
	}
}

static json_t *strings(struct doc *doc, char *const *data, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		append(doc, array, text(data[i]));
	return array;
}

static json_t *time_text(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char buf[64];

	if (!gmtime_r(&t, &tm) || !strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(buf);
}

static json_t *free_object(struct doc *doc, const struct gs_account *account)
{
	static const struct number_member tcache[] = {
		MEMBER(gs_account, tcache_bytes, "tcache_bytes"),
		MEMBER(gs_account, tcache_chunks, "tcache_chunks"),
	};
	static const struct number_member fastbins[] = {
		MEMBER(gs_account, fastbin_bytes, "fastbin_bytes"),
		MEMBER(gs_account, fastbin_chunks, "fastbin_chunks"),
	};
	static const struct number_member others[] = {
		MEMBER(gs_account, bin_bytes, "bin_bytes"),
		MEMBER(gs_account, bin_chunks, "bin_chunks"),
		MEMBER(gs_account, top_bytes, "top_bytes"),
	};
	json_t *object = json_object();

	put_numbers(doc, object, tcache, N(tcache), account, doc->snapshot->allocator.has_tcache);
	put_numbers(doc, object, fastbins, N(fastbins), account,
		    doc->snapshot->allocator.has_fastbins);
	put_numbers(doc, object, others, N(others), account, true);
	return object;
}

static void put_account(struct doc *doc, json_t *object, const struct gs_account *account)
{
	static const struct number_member before_free[] = {
		MEMBER(gs_account, mapped_bytes, "mapped_bytes"),
		MEMBER(gs_account, resident_bytes, "resident_bytes"),
		MEMBER(gs_account, swapped_bytes, "swapped_bytes"),
		MEMBER(gs_account, live_bytes, "live_bytes"),
		MEMBER(gs_account, live_chunks, "live_chunks"),
		MEMBER(gs_account, overhead_bytes, "overhead_bytes"),
	};
	static const struct number_member after_free[] = {
		MEMBER(gs_account, stalled_bytes, "stalled_bytes"),
		MEMBER(gs_account, stalled_swapped_bytes, "stalled_swapped_bytes"),
		MEMBER(gs_account, reclaimable_bytes, "reclaimable_bytes"),
		MEMBER(gs_account, returned_bytes, "returned_bytes"),
		MEMBER(gs_account, unsettled_bytes, "unsettled_bytes"),
	};

	put_numbers(doc, object, before_free, N(before_free), account, true);
	put(doc, object, "free", free_object(doc, account));
	put_numbers(doc, object, after_free, N(after_free), account, true);
}

static json_t *target_object(struct doc *doc)
{
	static const char *const kinds[] = {
		[GS_TARGET_PROCESS] = "process", [GS_TARGET_CORE] = "core",
	};
	const struct gs_snapshot *s = doc->snapshot;
	json_t *object = json_object();

	put(doc, object, "kind", json_string(kinds[s->target.kind]));
	put(doc, object, "pid", json_integer(s->target.pid));
	put(doc, object, "start_ticks", number(s->target.start_ticks));
	put(doc, object, "comm", text(s->target.comm));
	put(doc, object, "exe", text(s->target.exe));
	put(doc, object, "cmdline", strings(doc, s->target.cmdline, s->target.n_cmdline));
	put(doc, object, "machine", text(s->target.machine));
	put(doc, object, "threads", number(s->target.threads));
	put(doc, object, "rss_bytes", number(s->target.rss_bytes));
	put(doc, object, "swap_bytes", number(s->target.swap_bytes));
	return object;
}

static json_t *allocator_object(struct doc *doc)
{
	static const char *const symbols[] = {
		[GS_SYMBOLS_DEBUGINFO] = "debuginfo",
		[GS_SYMBOLS_SYMTAB] = "symtab",
		[GS_SYMBOLS_STRUCTURE] = "structure",
	};
	static const char *const layouts[] = {
		[GS_LAYOUT_DWARF] = "dwarf", [GS_LAYOUT_TABLE] = "table",
	};
	const struct gs_snapshot *s = doc->snapshot;
	json_t *object = json_object();

	put(doc, object, "name", json_string("glibc"));
	put(doc, object, "version", text(s->allocator.version));
	put(doc, object, "path", text(s->allocator.path));
	put(doc, object, "build_id", text(s->allocator.build_id));
	put(doc, object, "symbols", json_string(symbols[s->allocator.symbols]));
	put(doc, object, "layout", json_string(layouts[s->allocator.layout]));
	put(doc, object, "checks", number(s->allocator.checks));
	put(doc, object, "debug_file", text(s->allocator.debug_file));
	return object;
}

static json_t *capture_object(struct doc *doc)
{
	static const char *const modes[] = {
		[GS_CAPTURE_LIVE] = "live",
		[GS_CAPTURE_STOPPED] = "stopped",
		[GS_CAPTURE_CORE] = "core",
	};
	const struct gs_snapshot *s = doc->snapshot;
	json_t *object = json_object();

	put(doc, object, "mode", json_string(modes[s->capture.mode]));
	put(doc, object, "pause_ns", number(s->capture.pause_ns));
	put(doc, object, "duration_ns", number(s->capture.duration_ns));
	put(doc, object, "bytes_read", number(s->capture.bytes_read));
	put(doc, object, "passes", number(s->capture.passes));
	put(doc, object, "unstable_heaps", number(s->capture.unstable_heaps));
	put(doc, object, "changed_chunks", number(s->capture.changed_chunks));
	put(doc, object, "complete", json_boolean(s->capture.complete));
	return object;
}

static json_t *mallopt_object(struct doc *doc)
{
	static const struct number_member members[] = {
		MEMBER(gs_mallopt, trim_threshold, "trim_threshold_bytes"),
		MEMBER(gs_mallopt, top_pad, "top_pad_bytes"),
		MEMBER(gs_mallopt, mmap_threshold, "mmap_threshold_bytes"),
		MEMBER(gs_mallopt, arena_max, "arena_max"),
		MEMBER(gs_mallopt, arena_test, "arena_test"),
		MEMBER(gs_mallopt, tcache_count, "tcache_count"),
		MEMBER(gs_mallopt, tcache_max_bytes, "tcache_max_bytes"),
	};
	const struct gs_mallopt *mallopt = &doc->snapshot->mallopt;
	json_t *object = json_object();

	put_numbers(doc, object, members, N(members), mallopt, true);
	put(doc, object, "dynamic_threshold", json_boolean(mallopt->dynamic_threshold));
	return object;
}

static json_t *threads_array(struct doc *doc, const struct gs_arena *arena)
{
	static const struct number_member members[] = {
		MEMBER(gs_attached, tcache_bytes, "tcache_bytes"),
		MEMBER(gs_attached, tcache_chunks, "tcache_chunks"),
	};
	json_t *array = json_array();

	for (size_t i = 0; i < arena->n_threads; i++) {
		json_t *object = json_object();

		put(doc, object, "tid", json_integer(arena->threads[i].tid));
		put(doc, object, "comm", text(arena->threads[i].comm));
		put_numbers(doc, object, members, N(members), &arena->threads[i],
			    doc->snapshot->allocator.has_tcache);
		append(doc, array, object);
	}
	return array;
}

static json_t *pin_object(struct doc *doc, const struct gs_pin *pin)
{
	static const struct { const char *state, *cache; } states[] = {
		[GS_CHUNK_LIVE] = { "live", NULL },
		[GS_CHUNK_TCACHE] = { "cached", "tcache" },
		[GS_CHUNK_FASTBIN] = { "cached", "fastbin" },
	};
	if (pin->address == 0)
		return json_null();
	json_t *object = json_object();

	put(doc, object, "address", address(pin->address));
	put(doc, object, "size_bytes", number(pin->size));
	put(doc, object, "state", json_string(states[pin->state].state));
	put(doc, object, "cache", text(states[pin->state].cache));
	put(doc, object, "tid", pin->tid ? json_integer(pin->tid) : json_null());
	put(doc, object, "below_bytes", number(pin->below_bytes));
	put(doc, object, "above_bytes", number(pin->above_bytes));
	put(doc, object, "owner", text(pin->owner));
	return object;
}

static json_t *map_object(struct doc *doc, const struct gs_heap *heap)
{
	if (!heap->cells)
		return json_null();
	json_t *object = json_object();

	put(doc, object, "cell_bytes", number(heap->cell_bytes));
	put(doc, object, "cells", text(heap->cells));
	return object;
}

static json_t *heap_object(struct doc *doc, const struct gs_heap *heap)
{
	static const char *const positions[] = {
		[GS_POS_ONLY] = "only",
		[GS_POS_FIRST] = "first",
		[GS_POS_INTERIOR] = "interior",
		[GS_POS_LAST] = "last",
		[GS_POS_SEGMENT] = "segment",
	};
	json_t *object = json_object();

	put(doc, object, "address", address(heap->address));
	put(doc, object, "end", address(heap->end));
	put(doc, object, "reserved_bytes", number(heap->reserved_bytes));
	put(doc, object, "position", json_string(positions[heap->position]));
	put(doc, object, "idle", json_boolean(heap->idle));
	put(doc, object, "stable", json_boolean(heap->stable));
	put_account(doc, object, &heap->account);
	put(doc, object, "pin", pin_object(doc, &heap->pin));
	put(doc, object, "map", map_object(doc, heap));
	return object;
}

static json_t *arena_object(struct doc *doc, const struct gs_arena *arena)
{
	json_t *object = json_object();
	json_t *heaps = json_array();

	put(doc, object, "index", number(arena->index));
	put(doc, object, "kind", json_string(arena->index == 0 ? "main" : "thread"));
	put(doc, object, "address", address(arena->address));
	put(doc, object, "system_bytes", number(arena->system_bytes));
	put(doc, object, "max_system_bytes", number(arena->max_system_bytes));
	put(doc, object, "unlocated_bytes", number(arena->unlocated_bytes));
	put(doc, object, "attached_threads", number(arena->attached_threads));
	put(doc, object, "threads", threads_array(doc, arena));
	put_account(doc, object, &arena->account);
	for (size_t i = 0; i < arena->n_heaps; i++)
		append(doc, heaps, heap_object(doc, &arena->heaps[i]));
	put(doc, object, "heaps", heaps);
	return object;
}

static json_t *program_malloc(struct doc *doc)
{
	const struct gs_snapshot *s = doc->snapshot;

	if (!s->program_malloc.path)
		return json_null();
	json_t *object = json_object();

	put(doc, object, "name", text(s->program_malloc.name));
	put(doc, object, "path", text(s->program_malloc.path));
	return object;
}

static json_t *arenas_array(struct doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->snapshot->n_arenas; i++)
		append(doc, array, arena_object(doc, &doc->snapshot->arenas[i]));
	return array;
}

static json_t *totals_object(struct doc *doc)
{
	json_t *object = json_object();

	put_account(doc, object, &doc->snapshot->totals);
	return object;
}

static json_t *mmapped_object(struct doc *doc)
{
	json_t *object = json_object();

	put(doc, object, "chunks", number(doc->snapshot->mmapped.chunks));
	put(doc, object, "bytes", number(doc->snapshot->mmapped.bytes));
	put(doc, object, "resident_bytes", number(doc->snapshot->mmapped.resident_bytes));
	return object;
}

static json_t *not_malloc_array(struct doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->snapshot->n_not_malloc; i++) {
		const struct gs_mapping *mapping = &doc->snapshot->not_malloc[i];
		json_t *object = json_object();

		put(doc, object, "name", text(mapping->name));
		put(doc, object, "mapped_bytes", number(mapping->mapped_bytes));
		put(doc, object, "resident_bytes", number(mapping->resident_bytes));
		append(doc, array, object);
	}
	return array;
}

static json_t *what_if_array(struct doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < GS_WHAT_IF_N; i++) {
		const struct gs_what_if *what_if = &doc->snapshot->what_if[i];
		json_t *object = json_object();

		put(doc, object, "granularity_bytes", number(what_if->granularity_bytes));
		put(doc, object, "releasable_bytes", number(what_if->releasable_bytes));
		append(doc, array, object);
	}
	return array;
}

static json_t *evidence_object(struct doc *doc, const struct gs_finding *finding)
{
	json_t *object = json_object();

	for (size_t i = 0; i < finding->n_evidence; i++) {
		const struct gs_evidence *evidence = &finding->evidence[i];
		json_t *value = evidence->type == GS_EVIDENCE_NUMBER ? number(evidence->number) :
				evidence->type == GS_EVIDENCE_ADDRESS ? address(evidence->number) :
									text(evidence->text);

		put(doc, object, evidence->name, value);
	}
	return object;
}

static json_t *advice_array(struct doc *doc, const struct gs_finding *finding)
{
	json_t *array = json_array();

	for (size_t i = 0; i < finding->n_advice; i++) {
		const struct gs_advice *advice = &finding->advice[i];
		json_t *object = json_object();

		put(doc, object, "kind", json_string(advice->fix ? "fix" : "now"));
		put(doc, object, "command", text(advice->command));
		put(doc, object, "text", text(advice->text));
		append(doc, array, object);
	}
	return array;
}

static json_t *finding_object(struct doc *doc, const struct gs_finding *finding)
{
	static const char *const severities[] = {
		[GS_SEVERITY_HIGH] = "high",
		[GS_SEVERITY_MEDIUM] = "medium",
		[GS_SEVERITY_LOW] = "low",
	};
	json_t *object = json_object();

	put(doc, object, "id", text(finding->id));
	put(doc, object, "severity", json_string(severities[finding->severity]));
	put(doc, object, "bytes", finding->bytes ? number(finding->bytes) : json_null());
	put(doc, object, "arena", finding->arena < 0 ? json_null() : json_integer(finding->arena));
	put(doc, object, "heap", finding->heap ? address(finding->heap) : json_null());
	put(doc, object, "summary", text(finding->summary));
	put(doc, object, "evidence", evidence_object(doc, finding));
	put(doc, object, "advice", advice_array(doc, finding));
	return object;
}

static json_t *findings_array(struct doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->snapshot->n_findings; i++)
		append(doc, array, finding_object(doc, &doc->snapshot->findings[i]));
	return array;
}

static json_t *other_object(struct doc *doc)
{
	json_t *object = json_object();

	put(doc, object, "allocator", allocator_object(doc));
	put(doc, object, "totals", totals_object(doc));
	put(doc, object, "arenas", arenas_array(doc));
	put(doc, object, "mmapped", mmapped_object(doc));
	return object;
}

static json_t *others_array(struct doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->snapshot->n_others; i++) {
		struct doc other = { .snapshot = doc->snapshot->others[i] };

		append(doc, array, other_object(&other));
		doc->failed |= other.failed;
	}
	return array;
}

static json_t *document(struct doc *doc)
{
	const struct gs_snapshot *s = doc->snapshot;
	json_t *object = json_object();

	put(doc, object, "schema", json_string("glibcstall.inspect/1"));
	put(doc, object, "version", json_string(PACKAGE_VERSION));
	put(doc, object, "time", time_text(s->time));
	put(doc, object, "target", target_object(doc));
	put(doc, object, "allocator", allocator_object(doc));
	put(doc, object, "program_malloc", program_malloc(doc));
	put(doc, object, "capture", capture_object(doc));
	put(doc, object, "mallopt", mallopt_object(doc));
	put(doc, object, "totals", totals_object(doc));
	put(doc, object, "arenas", arenas_array(doc));
	put(doc, object, "mmapped", mmapped_object(doc));
	put(doc, object, "not_malloc", not_malloc_array(doc));
	put(doc, object, "other_allocators", others_array(doc));
	put(doc, object, "what_if", what_if_array(doc));
	put(doc, object, "findings", findings_array(doc));
	put(doc, object, "warnings", strings(doc, s->warnings, s->n_warnings));
	return object;
}

struct gs_err *gs_render_json(const struct gs_snapshot *snapshot, bool compact, FILE *out)
{
	struct doc doc = { .snapshot = snapshot };
	json_t *root = document(&doc);

	if (!root || doc.failed) {
		json_decref(root);
		return &gs_err_nomem;
	}
	/* A failed write shows in ferror(out), any other failure is one of memory. */
	bool failed = json_dumpf(root, out, compact ? JSON_COMPACT : JSON_INDENT(2)) != 0;
	json_decref(root);
	if (failed)
		return ferror(out) ? NULL : &gs_err_nomem;
	fputc('\n', out);
	return NULL;
}
