# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# A private apt under build/apt: the machine's own mirror, keyring, proxy and credentials, but its
# own lists and sources, so that other suites can be read without touching the running system.

# apt_mirror CODENAME: the archive URI that the machine itself takes CODENAME from.
# The list of files that an update would fetch is the same for both formats of sources.
apt_mirror() {
	apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\(.*\)/dists/$1/InRelease'.*|\1|p" | head -n1
}

# apt_keyring: the keyring that the machine's Debian entries are signed by.
apt_keyring() {
	local found
	found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
		/etc/apt/sources.list.d/*.list 2>/dev/null |
		sed -n -e 's/^Signed-By:[[:space:]]*\(\/[^ ,]*\).*/\1/p' \
			-e 's/^deb .*signed-by=\(\/[^] ,]*\).*/\1/p' | grep -m1 debian || true)
	echo "${found:-/usr/share/keyrings/debian-archive-keyring.gpg}"
}

# apt_base: the codename of the release that this machine runs.
apt_base() {
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# apt_private SUITE: prepares build/apt/SUITE; then `apt_do SUITE get|cache ...` works on it.
apt_private() {
	local suite=$1 dir=$BUILD/apt/$1 mirror keyring
	mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/parts"
	[ -e "$dir/updated" ] && [ -n "$(find "$dir/updated" -mtime -1)" ] && return
	mirror=$(apt_mirror "$(apt_base)")
	[ -n "$mirror" ] || die "apt has no source for $(apt_base); add one to /etc/apt/sources.list"
	keyring=$(apt_keyring)
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$mirror" "$suite" "$keyring" >"$dir/parts/$suite.sources"
	: >"$dir/status"
	say "reading the package list of $suite"
	apt_do "$suite" get update >"$dir/update.log" 2>&1 && touch "$dir/updated" && return
	tail -n5 "$dir/update.log" >&2
	die "apt cannot read $suite from $mirror"
}

# apt_do SUITE get|cache ARGUMENT...
apt_do() {
	local dir=$BUILD/apt/$1 tool=$2
	shift 2
	"apt-$tool" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/parts" \
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::State::lists="$dir/lists" \
		-o Dir::State::status="$dir/status" -o Dir::Cache::archives="$dir/archives" \
		-o Dir::Cache::pkgcache="" -o Dir::Cache::srcpkgcache="" -o APT::Sandbox::User=root "$@"
}
