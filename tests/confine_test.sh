#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The program that ships is built to be hard to take over, and the devices' threads do all their
# work confined (vmm/confine.h): their tests pass once more under the filters of system calls, none
# of which has to refuse anything. What the filters do refuse is in tests/vmm_confine_test.c.
# shellcheck disable=SC2317 # expect calls them
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
openvmbus=build/openvmbus

is_pie() { readelf -hW "$1" | grep 'Type: *DYN'; }
binds_at_once() { readelf -dW "$1" | grep 'FLAGS.*BIND_NOW'; }
has_relro() { readelf -lW "$1" | grep GNU_RELRO; }
stack_is_data() { readelf -lW "$1" | grep 'GNU_STACK.* RW  '; }
checks_stack() { nm -D "$1" | grep __stack_chk_fail; }
checks_lengths() { nm -D "$1" | grep '__memcpy_chk'; }

expect position_independent is_pie $openvmbus
expect relocations_are_read_only has_relro $openvmbus
expect symbols_are_bound_at_the_start binds_at_once $openvmbus
expect stack_is_not_executable stack_is_data $openvmbus
expect stack_is_guarded checks_stack $openvmbus
expect lengths_are_checked checks_lengths $openvmbus

# The checks themselves: a program without any of it.
echo 'int main(void) { return 0; }' >"$work/soft.c"
gcc -no-pie -fno-stack-protector -z execstack -Wl,-z,norelro,-z,lazy -o "$work/soft" "$work/soft.c" 2>"$work/out"
for one in is_pie has_relro binds_at_once stack_is_data checks_stack checks_lengths; do
	expect "control_${one}_fails" eval "! $one $work/soft"
done

# confined TEST: passes with its threads confined, and no thread was refused anything.
confined() {
	env OPENVMBUS_TEST_SECCOMP=kill timeout 120 "build/tests/$1_test" >"$work/log" 2>&1 ||
		{ cat "$work/log"; return 1; }
	! grep -a 'seccomp:' "$work/log"
}

for one in devices_{storage,disk,nbd_reconnect,ide,doorbell,network,net_user,net_tap,net_cable,net_resolver,capture,trace,services,vsock,balloon,input,video,vnc} vmm_control{,_plug,_video}; do
	[ ! -x "build/tests/${one}_test" ] || expect "${one}_works_confined" confined "$one"
done

# The C library's malloc, which the tests' own replaces, opens a file when a thread frees much.
cat >"$work/heap.c" <<'END'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "devices/role.h"
#include "vmm/confine.h"

static void *work(void *arg)
{
	void *pieces[64];

	vmb_dev_role_enter(VMB_DEV_ROLE_STORAGE);
	for (int i = 0; i < 64; i++)
		memset(pieces[i] = malloc(100000), 1, 100000);
	for (int i = 63; i >= 0; i--)
		free(pieces[i]);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	return vmb_vmm_confine_begin(VMB_VMM_CONFINE_KILL) ||
	       pthread_create(&thread, NULL, work, NULL) || pthread_join(thread, NULL);
}
END
heap_shrinks() {
	gcc -I. -D_GNU_SOURCE -o "$work/heap" "$work/heap.c" \
		build/hard/vmm/{confine,confine_calls,confine_files,terminal}.o \
		build/hard/devices/{role,report,user,files}.o -lseccomp -pthread && "$work/heap"
}
expect thread_that_frees_much_goes_on heap_shrinks

# The whole program: a switch that is another user, and has a filter; it still removes its socket.
switch_is_confined() {
	local pid status tries=100
	chmod 711 "$work"
	mkdir -m 755 "$work/lan"
	chown nobody "$work/lan"
	"$openvmbus" switch "$work/lan/socket" --user nobody &
	pid=$!
	until [ -S "$work/lan/socket" ] && grep -q 'Seccomp:.*2' "/proc/$pid/status"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || break
		sleep 0.1
	done
	status=$(grep -E '^(Uid|NoNewPrivs|Seccomp|CapEff):' "/proc/$pid/status" | tr -s '\t ' ' ')
	kill "$pid"
	wait "$pid" || return 1
	echo "$status"
	[ "$status" = "Uid: $(id -u nobody) $(id -u nobody) $(id -u nobody) $(id -u nobody)
CapEff: 0000000000000000
NoNewPrivs: 1
Seccomp: 2" ] && [ ! -e "$work/lan/socket" ]
}
if [ $EUID -eq 0 ]; then
	expect switch_becomes_another_user_and_is_confined switch_is_confined
else
	result 0 'switch_becomes_another_user_and_is_confined # SKIP needs root'
fi

# nothing may be left out of those for want of a build
expect tests_are_built test -x build/tests/devices_storage_test
the_end
