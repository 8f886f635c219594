#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `openvmbus image` without a machine: images that are refused; where it finds kernel, initrd and
# command line; and what it says of a guest that stops at each stage. tests/image/monitor stands for
# openvmbus run: it plays what a guest prints and what the host reports. Prints TAP.
# result is always true, so "A && result 0 || result 1" is an if:
# shellcheck disable=SC2015
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/image/openvmbus-image
parts=$PWD/tests/image
export PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
shown=(out err)
cd "$work"
mkdir tmp

# try ARGUMENT...: rc, out and err of the program, and whether it left anything.
try() {
	rm -rf seen && mkdir seen
	rc=0
	PLAY=${PLAY:-good.play} SEEN=$work/seen OPENVMBUS=$parts/monitor TMPDIR=$work/tmp timeout 60 "$program" "$@" >out 2>err || rc=$?
	[ -z "$(ls tmp)" ] || { echo "left behind: $(ls tmp)" >>err; rc=99; }
}

# refused NAME FILE PATTERN: exit code 2 and one line.
refused() {
	try "$2" --direct
	[ $rc = 2 ] && [ "$(wc -l <err)" = 1 ] && [ ! -s out ] && grep -q -- "$3" err && result 0 "refused: $1" || result 1 "refused: $1"
}

# table FILE MIB: a GPT with a system partition of 16 MiB and a Linux partition of MIB.
table() {
	truncate -s $(($2 + 20))M "$1"
	printf 'label: gpt\nstart=2048,size=32768,type=U\nstart=34816,size=%d,type=L\n' $(($2 * 2048)) | sfdisk -q "$1" >/dev/null
}

into() { dd if="$2" of="$1" bs=1M seek="$3" conv=notrunc,sparse status=none; }

# ext4 FILE FOLDER [OPTION...]
ext4() {
	truncate -s 32M "$1"
	mkfs.ext4 -q -F "${@:3}" -d "$2" "$1"
}

fat() {
	truncate -s 16M "$1"
	mkfs.vfat -i 1234ABCD "$1" >/dev/null
}

for name in grub entry uki old; do
	echo "the kernel of $name" >"kernel.$name"
	echo "the initrd of $name" >"initrd.$name"
done
echo 'console=tty0 root=UUID=uki quiet' >cmdline
kernel='H progress: system
C [    0.0] Linux version 6.1'
disk="$kernel
H progress: bus
H progress: disk"
root="$disk
H progress: network
C [    1.0] EXT4-fs (sda2): mounted filesystem with ordered data mode"
panic='C [    2.0] Kernel panic - not syncing:'
login='c debian login: '
printf '%s\n%s\n' "$root" "$login" >good.play

# What is refused
table disk.img 32
: >zero.img
echo text >text
tar cf tar.img text
head -c 5000 /dev/zero | tr '\0' x >noise.img
head -c 30M disk.img >cut.img
cp disk.img crc.img && printf X | dd of=crc.img bs=1 seek=530 conv=notrunc status=none
cp disk.img entries.img && printf X | dd of=entries.img bs=1 seek=1030 conv=notrunc status=none
truncate -s 20M mbr.img && echo 'start=2048,type=83' | sfdisk -q mbr.img >/dev/null && truncate -s 10M mbr.img
gzip -c disk.img >packed.img
printf 'QFI\xfb\0\0\0\3' >broken.qcow2
head -c 600 /dev/zero >>broken.qcow2
head -c 3M /dev/urandom >data
into disk.img data 20
for format in qcow2 vhdx vmdk vpc; do
	qemu-img convert -O $format disk.img whole.$format
	head -c $(($(stat -c %s whole.$format) / 2)) whole.$format >cut.$format
done
qemu-img create -q -f qcow2 -b disk.img -F raw backed.qcow2
cp disk.img secret.raw
qemu-img create -q -f qcow2 -o data_file="$work/secret.raw",data_file_raw=on data.qcow2 52M
# A VMDK without a disk of its own: its text names the file that the guest would read.
{
	printf 'KDMV\1\0\0\0\3\0\0\0' && head -c 8 /dev/zero && printf '\200\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\24' && head -c 475 /dev/zero
	printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 106496 FLAT "%s" 0\n' "$work/secret.raw"
	head -c 64K /dev/zero
} >extent.vmdk
qemu-img create -q -f qcow2 "$work/nbd:x.qcow2" 52M
# A VHDX whose header names a log, and the log is not one.
python3 - <<'END'
import struct
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
data = bytearray(open("whole.vhdx", "rb").read())
for at in (65536, 131072):
    header = data[at:at + 4096]
    header[48:64] = b"L" * 16
    header[4:8] = bytes(4)
    header[4:8] = struct.pack("<I", crc32c(header))
    data[at:at + 4096] = header
