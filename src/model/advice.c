/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/advice.h"

#include <inttypes.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/xalloc.h"
#include "model/rules.h"

/*
 * The first row that fits wins, so a remedy's special rows stand before its general one. Versions
 * are the N of glibc 2.N: since <= N < before, 0 is no bound. An unknown version fits only rows
 * without bounds. {pid}, {arenas} and {tcache_count} are filled in.
 *
 * Facts behind the versions: tunables are on by default from 2.26 on, the environment variables
 * MALLOC_*_ work in all; glibc.malloc.mxfast came with 2.31 and went with the fastbins in 2.43;
 * mallopt(M_ARENA_MAX) sets the wrong variable in 2.25; heap_trim looks at trim_threshold from
 * 2.22 on; tcache_max above its default has an effect from 2.42 on.
 */
struct advice_row {
	enum gs_remedy remedy;
	bool fix;
	bool java;		/* only for a Java virtual machine */
	unsigned since, before;
	const char *command;
	const char *text;
};

#define ARENA_MAX_TUNABLE "GLIBC_TUNABLES=glibc.malloc.arena_max={arenas}"
#define ARENA_MAX_ENV "MALLOC_ARENA_MAX={arenas}"
#define AT_START " in the program's environment; takes effect at its next start. "

#define FEWER_HEAPS_TEXT AT_START "Fewer arenas leave fewer heaps behind. Or call " \
	"malloc_trim(0) from time to time: it empties idle heaps too."
#define LOWER_TOPS_TEXT AT_START "Fewer arenas have fewer tops."
#define LOWER_TOPS_TRIM " A low trim_threshold (131072 is the default) helps too: the next " \
	"free() of 64K or more in an arena then cuts its top."
#define TRIM_SETTINGS "Raise neither trim_threshold nor top_pad that far: look for " \
	"MALLOC_TRIM_THRESHOLD_ and MALLOC_TOP_PAD_ in the environment, "

