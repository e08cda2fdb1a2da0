/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The notes of a core file, for core.c alone. */
#ifndef GS_ELF_CORE_NOTES_H
#define GS_ELF_CORE_NOTES_H

#include <libelf.h>
#include <stdbool.h>

#include "elf/core.h"

/** Can cores of this machine and ELF class be read? */
bool gs_core_has_machine(uint16_t machine, unsigned char elf_class);

/**
 * Take what the notes in data (one PT_NOTE segment) tell into core, whose machine and word are
 * set. GS_ERR_FORMAT if one of them cannot be right.
 */
struct gs_err *gs_core_take_notes(struct gs_core *core, Elf_Data *data);

#endif
