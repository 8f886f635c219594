// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The network guest's dialogue with the host on the primary channel: one message is out at a time,
 * and the type of its answer is known before it is sent.
 */
#include "guest/network_internal.h"

/* A completion whose body is read has at least this length. */
#define COPY_LEN	 sizeof(union vmb_guest_network_message)

/* Where old hosts put the table, whatever offset they give. */
#define OLD_TABLE_OFFSET 40u
#define TABLE_LEN	 (VMB_NET_TABLE_COUNT * sizeof(uint32_t))

static bool config_sane(const struct vmb_guest_network_config *config)
{
	return config->mtu >= VMB_GUEST_NETWORK_MTU_MIN &&
	       config->mtu <= VMB_GUEST_NETWORK_MTU_MAX && config->queue_count &&
	       config->queue_count <= VMB_NET_QUEUE_COUNT_MAX && config->receive_buffer &&
	       config->receive_len && config->receive_len <= VMB_NET_RECEIVE_BUFFER_LEN_MAX &&
	       !(config->receive_len % VMB_PAGE_LEN) && config->send_buffer && config->send_len &&
	       config->send_len <= VMB_NET_SEND_BUFFER_LEN_MAX &&
	       !(config->send_len % VMB_PAGE_LEN) && config->control_page;
}

int vmb_guest_network_init(struct vmb_guest_network *n,
			   const struct vmb_guest_network_config *config)
{
	uint32_t step;

	memset(n, 0, sizeof(*n));
	n->config = *config;
	if (!config_sane(config) || vmb_guest_network_first_version(n, &step))
		return VMB_EINVAL;
	vmb_guest_network_use_version(n, step);
	return 0;
}

int vmb_guest_network_start(struct vmb_guest_network *n)
{
	struct vmb_guest_network_event event;

	if (n->state != VMB_GUEST_NETWORK_IDLE)
		return VMB_EBUSY;
	vmb_guest_network_advance(n, &event);
	return 0;
}

/* ---- messages to the host ---- */

void vmb_guest_network_post(struct vmb_guest_network *n, const void *message, uint32_t len,
			    uint32_t answer, uint32_t answer_len_min)
{
	memset(&n->dialogue.out, 0, sizeof(n->dialogue.out));
	n->dialogue.output_id = (uint64_t)++n->dialogue.next_id << 32 |
				VMB_GUEST_NETWORK_ID_CONTROL;
	n->dialogue.out.type = VMB_PKT_INBAND;
	n->dialogue.out.flags = answer ? VMB_PKT_FLAG_COMPLETION_REQUESTED : 0;
	n->dialogue.out.transaction_id = n->dialogue.output_id;
	n->dialogue.out.payload_len = n->agreed.message_len;
	memcpy(n->dialogue.out.payload, message, len);
	n->dialogue.output_answer = answer;
	n->dialogue.output_len_min = answer_len_min;
	n->dialogue.output_waiting = true;
}

const struct vmb_guest_network_output *vmb_guest_network_output(struct vmb_guest_network *n)
{
	if (!n->dialogue.output_waiting)
		return NULL;
	/* From here on the host may answer, also before output_done. */
	n->dialogue.shown_id = n->dialogue.output_id;
	n->dialogue.output_out = n->dialogue.output_answer;
	return &n->dialogue.out;
}

static void revoke_next(struct vmb_guest_network *n)
{
	struct vmb_net_revoke revoke = { .type = VMB_NET_REVOKE_RECEIVE_BUFFER,
					 .id = VMB_NET_RECEIVE_BUFFER_ID };

	if (n->dialogue.receive_shared) {
		n->dialogue.receive_shared = false;
	} else if (n->dialogue.send_shared) {
		n->dialogue.send_shared = false;
		revoke.type = VMB_NET_REVOKE_SEND_BUFFER;
		revoke.id = VMB_NET_SEND_BUFFER_ID;
	} else {
		return;
	}
	vmb_guest_network_post(n, &revoke, sizeof(revoke), 0, 0);
}