static const struct advice_row rows[] = {
	{ GS_REMEDY_TRIM, .java = true,
	  .command = "jcmd {pid} System.trim_native_heap",
	  .text = "The JVM then calls malloc_trim. In JDK 18 and later and in updates of 11 and "
		  "17; elsewhere jcmd says that it does not know the command, and a restart is "
		  "left." },
	{ GS_REMEDY_TRIM,
	  .text = "Have the program call malloc_trim(0) if it offers a way to, such as an admin "
		  "command: it gives back the whole free pages of every arena, except the tops of "
		  "thread arenas. Otherwise restart the program when it suits." },
	{ GS_REMEDY_RESTART,
	  .text = "Only a restart gives this back at once: malloc_trim does not reach it." },
	{ GS_REMEDY_THREADS_EXIT,
	  .text = "No call empties another thread's cache, and malloc_trim does not look at it. It "
		  "returns to the arenas when the threads exit; otherwise restart the program "
		  "when it suits." },
	{ GS_REMEDY_LOOK_ELSEWHERE, .command = "pmap -x {pid}",
	  .text = "Lists every mapping with what it has in memory." },
	{ GS_REMEDY_NOTHING, .text = "Nothing to do." },

	{ GS_REMEDY_TRIM_BURSTS, .fix = true,
	  .text = "Call malloc_trim(0) after each burst of work; or allocate what lives long "
		  "before the burst starts; or do the burst in a thread of its own, so that it "
		  "uses another arena than the rest." },
	{ GS_REMEDY_FEWER_HEAPS, .fix = true, .since = 26,
	  .command = ARENA_MAX_TUNABLE, .text = "Put it" FEWER_HEAPS_TEXT },
	{ GS_REMEDY_FEWER_HEAPS, .fix = true,
	  .command = ARENA_MAX_ENV, .text = "Put it" FEWER_HEAPS_TEXT },
	{ GS_REMEDY_LOWER_TOPS, .fix = true, .since = 26,
	  .command = ARENA_MAX_TUNABLE,
	  .text = "Put it" LOWER_TOPS_TEXT LOWER_TOPS_TRIM },
	{ GS_REMEDY_LOWER_TOPS, .fix = true, .since = 22,
	  .command = ARENA_MAX_ENV,
	  .text = "Put it" LOWER_TOPS_TEXT LOWER_TOPS_TRIM },
	{ GS_REMEDY_LOWER_TOPS, .fix = true,
	  .command = ARENA_MAX_ENV,
	  .text = "Put it" LOWER_TOPS_TEXT },
	{ GS_REMEDY_FEWER_ARENAS, .fix = true, .since = 26,
	  .command = ARENA_MAX_TUNABLE,
	  .text = "Put it" AT_START "mallopt(M_ARENA_MAX, {arenas}) at the start of main() does "
		  "the same. Threads then share arenas: measure that they do not wait for each "
		  "other." },
	{ GS_REMEDY_FEWER_ARENAS, .fix = true,
	  .command = ARENA_MAX_ENV,
	  .text = "Put it" AT_START "Threads then share arenas: measure that they do not wait for "
		  "each other." },
	{ GS_REMEDY_OTHER_ALLOCATOR, .fix = true,
	  .text = "Allocate many small objects of one kind and lifetime from a pool that is freed "
		  "as a whole; or try an allocator with size classes under the same load, tcmalloc "
		  "or jemalloc by LD_PRELOAD." },
	{ GS_REMEDY_SMALLER_TCACHE, .fix = true, .since = 42,
	  .command = "GLIBC_TUNABLES=glibc.malloc.tcache_count={tcache_count}",
	  .text = "Put it" AT_START "It is how many blocks of a size a thread keeps; 0 keeps none. "
		  "glibc.malloc.tcache_max is the largest block it keeps, up to 4M if raised: "
		  "lower that again if it was." },
	{ GS_REMEDY_SMALLER_TCACHE, .fix = true,
	  .command = "GLIBC_TUNABLES=glibc.malloc.tcache_count={tcache_count}",
	  .text = "Put it" AT_START "It is how many blocks of a size a thread keeps; 0 keeps none. "
		  "glibc.malloc.tcache_max is the largest block it keeps." },
	{ GS_REMEDY_NO_FASTBINS, .fix = true, .since = 31, .before = 43,
	  .command = "GLIBC_TUNABLES=glibc.malloc.mxfast=0",
	  .text = "Put it" AT_START "It switches fastbins off; mallopt(M_MXFAST, 0) at the start "
		  "of main() does the same." },
	{ GS_REMEDY_NO_FASTBINS, .fix = true,
	  .text = "Call mallopt(M_MXFAST, 0) at the start of main(): it switches fastbins off." },
	{ GS_REMEDY_FIX_THRESHOLD, .fix = true, .since = 26,
	  .command = "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072",
	  .text = "Put it" AT_START "Setting any one of mmap_threshold, trim_threshold, top_pad "
		  "and mmap_max keeps free() from raising the thresholds; "
		  "mallopt(M_MMAP_THRESHOLD, 131072) does the same. Blocks above it then cost a "
		  "system call each." },
	{ GS_REMEDY_FIX_THRESHOLD, .fix = true,
	  .command = "MALLOC_MMAP_THRESHOLD_=131072",
	  .text = "Put it" AT_START "Setting any one of MALLOC_MMAP_THRESHOLD_, "
		  "MALLOC_TRIM_THRESHOLD_, MALLOC_TOP_PAD_ and MALLOC_MMAP_MAX_ keeps free() from "
		  "raising the thresholds; mallopt(M_MMAP_THRESHOLD, 131072) does the same. Blocks "
		  "above it then cost a system call each." },
	{ GS_REMEDY_UNSET_TRIM, .fix = true, .since = 26,
	  .text = TRIM_SETTINGS "for glibc.malloc.trim_threshold and glibc.malloc.top_pad in "
		  "GLIBC_TUNABLES, and for mallopt() with M_TRIM_THRESHOLD or M_TOP_PAD in the "
		  "program." },
	{ GS_REMEDY_UNSET_TRIM, .fix = true,
	  .text = TRIM_SETTINGS "and for mallopt() with M_TRIM_THRESHOLD or M_TOP_PAD in the "
		  "program." },
	{ GS_REMEDY_OWNER, .fix = true,
	  .text = "Settings of malloc will not help: it is for whoever made these mappings, such "
		  "as the program's own allocator, a managed heap's limit (-Xmx for Java), mapped "
		  "files or shared memory." },
};

