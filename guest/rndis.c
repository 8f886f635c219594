// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* RNDIS, the guest's side: requests, replies, the envelopes of frames. */
#include "guest/rndis.h"

/* Offsets in messages count from byte 8, and nothing can stand before the message's own fields. */
#define QUERY_BUFFER_OFFSET	  (sizeof(struct rndis_query) - RNDIS_OFFSET_BASE)
#define QUERY_ANSWER_OFFSET_MIN	  (sizeof(struct rndis_query_complete) - RNDIS_OFFSET_BASE)
#define INDICATION_OFFSET_MIN	  (sizeof(struct rndis_indicate_status) - RNDIS_OFFSET_BASE)
#define PACKET_OFFSET_MIN	  (sizeof(struct rndis_packet) - RNDIS_OFFSET_BASE)

/* The list of address families is of no use to anybody; old hosts leave it out. */
#define INITIALIZE_ANSWER_LEN_MIN offsetof(struct rndis_initialize_complete, af_list_offset)

/* ---- requests ---- */

static uint32_t round_up4(uint32_t len)
{
	return (len + 3) & ~3u;
}

static struct rndis_header header(uint32_t type, uint32_t len)
{
	struct rndis_header h = { .type = type, .len = len };

	return h;
}

static uint32_t build(void *dst, uint32_t room, const void *message, uint32_t len)
{
	if (room < len)
		return 0;
	memcpy(dst, message, len);
	return len;
}

uint32_t vmb_guest_rndis_initialize(void *dst, uint32_t room, uint32_t request_id)
{
	struct rndis_initialize message = {
		.header = header(RNDIS_INITIALIZE, sizeof(message)),
		.request_id = request_id,
		.major = RNDIS_VERSION_MAJOR,
		.minor = RNDIS_VERSION_MINOR,
		.transfer_len_max = RNDIS_TRANSFER_LEN_MAX,
	};

	return build(dst, room, &message, sizeof(message));
}

static uint32_t build_query(void *dst, uint32_t room, uint32_t type, uint32_t request_id,
			    uint32_t oid, const void *data, uint32_t data_len)
{
	struct rndis_query message = {
		.request_id = request_id,
		.oid = oid,
		.buffer_len = data_len,
		.buffer_offset = QUERY_BUFFER_OFFSET,
	};
	uint8_t *at = dst;
	uint32_t len;

	if (data_len > room)
		return 0;
	len = round_up4(sizeof(message) + data_len);
	if (len > room)
		return 0;
	message.header = header(type, len);
	memcpy(at, &message, sizeof(message));
	memset(at + sizeof(message), 0, len - sizeof(message));
	if (data)
		memcpy(at + sizeof(message), data, data_len);
	return len;
}

uint32_t vmb_guest_rndis_query(void *dst, uint32_t room, uint32_t request_id, uint32_t oid,
			       const void *data, uint32_t data_len)
{
	return build_query(dst, room, RNDIS_QUERY, request_id, oid, data, data_len);
}

uint32_t vmb_guest_rndis_set(void *dst, uint32_t room, uint32_t request_id, uint32_t oid,
			     const void *data, uint32_t data_len)
{
	return build_query(dst, room, RNDIS_SET, request_id, oid, data, data_len);
}

static uint32_t build_request(void *dst, uint32_t room, uint32_t type, uint32_t request_id)
{
	struct rndis_request message = {
		.header = header(type, sizeof(message)),
		.request_id = request_id,
	};

	return build(dst, room, &message, sizeof(message));
}

uint32_t vmb_guest_rndis_halt(void *dst, uint32_t room, uint32_t request_id)
{
	return build_request(dst, room, RNDIS_HALT, request_id);
}

uint32_t vmb_guest_rndis_keepalive(void *dst, uint32_t room, uint32_t request_id)
{
	return build_request(dst, room, RNDIS_KEEPALIVE, request_id);
}

