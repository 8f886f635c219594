// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The network protocol's host side: the handshake and every message that a guest may send. Which
 * one may come when, on which channel and since which version is the table `messages`.
 */
#include "host/network.h"

#include "host/network_internal.h"

#define NEGOTIATED_VERSION_1 2u
#define NEGOTIATED	     0xFFFFFFFFu
#define MDL_CHAIN_MAX	     34u
#define REPLY_LEN	     32u /* up to version 6: 28 bytes, padded in the ring */
#define SUBALLOC_COUNT_MIN   2u
#define FRAME_LEN_MIN	     1514u /* the least agreed frame length, and the default */
#define PAYLOAD_LEN_MAX	     256u

int vmb_host_network_init(struct vmb_host_network *n, const struct vmb_host_network_config *config,
			  struct vmb_host_network_queue *queues)
{
	if (config->version_max && !vmb_net_version_known(config->version_max))
		return VMB_EINVAL;
	memset(n, 0, sizeof(*n));
	if (vmb_host_rndis_init(&n->rndis, &config->rndis))
		return VMB_EINVAL;
	n->config = *config;
	if (!config->version_max)
		n->config.version_max = VMB_NET_VERSION_NEWEST;
	n->queues = queues;
	vmb_host_network_reset(n);
	return 0;
}

void vmb_host_network_reset(struct vmb_host_network *n)
{
	uint32_t i;

	vmb_host_network_receive_stop(n);
	vmb_host_rndis_reset(&n->rndis);
	n->state = VMB_HOST_NETWORK_CLOSED;
	n->version = 0;
	n->message_len = REPLY_LEN;
	n->capabilities = 0;
	n->versioned = false;
	n->configured = false;
	memset(&n->receive_buffer, 0, sizeof(n->receive_buffer));
	memset(&n->send_buffer, 0, sizeof(n->send_buffer));
	n->suballoc_len = 0;
	n->suballoc_count = 0;
	n->sub_channel_count = 0;
	n->table_waiting = false;
	for (i = 0; i < n->config.rndis.queue_count_max; i++) {
		n->queues[i].open = i == 0;
		n->queues[i].late_count = 0;
	}
}

void vmb_host_network_reply(const struct vmb_host_network *n, struct vmb_host_network_io *io,
			    const void *message, uint32_t len)
{
	memset(io->reply, 0, sizeof(io->reply));
	memcpy(io->reply, message, len);
	io->reply_len = n->message_len;
}

int vmb_host_network_finish(const struct vmb_host_network_io *io)
{
	return io->reply_wanted ? VMB_HOST_NETWORK_REPLY : VMB_HOST_NETWORK_NOTHING;
}

static int broken(struct vmb_host_network *n)
{
	n->counters.broken++;
	return VMB_EPROTO;
}

/* A completion without payload, for messages that have no answer of their own. */
static int finish_empty(struct vmb_host_network_io *io)
{
	io->reply_len = 0;
	return vmb_host_network_finish(io);
}

static int init(struct vmb_host_network *n, struct vmb_host_network_io *io,
		const struct vmb_host_network_packet *packet)
{
	struct vmb_net_init_complete answer = { .type = VMB_NET_INIT_COMPLETE };
	struct vmb_net_init message;

	memcpy(&message, packet->payload, sizeof(message));
	answer.negotiated = NEGOTIATED;
	answer.mdl_chain_max = MDL_CHAIN_MAX;
	n->message_len = message.version == VMB_NET_VERSION_6_1 ? VMB_NET_MESSAGE_LEN_6_1 :
								  REPLY_LEN;
	if (message.version == VMB_NET_VERSION_1)
		answer.negotiated = NEGOTIATED_VERSION_1;
	if (!vmb_net_version_known(message.version) || message.version != message.version_again ||
	    message.version > n->config.version_max) {
		n->counters.refused++;
		answer.status = VMB_NET_STATUS_NONE;
	} else {
		answer.status = VMB_NET_STATUS_SUCCESS;
		n->version = message.version;
		n->state = VMB_HOST_NETWORK_VERSIONED;
		n->rndis.offload_caps &= ~VMB_HOST_RNDIS_RSC;
		n->rndis.offload_revision = n->version >= VMB_NET_VERSION_5 ? 3 :
					    n->version >= VMB_NET_VERSION_4 ? 2 :
									      1;
	}
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
	return vmb_host_network_finish(io);
}

