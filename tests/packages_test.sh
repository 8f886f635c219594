#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tests/packages_test.sh [--twice] [--chroot] [--rpm]: the Debian packages are built; lintian finds
# nothing; what they hold is complete: the example builds against the library's package alone, the
# modules against the sources of the DKMS package, and manual and completion know every option of
# the program. No name of a folder of this machine is in the program. --twice: also builds them once
# more elsewhere, with the same bytes; that compiles everything again. --chroot: also installs,
# upgrades, removes and purges them in a clean Debian, which must be as before; that takes minutes
# and needs root and a mirror. --rpm: the RPM packages, too, which are installed in a root of their
# own. What the modules' package does to a system that boots is a scenario of the lab, lab/stock.
# shellcheck disable=SC2317 # expect calls the functions
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/packages
CC=${CC:-gcc}
. tests/expect.sh

same_bytes() {
	local deb
	packaging/build-deb "$scratch/elsewhere" || return 1
	for deb in "$out"/*.deb; do
		cmp "$deb" "$scratch/elsewhere/${deb##*/}" || return 1
	done
}

# What differs between two builds is first of all where they are.
names_no_folder() {
	local file=$scratch/openvmbus/usr/bin/openvmbus
	grep -q 'no such option' "$file" && ! grep -aq "$PWD" "$file"
}

versions_agree() {
	local versions
	versions=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version
		sed -n 's/^Version: *//p' packaging/rpm/*.spec)
	[ "$(sort -u <<<"$versions")" = "$(sed -n 's/^VERSION := //p' Makefile)" ] || { echo "$versions"; return 1; }
}

modules() { sed -n 's/\.o//g; s/^obj-m := //p' ports/linux/Kbuild | xargs -n1 | sort; }

# A module that Kbuild builds and a package does not name is missing on the user's machine.
modules_agree() {
	[ "$(modules | wc -l)" -ge 5 ] &&
		diff <(modules) <(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1/p' packaging/dkms/dkms.conf.in | sort) &&
		diff <(modules) <(sed -n 's/^%global modules //p' packaging/rpm/openvmbus-kmod.spec | xargs -n1 | sort)
}

# What the build needs is listed in tools/packages, and once more for each packager.
libraries_agree() {
	local name missing=''
	local libraries
	libraries=$(awk '$1 == "build" && $2 ~ /^lib.*-dev$/ && $2 != "libc6-dev" { print $2 }' tools/packages)
	for name in $libraries; do
		[ "$(grep -cE "[ ,]$name(,|$)" packaging/debian/control)" -ge 2 ] || missing+=" $name"
	done
	[ -z "$missing" ] || { echo "not in both lists of packaging/debian/control:$missing"; return 1; }
}

# There is nobody to write to yet, see packaging/debian/*.lintian-overrides; files of a build have no overrides.
lintian_finds_nothing() {
	local said
	said=$(lintian --allow-root --suppress-tags bogus-mail-host -I "$out"/*.changes 2>&1)
	[ -z "$said" ] || { echo "$said"; return 1; }
}

options() {
	awk '/struct option names\[\]/ { on = 1; next } /^};/ { on = 0 } on && match($0, /"[a-z-]+"/) {
		print "--" substr($0, RSTART + 1, RLENGTH - 2) }' vmm/options.c
}

every_option_is_told() {
	local option root=$scratch/openvmbus missing=''
	[ "$(options | wc -l)" -ge 20 ] || { echo "the options are not found in vmm/options.c"; return 1; }
	for option in $(options); do
		zgrep -q -- "^.fB${option//-/.-}" "$root/usr/share/man/man1/openvmbus.1.gz" &&
			grep -qE -- "'$option\[|'\*$option\[" "$root/usr/share/zsh/vendor-completions/_openvmbus" &&
			grep -qE -- "[ ']${option}[ ']" "$root/usr/share/bash-completion/completions/openvmbus" ||
			missing+=" $option"
	done
	[ -z "$missing" ] || { echo "not in manual, bash's and zsh's completion:$missing"; return 1; }
}

# complete WORD... : what bash offers for the last one.
complete_words() {
	bash -c '. "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _openvmbus; echo "${COMPREPLY[@]}"' \
		"$scratch/openvmbus/usr/share/bash-completion/completions/openvmbus" "$@"
}

bash_completes() {
	[ "$(complete_words openvmbus run --accel '')" = "auto kvm nest" ] &&
		[ "$(complete_words openvmbus run --mem)" = --memory ] &&
		[ "$(complete_words openvmbus run --kernel READ)" = README.md ] &&
		[ "$(complete_words openvmbus sw)" = switch ] && [ -z "$(complete_words openvmbus k)" ]
}

manual_is_well_formed() {
	local said
	said=$(MANROFFSEQ='' zcat "$scratch/openvmbus/usr/share/man/man1/openvmbus.1.gz" | groff -man -ww -z 2>&1)
	[ -z "$said" ] || { echo "$said"; return 1; }
}

has_firmware() { [ -e build/firmware/OPENVMBUS.fd ] && [ -e build/firmware/licences ]; }

# Where the program looks, the image that was built; the licences of what is in it; no name of a folder.
firmware_is_packaged() {
	local root=$scratch/openvmbus-firmware place=usr/share/openvmbus/OPENVMBUS.fd told text
	told=$root/usr/share/doc/openvmbus-firmware/copyright
	cmp "$root/$place" build/firmware/OPENVMBUS.fd &&
		grep -aq "/$place" "$scratch/openvmbus/usr/bin/openvmbus" || return 1
	for text in 'The OpenVMBus' 'SPDX-License-Identifier: BSD-2-Clause-Patent' 'The OpenSSL Project' 'source package edk2 2'; do
		grep -q "$text" "$told" || { echo "not in $told: $text"; return 1; }
	done
	! grep -aq "$PWD" "$root/$place"
}

no_firmware_is_packaged() {
	! compgen -G "$out/openvmbus-firmware_*"
}

example_builds() {
	local root=$scratch/libopenvmbus-dev
	cp "$root/usr/share/doc/libopenvmbus-dev/examples/minimal/minimal.c" "$scratch/minimal.c"
	# shellcheck disable=SC2046 # words
	"$CC" -Wall -Wextra -Wno-unused-parameter -Werror "$scratch/minimal.c" -o "$scratch/minimal" \
		$(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$(echo "$root"/usr/lib/*/pkgconfig) \
			pkg-config --cflags --libs --static vmbus-user) || return 1
	"$scratch/minimal" ram:1M | grep 'connected: VMBus'
}

