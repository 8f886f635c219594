# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Building blocks of an initramfs: busybox, kernel modules in load order, programs with their
# libraries, and the archive itself. Modules are stored decompressed: under TCG that saves seconds.

# initrd_begin DIR: an empty tree with busybox and its applets that a shell script needs.
initrd_begin() {
	local dir=$1 busybox applet
	busybox=$(command -v busybox) || die "busybox is missing; run: apt-get install busybox-static"
	ldd "$busybox" >/dev/null 2>&1 && die "busybox is dynamic; run: apt-get install busybox-static"
	rm -rf "$dir"
	mkdir -p "$dir"/{bin,dev,proc,sys,run,mnt,modules,etc}
	cp "$busybox" "$dir/bin/busybox"
	for applet in $("$busybox" --list | grep -vx busybox); do
		ln -s busybox "$dir/bin/$applet"
	done
}

# unpack_module FILE TO
unpack_module() {
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac >"$2"
}

# store_module FILE NAME DIR: appends one module to DIR/modules and its load order.
store_module() {
	local file=$1 name=$2 dir=$3
	grep -qx "$name" "$dir/modules/order" 2>/dev/null && return
	unpack_module "$file" "$dir/modules/$name.ko"
	echo "$name" >>"$dir/modules/order"
}

# module_files KERNELDIR RELEASE MODULE: the module's files, dependencies first; nothing if built in.
module_files() {
	modprobe -d "$1" -S "$2" --show-depends "$3" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
}

# initrd_modules DIR KERNELDIR RELEASE MODULE...
initrd_modules() {
	local dir=$1 kernel=$2 release=$3 module file list
	shift 3
	for module; do
		list=$(module_files "$kernel" "$release" "$module") ||
			die "kernel $release has no module $module"
		for file in $list; do
			store_module "$file" "$(basename "$file" | sed 's/\.ko.*//')" "$dir"
		done
	done
}

# initrd_on_need DIR KERNELDIR RELEASE MODULE...: modules that are loaded only when something wants
# them; DIR/MODULE.need names the files in load order.
initrd_on_need() {
	local dir=$1 kernel=$2 release=$3 module file list
	shift 3
	mkdir -p "$dir"
	for module; do
		list=$(module_files "$kernel" "$release" "$module") ||
			die "kernel $release has no module $module"
		: >"$dir/$module.need"
		for file in $list; do
			unpack_module "$file" "$dir/$(basename "$file" | sed 's/\.ko.*//').ko"
			basename "$file" | sed 's/\.ko.*//' >>"$dir/$module.need"
		done
	done
}

# initrd_program DIR PROGRAM...: copies programs of this machine with their libraries.
initrd_program() {
	local dir=$1 name program file
	shift
	for name; do
		program=$(command -v "$name") || die "initrd: no program $name; lab/packages names what brings it"
		for file in "$program" $(ldd "$program" | grep -o '/[^ ]*'); do
			[ -e "$dir$file" ] || install -D "$file" "$dir$file"
		done
		ln -sf "$program" "$dir/bin/$(basename "$program")"
	done
}

# initrd_pack DIR FILE: uncompressed, since the reader is an emulated CPU.
initrd_pack() {
	(cd "$1" && find . -print0 | cpio --null -o -H newc -R 0:0 --quiet) >"$2.part"
	mv "$2.part" "$2"
}