uint32_t vmb_guest_rndis_reset(void *dst, uint32_t room)
{
	struct rndis_reset message = { .header = header(RNDIS_RESET, sizeof(message)) };

	return build(dst, room, &message, sizeof(message));
}

/* ---- replies ---- */

/* Finds the buffer of a message of len bytes; offset counts from byte 8. */
static int read_buffer(const uint8_t *message, uint32_t len, uint32_t offset, uint32_t offset_min,
		       uint32_t data_len, struct vmb_guest_rndis_reply *reply)
{
	uint32_t body_len = len - RNDIS_OFFSET_BASE;

	if (!data_len)
		return 0;
	if (offset < offset_min || offset > body_len || data_len > body_len - offset)
		return VMB_EPROTO;
	reply->data = message + RNDIS_OFFSET_BASE + offset;
	reply->data_len = data_len;
	return 0;
}

static int read_initialize(const uint8_t *message, uint32_t len,
			   struct vmb_guest_rndis_reply *reply)
{
	struct rndis_initialize_complete *initialize = &reply->initialize;

	memcpy(initialize, message, len < sizeof(*initialize) ? len : sizeof(*initialize));
	reply->request_id = initialize->request_id;
	reply->status = initialize->status;
	return 0;
}

/* What a host that failed says of a buffer means something else: how long it would have been. */
static int read_query(const uint8_t *message, uint32_t len, struct vmb_guest_rndis_reply *reply)
{
	struct rndis_query_complete query;

	memcpy(&query, message, sizeof(query));
	reply->request_id = query.request_id;
	reply->status = query.status;
	if (query.status != RNDIS_STATUS_SUCCESS)
		return 0;
	return read_buffer(message, len, query.buffer_offset, QUERY_ANSWER_OFFSET_MIN,
			   query.buffer_len, reply);
}

static int read_complete(const uint8_t *message, uint32_t len, struct vmb_guest_rndis_reply *reply)
{
	struct rndis_complete complete;

	memcpy(&complete, message, sizeof(complete));
	reply->request_id = complete.request_id;
	reply->status = complete.status;
	return 0;
}

static int read_reset(const uint8_t *message, uint32_t len, struct vmb_guest_rndis_reply *reply)
{
	struct rndis_reset_complete reset;

	memcpy(&reset, message, sizeof(reset));
	reply->status = reset.status;
	return 0;
}

/* Real hosts leave the buffer out of the message's length: len is what came. */
static int read_indication(const uint8_t *message, uint32_t len,
			   struct vmb_guest_rndis_reply *reply)
{
	struct rndis_indicate_status indication;

	memcpy(&indication, message, sizeof(indication));
	reply->status = indication.status;
	return read_buffer(message, len, indication.buffer_offset, INDICATION_OFFSET_MIN,
			   indication.buffer_len, reply);
}

static const struct {
	uint32_t type;
	uint32_t len_min;
	int (*read)(const uint8_t *message, uint32_t len, struct vmb_guest_rndis_reply *reply);
} replies[] = {
	{ RNDIS_INITIALIZE | RNDIS_COMPLETION, INITIALIZE_ANSWER_LEN_MIN, read_initialize },
	{ RNDIS_QUERY | RNDIS_COMPLETION, sizeof(struct rndis_query_complete), read_query },
	{ RNDIS_SET | RNDIS_COMPLETION, sizeof(struct rndis_complete), read_complete },
	{ RNDIS_RESET | RNDIS_COMPLETION, sizeof(struct rndis_reset_complete), read_reset },
	{ RNDIS_KEEPALIVE | RNDIS_COMPLETION, sizeof(struct rndis_complete), read_complete },
	{ RNDIS_INDICATE_STATUS, sizeof(struct rndis_indicate_status), read_indication },
};

