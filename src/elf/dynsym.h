/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dynamic section of a mapped image: its tags, and symbols by name through its hash table. */
#ifndef GS_ELF_DYNSYM_H
#define GS_ELF_DYNSYM_H

#include <stdbool.h>
#include <stdint.h>

#include "elf/image.h"

/** The value of the first entry with this tag (DT_…). False if there is none. */
bool gs_dynamic_find(struct gs_image *image, uint64_t tag, uint64_t *ret);

/** The same where the value is an address, as at run time. False too if it is not in the image. */
bool gs_dynamic_address(struct gs_image *image, uint64_t tag, gs_addr *ret);

/** The dynamic symbols of one image. */
struct gs_dynsym {
	struct gs_image *image;
	gs_addr symtab, strtab;		/* run time; 0: none */
	gs_addr gnu_hash, sysv_hash;	/* run time; 0: none */
	uint64_t strtab_size;		/* bytes */
};

/** Find the tables of image, which must outlive ret. Without any, every look-up fails. */
void gs_dynsym_init(struct gs_image *image, struct gs_dynsym *ret);

/** Look a defined symbol up, in whatever version. *ret is its run-time address. */
bool gs_dynsym_find(struct gs_dynsym *dynsym, const char *name, gs_addr *ret);

#endif