static int ndis_version(struct vmb_host_network *n, struct vmb_host_network_io *io,
			const struct vmb_host_network_packet *packet)
{
	struct vmb_net_ndis_version message;

	memcpy(&message, packet->payload, sizeof(message));
	n->rndis.ndis_version = message.major << 16 | (message.minor & 0xFFFF);
	n->versioned = true;
	return finish_empty(io);
}

/*
 * The frame length is agreed before the receive buffer is divided by it; later it stays what it is.
 */
static int ndis_config(struct vmb_host_network *n, struct vmb_host_network_io *io,
		       const struct vmb_host_network_packet *packet)
{
	uint32_t frame_len_max = n->config.rndis.mtu_max + VMB_NET_ETHERNET_LEN;
	struct vmb_net_ndis_config message;

	memcpy(&message, packet->payload, sizeof(message));
	if (message.mtu < FRAME_LEN_MIN)
		message.mtu = FRAME_LEN_MIN;
	if (message.mtu > frame_len_max) {
		message.mtu = frame_len_max;
		n->counters.mtu_cut++;
	}
	if (!n->receive_buffer.memory)
		n->rndis.mtu = message.mtu - VMB_NET_ETHERNET_LEN;
	n->capabilities = message.capabilities;
	if (n->version >= VMB_NET_VERSION_6_1 && n->capabilities & VMB_NET_CAP_RSC)
		n->rndis.offload_caps |= n->config.rndis.offload & VMB_HOST_RNDIS_RSC;
	n->configured = true;
	return finish_empty(io);
}

static int share(struct vmb_host_network *n, struct vmb_host_network_io *io,
		 struct vmb_host_network_buffer *buffer,
		 const struct vmb_host_network_packet *packet)
{
	struct vmb_net_buffer message;

	if (buffer->memory)
		return broken(n);
	memcpy(&message, packet->payload, sizeof(message));
	buffer->gpadl_id = message.gpadl_id;
	buffer->id = message.id;
	io->gpadl_id = message.gpadl_id;
	io->receive_buffer = buffer == &n->receive_buffer;
	return VMB_HOST_NETWORK_SHARE;
}

static int share_receive(struct vmb_host_network *n, struct vmb_host_network_io *io,
			 const struct vmb_host_network_packet *packet)
{
	return share(n, io, &n->receive_buffer, packet);
}

static int share_send(struct vmb_host_network *n, struct vmb_host_network_io *io,
		      const struct vmb_host_network_packet *packet)
{
	return share(n, io, &n->send_buffer, packet);
}

static void reply_receive_buffer(struct vmb_host_network *n, struct vmb_host_network_io *io)
{
	struct vmb_net_receive_buffer_complete answer = {
		.type = VMB_NET_SEND_RECEIVE_BUFFER_COMPLETE,
		.status = VMB_NET_STATUS_FAIL,
	};

	if (n->receive_buffer.memory) {
		answer.status = VMB_NET_STATUS_SUCCESS;
		answer.section_count = 1;
		answer.suballoc_len = n->suballoc_len;
		answer.suballoc_count = n->suballoc_count;
		answer.end_offset = n->suballoc_len * n->suballoc_count;
	} else {
		n->counters.refused++;
	}
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
}

static void reply_send_buffer(struct vmb_host_network *n, struct vmb_host_network_io *io)
{
	struct vmb_net_send_buffer_complete answer = {
		.type = VMB_NET_SEND_SEND_BUFFER_COMPLETE,
		.status = VMB_NET_STATUS_FAIL,
	};

	if (n->send_buffer.memory) {
		answer.status = VMB_NET_STATUS_SUCCESS;
		answer.section_len = VMB_NET_SEND_SECTION_LEN;
	} else {
		n->counters.refused++;
	}
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
}