log_len, log_at = struct.unpack_from("<IQ", data, 65536 + 68)
data[log_at:log_at + log_len] = b"loge" + b"X" * (log_len - 4)
open("log.vhdx", "wb").write(data)
END
# Other kinds of files
mkdir isodir && truncate -s 2M isodir/efi.img && mkfs.vfat isodir/efi.img >/dev/null
genisoimage -quiet -V LAB -e efi.img -no-emul-boot -o boot.iso isodir
genisoimage -quiet -V LAB -o noboot.iso isodir
head -c 1M boot.iso >cut.iso
python3 - <<'END'
import struct
disc = bytearray(open("boot.iso", "rb").read())
record = 17 * 2048
catalogue = struct.unpack_from("<I", disc, record + 71)[0] * 2048
def changed(name, place, data):
    other = bytearray(disc)
    other[place:place + len(data)] = data
    open(name, "wb").write(other)
changed("sum.iso", catalogue + 28, b"XX")
changed("away.iso", record + 71, b"\xff\xff\xff\0")
changed("outside.iso", catalogue + 40, b"\xff\xff\xff\0")
table = open("disk.img", "rb").read()
open("header.img", "wb").write(table[:512] + bytes(512) + table[1024:])
open("protective.img", "wb").write(bytes(512) + table[512:])
# The same table as a remainder behind another one.
dos = bytes(450) + b"\x0c" + bytes(3) + struct.pack("<II", 2048, 32768) + bytes(48) + b"\x55\xaa"
open("stale.img", "wb").write(dos + table[512:])
END
tar cf appliance.ova text whole.vmdk
printf '# Disk DescriptorFile\nversion=1\n' >only.vmdk
echo '<html>404 Not Found</html>' >page.img
qemu-img create -q -f vdi disk.vdi 1M
cp whole.qcow2 locked.qcow2 && printf '\1' | dd of=locked.qcow2 bs=1 seek=35 conv=notrunc status=none # crypt_method: AES
cp disk.img base.raw && qemu-img create -q -f qcow2 -b "$work/base.raw" -F raw alone.qcow2 && rm base.raw
printf '\3757zXZ\0%500s' x >packed.xz
printf '\50\265\57\375%500s' x >packed.zst
printf '7z\274\257%500s' x >packed.7z
refused 'an ISO image that is cut short' cut.iso 'an ISO image that is cut short'
refused 'a catalogue of boot images with a wrong checksum' sum.iso 'its first entry has a wrong checksum'
refused 'a catalogue of boot images that is not there' away.iso 'it lies behind the end'
refused 'a boot image that is not there' outside.iso 'boot image 1 lies behind the end'
refused 'a GPT without its header' header.img 'its header is not in sector 1'
refused 'a GPT without a protective partition' protective.img 'the protective partition in sector 0 is missing'
refused 'an appliance' appliance.ova 'run tar xf first, and give whole.vmdk'
refused 'a description of a VMDK' only.vmdk 'a description of other files'
refused 'a page that a server sent' page.img 'text, not a disk'
refused 'an image of VirtualBox' disk.vdi 'VirtualBox (vdi); run qemu-img convert'
refused 'an encrypted image' locked.qcow2 'an encrypted qcow2 image'
refused 'an image whose base is missing' alone.qcow2 'base.raw, which is not there'
refused 'an image packed by xz' packed.xz 'run unxz first'
refused 'an image packed by zstd' packed.zst 'run unzstd first'
refused 'an image in an archive of 7z' packed.7z 'run 7z x first'
refused 'an image on a web server' http://127.0.0.1/x 'give a file, or an export of an NBD server'
try "nbd+unix:///x?socket=$work/nobody" --direct
[ $rc = 2 ] && grep -q 'nobody.*: .*No such file' err && result 0 'refused: a server that is not there' || result 1 'refused: a server that is not there'
# served NAME FILE CODE PATTERN: the file as an export of a server
served() {
	qemu-nbd --fork --pid-file="$work/nbd.pid" -k "$work/nbd.socket" -x x -r -f raw "$2"
	try "nbd+unix:///x?socket=$work/nbd.socket" --direct
	kill "$(cat nbd.pid)" 2>/dev/null || true # it ends with its client
	cat out >>err
	[ $rc = "$3" ] && grep -q "nbd+unix:///x?socket=[^ ]*: $4" err && result 0 "$1" || result 1 "$1"
}
served 'an image of a server' disk.img 10 'stopped: no kernel was found'
served 'a qcow2 image in a server' whole.qcow2 10 'stopped: no kernel was found'
served 'a damaged image of a server' crc.img 2 'its partition table is damaged'
try stale.img --direct
[ $rc = 10 ] && grep -q 'in msdos1' out && result 0 'the remainder of a GPT is none' || result 1 'the remainder of a GPT is none'
for disc in boot noboot; do
	try $disc.iso --direct
	[ $rc = 10 ] && grep -q 'started by firmware only' out && result 0 "a whole ISO image: $disc" || result 1 "a whole ISO image: $disc"
