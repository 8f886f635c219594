/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pipes: the payload of each ring packet is a header and data. A pipe in message mode (integration
 * services) has a message in each packet, one in byte mode (sockets) a piece of a stream. All
 * fields are little-endian.
 *
 * Source: docs/protocol/bus.md, "5.7 Pipe packets".
 */
#ifndef WIRE_PIPE_H
#define WIRE_PIPE_H

#include "base/platform.h"

/* In the first word of an offer's user area: how a pipe is read. */
#define VMB_PIPE_MODE_BYTE    0u
#define VMB_PIPE_MODE_MESSAGE 4u

#define VMB_PIPE_DATA	      1u /* in byte mode without data: the stream's end */
#define VMB_PIPE_DATA_LEN_MAX 16384u /* in byte mode, of a packet */

struct vmb_pipe_header {
	uint32_t type; /* VMB_PIPE_DATA */
	uint32_t len; /* bytes that follow, padding not included */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pipe_header, 8);

#endif
