# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The front door; `make help` lists what it does. Everything is written below build/. Nothing here
# needs more than make and apt before tools/setup has run, so no $(shell) calls a compiler.

include sources.mk

VERSION := 0.1.0
BUILD   := build
ifeq ($(origin CC),default)
CC      := gcc
endif
FUZZ_CC ?= clang
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
SECONDS ?= 30
FUZZ_SECONDS ?= 15
SEEDS   ?= 1000
FIRST   ?= 1
KERNEL  ?= 6.1
DRIVERS ?= ours
CPUS    ?= 4
MEMORY  ?= 1G
NO_INSTALL ?= 0
export NO_INSTALL FUZZ_SECONDS

ifeq ($(V),1)
Q    :=
else
Q    := @
endif
say   = @printf '  %-7s %s\n' $(1) $(2)

WARN     := -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -DOPENVMBUS_VERSION='"$(VERSION)"'
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN     := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan \
	-DVMB_PLATFORM_OVERRIDE='"tests/tsan_memory.h"'
FUZZ     := $(SANITIZE) -fsanitize=fuzzer-no-link

# What ships and faces a guest. Not for the library, which may call four memory functions alone.
HARDEN      := -fPIE -fstack-protector-strong -fstack-clash-protection \
	$(if $(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN_LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack

CORE     := $(CORE_RING) $(CORE_GUEST) $(CORE_HOST)
PUBLIC   := $(filter-out %internal.h guest/engine.h,$(wildcard $(addsuffix /*.h,base wire ring guest host)))
DEVICES  := $(wildcard devices/*.c devices/*/*.c)
VMM      := $(wildcard vmm/*.c)
VMM_LIBS := -luring -lslirp -lnbd -ljansson -lseccomp -lcrypto -lpng -lvncserver
USER     := $(wildcard ports/user/*.c)
SIM      := $(wildcard sim/*.c)
TESTS    := $(basename $(notdir $(wildcard tests/*_test.c tests/regress/*_test.c)))
HELPERS  := $(filter-out %_test.c,$(wildcard tests/*.c))
FUZZERS  := $(basename $(notdir $(wildcard fuzz/*_fuzz.c)))
EXAMPLES := $(patsubst examples/%/,%,$(wildcard examples/*/))
BENCHES  := $(basename $(notdir $(wildcard bench/*.c)))

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
.PHONY: all help run test unit unit-programs simulate robustness asan-commands fuzz fuzz-programs \
	clang-objects bench bench-peers lint lint-modules modules examples firmware freestanding nest lab install clean distclean FORCE

all: $(BUILD)/libvmbus-core.a $(BUILD)/openvmbus

help:
	@echo 'make                 build/openvmbus and build/libvmbus-core.a'
	@echo 'make run             boot a Debian guest on openvmbus'
	@echo '                     [DRIVERS=ours|intree] [KERNEL=6.1|6.12] [CPUS=4] [MEMORY=1G]'
	@echo 'make modules         build/modules/RELEASE/*.ko  KERNEL=6.1|6.12|RELEASE or KDIR=HEADERS'
	@echo 'make test            everything: unit tests, fuzz targets, lint, command line, VM cells'
	@echo "make lab             boots guests on hosts with each scenario; build/matrix/index.html"
	@echo "                     [MATRIX='--guests A,B --hosts A,B --scenarios A,B']"
	@echo 'make unit            unit tests only, under AddressSanitizer and UBSan'
	@echo 'make fuzz            TARGET=name [SECONDS=900]'
	@echo 'make simulate        SEEDS=N [FIRST=K]: random lives of guest and host in virtual time'
	@echo 'make robustness      plants a bug for each test that docs/robustness.md names one for'
	@echo 'make examples        build/examples/NAME, of examples/NAME/NAME.c'
	@echo 'make baremetal       build/baremetal.elf, a guest without an operating system'
	@echo 'make firmware        build/firmware/OPENVMBUS.fd, a UEFI firmware with drivers for VMBus'
	@echo 'make arm64           core, devices and unit tests for arm64, run under qemu-user'
	@echo 'make bench           measure; docs/performance.md says what'
	@echo 'make bench-peers     the same beside what others have; PEERS= gives bench/peers/run options'
	@echo 'make lint            format, include rule, licences, cppcheck, shellcheck, symbols'
	@echo 'make lint-modules    sparse on the kernel modules [KERNEL=6.1|6.12|RELEASE | KDIR=HEADERS]'
	@echo 'make freestanding    the core needs memcpy, memset, memcmp, memmove and nothing else'
	@echo 'make nest            what machines without /dev/kvm need to run a guest (make run does it)'
	@echo 'make install         [PREFIX=/usr/local] [DESTDIR=]'
	@echo 'make deb             Debian packages, in build/packages (docs/packages.md)'
	@echo 'make rpm             RPM packages, in build/packages'
	@echo 'make clean           remove what was compiled; kernels and images stay'
	@echo 'make distclean       remove all of build/'
	@echo 'V=1 shows commands; CC, CFLAGS, LDFLAGS as usual; NO_INSTALL=1 installs no package'

# Packages. A stamp per group, renewed when the lists change.
$(BUILD)/.setup-%: tools/setup tools/packages $(wildcard lab/packages)
	@mkdir -p $(@D)
	@tools/setup $*
	@touch $@

# A variant of the build is a folder of objects with its own compiler and flags. When these change
# the objects are stale, so each variant records them.
# $(1) folder, $(2) compiler, $(3) flags, $(4) package groups
define variant
$(1)/.flags: FORCE
	@mkdir -p $(1)
	@echo '$(subst ','\'',$(2) $(3) $(CPPFLAGS) $(WARN))' | cmp -s - $$@ || \
		echo '$(subst ','\'',$(2) $(3) $(CPPFLAGS) $(WARN))' >$$@
$(1)/%.o: %.c $(1)/.flags | $(4:%=$(BUILD)/.setup-%)
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(2) $$(CPPFLAGS) $(WARN) $(3) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call variant,$(BUILD)/obj,$(CC),$(CFLAGS),build))
$(eval $(call variant,$(BUILD)/hard,$(CC),$(CFLAGS) $(HARDEN),build))
$(eval $(call variant,$(BUILD)/asan,$(CC),$(SANITIZE),build test))
$(eval $(call variant,$(BUILD)/tsan,$(CC),$(TSAN),build test))
# The kernel's own interface wants structs with a flexible end inside of others; the ring's model
# check compiles a file that its rule below names.
CLANG := -O0 -Wno-gnu-variable-sized-type-not-at-end -DVARIANT=lint -DRING_SOURCE='"ring/ring.c"'
$(eval $(call variant,$(BUILD)/clang,clang,$(CLANG),lint))
$(eval $(call variant,$(BUILD)/fuzz,$(FUZZ_CC),$(FUZZ),test))

archive = $(call say,AR,$@)$(newline)	$(Q)rm -f $@ && ar rcsD $@ $(filter %.o,$^)
define newline


endef

$(BUILD)/libvmbus-core.a: $(CORE:%.c=$(BUILD)/obj/%.o)
	$(archive)

# The VMM links devices, the host core and the ring; the guest for `replay --host` alone.
RECORDED := $(wildcard ports/user/recorded*.c)
$(BUILD)/openvmbus: $(patsubst %.c,$(BUILD)/hard/%.o,$(VMM) $(DEVICES) $(CORE_RING) $(CORE_HOST) $(RECORDED) \
		$(CORE_GUEST))
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LDFLAGS) $(HARDEN_LINK) -pthread -o $@ $^ $(VMM_LIBS)

# What tests, fuzz targets and benchmarks link against: the linker takes from the archive what is
# used. Tests called vmm_* and devices_* also get the devices and the monitor.
LINKED := $(CORE) $(DEVICES) $(USER) $(filter-out sim/main.c,$(SIM)) $(HELPERS)
$(BUILD)/asan/libtest.a: $(LINKED:%.c=$(BUILD)/asan/%.o)
	$(archive)
$(BUILD)/asan/libvmm.a: $(patsubst %.c,$(BUILD)/asan/%.o,$(filter-out vmm/main.c,$(VMM)))
	$(archive)
$(BUILD)/tsan/libtest.a: $(LINKED:%.c=$(BUILD)/tsan/%.o)
	$(archive)
$(BUILD)/tsan/libvmm.a: $(patsubst %.c,$(BUILD)/tsan/%.o,$(filter-out vmm/main.c,$(VMM)))
	$(archive)
$(BUILD)/fuzz/libfuzz.a: $(LINKED:%.c=$(BUILD)/fuzz/%.o)
	$(archive)
$(BUILD)/fuzz/libvmm.a: $(patsubst %.c,$(BUILD)/fuzz/%.o,$(filter-out vmm/main.c,$(VMM)))
	$(archive)
$(BUILD)/obj/libbench.a: $(LINKED:%.c=$(BUILD)/obj/%.o)
	$(archive)

link-test = $(call say,LD,$@)$(newline)	@mkdir -p $(@D)$(newline)	$(Q)$(CC) $(SANITIZE) -pthread \
	-o $@ $^ -lcmocka $(VMM_LIBS)
$(BUILD)/tests/vmm_%: $(BUILD)/asan/tests/vmm_%.o $(BUILD)/asan/tests/confined.o \
		$(BUILD)/asan/libvmm.a $(BUILD)/asan/libtest.a | $(BUILD)/.setup-test
	$(link-test)
$(BUILD)/tests/devices_%: $(BUILD)/asan/tests/devices_%.o $(BUILD)/asan/tests/confined.o \
		$(BUILD)/asan/libvmm.a $(BUILD)/asan/libtest.a | $(BUILD)/.setup-test
	$(link-test)
# Tests with threads run once more under ThreadSanitizer, as X_tsan_test. planted_race is one of them with a lock taken
# out of what it tests: tests/tsan_race_test.sh requires that this is found.
TSAN_TESTS := devices_bus devices_doorbell devices_input devices_lives devices_nbd_reconnect devices_network \
	devices_network_turn devices_report devices_stop devices_storage devices_video devices_vsock \
	loopback_network_threads loopback_versions vmm_control_plug
link-tsan = $(call say,LD,$@)$(newline)	@mkdir -p $(@D)$(newline)	$(Q)$(CC) $(TSAN) -pthread \
	-o $@ $^ -lcmocka $(VMM_LIBS)
$(TSAN_TESTS:%=$(BUILD)/tests/%_tsan_test): $(BUILD)/tests/%_tsan_test: $(BUILD)/tsan/tests/%_test.o \
		$(BUILD)/tsan/libvmm.a $(BUILD)/tsan/libtest.a | $(BUILD)/.setup-test
	$(link-tsan)
PLANTED := devices/disk/nbd_connection.c
$(BUILD)/tsan/planted/%.c: $(PLANTED)
	@mkdir -p $(@D)
	$(Q)sed '/^static bool take_incoming/,/^}/s/pthread_mutex_.*lock(&nbd->lock);//' $< >$@
	$(Q)! cmp -s $< $@
$(BUILD)/tsan/planted/%.o: $(BUILD)/tsan/planted/%.c $(BUILD)/tsan/.flags | $(BUILD)/.setup-test
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) $(TSAN) -MMD -MP -c -o $@ $<
$(BUILD)/tsan/planted_race: $(BUILD)/tsan/tests/devices_nbd_reconnect_test.o \
		$(PLANTED:%.c=$(BUILD)/tsan/planted/%.o) $(BUILD)/tsan/libtest.a | $(BUILD)/.setup-test
	$(link-tsan)
unit-programs: $(TSAN_TESTS:%=$(BUILD)/tests/%_tsan_test) $(BUILD)/tsan/planted_race
# They listen where the two ends of ports/user reach each other, and have the generations from the monitor.
HEARD := machine_post machine_signal synic_post synic_interrupt
HEARD_NETWORK := network_bus_open network_bus_close
$(BUILD)/tests/conformance_network_test: HEARD := $(HEARD_NETWORK)
$(BUILD)/tests/conformance_test $(BUILD)/tests/conformance_network_test: $(BUILD)/tests/%: \
		$(BUILD)/asan/tests/%.o $(BUILD)/asan/vmm/generation.o $(BUILD)/asan/libtest.a \
		| $(BUILD)/.setup-test
	$(link-test) $(HEARD:%=-Wl,--wrap=vmb_user_%)
# Files of ports/uefi in user space, on what stands in for EDK2's headers.
%/tests/uefi_blob_test.o %/tests/uefi_storvsc_test.o %/tests/uefi_variables_test.o: CPPFLAGS += -Itests/uefi
$(BUILD)/tests/%: $(BUILD)/asan/tests/%.o $(BUILD)/asan/libtest.a | $(BUILD)/.setup-test
	$(link-test)
$(BUILD)/tests/%: $(BUILD)/asan/tests/regress/%.o $(BUILD)/asan/libtest.a | $(BUILD)/.setup-test
	$(link-test)
$(BUILD)/fuzzers/vmm_%: $(BUILD)/fuzz/fuzz/vmm_%.o $(BUILD)/fuzz/libvmm.a $(BUILD)/fuzz/libfuzz.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ) -fsanitize=fuzzer -pthread -o $@ $^ $(VMM_LIBS)
$(BUILD)/fuzzers/%: $(BUILD)/fuzz/fuzz/%.o $(BUILD)/fuzz/libfuzz.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ) -fsanitize=fuzzer -pthread -o $@ $^ $(VMM_LIBS)
$(BUILD)/benches/%: $(BUILD)/obj/bench/%.o $(BUILD)/obj/libbench.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(VMM_LIBS)

# The simulator, and once more for each bug that tests/simulate/mutate plants in what ships.
$(BUILD)/simulate: $(BUILD)/obj/sim/main.o $(BUILD)/obj/libbench.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(VMM_LIBS)

SIM_PLANTS := lost_signal lost_on_modify double_completion leak_on_rescind rescind_while_opening \
	fua_ignored short_write deaf_card room_unsaid call_without_end service_held stays_frozen page_too_many \
	returned_twice lost_on_close disc_untold
$(SIM_PLANTS:%=$(BUILD)/planted/%.c): $(BUILD)/planted/%.c: tests/simulate/mutate FORCE
	@mkdir -p $(@D)
	$(Q)tests/simulate/mutate $* <$$(tests/simulate/mutate --file $*) >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(SIM_PLANTS:%=$(BUILD)/planted/%.o): $(BUILD)/planted/%.o: $(BUILD)/planted/%.c $(BUILD)/obj/.flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) $(CFLAGS) -MMD -MP -c -o $@ $<
$(SIM_PLANTS:%=$(BUILD)/planted/%): $(BUILD)/planted/%: $(BUILD)/obj/sim/main.o $(BUILD)/planted/%.o $(BUILD)/obj/libbench.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(VMM_LIBS)

# An example is one file, linked like a benchmark. It has a test, which includes the file.
define example
$(BUILD)/examples/$(1): $(BUILD)/obj/examples/$(1)/$(1).o $(BUILD)/obj/libbench.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^ $$(VMM_LIBS)
endef
$(foreach e,$(EXAMPLES),$(eval $(call example,$(e))))

# The ring's model checker: ring.c once as it is and once for each bug that tests/ring_model/mutate plants.
# Without sanitizers: it explores millions of states.
RING_VARIANTS := original no_look_after_unmask wish_ignored no_look_after_wish index_before_mask \
	index_before_wish full_looks_empty enough_off_by_one signals_always index_before_bytes
$(BUILD)/model/%.c: ring/ring.c tests/ring_model/mutate
	@mkdir -p $(@D)
	$(Q)tests/ring_model/mutate $* <$< >$@
$(BUILD)/model/%.o: $(BUILD)/model/%.c tests/ring_model/variant.c $(BUILD)/obj/.flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) $(CFLAGS) -DVARIANT=$* -DRING_SOURCE='"$<"' -MMD -MP -c -o $@ \
		tests/ring_model/variant.c
$(BUILD)/tests/ring_model_test: $(RING_VARIANTS:%=$(BUILD)/model/%.o) \
	$(BUILD)/obj/tests/ring_model/position.o $(BUILD)/obj/tests/ring_model/explore.o

# The real files of ports/linux in user space, on the shim in tests/linux: linux_X_test under
# AddressSanitizer, linux_X_tsan_test under ThreadSanitizer. The headers that stand in for the kernel's are
# one line each. See tests/linux/kernel.h for why the shim is compiled without ThreadSanitizer, and
# tests/linux/sched.h for why the scheduler is compiled without any sanitizer.
LINUX_NETWORK_TESTS := linux_network_test linux_network_walk_test linux_xdp_test
LINUX_TESTS := $(filter-out linux_services_test linux_ids_test linux_override_test linux_balloon_test linux_sockets_test linux_input_test \
	linux_uio_test \
	$(LINUX_NETWORK_TESTS),$(basename $(notdir $(wildcard tests/linux/*_test.c))))
LINUX_PORT  := storage_link block block_request block_unit storage storage_error storage_user storage_ide
LINUX_SHIM  := kernel block scsi bus bed
LINUX_KERNEL := $(addprefix linux/,delay io mm rcupdate slab mutex spinlock wait device mod_devicetable module \
	workqueue sysfs version unaligned string topology sched/mm uuid)
LINUX_BLOCK  := $(addprefix linux/,blk-mq blkdev hdreg idr)
LINUX_SCSI   := linux/scatterlist $(addprefix scsi/,scsi scsi_proto scsi_dbg scsi_eh scsi_cmnd scsi_device scsi_host scsi_devinfo)
LINUX_MISC   := $(addprefix linux/,fs kref miscdevice poll uaccess umh moduleparam reboot)
LINUX_RAM    := $(addprefix linux/,list memory memory_hotplug mman)
LINUX_VSOCK  := linux/uio linux/refcount net/af_vsock
LINUX_HOST   := $(addprefix linux/,cpu interrupt kobject vmalloc tracepoint sched/isolation) asm/mshyperv trace/define_trace
LINUX_NET    := $(addprefix linux/,bpf netdevice u64_stats_sync etherdevice ethtool rtnetlink if_vlan ip ipv6 tcp \
	udp log2 bpf_trace filter) $(addprefix net/,xdp ip6_checksum tcp page_pool/helpers)
LINUX_HID    := $(addprefix linux/,hid input)
LINUX_UIO    := linux/uio_driver
LINUX_DIR    := $(BUILD)/linux
LINUX_FLAGS  := $(CPPFLAGS) -I$(LINUX_DIR)/include $(WARN) -std=gnu11 -Wno-format -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-pointer-sign -O1 -g -fno-omit-frame-pointer
LINUX_ASAN   := -fsanitize=address,undefined -fno-sanitize-recover=all
LINUX_TSAN   := -fsanitize=thread -Wno-tsan
# The module that a file of the port belongs to, by the first word of its name.
LINUX_MODULES := block/blkvsc services/hvutils balloon/hvballoon sockets/hvsock network/netvsc input/hvinput vmbus/vmbus \
	storage/storvsc uio/hvuio
linux-module  = -DKBUILD_MODNAME='"$(notdir $(filter $(firstword $(subst _, ,$*))/%,$(LINUX_MODULES)))"'
linux-cc      = $(call say,CC,$@)$(newline)	@mkdir -p $(@D)$(newline)	$(Q)$(CC) $(LINUX_FLAGS) \
	$(1) -MMD -MP -c -o $@ $<
$(LINUX_DIR)/include/.made: Makefile
	@rm -rf $(@D) && mkdir -p $(@D)/linux/sched $(@D)/scsi $(@D)/asm $(@D)/net/page_pool $(@D)/trace
	@for h in $(LINUX_KERNEL); do echo '#include "tests/linux/kernel.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_BLOCK); do echo '#include "tests/linux/block.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_SCSI); do echo '#include "tests/linux/scsi.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_RAM); do echo '#include "tests/linux/ram.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_VSOCK); do echo '#include "tests/linux/vsock.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_UIO); do echo '#include "tests/linux/uio.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_HID); do echo '#include "tests/linux/hid.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_MISC); do echo '#include "tests/linux/misc.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_HOST); do echo '#include "tests/linux/host.h"' >$(@D)/$$h.h; done
	@for h in $(LINUX_NET); do echo '#include "tests/linux/net.h"' >$(@D)/$$h.h; done
	@touch $@
$(LINUX_DIR)/%/sched.o: tests/linux/sched.c | $(BUILD)/.setup-test
	$(call linux-cc,-DSHIM_$(if $(filter asan,$*),ASAN,TSAN))
$(LINUX_DIR)/asan/shim/%.o: tests/linux/%.c $(LINUX_DIR)/include/.made | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_ASAN))
$(LINUX_DIR)/tsan/shim/%.o: tests/linux/%.c $(LINUX_DIR)/include/.made | $(BUILD)/.setup-test
	$(call linux-cc,-DSHIM_TSAN)
$(LINUX_DIR)/asan/port/%.o: ports/linux/%.c $(LINUX_DIR)/include/.made | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_ASAN) $(linux-module))
$(LINUX_DIR)/tsan/port/%.o: ports/linux/%.c $(LINUX_DIR)/include/.made | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_TSAN) $(linux-module))
$(LINUX_DIR)/asan/core/%.o: guest/%.c | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_ASAN))
$(LINUX_DIR)/tsan/core/%.o: guest/%.c | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_TSAN))
$(LINUX_DIR)/asan/core/%.o: ring/%.c | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_ASAN))
$(LINUX_DIR)/tsan/core/%.o: ring/%.c | $(BUILD)/.setup-test
	$(call linux-cc,$(LINUX_TSAN))
linux-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o $(LINUX_SHIM:%=shim/%.o) $(LINUX_PORT:%=port/%.o) \
	core/storage.o)
$(LINUX_TESTS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: $(LINUX_DIR)/asan/shim/%.o $(call linux-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(LINUX_TESTS:%_test=$(BUILD)/tests/%_tsan_test): $(BUILD)/tests/%_tsan_test: \
		$(LINUX_DIR)/tsan/shim/%_test.o $(call linux-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
# The integration services have a scripted channel and no disks.
services-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o shim/kernel.o shim/bed.o shim/single.o shim/misc.o port/services.o \
	port/services_daemon.o port/services_kvp.o port/services_backup.o port/services_copy.o core/ic.o core/ic_kvp.o)
$(BUILD)/tests/linux_services_test: $(LINUX_DIR)/asan/shim/linux_services_test.o $(call services-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(BUILD)/tests/linux_services_tsan_test: $(LINUX_DIR)/tsan/shim/linux_services_test.o $(call services-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
# The bus's list of ids stands alone.
ids-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o shim/kernel.o shim/bed.o port/vmbus_ids.o)
$(BUILD)/tests/linux_ids_test: $(LINUX_DIR)/asan/shim/linux_ids_test.o $(call ids-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(BUILD)/tests/linux_ids_tsan_test: $(LINUX_DIR)/tsan/shim/linux_ids_test.o $(call ids-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
unit-programs: $(BUILD)/tests/linux_ids_test $(BUILD)/tests/linux_ids_tsan_test
# So does the name of the driver that the user chose for a device.
override-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o shim/kernel.o shim/bed.o port/vmbus_override.o)
$(BUILD)/tests/linux_override_test: $(LINUX_DIR)/asan/shim/linux_override_test.o $(call override-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(BUILD)/tests/linux_override_tsan_test: $(LINUX_DIR)/tsan/shim/linux_override_test.o $(call override-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
unit-programs: $(BUILD)/tests/linux_override_test $(BUILD)/tests/linux_override_tsan_test
# Keyboard and mouse have a scripted channel, and the layers that they report to.
input-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o shim/kernel.o shim/bed.o shim/single.o shim/queue.o port/input.o \
	port/input_keyboard.o port/input_mouse.o core/keyboard.o core/mouse.o)
$(BUILD)/tests/linux_input_test: $(LINUX_DIR)/asan/shim/linux_input_test.o $(call input-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(BUILD)/tests/linux_input_tsan_test: $(LINUX_DIR)/tsan/shim/linux_input_test.o $(call input-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
unit-programs: $(BUILD)/tests/linux_input_test $(BUILD)/tests/linux_input_tsan_test
# Dynamic memory has a scripted channel too, and a memory.
balloon-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o shim/kernel.o shim/bed.o shim/single.o shim/queue.o shim/ram.o \
	port/balloon.o port/balloon_pages.o core/balloon.o)
$(BUILD)/tests/linux_balloon_test: $(LINUX_DIR)/asan/shim/linux_balloon_test.o $(call balloon-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(BUILD)/tests/linux_balloon_tsan_test: $(LINUX_DIR)/tsan/shim/linux_balloon_test.o $(call balloon-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
unit-programs: $(BUILD)/tests/linux_balloon_test $(BUILD)/tests/linux_balloon_tsan_test
# Sockets have a channel that carries nothing: the bytes are ring/stream.c's, which has its own test.
sockets-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o shim/kernel.o shim/bed.o port/sockets.o \
	port/sockets_stream.o core/stream.o)
$(BUILD)/tests/linux_sockets_test: $(LINUX_DIR)/asan/shim/linux_sockets_test.o $(call sockets-parts,asan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka
$(BUILD)/tests/linux_sockets_tsan_test: $(LINUX_DIR)/tsan/shim/linux_sockets_test.o $(call sockets-parts,tsan)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka
unit-programs: $(BUILD)/tests/linux_sockets_test $(BUILD)/tests/linux_sockets_tsan_test
unit-programs: $(BUILD)/tests/linux_services_test $(BUILD)/tests/linux_services_tsan_test
# The network card has the real bus below it, and the host's end as it ships: that end without
# ThreadSanitizer, because the two ends share memory by rings alone, which tests/ring_model covers.
bus-parts = $(addprefix $(LINUX_DIR)/$(1)/,sched.o $(addprefix shim/,kernel.o bed.o host.o) $(addprefix port/,vmbus_ring.o \
	vmbus_channel.o vmbus_share.o vmbus_sub.o vmbus_user.o vmbus_connect.o vmbus_device.o vmbus_ids.o) \
	$(addprefix core/,connect.o channel.o gpadl.o socket.o doorbell.o ring.o))
network-parts = $(call bus-parts,$(1)) $(addprefix $(LINUX_DIR)/$(1)/,shim/net.o shim/xdp.o shim/traffic.o $(addprefix port/,network.o \
	network_connect.o network_queue.o network_control.o network_send.o network_receive.o network_xdp.o \
	network_ethtool.o) \
	core/network.o core/rndis.o)
$(LINUX_NETWORK_TESTS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: $(LINUX_DIR)/asan/shim/%.o $(call network-parts,asan) \
		$(BUILD)/asan/libtest.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka $(VMM_LIBS)
$(LINUX_NETWORK_TESTS:%_test=$(BUILD)/tests/%_tsan_test): $(BUILD)/tests/%_tsan_test: \
		$(LINUX_DIR)/tsan/shim/%_test.o $(call network-parts,tsan) $(BUILD)/obj/libbench.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka $(VMM_LIBS)
# So has user-space I/O, whose program the test is.
uio-parts = $(call bus-parts,$(1)) $(LINUX_DIR)/$(1)/port/uio.o $(LINUX_DIR)/$(1)/shim/uio.o
$(BUILD)/tests/linux_uio_test: $(LINUX_DIR)/asan/shim/linux_uio_test.o $(call uio-parts,asan) $(BUILD)/asan/libtest.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_ASAN) -pthread -o $@ $^ -lcmocka $(VMM_LIBS)
$(BUILD)/tests/linux_uio_tsan_test: $(LINUX_DIR)/tsan/shim/linux_uio_test.o $(call uio-parts,tsan) $(BUILD)/obj/libbench.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINUX_TSAN) -pthread -o $@ $^ -lcmocka $(VMM_LIBS)
unit-programs: $(BUILD)/tests/linux_uio_test $(BUILD)/tests/linux_uio_tsan_test
unit-programs: $(LINUX_NETWORK_TESTS:%=$(BUILD)/tests/%) $(LINUX_NETWORK_TESTS:%_test=$(BUILD)/tests/%_tsan_test)
unit-programs: $(LINUX_TESTS:%=$(BUILD)/tests/%) $(LINUX_TESTS:%_test=$(BUILD)/tests/%_tsan_test)

unit-programs: $(TESTS:%=$(BUILD)/tests/%) $(SIM_PLANTS:%=$(BUILD)/planted/%)
clang-objects: $(CLANG_FILES:%.c=$(BUILD)/clang/%.o)
examples: $(EXAMPLES:%=$(BUILD)/examples/%)
fuzz-programs: $(FUZZERS:%=$(BUILD)/fuzzers/%)

unit: unit-programs
	@tests/run unit

test: all unit-programs fuzz-programs | $(BUILD)/.setup-lint $(BUILD)/.setup-lab
	@tests/run all

# For tests/robustness_plants_test.sh, which builds tests with bugs in what they test.
asan-commands:
	@echo "asan_cc='$(CC)' asan_flags='$(filter-out -DOPENVMBUS_VERSION%,$(CPPFLAGS)) $(WARN) $(SANITIZE)'" \
		"asan_libs='$(VMM_LIBS)' linux_flags='$(filter-out -DOPENVMBUS_VERSION%,$(LINUX_FLAGS)) $(LINUX_ASAN)'" \
		"linux_parts='$(call linux-parts,asan)' services_parts='$(call services-parts,asan)'" \
		"override_parts='$(call override-parts,asan)'" \
		"network_parts='$(call network-parts,asan) $(BUILD)/asan/libtest.a'"
robustness: unit-programs
	@tests/robustness_plants_test.sh --all

simulate: $(BUILD)/simulate
	@$(BUILD)/simulate --seed $(FIRST) --seeds $(SEEDS)

fuzz: fuzz-programs
	@tests/fuzz-one $(TARGET) $(SECONDS)

bench: $(BENCHES:%=$(BUILD)/benches/%)
	@for b in $(sort $^); do $$b || exit 1; done

# PEERS: options of bench/peers/run, e.g. PEERS='--rounds 3 disk'.
bench-peers: all $(BENCHES:%=$(BUILD)/benches/%) | $(BUILD)/.setup-peers $(BUILD)/.setup-lab
	@bench/peers/make-client
	@bench/peers/run $(PEERS)

lint: $(BUILD)/libvmbus-core.a | $(BUILD)/.setup-lint
	@tools/lint

freestanding: baremetal | $(BUILD)/.setup-build
	@CC='$(CC)' tools/freestanding $(CORE)

modules: | $(BUILD)/.setup-modules $(BUILD)/.setup-lab
	@V='$(V)' KDIR='$(KDIR)' tools/modules '$(KERNEL)'

lint-modules: | $(BUILD)/.setup-modules $(BUILD)/.setup-lab
	@V='$(V)' KDIR='$(KDIR)' tools/modules --check '$(KERNEL)'

# What a machine without /dev/kvm needs once; openvmbus names this target.
nest: | $(BUILD)/.setup-lab
	@lab/nest-image

run: $(BUILD)/openvmbus | $(BUILD)/.setup-lab $(BUILD)/.setup-modules
	$(if $(filter ours,$(DRIVERS)),@V='$(V)' KDIR= tools/modules '$(KERNEL)')
	@DRIVERS='$(DRIVERS)' KERNEL='$(KERNEL)' CPUS='$(CPUS)' MEMORY='$(MEMORY)' lab/make-run

# Our UEFI firmware, of EDK2 and ports/uefi. EDK2's own build knows what has changed.
firmware: | $(BUILD)/.setup-firmware
	@tools/firmware

# The matrix of the lab; MATRIX is its options, see the head of lab/matrix. EXECUTOR=slurm: as a Slurm
# job array.
lab: all | $(BUILD)/.setup-lab $(BUILD)/.setup-modules
	@lab/matrix $(if $(EXECUTOR),--executor '$(EXECUTOR)') $(MATRIX)

install: all install-packaged
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(LIBDIR)'
	install -D -m 755 -t '$(DESTDIR)$(PREFIX)/libexec/openvmbus' lab/nest/openvmbus-nest \
		image/openvmbus-image
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/libexec/openvmbus/openvmbus_image' image/openvmbus_image/*.py
	if [ -e $(BUILD)/nest/initrd ]; then \
		install -D -m 644 -t '$(DESTDIR)$(PREFIX)/lib/openvmbus/nest' $(BUILD)/nest/vmlinux $(BUILD)/nest/initrd; \
		install -D -m 755 -t '$(DESTDIR)$(PREFIX)/lib/openvmbus/nest' $(BUILD)/nest/nest-tsc; \
	fi
	if [ -e $(BUILD)/firmware/OPENVMBUS.fd ]; then \
		install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/openvmbus' $(BUILD)/firmware/OPENVMBUS.fd; \
	fi
	install -m 755 $(BUILD)/openvmbus '$(DESTDIR)$(PREFIX)/bin/'
	install -m 644 $(BUILD)/libvmbus-core.a '$(DESTDIR)$(LIBDIR)/'
	for h in $(PUBLIC); do \
		install -D -m 644 $$h "$(DESTDIR)$(PREFIX)/include/openvmbus/$$h" || exit 1; \
	done

clean:
	rm -rf $(addprefix $(BUILD)/,metal baremetal.elf obj hard asan tsan fuzz model planted simulate linux tests fuzzers benches examples modules cppcheck freestanding \
		openvmbus libvmbus-core.a) $(BUILD)/.setup-*

distclean:
	rm -rf $(BUILD)

include packaging/packaging.mk
include ports/baremetal/baremetal.mk
include tools/arm64.mk

-include $(shell find $(BUILD)/obj $(BUILD)/hard $(BUILD)/asan $(BUILD)/tsan $(BUILD)/fuzz $(BUILD)/model $(BUILD)/planted $(BUILD)/linux $(BUILD)/metal $(BUILD)/arm64/obj -name '*.d' 2>/dev/null)
