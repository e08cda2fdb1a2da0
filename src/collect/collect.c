/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/collect.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "collect/core_facts.h"
#include "collect/elsewhere.h"
#include "collect/find_malloc.h"
#include "collect/others.h"
#include "collect/owner.h"
#include "collect/reading.h"
#include "elf/core.h"
#include "elf/module.h"
#include "elf/symtab.h"
#include "model/findings.h"
#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/smaps.h"
#include "proc/target.h"
#include "trace/stop.h"

/* A stop that does not come about within this time is given up. */
#define STOP_DEADLINE_NS UINT64_C(2000000000)

/*
 * A thread may be stopped in the middle of malloc, its heap between two states. Then all run on
 * for this long, and are stopped again.
 */
enum { STOPS_MAX = 10, REST_NS = 2000000 };

/* Everything one inspection holds open. */
struct inspection {
	struct gs_core *core;		/* NULL: a live process */
	struct gs_target *target;
	struct gs_maps maps;		/* as modules were found in them */
	struct gs_maps heap_maps;	/* as they were when the heap was read */
	struct gs_mem *mem;
	struct gs_modules modules;
	struct gs_module *libc;
	struct gs_module *owner;	/* of the program's malloc; NULL: libc, or not known */
	struct gs_threads threads;
	struct gs_malloc m;
	struct gs_others others;
	struct gs_snapshot *snapshot;
};

static void inspection_fini(struct inspection *in)
{
	gs_snapshot_free(in->snapshot);
	gs_others_fini(&in->others);
	gs_threads_fini(&in->threads);
	gs_modules_fini(&in->modules);
	gs_mem_free(in->mem);
	gs_maps_fini(&in->heap_maps);
	gs_maps_fini(&in->maps);
	gs_target_free(in->target);
	gs_core_free(in->core);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- the process and its libc --- */

static struct gs_err *open_process(struct inspection *in, pid_t pid)
{
	struct gs_err *err = gs_target_open(pid, &in->target);

	if (!err)
		err = gs_mem_live_new(in->target, &in->mem);
	if (!err)
		err = gs_maps_read(in->target, &in->maps);
	if (!err)
		err = gs_modules_read(in->target, &in->maps, in->mem, &in->modules);
	return err;
}

static struct gs_err *open_core(struct inspection *in, const char *core_path,
				const char *exe_path)
{
	struct gs_err *err = gs_core_open(core_path, &in->core);

	if (err)
		return err;
	in->target = gs_core_target_new(in->core);
	in->mem = gs_core_mem_new(in->core);
	gs_core_maps(in->core, &in->maps);
	err = gs_modules_read(in->target, &in->maps, in->mem, &in->modules);
	if (!err && !in->modules.len)
		return gs_err_hint(gs_err_new(GS_ERR_FORMAT, "the core file has no ELF headers of "
					      "what was mapped"),
				   "write 0x33 to /proc/PID/coredump_filter before: see core(5)");
	if (!err && exe_path)
		err = gs_core_use_exe(in->core, exe_path, &in->modules);
	return err;
}

static const struct machine {
	uint16_t elf;
	const char *name;
	gs_addr tag_bits;	/* in pointers that malloc returned: memory tags (MTE) */
} machines[] = {
	{ EM_X86_64, "x86_64", 0 },
	{ EM_386, "i386", 0 },
	{ EM_AARCH64, "aarch64", UINT64_C(0x0f) << 56 },
};

/* NULL: not a machine whose processes we can read. */
static const struct machine *machine_of(const struct gs_module *module)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].elf == module->machine)
			return &machines[i];
	}
	return NULL;
}

static const char *machine_name(const struct gs_module *module)
{
	return machine_of(module)->name;
}

static struct gs_err *check_machine(struct inspection *in)
{
	for (size_t i = 0; i < in->modules.len; i++) {
		const struct gs_module *module = in->modules.data[i];
		const struct machine *machine = machine_of(module);
		if (!machine)
			return gs_err_new(GS_ERR_UNSUPPORTED, "%s is a program for a machine (ELF "
					  "number %u) that is not supported", module->path,
					  module->machine);
		in->mem->tag_bits |= machine->tag_bits;
	}
	return NULL;
}

