/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A short session of both ends in one process, recorded: what the tests of traces, of the dissector
 * and of replays look at. The storage guest connects, opens, writes 8 KiB at block 100, reads them
 * back, asks for what is not there, closes and unloads; then a network guest connects, opens two
 * queues, sends a frame, gets one, and closes.
 */
#ifndef TESTS_TRACE_SESSION_H
#define TESTS_TRACE_SESSION_H

#include "devices/trace.h"

#define TRACE_SESSION_BLOCK 100u
#define TRACE_SESSION_LEN   8192u
#define TRACE_SESSION_DISK  "ram:16M"

/* Each records its session. The trace must be started, and is detached afterwards. */
void trace_session_storage(struct vmb_dev_trace *trace);
void trace_session_network(struct vmb_dev_trace *trace);
/*
 * A session with the controller of openvmbus itself, and the options of that machine: connects,
 * opens, reads a block, closes and unloads.
 */
void trace_session_machine(struct vmb_dev_trace *trace);

#endif
