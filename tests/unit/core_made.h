/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Core files made by hand, for tests. */
#ifndef GS_TESTS_CORE_MADE_H
#define GS_TESTS_CORE_MADE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/core.h"

enum {
	GS_MADE_PAGE = 4096,
	GS_MADE_NOTES_AT = 0x400,
	GS_MADE_CONTENTS_AT = 2 * GS_MADE_PAGE,
	GS_MADE_SIZE = 8 * GS_MADE_PAGE,
	GS_MADE_LEADER = 300,	/* TIDs of its two threads */
	GS_MADE_OTHER = 301,
};

/** The facts of a machine that the tests know by themselves. */
struct gs_made_kind {
	uint16_t machine;
	uint8_t word;
	size_t prstatus, pid, tp;		/* sizes and offsets; tp 0: in a note */
	size_t prpsinfo, psinfo_pid, comm, args;
	uint32_t tls_note;
	size_t tls_size, tls_at;
};

enum { GS_MADE_X86_64, GS_MADE_I386, GS_MADE_AARCH64, GS_MADE_KINDS };

extern const struct gs_made_kind gs_made_kinds[GS_MADE_KINDS];

/** A core in the making. The tests change it before it is opened. */
struct gs_made {
	const struct gs_made_kind *kind;
	uint8_t bytes[GS_MADE_SIZE];
	size_t at;		/* end of the notes so far */
	size_t last_note;	/* where the description of the last one begins */
	size_t file_note;	/* that of NT_FILE */
	char path[64];
	int fd;
	struct gs_core *core;
};

/** One without notes and headers. */
struct gs_made *gs_made_new(const struct gs_made_kind *kind);

/** A whole one: two threads, three mappings of one file, five stretches of memory. */
struct gs_made *gs_made_core(const struct gs_made_kind *kind);

/** Open the first size bytes of it as made->core. */
struct gs_err *gs_made_open(struct gs_made *made, size_t size);

void gs_made_free(struct gs_made *made);

/** Write at an offset of the file. */
void gs_made_word(struct gs_made *made, size_t at, uint64_t value);
void gs_made_int(struct gs_made *made, size_t at, int32_t value);

/** Add a note of zeros; returns where its description begins. */
size_t gs_made_note(struct gs_made *made, const char *name, uint32_t type, size_t size);

/** Add the notes that a core has. */
void gs_made_thread(struct gs_made *made, int32_t tid, uint64_t tp);
void gs_made_psinfo(struct gs_made *made);
void gs_made_auxv(struct gs_made *made, uint64_t page_size);
void gs_made_files(struct gs_made *made);

/** Write the headers and the memory, once all notes are there. */
void gs_made_headers(struct gs_made *made);

Elf64_Ehdr *gs_made_ehdr64(struct gs_made *made);

/** The program headers: 0 is that of the notes, 1 to 5 those of memory. */
Elf64_Phdr *gs_made_phdr64(struct gs_made *made, size_t i);

#endif
