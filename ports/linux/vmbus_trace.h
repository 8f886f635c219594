/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the bus, /sys/kernel/tracing/events/openvmbus: messages, packets of all channels,
 * signals and interrupts. Each is a few bytes of no-operation where it is off.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM openvmbus

#if !defined(PORTS_LINUX_VMBUS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PORTS_LINUX_VMBUS_TRACE_H

#include <linux/tracepoint.h>
#include "ports/linux/vmbus_internal.h"

/* clang-format off */

#define VMBUS_TRACE_MESSAGES                                                                      \
	{ VMB_MSG_OFFER, "OFFER" }, { VMB_MSG_RESCIND, "RESCIND" },                               \
	{ VMB_MSG_REQUEST_OFFERS, "REQUEST_OFFERS" },                                             \
	{ VMB_MSG_OFFERS_DELIVERED, "OFFERS_DELIVERED" }, { VMB_MSG_OPEN, "OPEN" },               \
	{ VMB_MSG_OPEN_RESULT, "OPEN_RESULT" }, { VMB_MSG_CLOSE, "CLOSE" },                       \
	{ VMB_MSG_GPADL_HEADER, "GPADL_HEADER" }, { VMB_MSG_GPADL_BODY, "GPADL_BODY" },           \
	{ VMB_MSG_GPADL_CREATED, "GPADL_CREATED" }, { VMB_MSG_GPADL_TEARDOWN, "GPADL_TEARDOWN" }, \
	{ VMB_MSG_GPADL_TORNDOWN, "GPADL_TORNDOWN" },                                             \
	{ VMB_MSG_RELID_RELEASED, "RELID_RELEASED" },                                             \
	{ VMB_MSG_INITIATE_CONTACT, "INITIATE_CONTACT" },                                         \
	{ VMB_MSG_VERSION_RESPONSE, "VERSION_RESPONSE" }, { VMB_MSG_UNLOAD, "UNLOAD" },           \
	{ VMB_MSG_UNLOAD_COMPLETE, "UNLOAD_COMPLETE" },                                           \
	{ VMB_MSG_TL_CONNECT_REQUEST, "TL_CONNECT_REQUEST" },                                     \
	{ VMB_MSG_TL_CONNECT_RESULT, "TL_CONNECT_RESULT" },                                       \
	{ VMB_MSG_MODIFY_CHANNEL, "MODIFY_CHANNEL" },                                             \
	{ VMB_MSG_MODIFY_CHANNEL_RESPONSE, "MODIFY_CHANNEL_RESPONSE" }

#define VMBUS_TRACE_PACKETS                                                              \
	{ VMB_PKT_INBAND, "INBAND" }, { VMB_PKT_TRANSFER_PAGES, "TRANSFER_PAGES" },      \
	{ VMB_PKT_GPADL, "GPADL" }, { VMB_PKT_GPA_DIRECT, "GPA_DIRECT" },                \
	{ VMB_PKT_CANCEL, "CANCEL" }, { VMB_PKT_COMPLETION, "COMPLETION" }

/* A message's type is its first word. len: bytes, at least as many as a header has. */
DECLARE_EVENT_CLASS(vmbus_message,
	TP_PROTO(const void *payload, u32 len, u32 status),
	TP_ARGS(payload, len, status),
	TP_STRUCT__entry(
		__field(u32, type)
		__field(u32, len)
		__field(u32, status)
	),
	TP_fast_assign(
		__entry->type = ((const struct vmb_msg_header *)payload)->type;
		__entry->len = len;
		__entry->status = status;
	),
	TP_printk("%s (%u), %u bytes, status %#x",
		  __print_symbolic(__entry->type, VMBUS_TRACE_MESSAGES), __entry->type,
		  __entry->len, __entry->status)
);

/* status: of the hypercall, an enum vmb_hv_status */
DEFINE_EVENT(vmbus_message, vmbus_message_sent,
	TP_PROTO(const void *payload, u32 len, u32 status),
	TP_ARGS(payload, len, status));
/* status: 0 */
DEFINE_EVENT(vmbus_message, vmbus_message_received,
	TP_PROTO(const void *payload, u32 len, u32 status),
	TP_ARGS(payload, len, status));

/* Written to the ring, or not (-EAGAIN: no room); the host sees it with the next commit. */
TRACE_EVENT(vmbus_packet_sent,
	TP_PROTO(const struct vmb_channel *ch, const struct vmb_ring_packet *packet, int rc),
	TP_ARGS(ch, packet, rc),
	TP_STRUCT__entry(
		__field(u32, relid)
		__field(u16, type)
		__field(u64, id)
		__field(u32, len)
		__field(int, rc)
	),
	TP_fast_assign(
		u32 i;

		__entry->relid = ch->core.relid;
		__entry->type = packet->type;
		__entry->id = packet->transaction_id;
		__entry->len = 0;
		for (i = 0; i < packet->payload_count; i++)
			__entry->len += packet->payload[i].len;
		__entry->rc = rc;
	),
	TP_printk("channel %u: %s id %#llx, %u bytes, rc %d", __entry->relid,
		  __print_symbolic(__entry->type, VMBUS_TRACE_PACKETS), __entry->id,
		  __entry->len, __entry->rc)
);

/* Given to the driver; len with the padding to 8 bytes. */
TRACE_EVENT(vmbus_packet_received,
	TP_PROTO(const struct vmb_channel *ch, const struct vmb_ring_received *packet),
	TP_ARGS(ch, packet),
	TP_STRUCT__entry(
		__field(u32, relid)
		__field(u16, type)
		__field(u64, id)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->relid = ch->core.relid;
		__entry->type = packet->type;
		__entry->id = packet->transaction_id;
		__entry->len = packet->payload_len;
	),
	TP_printk("channel %u: %s id %#llx, %u bytes", __entry->relid,
		  __print_symbolic(__entry->type, VMBUS_TRACE_PACKETS), __entry->id,
		  __entry->len)
);

DECLARE_EVENT_CLASS(vmbus_doorbell,
	TP_PROTO(const struct vmb_channel *ch),
	TP_ARGS(ch),
	TP_STRUCT__entry(
		__field(u32, relid)
	),
	TP_fast_assign(
		__entry->relid = ch->core.relid;
	),
	TP_printk("channel %u", __entry->relid)
);
DEFINE_EVENT(vmbus_doorbell, vmbus_signal, TP_PROTO(const struct vmb_channel *ch), TP_ARGS(ch));
DEFINE_EVENT(vmbus_doorbell, vmbus_interrupt, TP_PROTO(const struct vmb_channel *ch), TP_ARGS(ch));

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE vmbus_trace
#include <trace/define_trace.h>
