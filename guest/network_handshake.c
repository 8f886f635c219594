// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From INIT to READY. Each step is a row: the condition for it, its request, and what it does with
 * the answer. The host may refuse a query about something that a card can do without.
 */
#include "guest/network_internal.h"

/* A completion with a body is never shorter, even if its fields are. */
#define BODY_LEN_MIN	   VMB_NET_MESSAGE_LEN

/* The shortest frame, without its checksum. */
#define FRAME_LEN_MIN	   60u
#define ALIGNMENT_MIN	   4u
/*
 * A section must hold a frame's whole envelope and its protocol headers, since those of a large
 * send are changed in the copy.
 */
#define SECTION_LEN_MIN	   (VMB_GUEST_RNDIS_ENVELOPE_LEN_MAX + 128u)
#define ALIGNMENT_LOG2_MAX 8u

/* Newest first. */
static const struct network_version {
	uint32_t number;
	uint32_t message_len;
	uint32_t ndis_major, ndis_minor;
} versions[] = {
	{ VMB_NET_VERSION_6_1, VMB_NET_MESSAGE_LEN_6_1, 6, 30 },
	{ VMB_NET_VERSION_6, VMB_NET_MESSAGE_LEN, 6, 30 },
	{ VMB_NET_VERSION_5, VMB_NET_MESSAGE_LEN, 6, 30 },
	{ VMB_NET_VERSION_4, VMB_NET_MESSAGE_LEN, 6, 1 },
	{ VMB_NET_VERSION_2, VMB_NET_MESSAGE_LEN, 6, 1 },
	{ VMB_NET_VERSION_1, VMB_NET_MESSAGE_LEN, 5, 0 },
};

static int find_version(uint32_t number, uint32_t *step)
{
	for (*step = 0; *step < VMB_ARRAY_COUNT(versions); ++*step)
		if (versions[*step].number == number)
			return 0;
	return VMB_EINVAL;
}

static bool receive_len_fits(const struct vmb_guest_network *n, uint32_t step)
{
	return versions[step].number >= VMB_NET_VERSION_4 ||
	       n->config.receive_len <= VMB_NET_RECEIVE_BUFFER_LEN_MAX_V2;
}

int vmb_guest_network_first_version(struct vmb_guest_network *n, uint32_t *step)
{
	uint32_t oldest;

	if (!n->config.version_max)
		n->config.version_max = versions[0].number;
	if (!n->config.version_min)
		n->config.version_min = versions[VMB_ARRAY_COUNT(versions) - 1].number;
	if (find_version(n->config.version_max, step) ||
	    find_version(n->config.version_min, &oldest) || *step > oldest)
		return VMB_EINVAL;
	return receive_len_fits(n, *step) ? 0 : VMB_EINVAL;
}

void vmb_guest_network_use_version(struct vmb_guest_network *n, uint32_t step)
{
	n->dialogue.version_step = step;
	n->agreed.version = versions[step].number;
	n->agreed.message_len = versions[step].message_len;
}

/* ---- NVSP steps ---- */

static int ask_version(struct vmb_guest_network *n)
{
	struct vmb_net_init init = { .type = VMB_NET_INIT,
				     .version = n->agreed.version,
				     .version_again = n->agreed.version };

	vmb_guest_network_post(n, &init, sizeof(init), VMB_NET_INIT_COMPLETE, BODY_LEN_MIN);
	return 0;
}

static enum vmb_guest_network_failure
version_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	if (message->init.status == VMB_NET_STATUS_SUCCESS)
		return VMB_GUEST_NETWORK_NO_FAILURE;
	if (n->agreed.version == n->config.version_min)
		return VMB_GUEST_NETWORK_NO_VERSION;
	if (!receive_len_fits(n, n->dialogue.version_step + 1))
		return VMB_GUEST_NETWORK_RECEIVE_BUFFER_TOO_LONG;
	vmb_guest_network_use_version(n, n->dialogue.version_step + 1);
	n->dialogue.step = 0;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static bool has_config(const struct vmb_guest_network *n)
{
	return n->agreed.version >= VMB_NET_VERSION_2;
}

static int send_config(struct vmb_guest_network *n)
{
	struct vmb_net_ndis_config config = {
		.type = VMB_NET_SEND_NDIS_CONFIG,
		.mtu = n->config.mtu + VMB_NET_ETHERNET_LEN,
		.capabilities = VMB_NET_CAP_VLAN,
	};

	if (n->agreed.version >= VMB_NET_VERSION_5)
		config.capabilities |= VMB_NET_CAP_TEAMING;
	if (n->agreed.version >= VMB_NET_VERSION_6_1 && n->config.rsc)
		config.capabilities |= VMB_NET_CAP_RSC;
	vmb_guest_network_post(n, &config, sizeof(config), 0, 0);
	return 0;
}