modules_build() {
	local source log=$scratch/modules.log
	source=$(echo "$scratch"/openvmbus-dkms/usr/src/openvmbus-*)
	make -C build/kernels/6.1/kdir M="$source/ports/linux" CC="$PWD/tools/kernel-cc" CONFIG_DEBUG_INFO_BTF_MODULES= \
		KCFLAGS=-Werror -j2 modules >"$log" 2>&1 || { tail -n 5 "$log"; return 1; }
	[ "$(modules)" = "$(basename -s .ko "$source"/ports/linux/*.ko | sort)" ]
}

# modprobe names the rule instead of the file where another module needs hv_vmbus, so the hook must
# name it itself, or an initramfs with our modules has no way back to the kernel's own.
hook_takes_the_own_bus_along() {
	local said hook=$scratch/hook
	mkdir -p "$hook/lib/modules/9.9"
	sed -e "s|/usr/share/initramfs-tools/hook-functions|$hook/functions|" -e "s|/lib/modules|$hook/lib/modules|" \
		"$scratch/openvmbus-dkms/usr/share/initramfs-tools/hooks/openvmbus-dkms" >"$hook/run"
	echo 'manual_add_modules() { echo "$@"; }' >"$hook/functions"
	said=$(version=9.9 sh "$hook/run")
	[ "$said" = hv_vmbus ] || { echo "without our modules: $said"; return 1; }
	mkdir -p "$hook/lib/modules/9.9/updates/dkms"
	touch "$hook/lib/modules/9.9/updates/dkms/"{vmbus,storvsc,blkvsc,netvsc}.ko
	said=$(version=9.9 sh "$hook/run" | xargs)
	[ "$said" = "hv_vmbus vmbus storvsc blkvsc netvsc sd_mod sr_mod" ] || { echo "with them: $said"; return 1; }
}

