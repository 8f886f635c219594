/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of PCI pass-through: one struct vmb_host_pci is the exchange over one channel, on
 * whose bus there is one function, in slot 0. It agrees on a version, describes the function, and
 * knows where the guest wants the configuration space and which interrupts it has created. The
 * configuration space itself is host/pci_function.h's.
 *
 *   vmb_host_pci_init(p, &config)
 *   vmb_host_pci_reset(p) at every OPEN of the channel, and when it closes
 *   while (vmb_host_pci_output(p, &output))   send it: a completion if output.completion, else
 *           vmb_host_pci_output_done(p)       in-band without one; then
 *   for each packet of the ring, when no output waits, which the port has copied:
 *     step = vmb_host_pci_input(p, &packet)
 *       VMB_HOST_PCI_NOTHING  go on
 *       VMB_HOST_PCI_ON       p->window_gpa is where the configuration space must be
 *       VMB_HOST_PCI_OFF      the bus sleeps: the function is reset, the window is nowhere
 *       VMB_HOST_PCI_RELEASE  the guest has left the function: it is reset
 *       VMB_HOST_PCI_EJECTED  the guest has let go of the function, as vmb_host_pci_eject() asked
 *       VMB_EPROTO            the guest broke the protocol: stop serving this channel
 *   vmb_host_pci_interrupt(p, address, data, &target)  what a message of the function means
 *   vmb_host_pci_retarget(p, ...)                      the guest moves an interrupt
 *
 * A guest that may send before it reads the answers could fill memory with them, so there is one
 * answer at most: whoever does not send it reads no further.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/pci.md.
 */
#ifndef HOST_PCI_H
#define HOST_PCI_H

#include "wire/pci.h"

#define VMB_HOST_PCI_INTERRUPT_MAX 128u
#define VMB_HOST_PCI_VP_MAX	   64u

enum vmb_host_pci_state {
	VMB_HOST_PCI_IDLE, /* not open, or broken */
	VMB_HOST_PCI_VERSIONS, /* the guest proposes */
	VMB_HOST_PCI_READY, /* a version is agreed */
};

enum vmb_host_pci_step {
	VMB_HOST_PCI_NOTHING,
	VMB_HOST_PCI_ON,
	VMB_HOST_PCI_OFF,
	VMB_HOST_PCI_RELEASE,
	VMB_HOST_PCI_EJECTED,
};

struct vmb_host_pci_config {
	uint32_t version_max; /* VMB_PCI_VERSION_*, 0 = newest */
	uint32_t vp_count; /* of the machine; VMB_HOST_PCI_VP_MAX at most */
	struct vmb_pci_description description; /* slot: 0 */
	uint32_t bars[VMB_PCI_BAR_COUNT]; /* as in struct vmb_pci_requirements */
};

/* Where an interrupt goes. vps is not empty, and has processors of the machine only. */
struct vmb_host_pci_target {
	uint8_t vector;
	uint8_t mode; /* enum vmb_pci_mode */
	uint64_t vps; /* one bit each */
};

struct vmb_host_pci_output {
	bool completion;
	uint64_t transaction_id; /* of the completion */
	const void *payload;
	uint32_t len; /* bytes */
};

struct vmb_host_pci_packet {
	bool inband; /* all others break the protocol */
	bool wants_completion;
	uint64_t transaction_id;
	const void *payload; /* a private copy */
	uint32_t len; /* bytes */
};

struct vmb_host_pci {
	struct vmb_host_pci_config config;
	enum vmb_host_pci_state state;
	uint32_t version; /* agreed; 0: none */
	bool on; /* the guest has placed the configuration space */
	uint64_t window_gpa; /* if it is on */
	bool eject_due, ejecting;
	bool relations_due;
	struct {
		bool used;
		struct vmb_host_pci_target target;
	} interrupts[VMB_HOST_PCI_INTERRUPT_MAX];
	uint64_t requests, refused; /* since _init */
	/* what waits to be sent */
	bool reply_waits;
	uint64_t transaction_id;
	uint32_t reply_len, inband_len; /* bytes; inband_len 0: no such packet is made */
	uint8_t reply[VMB_PCI_HOST_LEN_MAX];
	uint8_t inband[VMB_PCI_HOST_LEN_MAX];
};

/* Initialises p. config is copied. */
void vmb_host_pci_init(struct vmb_host_pci *p, const struct vmb_host_pci_config *config);

/* The channel was opened, and the guest speaks next; or it was closed. */
void vmb_host_pci_reset(struct vmb_host_pci *p, bool open);

/*
 * Returns whether something waits to be sent, and what. It is the same packet until _output_done()
 * says that it was sent.
 */
bool vmb_host_pci_output(struct vmb_host_pci *p, struct vmb_host_pci_output *output);
void vmb_host_pci_output_done(struct vmb_host_pci *p);

/*
 * Takes a packet; no answer waits. Returns a step, or VMB_EPROTO; then nothing is sent any more
 * until _reset().
 */
int vmb_host_pci_input(struct vmb_host_pci *p, const struct vmb_host_pci_packet *packet);

/*
 * Asks the guest to let go of the function. Returns VMB_ENODEV if it has not got as far as to know
 * of one: then nobody would answer.
 */
int vmb_host_pci_eject(struct vmb_host_pci *p);

/* Finds what a message of the function is. Returns 0; VMB_EINVAL: the guest created none such. */
int vmb_host_pci_interrupt(const struct vmb_host_pci *p, uint64_t address, uint32_t data,
			   struct vmb_host_pci_target *target);

/* Moves an interrupt. Returns 0, or VMB_EINVAL: there is none such, or target makes no sense. */
int vmb_host_pci_retarget(struct vmb_host_pci *p, uint32_t address, uint32_t data,
			  const struct vmb_host_pci_target *target);

#endif