/* False: too small for any use. */
static bool take_buffer(struct vmb_host_network *n, bool receive, uint32_t len)
{
	if (!receive)
		return len >= VMB_NET_SEND_SECTION_LEN;
	n->suballoc_len = VMB_HOST_RNDIS_DATA_OFFSET + n->rndis.mtu + VMB_NET_ETHERNET_LEN +
			  VMB_HOST_NETWORK_SUBALLOC_TAIL;
	n->suballoc_count = len / n->suballoc_len;
	if (n->suballoc_count > VMB_HOST_NETWORK_SUBALLOC_MAX)
		n->suballoc_count = VMB_HOST_NETWORK_SUBALLOC_MAX;
	return n->suballoc_count >= SUBALLOC_COUNT_MIN;
}

int vmb_host_network_shared(struct vmb_host_network *n, struct vmb_host_network_io *io,
			    void *memory, uint32_t len)
{
	struct vmb_host_network_buffer *buffer = io->receive_buffer ? &n->receive_buffer :
								      &n->send_buffer;
	bool taken = memory && take_buffer(n, io->receive_buffer, len);

	if (taken) {
		buffer->memory = memory;
		buffer->len = len;
	}
	if (io->receive_buffer) {
		if (taken)
			vmb_host_network_receive_start(n);
		reply_receive_buffer(n, io);
	} else {
		reply_send_buffer(n, io);
	}
	if (taken || !memory)
		return vmb_host_network_finish(io);
	io->memory = memory;
	io->len = len;
	return VMB_HOST_NETWORK_UNSHARE;
}

/* A guest that names a buffer that it did not share is asking for nothing. */
static int unshare(struct vmb_host_network *n, struct vmb_host_network_io *io,
		   struct vmb_host_network_buffer *buffer,
		   const struct vmb_host_network_packet *packet)
{
	struct vmb_net_revoke message;

	memcpy(&message, packet->payload, sizeof(message));
	io->reply_len = 0;
	if (!buffer->memory || buffer->id != message.id)
		return vmb_host_network_finish(io);
	io->memory = buffer->memory;
	io->len = buffer->len;
	io->gpadl_id = buffer->gpadl_id;
	io->receive_buffer = buffer == &n->receive_buffer;
	if (io->receive_buffer)
		vmb_host_network_receive_stop(n);
	memset(buffer, 0, sizeof(*buffer));
	return VMB_HOST_NETWORK_UNSHARE;
}

static int revoke_receive(struct vmb_host_network *n, struct vmb_host_network_io *io,
			  const struct vmb_host_network_packet *packet)
{
	return unshare(n, io, &n->receive_buffer, packet);
}

static int revoke_send(struct vmb_host_network *n, struct vmb_host_network_io *io,
		       const struct vmb_host_network_packet *packet)
{
	return unshare(n, io, &n->send_buffer, packet);
}

int vmb_host_network_unshared(struct vmb_host_network *n, struct vmb_host_network_io *io)
{
	io->memory = NULL;
	return vmb_host_network_finish(io);
}

/* There is no virtual function, so both answers to it are the same. */
static int switch_data_path(struct vmb_host_network *n, struct vmb_host_network_io *io,
			    const struct vmb_host_network_packet *packet)
{
	return finish_empty(io);
}

static int oid_query_ex(struct vmb_host_network *n, struct vmb_host_network_io *io,
			const struct vmb_host_network_packet *packet)
{
	const struct vmb_net_oid_query_ex_complete answer = {
		.type = VMB_NET_OID_QUERY_EX_COMPLETE,
		.status = (uint32_t)RNDIS_STATUS_NOT_SUPPORTED,
	};

	n->counters.refused++;
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
	return vmb_host_network_finish(io);
}

