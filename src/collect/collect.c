/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/collect.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "collect/elsewhere.h"
#include "collect/find_malloc.h"
#include "collect/owner.h"
#include "collect/reading.h"
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
	struct gs_target *target;
	struct gs_maps maps;		/* as modules were found in them */
	struct gs_maps heap_maps;	/* as they were when the heap was read */
	struct gs_mem *mem;
	struct gs_modules modules;
	struct gs_module *libc;
	struct gs_threads threads;
	struct gs_malloc m;
	struct gs_snapshot *snapshot;
};

static void inspection_fini(struct inspection *in)
{
	gs_snapshot_free(in->snapshot);
	gs_threads_fini(&in->threads);
	gs_modules_fini(&in->modules);
	gs_mem_free(in->mem);
	gs_maps_fini(&in->heap_maps);
	gs_maps_fini(&in->maps);
	gs_target_free(in->target);
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

static const struct { unsigned elf; const char *name; } machines[] = {
	{ EM_X86_64, "x86_64" }, { EM_386, "i386" },
};

/* NULL: not a machine whose processes we can read. */
static const char *machine_name(const struct gs_module *module)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].elf == module->machine)
			return machines[i].name;
	}
	return NULL;
}

static struct gs_err *check_machine(const struct gs_modules *modules)
{
	for (size_t i = 0; i < modules->len; i++) {
		if (!machine_name(modules->data[i]))
			return gs_err_new(GS_ERR_UNSUPPORTED, "%s is no x86 program",
					  modules->data[i]->path);
	}
	return NULL;
}

/* Another malloc than libc's serves the program: libc's would tell nothing. */
static struct gs_err *check_malloc_owner(struct inspection *in)
{
	const struct gs_module *owner = gs_modules_malloc_owner(&in->modules, in->mem);

	if (!owner || owner == in->libc)
		return NULL;
	const char *name = gs_module_allocator_name(owner);
	return gs_err_new(GS_ERR_NOT_GLIBC, "its malloc is %s%sin %s, not glibc's",
			  name ? name : "", name ? ", " : "", owner->path);
}

static struct gs_err *find_libc(struct inspection *in)
{
	struct gs_err *err = check_machine(&in->modules);

	if (!err)
		err = gs_modules_libc(&in->modules, &in->libc);
	if (!err)
		err = check_malloc_owner(in);
	return err;
}

/* All about symbols happens here, before anything is stopped. */
static struct gs_err *find_malloc(struct inspection *in, const struct gs_collect_options *options)
{
	struct gs_find_options find = {
		.no_debuginfo = options->no_debuginfo, .verify = options->verify,
	};
	struct gs_err *err = gs_target_threads(in->target, &in->threads);

	if (err)
		return err;
	return gs_find_malloc(in->target, in->libc, &in->maps, in->mem, &in->threads, &find,
			      in->snapshot, &in->m);
}

/* --- the heap --- */

static struct gs_err *read_heap(struct inspection *in, bool live, struct gs_reading *reading)
{
	/* The mappings may have changed while symbols were read. */
	gs_maps_fini(&in->heap_maps);
	gs_threads_fini(&in->threads);
	struct gs_err *err = gs_maps_read(in->target, &in->heap_maps);
	if (!err)
		err = gs_target_threads(in->target, &in->threads);
	if (err)
		return err;
	*reading = (struct gs_reading){
		.mem = in->mem, .m = &in->m, .maps = &in->heap_maps, .threads = &in->threads,
		.live = live, .snapshot = in->snapshot,
	};
	return gs_reading_run(reading);
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

	s->capture.pause_ns = 0;
	for (unsigned stops = 1;; stops++) {
		struct gs_err *err = read_heap_in_stop(in, reading);
		if (s->capture.passes < stops)
			s->capture.passes = stops;
		bool torn = s->n_warnings || (err && err->code == GS_ERR_FORMAT);
		if (!torn || stops == STOPS_MAX)
			return err;
		gs_err_free(err);
		gs_reading_fini(reading);
		gs_snapshot_clear_heap(s);
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

static struct gs_err *inspect(struct inspection *in, const struct gs_collect_options *options)
{
	struct gs_snapshot *s = in->snapshot;
	struct gs_reading reading = {};
	uint64_t begin = now_ns();

	s->time = time(NULL);
	s->capture.mode = options->stop ? GS_CAPTURE_STOPPED : GS_CAPTURE_LIVE;
	s->capture.pause_ns = GS_UNKNOWN;
	s->capture.passes = 1;
	struct gs_err *err = find_libc(in);
	if (!err)
		err = find_malloc(in, options);
	if (!err)
		err = options->stop ? read_heap_stopped(in, &reading) :
				      read_heap(in, true, &reading);
	if (!err)
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
