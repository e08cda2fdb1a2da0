/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The columns there are of the table of arenas, and its rows. */
#ifndef GS_RENDER_COLUMNS_H
#define GS_RENDER_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

/** One arena, or several of them in one row. */
struct gs_row {
	const struct gs_snapshot *snapshot;
	const struct gs_arena *arena;	/* NULL: several */
	char name[32];			/* "main", "#3", "4 others", "total" */
	uint64_t threads, heaps;
	uint64_t system_bytes, unlocated_bytes;
	struct gs_account account;
};

enum gs_column_id {
	GS_COLUMN_ARENA, GS_COLUMN_ADDRESS, GS_COLUMN_THREADS, GS_COLUMN_HEAPS, GS_COLUMN_SYSTEM,
	GS_COLUMN_MAPPED, GS_COLUMN_RESIDENT, GS_COLUMN_SWAPPED, GS_COLUMN_LIVE, GS_COLUMN_FREE,
	GS_COLUMN_TCACHE, GS_COLUMN_FASTBIN, GS_COLUMN_BINS, GS_COLUMN_TOP, GS_COLUMN_OVERHEAD,
	GS_COLUMN_STALLED, GS_COLUMN_STALLED_PCT, GS_COLUMN_RECLAIMABLE, GS_COLUMN_RETURNED,
	GS_COLUMN_UNLOCATED,
	GS_COLUMN_N,
};

enum gs_column_type { GS_TYPE_NAME, GS_TYPE_ADDRESS, GS_TYPE_COUNT, GS_TYPE_SIZE, GS_TYPE_PERCENT };

struct gs_column {
	const char *name;	/* as in --output */
	const char *heading;
	const char *help;	/* one line for --list-columns */
	enum gs_column_type type;
	uint64_t (*get)(const struct gs_row *row);	/* NULL for the name */
	bool (*exists)(const struct gs_snapshot *snapshot);	/* NULL: in every glibc */
	bool by_default;
};

/** The columns, by enum gs_column_id. */
extern const struct gs_column gs_columns[GS_COLUMN_N];

/** Are the values of this column set to the right? */
bool gs_column_is_right(enum gs_column_id id);

/** What the row has in this column: "?" if unknown, "-" if this glibc has no such thing. */
char *gs_column_text(enum gs_column_id id, const struct gs_row *row, bool exact);

/** Fill a row from one arena. */
void gs_row_init(struct gs_row *row, const struct gs_snapshot *snapshot,
		 const struct gs_arena *arena);

/** Start a row of several arenas: nothing in it yet. The caller sets its name. */
void gs_row_init_sum(struct gs_row *row, const struct gs_snapshot *snapshot);

/** Add an arena to a row of several. */
void gs_row_add(struct gs_row *sum, const struct gs_arena *arena);

/** "main" or "#3". Returns buf (at least 32 bytes). */
char *gs_arena_name(char *buf, const struct gs_arena *arena);

/**
 * The arenas, those that hold most for nothing first; only the one of that index unless it is -1.
 * The caller frees the array, not what it points to.
 */
const struct gs_arena **gs_arenas_worst(const struct gs_snapshot *snapshot, int index,
					size_t *ret_n);

#endif