static bool is_java(const struct gs_snapshot *snapshot)
{
	if (!snapshot->target.exe)
		return false;
	const char *slash = strrchr(snapshot->target.exe, '/');

	return !strcmp(slash ? slash + 1 : snapshot->target.exe, "java");
}

/*
 * The number of arenas to allow: those which are in use for more than half, two at least, but
 * fewer than there are now, or the advice would change nothing.
 */
static uint64_t arenas_needed(const struct gs_snapshot *snapshot)
{
	uint64_t busy = 0;

	for (size_t i = 0; i < snapshot->n_arenas; i++)
		busy += !gs_rule_mostly_free(&snapshot->arenas[i]);
	if (busy < 2)
		busy = 2;
	if (busy >= snapshot->n_arenas)
		busy = snapshot->n_arenas - 1;
	return busy ? busy : 1;
}

static uint64_t tcache_count(const struct gs_snapshot *snapshot)
{
	return snapshot->mallopt.tcache_count > 2 ? 2 : 0;
}

static uint64_t target_pid(const struct gs_snapshot *snapshot)
{
	return snapshot->target.pid > 0 ? (uint64_t)snapshot->target.pid : 0;
}

static const struct placeholder {
	const char *name;
	uint64_t (*value)(const struct gs_snapshot *snapshot);
} placeholders[] = {
	{ "{pid}", target_pid },
	{ "{arenas}", arenas_needed },
	{ "{tcache_count}", tcache_count },
};

static const struct placeholder *placeholder_at(const char *s)
{
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++)
		if (!strncmp(s, placeholders[i].name, strlen(placeholders[i].name)))
			return &placeholders[i];
	return NULL;
}

/* A copy of template with its placeholders filled in; NULL for NULL. */
static char *expand(const char *template, const struct gs_snapshot *snapshot)
{
	struct gs_strbuf sb = {};

	if (!template)
		return NULL;
	while (*template) {
		const struct placeholder *p = placeholder_at(template);

		if (p) {
			gs_strbuf_addf(&sb, "%" PRIu64, p->value(snapshot));
			template += strlen(p->name);
		} else {
			gs_strbuf_add(&sb, template++, 1);
		}
	}
	return gs_strbuf_take(&sb);
}

static bool row_fits(const struct advice_row *row, enum gs_remedy remedy, bool java,
		     unsigned minor)
{
	if (row->remedy != remedy || (row->java && !java))
		return false;
	if (!minor)
		return !row->since && !row->before;
	return minor >= row->since && (!row->before || minor < row->before);
}

static const struct advice_row *row_for(const struct gs_snapshot *snapshot, enum gs_remedy remedy)
{
	unsigned minor = gs_rule_glibc_minor(snapshot);
	bool java = is_java(snapshot);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (row_fits(&rows[i], remedy, java, minor))
			return &rows[i];
	return NULL;
}

void gs_advice_add(struct gs_finding *finding, const struct gs_snapshot *snapshot,
		   enum gs_remedy remedy)
{
	const struct advice_row *row = row_for(snapshot, remedy);

	if (!row)
		return;
	finding->advice = gs_xreallocarray(finding->advice, finding->n_advice + 1,
					   sizeof(*finding->advice));
	finding->advice[finding->n_advice++] = (struct gs_advice){
		.fix = row->fix,
		.command = expand(row->command, snapshot),
		.text = expand(row->text, snapshot),
	};
}
