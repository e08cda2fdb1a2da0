/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core_made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOADS = 5, PHDRS = LOADS + 1 };

const struct gs_made_kind gs_made_kinds[GS_MADE_KINDS] = {
	[GS_MADE_X86_64] = { EM_X86_64, 8, 336, 32, 112 + 21 * 8, 136, 24, 40, 56, 0, 0, 0 },
	[GS_MADE_I386] = { EM_386, 4, 144, 24, 0, 124, 12, 28, 44, NT_386_TLS, 16, 4 },
	[GS_MADE_AARCH64] = { EM_AARCH64, 8, 392, 32, 0, 136, 24, 40, 56, NT_ARM_TLS, 8, 0 },
};

/* address, size, size in the file, flags: two neighbours, then one that the file has half of. */
static const struct { uint64_t at, size, filesz; uint32_t flags; } loads[LOADS] = {
	{ 0x10000, GS_MADE_PAGE, GS_MADE_PAGE, PF_R | PF_W },
	{ 0x11000, 2 * GS_MADE_PAGE, GS_MADE_PAGE, PF_R | PF_W },
	{ 0x40000, GS_MADE_PAGE, GS_MADE_PAGE, PF_R },
	{ 0x42000, GS_MADE_PAGE, GS_MADE_PAGE, PF_R | PF_W },
	{ 0x50000, GS_MADE_PAGE, 0, PF_R | PF_X },
};

/* The second lies between two loads of its file: left out of the core. */
static const struct { uint64_t start, end, page; const char *path; } files[] = {
	{ 0x40000, 0x41000, 0, "/no/such/program" },
	{ 0x41000, 0x42000, 1, "/no/such/program" },
	{ 0x42000, 0x43000, 2, "/no/such/program" },
};

enum { FILES = sizeof(files) / sizeof(files[0]) };

void gs_made_word(struct gs_made *made, size_t at, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	if (made->kind->word == 8)
		memcpy(made->bytes + at, &value, 8);
	else
		memcpy(made->bytes + at, &narrow, 4);
}

void gs_made_int(struct gs_made *made, size_t at, int32_t value)
{
	memcpy(made->bytes + at, &value, sizeof(value));
}

size_t gs_made_note(struct gs_made *made, const char *name, uint32_t type, size_t size)
{
	Elf32_Nhdr note = {
		.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)size, .n_type = type,
	};

	memcpy(made->bytes + made->at, &note, sizeof(note));
	memcpy(made->bytes + made->at + sizeof(note), name, note.n_namesz);
	made->last_note = made->at + sizeof(note) + ((note.n_namesz + 3) & ~3u);
	made->at = made->last_note + ((size + 3) & ~(size_t)3);
	return made->last_note;
}

void gs_made_thread(struct gs_made *made, int32_t tid, uint64_t tp)
{
	const struct gs_made_kind *kind = made->kind;
	size_t at = gs_made_note(made, "CORE", NT_PRSTATUS, kind->prstatus);

	gs_made_int(made, at + kind->pid, tid);
	if (kind->tp)
		gs_made_word(made, at + kind->tp, tp);
	else
		gs_made_word(made, gs_made_note(made, "LINUX", kind->tls_note, kind->tls_size) +
			       kind->tls_at, tp);
}

void gs_made_psinfo(struct gs_made *made)
{
	const struct gs_made_kind *kind = made->kind;
	size_t at = gs_made_note(made, "CORE", NT_PRPSINFO, kind->prpsinfo);

	gs_made_int(made, at + kind->psinfo_pid, GS_MADE_LEADER);
	/* Neither has to end with a NUL. */
	memcpy(made->bytes + at + kind->comm, "0123456789abcdefGHIJ", 16);
	memset(made->bytes + at + kind->args, 'x', 80);
	memcpy(made->bytes + at + kind->args, "program -v ", 11);
}

void gs_made_auxv(struct gs_made *made, uint64_t page_size)
{
	const uint64_t words[] = {
		AT_PAGESZ, page_size, AT_ENTRY, 0x41010, AT_RANDOM, 0x11800, AT_NULL, 0,
	};
	size_t word = made->kind->word;
	size_t at = gs_made_note(made, "CORE", NT_AUXV, sizeof(words) / 8 * word);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		gs_made_word(made, at + i * word, words[i]);
}

