#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The recipes of docs/ci.md: the shell's is run, on images and with a stand-in for openvmbus run; of the
# others, which are YAML, what tries the image is run in the same way. Prints TAP.
# result is always true, so "A && result 0 || result 1" is an if:
# shellcheck disable=SC2015
set -euo pipefail
cd "$(dirname "$0")/.."
recipes=$PWD/docs/ci.md
program=$PWD/image/openvmbus-image
monitor=$PWD/tests/image/monitor
export PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
shown=(out)
cd "$work"

# recipe HEADING: its indented lines.
recipe() {
	awk -v heading="## $1" '/^## / { on = $0 == heading } on && sub(/^    /, "") { print; seen = 1; next }
		on && seen && /^$/ { print; next } on && seen { exit }' "$recipes"
}

mkdir bin seen
cat >bin/openvmbus <<END
#!/bin/sh
shift
exec env OPENVMBUS=$monitor PLAY=$work/play SEEN=$work/seen $program "\$@"
END
chmod +x bin/openvmbus
mkdir -p root/boot
echo kernel >root/boot/vmlinuz-1
truncate -s 16M disk.img
mkfs.ext4 -q -F -d root disk.img
recipe 'Plain shell' >check-image
cat >boots <<'END'
H progress: system
C Linux version 6.1
H progress: bus
H progress: disk
H progress: network
C login: 
END
printf 'H progress: system\nC Linux version 6.1\nH progress: bus\nexit 6\n' >stops

# runs NAME PLAY FILE CODE TEXT
runs() {
	local rc=0
	cp "$2" play
	rm -f image.xml image.html
	PATH=$work/bin:$PATH timeout 60 sh check-image "$3" >out 2>&1 || rc=$?
	[ $rc = "$4" ] && [ "$(tail -n1 out)" = "$5" ] && result 0 "$1" || result 1 "$1"
}
runs 'an image that boots' boots disk.img 0 'disk.img boots'
[ -s image.xml ] && [ -s image.html ] && result 0 'and its files' || result 1 'and its files'
runs 'an image without a driver' stops disk.img 13 "disk.img lacks a driver of Hyper-V"
runs 'no image' boots check-image 2 'check-image is no image, or an option is wrong'

# What the jobs of the others have: the command that tries an image, and the files that they keep after it.
for one in 'GitHub Actions' GitLab; do
	recipe "$one" >recipe.yml
	python3 - recipe.yml >out 2>&1 <<'END' && result 0 "$one: valid" || result 1 "$one: valid"
import subprocess, sys, yaml
whole = yaml.safe_load(open(sys.argv[1]))
job = whole.get("jobs", whole)["boots-on-hyper-v"]
if "jobs" in whole:
    assert set(whole) == {"name", True, "jobs"}, whole.keys()  # YAML 1.1 reads "on" as true
    assert job["runs-on"] and all(("run" in step) != ("uses" in step) for step in job["steps"])
    steps = [step["run"] for step in job["steps"] if "run" in step]
    keep = next(step for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    assert keep["if"] == "always()", "a failed step would leave it out"
    files = keep["with"]["path"].split()
else:
    steps, files = job["script"], job["artifacts"]["paths"] + [job["artifacts"]["reports"]["junit"]]
    assert job["artifacts"]["when"] == "always"
for step in steps:
    subprocess.run(["sh", "-n", "-c", step], check=True)
open("command", "w").write(next(step for step in steps if step.startswith("openvmbus image")))
open("files", "w").write("\n".join(files) + "\n")
END
	for play in boots:0 stops:13; do
		rc=0
		cp "${play%:*}" play
		cp disk.img disk.qcow2
		rm -f image.*
		PATH=$work/bin:$PATH timeout 60 sh -e command >out 2>&1 || rc=$?
		[ $rc = "${play#*:}" ] && xargs -r ls >>out 2>&1 <files && result 0 "$one: ${play%:*}" || result 1 "$one: ${play%:*}"
	done
done
"$program" --help >help
while read -r option; do
	grep -q -- "^ *\(--[a-z-]* [A-Z]*, \)*$option\b" help || grep -qF -- "$option " help || echo "$option"
done < <(grep -o 'openvmbus image .*' "$recipes" | grep -o -e ' --[a-z-]*' | tr -d ' ' | sort -u) >out
[ ! -s out ] && result 0 'each option is one' || result 1 'each option is one'
the_end