static int send_ndis_version(struct vmb_guest_network *n)
{
	struct vmb_net_ndis_version version = {
		.type = VMB_NET_SEND_NDIS_VERSION,
		.major = versions[n->dialogue.version_step].ndis_major,
		.minor = versions[n->dialogue.version_step].ndis_minor,
	};

	vmb_guest_network_post(n, &version, sizeof(version), 0, 0);
	return 0;
}

static int share_receive_buffer(struct vmb_guest_network *n)
{
	struct vmb_net_buffer buffer = { .type = VMB_NET_SEND_RECEIVE_BUFFER,
					 .gpadl_id = n->config.receive_gpadl_id,
					 .id = VMB_NET_RECEIVE_BUFFER_ID };

	n->dialogue.receive_shared = true;
	vmb_guest_network_post(n, &buffer, sizeof(buffer), VMB_NET_SEND_RECEIVE_BUFFER_COMPLETE,
			       BODY_LEN_MIN);
	return 0;
}

static enum vmb_guest_network_failure
receive_buffer_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	const struct vmb_net_receive_buffer_complete *complete = &message->receive_buffer;

	if (complete->status != VMB_NET_STATUS_SUCCESS || complete->section_count != 1 ||
	    complete->offset || !complete->suballoc_count ||
	    complete->suballoc_len < sizeof(struct rndis_packet) + FRAME_LEN_MIN ||
	    (uint64_t)complete->suballoc_count * complete->suballoc_len > n->config.receive_len)
		return VMB_GUEST_NETWORK_RECEIVE_BUFFER_REFUSED;
	n->agreed.suballoc_len = complete->suballoc_len;
	n->agreed.suballoc_count = complete->suballoc_count;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static int share_send_buffer(struct vmb_guest_network *n)
{
	struct vmb_net_buffer buffer = { .type = VMB_NET_SEND_SEND_BUFFER,
					 .gpadl_id = n->config.send_gpadl_id,
					 .id = VMB_NET_SEND_BUFFER_ID };

	n->dialogue.send_shared = true;
	vmb_guest_network_post(n, &buffer, sizeof(buffer), VMB_NET_SEND_SEND_BUFFER_COMPLETE,
			       BODY_LEN_MIN);
	return 0;
}

static enum vmb_guest_network_failure
send_buffer_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	const struct vmb_net_send_buffer_complete *complete = &message->send_buffer;

	if (complete->status != VMB_NET_STATUS_SUCCESS || complete->section_len < SECTION_LEN_MIN ||
	    complete->section_len % ALIGNMENT_MIN || complete->section_len > n->config.send_len)
		return VMB_GUEST_NETWORK_SEND_BUFFER_REFUSED;
	n->agreed.section_len = complete->section_len;
	n->agreed.section_count = n->config.send_len / n->agreed.section_len;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

/* ---- RNDIS steps; their answers are in n->answer ---- */

static enum vmb_guest_network_failure
initialize_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	struct rndis_initialize_complete complete;

	if (n->answer.status != RNDIS_STATUS_SUCCESS || n->answer.data_len < sizeof(complete))
		return VMB_GUEST_NETWORK_RNDIS_REFUSED;
	memcpy(&complete, n->answer.data, sizeof(complete));
	if (complete.major != RNDIS_VERSION_MAJOR || complete.medium ||
	    complete.alignment_log2 > ALIGNMENT_LOG2_MAX)
		return VMB_GUEST_NETWORK_RNDIS_REFUSED;
	n->agreed.frame_count_max = complete.packet_count_max ? complete.packet_count_max : 1;
	n->agreed.transfer_len_max = complete.transfer_len_max;
	n->agreed.alignment = 1u << complete.alignment_log2;
	if (n->agreed.alignment < ALIGNMENT_MIN)
		n->agreed.alignment = ALIGNMENT_MIN;
	n->agreed.section_room = n->agreed.section_len & ~(n->agreed.alignment - 1);
	if (n->agreed.section_room < SECTION_LEN_MIN)
		return VMB_GUEST_NETWORK_RNDIS_REFUSED;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static bool answer_u32(const struct vmb_guest_network *n, uint32_t *value)
{
	if (n->answer.status != RNDIS_STATUS_SUCCESS || n->answer.data_len < sizeof(*value))
		return false;
	memcpy(value, n->answer.data, sizeof(*value));
	return true;
}

static int ask_frame_len(struct vmb_guest_network *n)
{
	return vmb_guest_network_ask_query(n, RNDIS_OID_FRAME_LEN_MAX, NULL, 0);
}