done
refused 'a file that is missing' no.img 'there is no such file'
refused 'a folder' . 'not a regular file'
refused 'an empty file' zero.img 'the file is empty'
refused 'a tar archive' tar.img 'a tar archive'
refused 'a packed image' packed.img 'run gunzip first'
refused 'no image at all' noise.img 'no partition table'
refused 'a table that is cut short' cut.img 'damaged, or the file is cut short'
refused 'a table with a wrong checksum' crc.img 'cut short: its header has a wrong checksum'
refused 'a table with wrong entries' entries.img 'cut short: its header has entries'
refused 'an MBR that is cut short' mbr.img 'cut short: partition 1 ends'
refused 'a broken qcow2 image' broken.qcow2 broken.qcow2
refused 'a qcow2 image that is cut short' cut.qcow2 'damaged'
refused 'a VHDX that is cut short' cut.vhdx cut.vhdx
refused 'a VMDK that is cut short' cut.vmdk cut.vmdk
refused 'a VHD that is cut short' cut.vpc cut.vpc
refused 'a VHDX with a broken log' log.vhdx log.vhdx
refused 'an image that names another file' backed.qcow2 'merge them'
refused 'an image that keeps its data in another file' data.qcow2 'merge them'
refused 'an image that describes other files' extent.vmdk 'a description of other files'
try nbd:x.qcow2 --direct
[ $rc = 10 ] && result 0 'a name that looks like a URL' || result 1 'a name that looks like a URL'
try disk.img --direct --within 0
[ $rc = 2 ] && grep -q -- '--within 0' err && result 0 'refused: a time of 0' || result 1 'refused: a time of 0'
try disk.img --direct --html /nowhere/page.html
[ $rc = 2 ] && grep -q 'page.html: No such file' err && result 0 'refused: a report in no folder' || result 1 'refused: a report in no folder'

# No space: for what is taken out of an image (a stand-in for qemu-img says so), and for a report
cat >qemu-img <<'END'
#!/bin/sh
[ "$1" = convert ] || exec /usr/bin/qemu-img "$@"
echo 'qemu-img: error while writing at byte 0: No space left on device' >&2
exit 1
END
chmod +x qemu-img
PATH=$work:$PATH try whole.qcow2 --direct
[ $rc = 1 ] && grep -q "$work/tmp: No space left.*set TMPDIR" err && result 0 'no space in TMPDIR' || result 1 'no space in TMPDIR'
rm qemu-img
try disk.img --direct --junit /dev/full
[ $rc = 1 ] && grep -q '/dev/full: No space left on device$' err && result 0 'no space for a report' || result 1 'no space for a report'

# Reports that would take the place of something else
cp disk.img page.part
before=$(sha256sum disk.img page.part)
# replaces NAME PATTERN ARGUMENT...
replaces() {
	try "${@:3}"
	[ $rc = 2 ] && grep -q -- "$2" err && [ "$before" = "$(sha256sum disk.img page.part)" ] && result 0 "refused: $1" || result 1 "refused: $1"
}
replaces 'a report in place of the image' 'disk.img would take the place of the image' disk.img --direct --html "$work/disk.img"
replaces 'a report that is made in place of the image' 'page.part would take the place of the image' page.part --direct --html page
replaces 'two reports in one file' 'x would take the place of --junit' disk.img --direct --junit x --html x
replaces 'a console in place of the custom data' 'text would take the place of --custom-data' disk.img --azure --direct --custom-data text --console text
replaces 'an empty value' '--junit: the value is empty' disk.img --direct --junit ''
replaces 'a generation at the end of a list' '--generation 1999: give one of' disk.img --direct --generation 2016,1999
replaces 'a number of processors at the end of a list' '--cpus 65: give a number' disk.img --direct --cpus 1,65
replaces 'a disc that is to be written to' 'no raw image of a disk' boot.iso --firmware text --write
rm page.part

# found NAME KERNEL LINE [INITRD]: what the machine was given.
found() {
	[ $rc = 0 ] && cmp "seen/kernel" "kernel.$2" >>err 2>&1 && [ "$(cat seen/append)" = "$3" ] &&
		{ [ -z "${4:-}" ] || cmp seen/initrd "initrd.$4" >>err 2>&1; } && result 0 "$1" || {
		echo "append: $(cat seen/append 2>&1)" >>err
		result 1 "$1"
	}
}

