/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/core_notes.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "base/xalloc.h"

enum {
	COMM_LEN = 16,		/* pr_fname */
	ARGS_LEN = 80,		/* pr_psargs */
	PAGE_MIN = 4096,
	PAGE_MAX = 65536,
};

/*
 * Where things are in struct elf_prstatus and elf_prpsinfo (include/linux/elfcore.h, with each
 * machine's registers), and the note that has the thread pointer if the registers do not.
 */
static const struct machine {
	uint16_t elf;
	unsigned char elf_class;
	struct { size_t size, pid, tp; } prstatus;	/* tp 0: it is in a note */
	struct { size_t size, pid, comm, args; } prpsinfo;
	struct { uint32_t type; size_t at; } tls_note;
} machines[] = {
	{ EM_X86_64, ELFCLASS64, { 336, 32, 280 }, { 136, 24, 40, 56 }, { } },
	/* The first user_desc is that of %gs: only a program that sets more has others. */
	{ EM_386, ELFCLASS32, { 144, 24, 0 }, { 124, 12, 28, 44 }, { NT_386_TLS, 4 } },
	{ EM_AARCH64, ELFCLASS64, { 392, 32, 0 }, { 136, 24, 40, 56 }, { NT_ARM_TLS, 0 } },
};

static const struct machine *find_machine(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].elf == machine)
			return &machines[i];
	}
	return NULL;
}

bool gs_core_has_machine(uint16_t machine, unsigned char elf_class)
{
	const struct machine *m = find_machine(machine);

	return m && m->elf_class == elf_class;
}

/* One note that is being taken. */
struct note {
	struct gs_core *core;
	const struct machine *machine;
	const char *desc;
	size_t size;
};

