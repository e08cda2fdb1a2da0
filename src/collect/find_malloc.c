/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/find_malloc.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "elf/symtab.h"
#include "elf/tpoff.h"
#include "heap/structure.h"
#include "heap/threads.h"
#include "heap/tls.h"

/* One search, and what each way has told so far. */
struct find {
	const struct gs_find *where;
	struct gs_module *libc;
	struct gs_mem *mem;
	struct gs_snapshot *snapshot;
	const char *version;
	struct gs_malloc *m;

	struct gs_structure structure;
	bool has_structure;	/* found, and its layout is in the tables */
	struct gs_symtab *symtab;	/* NULL: no symbols */
	bool has_symbols;
	struct gs_malloc symbols;	/* addresses and TLS offsets only */
	bool has_tpoff;
	struct gs_tpoff tpoff;
};

static char *hex(const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *text = gs_xcalloc(2 * n + 1, 1);

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return text;
}

static void describe_libc(struct find *f)
{
	struct gs_snapshot *s = f->snapshot;

	s->allocator.path = gs_xstrdup(f->libc->path);
	if (f->libc->build_id_len)
		s->allocator.build_id = hex(f->libc->build_id, f->libc->build_id_len);
	gs_module_glibc_version(f->libc, f->mem, &s->allocator.version, &s->allocator.package);
	if (!s->allocator.version && f->where->version)
		s->allocator.version = gs_xstrdup(f->where->version);
	f->version = s->allocator.version;
}

/* --- symbols --- */

enum { SYM_MAIN_ARENA, SYM_MP, SYM_TCACHE, SYM_THREAD_ARENA, N_SYMBOLS };

static uint64_t tls_offset(const struct gs_symbol *symbol)
{
	return symbol->found ? symbol->value : GS_NO_TLS;
}

/* Libraries keep a .symtab without malloc's own data now and then: that is no symbols. */
static void look_symbols_up(struct find *f)
{
	struct gs_symbol symbols[N_SYMBOLS] = {
		[SYM_MAIN_ARENA] = { .name = "main_arena" },
		[SYM_MP] = { .name = "mp_" },
		[SYM_TCACHE] = { .name = "tcache", .tls = true },
		[SYM_THREAD_ARENA] = { .name = "thread_arena", .tls = true },
	};

	gs_symtab_lookup(f->symtab, symbols, N_SYMBOLS);
	f->has_symbols = symbols[SYM_MAIN_ARENA].found && symbols[SYM_MP].found;
	f->symbols.main_arena = symbols[SYM_MAIN_ARENA].value;
	f->symbols.mp = symbols[SYM_MP].value;
	f->symbols.tls_tcache = tls_offset(&symbols[SYM_TCACHE]);
	f->symbols.tls_thread_arena = tls_offset(&symbols[SYM_THREAD_ARENA]);
}

static void name_source(struct find *f)
{
	struct gs_snapshot *s = f->snapshot;
	const char *file = f->has_symbols ? gs_symtab_debug_file(f->symtab) : NULL;

	s->allocator.debug_file = file ? gs_xstrdup(file) : NULL;
	s->allocator.symbols = !f->has_symbols ? GS_SYMBOLS_STRUCTURE :
			       file ? GS_SYMBOLS_DEBUGINFO : GS_SYMBOLS_SYMTAB;
}

/* --- putting it together --- */

/* Both ways lead to the same place, or somebody is wrong: then say so. */
static void compare_addresses(struct find *f)
{
	struct gs_snapshot *s = f->snapshot;

	if (f->structure.main_arena != f->symbols.main_arena ||
	    f->structure.mp != f->symbols.mp) {
		gs_snapshot_warn(s, "the symbols of %s do not agree with what is in memory "
				 "(main_arena 0x%llx, found 0x%llx): they are not used",
				 f->libc->path, (unsigned long long)f->symbols.main_arena,
				 (unsigned long long)f->structure.main_arena);
		f->has_symbols = false;
		return;
	}
	s->allocator.checks++;
}

