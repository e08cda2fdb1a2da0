#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# aarch64: victims inspected on an aarch64 machine, which qemu is, and their cores on this one. User
# mode emulation would not do: it has no ptrace, no pagemap, and its cores tell neither files nor
# thread pointers.

load ../lib/helpers

CACHE=$top_builddir/tests/cross/cache

# NAME COMMAND…
VICTIMS='
one-chunk	mkheap one-chunk
stall		mkheap stall mb=8 heaps=1
many-arenas	mkheap many-arenas threads=3
by-loader	/lib/ld-linux-aarch64.so.1 /bin/mkheap many-arenas threads=2
tcache-heavy	mkheap tcache-heavy threads=2
fastbin-heavy	mkheap fastbin-heavy
brk-blocked	mkheap brk-blocked blocks=40
mmapped		mkheap mmapped
full-heap	mkheap full-heap threads=2
threads-gone	mkheap threads-gone threads=2
after-fork	mkheap after-fork threads=2
'

# What the machine's programs need of Debian's libraries.
LIBRARIES='libc.so.6 libgcc_s.so.1 libz.so.1 liblzma.so.5 libbz2.so.1.0 libelf.so.1 libdw.so.1
	libsmartcols.so.1 libjansson.so.4 libcmocka.so.0'
MODULES='virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk'

setup_file() {
	local status=0
	need jq qemu-system-aarch64 cpio gzip
	bash "$top_srcdir/tests/cross/build.bash" "$CACHE" >"$BATS_FILE_TMPDIR/log" || status=$?
	((status != 77)) || skip "$(tail -n 1 "$BATS_FILE_TMPDIR/log")"
	((!status)) || fail "$(cat "$BATS_FILE_TMPDIR/log")"
	make_disk
	boot || fail "the machine: $(tail -n 20 "$BATS_FILE_TMPDIR/console")"
}

setup() {
	OUT=$BATS_FILE_TMPDIR/out
}

# Everything the machine has, as its initial RAM disk.
make_disk() {
	local root=$BATS_FILE_TMPDIR/root library file unit
	mkdir -p "$root"/{bin,dev,lib/aarch64-linux-gnu,modules,proc,sys,tmp,units}
	cp "$top_srcdir/tests/cross/guest.sh" "$root/init"
	chmod +x "$root/init"
	cp "$CACHE/tools/bin/busybox" "$CACHE/build/glibcstall" \
		"$CACHE/build/tests/fixtures/mkheap" "$root/bin"
	cp -L "$CACHE/root/lib/ld-linux-aarch64.so.1" "$root/lib"
	for library in $LIBRARIES; do
		cp -L "$CACHE"/root/{,usr/}lib/aarch64-linux-gnu/"$library" \
			"$root/lib/aarch64-linux-gnu" 2>/dev/null || true
	done
	for file in $MODULES; do
		find "$CACHE/kernel/lib/modules" -name "$file.ko" -exec cp {} "$root/modules" \;
	done
	env -u MAKEFLAGS make -s --no-print-directory -C "$CACHE/build" print-unemulated-tests |
		grep '^tests/' >"$BATS_FILE_TMPDIR/units"
	while read -r unit; do
		cp "$CACHE/build/$unit" "$root/units"
	done <"$BATS_FILE_TMPDIR/units"
	grep . <<<"$VICTIMS" >"$root/victims"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$BATS_FILE_TMPDIR/initrd"
}

# Run it to its end; what it leaves behind is in the folder out.
boot() {
	local disk=$BATS_FILE_TMPDIR/disk
	truncate -s 1G "$disk"
	timeout 600 qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on -smp 2 -m 1500 \
		-accel tcg,thread=multi -nographic -nic none -no-reboot \
		-kernel "$CACHE"/kernel/boot/vmlinuz-* -initrd "$BATS_FILE_TMPDIR/initrd" \
		-drive "file=$disk,if=none,id=disk,format=raw" \
		-device virtio-blk-pci,drive=disk,romfile= \
		-append 'console=ttyAMA0 panic=-1 quiet' \
		</dev/null >"$BATS_FILE_TMPDIR/console" 2>&1 3>&- || return
	tar -xf "$disk" -C "$BATS_FILE_TMPDIR" && rm "$disk"
}

# each_victim COMMAND…: run it for each, with $NAME and $TRUTH; list what it finds wrong.
each_victim() {
	local problems all=
	while read -r NAME _; do
		[[ -s $OUT/$NAME.truth && ! -s $OUT/$NAME.errors ]] ||
			fail "$NAME: $(cat "$OUT/$NAME.errors")"
		TRUTH=$(<"$OUT/$NAME.truth")
		problems=$("$@" 2>&1) || all+="$NAME: failed"$'\n'
		[[ ! $problems ]] || all+="$NAME: $problems"$'\n'
	done < <(grep . <<<"$VICTIMS")
	[[ ! $all ]] || fail "$all"
}

# live_problems MODE
live_problems() {
	REPORT=$OUT/$NAME.$1
	report 'differ("machine"; .target.machine; "aarch64"),
		differ("threads"; [ .arenas[].threads[] ] | length; .target.threads),
		adds_up_problems, malloc_info_problems($truth), mallinfo_problems($truth),
		tcache_problems($truth), range_problems($truth)' --argjson truth "$TRUTH"
	report "complete_problems(\"$1\")"
}

@test "live reports on an aarch64 machine say what glibc says" {
	each_victim live_problems live
}

@test "so do those of stopped victims" {
	each_victim live_problems stopped
}

core_problems() {
	local core=$BATS_TEST_TMPDIR/core
	gunzip <"$OUT/$NAME.core.gz" >"$core"
	gs_report --core="$core"
	((status == 0)) && [[ ! $stderr ]] || echo "status $status: $stderr"
	report 'differ("machine"; .target.machine; "aarch64"), core_problems($live[0]),
		malloc_info_problems($truth), mallinfo_problems($truth), tcache_problems($truth)' \
		--argjson truth "$TRUTH" --slurpfile live "$OUT/$NAME.live"
}

@test "their cores are read here, and say the same" {
	each_victim core_problems
}

@test "unit tests that need a kernel of that machine" {
	local tap n=0
	for tap in "$OUT"/*.tap; do
		run grep -c '^ok' "$tap"
		assert_success
		run grep -A 4 '^not ok' "$tap"
		assert_output ''
		n=$((n + 1))
	done
	assert_equal "$n" "$(wc -l <"$BATS_FILE_TMPDIR/units")"
}