/* Once a connection, and no more than there are. Some guests want more bytes than version 5 has. */
static int subchannel(struct vmb_host_network *n, struct vmb_host_network_io *io,
		      const struct vmb_host_network_packet *packet)
{
	struct vmb_net_subchannel message, answer = { .type = VMB_NET_SUBCHANNEL };
	uint32_t most = n->config.rndis.queue_count_max - 1;

	if (!io->reply_wanted)
		return broken(n);
	memcpy(&message, packet->payload, sizeof(message));
	answer.op = VMB_NET_STATUS_FAIL;
	if (message.op == VMB_NET_SUBCHANNEL_ALLOCATE && message.count && most &&
	    !n->sub_channel_count) {
		answer.op = VMB_NET_STATUS_SUCCESS;
		answer.count = message.count < most ? message.count : most;
		n->sub_channel_count = (uint16_t)answer.count;
	} else {
		n->counters.refused++;
	}
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
	io->reply_len = VMB_NET_MESSAGE_LEN_6_1;
	return answer.count ? VMB_HOST_NETWORK_SUB_CHANNELS : VMB_HOST_NETWORK_REPLY;
}

static int pd_api(struct vmb_host_network *n, struct vmb_host_network_io *io,
		  const struct vmb_host_network_packet *packet)
{
	struct vmb_net_pd_api_complete answer = { .type = VMB_NET_PD_API };

	memcpy(&answer.op, (const uint8_t *)packet->payload + sizeof(uint32_t), sizeof(answer.op));
	answer.status = VMB_NET_STATUS_UNSUPPORTED;
	n->counters.refused++;
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
	return vmb_host_network_finish(io);
}

/* Chimney, VMQ: the completion's number is the next one, a status follows. */
static int unsupported(struct vmb_host_network *n, struct vmb_host_network_io *io,
		       const struct vmb_host_network_packet *packet)
{
	uint32_t answer[2];

	memcpy(answer, packet->payload, sizeof(answer[0]));
	answer[0]++;
	answer[1] = VMB_NET_STATUS_UNSUPPORTED;
	n->counters.refused++;
	vmb_host_network_reply(n, io, answer, sizeof(answer));
	return vmb_host_network_finish(io);
}

static int ignored(struct vmb_host_network *n, struct vmb_host_network_io *io,
		   const struct vmb_host_network_packet *packet)
{
	return finish_empty(io);
}

#define IN_CLOSED    (1u << VMB_HOST_NETWORK_CLOSED)
#define IN_VERSIONED (1u << VMB_HOST_NETWORK_VERSIONED)
#define IN_RUNNING   (1u << VMB_HOST_NETWORK_RUNNING)
#define IN_ANY	     (IN_VERSIONED | IN_RUNNING)
#define TYPE_MIN     1u

/*
 * What a guest may send. Messages without a row, or before their version, in another state or on a
 * sub-channel that has none but RNDIS, break the protocol.
 */
static const struct {
	uint32_t since;
	uint16_t len; /* bytes that the handler looks at */
	uint8_t states;
	bool sub_channel;
	int (*run)(struct vmb_host_network *n, struct vmb_host_network_io *io,
		   const struct vmb_host_network_packet *packet);
} messages[] = {
#define MESSAGE(version, type, states, run)                                        \
	{                                                                          \
		VMB_NET_VERSION_##version, sizeof(struct type), states, false, run \
	}
	[VMB_NET_INIT] = { 0, sizeof(struct vmb_net_init), IN_CLOSED, false, init },
	[VMB_NET_SEND_NDIS_VERSION] = MESSAGE(1, vmb_net_ndis_version, IN_VERSIONED, ndis_version),
	[VMB_NET_SEND_RECEIVE_BUFFER] = MESSAGE(1, vmb_net_buffer, IN_ANY, share_receive),
	[VMB_NET_REVOKE_RECEIVE_BUFFER] = MESSAGE(1, vmb_net_revoke, IN_ANY, revoke_receive),
	[VMB_NET_SEND_SEND_BUFFER] = MESSAGE(1, vmb_net_buffer, IN_ANY, share_send),
	[VMB_NET_REVOKE_SEND_BUFFER] = MESSAGE(1, vmb_net_revoke, IN_ANY, revoke_send),
	[VMB_NET_SEND_RNDIS_PACKET] = { VMB_NET_VERSION_1, sizeof(struct vmb_net_rndis_packet),
					IN_ANY, true, vmb_host_network_send_input },
	[109] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[111] = MESSAGE(2, rndis_header, IN_ANY, ignored),
	[112] = MESSAGE(2, rndis_header, IN_ANY, ignored),
	[113] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[116] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[118] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[120] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[122] = MESSAGE(2, rndis_header, IN_ANY, ignored),
	[123] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[VMB_NET_SEND_NDIS_CONFIG] = MESSAGE(2, vmb_net_ndis_config, IN_VERSIONED, ndis_config),
	[126] = MESSAGE(2, rndis_header, IN_ANY, unsupported),
	[VMB_NET_SWITCH_DATA_PATH] = MESSAGE(4, vmb_net_switch_data_path, IN_ANY, switch_data_path),
	[130] = MESSAGE(4, rndis_header, IN_ANY, ignored),
	[VMB_NET_OID_QUERY_EX] = MESSAGE(5, rndis_header, IN_ANY, oid_query_ex),
	[VMB_NET_SUBCHANNEL] = MESSAGE(5, vmb_net_subchannel, IN_ANY, subchannel),
	[VMB_NET_PD_API] = MESSAGE(6, rndis_header, IN_ANY, pd_api),
	[VMB_NET_PD_POST_BATCH] = MESSAGE(6, rndis_header, IN_ANY, ignored),
};

