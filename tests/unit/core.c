/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Core files made by hand, good ones and hostile ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "core_made.h"
#include "heap/tls.h"

static struct gs_made *make_open(const struct gs_made_kind *kind)
{
	struct gs_made *made = gs_made_core(kind);

	assert_null(gs_made_open(made, GS_MADE_SIZE));
	return made;
}

static void refused(struct gs_made *made, enum gs_err_code code, const char *why)
{
	struct gs_err *err = gs_made_open(made, GS_MADE_SIZE);

	assert_non_null(err);
	assert_int_equal(err->code, code);
	if (!strstr(err->msg, why))
		fail_msg("'%s' does not say '%s'", err->msg, why);
	gs_err_free(err);
	gs_made_free(made);
}

/* --- good ones --- */

static void check_good(const struct gs_made_kind *kind)
{
	struct gs_made *made = make_open(kind);
	const struct gs_core *core = made->core;

	assert_int_equal(core->machine, kind->machine);
	assert_int_equal(core->word, kind->word);
	assert_int_equal(core->page_size, GS_MADE_PAGE);
	assert_int_equal(core->pid, GS_MADE_LEADER);
	assert_string_equal(core->comm, "0123456789abcdef");
	assert_int_equal(strlen(core->args), 80);
	assert_memory_equal(core->args, "program -v x", 12);
	assert_int_equal(core->threads.len, 2);
	assert_int_equal(core->threads.data[0].tid, GS_MADE_LEADER);
	assert_int_equal(core->threads.data[0].tp, 0x56780);
	assert_string_equal(core->threads.data[0].comm, core->comm);
	assert_int_equal(core->threads.data[1].tid, GS_MADE_OTHER);
	assert_int_equal(core->threads.data[1].tp, 0x12340);
	assert_string_equal(core->threads.data[1].comm, "");
	assert_string_equal(gs_core_exe(core), "/no/such/program");
	assert_int_equal(core->missing_bytes, 0);
	gs_made_free(made);
}

static void test_good_cores(void **state)
{
	for (size_t i = 0; i < GS_MADE_KINDS; i++)
		check_good(&gs_made_kinds[i]);
}

static void test_blanks_at_the_end_of_the_command_line(void **state)
{
	const struct gs_made_kind *kind = &gs_made_kinds[GS_MADE_X86_64];
	struct gs_made *made = gs_made_new(kind);

	gs_made_thread(made, GS_MADE_LEADER, 0x1000);
	gs_made_psinfo(made);
	strcpy((char *)made->bytes + made->last_note + kind->args, "program -v   ");
	gs_made_files(made);
	gs_made_headers(made);
	assert_null(gs_made_open(made, GS_MADE_SIZE));
	assert_string_equal(made->core->args, "program -v");
	assert_null(gs_core_exe(made->core));
	gs_made_free(made);
}

static void test_thread_without_a_thread_pointer(void **state)
{
	struct gs_made *made = gs_made_new(&gs_made_kinds[GS_MADE_AARCH64]);

	gs_made_psinfo(made);
	gs_made_files(made);
	/* Too short to be one, before any thread, and of another owner. */
	gs_made_note(made, "LINUX", NT_ARM_TLS, 8);
	gs_made_note(made, "CORE", NT_PRSTATUS, gs_made_kinds[GS_MADE_AARCH64].prstatus);
	gs_made_int(made, made->last_note + gs_made_kinds[GS_MADE_AARCH64].pid, GS_MADE_OTHER);
	gs_made_note(made, "LINUX", NT_ARM_TLS, 4);
	gs_made_note(made, "NetBSD-CORE", NT_ARM_TLS, 8);
	gs_made_word(made, made->last_note, 0x4444);
	gs_made_thread(made, GS_MADE_LEADER, 0);
	gs_made_headers(made);
	assert_null(gs_made_open(made, GS_MADE_SIZE));
	assert_int_equal(made->core->threads.len, 2);
	assert_int_equal(made->core->threads.data[0].tp, GS_NO_ADDR);
	assert_int_equal(made->core->threads.data[1].tp, GS_NO_ADDR);
	gs_made_free(made);
}