static struct gs_err *find_libc(struct inspection *in)
{
	struct gs_err *err = check_machine(in);

	if (!err)
		err = gs_modules_libc(&in->modules, &in->libc);
	if (err)
		return err;
	in->owner = gs_modules_malloc_owner(&in->modules, in->mem);
	if (in->owner == in->libc)
		in->owner = NULL;
	return NULL;
}

static const struct gs_threads *threads_of(const struct inspection *in)
{
	return in->core ? &in->core->threads : &in->threads;
}

/* libc's own malloc is worth a report beside the program's if it holds so much. */
enum { HELD_MIN = 64 << 10 };

/* Another malloc than glibc's serves the program. Takes err over, which says less. */
static struct gs_err *not_glibc(const struct inspection *in, struct gs_err *err)
{
	const char *name = gs_module_allocator_name(in->owner);

	gs_err_free(err);
	return gs_err_new(GS_ERR_NOT_GLIBC, "its malloc is %s%sin %s, not glibc's",
			  name ? name : "", name ? ", " : "", in->owner->path);
}

/* Make the copy of malloc that serves the program the main one, and the libc's another one. */
static void swap_main(struct inspection *in, struct gs_other *other)
{
	struct gs_snapshot *a = in->snapshot, *b = other->snapshot;
	struct gs_module *module = in->libc;
	struct gs_malloc m = in->m;
	__typeof__(a->allocator) allocator = a->allocator;

	in->libc = other->module;
	in->m = other->m;
	a->allocator = b->allocator;
	other->module = module;
	other->m = m;
	b->allocator = allocator;
	other->found_checks = allocator.checks;
}

/* The program's malloc is not libc's: is it one that can be read, or what does libc's hold? */
static struct gs_err *settle_owner(struct inspection *in)
{
	struct gs_other *other = gs_others_of(&in->others, in->owner);
	const char *name = gs_module_allocator_name(in->owner);

	if (other) {
		/* libc_malloc_debug.so passes all on to libc unless MALLOC_CHECK_ is set. */
		if (gs_malloc_held(in->mem, &other->m))
			swap_main(in, other);
		return NULL;
	}
	if (gs_malloc_held(in->mem, &in->m) < HELD_MIN)
		return not_glibc(in, NULL);
	in->snapshot->program_malloc.name = name ? gs_xstrdup(name) : NULL;
	in->snapshot->program_malloc.path = gs_xstrdup(in->owner->path);
	return NULL;
}

/* All about symbols happens here, before anything is stopped. */
static struct gs_err *find_malloc(struct inspection *in, const struct gs_collect_options *options)
{
	struct gs_snapshot *s = in->snapshot;
	struct gs_err *err = in->core ? NULL : gs_target_threads(in->target, &in->threads);

	if (err)
		return err;
	struct gs_find where = {
		.target = in->target, .maps = &in->maps, .mem = in->mem,
		.threads = threads_of(in), .no_debuginfo = options->no_debuginfo,
		.verify = options->verify,
	};
	err = gs_find_malloc(&where, in->libc, s, &in->m);
	if (err && in->owner)
		return not_glibc(in, err);
	if (err)
		return err;
	where.version = s->allocator.version;
	gs_others_find(&where, &in->modules, in->libc, in->owner, s, &in->others);
	return in->owner ? settle_owner(in) : NULL;
}

/* --- the heap --- */

/* The mappings may have changed while symbols were read. */
static struct gs_err *look_again(struct inspection *in)
{
	gs_maps_fini(&in->heap_maps);
	gs_threads_fini(&in->threads);
	struct gs_err *err = gs_maps_read(in->target, &in->heap_maps);
	if (!err)
		err = gs_target_threads(in->target, &in->threads);
	return err;
}