int vmb_guest_rndis_reply(const void *message, uint32_t len, struct vmb_guest_rndis_reply *reply)
{
	struct rndis_header h;
	uint32_t i, read_len;

	memset(reply, 0, sizeof(*reply));
	if (len < sizeof(h))
		return VMB_EPROTO;
	memcpy(&h, message, sizeof(h));
	if (h.len > len)
		return VMB_EPROTO;
	for (i = 0; i < VMB_ARRAY_COUNT(replies); i++) {
		if (replies[i].type != h.type)
			continue;
		reply->type = h.type;
		read_len = h.type == RNDIS_INDICATE_STATUS ? len : h.len;
		return read_len < replies[i].len_min ? VMB_EPROTO :
						       replies[i].read(message, read_len, reply);
	}
	return VMB_EPROTO;
}

/* ---- frames that leave ---- */

#define INFO_LEN (sizeof(struct rndis_info) + sizeof(uint32_t))
#define INFO_OUT                                                                 \
	(VMB_GUEST_RNDIS_CHECKSUM | VMB_GUEST_RNDIS_LSO | VMB_GUEST_RNDIS_VLAN | \
	 VMB_GUEST_RNDIS_HASH)

/* One fact of a frame as it stands in the envelope. */
struct info_u32 {
	struct rndis_info info;
	uint32_t value;
} VMB_PACKED;
VMB_ASSERT_LEN(struct info_u32, INFO_LEN);

static uint32_t info_len(const struct vmb_guest_rndis_frame *frame)
{
	uint32_t present = frame->present & INFO_OUT;
	uint32_t count = (present & 1) + (present >> 1 & 1) + (present >> 2 & 1) + (present >> 3);

	return count * (uint32_t)INFO_LEN;
}

uint32_t vmb_guest_rndis_envelope_len(const struct vmb_guest_rndis_frame *frame)
{
	return (uint32_t)sizeof(struct rndis_packet) + info_len(frame);
}

static uint8_t *write_info(uint8_t *at, uint32_t type, uint32_t value)
{
	struct info_u32 one = {
		.info = { .len = INFO_LEN, .type = type, .offset = sizeof(struct rndis_info) },
		.value = value,
	};

	vmb_shared_write(at, &one, sizeof(one));
	return at + sizeof(one);
}

uint32_t vmb_guest_rndis_wrap(void *dst, const struct vmb_guest_rndis_frame *frame,
			      uint32_t message_len)
{
	uint32_t infos_len = info_len(frame);
	struct rndis_packet packet = {
		.header = header(RNDIS_PACKET, message_len),
		.data_offset = PACKET_OFFSET_MIN + infos_len,
		.data_len = frame->len,
		.info_offset = infos_len ? PACKET_OFFSET_MIN : 0,
		.info_len = infos_len,
	};
	uint8_t *at = dst;

	vmb_shared_write(at, &packet, sizeof(packet));
	at += sizeof(packet);
	if (frame->present & VMB_GUEST_RNDIS_CHECKSUM)
		at = write_info(at, RNDIS_INFO_CHECKSUM, frame->checksum);
	if (frame->present & VMB_GUEST_RNDIS_LSO)
		at = write_info(at, RNDIS_INFO_LSO, frame->lso);
	if (frame->present & VMB_GUEST_RNDIS_VLAN)
		at = write_info(at, RNDIS_INFO_VLAN, frame->vlan);
	if (frame->present & VMB_GUEST_RNDIS_HASH)
		write_info(at, RNDIS_INFO_HASH_VALUE, frame->hash);
	return (uint32_t)sizeof(packet) + infos_len;
}

/* ---- frames that come ---- */

uint32_t vmb_guest_rndis_envelope_in_len(const void *head, uint32_t room)
{
	const struct rndis_packet *packet = head;
	uint32_t limit = room < VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX ?
				 room :
				 VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX;
	uint32_t rest;

	if (!packet->info_len || limit <= sizeof(*packet))
		return limit < sizeof(*packet) ? limit : (uint32_t)sizeof(*packet);
	rest = limit - RNDIS_OFFSET_BASE;
	if (packet->info_offset < PACKET_OFFSET_MIN || packet->info_offset > rest ||
	    packet->info_len > rest - packet->info_offset)
		return limit;
	return RNDIS_OFFSET_BASE + packet->info_offset + packet->info_len;
}

