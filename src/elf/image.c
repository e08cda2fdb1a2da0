/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/image.h"

#include <string.h>
#include <unistd.h>

#include "elf/file.h"

void gs_image_init(struct gs_image *image, const struct gs_module *module, struct gs_mem *mem)
{
	image->module = module;
	image->mem = mem;
	image->fd = -1;
	image->fd_tried = false;
	image->block = GS_NO_ADDR;
}

void gs_image_fini(struct gs_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image->fd = -1;
}

static int image_fd(struct gs_image *image)
{
	if (image->module->fd >= 0)
		return image->module->fd;
	if (!image->fd_tried) {
		image->fd_tried = true;
		gs_err_free(gs_file_open(image->module, &image->fd));
	}
	return image->fd;
}

/* Where in the file the block is that is mapped at addr. */
static bool file_offset(const struct gs_module *module, gs_addr addr, uint64_t *ret)
{
	if (addr >= module->map->start && addr < module->map->end) {
		*ret = addr - module->map->start + module->map->offset;
		return true;
	}
	for (size_t i = 0; i < module->n_segments; i++) {
		const struct gs_segment *segment = &module->segments[i];
		gs_addr first = segment->start & ~(gs_addr)(GS_IMAGE_BLOCK - 1);
		uint64_t skip = segment->start - first;
		if (addr < first || addr >= segment->file_end || segment->offset < skip)
			continue;
		return !__builtin_add_overflow(segment->offset - skip, addr - first, ret);
	}
	return false;
}

static bool read_from_file(struct gs_image *image, gs_addr block)
{
	uint64_t offset;

	if (!file_offset(image->module, block, &offset) || offset > INT64_MAX)
		return false;
	int fd = image_fd(image);
	if (fd < 0)
		return false;
	ssize_t n = pread(fd, image->data, GS_IMAGE_BLOCK, (off_t)offset);
	if (n <= 0)
		return false;
	memset(image->data + n, 0, GS_IMAGE_BLOCK - (size_t)n);
	return true;
}

static bool load(struct gs_image *image, gs_addr block)
{
	if (image->block == block)
		return true;
	image->block = GS_NO_ADDR;
	if (!gs_mem_try(image->mem, block, image->data, GS_IMAGE_BLOCK) &&
	    !read_from_file(image, block))
		return false;
	image->block = block;
	return true;
}

bool gs_image_read(struct gs_image *image, gs_addr addr, void *buf, size_t len)
{
	gs_addr end;

	if (__builtin_add_overflow(addr, len, &end))
		return false;
	for (uint8_t *to = buf; addr < end;) {
		gs_addr block = addr & ~(gs_addr)(GS_IMAGE_BLOCK - 1);
		size_t skip = addr - block;
		size_t n = GS_IMAGE_BLOCK - skip;
		if (n > end - addr)
			n = end - addr;
		if (!load(image, block))
			return false;
		memcpy(to, image->data + skip, n);
		to += n;
		addr += n;
	}
	return true;
}

bool gs_image_read_word(struct gs_image *image, gs_addr addr, uint64_t *ret)
{
	uint32_t word;

	if (image->module->word == sizeof(*ret))
		return gs_image_read(image, addr, ret, sizeof(*ret));
	if (!gs_image_read(image, addr, &word, sizeof(word)))
		return false;
	*ret = word;
	return true;
}

/* Blocks that can be read neither way are passed over. */
static gs_addr find_in_segment(struct gs_image *image, const struct gs_segment *segment,
			       const char *text, size_t n)
{
	uint8_t window[GS_IMAGE_TEXT_MAX + GS_IMAGE_BLOCK];
	size_t kept = 0;	/* bytes of the last block at the window's start */
	gs_addr last = segment->file_end;

	if (last > segment->start + GS_IMAGE_SEARCH_MAX)
		last = segment->start + GS_IMAGE_SEARCH_MAX;
	for (gs_addr at = segment->start; at < last;) {
		size_t want = GS_IMAGE_BLOCK - at % GS_IMAGE_BLOCK;
		if (want > last - at)
			want = last - at;
		if (!gs_image_read(image, at, window + kept, want)) {
			kept = 0;
			at += want;
			continue;
		}
		size_t have = kept + want;
		uint8_t *hit = memmem(window, have, text, n);
		if (hit)
			return at - kept + (size_t)(hit - window);
		kept = have < n - 1 ? have : n - 1;
		memmove(window, window + have - kept, kept);
		at += want;
	}
	return GS_NO_ADDR;
}

static gs_addr find_in_segments(struct gs_image *image, uint8_t prot, const char *text)
{
	const struct gs_module *module = image->module;
	size_t n = strlen(text);

	/* Last to first: read-only data comes after the tables of the dynamic linker. */
	for (size_t i = module->n_segments; i-- > 0;) {
		if (module->segments[i].prot != prot)
			continue;
		gs_addr at = find_in_segment(image, &module->segments[i], text, n);
		if (at != GS_NO_ADDR)
			return at;
	}
	return GS_NO_ADDR;
}

bool gs_image_find_text(struct gs_image *image, const char *text, char *after, size_t size)
{
	size_t n = strlen(text);

	if (!n || n > GS_IMAGE_TEXT_MAX)
		return false;
	gs_addr at = find_in_segments(image, GS_PROT_R, text);
	if (at == GS_NO_ADDR)
		at = find_in_segments(image, GS_PROT_R | GS_PROT_X, text);
	if (at == GS_NO_ADDR)
		return false;
	for (size_t i = 0; i + 1 < size; i++) {
		if (!gs_image_read(image, at + n + i, &after[i], 1))
			after[i] = '\0';
		if (!after[i])
			return true;
	}
	if (size)
		after[size - 1] = '\0';
	return true;
}
