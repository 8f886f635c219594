// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The adapter's messages: control requests with their replies, indications, and the envelope of a
 * frame in both directions. Which message may come when is the table `requests`.
 */
#include "host/rndis.h"

#include "host/rndis_internal.h"

#define TRANSFER_LEN_MAX      (256u << 10) /* bytes of one send that are taken */
#define DEVICE_CONNECTIONLESS 1u
#define MTU_MIN		      1500u
#define MTU_MAX		      65521u
#define QUEUE_COUNT_MAX	      64u
#define OFFLOAD_ALL                                                                     \
	(VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_RX_CHECKSUM | VMB_HOST_RNDIS_LSO | \
	 VMB_HOST_RNDIS_RSC)

static bool mac_valid(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero)) != 0;
}

int vmb_host_rndis_init(struct vmb_host_rndis *r, const struct vmb_host_rndis_config *config)
{
	if (!mac_valid(config->mac) || config->mtu_max < MTU_MIN || config->mtu_max > MTU_MAX)
		return VMB_EINVAL;
	if (!config->queue_count_max || config->queue_count_max > QUEUE_COUNT_MAX ||
	    config->offload & ~OFFLOAD_ALL)
		return VMB_EINVAL;
	memset(r, 0, sizeof(*r));
	r->config = *config;
	r->link_up = true;
	vmb_host_rndis_reset(r);
	return 0;
}

void vmb_host_rndis_reset(struct vmb_host_rndis *r)
{
	r->state = VMB_HOST_RNDIS_UNINITIALIZED;
	r->ndis_version = 0;
	r->offload_revision = 1;
	r->mtu = MTU_MIN;
	r->queue_count = 1;
	r->filter = 0;
	memcpy(r->mac, r->config.mac, sizeof(r->mac));
	r->offload = 0;
	r->offload_on = 0;
	r->offload_caps = r->config.offload;
	memset(&r->rss, 0, sizeof(r->rss));
	r->link_indications = 0;
	r->offload_indications = 0;
	r->speed_indications = 0;
}

/* A message's fixed part; what a shorter message does not have is 0. */
union request {
	struct rndis_header header;
	struct rndis_initialize initialize;
	struct rndis_request request;
	struct rndis_query query;
	struct rndis_reset reset;
};

static void put_header(void *reply, uint32_t type, uint32_t len, uint32_t *reply_len)
{
	struct rndis_header header = { .type = type | RNDIS_COMPLETION, .len = len };

	memcpy(reply, &header, sizeof(header));
	*reply_len = len;
}

static void complete(const union request *request, uint32_t status, void *reply,
		     uint32_t *reply_len)
{
	struct rndis_complete message = { .request_id = request->request.request_id,
					  .status = status };

	memcpy(reply, &message, sizeof(message));
	put_header(reply, request->header.type, sizeof(message), reply_len);
}

static void initialize(struct vmb_host_rndis *r, const union request *request,
		       const uint8_t *message, void *reply, uint32_t *reply_len)
{
	struct rndis_initialize_complete answer = { .request_id = request->request.request_id };

	answer.major = RNDIS_VERSION_MAJOR;
	answer.minor = RNDIS_VERSION_MINOR;
	answer.device_flags = DEVICE_CONNECTIONLESS;
	answer.packet_count_max = VMB_HOST_RNDIS_PACKET_COUNT_MAX;
	answer.transfer_len_max = TRANSFER_LEN_MAX;
	answer.alignment_log2 = VMB_HOST_RNDIS_ALIGNMENT_LOG2;
	if (request->initialize.major == RNDIS_VERSION_MAJOR)
		r->state = VMB_HOST_RNDIS_INITIALIZED;
	else
		answer.status = (uint32_t)RNDIS_STATUS_BAD_VERSION;
	memcpy(reply, &answer, sizeof(answer));
	put_header(reply, RNDIS_INITIALIZE, sizeof(answer), reply_len);
}

static void halt(struct vmb_host_rndis *r, const union request *request, const uint8_t *message,
		 void *reply, uint32_t *reply_len)
{
	r->state = VMB_HOST_RNDIS_HALTED;
	r->filter = 0;
	r->link_indications = 0;
	r->offload_indications = 0;
	r->speed_indications = 0;
	*reply_len = 0;
}

/* Where a query's or set's buffer lies in the message. An empty one may claim to be anywhere. */
static bool find_buffer(const union request *request, const uint8_t *message, const uint8_t **data)
{
	uint64_t start = (uint64_t)request->query.buffer_offset + RNDIS_OFFSET_BASE;

	*data = message;
	if (!request->query.buffer_len)
		return true;
	if (start + request->query.buffer_len > request->header.len)
		return false;
	*data = message + start;
	return true;
}

