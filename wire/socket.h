/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets (hv_sock): how a service and a connection are named, and what an offer says. A connection
 * is a channel that is offered for it: its class is the service, its instance the end that asked.
 * It carries a pipe in byte mode (wire/pipe.h).
 *
 * Source: docs/protocol/integration.md, "14 hvsock"; docs/protocol/bus.md, "4.7 hvsock".
 */
#ifndef WIRE_SOCKET_H
#define WIRE_SOCKET_H

#include "wire/guid.h"
#include "wire/pipe.h"
#include "wire/vmbus.h"

#define VMB_SOCKET_VERSION_MIN VMB_VERSION_4_0 /* of the bus */
#define VMB_SOCKET_PORT_MAX    0x7FFFFFFFu /* that somebody may listen on */
#define VMB_SOCKET_OFFER_FLAGS \
	(VMB_OFFER_FLAG_ENUMERATE | VMB_OFFER_FLAG_NAMED_PIPE | VMB_OFFER_FLAG_HVSOCK)

/* The user area of an offer with VMB_OFFER_FLAG_HVSOCK. */
struct vmb_socket_offer {
	uint32_t pipe_mode; /* VMB_PIPE_MODE_BYTE */
	uint8_t from_host; /* 1: the host connects; 0: the guest asked for it */
	uint8_t for_container;
	uint32_t version; /* of these fields: 1, from 5.2 on */
	struct vmb_guid silo_id;
	uint8_t reserved[2];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_socket_offer, 28);
VMB_ASSERT_OFFSET(struct vmb_socket_offer, version, 6);

/* The GUID of port 0; a port is its first four bytes. */
#define VMB_GUID_SOCKET \
	VMB_GUID(0x00000000, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3)

/* Returns the GUID by which guests like Linux name a port. */
static inline struct vmb_guid vmb_socket_guid(uint32_t port)
{
	struct vmb_guid guid = VMB_GUID_SOCKET;

	memcpy(guid.bytes, &port, sizeof(port));
	return guid;
}

/* Returns whether guid names a port. Other GUIDs are legal too, and nothing that Linux has. */
static inline bool vmb_socket_port(const struct vmb_guid *guid, uint32_t *port)
{
	const struct vmb_guid first = VMB_GUID_SOCKET;

	memcpy(port, guid->bytes, sizeof(*port));
	return memcmp(guid->bytes + sizeof(*port), first.bytes + sizeof(*port),
		      sizeof(first) - sizeof(*port)) == 0;
}

static inline bool vmb_socket_is_offer(uint16_t flags)
{
	return flags & VMB_OFFER_FLAG_HVSOCK;
}

#endif