# The forms in which an image names its kernel
mkdir -p root/boot/grub root/etc
cp kernel.grub root/boot/vmlinuz-6.10
cp kernel.old root/boot/vmlinuz-6.9
cp initrd.grub root/boot/initrd.img-6.10
ln -s boot/vmlinuz-6.10 root/vmlinuz
cat >root/boot/grub/grub.cfg <<'END'
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="0"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
function gfxmode {
	set gfxpayload="${1}"
}
menuentry 'Debian; the {first}' --class debian $menuentry_id_option 'first' {
	insmod part_gpt
	search --no-floppy --fs-uuid --set=root --hint-efi=hd0,gpt1 01234567-89ab-cdef-0123-456789abcdef
	echo	'Loading # Linux ...'
	linux	/vmlinuz root=UUID=grub ro "dyndbg=file a +p" quiet # a remark
	initrd	/boot/initrd.img-6.10
}
submenu 'More' $menuentry_id_option 'odd' {
	menuentry 'One' --id one { linux /boot/none }
	menuentry 'Two' --id second {
		linux (hd0,gpt2)/boot/vmlinuz-6.9 root=two
	}
}
END
ext4 root.ext4 root -U 01234567-89ab-cdef-0123-456789abcdef
printf '# GRUB Environment Block\nsaved_entry=odd>second\n####' >root/boot/grub/grubenv
sed "s/set default=\"0\"/set default=\"\${saved_entry}\"/" -i root/boot/grub/grub.cfg
ext4 saved.ext4 root
rm root/boot/grub/grub.cfg
printf '# a remark\nUUID=fstab / ext4 defaults 0 1\n' >root/etc/fstab
ext4 named.ext4 root
rm -r root/etc
ext4 bare.ext4 root -U 01234567-89ab-cdef-0123-456789abcdef
fat empty.fat
cp empty.fat entry.fat
mmd -i entry.fat ::/loader ::/loader/entries ::/debian
mcopy -i entry.fat kernel.entry ::/debian/linux
mcopy -i entry.fat kernel.old ::/debian/old
mcopy -i entry.fat initrd.entry ::/debian/initrd
printf 'title Debian\r\nlinux /debian/linux\r\ninitrd /debian/initrd\r\noptions root=UUID=entry rw\r\n' >entry.conf
printf 'title Old\nlinux /debian/old\noptions root=UUID=old\n' >old.conf
mcopy -i entry.fat entry.conf ::/loader/entries/debian-6.10.conf
mcopy -i entry.fat old.conf ::/loader/entries/debian-6.9.conf
cp entry.fat default.fat
echo 'default debian-6.9*' >loader.conf
mcopy -i default.fat loader.conf ::/loader/loader.conf
"$parts/uki" BOOTX64.EFI .osrel=text .cmdline=cmdline .linux=kernel.uki .initrd=initrd.uki
cp empty.fat uki.fat
mmd -i uki.fat ::/EFI ::/EFI/BOOT
mcopy -i uki.fat BOOTX64.EFI ::/EFI/BOOT/BOOTX64.EFI
cp empty.fat stub.fat
cat >stub.cfg <<'END'
search.fs_uuid 01234567-89ab-cdef-0123-456789abcdef root hd0,gpt2
set prefix=($root)'/boot/grub'
configfile $prefix/grub.cfg
END
mmd -i stub.fat ::/EFI ::/EFI/debian
mcopy -i stub.fat stub.cfg ::/EFI/debian/grub.cfg

# image NAME [FAT [EXT4]]: a disk with these partitions.
image() {
	table "$1.img" 32
	into "$1.img" "${2:-empty.fat}" 1
	[ -z "${3:-}" ] || into "$1.img" "$3" 17
}
image grub empty.fat root.ext4
image saved empty.fat saved.ext4
image stub stub.fat root.ext4
image named empty.fat named.ext4
image bare empty.fat bare.ext4
image entry entry.fat
image default default.fat
image uki uki.fat
image none
grub_line='root=UUID=grub ro "dyndbg=file a +p" console=ttyS0'
before=$(sha256sum grub.img)
try grub.img --direct
found 'grub.cfg: its default entry' grub "$grub_line" grub
[ "$before" = "$(sha256sum grub.img)" ] && result 0 'the image is not written' || result 1 'the image is not written'
try saved.img --direct
found 'grub.cfg: an entry of a submenu that grubenv names' old 'root=two console=ttyS0'
try stub.img --direct
found 'grub.cfg: through the one on the system partition' grub "$grub_line" grub
try entry.img --direct
found 'a loader entry: the newest' entry 'root=UUID=entry rw console=ttyS0' entry
try default.img --direct
found 'a loader entry: the one of loader.conf' old 'root=UUID=old console=ttyS0'
try uki.img --direct --append more=1
found 'a unified kernel image' uki 'console=tty0 root=UUID=uki more=1 console=ttyS0' uki
try named.img --direct
found 'a kernel that nothing names, and the root of /etc/fstab' grub 'root=UUID=fstab ro console=ttyS0' grub
try bare.img --direct
found 'a kernel that nothing names, in the root itself' grub 'root=UUID=01234567-89ab-cdef-0123-456789abcdef ro console=ttyS0' grub
try root.ext4 --direct
found 'a file system without a partition table' grub "$grub_line" grub
for format in qcow2 vhdx vmdk vpc; do
	qemu-img convert -O $format grub.img grub.$format
	try grub.$format --direct
	found "the same as $format" grub "$grub_line" grub