static void query(struct vmb_host_rndis *r, const union request *request, const uint8_t *message,
		  void *reply, uint32_t *reply_len)
{
	struct rndis_query_complete answer = { .request_id = request->query.request_id };
	uint8_t *out = (uint8_t *)reply + sizeof(answer);
	uint32_t status = (uint32_t)RNDIS_STATUS_INVALID_DATA, len = 0;
	const uint8_t *data;

	if (r->state != VMB_HOST_RNDIS_INITIALIZED)
		status = (uint32_t)RNDIS_STATUS_FAILURE;
	else if (find_buffer(request, message, &data))
		status = vmb_host_rndis_oid_query(r, request->query.oid, data,
						  request->query.buffer_len, out, &len);
	answer.status = status;
	answer.buffer_len = status ? 0 : len;
	answer.buffer_offset = sizeof(answer) - RNDIS_OFFSET_BASE;
	memcpy(reply, &answer, sizeof(answer));
	put_header(reply, RNDIS_QUERY, (uint32_t)sizeof(answer) + answer.buffer_len, reply_len);
	r->counters.unsupported += status == (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	r->counters.refused += status && status != (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
}

static void set(struct vmb_host_rndis *r, const union request *request, const uint8_t *message,
		void *reply, uint32_t *reply_len)
{
	uint32_t status = (uint32_t)RNDIS_STATUS_INVALID_DATA;
	const uint8_t *data;

	if (r->state != VMB_HOST_RNDIS_INITIALIZED)
		status = (uint32_t)RNDIS_STATUS_FAILURE;
	else if (find_buffer(request, message, &data))
		status = vmb_host_rndis_oid_set(r, request->query.oid, data,
						request->query.buffer_len);
	r->counters.unsupported += status == (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	r->counters.refused += status && status != (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	complete(request, status, reply, reply_len);
}

/*
 * Requests are answered at once and addresses are kept, so that nothing is left to be thrown away.
 */
static void reset(struct vmb_host_rndis *r, const union request *request, const uint8_t *message,
		  void *reply, uint32_t *reply_len)
{
	struct rndis_reset_complete answer = { .addressing_reset = 0 };

	if (r->state != VMB_HOST_RNDIS_INITIALIZED)
		answer.status = (uint32_t)RNDIS_STATUS_FAILURE;
	memcpy(reply, &answer, sizeof(answer));
	put_header(reply, RNDIS_RESET, sizeof(answer), reply_len);
}

static void keepalive(struct vmb_host_rndis *r, const union request *request,
		      const uint8_t *message, void *reply, uint32_t *reply_len)
{
	bool alive = r->state == VMB_HOST_RNDIS_INITIALIZED;

	complete(request, alive ? RNDIS_STATUS_SUCCESS : (uint32_t)RNDIS_STATUS_FAILURE, reply,
		 reply_len);
}

/* len: bytes that the handler looks at. A query's last field, the handle, need not be there. */
static const struct {
	uint32_t len;
	void (*run)(struct vmb_host_rndis *r, const union request *request, const uint8_t *message,
		    void *reply, uint32_t *reply_len);
} requests[] = {
	[RNDIS_INITIALIZE] = { sizeof(struct rndis_initialize), initialize },
	[RNDIS_HALT] = { sizeof(struct rndis_request), halt },
	[RNDIS_QUERY] = { offsetof(struct rndis_query, vc_handle), query },
	[RNDIS_SET] = { offsetof(struct rndis_query, vc_handle), set },
	[RNDIS_RESET] = { sizeof(struct rndis_reset), reset },
	[RNDIS_KEEPALIVE] = { sizeof(struct rndis_request), keepalive },
};

int vmb_host_rndis_control(struct vmb_host_rndis *r, const void *message, uint32_t len, void *reply,
			   uint32_t *reply_len)
{
	union request request;
	uint32_t type;

	*reply_len = 0;
	memset(&request, 0, sizeof(request));
	if (len < RNDIS_HEADER_LEN || len > VMB_HOST_RNDIS_CONTROL_LEN_MAX)
		return VMB_EPROTO;
	memcpy(&request, message, RNDIS_HEADER_LEN);
	type = request.header.type;
	if (type >= VMB_ARRAY_COUNT(requests) || !requests[type].run)
		return VMB_EPROTO;
	if (request.header.len > len || request.header.len < requests[type].len)
		return VMB_EPROTO;
	len = request.header.len;
	memcpy(&request, message, len < sizeof(request) ? len : sizeof(request));
	r->counters.requests++;
	requests[type].run(r, &request, message, reply, reply_len);
	return 0;
}

static void indicate(uint32_t status, const void *data, uint32_t data_len, void *message,
		     uint32_t *len)
{
	struct rndis_indicate_status indication = { .status = status, .buffer_len = data_len };

	*len = (uint32_t)sizeof(indication) + data_len;
	indication.header.type = RNDIS_INDICATE_STATUS;
	indication.header.len = *len;
	indication.buffer_offset = sizeof(indication) - RNDIS_OFFSET_BASE;
	memcpy(message, &indication, sizeof(indication));
	if (data_len)
		memcpy((uint8_t *)message + sizeof(indication), data, data_len);
}

/* Of two changes that wait the first one led away from what is now. */
static void indicate_link(struct vmb_host_rndis *r, void *message, uint32_t *len)
{
	bool up = r->link_up == (r->link_indications == 1);

	r->link_indications--;
	indicate(up ? RNDIS_STATUS_MEDIA_CONNECT : RNDIS_STATUS_MEDIA_DISCONNECT, NULL, 0, message,
		 len);
}

static void indicate_offload(struct vmb_host_rndis *r, void *message, uint32_t *len)
{
	struct ndis_offload offload;
	uint32_t offload_len =
		vmb_host_rndis_offload_describe(r, r->offload_revision, true, &offload);

	r->offload_indications--;
	indicate(RNDIS_STATUS_OFFLOAD_CURRENT_CONFIG, &offload, offload_len, message, len);
}

bool vmb_host_rndis_indication(struct vmb_host_rndis *r, void *message, uint32_t *len)
{
	if (r->state != VMB_HOST_RNDIS_INITIALIZED)
		return false;
	if (r->link_indications) {
		indicate_link(r, message, len);
	} else if (r->speed_indications) {
		r->speed_indications--;
		indicate(RNDIS_STATUS_LINK_SPEED_CHANGE, &r->config.link_speed,
			 sizeof(r->config.link_speed), message, len);
	} else if (r->offload_indications) {
		indicate_offload(r, message, len);
	} else {
		return false;
	}
	return true;
}

/* A change and its opposite are both told: guests act on edges. Of more, only the last two. */
void vmb_host_rndis_set_link(struct vmb_host_rndis *r, bool up)
{
	if (r->link_up == up)
		return;
	r->link_up = up;
	if (r->state == VMB_HOST_RNDIS_INITIALIZED)
		r->link_indications += r->link_indications < 2 ? 1 : -1;
}

bool vmb_host_rndis_wants(const struct vmb_host_rndis *r, const uint8_t destination[6])
{
	static const uint8_t broadcast[6] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

	if (r->state != VMB_HOST_RNDIS_INITIALIZED || !r->filter)
		return false;
	if (r->filter & RNDIS_FILTER_PROMISCUOUS)
		return true;
	if (!(destination[0] & 1))
		return r->filter & RNDIS_FILTER_DIRECTED &&
		       memcmp(destination, r->mac, sizeof(r->mac)) == 0;
	if (memcmp(destination, broadcast, sizeof(broadcast)) == 0)
		return r->filter & RNDIS_FILTER_BROADCAST;
	/* No list of groups is kept, so a guest that wants some gets all and sorts them out. */
	return r->filter & (RNDIS_FILTER_MULTICAST | RNDIS_FILTER_ALL_MULTICAST);
}

/* Which field of a frame a per-packet information fills in. */
static const struct {
	uint32_t type;
	uint32_t present;
	size_t offset;
} infos[] = {
	{ RNDIS_INFO_CHECKSUM, VMB_HOST_RNDIS_HAS_CHECKSUM,
	  offsetof(struct vmb_host_rndis_frame, checksum) },
	{ RNDIS_INFO_LSO, VMB_HOST_RNDIS_HAS_LSO, offsetof(struct vmb_host_rndis_frame, lso) },
	{ RNDIS_INFO_VLAN, VMB_HOST_RNDIS_HAS_VLAN, offsetof(struct vmb_host_rndis_frame, vlan) },
	{ RNDIS_INFO_HASH_VALUE, VMB_HOST_RNDIS_HAS_HASH,
	  offsetof(struct vmb_host_rndis_frame, hash) },
};

/* One element, at: its first byte. False: a value that is not inside of it. */
static bool take_info(const uint8_t *at, const struct rndis_info *info,
		      struct vmb_host_rndis_frame *frame)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(infos); i++) {
		if (infos[i].type != info->type || frame->present & infos[i].present)
			continue;
		if (info->offset < sizeof(*info) || info->len < sizeof(uint32_t) ||
		    info->offset > info->len - sizeof(uint32_t))
			return false;
		memcpy((uint8_t *)frame + infos[i].offset, at + info->offset, sizeof(uint32_t));
		frame->present |= infos[i].present;
	}
	return true;
}

static bool take_infos(const uint8_t *envelope, uint32_t start, uint32_t len,
		       struct vmb_host_rndis_frame *frame)
{
	struct rndis_info info;
	uint32_t at;

	for (at = 0; at < len; at += info.len) {
		if (len - at < sizeof(info))
			return false;
		memcpy(&info, envelope + start + at, sizeof(info));
		if (info.len < sizeof(info) || info.len % 4 || info.len > len - at)
			return false;
		if (!take_info(envelope + start + at, &info, frame))
			return false;
	}
	return true;
}

/*
 * offset counts from byte 8, the part must lie behind the header and within end bytes of the
 * message.
 */
static bool part_valid(uint32_t offset, uint32_t len, uint32_t end)
{
	uint64_t start = (uint64_t)offset + RNDIS_OFFSET_BASE;

	return start >= sizeof(struct rndis_packet) && start + len <= end;
}

int vmb_host_rndis_unwrap(const void *envelope, uint32_t copied_len, uint32_t room,
			  struct vmb_host_rndis_frame *frame)
{
	struct rndis_packet packet;
	uint32_t len;

	memset(frame, 0, sizeof(*frame));
	if (copied_len < sizeof(packet))
		return VMB_EPROTO;
	memcpy(&packet, envelope, sizeof(packet));
	len = packet.header.len;
	if (packet.header.type != RNDIS_PACKET || len < sizeof(packet) || len > room)
		return VMB_EPROTO;
	if (packet.oob_offset || packet.oob_len || packet.oob_count || packet.vc_handle)
		return VMB_EPROTO;
	if (!packet.data_len || !part_valid(packet.data_offset, packet.data_len, len))
		return VMB_EPROTO;
	if (packet.info_len) {
		if (!part_valid(packet.info_offset, packet.info_len,
				len < copied_len ? len : copied_len) ||
		    !take_infos(envelope, packet.info_offset + RNDIS_OFFSET_BASE, packet.info_len,
				frame))
			return VMB_EPROTO;
	}
	frame->len = packet.data_len;
	frame->data_offset = packet.data_offset + RNDIS_OFFSET_BASE;
	frame->message_len = len;
	return 0;
}

/* Appends one element with a value of four bytes. */
static uint32_t put_info(uint8_t *at, uint32_t type, const void *value)
{
	struct rndis_info info = { .type = type };

	info.len = sizeof(info) + sizeof(uint32_t);
	info.offset = sizeof(info);
	memcpy(at, &info, sizeof(info));
	memcpy(at + sizeof(info), value, sizeof(uint32_t));
	return info.len;
}

void vmb_host_rndis_wrap(void *dst, const struct vmb_host_rndis_frame *frame)
{
	uint8_t bytes[VMB_HOST_RNDIS_DATA_OFFSET] = { 0 };
	struct rndis_packet packet = { .header.type = RNDIS_PACKET };
	uint32_t at = sizeof(packet);

	if (frame->present & VMB_HOST_RNDIS_HAS_CHECKSUM)
		at += put_info(bytes + at, RNDIS_INFO_CHECKSUM, &frame->checksum);
	if (frame->present & VMB_HOST_RNDIS_HAS_VLAN)
		at += put_info(bytes + at, RNDIS_INFO_VLAN, &frame->vlan);
	if (frame->present & VMB_HOST_RNDIS_HAS_HASH) {
		at += put_info(bytes + at, RNDIS_INFO_HASH_VALUE, &frame->hash);
		at += put_info(bytes + at, RNDIS_INFO_HASH_TYPE, &frame->hash_type);
	}
	if (frame->present & VMB_HOST_RNDIS_HAS_PACKET_ID)
		at += put_info(bytes + at, (uint32_t)RNDIS_INFO_PACKET_ID, &frame->packet_id);
	packet.header.len = VMB_HOST_RNDIS_DATA_OFFSET + frame->len;
	packet.data_offset = VMB_HOST_RNDIS_DATA_OFFSET - RNDIS_OFFSET_BASE;
	packet.data_len = frame->len;
	packet.info_len = at - (uint32_t)sizeof(packet);
	packet.info_offset = packet.info_len ? sizeof(packet) - RNDIS_OFFSET_BASE : 0;
	memcpy(bytes, &packet, sizeof(packet));
	vmb_shared_write(dst, bytes, sizeof(bytes));
}