void vmb_guest_network_output_done(struct vmb_guest_network *n)
{
	struct vmb_guest_network_event event;

	/* A faster answer has put the next message there, which was not returned yet. */
	if (!n->dialogue.output_waiting || n->dialogue.shown_id != n->dialogue.output_id)
		return;
	n->dialogue.output_waiting = false;
	if (n->dialogue.output_answer)
		return;
	if (vmb_guest_network_shaking(n))
		vmb_guest_network_advance(n, &event);
	else
		revoke_next(n);
}

int vmb_guest_network_switch_data_path(struct vmb_guest_network *n, bool to_vf)
{
	struct vmb_net_switch_data_path message = { .type = VMB_NET_SWITCH_DATA_PATH,
						    .active = to_vf };

	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	if (n->agreed.version < VMB_NET_VERSION_4)
		return VMB_EOPNOTSUPP;
	n->dialogue.request_waiting = true;
	n->dialogue.asked = VMB_GUEST_NETWORK_ASKED_NOTHING;
	vmb_guest_network_post(n, &message, sizeof(message), VMB_NET_SWITCH_DATA_PATH, 0);
	return 0;
}

int vmb_guest_network_revoke(struct vmb_guest_network *n)
{
	if (vmb_guest_network_shaking(n))
		return VMB_EBUSY;
	if (n->state == VMB_GUEST_NETWORK_READY)
		n->state = VMB_GUEST_NETWORK_LEAVING;
	n->dialogue.reply_waiting = false;
	n->dialogue.output_waiting = n->dialogue.output_out = false;
	revoke_next(n);
	return 0;
}

/* ---- completions ---- */

static void data_path_switched(struct vmb_guest_network *n, struct vmb_guest_network_event *event)
{
	n->answer.status = RNDIS_STATUS_SUCCESS;
	n->answer.data_len = 0;
	vmb_guest_network_request_ended(n, event);
}

/* Hosts complete a switch of the data path without a body, everything else with one. */
static bool answers(const struct vmb_guest_network *n, uint32_t type, uint32_t len)
{
	if (n->dialogue.output_answer == VMB_NET_SWITCH_DATA_PATH && !len)
		return true;
	return len >= sizeof(type) && len >= n->dialogue.output_len_min &&
	       type == n->dialogue.output_answer;
}

static int control_completed(struct vmb_guest_network *n, uint64_t id, const void *payload,
			     uint32_t len, struct vmb_guest_network_event *event)
{
	union vmb_guest_network_message message;

	if (!n->dialogue.output_out || id != n->dialogue.output_id)
		return vmb_guest_network_forged(&n->counters);
	memset(&message, 0, sizeof(message));
	memcpy(&message, payload, len < COPY_LEN ? len : COPY_LEN);
	if (!answers(n, message.type, len))
		return vmb_guest_network_malformed(&n->counters);
	n->dialogue.output_out = false;
	n->dialogue.output_waiting = false;
	if (n->dialogue.output_answer == VMB_NET_SEND_RNDIS_PACKET_COMPLETE)
		vmb_guest_network_request_taken(n, message.rndis.status, event);
	else if (n->dialogue.output_answer == VMB_NET_SWITCH_DATA_PATH)
		data_path_switched(n, event);
	else
		vmb_guest_network_step_answered(n, &message, event);
	return 0;
}

/* The primary's channel carries the dialogue too. */
bool vmb_guest_network_is_sent(const struct vmb_guest_network_queue *q, uint16_t type, uint64_t id)
{
	return type == VMB_PKT_COMPLETION &&
	       ((uint32_t)id != VMB_GUEST_NETWORK_ID_CONTROL || q->index);
}

static int completed(struct vmb_guest_network *n, struct vmb_guest_network_queue *q, uint64_t id,
		     const void *payload, uint32_t len, struct vmb_guest_network_event *event)
{
	if (!vmb_guest_network_is_sent(q, VMB_PKT_COMPLETION, id))
		return control_completed(n, id, payload, len, event);
	return vmb_guest_network_sent(q, id, payload, len, event);
}

/* ---- unsolicited messages ---- */

static int take_vf(struct vmb_guest_network *n, const void *payload, uint32_t len,
		   struct vmb_guest_network_event *event)
{
	struct vmb_net_vf_association vf;