static enum vmb_guest_network_failure
frame_len_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	if (!answer_u32(n, &n->agreed.mtu_max) || n->agreed.mtu_max < VMB_GUEST_NETWORK_MTU_MIN)
		return VMB_GUEST_NETWORK_NO_FRAME_LEN;
	if (n->agreed.mtu_max > VMB_GUEST_NETWORK_MTU_MAX)
		n->agreed.mtu_max = VMB_GUEST_NETWORK_MTU_MAX;
	n->agreed.mtu = n->config.mtu < n->agreed.mtu_max ? n->config.mtu : n->agreed.mtu_max;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static int ask_mac(struct vmb_guest_network *n)
{
	return vmb_guest_network_ask_query(n, RNDIS_OID_PERMANENT_MAC, NULL, 0);
}

static enum vmb_guest_network_failure mac_answered(struct vmb_guest_network *n,
						   const union vmb_guest_network_message *message)
{
	if (n->answer.status != RNDIS_STATUS_SUCCESS || n->answer.data_len != VMB_NET_MAC_LEN ||
	    !vmb_guest_network_mac_sane(n->answer.data))
		return VMB_GUEST_NETWORK_NO_MAC;
	memcpy(n->agreed.mac, n->answer.data, VMB_NET_MAC_LEN);
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static int ask_speed(struct vmb_guest_network *n)
{
	return vmb_guest_network_ask_query(n, RNDIS_OID_LINK_SPEED, NULL, 0);
}

static enum vmb_guest_network_failure speed_answered(struct vmb_guest_network *n,
						     const union vmb_guest_network_message *message)
{
	answer_u32(n, &n->agreed.link_speed);
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static int ask_offload_caps(struct vmb_guest_network *n)
{
	struct ndis_offload input;
	uint32_t len = vmb_guest_network_offload_asked(n, &input);

	return vmb_guest_network_ask_query(n, RNDIS_OID_OFFLOAD_CAPABILITIES, &input, len);
}

static enum vmb_guest_network_failure
offload_caps_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	struct vmb_guest_network_offloads caps;

	if (n->answer.status != RNDIS_STATUS_SUCCESS ||
	    !vmb_guest_network_offload_read(n, n->answer.data, n->answer.data_len, &caps))
		return VMB_GUEST_NETWORK_NO_FAILURE;
	n->agreed.offload_caps = caps.offload;
	n->dialogue.offload_receive = caps.receive;
	n->agreed.lso_len_max = caps.lso_len_max;
	n->agreed.lso_segments_min = caps.lso_segments_min;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static bool has_offload(const struct vmb_guest_network *n)
{
	return n->agreed.offload_caps;
}

static int set_offload(struct vmb_guest_network *n)
{
	struct ndis_offload_parameters parameters;
	uint32_t len = vmb_guest_network_offload_build(n, n->agreed.offload_caps, &parameters);

	return vmb_guest_network_ask_set(n, RNDIS_OID_OFFLOAD_PARAMETERS, &parameters, len);
}

/* A host that cannot enable it does not have it. */
static enum vmb_guest_network_failure
offload_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	if (n->answer.status != RNDIS_STATUS_SUCCESS)
		n->agreed.offload_caps = 0;
	n->agreed.offload = n->agreed.offload_caps;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static int ask_link(struct vmb_guest_network *n)
{
	return vmb_guest_network_ask_query(n, RNDIS_OID_MEDIA_CONNECT_STATUS, NULL, 0);
}

static enum vmb_guest_network_failure link_answered(struct vmb_guest_network *n,
						    const union vmb_guest_network_message *message)
{
	uint32_t disconnected = 0;

	answer_u32(n, &disconnected);
	n->agreed.link_up = !disconnected;
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static bool has_rss(const struct vmb_guest_network *n)
{
	return n->agreed.version >= VMB_NET_VERSION_5;
}

static int ask_rss_caps(struct vmb_guest_network *n)
{
	struct ndis_rss_capabilities input = {
		.object = { .type = NDIS_OBJECT_RSS_CAPABILITIES,
			    .revision = 2,
			    .len = sizeof(input) },
	};

	return vmb_guest_network_ask_query(n, RNDIS_OID_RSS_CAPABILITIES, &input, sizeof(input));
}

static enum vmb_guest_network_failure
rss_caps_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	if (n->answer.status == RNDIS_STATUS_SUCCESS)
		vmb_guest_network_rss_read(n, n->answer.data, n->answer.data_len);
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

static uint32_t sub_channels_wanted(const struct vmb_guest_network *n)
{
	uint32_t count = n->config.queue_count < n->agreed.rss_queue_count ?
				 n->config.queue_count :
				 n->agreed.rss_queue_count;

	return n->agreed.rss_table_count && count ? count - 1 : 0;
}

static bool wants_sub_channels(const struct vmb_guest_network *n)
{
	return has_rss(n) && sub_channels_wanted(n);
}

static int ask_sub_channels(struct vmb_guest_network *n)
{
	struct vmb_net_subchannel message = { .type = VMB_NET_SUBCHANNEL,
					      .op = VMB_NET_SUBCHANNEL_ALLOCATE,
					      .count = sub_channels_wanted(n) };

	vmb_guest_network_post(n, &message, sizeof(message), VMB_NET_SUBCHANNEL, sizeof(message));
	return 0;
}

/* Until the host sends a table, frames are spread over all queues. */
static enum vmb_guest_network_failure
sub_channels_answered(struct vmb_guest_network *n, const union vmb_guest_network_message *message)
{
	uint32_t i;

	if (message->subchannel.op != VMB_NET_STATUS_SUCCESS)
		return VMB_GUEST_NETWORK_NO_FAILURE;
	if (message->subchannel.count > sub_channels_wanted(n))
		return VMB_GUEST_NETWORK_TOO_MANY_SUB_CHANNELS;
	n->agreed.sub_channel_count = message->subchannel.count;
	for (i = 0; i < VMB_NET_TABLE_COUNT; i++)
		n->agreed.send_table[i] = (uint16_t)(i % (n->agreed.sub_channel_count + 1));
	return VMB_GUEST_NETWORK_NO_FAILURE;
}

/* ---- the order of the steps ---- */

static const struct {
	enum vmb_guest_network_state state;
	bool (*wanted)(const struct vmb_guest_network *n); /* NULL: always */
	int (*ask)(struct vmb_guest_network *n);
	enum vmb_guest_network_failure (*answered)(struct vmb_guest_network *n,
						   const union vmb_guest_network_message *message);
} steps[] = {
	{ VMB_GUEST_NETWORK_VERSION, NULL, ask_version, version_answered },
	{ VMB_GUEST_NETWORK_BUFFERS, has_config, send_config, NULL },
	{ VMB_GUEST_NETWORK_BUFFERS, NULL, send_ndis_version, NULL },
	{ VMB_GUEST_NETWORK_BUFFERS, NULL, share_receive_buffer, receive_buffer_answered },
	{ VMB_GUEST_NETWORK_BUFFERS, NULL, share_send_buffer, send_buffer_answered },
	{ VMB_GUEST_NETWORK_RNDIS, NULL, vmb_guest_network_ask_initialize, initialize_answered },
	{ VMB_GUEST_NETWORK_RNDIS, NULL, ask_frame_len, frame_len_answered },
	{ VMB_GUEST_NETWORK_RNDIS, NULL, ask_mac, mac_answered },
	{ VMB_GUEST_NETWORK_RNDIS, NULL, ask_speed, speed_answered },
	{ VMB_GUEST_NETWORK_RNDIS, NULL, ask_offload_caps, offload_caps_answered },
	{ VMB_GUEST_NETWORK_RNDIS, has_offload, set_offload, offload_answered },
	{ VMB_GUEST_NETWORK_RNDIS, NULL, ask_link, link_answered },
	{ VMB_GUEST_NETWORK_RNDIS, has_rss, ask_rss_caps, rss_caps_answered },
	{ VMB_GUEST_NETWORK_SUBCHANNEL, wants_sub_channels, ask_sub_channels,
	  sub_channels_answered },
};

bool vmb_guest_network_shaking(const struct vmb_guest_network *n)
{
	return n->state > VMB_GUEST_NETWORK_IDLE && n->state < VMB_GUEST_NETWORK_READY;
}

/* n->dialogue.step is the next row. The queries fit into the control page, so none can fail. */
void vmb_guest_network_advance(struct vmb_guest_network *n, struct vmb_guest_network_event *event)
{
	uint32_t step;

	while (n->dialogue.step < VMB_ARRAY_COUNT(steps)) {
		step = n->dialogue.step++;
		if (steps[step].wanted && !steps[step].wanted(n))
			continue;
		n->state = steps[step].state;
		steps[step].ask(n);
		return;
	}
	n->state = VMB_GUEST_NETWORK_READY;
	n->dialogue.receiving = true;
	event->type = VMB_GUEST_NETWORK_IS_READY;
}

void vmb_guest_network_step_answered(struct vmb_guest_network *n,
				     const union vmb_guest_network_message *message,
				     struct vmb_guest_network_event *event)
{
	n->failure = steps[n->dialogue.step - 1].answered(n, message);
	if (!n->failure) {
		vmb_guest_network_advance(n, event);
		return;
	}
	n->state = VMB_GUEST_NETWORK_FAILED;
	event->type = VMB_GUEST_NETWORK_HAS_FAILED;
}
