/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/core.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "elf/core_notes.h"
#include "elf/file.h"

enum {
	LOADS_MAX = 1 << 22,	/* the kernel allows 65530 mappings, and may be told otherwise */
	NOTES_MAX = 256 << 20,	/* bytes of one PT_NOTE: threads and paths of files */
	PAGE_DEFAULT = 4096,
};

static void elf_end_p(Elf **elf)
{
	elf_end(*elf);
}

/* What the user names may be a FIFO: do not wait for its other end. */
static struct gs_err *open_regular(const char *path, int *ret_fd, uint64_t *ret_size)
{
	cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return gs_err_os(errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return gs_err_os(errno, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return gs_err_new(GS_ERR_FORMAT, "%s is not a regular file", path);
	*ret_fd = take_fd(&fd);
	*ret_size = (uint64_t)st.st_size;
	return NULL;
}

static struct gs_err *take_header(struct gs_core *core, Elf *elf)
{
	const unsigned char native = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB :
										 ELFDATA2MSB;
	GElf_Ehdr header;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) || header.e_type != ET_CORE)
		return gs_err_new(GS_ERR_FORMAT, "not an ELF core file");
	if (header.e_ident[EI_DATA] != native ||
	    !gs_core_has_machine(header.e_machine, header.e_ident[EI_CLASS]))
		return gs_err_new(GS_ERR_UNSUPPORTED, "cores of this machine (ELF number %u) "
				  "cannot be read", header.e_machine);
	core->machine = header.e_machine;
	core->word = header.e_ident[EI_CLASS] == ELFCLASS64 ? 8 : 4;
	return NULL;
}

/* How much of [offset, offset + size) is in a file of file_size bytes. */
static uint64_t present_bytes(uint64_t offset, uint64_t size, uint64_t file_size)
{
	uint64_t there = offset < file_size ? file_size - offset : 0;

	return size < there ? size : there;
}

static struct gs_err *take_load(struct gs_core *core, const GElf_Phdr *header, uint64_t file_size)
{
	struct gs_core_load load = {
		.start = header->p_vaddr,
		.offset = header->p_offset,
		.present = present_bytes(header->p_offset, header->p_filesz, file_size),
		.prot = (uint8_t)((header->p_flags & PF_R ? GS_PROT_R : 0) |
				  (header->p_flags & PF_W ? GS_PROT_W : 0) |
				  (header->p_flags & PF_X ? GS_PROT_X : 0)),
	};

	if (!header->p_memsz)
		return NULL;
	if (__builtin_add_overflow(load.start, header->p_memsz, &load.end) ||
	    header->p_filesz > header->p_memsz)
		return gs_err_new(GS_ERR_FORMAT, "damaged core file: its memory at 0x%llx cannot "
				  "be right", (unsigned long long)load.start);
	if (__builtin_add_overflow(core->missing_bytes, header->p_filesz - load.present,
				   &core->missing_bytes))
		core->missing_bytes = UINT64_MAX;
	*gs_vec_push(&core->loads) = load;
	return NULL;
}

static struct gs_err *take_notes(struct gs_core *core, Elf *elf, const GElf_Phdr *header,
				 uint64_t file_size)
{
	Elf_Data *data = NULL;

	if (!header->p_filesz)
		return NULL;
	if (present_bytes(header->p_offset, header->p_filesz, file_size) < header->p_filesz)
		return gs_err_new(GS_ERR_FORMAT, "the core file is cut short: its notes are "
				  "missing");
	if (header->p_filesz <= NOTES_MAX)
		data = elf_getdata_rawchunk(elf, (int64_t)header->p_offset, header->p_filesz,
					    ELF_T_NHDR);
	if (!data)
		return gs_err_new(GS_ERR_FORMAT, "damaged core file: its notes cannot be read");
	return gs_core_take_notes(core, data);
}

static struct gs_err *take_segments(struct gs_core *core, Elf *elf, uint64_t file_size)
{
	size_t n;

	if (elf_getphdrnum(elf, &n) != 0 || n > LOADS_MAX)
		return gs_err_new(GS_ERR_FORMAT, "damaged core file: it has no program headers");
	for (size_t i = 0; i < n; i++) {
		struct gs_err *err = NULL;
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header))
			return gs_err_new(GS_ERR_FORMAT, "damaged core file: its program headers "
					  "cannot be read");
		if (header.p_type == PT_LOAD)
			err = take_load(core, &header, file_size);
		if (header.p_type == PT_NOTE)
			err = take_notes(core, elf, &header, file_size);
		if (err)
			return err;
	}
	return NULL;
}