unit_is_understood() {
	local unit=$scratch/openvmbus/lib/systemd/system/openvmbus@.service
	sed "s|/usr/bin/openvmbus|$scratch/openvmbus/usr/bin/openvmbus|" "$unit" >"$scratch/openvmbus@.service"
	! systemd-analyze verify --man=no "$scratch/openvmbus@.service" 2>&1 | grep .
}

# What 10_linux prints for two kernels, as far as 09_openvmbus reads it.
fake_entries() {
	cat <<-'END'
		#!/bin/sh
		echo 'export linux_gfx_mode'
		for k in 7.2.1 6.1.0; do
			for kind in advanced recovery; do
				echo "menuentry 'Debian GNU/Linux, with Linux $k' --class os \$menuentry_id_option 'gnulinux-$k-$kind-ID' {"
				echo "	linux	/boot/vmlinuz-$k root=UUID=1 ro quiet"
				echo "	initrd	/boot/initrd.img-$k"
				echo '}'
			done
		done
	END
}

# A root with two kernels: the first's own bus is built in. BUILT-FOR: which have ours in their initramfs.
grub_root() {
	local root=$scratch/grub tool
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,usr/sbin,etc/grub.d,var/lib/openvmbus-dkms} "$root"/lib/modules/{7.2.1,6.1.0}
	: >"$root/dev/null"
	cp "$(command -v busybox)" "$root/bin/"
	for tool in sh awk cat grep basename; do
		ln -s busybox "$root/bin/$tool"
	done
	echo kernel/drivers/hv/hv_vmbus.ko >"$root/lib/modules/7.2.1/modules.builtin"
	: >"$root/lib/modules/6.1.0/modules.builtin"
	cp "$scratch/openvmbus-dkms/etc/grub.d/09_openvmbus" "$root/etc/grub.d/"
	fake_entries >"$root/etc/grub.d/10_linux"
	chmod +x "$root/etc/grub.d/10_linux"
	for tool; do
		mkdir -p "$root/lib/modules/$tool/updates/dkms"
		: >"$root/var/lib/openvmbus-dkms/$tool"
	done
}

grub_adds_an_entry() {
	local said word=initcall_blacklist=hv_acpi_init
	grub_root 7.2.1 6.1.0
	said=$(chroot "$scratch/grub" /etc/grub.d/09_openvmbus)
	echo "$said"
	[ "$(grep -c ^menuentry <<<"$said")" = 1 ] &&
		grep -q "^menuentry 'OpenVMBus, Debian GNU/Linux, with Linux 7.2.1' .*'openvmbus-7.2.1-advanced-ID' {" <<<"$said" &&
		grep -q "vmlinuz-7.2.1 root=UUID=1 ro quiet $word\$" <<<"$said" && ! grep -q 6.1.0 <<<"$said" || return 1
	# Not where it was not built for the one with the built-in bus, nor where it was removed.
	grub_root 6.1.0
	[ -z "$(chroot "$scratch/grub" /etc/grub.d/09_openvmbus)" ] || return 1
	grub_root 7.2.1
	rm -r "$scratch/grub/lib/modules/7.2.1/updates"
	[ -z "$(chroot "$scratch/grub" /etc/grub.d/09_openvmbus)" ]
}

