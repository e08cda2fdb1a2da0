/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs a fuzz target on the files named, as libFuzzer does, where there is no libFuzzer. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "fuzz.h"

static int replay(const char *path)
{
	cleanup_fclose_ FILE *f = fopen(path, "rb");

	if (!f || fseek(f, 0, SEEK_END)) {
		perror(path);
		return 1;
	}
	long size = ftell(f);
	if (size < 0) {
		perror(path);
		return 1;
	}
	rewind(f);
	/* Exactly as long as the input, so that reading past its end is seen. */
	cleanup_free_ uint8_t *data = gs_xzalloc((size_t)size);
	if (fread(data, 1, (size_t)size, f) != (size_t)size) {
		perror(path);
		return 1;
	}
	return LLVMFuzzerTestOneInput(data, (size_t)size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]))
			return 1;
	return 0;
}
