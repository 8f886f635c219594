#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The checks of tools/lint must find what they are there for: each is given a small tree without a
# fault, which it must pass, and then the same tree with one fault, which it must name by file and
# line.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
spdx='SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause'
docs=docs # a variable, or lint would look for these documents in the real tree
failed=0

add() {
	local file=$1
	shift
	printf '%s\n' "$@" >>"$file"
}

clean_tree() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree"/{wire,guest,host,vmm,examples,tools,docs,ports/linux}
	cd "$scratch/tree"
	cp "$root/.clang-format" .
	printf '/* %s */\n#include <stdint.h>\n' "$spdx" | tee wire/a.h guest/a.h >host/a.h
	printf '// %s\n/* A. */\n#include "guest/a.h"\n' "$spdx" >guest/a.c
	printf '// %s\n/* A. */\n#include "host/a.h"\n' "$spdx" >vmm/a.c
	printf '// %s\n/* A. */\n' 'SPDX-License-Identifier: GPL-2.0-only' \
		>ports/linux/a.c
	printf '#!/bin/bash\n# %s\ntrue\n' "$spdx" >tools/a
	add "$docs/a.md" "<!-- $spdx -->" '# A' '' '## 1.2 Things' '' 'As "1.2 Things" says.'
	add "$docs/b.md" "<!-- $spdx -->" '[a](a.md#12-things), "1.2 Things"; [here](#b)' '' '# B'
	add vmm/b.h "/* $spdx */" "/* $docs/a.md, \"A\"," ' * "1.2 Things" */'
	export_symbol vmb_a
}

# Puts an object that exports the name into what stands for the core library.
export_symbol() {
	mkdir -p build
	echo "void $1(void) {}" | "${CC:-gcc}" -x c -c -o "build/$1.o" -
	ar rc build/libvmbus-core.a "build/$1.o"
}

# expect NAME CHECK PLACE FAULT... : CHECK passes the clean tree and names PLACE after FAULT.
expect() {
	local name=$1 check=$2 place=$3 out
	shift 3
	clean_tree
	if ! out=$("$root/tools/lint" "$check" 2>&1); then
		printf 'not ok %s_passes_clean_tree\n%s\n' "$check" "${out//$'\n'/$'\n'# }"
		failed=1
		return
	fi
	"$@"
	if out=$("$root/tools/lint" "$check" 2>&1) || [[ "$out" != *"$place"* ]]; then
		printf 'not ok %s\n# %s\n' "$name" "${out//$'\n'/$'\n'# }"
		failed=1
	else
		echo "ok $name"
	fi
}

# passes NAME CHECK CHANGE... : CHECK passes the clean tree after CHANGE, too.
passes() {
	local name=$1 check=$2 out
	shift 2
	clean_tree
	"$@"
	if out=$("$root/tools/lint" "$check" 2>&1); then
		echo "ok $name"
	else
		printf 'not ok %s\n# %s\n' "$name" "${out//$'\n'/$'\n'# }"
		failed=1
	fi
}

# shellcheck disable=SC2317 # expect calls it
unrecorded() {
	mkdir -p devices
	printf '// %s\n/* A. */\nint a(void)\n{\n\treturn vmb_ring_read(&r, &p);\n}\n' "$spdx" >devices/a.c
}
expect ring_read_behind_a_recording_is_found recorded devices/a.c:5 unrecorded
expect guest_including_host_is_found includes guest/a.c:4 add guest/a.c '#include "host/a.h"'
expect vmm_including_guest_is_found includes vmm/a.c:4 add vmm/a.c '#include "guest/a.h"'
expect wire_including_guest_is_found includes wire/a.h:3 add wire/a.h '#include "guest/a.h"'
expect example_including_host_is_found includes examples/a.c:2 \
	add examples/a.c "/* $spdx */" '#include "host/a.h"'
expect system_header_in_core_is_found includes host/a.h:3 add host/a.h '#include <stdlib.h>'
expect include_without_layer_is_found includes guest/a.c:4 add guest/a.c '#include "a.h"'
expect linux_including_host_is_found includes ports/linux/a.c:3 add ports/linux/a.c \
	'#include "host/a.h"'
expect missing_licence_is_found spdx tools/b:1 add tools/b '#!/bin/bash'
expect wrong_licence_of_port_is_found spdx ports/linux/b.c:1 add ports/linux/b.c "// $spdx"
expect wrong_licence_is_found spdx vmm/b.c:1 add vmm/b.c \
	'// SPDX-License-Identifier: GPL-2.0-only'
expect licence_of_a_header_in_a_source_is_found spdx vmm/c.c:1 add vmm/c.c "/* $spdx */"
expect licence_of_a_source_in_a_header_is_found spdx vmm/c.h:1 add vmm/c.h "// $spdx"
expect source_without_an_opening_is_found opening vmm/b.c:2 add vmm/b.c "// $spdx" 'int b;'
expect wrong_format_is_found format vmm/a.c:4 add vmm/a.c 'int  main(void);'
expect out_of_bounds_read_is_found cppcheck vmm/a.c:7 add vmm/a.c \
	$'int f(void)\n{\n\tint a[2];\n\treturn a[2];\n}'
expect export_without_prefix_is_found symbols naked export_symbol naked
# shellcheck disable=SC2016 # the fault
expect unquoted_variable_is_found shellcheck 'tools/a line 4' add tools/a 'rm $1'
expect missing_document_is_found citations guest/a.c:4 add guest/a.c "/* $docs/c.md */"
expect missing_heading_is_found citations guest/a.c:4 add guest/a.c \
	"/* $docs/a.md, \"1.3 Nothing\" */"
expect second_missing_heading_is_found citations guest/a.c:4 add guest/a.c \
	"/* $docs/a.md, \"A\"," ' * "1.3 Nothing" */'
expect citation_by_number_is_found citations guest/a.c:4 add guest/a.c \
	'/* Source: protocol' ' * reference, vmbus 1.2. */'
expect renamed_heading_is_found citations vmm/b.h:2 sed -i 's/^## 1.2 Things/## 1.2 Matters/' \
	"$docs/a.md"
expect missing_heading_of_own_is_found citations "$docs/a.md:7" add "$docs/a.md" 'See "1.3 Nothing".'
expect missing_heading_behind_link_is_found citations "$docs/b.md:5" add "$docs/b.md" \
	'[a](a.md), "1.3 Nothing"'
expect dead_link_is_found citations "$docs/b.md:5" add "$docs/b.md" '[c](../c.md)'
expect dead_anchor_is_found citations "$docs/b.md:5" add "$docs/b.md" '[a](a.md#nothing)'
expect dead_anchor_of_own_is_found citations "$docs/b.md:5" add "$docs/b.md" '[a](#nothing)'
long=$(printf 'word %.0s' {1..21}) # 105 columns
expect long_prose_is_found columns "$docs/b.md:5" add "$docs/b.md" "$long"
expect long_list_item_is_found columns "$docs/b.md:5" add "$docs/b.md" "  - $long"
expect long_prose_behind_code_is_found columns "$docs/b.md:8" add "$docs/b.md" '```' "$long" '```' \
	"$long"
expect long_comment_is_found columns wire/a.h:3 add wire/a.h "/* ${long:0:96} */"
expect unused_name_is_found python tools/a.py:2 add tools/a.py "# $spdx" 'import os'
expect tabs_count_eight columns wire/a.h:3 add wire/a.h $'\t/* '"${long:0:88} */"
passes long_table_code_and_link_pass columns add "$docs/b.md" "| $long |" '' "    $long" '' \
	"[b](b.md#${long// /-}${long// /-})"
exit $failed