static bool message_valid(const struct vmb_host_network *n, uint16_t queue,
			  const struct vmb_host_network_packet *packet, uint32_t type)
{
	if (type >= VMB_ARRAY_COUNT(messages) || !messages[type].run)
		return false;
	if (packet->type == VMB_PKT_GPA_DIRECT && type != VMB_NET_SEND_RNDIS_PACKET)
		return false;
	return packet->payload_len >= messages[type].len && n->version >= messages[type].since &&
	       messages[type].states & 1u << n->state && (!queue || messages[type].sub_channel);
}

int vmb_host_network_input(struct vmb_host_network *n, uint16_t queue,
			   struct vmb_host_network_io *io,
			   const struct vmb_host_network_packet *packet)
{
	uint32_t type;

	n->counters.packets++;
	if (queue >= n->config.rndis.queue_count_max)
		return broken(n);
	io->transaction_id = packet->transaction_id;
	io->queue = queue;
	io->reply_wanted = packet->flags & VMB_PKT_FLAG_COMPLETION_REQUESTED;
	if (packet->type == VMB_PKT_COMPLETION) {
		vmb_host_network_receive_ack(n, queue, packet->transaction_id);
		return VMB_HOST_NETWORK_NOTHING;
	}
	if ((packet->type != VMB_PKT_INBAND && packet->type != VMB_PKT_GPA_DIRECT) ||
	    packet->payload_len < sizeof(type) || packet->payload_len > PAYLOAD_LEN_MAX)
		return broken(n);
	memcpy(&type, packet->payload, sizeof(type));
	if (!message_valid(n, queue, packet, type))
		return broken(n);
	return messages[type].run(n, io, packet);
}

/* RSS tables may name any queue up to the last one that is open. */
void vmb_host_network_queues_count(struct vmb_host_network *n)
{
	uint32_t i;

	n->rndis.queue_count = 1;
	for (i = 1; i < n->config.rndis.queue_count_max; i++)
		if (n->queues[i].open)
			n->rndis.queue_count = i + 1;
}

static bool all_open(const struct vmb_host_network *n)
{
	uint32_t i;

	for (i = 1; i <= n->sub_channel_count; i++)
		if (!n->queues[i].open)
			return false;
	return n->sub_channel_count != 0;
}

void vmb_host_network_queue_opened(struct vmb_host_network *n, uint16_t queue)
{
	n->queues[queue].open = true;
	vmb_host_network_queues_count(n);
	if (queue && all_open(n))
		n->table_waiting = true;
}

void vmb_host_network_set_link(struct vmb_host_network *n, bool up)
{
	bool changed = n->rndis.link_up != up;

	vmb_host_rndis_set_link(&n->rndis, up);
	if (changed && up && n->capabilities & VMB_NET_CAP_TEAMING &&
	    n->rndis.state == VMB_HOST_RNDIS_INITIALIZED)
		n->rndis.speed_indications = 1;
}
