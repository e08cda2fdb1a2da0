/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of a mapped image, read without making any page of the target resident: from its
 * memory where the page is present, else from the file (the same bytes: a page that was written
 * to is present or in swap, and then the file's stand for it as they were before relocation).
 */
#ifndef GS_ELF_IMAGE_H
#define GS_ELF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "elf/module.h"

/** Bytes read at once: the smallest page there is. */
#define GS_IMAGE_BLOCK 4096

/** Longest text gs_image_find_text() takes. */
#define GS_IMAGE_TEXT_MAX 64

/** It searches no more than so many bytes of a segment. */
#define GS_IMAGE_SEARCH_MAX (UINT64_C(64) << 20)

/** Reads one image through a cache of one block. */
struct gs_image {
	const struct gs_module *module;
	struct gs_mem *mem;
	int fd;			/* opened for this reader only, or -1 */
	bool fd_tried;
	gs_addr block;		/* cached; GS_NO_ADDR: none */
	uint8_t data[GS_IMAGE_BLOCK];
};

/** Prepare image (the caller's storage) to read module from mem; both must outlive it. */
void gs_image_init(struct gs_image *image, const struct gs_module *module, struct gs_mem *mem);

void gs_image_fini(struct gs_image *image);

/** Copy exactly len bytes from the run-time address addr. False if any cannot be read. */
bool gs_image_read(struct gs_image *image, gs_addr addr, void *buf, size_t len);

/** Read an unsigned number of the module's pointer size. */
bool gs_image_read_word(struct gs_image *image, gs_addr addr, uint64_t *ret);

/**
 * Search the segments that are not writable, those without code first, for text. Copies the
 * string that follows the match to after, cut to size - 1 bytes (size 0: nothing is copied).
 */
bool gs_image_find_text(struct gs_image *image, const char *text, char *after, size_t size);

#endif