done

cp grub.img 'a, (b) "c".img'
try 'a, (b) "c".img' --direct --json
found 'a name with a comma' grub "$grub_line" grub
try 'a, (b) "c".img' --direct --write
grep -q '^[^,]*,format=raw$' seen/arguments && result 0 'a name with a comma, to be written to' || result 1 'a name with a comma, to be written to'
rc=0
OPENVMBUS=$work/none TMPDIR=$work/tmp "$program" grub.img --direct >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'none is missing' err && [ -z "$(ls tmp)" ] && result 0 'refused: no openvmbus' || result 1 'refused: no openvmbus'

# Other file systems
table lvm.img 60
truncate -s 60M volume
"$parts/lvm-disk" volume group-1 root bare.ext4
into lvm.img volume 17
try lvm.img --direct
found 'LVM' grub 'root=/dev/mapper/group--1-root ro console=ttyS0' grub
mkdir -p sub/@rootfs
cp -r root/. sub/@rootfs
mkdir -p sub/@rootfs/etc
echo 'UUID=b / btrfs defaults,subvol=@rootfs 0 0' >sub/@rootfs/etc/fstab
truncate -s 200M btrfs
mkfs.btrfs -q --rootdir sub btrfs >/dev/null
table btrfs.img 200
into btrfs.img btrfs 17
try btrfs.img --direct
found 'Btrfs' grub 'root=UUID=b ro rootflags=subvol=@rootfs console=ttyS0' grub
printf '/\n0 0\nd--755 0 0\nboot d--755 0 0\nvmlinuz-1 ---644 0 0 kernel.old\n$\n$\n' >proto
truncate -s 320M xfs
mkfs.xfs -q -m uuid=01234567-89ab-cdef-0123-456789abcdef -p proto xfs
table xfs.img 320
into xfs.img xfs 17
try xfs.img --direct
found 'XFS' old 'root=UUID=01234567-89ab-cdef-0123-456789abcdef ro console=ttyS0'
rm -f btrfs* xfs*

# grub_says NAME PATTERN: no kernel is found with root/boot/grub/grub.cfg, and why
grub_says() {
	ext4 says.ext4 root
	(ulimit -v 4000000 && try says.ext4 --direct && echo "$rc" >rc)
	rc=$(cat rc)
	[ -z "$(tr -d '[:print:]\n' <out)" ] && grep -qF -- "$2" out && result 0 "$1" || result 1 "$1"
}

# No kernel, and images that mean no good
try none.img --direct
[ $rc = 10 ] && [ ! -e seen/arguments ] && grep -q 'no kernel was found.*gpt1 fat' out && result 0 'no kernel: exit code 10' ||
	result 1 'no kernel: exit code 10'
printf 'LUKS\xba\xbe\0\1' | dd of=none.img bs=1M seek=17 conv=notrunc status=none
try none.img --direct
[ $rc = 10 ] && grep -q 'gpt2 is encrypted' out && result 0 'no kernel: it may be in an encrypted partition' ||
	result 1 'no kernel: it may be in an encrypted partition'