static struct gs_err *read_heap(struct inspection *in, bool live, struct gs_reading *reading)
{
	struct gs_err *err = in->core ? NULL : look_again(in);

	if (err)
		return err;
	*reading = (struct gs_reading){
		.mem = in->mem, .m = &in->m,
		.maps = in->core ? &in->maps : &in->heap_maps, .threads = threads_of(in),
		.images = gs_others_images(&in->others), .live = live, .snapshot = in->snapshot,
	};
	err = gs_reading_run(reading);
	if (!err)
		gs_others_read(&in->others, reading);
	return err;
}

static struct gs_err *read_heap_in_stop(struct inspection *in, struct gs_reading *reading)
{
	struct gs_stop *stop;
	struct gs_err *err = gs_stop_all(in->target, STOP_DEADLINE_NS, &stop);

	if (err)
		return err;
	err = read_heap(in, false, reading);
	bool interrupted = gs_stop_interrupted(stop);
	uint64_t pause_ns;
	gs_stop_resume(stop, &pause_ns);
	in->snapshot->capture.pause_ns += pause_ns;
	if (!err && interrupted)
		err = gs_err_new(GS_ERR_INTERRUPTED, "interrupted");
	return err;
}

static struct gs_err *read_heap_stopped(struct inspection *in, struct gs_reading *reading)
{
	static const struct timespec rest = { .tv_nsec = REST_NS };
	struct gs_snapshot *s = in->snapshot;
	const size_t found_warnings = s->n_warnings;

	s->capture.pause_ns = 0;
	for (unsigned stops = 1;; stops++) {
		struct gs_err *err = read_heap_in_stop(in, reading);
		if (s->capture.passes < stops)
			s->capture.passes = stops;
		bool torn = s->n_warnings > found_warnings + reading->swap_warnings ||
			    (err && err->code == GS_ERR_FORMAT);
		if (!torn || stops == STOPS_MAX)
			return err;
		gs_err_free(err);
		gs_reading_fini(reading);
		gs_snapshot_clear_heap(s, found_warnings);
		nanosleep(&rest, NULL);
	}
}

/* --- the rest of the snapshot --- */

static void name_pins(struct inspection *in, const struct gs_reading *reading)
{
	struct gs_symbolizer *symbolizer = gs_symbolizer_new(in->target, &in->modules);

	for (size_t i = 0; i < reading->pins.len; i++) {
		const struct gs_pin_words *words = &reading->pins.data[i];
		struct gs_pin *pin =
			&in->snapshot->arenas[words->arena].heaps[words->heap].pin;
		pin->owner = gs_owner_of(symbolizer, words->bytes, words->len,
					 in->m.layout.word);
	}
	gs_symbolizer_free(symbolizer);
}

static void fill_cmdline(struct gs_snapshot *s, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		n++;
	s->target.cmdline = gs_xcalloc(n, sizeof(*s->target.cmdline));
	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		s->target.cmdline[s->target.n_cmdline++] = gs_xstrdup(text + at);
}

static struct gs_err *fill_target(struct inspection *in, const struct gs_reading *reading)
{
	struct gs_snapshot *s = in->snapshot;
	struct gs_smaps smaps;
	cleanup_free_ char *cmdline = NULL;
	size_t len;

	struct gs_err *err = gs_target_cmdline(in->target, &cmdline, &len);
	if (err)
		return err;
	fill_cmdline(s, cmdline, len);
	s->target.kind = GS_TARGET_PROCESS;
	s->target.pid = in->target->pid;
	s->target.start_ticks = in->target->start_ticks;
	s->target.comm = gs_xstrdup(in->target->comm);
	s->target.exe = in->target->exe ? gs_xstrdup(in->target->exe) : NULL;
	s->target.machine = machine_name(in->libc);
	s->target.threads = (unsigned)in->threads.len;
	err = gs_smaps_read(in->target, &smaps);
	if (err)
		return err;
	s->target.rss_bytes = smaps.sum.rss_bytes;
	s->target.swap_bytes = smaps.sum.swap_bytes;
	s->target.anonymous_bytes = smaps.sum.anonymous_bytes;
	gs_elsewhere_fill(s, &smaps, &reading->mmapped.ranges);
	gs_smaps_fini(&smaps);
	return NULL;
}