void gs_made_files(struct gs_made *made)
{
	size_t word = made->kind->word, paths = 0;

	for (size_t i = 0; i < FILES; i++)
		paths += strlen(files[i].path) + 1;
	size_t at = gs_made_note(made, "CORE", NT_FILE, (2 + 3 * FILES) * word + paths);
	made->file_note = at;
	gs_made_word(made, at, FILES);
	gs_made_word(made, at + word, GS_MADE_PAGE);
	for (size_t i = 0; i < FILES; i++) {
		gs_made_word(made, at + (2 + 3 * i) * word, files[i].start);
		gs_made_word(made, at + (3 + 3 * i) * word, files[i].end);
		gs_made_word(made, at + (4 + 3 * i) * word, files[i].page);
	}
	at += (2 + 3 * FILES) * word;
	for (size_t i = 0; i < FILES; i++) {
		strcpy((char *)made->bytes + at, files[i].path);
		at += strlen(files[i].path) + 1;
	}
}

Elf64_Ehdr *gs_made_ehdr64(struct gs_made *made)
{
	return (void *)made->bytes;
}

Elf64_Phdr *gs_made_phdr64(struct gs_made *made, size_t i)
{
	return (Elf64_Phdr *)(void *)(made->bytes + sizeof(Elf64_Ehdr)) + i;
}

static void put_phdr(struct gs_made *made, size_t i, Elf64_Phdr p)
{
	Elf32_Phdr p32 = {
		.p_type = p.p_type, .p_flags = p.p_flags, .p_offset = (Elf32_Off)p.p_offset,
		.p_vaddr = (Elf32_Addr)p.p_vaddr, .p_filesz = (Elf32_Word)p.p_filesz,
		.p_memsz = (Elf32_Word)p.p_memsz,
	};

	if (made->kind->word == 8)
		*gs_made_phdr64(made, i) = p;
	else
		memcpy(made->bytes + sizeof(Elf32_Ehdr) + i * sizeof(p32), &p32, sizeof(p32));
}

void gs_made_headers(struct gs_made *made)
{
	const bool is64 = made->kind->word == 8;
	Elf32_Ehdr e32 = { .e_type = ET_CORE, .e_machine = made->kind->machine, .e_version = 1,
			   .e_phnum = PHDRS, .e_phoff = sizeof(e32), .e_ehsize = sizeof(e32),
			   .e_phentsize = sizeof(Elf32_Phdr) };
	Elf64_Ehdr e64 = { .e_type = ET_CORE, .e_machine = made->kind->machine, .e_version = 1,
			   .e_phnum = PHDRS, .e_phoff = sizeof(e64), .e_ehsize = sizeof(e64),
			   .e_phentsize = sizeof(Elf64_Phdr) };
	size_t offset = GS_MADE_CONTENTS_AT;

	if (is64)
		memcpy(made->bytes, &e64, sizeof(e64));
	else
		memcpy(made->bytes, &e32, sizeof(e32));
	memcpy(made->bytes, ELFMAG, SELFMAG);
	made->bytes[EI_CLASS] = is64 ? ELFCLASS64 : ELFCLASS32;
	made->bytes[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB :
									   ELFDATA2MSB;
	made->bytes[EI_VERSION] = EV_CURRENT;
	put_phdr(made, 0, (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = GS_MADE_NOTES_AT,
					.p_filesz = made->at - GS_MADE_NOTES_AT });
	for (size_t i = 0; i < LOADS; i++) {
		put_phdr(made, 1 + i, (Elf64_Phdr){
			.p_type = PT_LOAD, .p_flags = loads[i].flags, .p_offset = offset,
			.p_vaddr = loads[i].at, .p_filesz = loads[i].filesz,
			.p_memsz = loads[i].size,
		});
		memset(made->bytes + offset, (int)('A' + i), loads[i].filesz);
		offset += loads[i].filesz;
	}
}

struct gs_made *gs_made_new(const struct gs_made_kind *kind)
{
	struct gs_made *made = calloc(1, sizeof(*made));

	assert_non_null(made);
	made->kind = kind;
	made->fd = -1;
	made->at = GS_MADE_NOTES_AT;
	return made;
}

struct gs_made *gs_made_core(const struct gs_made_kind *kind)
{
	struct gs_made *made = gs_made_new(kind);

	/* The thread that crashed comes first. */
	gs_made_thread(made, GS_MADE_OTHER, 0x12340);
	gs_made_psinfo(made);
	gs_made_auxv(made, GS_MADE_PAGE);
	gs_made_files(made);
	gs_made_thread(made, GS_MADE_LEADER, 0x56780);
	gs_made_headers(made);
	return made;
}

struct gs_err *gs_made_open(struct gs_made *made, size_t size)
{
	made->fd = memfd_create("core", MFD_CLOEXEC);
	assert_true(made->fd >= 0);
	assert_int_equal(write(made->fd, made->bytes, size), size);
	snprintf(made->path, sizeof(made->path), "/proc/self/fd/%d", made->fd);
	return gs_core_open(made->path, &made->core);
}

void gs_made_free(struct gs_made *made)
{
	gs_core_free(made->core);
	if (made->fd >= 0)
		close(made->fd);
	free(made);
}