rm root/boot/*-6.10 root/vmlinuz
mkdir -p root/boot/grub
printf 'menuentry x {\nlinux /boot/vmlinuz-6.9\ninitrd (host)/etc/passwd\n}\n' >root/boot/grub/grub.cfg
ext4 evil.ext4 root
image evil empty.fat evil.ext4
try evil.img --direct
[ $rc = 0 ] && cmp kernel.old seen/kernel && [ ! -e seen/initrd ] && result 0 'a path does not lead out of the image' || result 1 'a path does not lead out of the image'
mv root/boot/vmlinuz-6.9 root/boot/k
printf 'menuentry "t\033]0;title\007" {\nlinux /boot/none\n}\n' >root/boot/grub/grub.cfg
grub_says 'what an image says is no escape sequence' '(t ]0;title ) names the kernel'
printf 'menuentry x {\nlinux /boot/k a\0b\n}\n' >root/boot/grub/grub.cfg
grub_says 'a command line with a zero byte' 'command line that no kernel takes'
printf 'menuentry x {\nlinux /boot/k\0k\n}\n' >root/boot/grub/grub.cfg
grub_says 'a path with a zero byte' 'which is not there'
printf 'menuentry x {\nlinux /boot/k %0200000d\n}\n' 0 >root/boot/grub/grub.cfg
grub_says 'a command line of 200 KB' 'command line that no kernel takes'
printf 'menuentry x {\nlinux /%0200000d\n}\n' 0 >root/boot/grub/grub.cfg
grub_says 'a path of 200 KB' 'which is not there'
{
	echo a=xxxxxxxxxxxxxxxx
	for _ in {1..40}; do echo "a=\$a\$a"; done
	echo "menuentry x { linux /boot/k \$a }"
} >root/boot/grub/grub.cfg
grub_says 'variables that grow without end' 'its variables grow without end'
printf 'while true; do x; done\nfunction f { f\nf\n}\nf\nmenuentry x { f\n}\n' >root/boot/grub/grub.cfg
rm root/boot/k
ext4 loop.ext4 root
image loop empty.fat loop.ext4
try loop.img --direct
[ $rc = 10 ] && grep -q 'calls itself without end' out && result 0 'a grub.cfg without end' || result 1 'a grub.cfg without end'

# Each stage has its own exit code and line. stops NAME CODE PATTERN: after the play of stdin
stops() {
	{
		cat
		echo exit 6
	} >stops.play
	PLAY=stops.play try grub.img --direct --within "${WITHIN:-3}"
	[ $rc = "$2" ] && grep -q "stopped: .*$3" out && result 0 "$1: exit code $2" || result 1 "$1: exit code $2"
}
stops 'a silent kernel' 11 'no kernel said anything' <<<'H progress: system'
printf '%s\n' "C GNU GRUB  version 2.06" "C Press enter to boot the selected OS, \`e' to edit" 'exit 6' >menu.play
PLAY=menu.play try grub.img --firmware text --within 3
[ $rc = 11 ] && grep -q 'does it wait for a key' out && result 0 'a menu that waits: exit code 11' || result 1 'a menu that waits: exit code 11'
stops 'it powers itself off' 14 'powered itself off before this: the root.*No space' <<<"$disk
C cannot unpack: No space
exit 0"
# A stand-in for a guest that fills what its overlay may grow in
cat >filler <<END
#!/bin/sh
cat /dev/zero >"\$(echo "\$TMPDIR"/openvmbus-image-*)/overlay" 2>/dev/null
exec $parts/monitor "\$@"
END
chmod +x filler
if unshare -rm true 2>/dev/null; then
	rc=0
	PLAY=stops.play SEEN=$work/seen OPENVMBUS=$work/filler TMPDIR=$work/tmp timeout 60 unshare -rm sh -c '
		mount -t tmpfs -o size=8m tmpfs tmp && exec "$@"' sh "$program" grub.img --direct --within 3 >out 2>err || rc=$?
	[ $rc = 1 ] && grep -q "$work/tmp: No space left.*set TMPDIR" err && result 0 'no space for what the guest writes' || result 1 'no space for what the guest writes'
else
	echo 'skip no space for what the guest writes # no user namespaces here'
fi
stops 'no VMBus' 12 'CONFIG_HYPERV_VMBUS' <<<"$kernel"
began=$SECONDS
WITHIN=50 stops 'no version that suits' 12 'speaks none of the versions of this generation' <<<"$kernel
C [    0.5] hv_vmbus: Unable to connect to host
wait 60"
[ $SECONDS -lt $((began + 40)) ] && result 0 'and it is not waited for' || result 1 'and it is not waited for'
stops 'no VMBus, and a panic for want of a root' 12 'CONFIG_HYPERV_VMBUS' <<<"$kernel
$panic VFS: Unable to mount root fs on unknown-block(0,0)"
stops 'no disk driver, and the shell of the initramfs' 13 'hv_storvsc.*shell of its initramfs' <<<"$kernel
H progress: bus
C ALERT!  UUID=grub does not exist.  Dropping to a shell!
c (initramfs) "
stops 'a wrong root' 14 'is root= right.*ALERT!  /dev/nowhere does not exist' <<<"$disk
C ALERT!  /dev/nowhere does not exist.  Dropping to a shell!
c (initramfs) "
stops 'a wrong root without an initramfs' 14 'is root= right.*Unable to mount' <<<"$disk
$panic VFS: Unable to mount root fs on unknown-block(0,0)"
stops 'an initramfs with systemd is no root' 14 'is root= right' <<<"$disk
C Welcome to Debian GNU/Linux 13 (Initramfs)!"
stops 'a passphrase' 18 'passphrase of an encrypted disk' <<<"$disk
c Please unlock disk sda3_crypt: "
stops 'no network driver' 17 'hv_netvsc' <<<"$disk
C Welcome to Debian GNU/Linux!
$login"
stops 'no target' 15 'a login prompt did not appear within 3 s.*The console says: foo.service failed' <<<"$root
C [    9.0] foo.service failed"
stops 'emergency mode' 19 'emergency mode.*/etc/fstab' <<<"$root
C You are in emergency mode. After logging in, type journalctl"
began=$SECONDS
WITHIN=50 stops 'a shell is not waited for' 14 'is root= right' <<<"$disk
c (initramfs) 
wait 60"
[ $SECONDS -lt $((began + 40)) ] && result 0 'and it takes seconds' || result 1 'and it takes seconds'
stops 'a crash' 16 'the kernel crashed before this: the target.*no init' <<<"$root
$panic no init"
stops 'it prints letters without a pause' 11 'no kernel said anything' <<<'flood 1 x'
stops 'it prints the beginning of a sign without a pause' 11 'no kernel said anything' <<<'flood 5000 Welcome to '
stops 'the host failed' 1 'the disk is gone' <<<"$disk
H the disk is gone
exit 1"