static struct gs_err *layout_from_dwarf(struct find *f)
{
	struct gs_err *err = gs_layout_from_dwarf(f->symtab, f->libc->word, f->version,
						  &f->m->layout);

	if (err)
		return err;
	f->m->main_arena = f->symbols.main_arena;
	f->m->mp = f->symbols.mp;
	f->m->image_start = f->libc->map_start;
	f->m->image_end = f->libc->map_end;
	f->m->machine = f->libc->machine;
	f->snapshot->allocator.layout = GS_LAYOUT_DWARF;
	return NULL;
}

/* Where the two ways of learning the layout differ, one of them is wrong. */
static void verify_layout(struct find *f)
{
	struct gs_layout dwarf;
	const char *member;
	struct gs_err *err = f->symtab ? gs_layout_from_dwarf(f->symtab, f->libc->word,
							      f->version, &dwarf) :
					 gs_err_new(GS_ERR_NO_SYMBOLS, "no debug information");

	if (err) {
		gs_snapshot_warn(f->snapshot, "cannot verify the layout: %s", err->msg);
		gs_err_free(err);
		return;
	}
	dwarf.heap_max = f->m->layout.heap_max;	/* no member tells it, but settings */
	if (gs_layout_equal(&f->m->layout, &dwarf, &member))
		f->snapshot->allocator.checks++;
	else
		gs_snapshot_warn(f->snapshot, "the layout by structure and the one of the debug "
				 "information differ in %s", member);
}

/* hugetlb=2 and above makes heaps of four huge pages, in the releases 2.35 to 2.41. */
static void set_heap_max(struct find *f)
{
	struct gs_layout *l = &f->m->layout;
	struct gs_par par;
	struct gs_err *err = gs_par_read(f->mem, f->m, &par);

	if (err) {
		gs_err_free(err);
		return;
	}
	if (par.hp_pagesize != UINT64_MAX && par.hp_pagesize &&
	    par.hp_pagesize <= UINT64_C(1) << 34 && l->arena.n_fastbins &&
	    !gs_version_at_least(f->version, 42))
		l->heap_max = par.hp_pagesize * 4;
}

/* Where libc's own relocations say its TLS block is. */
static void find_tls_block(struct find *f)
{
	f->has_tpoff = gs_tpoff_read(f->libc, f->mem, &f->tpoff);
	f->m->tls_block = f->has_tpoff ? f->tpoff.block : GS_NO_TLS;
}

/* Offsets in the block: as seen in the threads' memory, or as symbols tell. */
static void settle_offsets(struct find *f, const struct gs_malloc *seen)
{
	struct gs_snapshot *s = f->snapshot;
	uint64_t by_symbol = f->symbols.tls_thread_arena;

	f->m->tls_tcache = f->has_symbols ? f->symbols.tls_tcache : seen->tls_tcache;
	f->m->tls_thread_arena = f->has_symbols ? by_symbol : seen->tls_thread_arena;
	if (seen->tls_thread_arena == GS_NO_TLS)
		return;
	if (f->has_symbols && by_symbol == seen->tls_thread_arena)
		s->allocator.checks++;
	else if (f->has_symbols)
		gs_snapshot_warn(s, "the symbols of %s put thread_arena at 0x%llx of its "
				 "thread-local storage, but threads have it at 0x%llx",
				 f->libc->path, (unsigned long long)by_symbol,
				 (unsigned long long)seen->tls_thread_arena);
	s->allocator.checks += f->has_tpoff && gs_tpoff_has(&f->tpoff, seen->tls_thread_arena);
}