static void take_packet_id(struct vmb_guest_rndis_frame *frame, uint32_t value)
{
	struct rndis_packet_id id;

	memcpy(&id, &value, sizeof(id));
	if (id.version != RNDIS_PACKET_ID_VERSION || frame->present & VMB_GUEST_RNDIS_PACKET_ID)
		return;
	frame->present |= VMB_GUEST_RNDIS_PACKET_ID;
	frame->packet_id = id;
}

static void take_value(struct vmb_guest_rndis_frame *frame, uint32_t present, uint32_t *field,
		       uint32_t value)
{
	if (frame->present & present)
		return;
	frame->present |= present;
	*field = value;
}

static void take_info(struct vmb_guest_rndis_frame *frame, uint32_t type, uint32_t value)
{
	switch (type) {
	case RNDIS_INFO_CHECKSUM:
		take_value(frame, VMB_GUEST_RNDIS_CHECKSUM, &frame->checksum, value);
		break;
	case RNDIS_INFO_VLAN: take_value(frame, VMB_GUEST_RNDIS_VLAN, &frame->vlan, value); break;
	case RNDIS_INFO_HASH_VALUE:
		take_value(frame, VMB_GUEST_RNDIS_HASH, &frame->hash, value);
		break;
	case RNDIS_INFO_HASH_TYPE:
		take_value(frame, VMB_GUEST_RNDIS_HASH_TYPE, &frame->hash_type, value);
		break;
	case (uint32_t)RNDIS_INFO_PACKET_ID: take_packet_id(frame, value); break;
	}
}

/*
 * Walks len bytes of per-packet information. Each element says its own length, at least its head's,
 * and where in it the data stands: all of them are one word long; of an unknown type nothing but
 * the length matters.
 */
static int read_infos(const uint8_t *at, uint32_t len, struct vmb_guest_rndis_frame *frame)
{
	struct rndis_info info;
	uint32_t value;

	for (; len; at += info.len, len -= info.len) {
		if (len < sizeof(info))
			return VMB_EPROTO;
		memcpy(&info, at, sizeof(info));
		if (info.len < sizeof(info) || info.len > len || info.len & 3)
			return VMB_EPROTO;
		if (info.offset < sizeof(info) || info.offset > info.len ||
		    info.len - info.offset < sizeof(value))
			continue;
		memcpy(&value, at + info.offset, sizeof(value));
		take_info(frame, info.type, value);
	}
	return 0;
}

int vmb_guest_rndis_unwrap(const void *envelope, uint32_t copied_len, uint32_t room,
			   struct vmb_guest_rndis_frame *frame)
{
	const struct rndis_packet *packet = envelope;
	const uint8_t *bytes = envelope;
	uint32_t body_len;

	frame->present = 0;
	if (copied_len < sizeof(*packet) || copied_len > room)
		return VMB_EPROTO;
	if (packet->header.type != RNDIS_PACKET || packet->header.len < sizeof(*packet) ||
	    packet->header.len > room)
		return VMB_EPROTO;
	body_len = packet->header.len - RNDIS_OFFSET_BASE;
	if (!packet->data_len || packet->data_offset < PACKET_OFFSET_MIN ||
	    packet->data_offset > body_len || packet->data_len > body_len - packet->data_offset)
		return VMB_EPROTO;
	frame->len = packet->data_len;
	frame->data_offset = RNDIS_OFFSET_BASE + packet->data_offset;
	if (!packet->info_len)
		return 0;
	if (copied_len < packet->header.len)
		body_len = copied_len - RNDIS_OFFSET_BASE;
	if (packet->info_offset < PACKET_OFFSET_MIN || packet->info_offset > body_len ||
	    packet->info_len > body_len - packet->info_offset)
		return VMB_EPROTO;
	return read_infos(bytes + RNDIS_OFFSET_BASE + packet->info_offset, packet->info_len, frame);
}