# What real guests printed, and what the host said of them (lab/images, shortened): each play is
# named after the exit code that it ends with.
for play in "$parts"/recorded/*.play; do
	name=${play##*/}
	name=${name%.play}
	{
		[ "${name##*-}" != 0 ] || echo 'shutdown off'
		cat "$play"
	} >recorded.play
	until=()
	[[ $name != azure-* ]] || until=(--until cloud-init --within 5)
	PLAY=recorded.play try grub.img --direct --within 30 "${until[@]}"
	[ $rc = "${name##*-}" ] && result 0 "recorded: $name" || result 1 "recorded: $name"
done

# Targets, and the end
reaches() {
	cat >reaches.play
	PLAY=reaches.play try grub.img --direct --within 20 --until "$2" "${@:5}"
	[ $rc = "$3" ] && grep -q "$4" out && result 0 "$1" || result 1 "$1"
}
reaches 'a text' 'ready to serve' 0 'started' <<<"$root
C now ready to serve"
reaches 'heartbeat' heartbeat 0 'started' <<<"$root
heartbeat"
reaches 'ssh' ssh 0 'started' <<<"$root
ssh"
reaches 'cloud-init, and its data source' cloud-init 0 'cloud-init used DataSourceAzure' <<<"$root
slow [   20.1] cloud-init[401]: Cloud-init v. 22.4.2 finished at Mon, 30 Nov 2026 10:00:00 +0000. Datasource DataSourceAzure [seed=/dev/sr0].  Up 20 seconds"
reaches 'cloud-init without a data source' cloud-init 0 'note: cloud-init found no data source: --azure' <<<"$root
C [   20.1] cloud-init[401]: Cloud-init v. 22.4.2 finished at Mon, 30 Nov 2026 10:00:00 +0000. Datasource DataSourceNone.  Up 20 seconds"
reaches 'cloud-init that does not run' cloud-init 15 'login prompt came.*no data source: --azure' --within 3 <<<"$root
$login
wait 20"
reaches 'it powers off' login 0 '^shutdown  *[0-9]' <<<"$root
shutdown off
$login"
reaches 'it does not power off' login 20 'asked to power off.*and did not' --stop-within 1 <<<"$root
shutdown never
$login"
reaches 'it has no shutdown service' login 0 'note: it was not asked to power off' <<<"$root
$login"
reaches 'a card that comes late' login 0 'started' <<<"$disk
$login
wait 2
H progress: network"

# As on Azure
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkeyofthelab lab' >key.pub
echo '-----BEGIN OPENSSH PRIVATE KEY-----' >key
reaches 'Azure: it reports that it is ready' provisioned 0 'note: Azure: 1 different requests; it reported Ready' --azure --ssh-key key.pub <<<"$root
health NotReady Provisioning Starting
wait 0.2
health Ready"
there=controller=f8b3781a-1e82-4818-a1c3-63d806ec15bb
grep -qx -e 7783-7084-3265-9085-8269-3286-77 seen/arguments &&
	grep -q '^user,mac=00:0d:3a:00:00:01,dhcp-option=245:a83f8110,redirect=168.63.129.16:80-127' seen/arguments &&
	result 0 'Azure: asset tag, addresses' || result 1 'Azure: asset tag, addresses'
grep -q "/overlay,format=qcow2,backing=allow,$there,lun=0$" seen/arguments && grep -q "/resource,$there,lun=1$" seen/arguments &&
	grep -q "/provision.iso,$there,lun=2$" seen/arguments && result 0 'Azure: the places of disks and DVD' || result 1 'Azure: the places of disks and DVD'
