/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The part of the guest's network that concerns the nest, from its parsed --net options. The
 * guest's user network runs inside the nest, and the nest's own card is QEMU's user network:
 * outgoing connections pass both by themselves. A forwarded port is forwarded twice, by QEMU from
 * the machine to the same port of the nest and by the program in there from that port to the guest.
 */
#ifndef VMM_NEST_NET_H
#define VMM_NEST_NET_H

#include "vmm/options.h"

/*
 * Checks the options before anything is started. Returns false, reported in one line, if a card
 * needs something of this machine (a tap, a switch) that the nest cannot reach, or if a port of
 * this machine is in use.
 */
bool vmb_vmm_nest_net_check(const struct vmb_vmm_options *o);

/* Returns how many ports of this machine are forwarded to the guest. */
uint32_t vmb_vmm_nest_net_port_count(const struct vmb_vmm_options *o);

/*
 * Returns port number index (from 0) as "PROTOCOL:ADDRESS:PORT", where the address may be empty.
 * The caller must free it. Returns NULL if there is no such port, or no memory.
 */
char *vmb_vmm_nest_net_port(const struct vmb_vmm_options *o, uint32_t index);

/*
 * Rewrites one of the arguments that o was parsed from for the program in the nest: it must forward
 * ports from all addresses of the nest, because QEMU reaches the nest at its card's address and not
 * at those of this machine. Returns a new string, which the caller must free, or NULL: the argument
 * stays as it is (also without memory; then a port stays closed).
 */
char *vmb_vmm_nest_net_inner(const struct vmb_vmm_options *o, const char *argument);

#endif
