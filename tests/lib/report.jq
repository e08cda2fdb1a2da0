# SPDX-License-Identifier: GPL-3.0-or-later
# What must hold of an inspect report. Each ..._problems lists what does not, one text each.

# Page size of the machines that the tests run on.
def page: 4096;

def problem(wrong; text): if wrong then text else empty end;

def differ($what; $is; $should):
	problem($is != $should; "\($what): \($is), should be \($should)");

# null where this glibc has no tcache or no fastbins
def tcache_bytes: .free.tcache_bytes // 0;
def fastbin_bytes: .free.fastbin_bytes // 0;
def free_bytes: tcache_bytes + fastbin_bytes + .free.bin_bytes + .free.top_bytes;

def heap_name: "heap \(.address)";

def account_numbers:
	[ .mapped_bytes, .resident_bytes, .swapped_bytes, .live_bytes, .live_chunks,
	  .overhead_bytes, .stalled_bytes, .stalled_swapped_bytes, .reclaimable_bytes,
	  .returned_bytes, .unsettled_bytes, (.free.tcache_bytes // 0),
	  (.free.tcache_chunks // 0), (.free.fastbin_bytes // 0), (.free.fastbin_chunks // 0),
	  .free.bin_bytes, .free.bin_chunks, .free.top_bytes ];

def account_problems($name):
	problem(account_numbers | any(type != "number" or . < 0 or . != floor);
		"\($name): not all numbers: \(account_numbers)"),
	differ("\($name): live + overhead + free"; .live_bytes + .overhead_bytes + free_bytes;
	       .mapped_bytes),
	differ("\($name): stalled + swapped + returned";
	       .stalled_bytes + .stalled_swapped_bytes + .returned_bytes; free_bytes),
	problem(.reclaimable_bytes > .stalled_bytes;
		"\($name): reclaimable \(.reclaimable_bytes) > stalled \(.stalled_bytes)"),
	problem(.reclaimable_bytes % page != 0; "\($name): reclaimable is not whole pages"),
	problem(.unsettled_bytes > .live_bytes; "\($name): unsettled is not part of live");

# The parts' accounts must add up to the whole's, number by number.
def sum_problems($name; $parts; $whole):
	([ range($whole | account_numbers | length) as $i
	   | [ $parts[] | account_numbers[$i] ] | add // 0 ]) as $sum
	| differ("\($name): sum of parts"; $sum; $whole | account_numbers);

def adds_up_problems:
	(.totals | account_problems("totals")),
	sum_problems("totals"; [ .arenas[] ]; .totals),
	( .arenas[]
	  | . as $arena | "arena \(.index)" as $name
	  | account_problems($name),
	    sum_problems($name; .heaps; $arena),
	    differ("\($name): mapped + unlocated"; .mapped_bytes + .unlocated_bytes;
		   .system_bytes),
	    ( .heaps[] | account_problems("\($name) \(heap_name)") ) );

# $t is one arena of malloc_info: DESIGN tells how its sums read.
def arena_problems($t):
	"arena \(.index)" as $name
	| differ("\($name): fastbin bytes"; fastbin_bytes; $t.fast_bytes),
	  differ("\($name): fastbin chunks"; .free.fastbin_chunks // 0; $t.fast_count),
	  differ("\($name): bins + top + bin chunks";
		 .free.bin_bytes + .free.top_bytes + .free.bin_chunks; $t.rest_bytes),
	  differ("\($name): bin chunks + 1"; .free.bin_chunks + 1; $t.rest_count),
	  differ("\($name): system"; .system_bytes; $t.system_bytes),
	  differ("\($name): max system"; .max_system_bytes; $t.system_max_bytes),
	  problem(.kind == "thread" and (.heaps | length) != $t.subheaps;
		  "\($name): \(.heaps | length) heaps, should be \($t.subheaps)");

def malloc_info_problems($truth):
	differ("number of arenas"; .arenas | length; $truth.arenas | length),
	( .arenas[] | arena_problems($truth.arenas[.index]) );

def mallinfo_problems($truth):
	$truth.mallinfo as $m
	| differ("fordblks"; .totals | .free.bin_bytes + .free.top_bytes + fastbin_bytes;
		 $m.fordblks),
	  differ("fsmblks"; .totals | fastbin_bytes; $m.fsmblks),
	  differ("arena"; [ .arenas[].system_bytes ] | add; $m.arena),
	  differ("keepcost"; .arenas[0].free.top_bytes; $m.keepcost),
	  differ("mmapped chunks"; .mmapped.chunks; $m.hblks),
	  differ("mmapped bytes"; .mmapped.bytes; $m.hblkhd);

# Threads whose tcache the victim could not count itself have null.
def tcache_problems($truth):
	( [ .arenas[].threads[] | { key: (.tid | tostring), value: . } ] | from_entries ) as $seen
	| $truth.threads[] | select(.tcache_chunks != null)
	| ( $seen[.tid | tostring] // { tcache_chunks: 0, tcache_bytes: 0 } ) as $got
	| differ("tcache chunks of \(.tid)"; $got.tcache_chunks // 0; .tcache_chunks),
	  differ("tcache bytes of \(.tid)"; $got.tcache_bytes // 0; .tcache_bytes);

# The heaps of thread arenas are where the victim's maps have them, as resident as mincore says.
def range_problems($truth):
	( [ .arenas[] | select(.kind == "thread") | .heaps[]
	    | { key: .address, value: . } ] | from_entries ) as $heaps
	| ( [ $truth.ranges[] | { key: .start, value: . } ] | from_entries ) as $ranges
	| ( $heaps | keys[] | problem($ranges[.] == null; "heap \(.) is not in the victim's maps") ),
	  ( $truth.ranges[] | select($heaps[.start])
	    | differ("heap \(.start): resident"; $heaps[.start].resident_bytes; .resident_bytes) );

# Where every live byte was written, what is not resident is free: so much is returned, no more.
def hole_problems:
	.arenas[].heaps[]
	| differ("\(heap_name): returned"; .returned_bytes + .stalled_swapped_bytes;
		 .mapped_bytes - .resident_bytes);

# $facts of foreign-sbrk: memory that glibc counts as its own, but nothing of malloc lies there.
def foreign_problems($facts):
	.arenas[0]
	| differ("segments"; .heaps | length; $facts.segments),
	  problem(.unlocated_bytes < $facts.foreign_bytes;
		  "unlocated \(.unlocated_bytes) < \($facts.foreign_bytes)"),
	  problem(.unlocated_bytes > $facts.foreign_bytes + 2 * page;
		  "unlocated \(.unlocated_bytes) > \($facts.foreign_bytes)");

# malloc was never used.
def untouched_problems:
	(.totals | differ("totals"; account_numbers; account_numbers | map(0))),
	differ("mmapped"; .mmapped | .chunks, .bytes; 0);

# The settings of a process that changed none, by the version that its libc tells of itself.
def default_settings_problems($version):
	($version | split(".")[1] | tonumber) as $minor
	| (.target.machine == "i386") as $narrow
	| differ("settings"; .mallopt;
		 { trim_threshold_bytes: 131072, top_pad_bytes: 131072,
		   mmap_threshold_bytes: 131072, arena_max: 0,
		   arena_test: (if $narrow then 2 else 8 end),
		   tcache_count: (if $minor >= 43 then 16 else 7 end),
		   tcache_max_bytes:
			(if $minor >= 43 then if $narrow then 1025 else 1041 end
			 elif $narrow then 1020 else 1032 end),
		   dynamic_threshold: true }),
	  differ("has fastbins"; .totals.free.fastbin_bytes != null; $minor < 43);

def complete_problems($mode):
	differ("mode"; .capture.mode; $mode),
	differ("complete"; .capture.complete; true),
	differ("warnings"; .warnings; []),
	differ("unsettled"; .totals.unsettled_bytes; 0),
	differ("unlocated"; [ .arenas[].unlocated_bytes ] | add // 0; 0);

# --- core files: what they have must be as the live report $live had it a moment before ---

def resident_parts:
	[ .resident_bytes, .swapped_bytes, .stalled_bytes, .stalled_swapped_bytes,
	  .reclaimable_bytes, .returned_bytes ];

def core_account:
	{ mapped_bytes, live_bytes, live_chunks, overhead_bytes, free, unsettled_bytes };

def core_heap:
	core_account + { address, "end": .end, reserved_bytes, position, idle, stable, pin };

def core_arena:
	core_account + { index, kind, address, system_bytes, max_system_bytes, unlocated_bytes,
			 attached_threads, heaps: [ .heaps[] | core_heap ],
			 threads: [ .threads[] | { tid, tcache_bytes, tcache_chunks } ] };

# The parts that differ, not all of a document.
def differ_in($what; $is; $should):
	($should | keys[]) as $key | differ("\($what): \($key)"; $is[$key]; $should[$key]);

def core_unknown_problems:
	( [ .totals, .arenas[], .arenas[].heaps[] ] | map(resident_parts[]) | unique ) as $parts
	| differ("residency"; $parts; [ null ]),
	  differ("what if"; [ .what_if[].releasable_bytes ] | unique; [ null ]),
	  differ("sizes in memory";
		 [ .mmapped.resident_bytes, .target.rss_bytes, .target.swap_bytes ] | unique;
		 [ null ]),
	  problem([ .arenas[].heaps[].map.cells ] | join("") | test("[^LXST-]"); "odd cells");

def core_problems($live):
	core_unknown_problems,
	differ("kind"; .target.kind; "core"),
	differ("mode"; .capture.mode; "core"),
	differ("complete"; .capture.complete; $live.capture.complete),
	differ("warnings"; .warnings; []),
	differ_in("target"; .target; $live.target | { pid, comm, exe, machine, threads }),
	differ_in("mallopt"; .mallopt; $live.mallopt),
	differ_in("mmapped"; .mmapped; $live.mmapped | { chunks, bytes }),
	differ_in("totals"; .totals; $live.totals | core_account),
	differ("arenas"; .arenas | length; $live.arenas | length),
	( .arenas[] | differ_in("arena \(.index)"; core_arena;
				$live.arenas[.index] | core_arena) );

# Of a core that was cut short: heaps that are told as whole are so, all else is named.
def cut_problems($live):
	core_unknown_problems,
	differ("complete"; .capture.complete; false),
	differ("settings"; .mallopt; $live.mallopt),
	( [ $live.arenas[].heaps[] | { key: .address, value: . } ] | from_entries ) as $heaps
	| .arenas[].heaps[] | select(.stable)
	| differ("\(heap_name): end"; .end; $heaps[.address].end),
	  differ("\(heap_name): overhead"; .overhead_bytes; $heaps[.address].overhead_bytes),
	  differ("\(heap_name): bins and top"; .free | [ .bin_bytes, .bin_chunks, .top_bytes ];
		 $heaps[.address].free | [ .bin_bytes, .bin_chunks, .top_bytes ]);