python3 - "$program" "$work" <<'END' 2>err && sfdisk -d resource >out 2>>err && grep -q 'resource1 : start= *2048, size= *2095104, type=7$' out &&
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from openvmbus_image import azure
azure.make_resource_disk(sys.argv[2])
END
	result 0 'Azure: the temporary disk' || result 1 'Azure: the temporary disk'
reaches 'Azure: its provisioning failed' provisioned 21 'provisioning failed: no such disk' --azure <<<"$root
health NotReady ProvisioningFailed no such disk"
reaches 'Azure: it asks for nothing' login 0 'asked neither WireServer nor the metadata' --azure <<<"$root
$login"
# bad NAME PATTERN OPTION...
bad() {
	try grub.img --direct "${@:3}"
	[ $rc = 2 ] && [ "$(wc -l <err)" = 1 ] && [ ! -s out ] && grep -q -- "$2" err && result 0 "refused: $1" || result 1 "refused: $1"
}
bad 'a user without --azure' '--user: only with --azure' --user lab
bad 'a target without --azure' '--until provisioned: only with --azure' --until provisioned
bad 'a private key' '--ssh-key key: give a public key' --azure --ssh-key key
bad 'no key at all' 'no.pub: No such file' --azure --ssh-key no.pub
bad 'a user that is none' '--user Root' --azure --user 'Root"'
bad 'a host name that is none' '--hostname -x' --azure --hostname=-x
bad 'custom data without end' 'at most 65535 bytes' --azure --custom-data data
bad 'a network that cannot have it' '--azure: --net tap=x' --azure --net tap=x

# The forms of the result
printf 'H progress: system\nslow Linux version \033[0;1;39m6.1 l\303\266st\nC Linux version 6\033[31m</pre><script>alert(1)</script>\nH progress: bus\n' >bus.play
PLAY=bus.play try grub.img --direct --within 2 --json --junit junit.xml --html page.html --console console.txt
python3 - out junit.xml page.html console.txt >>err 2>&1 <<'END' && result 0 'JSON, JUnit, page and console say the same' || result 1 'JSON, JUnit, page and console say the same'
import json, sys, xml.etree.ElementTree as tree
from html.parser import HTMLParser
said = json.load(open(sys.argv[1]))
suite = tree.parse(sys.argv[2]).getroot()
failed = [c.get("name") for c in suite if c.find("failure") is not None]
assert said["exit"] == 13 and said["stopped"] == "disk" and said["reason"] == "no-disk-driver"
assert said["stages"]["bus"] is not None and said["stages"]["disk"] is None
assert said["format"] == "raw" and said["by"] == "/boot/grub/grub.cfg (Debian; the {first})"
assert failed == ["a disk driver used its channel"] and suite.get("failures") == "1"
assert suite.find("testcase/failure").get("message") == said["why"]
class Page(HTMLParser):
    tags, sources = [], []
    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset")]
page = Page()
text = open(sys.argv[3]).read()
page.feed(text)
assert "Linux version 6.1 l\u00f6st" in text
assert "script" not in page.tags and not page.sources and "svg" in page.tags
assert "url(" not in text and "@import" not in text and "alert(1)" in text
assert b"Linux version 6\x1b[31m" in open(sys.argv[4], "rb").read()
END
mkfifo pipe
cat pipe >piped &
PLAY=bus.play try grub.img --direct --within 1 --html pipe
[ $rc = 13 ] && [ -p pipe ] && grep -q '</html>' piped && result 0 'a page into a pipe' || result 1 'a page into a pipe'
mkdir page.html.part
try grub.img --direct --html page.html
[ $rc = 2 ] && grep -q 'page.html: ' err && result 0 'refused: a page that could not be written at the end' || result 1 'refused: a page that could not be written at the end'
python3 - "$program" grub.img <<'END' >out 2>err && result 0 'reading an image has an end' || result 1 'reading an image has an end'
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from openvmbus_image import common, volumes
image = volumes.Volumes(sys.argv[2])
assert image.names("loop0,gpt2", "/boot")
image.end = 0
try:
    image.names("loop0,gpt2", "/boot")
except common.Refused as refused:
    assert "within 600 s" in str(refused)
else:
    sys.exit("it went on")
END
echo late | cat - bus.play >late.play
PLAY=late.play SEEN=$work/seen OPENVMBUS=$parts/monitor TMPDIR=$work/tmp "$program" grub.img --direct >out 2>err &
pid=$!
for _ in {1..100}; do
	grep -q 'kernel used VMBus' err && break
	sleep 0.1
done
kill $pid
sleep 0.3
kill $pid 2>/dev/null || true
rc=0
wait $pid || rc=$?
[ $rc = 6 ] && [ -z "$(ls tmp)" ] && ! kill -0 "$(cat seen/pid)" 2>/dev/null && result 0 'two signals end it and leave nothing' || result 1 'two signals end it and leave nothing'
the_end