static uint64_t word_at(const struct note *note, size_t at)
{
	uint64_t wide;
	uint32_t narrow;

	if (note->core->word == sizeof(wide)) {
		memcpy(&wide, note->desc + at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, note->desc + at, sizeof(narrow));
	return narrow;
}

static pid_t pid_at(const struct note *note, size_t at)
{
	int32_t pid;

	memcpy(&pid, note->desc + at, sizeof(pid));
	return pid;
}

static struct gs_err *bad_note(const char *name)
{
	return gs_err_new(GS_ERR_FORMAT, "damaged core file: its %s note cannot be right", name);
}

/* The thread that the notes after it are of, too. */
static struct gs_err *take_prstatus(const struct note *note)
{
	const struct machine *m = note->machine;

	if (note->size < m->prstatus.size || pid_at(note, m->prstatus.pid) <= 0)
		return bad_note("NT_PRSTATUS");
	*gs_vec_push(&note->core->threads) = (struct gs_thread){
		.tid = pid_at(note, m->prstatus.pid),
		.tp = m->prstatus.tp ? word_at(note, m->prstatus.tp) : GS_NO_ADDR,
	};
	return NULL;
}

static struct gs_err *take_tls(const struct note *note)
{
	struct gs_threads *threads = &note->core->threads;

	if (threads->len && note->size >= note->machine->tls_note.at + note->core->word)
		threads->data[threads->len - 1].tp = word_at(note, note->machine->tls_note.at);
	return NULL;
}

static struct gs_err *take_prpsinfo(const struct note *note)
{
	const struct machine *m = note->machine;
	struct gs_core *core = note->core;

	if (note->size < m->prpsinfo.size || pid_at(note, m->prpsinfo.pid) <= 0)
		return bad_note("NT_PRPSINFO");
	if (core->comm)
		return NULL;
	core->pid = pid_at(note, m->prpsinfo.pid);
	core->comm = gs_xasprintf("%.*s", COMM_LEN, note->desc + m->prpsinfo.comm);
	core->args = gs_xasprintf("%.*s", ARGS_LEN, note->desc + m->prpsinfo.args);
	/* The kernel puts a blank for each word's NUL, the last one's too. */
	for (size_t n = strlen(core->args); n && core->args[n - 1] == ' '; n--)
		core->args[n - 1] = '\0';
	return NULL;
}

static struct gs_err *take_auxv(const struct note *note)
{
	struct gs_core *core = note->core;
	size_t word = core->word;

	for (size_t at = 0; at + 2 * word <= note->size; at += 2 * word) {
		uint64_t type = word_at(note, at), value = word_at(note, at + word);
		if (type == AT_NULL)
			break;
		if (type == AT_ENTRY)
			core->entry = value;
		if (type == AT_RANDOM)
			core->stack = value;
		if (type != AT_PAGESZ)
			continue;
		if (value < PAGE_MIN || value > PAGE_MAX || value & (value - 1))
			return bad_note("NT_AUXV");
		core->page_size = value;
	}
	return NULL;
}

/* One mapping of NT_FILE: start, end, offset in pages. The next one's path begins at *path. */
static bool take_file(const struct note *note, size_t at, uint64_t page_size, const char **path)
{
	struct gs_core *core = note->core;
	const struct gs_core_file *last =
		core->files.len ? &core->files.data[core->files.len - 1] : NULL;
	struct gs_core_file file = {
		.start = word_at(note, at),
		.end = word_at(note, at + core->word),
		.path = *path,
	};
	const char *paths_end = core->paths + note->size;
	const char *nul = memchr(*path, '\0', (size_t)(paths_end - *path));

	if (!nul || file.start >= file.end || (last && file.start < last->end) ||
	    __builtin_mul_overflow(word_at(note, at + 2u * core->word), page_size, &file.offset))
		return false;
	*gs_vec_push(&core->files) = file;
	*path = nul + 1;
	return true;
}

/* The number of mappings, the unit of offsets, the mappings, then their paths. */
static struct gs_err *take_files(const struct note *note)
{
	struct gs_core *core = note->core;
	size_t word = core->word;

	if (core->paths)
		return NULL;
	if (note->size < 2 * word)
		return bad_note("NT_FILE");
	uint64_t n = word_at(note, 0), page_size = word_at(note, word);
	if (n > (note->size - 2 * word) / (3 * word))
		return bad_note("NT_FILE");
	core->paths = gs_xzalloc(note->size);
	memcpy(core->paths, note->desc, note->size);
	const char *path = core->paths + (2 + 3 * n) * word;
	for (uint64_t i = 0; i < n; i++) {
		if (!take_file(note, (2 + 3 * i) * word, page_size, &path))
			return bad_note("NT_FILE");
	}
	return NULL;
}

static const struct {
	uint32_t type;
	struct gs_err *(*take)(const struct note *note);
} takers[] = {
	{ NT_PRSTATUS, take_prstatus },
	{ NT_PRPSINFO, take_prpsinfo },
	{ NT_AUXV, take_auxv },
	{ NT_FILE, take_files },
};

static struct gs_err *take_note(const struct note *note, uint32_t type)
{
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (takers[i].type == type)
			return takers[i].take(note);
	}
	return NULL;
}

/* Registers beyond the general ones are notes of "LINUX", all else is of "CORE". */
static bool is_named(const char *name, const GElf_Nhdr *header, const char *wanted)
{
	size_t len = strlen(wanted);

	return header->n_namesz >= len && header->n_namesz <= len + 1 && !memcmp(name, wanted, len);
}

struct gs_err *gs_core_take_notes(struct gs_core *core, Elf_Data *data)
{
	struct note note = { .core = core, .machine = find_machine(core->machine) };
	size_t name_at, desc_at;
	GElf_Nhdr header;

	for (size_t at = 0; (at = gelf_getnote(data, at, &header, &name_at, &desc_at)) > 0;) {
		const char *name = (const char *)data->d_buf + name_at;
		struct gs_err *err = NULL;
		note.desc = (const char *)data->d_buf + desc_at;
		note.size = header.n_descsz;
		if (is_named(name, &header, "CORE"))
			err = take_note(&note, header.n_type);
		else if (is_named(name, &header, "LINUX") && note.machine->tls_note.type &&
			 header.n_type == note.machine->tls_note.type)
			err = take_tls(&note);
		if (err)
			return err;
	}
	return NULL;
}
