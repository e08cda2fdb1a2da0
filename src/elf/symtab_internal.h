/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An opened symbol table, as symtab.c and dwarf.c see it. */
#ifndef GS_ELF_SYMTAB_INTERNAL_H
#define GS_ELF_SYMTAB_INTERNAL_H

#include <elfutils/libdwfl.h>

#include "elf/symtab.h"

struct gs_symtab {
	Dwfl *dwfl;
	Dwfl_Module *dwfl_module;
	const struct gs_module *module;
	char *debug_path;	/* of the debug file that stands in for the image's own, or NULL */
	bool has_debug_file;	/* libdwfl was given one */
	bool is_split;		/* its DWARF needs a file named by one we do not trust */
};

#endif
