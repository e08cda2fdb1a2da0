/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one look at one process found. Collectors build it, everything else only reads it.
 * Sizes are bytes, times nanoseconds, addresses the target's. Text from the target (comm, paths,
 * owner) is raw: whoever prints it filters it. A snapshot owns all it points to.
 */
#ifndef GS_MODEL_SNAPSHOT_H
#define GS_MODEL_SNAPSHOT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** "Unknown" or "does not exist here" for a uint64_t member; null in JSON. */
#define GS_UNKNOWN UINT64_MAX

/** A setting without bounds (mallopt's -1): larger than every size, and known. */
#define GS_UNLIMITED (UINT64_MAX - 1)

/**
 * The accounts of a heap, an arena or everything. Always
 * mapped = live + overhead + tcache + fastbin + bin + top.
 */
struct gs_account {
	uint64_t mapped_bytes;
	uint64_t resident_bytes;	/* GS_UNKNOWN where residency is (cores) */
	uint64_t swapped_bytes;
	uint64_t live_bytes, live_chunks;
	uint64_t overhead_bytes;
	uint64_t tcache_bytes, tcache_chunks;
	uint64_t fastbin_bytes, fastbin_chunks;
	uint64_t bin_bytes, bin_chunks;
	uint64_t top_bytes;
	uint64_t stalled_bytes;		/* free and resident */
	uint64_t stalled_swapped_bytes;	/* free and in swap */
	uint64_t reclaimable_bytes;	/* whole resident pages inside binned and top chunks */
	uint64_t returned_bytes;	/* free and neither resident nor in swap */
	uint64_t unsettled_bytes;	/* could not be walked; counted in live_bytes */
	/* stalled_bytes by where it sits; they add up to stalled_bytes */
	uint64_t stalled_tcache_bytes, stalled_fastbin_bytes, stalled_bin_bytes, stalled_top_bytes;
	/* reclaimable_bytes by where it sits */
	uint64_t reclaimable_bin_bytes, reclaimable_top_bytes;
};

enum gs_position {
	GS_POS_ONLY, GS_POS_FIRST, GS_POS_INTERIOR, GS_POS_LAST,	/* of a thread arena */
	GS_POS_SEGMENT,							/* of main_arena */
};

enum gs_chunk_state { GS_CHUNK_LIVE, GS_CHUNK_TCACHE, GS_CHUNK_FASTBIN };

/** The highest live or cached chunk of a heap with free memory below it. */
struct gs_pin {
	gs_addr address;	/* of the chunk; its user pointer is two words above; 0: no pin */
	uint64_t size;		/* of the chunk */
	enum gs_chunk_state state;
	int tid;		/* whose tcache holds it (GS_CHUNK_TCACHE), or 0 */
	uint64_t below_bytes;	/* free bytes beneath it in the same heap */
	uint64_t above_bytes;	/* free bytes above it in the same heap */
	char *owner;		/* what it is ("vtable for Foo", "\"text…\""), or NULL */
};

struct gs_heap {
	gs_addr address;	/* start */
	gs_addr end;		/* address + bytes in use as heap */
	uint64_t reserved_bytes;	/* address space set aside: HEAP_MAX; a segment: its size */
	enum gs_position position;
	bool idle;		/* interior, nothing live (cached chunks allowed) */
	bool stable;		/* walked and validated whole */
	bool swapped_headers;	/* not, because chunk headers are in swap */
	struct gs_account account;
	struct gs_pin pin;
	uint64_t cell_bytes;	/* a power of two */
	char *cells;		/* one letter a cell: L X S R T or '-'; NUL-terminated */
};

struct gs_attached {		/* a thread attached to an arena */
	int tid;
	char *comm;		/* or NULL: a core has only that of the process */
	uint64_t tcache_bytes, tcache_chunks;	/* in its tcache, whatever the arena */
};

struct gs_arena {
	unsigned index;		/* 0: main_arena; the order of malloc_info's <heap nr=…> */
	gs_addr address;
	uint64_t system_bytes, max_system_bytes;	/* glibc's system_mem, max_system_mem */
	uint64_t unlocated_bytes;			/* system_bytes - account.mapped_bytes */
	uint64_t attached_threads;	/* glibc's own count; GS_UNKNOWN before 2.23 */
	struct gs_attached *threads;
	size_t n_threads;
	struct gs_account account;
	struct gs_heap *heaps;	/* in creation order: first heap first; segments by address */
	size_t n_heaps;
};

enum gs_target_kind { GS_TARGET_PROCESS, GS_TARGET_CORE };
enum gs_capture_mode { GS_CAPTURE_LIVE, GS_CAPTURE_STOPPED, GS_CAPTURE_CORE };
enum gs_symbols_source { GS_SYMBOLS_DEBUGINFO, GS_SYMBOLS_SYMTAB, GS_SYMBOLS_STRUCTURE };
enum gs_layout_source { GS_LAYOUT_DWARF, GS_LAYOUT_TABLE };

