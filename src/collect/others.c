/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/others.h"

#include <stdlib.h>

#include "base/vec.h"
#include "base/xalloc.h"

/* What is wrong with a copy is said in the report of the process. */
static void say_warnings(const struct gs_other *other, struct gs_snapshot *to)
{
	for (size_t i = 0; i < other->snapshot->n_warnings; i++)
		gs_snapshot_warn(to, "malloc of %s: %s", other->module->path,
				 other->snapshot->warnings[i]);
}

/* --- finding them --- */

static void add_copy(const struct gs_find *where, struct gs_module *module, bool is_libc,
		     struct gs_snapshot *snapshot, struct gs_others *others)
{
	struct gs_other other = { .module = module, .snapshot = gs_snapshot_new() };
	struct gs_err *err = gs_find_malloc(where, module, other.snapshot, &other.m);

	if (!err) {
		say_warnings(&other, snapshot);
		other.found_checks = other.snapshot->allocator.checks;
		*gs_vec_push(others) = other;
		return;
	}
	if (is_libc)
		gs_snapshot_warn(snapshot, "the malloc of another libc, %s, could not be found: %s",
				 module->path, err->msg);
	gs_err_free(err);
	gs_snapshot_free(other.snapshot);
}

void gs_others_find(const struct gs_find *where, const struct gs_modules *modules,
		    const struct gs_module *libc, const struct gs_module *owner,
		    struct gs_snapshot *snapshot, struct gs_others *ret)
{
	struct gs_find own_version = *where, structure = *where;

	own_version.version = NULL;
	structure.no_debuginfo = true;	/* nobody else's symbols are called as malloc's are */
	structure.verify = false;
	for (size_t i = 0; i < modules->len; i++) {
		struct gs_module *module = modules->data[i];
		if (module == libc)
			continue;
		if (gs_module_defines(module, "gnu_get_libc_version"))
			add_copy(&own_version, module, true, snapshot, ret);
		else if (module == owner && !gs_module_allocator_name(module))
			add_copy(&structure, module, false, snapshot, ret);
	}
	gs_ranges_add(&ret->images, libc->map_start, libc->map_end);
	for (size_t i = 0; i < ret->len; i++)
		gs_ranges_add(&ret->images, ret->data[i].m.image_start, ret->data[i].m.image_end);
	gs_ranges_sort(&ret->images);
}

const struct gs_ranges *gs_others_images(const struct gs_others *others)
{
	return others->len ? &others->images : NULL;
}

struct gs_other *gs_others_of(const struct gs_others *others, const struct gs_module *module)
{
	for (size_t i = 0; i < others->len; i++) {
		if (others->data[i].module == module)
			return &others->data[i];
	}
	return NULL;
}

uint64_t gs_malloc_held(struct gs_mem *mem, const struct gs_malloc *m)
{
	struct gs_addrs ring = {};
	struct gs_par par;
	struct gs_err *err = gs_par_read(mem, m, &par);
	uint64_t held = 0;

	if (!err)
		err = gs_arena_ring(mem, m, &ring);
	if (err) {
		gs_err_free(err);
		return 0;
	}
	for (size_t i = 0; i < ring.len; i++) {
		struct gs_arena_state arena;
		if (gs_arena_read(mem, m, ring.data[i], &arena) &&
		    !gs_arena_is_unused(m, &arena))
			held += arena.system_mem;
	}
	free(ring.data);
	return held + par.mmapped_mem;
}

/* --- reading them --- */

/* The memory of what was read belongs to nobody else. */
static void take(const struct gs_reading *r, struct gs_ranges *taken)
{
	const struct gs_snapshot *s = r->snapshot;

	for (size_t i = 0; i < s->n_arenas; i++) {
		for (size_t j = 0; j < s->arenas[i].n_heaps; j++)
			gs_ranges_add(taken, s->arenas[i].heaps[j].address,
				      s->arenas[i].heaps[j].end);
	}
	/* Only where the counters say that no more were found than there are. */
	for (size_t i = 0; s->mmapped.resident_bytes != GS_UNKNOWN && i < r->mmapped.ranges.len;
	     i++)
		gs_ranges_add(taken, r->mmapped.ranges.data[i].start,
			      r->mmapped.ranges.data[i].end);
	gs_ranges_sort(taken);
}

static void add_counters(const struct gs_snapshot *from, struct gs_snapshot *to)
{
	to->capture.unstable_heaps += from->capture.unstable_heaps;
	to->capture.changed_chunks += from->capture.changed_chunks;
	if (from->capture.passes > to->capture.passes)
		to->capture.passes = from->capture.passes;
}

static void read_copy(struct gs_other *other, struct gs_ranges *taken, struct gs_reading *main)
{
	struct gs_reading r = {
		.mem = main->mem, .m = &other->m, .maps = main->maps, .threads = main->threads,
		.taken = taken, .images = main->images, .live = main->live,
		.snapshot = other->snapshot,
	};

	gs_snapshot_clear_heap(other->snapshot, 0);
	struct gs_err *err = gs_reading_run(&r);
	if (err) {
		gs_snapshot_warn(main->snapshot, "malloc of %s: %s", other->module->path,
				 err->msg);
		gs_err_free(err);
	}
	other->snapshot->allocator.checks = other->found_checks + r.checks;
	take(&r, taken);
	add_counters(other->snapshot, main->snapshot);
	say_warnings(other, main->snapshot);
	main->swap_warnings += r.swap_warnings;
	gs_reading_fini(&r);
}

void gs_others_read(struct gs_others *others, struct gs_reading *main)
{
	struct gs_ranges taken = {};

	if (others->len)
		take(main, &taken);
	for (size_t i = 0; i < others->len; i++)
		read_copy(&others->data[i], &taken, main);
	gs_ranges_fini(&taken);
}

void gs_others_give(struct gs_others *others, struct gs_snapshot *snapshot)
{
	snapshot->others = gs_xcalloc(others->len, sizeof(struct gs_snapshot *));
	for (size_t i = 0; i < others->len; i++)
		snapshot->others[snapshot->n_others++] = others->data[i].snapshot;
	others->len = 0;
}

void gs_others_fini(struct gs_others *others)
{
	for (size_t i = 0; i < others->len; i++)
		gs_snapshot_free(others->data[i].snapshot);
	free(others->data);
	gs_ranges_fini(&others->images);
	*others = (struct gs_others){};
}