packages() {
	local deb
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	expect packages_are_built make -s deb
	for deb in "$out"/*.deb; do
		dpkg -x "$deb" "$scratch/$(basename "${deb%%_*}")"
	done
	expect versions_agree versions_agree
	expect modules_of_the_port_are_named modules_agree
	expect libraries_of_the_build_are_named libraries_agree
	expect no_folder_of_this_machine_is_in_the_program names_no_folder
	[ -z "$twice" ] || expect same_bytes_when_built_again_elsewhere same_bytes
	expect lintian_finds_nothing lintian_finds_nothing
	expect every_option_is_in_manual_and_completion every_option_is_told
	expect bash_completes_commands_options_and_values bash_completes
	expect example_builds_on_the_library_package example_builds
	if has_firmware; then
		expect firmware_is_packaged firmware_is_packaged
	else
		expect without_an_image_there_is_no_package_of_it no_firmware_is_packaged
	fi
	if command -v groff >/dev/null; then
		expect manual_is_well_formed manual_is_well_formed
	fi
	if command -v systemd-analyze >/dev/null; then
		expect service_template_is_understood unit_is_understood
	fi
	expect initramfs_keeps_the_kernels_own_bus hook_takes_the_own_bus_along
	if [ $EUID -eq 0 ]; then
		expect boot_menu_keeps_a_built_in_bus_out_where_ours_is grub_adds_an_entry
	else
		echo "skip boot_menu_keeps_a_built_in_bus_out_where_ours_is # it needs root, for chroot"
	fi
	if [ -e build/kernels/6.1/kdir ]; then
		expect modules_build_from_the_dkms_package modules_build
	else
		echo "skip modules_build_from_the_dkms_package # no headers: lab/kernel 6.1"
	fi
}

# Every path but what a package manager and a user's caches write anyway, and the accounts.
listed() {
	(cd "$1" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp -o -path './var/cache' \
		-o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/log -o -path ./run \) -prune -o -print | sort
	cat etc/passwd
	grep -v '^kvm:' etc/group) # made where udev is not; others may use it, so nobody removes it
}

in_chroot() { chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@"; }

# upgraded DEB: the same package with a higher version.
upgraded() {
	local tree=$scratch/up
	rm -rf "$tree"
	dpkg-deb -R "$1" "$tree"
	sed -i 's/^Version: .*/&+up/' "$tree/DEBIAN/control"
	dpkg-deb -b --root-owner-group "$tree" "$root/tmp/" >/dev/null
}

installs() {
	cp "$out"/openvmbus_*.deb "$out"/libopenvmbus-dev_*.deb "$root/tmp/"
	! has_firmware || cp "$out"/openvmbus-firmware_*.deb "$root/tmp/"
	cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
	in_chroot apt-get update -q && in_chroot apt-get install -y --no-install-recommends /tmp/openvmbus_0.1.0_amd64.deb \
		/tmp/libopenvmbus-dev_0.1.0_amd64.deb &&
		in_chroot openvmbus --version && in_chroot id openvmbus || return 1
	! has_firmware || finds_firmware
}

# None is found before, so that what is found is the package's.
finds_firmware() {
	! in_chroot openvmbus firmware && in_chroot apt-get install -y /tmp/openvmbus-firmware_0.1.0_all.deb &&
		[ "$(in_chroot openvmbus firmware)" = /usr/share/openvmbus/OPENVMBUS.fd ]
}

upgrades() {
	local deb
	for deb in "$out"/openvmbus_*.deb "$out"/libopenvmbus-dev_*.deb; do
		upgraded "$deb"
	done
	in_chroot dpkg -i /tmp/openvmbus_0.1.0+up_amd64.deb /tmp/libopenvmbus-dev_0.1.0+up_amd64.deb &&
		in_chroot openvmbus --version
}

leaves_nothing() {
	local names="openvmbus libopenvmbus-dev"
	mkdir -p "$root/var/lib/openvmbus/machine"
	[ -x "$root/usr/bin/openvmbus" ] || { echo "it was not installed"; return 1; }
	! has_firmware || names+=" openvmbus-firmware"
	# shellcheck disable=SC2086 # words
	in_chroot dpkg --remove $names && in_chroot dpkg --purge $names &&
		in_chroot apt-get autoremove -y --purge || return 1
	rm -f "$root/etc/resolv.conf"
	listed "$root" >"$scratch/after"
	diff "$scratch/before" "$scratch/after"
}

