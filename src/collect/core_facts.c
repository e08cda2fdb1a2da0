/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/core_facts.h"

#include "base/xalloc.h"
#include "model/metrics.h"

/* Where the words of the command line begin is not told: they are one text. */
void gs_core_fill_target(struct gs_snapshot *s, const struct gs_core *core)
{
	const char *exe = gs_core_exe(core);

	s->target.kind = GS_TARGET_CORE;
	s->target.pid = core->pid;
	s->target.start_ticks = GS_UNKNOWN;
	s->target.comm = gs_xstrdup(core->comm);
	s->target.exe = exe ? gs_xstrdup(exe) : NULL;
	s->target.cmdline = gs_xcalloc(1, sizeof(*s->target.cmdline));
	if (core->args[0])
		s->target.cmdline[s->target.n_cmdline++] = gs_xstrdup(core->args);
	s->target.threads = (unsigned)core->threads.len;
	s->target.rss_bytes = GS_UNKNOWN;
	s->target.swap_bytes = GS_UNKNOWN;
	s->target.anonymous_bytes = GS_UNKNOWN;
}

/* Free memory that the core file does not have looked as if it had been returned. */
static void forget_cells(char *cells)
{
	for (; *cells; cells++) {
		if (*cells == 'R')
			*cells = 'S';
	}
}

void gs_core_forget_residency(struct gs_snapshot *s)
{
	gs_account_forget_residency(&s->totals);
	for (size_t i = 0; i < s->n_arenas; i++) {
		struct gs_arena *arena = &s->arenas[i];
		gs_account_forget_residency(&arena->account);
		for (size_t j = 0; j < arena->n_heaps; j++) {
			gs_account_forget_residency(&arena->heaps[j].account);
			forget_cells(arena->heaps[j].cells);
		}
	}
	for (size_t i = 0; i < s->n_others; i++)
		gs_core_forget_residency(s->others[i]);
	s->mmapped.resident_bytes = GS_UNKNOWN;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++)
		s->what_if[i].releasable_bytes = GS_UNKNOWN;
	for (size_t i = 0; i < s->n_others; i++)
		gs_core_forget_residency(s->others[i]);
}