	if (len < sizeof(vf))
		return vmb_guest_network_malformed(&n->counters);
	memcpy(&vf, payload, sizeof(vf));
	if (n->agreed.vf_allocated == !!vf.allocated &&
	    (!vf.allocated || n->agreed.vf_serial == vf.serial))
		return 0; /* announced before */
	n->agreed.vf_allocated = vf.allocated;
	n->agreed.vf_serial = vf.serial;
	vmb_guest_network_tell(n, event, VMB_GUEST_NETWORK_VF_CHANGED);
	return 0;
}

/*
 * Where the table's entries are. Hosts before 6.1 may give the offset that they meant, but write
 * the entries behind their union of all messages. Such a message is long enough for that; a correct
 * one is not.
 */
static uint32_t table_offset(const struct vmb_guest_network *n, uint32_t offset, uint32_t len)
{
	if (n->agreed.version <= VMB_NET_VERSION_6 && len >= OLD_TABLE_OFFSET + TABLE_LEN)
		return OLD_TABLE_OFFSET;
	return offset;
}

static int take_table(struct vmb_guest_network *n, const void *payload, uint32_t len,
		      struct vmb_guest_network_event *event)
{
	const uint32_t head_len = offsetof(struct vmb_net_indirection_table, entries);
	struct vmb_net_indirection_table table;
	uint32_t offset, i;

	if (len < head_len + TABLE_LEN)
		return vmb_guest_network_malformed(&n->counters);
	memcpy(&table, payload, head_len);
	offset = table_offset(n, table.offset, len);
	if (table.count != VMB_NET_TABLE_COUNT || offset < head_len || offset > len - TABLE_LEN)
		return vmb_guest_network_malformed(&n->counters);
	memcpy(table.entries, (const uint8_t *)payload + offset, TABLE_LEN);
	for (i = 0; i < VMB_NET_TABLE_COUNT; i++)
		n->agreed.send_table[i] =
			(uint16_t)(table.entries[i] % (n->agreed.sub_channel_count + 1));
	vmb_guest_network_tell(n, event, VMB_GUEST_NETWORK_TABLE_CHANGED);
	return 0;
}

static const struct {
	uint32_t type;
	uint32_t version; /* that has it */
	int (*take)(struct vmb_guest_network *n, const void *payload, uint32_t len,
		    struct vmb_guest_network_event *event);
} unasked[] = {
	{ VMB_NET_SEND_VF_ASSOCIATION, VMB_NET_VERSION_4, take_vf },
	{ VMB_NET_SEND_INDIRECTION_TABLE, VMB_NET_VERSION_5, take_table },
};

/* Unknown types are dropped; sub-channels have no in-band messages. */
static int said(struct vmb_guest_network *n, struct vmb_guest_network_queue *q, uint64_t id,
		const void *payload, uint32_t len, struct vmb_guest_network_event *event)
{
	uint32_t type, i;

	if (q->index || len < sizeof(type))
		return vmb_guest_network_malformed(&q->counters);
	memcpy(&type, payload, sizeof(type));
	for (i = 0; i < VMB_ARRAY_COUNT(unasked); i++)
		if (unasked[i].type == type && n->agreed.version >= unasked[i].version)
			return unasked[i].take(n, payload, len, event);
	n->counters.unknown++;
	return 0;
}

static const struct {
	uint16_t type;
	int (*handle)(struct vmb_guest_network *n, struct vmb_guest_network_queue *q, uint64_t id,
		      const void *payload, uint32_t len, struct vmb_guest_network_event *event);
} incoming[] = {
	{ VMB_PKT_COMPLETION, completed },
	{ VMB_PKT_INBAND, said },
};

int vmb_guest_network_input(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
			    uint16_t type, uint64_t transaction_id, const void *payload,
			    uint32_t len, struct vmb_guest_network_event *event)
{
	uint32_t i;

	memset(event, 0, sizeof(*event));
	for (i = 0; i < VMB_ARRAY_COUNT(incoming); i++)
		if (incoming[i].type == type)
			return incoming[i].handle(n, q, transaction_id, payload, len, event);
	return vmb_guest_network_malformed(&q->counters);
}
