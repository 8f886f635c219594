# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Libraries, manual pages, completion and packages; the Makefile includes it. docs/packages.md.

LIBDIR   ?= $(PREFIX)/lib
DATE     := 2026-11-30
DEVICE_HEADERS := $(wildcard devices/*.h devices/*/*.h)
USER_HEADERS   := $(wildcard ports/user/*.h)
PACKAGED := $(BUILD)/packaged

.PHONY: deb rpm packaged install-packaged

$(BUILD)/libvmbus-devices.a: $(DEVICES:%.c=$(BUILD)/obj/%.o)
	$(archive)
$(BUILD)/libvmbus-user.a: $(USER:%.c=$(BUILD)/obj/%.o)
	$(archive)

# Everything in them comes from --help.
$(PACKAGED)/openvmbus.1: packaging/manual $(BUILD)/openvmbus
	@mkdir -p $(@D)
	$(Q)$(BUILD)/openvmbus --help | packaging/manual -v name=openvmbus -v package=openvmbus -v version=$(VERSION) -v date=$(DATE) >$@
$(PACKAGED)/openvmbus.%: packaging/completion $(BUILD)/openvmbus
	@mkdir -p $(@D)
	$(Q)$(BUILD)/openvmbus --help | packaging/completion -v shell=$* >$@
$(PACKAGED)/%.pc: packaging/pkgconfig/%.pc.in FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(VMM_LIBS)|' $< >$@

packaged: $(BUILD)/libvmbus-devices.a $(BUILD)/libvmbus-user.a \
	$(addprefix $(PACKAGED)/,openvmbus.1 openvmbus.bash openvmbus.zsh vmbus-core.pc vmbus-devices.pc vmbus-user.pc)

install-packaged: packaged
	install -D -m 644 $(PACKAGED)/openvmbus.1 '$(DESTDIR)$(PREFIX)/share/man/man1/openvmbus.1'
	install -D -m 644 $(PACKAGED)/openvmbus.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/openvmbus'
	install -D -m 644 $(PACKAGED)/openvmbus.zsh '$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_openvmbus'
	install -D -m 644 -t '$(DESTDIR)$(LIBDIR)' $(BUILD)/libvmbus-devices.a $(BUILD)/libvmbus-user.a
	install -D -m 644 -t '$(DESTDIR)$(LIBDIR)/pkgconfig' $(PACKAGED)/*.pc
	for h in $(DEVICE_HEADERS) $(USER_HEADERS); do \
		install -D -m 644 $$h "$(DESTDIR)$(PREFIX)/include/openvmbus/$$h" || exit 1; \
	done

deb: | $(BUILD)/.setup-build $(BUILD)/.setup-package
	@packaging/build-deb

rpm: | $(BUILD)/.setup-build $(BUILD)/.setup-package
	@packaging/build-rpm
