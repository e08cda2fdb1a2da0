/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a pin is: a guess from its first words that an operator can search the source for. */
#ifndef GS_COLLECT_OWNER_H
#define GS_COLLECT_OWNER_H

#include <stddef.h>

#include "elf/symtab.h"

/**
 * What a chunk whose user memory begins with these bytes may be: the symbol that its first words
 * point to (a vtable, a function, a table of functions), else the text it begins with, in
 * double quotes. NULL if neither. word: bytes of a pointer. The caller frees.
 */
char *gs_owner_of(struct gs_symbolizer *symbolizer, const unsigned char *bytes, size_t len,
		  unsigned word);

#endif
