/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What of the guest's network concerns the nest, from its parsed --net options. The guest's user network
 * lives inside of the nest, and the nest's own card is QEMU's user network: outgoing connections pass both by
 * themselves. A forwarded port is forwarded twice, by QEMU from the machine to the same port of the nest and by the
 * program in there from that port to the guest.
 */
#ifndef VMM_NEST_NET_H
#define VMM_NEST_NET_H

#include "vmm/options.h"

/*
 * Before anything is started. False, reported in one line: a card that hangs on something of this machine (a tap, a
 * switch), which a nest of its own cannot reach; or a port of this machine that is taken.
 */
bool vmb_vmm_nest_net_check(const struct vmb_vmm_options *o);

/* How many ports of this machine lead to the guest. */
uint32_t vmb_vmm_nest_net_port_count(const struct vmb_vmm_options *o);

/* One of them as "PROTOCOL:ADDRESS:PORT", the address maybe empty; the caller frees it. NULL: there is no such one, or no memory. */
char *vmb_vmm_nest_net_port(const struct vmb_vmm_options *o, uint32_t index);

/*
 * An argument of those that o was parsed from, as the program in the nest must get it: ports are
 * forwarded from all addresses of the nest, because QEMU reaches it at the one of its card and not at
 * those of this machine. A new string, which the caller frees, or NULL: as it is. Never fails
 * otherwise: without memory a port stays closed.
 */
char *vmb_vmm_nest_net_inner(const struct vmb_vmm_options *o, const char *argument);

#endif