in_a_clean_debian() {
	local suite mirror
	root=$scratch/root
	suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	mirror=build/apt/$suite/parts/$suite.sources
	[ $EUID -eq 0 ] || { echo "skip chroot # it needs root"; return; }
	[ -e "$mirror" ] || lab/image || { echo "skip chroot # no mirror"; return; }
	# The program needs sysusers for its account.
	mmdebstrap --variant=apt --include=systemd "$suite" "$root" "$mirror" >"$scratch/mmdebstrap.log" 2>&1 ||
		{ echo "skip chroot # mmdebstrap failed: $(tail -n1 "$scratch/mmdebstrap.log")"; return; }
	rm -f "$root/etc/resolv.conf"
	listed "$root" >"$scratch/before"
	expect chroot_installs installs
	expect chroot_upgrades upgrades
	expect chroot_remove_and_purge_leave_nothing leaves_nothing
}

same_rpms() {
	local file
	KDIR=build/kernels/6.1/kdir packaging/build-rpm "$scratch/rpms" || return 1
	for file in "$out"/*.rpm; do
		cmp "$file" "$scratch/rpms/${file##*/}" || return 1
	done
}

# What akmods does with its source package, on a machine without our sources.
rebuilds() {
	rpmbuild --rebuild --nodeps --define "_topdir $scratch/rebuild" --define "kernels 6.1-lab" \
		--define "kdir $PWD/build/kernels/6.1/kdir" \
		"$scratch/rpmroot/usr/src/akmods/openvmbus-kmod.latest" >"$scratch/rebuild.log" 2>&1 ||
		{ tail -n 5 "$scratch/rebuild.log"; return 1; }
	rpm -qlp "$scratch"/rebuild/RPMS/*/kmod-openvmbus-6.1-lab-*.rpm | grep '/lib/modules/6.1-lab/extra/openvmbus/storvsc.ko'
}

# A root of its own: no dependency can be met there, and scripts would need a shell.
rpms_install() {
	local root=$scratch/rpmroot
	mkdir -p "$root"
	rpm --root "$root" --dbpath /var/lib/rpm --initdb &&
		rpm --root "$root" --dbpath /var/lib/rpm -i --nodeps --noscripts "$out"/*.x86_64.rpm "$out"/*.noarch.rpm || return 1
	"$root/usr/bin/openvmbus" --version && [ -e "$root/usr/lib64/libvmbus-core.a" ] &&
		[ -e "$root/usr/lib/modprobe.d/openvmbus-kmod.conf" ] && ls "$root"/lib/modules/*/extra/openvmbus/vmbus.ko
}

rpms_are_removed() {
	local root=$scratch/rpmroot left
	rpm --root "$root" --dbpath /var/lib/rpm -qa | xargs rpm --root "$root" --dbpath /var/lib/rpm -e --nodeps --noscripts || return 1
	left=$(find "$root" -path "$root/var" -prune -o ! -type d -print)
	[ -z "$left" ] || { echo "$left"; return 1; }
}

rpms() {
	export KDIR=build/kernels/6.1/kdir
	[ -e "$KDIR" ] || { echo "skip rpm # no headers: lab/kernel 6.1"; return; }
	expect rpms_are_built make -s rpm
	expect rpms_have_the_same_bytes_when_built_again same_rpms
	expect rpms_install_in_a_root rpms_install
	expect modules_build_from_the_akmod_package rebuilds
	expect rpms_leave_no_file rpms_are_removed
}

chroot='' rpm='' twice=''
for option; do
	case $option in
	--chroot) chroot=1 ;;
	--rpm) rpm=1 ;;
	--twice) twice=1 ;;
	*) echo "usage: tests/packages_test.sh [--twice] [--chroot] [--rpm]" >&2 && exit 2 ;;
	esac
done
for tool in dpkg-buildpackage dh lintian; do
	command -v $tool >/dev/null || tools/setup package >&2 || { echo "skip packages # no $tool: tools/setup package"; exit 0; }
done
packages
[ -z "$rpm" ] || rpms
[ -z "$chroot" ] || in_a_clean_debian
exit $failed
