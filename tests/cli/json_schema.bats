#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The JSON documents are what the JSON Schema says, and the schema says enough to tell others.

load "$top_srcdir/tests/lib/helpers"

setup()
{
	need python3 jq
	python3 -c 'import jsonschema' 2>/dev/null || skip 'python3-jsonschema is not installed'
	sample=$top_builddir/tests/cli/render_sample
	schema=$top_srcdir/man/glibcstall.inspect.1.schema.json
	doc=$BATS_TEST_TMPDIR/doc.json
}

# Status 0 if $doc is valid, 1 if it is not; says why.
validate()
{
	python3 - "$schema" "$doc" <<-'PYTHON'
		import json, sys
		from jsonschema import Draft7Validator
		schema, doc = (json.load(open(path)) for path in sys.argv[1:])
		errors = list(Draft7Validator(schema).iter_errors(doc))
		for error in errors:
		    print(list(error.absolute_path), error.message[:200])
		sys.exit(1 if errors else 0)
	PYTHON
}

@test "the schema is a draft-07 schema" {
	run -0 python3 - "$schema" <<-'PYTHON'
		import json, sys
		from jsonschema import Draft7Validator
		Draft7Validator.check_schema(json.load(open(sys.argv[1])))
	PYTHON
}

@test "every kind of document is valid, indented or on one line" {
	for name in stalled small healthy unused partial core others hostile; do
		for form in json compact; do
			"$sample" "$name" "$form" >"$doc"
			run validate
			[ "$status" -eq 0 ] || fail "$name: $output"
		done
	done
}

@test "a document with one thing wrong is not valid" {
	while read -r change; do
		"$sample" stalled json | jq "$change" >"$doc"
		run validate
		[ "$status" -eq 1 ] || fail "accepted: $change $output"
	done <<-'CHANGES'
		.schema = "glibcstall.inspect/2"
		del(.warnings)
		del(.totals.free.top_bytes)
		.totals.mapped_bytes = "812M"
		.totals.live_bytes = null
		.totals.stalled_bytes = -1
		.totals.stalled_bytes = 1.5
		.time = "yesterday"
		.target.kind = "thread"
		.target.cmdline = "a b"
		.allocator.symbols = "guess"
		.capture.complete = 1
		.arenas[0].kind = "second"
		.arenas[0].address = 139820000000000
		.arenas[0].address = "7f2a40000000"
		.arenas[0].address = "0x7F2A40000000"
		.arenas[0].threads[0].tid = "4312"
		.arenas[0].heaps[0].position = "middle"
		.arenas[0].heaps[0].end = null
		.arenas[0].heaps[0].pin.state = "tcache"
		.arenas[0].heaps[0].pin.cache = "tcache"
		.arenas[0].heaps[0].map.cells = "LX?"
		del(.arenas[0].mapped_bytes)
		del(.arenas[0].heaps[0].stalled_bytes)
		.findings[0].severity = "worst"
		.findings[0].heap = "main"
		.findings[0].advice[0].kind = "later"
		.what_if[0].releasable_bytes = "4K"
		.program_malloc = "jemalloc"
		.other_allocators[0] = { allocator }
	CHANGES
}

@test "members may be added" {
	"$sample" stalled json |
		jq '.new = 1 | .totals.new = 1 | .arenas[0].heaps[0].new = 1' >"$doc"
	run -0 validate
}

# Deny in each object what the schema does not name: then a forgotten member shows.
@test "the schema names every member there is" {
	for name in stalled core others; do
		"$sample" "$name" json >"$doc"
		run -0 python3 - "$schema" "$doc" <<-'PYTHON'
			import json, sys
			schema, doc = (json.load(open(path)) for path in sys.argv[1:])

			def resolve(part):
			    if "$ref" in part:
			        return resolve(schema["definitions"][part["$ref"].split("/")[-1]])
			    return part

			def members(part):
			    found = dict(part.get("properties", {}))
			    for other in part.get("allOf", []) + part.get("oneOf", []):
			        found.update(members(resolve(other)))
			    return found

			def check(value, part, path):
			    part = resolve(part)
			    if isinstance(value, list):
			        for item in value:
			            check(item, part["items"], path + "[]")
			    elif isinstance(value, dict) and "additionalProperties" not in part:
			        known = members(part)
			        for name, item in value.items():
			            if name not in known:
			                sys.exit(f"{path}.{name} is not in the schema")
			            check(item, known[name], f"{path}.{name}")

			check(doc, schema, "")
		PYTHON
	done
}

@test "the manual page names every member of the schema" {
	# The words after .Li, without the dots and commas of the sentence.
	sed -n 's/^\.\(It \)*Li //p' "$top_srcdir/man/glibcstall-json.5" | tr ' ,;' '\n\n\n' |
		sort -u >"$BATS_TEST_TMPDIR/page"
	missing=$(jq -r '.. | .properties? // empty | keys[]' "$schema" | sort -u |
		while read -r member; do
			grep -qx "$member" "$BATS_TEST_TMPDIR/page" || echo "$member"
		done)
	# What is explained in words: a kind of thing, not a member's name.
	assert_equal "$(grep -vxE 'tid' <<<"$missing")" ''
}