static void fill_target_of_core(struct inspection *in, const struct gs_reading *reading)
{
	/* Threads of a core do not end meanwhile. */
	if (reading->unknown_threads)
		gs_snapshot_warn(in->snapshot, "what %zu of its %zu threads keep in their tcaches "
				 "is not known and counts as live", reading->unknown_threads,
				 in->core->threads.len);
	gs_core_fill_target(in->snapshot, in->core);
	in->snapshot->target.machine = machine_name(in->libc);
	gs_core_forget_residency(in->snapshot);
}

static struct gs_err *inspect(struct inspection *in, const struct gs_collect_options *options)
{
	struct gs_snapshot *s = in->snapshot;
	struct gs_reading reading = {};
	uint64_t begin = now_ns();

	s->time = time(NULL);
	s->capture.mode = in->core ? GS_CAPTURE_CORE :
			  options->stop ? GS_CAPTURE_STOPPED : GS_CAPTURE_LIVE;
	s->capture.pause_ns = GS_UNKNOWN;
	s->capture.passes = 1;
	struct gs_err *err = find_libc(in);
	if (!err)
		err = find_malloc(in, options);
	if (!err)
		err = options->stop && !in->core ? read_heap_stopped(in, &reading) :
						   read_heap(in, !in->core, &reading);
	if (!err)
		gs_others_give(&in->others, s);
	if (!err && in->core)
		fill_target_of_core(in, &reading);
	else if (!err)
		err = fill_target(in, &reading);
	if (!err) {
		name_pins(in, &reading);
		s->allocator.checks += reading.checks;
		s->capture.bytes_read = in->mem->bytes_read;
		s->capture.duration_ns = now_ns() - begin;
		s->capture.complete = !s->n_warnings && !s->totals.unsettled_bytes;
		gs_findings_fill(s);
	}
	gs_reading_fini(&reading);
	return err;
}

struct gs_err *gs_collect_process(pid_t pid, const struct gs_collect_options *options,
				  struct gs_snapshot **ret)
{
	struct inspection in = { .snapshot = gs_snapshot_new() };
	struct gs_err *err = open_process(&in, pid);

	if (!err)
		err = inspect(&in, options);
	/* What went wrong because the process ended, or exec'd, is told as that. */
	if (in.target) {
		struct gs_err *gone = gs_target_check(in.target);
		if (gone) {
			gs_err_free(err);
			err = gone;
		}
	}
	if (!err)
		*ret = take_ptr(in.snapshot);
	inspection_fini(&in);
	return err;
}

/* What is missing from a core file explains everything that could not be read. */
static struct gs_err *say_truncated(const struct inspection *in, struct gs_err *err)
{
	if (!err || !in->core || !in->core->missing_bytes)
		return err;
	return gs_err_hint(err, "the core file is cut short: %llu bytes of its memory are missing",
			   (unsigned long long)in->core->missing_bytes);
}

struct gs_err *gs_collect_core(const char *core_path, const char *exe_path,
			       const struct gs_collect_options *options,
			       struct gs_snapshot **ret)
{
	struct inspection in = { .snapshot = gs_snapshot_new() };
	struct gs_err *err = open_core(&in, core_path, exe_path);

	if (!err && in.core->missing_bytes)
		gs_snapshot_warn(in.snapshot, "the core file is cut short: %llu bytes of its "
				 "memory are missing", (unsigned long long)in.core->missing_bytes);
	if (!err)
		err = inspect(&in, options);
	err = say_truncated(&in, err);
	if (!err)
		*ret = take_ptr(in.snapshot);
	inspection_fini(&in);
	return err;
}
