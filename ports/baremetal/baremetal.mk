# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# build/baremetal.elf: the guest without an operating system; the Makefile includes this. No vector
# registers, because nothing sets them up; no red zone, because there are interrupts; and loops that
# copy stay loops, because they are memcpy.

METAL := -O2 -g -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns
$(eval $(call variant,$(BUILD)/metal,$(CC),$(METAL),build))

$(BUILD)/metal/%.o: %.S $(BUILD)/metal/.flags
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

$(BUILD)/baremetal.elf: ports/baremetal/link.ld $(BUILD)/metal/ports/baremetal/start.o \
		$(patsubst %.c,$(BUILD)/metal/%.o,$(CORE_RING) $(CORE_GUEST) $(wildcard ports/baremetal/*.c))
	$(call say,LD,$@)
	$(Q)$(CC) -static -nostdlib -no-pie -Wl,--build-id=none -Wl,--no-warn-rwx-segments -T $< -o $@ \
		$(filter %.o,$^)

.PHONY: baremetal
baremetal: $(BUILD)/baremetal.elf
