/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Symbols of a module: its own .symtab, else that of its separate debug file, found by build-id,
 * .gnu_debuglink, .gnu_debugdata and, only if DEBUGINFOD_URLS is set, debuginfod.
 * Debug files are looked for on the host and below /proc/PID/root; each is accepted only if its
 * build-id is the module's (debuglink without build-id: CRC).
 */
#ifndef GS_ELF_SYMTAB_H
#define GS_ELF_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "elf/module.h"

/** The symbols of one module, opened. */
struct gs_symtab;

/**
 * Open the symbols of module. If there is no .symtab anywhere (one in .gnu_debugdata does not
 * count: it leaves data symbols out): GS_ERR_NO_SYMBOLS, message naming the module's path and
 * build-id, hint naming the package (Debian, Fedora, SUSE, Arch by /etc/os-release of the
 * target's root) or the file (".build-id/xx/yyyy.debug") that is missing.
 * target and module must outlive *ret.
 */
struct gs_err *gs_symtab_open(struct gs_target *target, const struct gs_module *module,
			      struct gs_symtab **ret);

void gs_symtab_free(struct gs_symtab *symtab);

/** Path of the separate debug file in use, or NULL if the symbols are the module's own. */
const char *gs_symtab_debug_file(const struct gs_symtab *symtab);

struct gs_symbol {
	const char *name;	/* in: the name looked for, local symbols included */
	bool tls;		/* in: wants a STT_TLS symbol */
	bool found;		/* out */
	uint64_t value;		/* out: run-time address; TLS: offset in the TLS block */
	uint64_t size;		/* out: st_size, bytes */
};

/** Look n symbols up in one pass. What is not there has found == false. */
void gs_symtab_lookup(struct gs_symtab *symtab, struct gs_symbol *symbols, size_t n);

/** One member of a struct, read from DWARF. */
struct gs_member {
	const char *type;	/* in: struct tag or typedef name, e.g. "malloc_state" */
	const char *name;	/* in: member name, or NULL: the struct itself */
	bool found;		/* out */
	uint32_t offset;	/* out: bytes from the struct's start */
	uint32_t size;		/* out: bytes of the member (an array: all of it) or struct */
	uint32_t count;		/* out: array elements, 1 if not an array */
};

/**
 * Read members from the DWARF of malloc's compilation unit only (found by the address of
 * malloc, imported partial units included; else by the unit's name "malloc.c").
 * What is not there has found == false. Errors: no DWARF (GS_ERR_NO_SYMBOLS).
 */
struct gs_err *gs_symtab_members(struct gs_symtab *symtab, struct gs_member *members, size_t n);

/** Names addresses of any module of one target; opens what it needs when it needs it. */
struct gs_symbolizer;

/** A symbolizer over modules (borrowed). Never fails. */
struct gs_symbolizer *gs_symbolizer_new(struct gs_target *target, const struct gs_modules *modules);

void gs_symbolizer_free(struct gs_symbolizer *symbolizer);

/**
 * The name for addr if it lies in a symbol's range (function or object, .symtab or .dynsym;
 * vtable and typeinfo symbols are demangled as "vtable for Foo"), else NULL. The caller frees.
 * Never contacts the network.
 */
char *gs_symbolizer_name(struct gs_symbolizer *symbolizer, gs_addr addr);

#endif