static void test_target_has_no_process(void **state)
{
	struct gs_made *made = make_open(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_target *target = gs_core_target_new(made->core);
	int fd = -1;

	assert_int_equal(target->pid, GS_MADE_LEADER);
	assert_int_equal(target->dir_fd, -1);
	assert_int_equal(target->pid_fd, -1);
	assert_string_equal(target->exe, "/no/such/program");
	struct gs_err *err = gs_target_openat(target, "maps", 0, &fd);
	assert_non_null(err);
	gs_err_free(err);
	gs_target_free(target);
	gs_made_free(made);
}

/* --- memory --- */

static size_t read_at(struct gs_mem *mem, gs_addr addr, size_t len, char *buf)
{
	struct gs_span span = { .addr = addr, .buf = buf, .len = len };

	memset(buf, '.', len);
	gs_mem_readv(mem, &span, 1);
	return span.got;
}

static void test_memory_is_read(void **state)
{
	struct gs_made *made = make_open(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_mem *mem = gs_core_mem_new(made->core);
	char buf[4 * GS_MADE_PAGE];

	assert_false(mem->knows_residency);
	assert_int_equal(read_at(mem, 0x10ff0, 32, buf), 32);
	assert_memory_equal(buf, "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB", 32);
	/* As far as there is something. */
	assert_int_equal(read_at(mem, 0x11ff0, 32, buf), 16);
	assert_int_equal(read_at(mem, 0x12000, 8, buf), 0);
	assert_int_equal(read_at(mem, 0xffff, 8, buf), 0);
	assert_int_equal(read_at(mem, 0x41ff8, 16, buf), 0);
	assert_int_equal(read_at(mem, 0x50000, 8, buf), 0);
	assert_int_equal(read_at(mem, UINT64_MAX - 3, 8, buf), 0);
	assert_int_equal(read_at(mem, 0x10000, sizeof(buf), buf), 2 * GS_MADE_PAGE);
	assert_true(gs_mem_try(mem, 0x42ff8, buf, 8));
	assert_false(gs_mem_try(mem, 0x42ff8, buf, 9));
	gs_mem_free(mem);
	gs_made_free(made);
}

static void test_pages_of_the_file_exist(void **state)
{
	struct gs_made *made = make_open(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_mem *mem = gs_core_mem_new(made->core);
	uint8_t pages[5];

	assert_null(gs_mem_pages(mem, 0xf000, 5, pages));
	assert_memory_equal(pages, "\0\1\1\0\0", 5);
	assert_null(gs_mem_pages(mem, 0x40000, 5, pages));
	assert_memory_equal(pages, "\1\0\1\0\0", 5);
	assert_null(gs_mem_pages(mem, 0x50000, 2, pages));
	assert_memory_equal(pages, "\0\0", 2);
	assert_null(gs_mem_pages(mem, UINT64_MAX - GS_MADE_PAGE + 1, 3, pages));
	assert_memory_equal(pages, "\0\0\0", 3);
	gs_mem_free(mem);
	gs_made_free(made);
}

/* The third load's page is half there: that is not a page. */
static void test_cut_short(void **state)
{
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	uint8_t pages[3];
	char buf[GS_MADE_PAGE];

	assert_null(gs_made_open(made, GS_MADE_CONTENTS_AT + 2 * GS_MADE_PAGE + GS_MADE_PAGE / 2));
	assert_int_equal(made->core->missing_bytes, GS_MADE_PAGE / 2 + GS_MADE_PAGE);
	struct gs_mem *mem = gs_core_mem_new(made->core);
	assert_null(gs_mem_pages(mem, 0x40000, 3, pages));
	assert_memory_equal(pages, "\0\0\0", 3);
	assert_int_equal(read_at(mem, 0x40000, GS_MADE_PAGE, buf), GS_MADE_PAGE / 2);
	assert_int_equal(read_at(mem, 0x42000, GS_MADE_PAGE, buf), 0);
	gs_mem_free(mem);
	gs_made_free(made);
}

/* It shrinks while it is open. */
static void test_cut_short_later(void **state)
{
	struct gs_made *made = make_open(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_mem *mem = gs_core_mem_new(made->core);
	char buf[GS_MADE_PAGE];

	assert_int_equal(ftruncate(made->fd, GS_MADE_CONTENTS_AT + GS_MADE_PAGE / 2), 0);
	assert_int_equal(read_at(mem, 0x10000, GS_MADE_PAGE, buf), GS_MADE_PAGE / 2);
	assert_false(gs_mem_try(mem, 0x11000, buf, 8));
	gs_mem_free(mem);
	gs_made_free(made);
}

static void test_cut_in_the_notes(void **state)
{
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_err *err = gs_made_open(made, GS_MADE_NOTES_AT + 100);

	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_FORMAT);
	assert_non_null(strstr(err->msg, "cut short"));
	gs_err_free(err);
	gs_made_free(made);
}

static void test_cut_anywhere(void **state)
{
	for (size_t size = 0; size < GS_MADE_CONTENTS_AT; size += 7) {
		struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
		struct gs_err *err = gs_made_open(made, size);
		/* All that is not read ends with the notes. */
		assert_int_equal(!err, size >= made->at);
		gs_err_free(err);
		gs_made_free(made);
	}
}

/* --- mappings --- */

static void test_mappings(void **state)
{
	static const struct {
		uint64_t start, end, offset;
		uint8_t prot;
		const char *path;
	} want[] = {
		{ 0x10000, 0x11000, 0, GS_PROT_R | GS_PROT_W, "" },
		{ 0x11000, 0x13000, 0, GS_PROT_R | GS_PROT_W, "[stack]" },
		{ 0x40000, 0x41000, 0, GS_PROT_R, "/no/such/program" },
		{ 0x41000, 0x42000, GS_MADE_PAGE, GS_PROT_R | GS_PROT_X, "/no/such/program" },
		{ 0x42000, 0x43000, 2 * GS_MADE_PAGE, GS_PROT_R | GS_PROT_W, "/no/such/program" },
		{ 0x50000, 0x51000, 0, GS_PROT_R | GS_PROT_X, "" },
	};
	struct gs_made *made = make_open(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_maps maps;

	gs_core_maps(made->core, &maps);
	assert_int_equal(maps.len, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < maps.len; i++) {
		const struct gs_map *map = &maps.data[i];
		assert_int_equal(map->start, want[i].start);
		assert_int_equal(map->end, want[i].end);
		assert_int_equal(map->offset, want[i].offset);
		assert_int_equal(map->prot, want[i].prot);
		assert_string_equal(map->path, want[i].path);
		assert_int_equal(map->ino != 0, want[i].path[0] == '/');
	}
	assert_true(gs_map_is_anon_rw(&maps.data[0]));
	assert_false(gs_map_is_anon_rw(&maps.data[4]));
	gs_maps_fini(&maps);
	gs_made_free(made);
}

/* Where the two lists do not agree on boundaries, every byte is still in one mapping only. */
static void test_mappings_that_cross(void **state)
{
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	struct gs_maps maps;

	gs_made_word(made, made->file_note + 2 * 8, 0x10800);
	gs_made_word(made, made->file_note + 3 * 8, 0x12000);
	gs_made_word(made, made->file_note + 4 * 8, 0);
	assert_null(gs_made_open(made, GS_MADE_SIZE));
	gs_core_maps(made->core, &maps);
	assert_int_equal(maps.data[0].end, 0x10800);
	assert_int_equal(maps.data[0].ino, 0);
	assert_int_equal(maps.data[1].end, 0x11000);
	assert_int_equal(maps.data[2].end, 0x12000);
	assert_int_equal(maps.data[2].offset, 0x800);
	assert_int_equal(maps.data[2].ino, 1);
	assert_int_equal(maps.data[3].end, 0x13000);
	assert_int_equal(maps.data[3].ino, 0);
	for (size_t i = 1; i < maps.len; i++)
		assert_true(maps.data[i].start >= maps.data[i - 1].end);
	gs_maps_fini(&maps);
	gs_made_free(made);
}

/* --- hostile ones --- */

static void test_what_is_no_core(void **state)
{
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_ehdr64(made)->e_type = ET_EXEC;
	refused(made, GS_ERR_FORMAT, "not an ELF core file");

	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	made->bytes[0] = 'x';
	refused(made, GS_ERR_FORMAT, "not an ELF core file");

	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_ehdr64(made)->e_machine = EM_S390;
	refused(made, GS_ERR_UNSUPPORTED, "machine");

	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_ehdr64(made)->e_machine = EM_386;
	refused(made, GS_ERR_UNSUPPORTED, "machine");

	struct gs_core *core = NULL;
	struct gs_err *err = gs_core_open("/dev/null", &core);
	assert_non_null(err);
	assert_null(core);
	gs_err_free(err);
}

static void test_hostile_loads(void **state)
{
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_phdr64(made, 1)->p_vaddr = UINT64_MAX - 100;
	refused(made, GS_ERR_FORMAT, "0xffffffffffffff9b");

	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_phdr64(made, 1)->p_filesz = UINT64_MAX;
	refused(made, GS_ERR_FORMAT, "0x10000");

	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_phdr64(made, 5)->p_vaddr = 0x10800;
	refused(made, GS_ERR_FORMAT, "overlaps");

	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_phdr64(made, 1)->p_offset = UINT64_MAX - 1;
	gs_made_phdr64(made, 2)->p_offset = INT64_MAX;
	assert_null(gs_made_open(made, GS_MADE_SIZE));
	assert_int_equal(made->core->missing_bytes, 2 * GS_MADE_PAGE);
	gs_made_free(made);

	/* Sums that do not fit are not taken for small ones. */
	made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_phdr64(made, 3)->p_filesz = gs_made_phdr64(made, 3)->p_memsz = UINT64_MAX / 4;
	gs_made_phdr64(made, 4)->p_vaddr = UINT64_MAX / 2;
	gs_made_phdr64(made, 4)->p_filesz = gs_made_phdr64(made, 4)->p_memsz = UINT64_MAX / 2;
	gs_made_phdr64(made, 5)->p_vaddr = UINT64_MAX / 4 + 0x80000;
	gs_made_phdr64(made, 5)->p_memsz = UINT64_MAX / 4 - 0x100000;
	gs_made_phdr64(made, 5)->p_filesz = UINT64_MAX / 4 - 0x100000;
	assert_null(gs_made_open(made, GS_MADE_SIZE));
	assert_true(made->core->missing_bytes > UINT64_MAX / 4 * 3);
	gs_made_free(made);
}

static void test_hostile_files(void **state)
{
	static const struct { size_t word; uint64_t value; } changes[] = {
		{ 0, 4 },			/* more mappings than paths */
		{ 0, 1000 },			/* more than the note can hold */
		{ 0, UINT64_MAX / 24 + 1 },	/* a size that wraps */
		{ 0, UINT64_MAX },
		{ 2, 0x41000 },			/* empty */
		{ 2, 0x41001 },			/* backwards */
		{ 5, 0x40fff },			/* overlap */
		{ 4, UINT64_MAX / 2 },		/* an offset that wraps */
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
		gs_made_word(made, made->file_note + changes[i].word * 8, changes[i].value);
		refused(made, GS_ERR_FORMAT, "NT_FILE");
	}
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_word(made, made->file_note, 0);
	refused(made, GS_ERR_FORMAT, "which files");
}

static void refused_note(const char *name, uint32_t type, size_t size, const char *why)
{
	struct gs_made *made = gs_made_new(&gs_made_kinds[GS_MADE_X86_64]);

	gs_made_note(made, name, type, size);
	gs_made_thread(made, GS_MADE_LEADER, 0x1000);
	gs_made_psinfo(made);
	gs_made_files(made);
	gs_made_headers(made);
	refused(made, GS_ERR_FORMAT, why);
}

static void test_hostile_notes(void **state)
{
	refused_note("CORE", NT_PRSTATUS, 335, "NT_PRSTATUS");
	refused_note("CORE", NT_PRSTATUS, 336, "NT_PRSTATUS");	/* TID 0 */
	refused_note("CORE", NT_PRSTATUS, 0, "NT_PRSTATUS");
	refused_note("CORE", NT_PRPSINFO, 135, "NT_PRPSINFO");
	refused_note("CORE", NT_PRPSINFO, 136, "NT_PRPSINFO");	/* PID 0 */
	refused_note("CORE", NT_FILE, 15, "NT_FILE");

	static const uint64_t page_sizes[] = { 0, 1, 2048, 4097, 1 << 20, UINT64_MAX };
	for (size_t i = 0; i < sizeof(page_sizes) / sizeof(page_sizes[0]); i++) {
		struct gs_made *made = gs_made_new(&gs_made_kinds[GS_MADE_X86_64]);
		gs_made_auxv(made, page_sizes[i]);
		gs_made_headers(made);
		refused(made, GS_ERR_FORMAT, "NT_AUXV");
	}
}

static void test_notes_that_are_missing(void **state)
{
	struct gs_made *made = gs_made_new(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_psinfo(made);
	gs_made_files(made);
	gs_made_headers(made);
	refused(made, GS_ERR_FORMAT, "no threads");

	made = gs_made_new(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_thread(made, GS_MADE_LEADER, 0x1000);
	gs_made_files(made);
	gs_made_headers(made);
	refused(made, GS_ERR_FORMAT, "not a core of a process");

	made = gs_made_new(&gs_made_kinds[GS_MADE_X86_64]);
	gs_made_thread(made, GS_MADE_LEADER, 0x1000);
	gs_made_psinfo(made);
	gs_made_headers(made);
	refused(made, GS_ERR_FORMAT, "which files");
}

/* --- thread pointers --- */

enum { TCB = 0x10100, DTV = 0x10200 };

static size_t blocks_found(struct gs_made *made, gs_addr tp)
{
	struct gs_mem *mem = gs_core_mem_new(made->core);
	struct gs_thread thread = { .tid = getpid(), .tp = tp };
	struct gs_threads threads = { &thread, 1, 1 };
	struct gs_maps maps;
	struct gs_tls_list tls;

	gs_core_maps(made->core, &maps);
	gs_tls_list_read(mem, made->kind->machine, 8, &threads, &maps, &tls);
	size_t n = tls.len ? tls.data[0].n : 0;
	if (n)
		assert_int_equal(gs_tls_block(&tls.data[0], 2), 0x7000);
	gs_tls_list_fini(&tls);
	gs_maps_fini(&maps);
	gs_mem_free(mem);
	return n;
}

/* The thread exists, so the kernel would have an answer: it is not asked. */
static void test_tls_by_thread_pointer(void **state)
{
	struct gs_made *made = gs_made_core(&gs_made_kinds[GS_MADE_X86_64]);
	const size_t tcb = GS_MADE_CONTENTS_AT + TCB - 0x10000;
	const size_t dtv = GS_MADE_CONTENTS_AT + DTV - 0x10000;

	gs_made_word(made, tcb, TCB);
	gs_made_word(made, tcb + 8, DTV);
	gs_made_word(made, tcb + 16, TCB);
	gs_made_word(made, dtv - 16, 3);
	gs_made_word(made, dtv + 32, 0x7000);
	assert_null(gs_made_open(made, GS_MADE_SIZE));
	assert_int_equal(blocks_found(made, TCB), 3);
	assert_int_equal(blocks_found(made, TCB + 8), 0);
	assert_int_equal(blocks_found(made, UINT64_MAX - 7), 0);
	assert_int_equal(blocks_found(made, GS_NO_ADDR), 0);
	gs_made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_cores),
		cmocka_unit_test(test_blanks_at_the_end_of_the_command_line),
		cmocka_unit_test(test_thread_without_a_thread_pointer),
		cmocka_unit_test(test_target_has_no_process),
		cmocka_unit_test(test_memory_is_read),
		cmocka_unit_test(test_pages_of_the_file_exist),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_cut_short_later),
		cmocka_unit_test(test_cut_in_the_notes),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_mappings_that_cross),
		cmocka_unit_test(test_what_is_no_core),
		cmocka_unit_test(test_hostile_loads),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test(test_hostile_notes),
		cmocka_unit_test(test_notes_that_are_missing),
		cmocka_unit_test(test_tls_by_thread_pointer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