static int compare_loads(const void *a, const void *b)
{
	const struct gs_core_load *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static struct gs_err *sort_loads(struct gs_core *core)
{
	if (core->loads.len)
		qsort(core->loads.data, core->loads.len, sizeof(*core->loads.data),
		      compare_loads);
	for (size_t i = 1; i < core->loads.len; i++) {
		if (core->loads.data[i].start < core->loads.data[i - 1].end)
			return gs_err_new(GS_ERR_FORMAT,
					  "damaged core file: its memory overlaps at 0x%llx",
					  (unsigned long long)core->loads.data[i].start);
	}
	return NULL;
}

static int compare_tids(const void *a, const void *b)
{
	const struct gs_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

/* What must be there, and what follows from it. */
static struct gs_err *complete(struct gs_core *core)
{
	if (!core->threads.len || !core->comm)
		return gs_err_new(GS_ERR_FORMAT, "not a core of a process: it has no threads");
	if (!core->files.len)
		return gs_err_new(GS_ERR_FORMAT,
				  "the core file does not say which files were mapped");
	qsort(core->threads.data, core->threads.len, sizeof(*core->threads.data), compare_tids);
	for (size_t i = 0; i < core->threads.len; i++) {
		struct gs_thread *thread = &core->threads.data[i];
		/* 0 would have the kernel asked, about a thread of today. */
		if (!thread->tp)
			thread->tp = GS_NO_ADDR;
		if (thread->tid == core->pid)
			strncpy(thread->comm, core->comm, sizeof(thread->comm) - 1);
	}
	return sort_loads(core);
}

static struct gs_err *parse(struct gs_core *core, uint64_t file_size)
{
	elf_version(EV_CURRENT);
	cleanup_(elf_end_p) Elf *elf = elf_begin(core->fd, ELF_C_READ, NULL);
	struct gs_err *err = take_header(core, elf);

	if (!err)
		err = take_segments(core, elf, file_size);
	if (!err)
		err = complete(core);
	return err;
}

static void core_free_p(struct gs_core **core)
{
	gs_core_free(*core);
}

struct gs_err *gs_core_open(const char *path, struct gs_core **ret)
{
	cleanup_(core_free_p) struct gs_core *core = gs_xzalloc(sizeof(*core));
	uint64_t size;

	core->fd = -1;
	core->page_size = PAGE_DEFAULT;
	struct gs_err *err = open_regular(path, &core->fd, &size);
	if (!err)
		err = parse(core, size);
	if (err)
		return err;
	*ret = take_ptr(core);
	return NULL;
}

void gs_core_free(struct gs_core *core)
{
	if (!core)
		return;
	if (core->fd >= 0)
		close(core->fd);
	gs_threads_fini(&core->threads);
	free(core->loads.data);
	free(core->files.data);
	free(core->paths);
	free(core->comm);
	free(core->args);
	free(core);
}

const char *gs_core_exe(const struct gs_core *core)
{
	for (size_t i = 0; i < core->files.len; i++) {
		const struct gs_core_file *file = &core->files.data[i];
		if (core->entry >= file->start && core->entry < file->end)
			return file->path;
	}
	return NULL;
}

struct gs_target *gs_core_target_new(const struct gs_core *core)
{
	struct gs_target *target = gs_xzalloc(sizeof(*target));
	const char *exe = gs_core_exe(core);

	target->pid = target->live_tid = core->pid;
	target->dir_fd = target->pid_fd = -1;
	target->comm = gs_xstrdup(core->comm);
	target->exe = exe ? gs_xstrdup(exe) : NULL;
	return target;
}

struct gs_err *gs_core_use_exe(const struct gs_core *core, const char *path,
			       const struct gs_modules *modules)
{
	struct gs_module *module = gs_modules_find(modules, core->entry);
	cleanup_close_ int fd = -1;
	uint64_t size;

	struct gs_err *err = open_regular(path, &fd, &size);
	if (err)
		return err;
	if (!module || !module->build_id_len)
		return gs_err_new(GS_ERR_FORMAT, "the core file has no build-id of the program: "
				  "whether it is %s cannot be told", path);
	if (!gs_file_has_build_id(fd, module->build_id, module->build_id_len))
		return gs_err_new(GS_ERR_FORMAT, "%s is not the program of the core file: its "
				  "build-id is another", path);
	module->fd = take_fd(&fd);
	return NULL;
}
