/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Struct members from the DWARF of the compilation unit that holds malloc. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <string.h>

#include "elf/symtab_internal.h"

enum {
	IMPORT_DEPTH_MAX = 16,		/* partial units that import each other */
	DIES_MAX = 1000000,		/* looked at in one scan */
	TYPE_DEPTH_MAX = 16,		/* typedefs and qualifiers around a type */
	UNITS_MAX = 100000,		/* units searched by name */
};

struct scan {
	struct gs_member *members;
	size_t n;
	unsigned dies;
};

static bool type_of(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, DW_AT_type, &attr) && dwarf_formref_die(&attr, ret);
}

/* The type behind typedefs and qualifiers. */
static bool bare_type(Dwarf_Die *type)
{
	for (unsigned depth = 0; depth < TYPE_DEPTH_MAX; depth++) {
		switch (dwarf_tag(type)) {
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_atomic_type:
			break;
		default:
			return true;
		}
		Dwarf_Die next;
		if (!type_of(type, &next))
			return false;
		*type = next;
	}
	return false;
}

static bool unsigned_attr(Dwarf_Die *die, unsigned name, Dwarf_Word *ret)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, name, &attr) && dwarf_formudata(&attr, ret) == 0;
}

/* Elements of all dimensions together; 1 for what is no array, 0 if it has no fixed size. */
static uint32_t count_elements(Dwarf_Die *type)
{
	Dwarf_Die child;
	uint32_t count = 1;

	if (dwarf_tag(type) != DW_TAG_array_type)
		return 1;
	if (dwarf_child(type, &child) != 0)
		return 0;
	do {
		Dwarf_Word n;
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		if (!unsigned_attr(&child, DW_AT_count, &n)) {
			if (!unsigned_attr(&child, DW_AT_upper_bound, &n) || n >= UINT32_MAX)
				return 0;
			n++;
		}
		if (n > UINT32_MAX || __builtin_mul_overflow(count, (uint32_t)n, &count))
			return 0;
	} while (dwarf_siblingof(&child, &child) == 0);
	return count;
}

static bool take_sizes(Dwarf_Die *type, struct gs_member *member)
{
	Dwarf_Word size;

	if (!bare_type(type) || dwarf_aggregate_size(type, &size) != 0 || size > UINT32_MAX)
		return false;
	member->size = (uint32_t)size;
	member->count = count_elements(type);
	return member->count > 0;
}

static void take_member(Dwarf_Die *die, struct gs_member *member)
{
	Dwarf_Die type;
	Dwarf_Word offset;

	if (!type_of(die, &type) || !unsigned_attr(die, DW_AT_data_member_location, &offset) ||
	    offset > UINT32_MAX || !take_sizes(&type, member))
		return;
	member->offset = (uint32_t)offset;
	member->found = true;
}

static void take_children(Dwarf_Die *structure, struct gs_member *member)
{
	Dwarf_Die child;

	if (dwarf_child(structure, &child) != 0)
		return;
	do {
		const char *name = dwarf_diename(&child);
		if (dwarf_tag(&child) == DW_TAG_member && name &&
		    strcmp(name, member->name) == 0) {
			take_member(&child, member);
			return;
		}
	} while (dwarf_siblingof(&child, &child) == 0);
}

/* Answer every request about the type that die, a struct or a typedef of one, is called. */
static void take_type(struct scan *scan, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	Dwarf_Die structure = *die;

	if (!name)
		return;
	for (size_t i = 0; i < scan->n; i++) {
		struct gs_member *member = &scan->members[i];
		if (member->found || strcmp(member->type, name) != 0)
			continue;
		if (!bare_type(&structure) || dwarf_tag(&structure) != DW_TAG_structure_type ||
		    dwarf_hasattr(&structure, DW_AT_declaration))
			return;
		if (member->name)
			take_children(&structure, member);
		else
			member->found = take_sizes(&structure, member);
	}
}

static bool imported_unit(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attr;

	return dwarf_attr(die, DW_AT_import, &attr) && dwarf_formref_die(&attr, ret);
}

static void scan_unit(struct scan *scan, Dwarf_Die *unit, unsigned depth)
{
	Dwarf_Die die, imported;

	if (depth > IMPORT_DEPTH_MAX || dwarf_child(unit, &die) != 0)
		return;
	do {
		if (++scan->dies > DIES_MAX)
			return;
		switch (dwarf_tag(&die)) {
		case DW_TAG_imported_unit:
			if (imported_unit(&die, &imported))
				scan_unit(scan, &imported, depth + 1);
			break;
		case DW_TAG_structure_type:
		case DW_TAG_typedef:
			take_type(scan, &die);
			break;
		default:
			break;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
}

/* By address, whatever the unit is called: libc_malloc_debug.so includes malloc.c in another. */
static Dwarf_Die *unit_by_address(struct gs_symtab *symtab)
{
	struct gs_symbol symbols[] = {
		{ .name = "__libc_malloc" },
		{ .name = "malloc" },
	};
	Dwarf_Addr bias;

	gs_symtab_lookup(symtab, symbols, 2);
	for (size_t i = 0; i < 2; i++) {
		Dwarf_Die *unit = NULL;
		if (symbols[i].found)
			unit = dwfl_module_addrdie(symtab->dwfl_module, symbols[i].value, &bias);
		if (unit)
			return unit;
	}
	return NULL;
}

static Dwarf_Die *unit_by_name(struct gs_symtab *symtab)
{
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;

	for (unsigned i = 0; i < UNITS_MAX; i++) {
		unit = dwfl_module_nextcu(symtab->dwfl_module, unit, &bias);
		const char *name = unit ? dwarf_diename(unit) : NULL;
		if (!unit)
			return NULL;
		const char *slash = name ? strrchr(name, '/') : NULL;
		if (name && strcmp(slash ? slash + 1 : name, "malloc.c") == 0)
			return unit;
	}
	return NULL;
}

struct gs_err *gs_symtab_members(struct gs_symtab *symtab, struct gs_member *members, size_t n)
{
	struct scan scan = { .members = members, .n = n };
	Dwarf_Addr bias;

	for (size_t i = 0; i < n; i++) {
		members[i].found = false;
		members[i].offset = members[i].size = members[i].count = 0;
	}
	if (!dwfl_module_getdwarf(symtab->dwfl_module, &bias))
		return gs_err_new(GS_ERR_NO_SYMBOLS, "no DWARF for %s: %s", symtab->module->path,
				  dwfl_errmsg(-1));
	if (symtab->is_split)
		return gs_err_new(GS_ERR_NO_SYMBOLS,
				  "the DWARF of %s refers to a file that cannot be trusted",
				  symtab->module->path);
	Dwarf_Die *unit = unit_by_address(symtab);
	if (!unit)
		unit = unit_by_name(symtab);
	if (!unit)
		return gs_err_new(GS_ERR_NO_SYMBOLS, "the DWARF of %s does not describe malloc",
				  symtab->module->path);
	scan_unit(&scan, unit, 0);
	return NULL;
}