struct gs_mapping {		/* one of the largest mappings that are not malloc's */
	char *name;		/* path, "[stack]" …, "anonymous" */
	uint64_t mapped_bytes;
	uint64_t resident_bytes;
};

struct gs_what_if {
	uint64_t granularity_bytes;
	uint64_t releasable_bytes;	/* GS_UNKNOWN where residency is */
};

#define GS_WHAT_IF_N 7	/* 4K 8K 64K 512K 1M 2M 64M */

struct gs_mallopt {		/* mp_ as it is now; GS_UNKNOWN, or GS_UNLIMITED */
	uint64_t trim_threshold, top_pad, mmap_threshold, arena_max, arena_test;
	uint64_t tcache_count, tcache_max_bytes;
	bool dynamic_threshold;	/* free() may still raise the thresholds */
};

enum gs_severity { GS_SEVERITY_HIGH, GS_SEVERITY_MEDIUM, GS_SEVERITY_LOW };

struct gs_advice {
	bool fix;		/* false: "now", true: "fix" (for good) */
	char *command;		/* or NULL */
	char *text;		/* or NULL if the command says it all */
};

struct gs_evidence {
	const char *name;	/* snake_case */
	enum { GS_EVIDENCE_NUMBER, GS_EVIDENCE_ADDRESS, GS_EVIDENCE_TEXT } type;
	uint64_t number;	/* or the address */
	char *text;		/* owned */
};

struct gs_finding {
	const char *id;		/* "pinned-top" … */
	enum gs_severity severity;
	uint64_t bytes;		/* what it is about; 0: no amount */
	int arena;		/* index, or -1 */
	gs_addr heap;		/* address, or 0 */
	char *summary;		/* one line, for a list */
	char *detail;		/* a paragraph, one or more sentences; may be NULL */
	struct gs_evidence *evidence;
	size_t n_evidence;
	struct gs_advice *advice;
	size_t n_advice;
};

struct gs_snapshot {
	int64_t time;		/* seconds since the epoch, UTC */
	struct {
		enum gs_target_kind kind;
		int pid;
		uint64_t start_ticks;
		char *comm, *exe;		/* exe may be NULL */
		char **cmdline;			/* n_cmdline words */
		size_t n_cmdline;
		const char *machine;		/* "x86_64", "i386", "aarch64" */
		unsigned threads;
		uint64_t rss_bytes, swap_bytes, anonymous_bytes;	/* smaps_rollup */
	} target;
	struct {
		char *version;			/* "2.36", or NULL */
		char *package;			/* "Debian 2.36-9+deb12u14", or NULL */
		char *path;			/* of libc */
		char *build_id;			/* hex, or NULL */
		enum gs_symbols_source symbols;
		enum gs_layout_source layout;
		unsigned checks;		/* independent checks that agreed */
		char *debug_file;		/* or NULL */
		bool has_tcache, has_fastbins;
	} allocator;
	struct {
		enum gs_capture_mode mode;
		uint64_t pause_ns;		/* GS_UNKNOWN unless stopped */
		uint64_t duration_ns;
		uint64_t bytes_read;
		unsigned passes;		/* most reads of a heap: 1 if nothing changed */
		uint64_t unstable_heaps;
		uint64_t changed_chunks;	/* cached chunks that were gone when met */
		bool complete;
	} capture;
	struct gs_mallopt mallopt;
	struct gs_account totals;
	struct gs_arena *arenas;
	size_t n_arenas;
	struct {
		uint64_t chunks, bytes;
		uint64_t resident_bytes;	/* GS_UNKNOWN if not all could be located */
	} mmapped;
	struct gs_what_if what_if[GS_WHAT_IF_N];
	struct gs_mapping *not_malloc;		/* largest first, a handful */
	size_t n_not_malloc;
	struct gs_finding *findings;		/* worst first */
	size_t n_findings;
	char **warnings;
	size_t n_warnings;
	/* The malloc that serves the program where it is not glibc's; path NULL: it is. */
	struct {
		char *name;	/* "jemalloc", or NULL */
		char *path;
	} program_malloc;
	/*
	 * Further copies of glibc's malloc in the process (dlmopen, libc_malloc_debug). Of these
	 * only allocator, mallopt, totals, arenas and mmapped are filled.
	 */
	struct gs_snapshot **others;
	size_t n_others;
};

/** An empty snapshot: no arenas, pause and mallopt settings unknown. */
struct gs_snapshot *gs_snapshot_new(void);

/** Release a snapshot and all it owns. Accepts NULL. */
void gs_snapshot_free(struct gs_snapshot *snapshot);

/** Release what a finding owns, not the finding itself. */
void gs_finding_fini(struct gs_finding *finding);

/**
 * Forget what was read of the heap, so that it can be read anew, and all warnings but the first
 * n_warnings.
 */
void gs_snapshot_clear_heap(struct gs_snapshot *snapshot, size_t n_warnings);

/** Add a warning (printf-style): part of the report, and the reason for exit status 3. */
void gs_snapshot_warn(struct gs_snapshot *snapshot, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void gs_snapshot_vwarn(struct gs_snapshot *snapshot, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

#endif
