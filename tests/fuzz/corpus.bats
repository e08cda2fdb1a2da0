#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Every input that a fuzzer once found interesting is tried again.

load "$top_srcdir/tests/lib/helpers"

@test "the fuzz targets take their corpora" {
	for corpus in "$top_srcdir"/tests/fuzz/corpus/*; do
		target=$top_builddir/tests/fuzz/${corpus##*/}
		run "$target" "$corpus"/*
		assert_success
	done
}

@test "every fuzz target has a corpus" {
	cd "$top_srcdir/tests/fuzz"
	for target in $(grep -l LLVMFuzzerTestOneInput -- *.c); do
		[ "$target" != replay.c ] || continue
		assert [ -d "corpus/${target%.c}" ]
	done
}
