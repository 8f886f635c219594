# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make arm64: the core, the devices, ports/user and their unit tests for arm64, run under qemu-user.
# The Makefile includes this. Without sanitizers, which do not run there. The monitor is KVM's on
# x86-64, so its tests (vmm_*, and others that use it) are not among them; nor is the ring's model,
# which runs through interleavings of its own, the same ones on each processor.

ARM64      := $(BUILD)/arm64/obj
ARM64_ROOT := $(BUILD)/arm64/sysroot
ARM64_CC   := aarch64-linux-gnu-gcc --sysroot=$(CURDIR)/$(ARM64_ROOT)
ARM64_VMM  := $(shell grep -lP '^.include "vmm/(?!generation|memory)' tests/*_test.c tests/regress/*_test.c)
ARM64_TESTS := $(filter-out vmm_% ring_model_test $(basename $(notdir $(ARM64_VMM))),$(TESTS))
$(eval $(call variant,$(ARM64),$(ARM64_CC),-O2 -g -DVMB_USER_WAIT_SECONDS=120,build test arm64))

$(ARM64)/libtest.a: $(LINKED:%.c=$(ARM64)/%.o)
	$(archive)
$(BUILD)/arm64/tests/%: $(ARM64)/tests/%.o $(ARM64)/libtest.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(ARM64_CC) -pthread -o $@ $(filter %.o,$^) $(ARM64)/libtest.a $(ARM64_LINK) -lcmocka $(VMM_LIBS)
$(BUILD)/arm64/tests/%: $(ARM64)/tests/regress/%.o $(ARM64)/libtest.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(ARM64_CC) -pthread -o $@ $(filter %.o,$^) $(ARM64)/libtest.a $(ARM64_LINK) -lcmocka $(VMM_LIBS)

# As on this machine, see the Makefile.
$(BUILD)/arm64/tests/conformance%: ARM64_LINK = $(HEARD:%=-Wl,--wrap=vmb_user_%)
$(BUILD)/arm64/tests/conformance_network_test: HEARD := $(HEARD_NETWORK)
$(BUILD)/arm64/tests/conformance_test $(BUILD)/arm64/tests/conformance_network_test: $(ARM64)/vmm/generation.o
$(filter $(BUILD)/arm64/tests/devices_%,$(ARM64_TESTS:%=$(BUILD)/arm64/tests/%)): $(ARM64)/vmm/memory.o

.PHONY: arm64
arm64: | $(BUILD)/.setup-build $(BUILD)/.setup-test $(BUILD)/.setup-lab $(BUILD)/.setup-arm64
	@tools/arm64-sysroot
	@$(MAKE) --no-print-directory arm64-programs
	@tools/arm64-run $(ARM64_TESTS)

.PHONY: arm64-programs
arm64-programs: $(ARM64_TESTS:%=$(BUILD)/arm64/tests/%)