/* What the tables leave open, as the threads' memory shows it. */
static void settle_table(struct find *f, const struct gs_tls_list *tls,
			 const struct gs_addrs *arenas, const struct gs_tcache_variant *tcache)
{
	struct gs_layout *l = &f->m->layout;
	struct gs_thread_states states;

	if (tcache)
		gs_layout_set_tcache(l, tcache);
	gs_thread_states_read(f->mem, f->m, tls, arenas, &states);
	l->safe_linking = gs_structure_safe_linking(f->mem, f->m, &states, arenas,
						    l->safe_linking);
	free(states.data);
}

/* TLS offsets, the tcache's layout and mangling. */
static void ask_threads(struct find *f)
{
	const struct gs_tcache_variant *tcache;
	struct gs_addrs arenas = {};
	struct gs_tls_list tls;
	struct gs_err *err = gs_arena_ring(f->mem, f->m, &arenas);

	if (err) {
		gs_err_free(err);
		return;
	}
	find_tls_block(f);
	struct gs_malloc seen = *f->m;
	gs_tls_list_read(f->mem, f->m->machine, f->m->layout.word, f->where->threads,
			 f->where->maps, &tls);
	gs_thread_offsets_find(f->mem, &seen, &tls, &arenas, f->libc->tls_memsz, &tcache);
	settle_offsets(f, &seen);
	f->snapshot->allocator.checks += gs_thread_blocks_agree(f->mem, f->m, &tls, &arenas);
	if (f->snapshot->allocator.layout == GS_LAYOUT_TABLE)
		settle_table(f, &tls, &arenas, tcache);
	gs_tls_list_fini(&tls);
	free(arenas.data);
}

/* Neither way leads there: the symbols' error says what is missing. */
static struct gs_err *not_found(struct find *f, struct gs_err *structure,
				struct gs_err *symbols)
{
	if (!symbols)
		symbols = gs_err_new(GS_ERR_NO_SYMBOLS, "the symbols of %s do not have main_arena",
				     f->libc->path);
	if (structure)
		gs_err_prefix(symbols, "%s, and", structure->msg);
	else
		gs_err_prefix(symbols, "its malloc has a layout that is not known, and");
	gs_err_free(structure);
	return symbols;
}

static struct gs_err *find(struct find *f)
{
	struct gs_err *no_symbols = NULL;
	struct gs_err *no_structure = gs_structure_find(f->mem, f->libc, f->where->maps,
							f->version, &f->structure);

	f->has_structure = !no_structure &&
			   gs_structure_apply(&f->structure, f->libc, f->version, f->m);
	f->snapshot->allocator.checks = f->structure.checks;
	f->snapshot->allocator.layout = GS_LAYOUT_TABLE;
	if (!f->where->no_debuginfo) {
		no_symbols = gs_symtab_open(f->where->target, f->libc, &f->symtab);
		if (!no_symbols)
			look_symbols_up(f);
	}
	if (f->has_structure && f->has_symbols)
		compare_addresses(f);
	name_source(f);
	if (!f->has_structure && f->has_symbols) {
		gs_err_free(no_structure);
		return layout_from_dwarf(f);
	}
	if (!f->has_structure)
		return not_found(f, no_structure, no_symbols);
	gs_err_free(no_symbols);
	return NULL;
}

struct gs_err *gs_find_malloc(const struct gs_find *where, struct gs_module *libc,
			      struct gs_snapshot *snapshot, struct gs_malloc *ret)
{
	struct find f = {
		.where = where, .libc = libc, .mem = where->mem, .snapshot = snapshot, .m = ret,
	};

	ret->tls_block = GS_NO_TLS;
	describe_libc(&f);
	struct gs_err *err = find(&f);
	if (!err) {
		set_heap_max(&f);
		ask_threads(&f);
		if (where->verify && snapshot->allocator.layout == GS_LAYOUT_TABLE)
			verify_layout(&f);
		snapshot->allocator.has_tcache = ret->layout.has_tcache;
		snapshot->allocator.has_fastbins = ret->layout.arena.n_fastbins > 0;
	}
	gs_symtab_free(f.symtab);
	return err;
}
