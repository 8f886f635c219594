// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A card under a recorded host. The guest core starts it by itself, and guests do that in different
 * orders; so its questions are looked for among those of the recorded guest, and get the answers
 * which the recorded guest got. A question that the recorded guest has not asked is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "ports/user/recorded_internal.h"

#define QUESTIONS_MAX 256u /* that one record of the guest may lead to */
#define PATH_MTU      (1500u + VMB_NET_ETHERNET_LEN)

/* A control packet of the guest; RNDIS: its message. */
struct question {
	uint32_t nvsp; /* enum vmb_net_message_type */
	uint32_t rndis; /* enum rndis_type, or 0 */
	uint32_t what; /* OID, or the proposed version */
	const uint8_t *message;
	uint32_t message_len;
	bool cut; /* not all of the message is in the recording */
};

/* Records ahead */

/* The next packet of ch that goes there. False: there is none before it closes. */
static bool next_packet(const struct recorded_channel *ch, enum vmb_dev_trace_direction direction,
			struct vmb_dev_trace_reader *ahead, struct vmb_dev_trace_record *record)
{
	for (uint32_t i = 0; i < RECORDED_AHEAD && vmb_dev_trace_read(ahead, record) > 0; i++) {
		if (record->header.id != ch->core.relid ||
		    record->header.kind == VMB_DEV_TRACE_MESSAGE)
			continue;
		if (record->header.kind == VMB_DEV_TRACE_CONTROL &&
		    record->header.detail == VMB_DEV_TRACE_CLOSED)
			return false;
		if (record->header.kind == VMB_DEV_TRACE_PACKET &&
		    record->header.direction == direction &&
		    record->len >= sizeof(struct vmb_pkt_desc) &&
		    vmb_dev_trace_desc(record->bytes).offset8 * 8u <= record->len)
			return true;
	}
	return false;
}

/* The next piece of memory that the packet of this id names. after: behind the packet. */
static bool next_data(const struct recorded_channel *ch, enum vmb_dev_trace_direction direction,
		      uint64_t transaction_id, struct vmb_dev_trace_reader *after,
		      struct vmb_dev_trace_record *record)
{
	uint64_t id;

	for (uint32_t i = 0; i < RECORDED_AHEAD && vmb_dev_trace_read(after, record) > 0; i++) {
		if (record->header.id != ch->core.relid ||
		    record->header.kind == VMB_DEV_TRACE_MESSAGE ||
		    record->header.direction != direction)
			continue;
		if (record->header.kind == VMB_DEV_TRACE_CONTROL ||
		    record->len < sizeof(struct vmb_dev_trace_data))
			continue;
		if (record->header.kind == VMB_DEV_TRACE_PACKET) {
			/* Ids are used again. */
			if (vmb_dev_trace_desc(record->bytes).transaction_id == transaction_id)
				return false;
			continue;
		}
		memcpy(&id, record->bytes, sizeof(id));
		if (id == transaction_id)
			return true;
	}
	return false;
}

/* Records that were played ahead of their turn. */

static void take_ahead(struct recorded *r, struct recorded_card *card, uint32_t number)
{
	uint32_t room = card->taken_room ? 2 * card->taken_room : 64;
	uint32_t *taken = card->taken;

	if (card->taken_count == card->taken_room) {
		taken = room > RECORDED_AHEAD ? NULL : realloc(taken, room * sizeof(*taken));
		if (!taken) {
			r->failed = true;
			return;
		}
		card->taken = taken;
		card->taken_room = room;
	}
	card->taken[card->taken_count++] = number;
}

static bool was_taken(struct recorded_card *card, uint32_t number, bool forget)
{
	for (uint32_t i = 0; i < card->taken_count; i++) {
		if (card->taken[i] != number)
			continue;
		if (forget)
			card->taken[i] = card->taken[--card->taken_count];
		return true;
	}
	return false;
}

/* Questions */

static void read_question(struct question *q, const uint8_t *packet, uint32_t len)
{
	uint32_t payload_len;
	const uint8_t *payload = recorded_payload(packet, len, &payload_len);

	q->nvsp = recorded_word(payload, payload_len, 0);
	if (q->nvsp == VMB_NET_INIT)
		q->what = recorded_word(payload, payload_len, 4);
	if (q->nvsp != VMB_NET_SEND_RNDIS_PACKET)
		return;
	q->rndis = recorded_word(q->message, q->message_len, 0);
	if (q->rndis == RNDIS_QUERY || q->rndis == RNDIS_SET)
		q->what = recorded_word(q->message, q->message_len, 12);
}

/* reader: behind the record. */
static struct question question_of_record(const struct recorded_channel *ch,
					  const struct vmb_dev_trace_record *record,
					  const struct vmb_dev_trace_reader *reader)
{
	struct vmb_dev_trace_reader after = *reader;
	struct vmb_dev_trace_record data;
	struct question q = { 0 };

	if (next_data(ch, VMB_DEV_TRACE_TO_HOST, vmb_dev_trace_desc(record->bytes).transaction_id,
		      &after, &data)) {
		q.message = data.bytes + sizeof(struct vmb_dev_trace_data);
		q.message_len = data.len - sizeof(struct vmb_dev_trace_data);
		q.cut = data.len != data.original_len;
	}
	read_question(&q, record->bytes, record->len);
	return q;
}

static struct question question_of_said(const struct recorded_said *said)
{
	struct question q = { .message = said->bytes + said->len, .message_len = said->data_len };

	read_question(&q, said->bytes, said->len);
	return q;
}

static bool is_same(const struct question *a, const struct question *b)
{
	return a->nvsp == b->nvsp && a->rndis == b->rndis && a->what == b->what;
}

static bool is_ack(const struct recorded_said *said)
{
	return vmb_dev_trace_desc(said->bytes).type == VMB_PKT_COMPLETION;
}

/* Also finds the first of all, with q NULL. */
static struct recorded_said **find_said(struct recorded_channel *ch, const struct question *q)
{
	struct recorded_said **at = &ch->said.first;
	struct question other;

	for (; *at; at = &(*at)->next) {
		if (is_ack(*at))
			continue;
		other = question_of_said(*at);
		if (!q || is_same(q, &other))
			break;
	}
	return at;
}

static const char *kind_of(const struct question *q)
{
	static const char *const names[] = {
		[RNDIS_INITIALIZE] = "RNDIS INITIALIZE", [RNDIS_HALT] = "RNDIS HALT",
		[RNDIS_QUERY] = "RNDIS QUERY",		 [RNDIS_SET] = "RNDIS SET",
		[RNDIS_RESET] = "RNDIS RESET",		 [RNDIS_KEEPALIVE] = "RNDIS KEEPALIVE",
	};

	if (q->nvsp == VMB_NET_SEND_RNDIS_PACKET)
		return q->rndis < VMB_ARRAY_COUNT(names) && names[q->rndis] ? names[q->rndis] :
									      "RNDIS message";
	return "NVSP message";
}

static uint32_t number_of(const struct question *q)
{
	return q->nvsp == VMB_NET_SEND_RNDIS_PACKET ? q->what : q->nvsp;
}

/* What the guest core has to say */

static void say_control(struct recorded *r, struct recorded_channel *ch)
{
	struct recorded_card *card = ch->card;
	const struct vmb_guest_network_output *out;

	while (card->started && (out = vmb_guest_network_output(&card->core))) {
		struct vmb_ring_part header = { &out->gpa, sizeof(out->gpa) };
		struct vmb_ring_part payload = { out->payload, out->payload_len };
		struct vmb_ring_packet packet = { .type = out->type,
						  .flags = out->flags,
						  .transaction_id = out->transaction_id,
						  .header = &header,
						  .header_count = out->type == VMB_PKT_GPA_DIRECT,
						  .payload = &payload,
						  .payload_count = 1 };
		bool has_message = out->type == VMB_PKT_GPA_DIRECT;

		recorded_ring_say(r, ch, &packet, card->control_page,
				  has_message ? out->gpa.range.byte_count : 0);
		vmb_guest_network_output_done(&card->core);
	}
}

static void say_acks(struct recorded *r, struct recorded_channel *ch)
{
	static const struct vmb_ring_part payload = { &vmb_guest_network_ack_message,
						      sizeof(vmb_guest_network_ack_message) };
	struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION,
					  .payload = &payload,
					  .payload_count = 1 };

	while (vmb_guest_network_owed(&ch->card->queue, &packet.transaction_id)) {
		recorded_ring_say(r, ch, &packet, NULL, 0);
		vmb_guest_network_owed_done(&ch->card->queue, 1);
	}
}

/* Starting */

/* The first question of that kind, now or later. False: there is none. */
static bool find_nvsp(const struct recorded *r, const struct recorded_channel *ch, uint32_t nvsp,
		      uint32_t words[5])
{
	struct vmb_dev_trace_reader ahead = r->reader;
	struct vmb_dev_trace_record record = r->record;
	const uint8_t *payload;
	uint32_t len;

	do {
		payload = recorded_payload(record.bytes, record.len, &len);
		if (vmb_dev_trace_desc(record.bytes).type == VMB_PKT_INBAND &&
		    recorded_word(payload, len, 0) == nvsp) {
			for (uint32_t i = 0; i < 5; i++)
				words[i] = recorded_word(payload, len, 4 * i);
			return true;
		}
	} while (next_packet(ch, VMB_DEV_TRACE_TO_HOST, &ahead, &record));
	return false;
}

/* The page of its requests is where the recorded guest had its first one. */
static uint64_t find_page(const struct recorded *r, const struct recorded_channel *ch)
{
	const uint32_t at = sizeof(struct vmb_pkt_desc) + sizeof(struct vmb_pkt_gpa_direct) +
			    sizeof(struct vmb_gpa_range);
	struct vmb_dev_trace_reader ahead = r->reader;
	struct vmb_dev_trace_record record;
	uint64_t pfn = 1;

	while (next_packet(ch, VMB_DEV_TRACE_TO_HOST, &ahead, &record)) {
		if (vmb_dev_trace_desc(record.bytes).type != VMB_PKT_GPA_DIRECT ||
		    record.len < at + sizeof(pfn))
			continue;
		memcpy(&pfn, record.bytes + at, sizeof(pfn));
		break;
	}
	return pfn;
}

/* A buffer that the recorded guest lends. The guest core wants to know its id at the start. */
static struct recorded_gpadl *lend_buffer(struct recorded *r, const struct recorded_channel *ch,
					  uint32_t nvsp)
{
	struct recorded_gpadl *g;
	uint32_t words[5];

	if (!find_nvsp(r, ch, nvsp, words))
		return NULL;
	g = recorded_gpadl_find(r, words[1]);
	return g ? g : recorded_gpadl_lend(r, ch, words[1]);
}

static void configure(const struct recorded *r, const struct recorded_channel *ch,
		      struct vmb_guest_network_config *config)
{
	uint32_t words[5];

	config->mtu = PATH_MTU - VMB_NET_ETHERNET_LEN;
	config->queue_count = 1;
	if (find_nvsp(r, ch, VMB_NET_INIT, words))
		config->version_max = words[1];
	if (find_nvsp(r, ch, VMB_NET_SEND_NDIS_CONFIG, words)) {
		config->mtu = words[1] - VMB_NET_ETHERNET_LEN;
		config->rsc = words[3] & VMB_NET_CAP_RSC;
	}
	if (find_nvsp(r, ch, VMB_NET_SUBCHANNEL, words) && words[2] < VMB_NET_QUEUE_COUNT_MAX)
		config->queue_count = (uint16_t)(words[2] + 1);
}

static int start(struct recorded *r, struct recorded_channel *ch)
{
	struct recorded_gpadl *receive = lend_buffer(r, ch, VMB_NET_SEND_RECEIVE_BUFFER);
	struct recorded_gpadl *send = lend_buffer(r, ch, VMB_NET_SEND_SEND_BUFFER);
	struct recorded_card *card = ch->card;
	struct vmb_guest_network_config config = { .control_page = card->control_page,
						   .control_pfn = find_page(r, ch) };
	int error;

	if (!receive || !send)
		return VMB_EINVAL;
	configure(r, ch, &config);
	config.receive_buffer = receive->memory;
	config.receive_len = receive->core.byte_count;
	config.receive_gpadl_id = receive->core.id;
	config.send_buffer = send->memory;
	config.send_len = send->core.byte_count;
	config.send_gpadl_id = send->core.id;
	error = vmb_guest_network_init(&card->core, &config);
	if (!error)
		error = vmb_guest_network_queue_init(&card->core, &card->queue, 0, NULL, NULL, 0, 0,
						     card->owed, RECORDED_CARD_OWED);
	if (!error)
		error = vmb_guest_network_start(&card->core);
	card->receive_gpadl = receive;
	card->send_gpadl = send;
	card->started = !error;
	return error;
}

static void start_once(struct recorded *r, struct recorded_channel *ch)
{
	int error;

	if (ch->card->started || ch->card->given_up)
		return;
	error = start(r, ch);
	if (error) {
		ch->card->given_up = true;
		recorded_differ(r, "our guest cannot start this card (error %d)", error);
	}
}

/* Comparing */

static void accept(struct recorded *r, uint8_t *expected, const uint8_t *got, uint32_t at,
		   uint32_t len, enum vmb_user_recorded_tolerance which)
{
	if (memcmp(expected + at, got + at, len) == 0)
		return;
	recorded_tolerate(r, which);
	memcpy(expected + at, got + at, len);
}

/* Of each type: the bytes that it has. */
static uint32_t nvsp_len(uint32_t type)
{
	switch (type) {
	case VMB_NET_INIT:
	case VMB_NET_SEND_NDIS_VERSION:
	case VMB_NET_SUBCHANNEL: return 12;
	case VMB_NET_SEND_RECEIVE_BUFFER:
	case VMB_NET_SEND_SEND_BUFFER: return 10;
	case VMB_NET_REVOKE_RECEIVE_BUFFER:
	case VMB_NET_REVOKE_SEND_BUFFER: return 6;
	case VMB_NET_SEND_NDIS_CONFIG: return 20;
	default: return 8;
	}
}

static void compare_nvsp(struct recorded *r, const struct question *q, uint8_t *expected,
			 uint32_t len, const struct recorded_said *said)
{
	uint32_t at = vmb_dev_trace_desc(expected).offset8 * 8u, end = at + nvsp_len(q->nvsp);
	uint32_t id = recorded_word(expected, len, at + 4);
	struct recorded_gpadl *g = NULL;

	if (q->nvsp == VMB_NET_SEND_RECEIVE_BUFFER || q->nvsp == VMB_NET_SEND_SEND_BUFFER)
		g = recorded_gpadl_find(r, id);
	if (g)
		memcpy(expected + at + 4, &g->core.id, sizeof(g->core.id));
	if (said->len == len && end <= len) {
		accept(r, expected, said->bytes, end, len - end, VMB_USER_RECORDED_REST);
		if (q->nvsp == VMB_NET_SEND_NDIS_CONFIG)
			accept(r, expected, said->bytes, at + 12, 8, VMB_USER_RECORDED_SETTING);
	}
	recorded_compare(r, "NVSP message", expected, len, said->bytes, said->len);
}

/* Of a query the OID counts, of a setting what is set; where messages lie is a guest's business. */
static void compare_rndis(struct recorded *r, struct recorded_channel *ch, const struct question *q,
			  const struct recorded_said *said)
{
	const uint8_t *got = said->bytes + said->len;
	uint8_t expected[VMB_PAGE_LEN];
	uint32_t len = q->message_len, theirs = recorded_word(q->message, len, 8);
	uint32_t ours = recorded_word(got, said->data_len, 8);
	enum vmb_user_recorded_tolerance which = VMB_USER_RECORDED_QUERY;

	if (q->rndis != RNDIS_RESET && len >= sizeof(struct rndis_request))
		recorded_ids_add(r, &ch->card->requests, theirs, ours, false);
	if (q->cut || len > sizeof(expected)) {
		r->result->cut++;
		return;
	}
	memcpy(expected, q->message, len);
	if (q->rndis != RNDIS_RESET && len >= sizeof(struct rndis_request))
		memcpy(expected + 8, &ours, sizeof(ours));
	if (q->rndis == RNDIS_SET)
		which = VMB_USER_RECORDED_SETTING;
	if (q->rndis == RNDIS_QUERY ||
	    (q->rndis == RNDIS_SET && q->what == (uint32_t)RNDIS_OID_OFFLOAD_PARAMETERS)) {
		r->result->compared++;
		if (len != said->data_len || memcmp(expected, got, len) != 0)
			recorded_tolerate(r, which);
		return;
	}
	recorded_compare(r, kind_of(q), expected, len, got, said->data_len);
}

/* record: of the recorded guest; q: its question. */
static void compare_control(struct recorded *r, struct recorded_channel *ch,
			    const struct vmb_dev_trace_record *record, const struct question *q,
			    const struct recorded_said *said)
{
	const struct vmb_pkt_desc ours = vmb_dev_trace_desc(said->bytes);
	struct vmb_pkt_desc theirs = vmb_dev_trace_desc(record->bytes);
	uint8_t *expected = malloc(record->len);

	if (!expected) {
		r->failed = true;
		return;
	}
	recorded_ids_add(r, &ch->ids, theirs.transaction_id, ours.transaction_id, false);
	memcpy(expected, record->bytes, record->len);
	memcpy(expected + offsetof(struct vmb_pkt_desc, transaction_id), &ours.transaction_id,
	       sizeof(ours.transaction_id));
	if (q->nvsp != VMB_NET_SEND_RNDIS_PACKET) {
		compare_nvsp(r, q, expected, record->len, said);
	} else {
		if (record->len != said->len || memcmp(expected, said->bytes, said->len) != 0)
			recorded_tolerate(r, VMB_USER_RECORDED_PLACE);
		compare_rndis(r, ch, q, said);
	}
	free(expected);
}

/* What the host said */

/* Writes the recorded memory of a packet into our receive buffer. False: not all of it is there. */
static bool write_buffer(struct recorded_channel *ch, struct recorded_card *card,
			 uint64_t transaction_id, struct vmb_dev_trace_reader after)
{
	struct vmb_dev_trace_data data;
	struct vmb_dev_trace_record record;
	bool whole = true, any = false;
	uint32_t len;

	while (next_data(ch, VMB_DEV_TRACE_TO_GUEST, transaction_id, &after, &record)) {
		memcpy(&data, record.bytes, sizeof(data));
		len = record.len - sizeof(data);
		if (data.place != VMB_DEV_TRACE_RECEIVE_BUFFER ||
		    data.offset > card->core.config.receive_len ||
		    len > card->core.config.receive_len - data.offset)
			return false;
		memcpy(card->core.config.receive_buffer + data.offset, record.bytes + sizeof(data),
		       len);
		whole &= record.len == record.original_len;
		any = true;
	}
	return whole && any;
}

/* The first range of a transfer-page packet, inside of the buffer; NULL: there is none. */
static uint8_t *first_message(const struct recorded_card *card, const uint8_t *packet, uint32_t len,
			      uint32_t *message_len)
{
	const uint32_t at = sizeof(struct vmb_pkt_desc) + sizeof(struct vmb_pkt_transfer_pages);
	struct vmb_gpa_range range;

	if (len < at + sizeof(range))
		return NULL;
	memcpy(&range, packet + at, sizeof(range));
	*message_len = range.byte_count;
	if (range.byte_offset > card->core.config.receive_len ||
	    range.byte_count > card->core.config.receive_len - range.byte_offset)
		return NULL;
	return card->core.config.receive_buffer + range.byte_offset;
}

/* Puts our request id into a reply. False: our guest has not asked that. */
static bool translate_reply(struct recorded_card *card, uint8_t *message, uint32_t len)
{
	uint32_t type = recorded_word(message, len, 0), ours;
	struct recorded_id id;

	if (!(type & RNDIS_COMPLETION) || type == (RNDIS_RESET | RNDIS_COMPLETION) || len < 12)
		return true;
	if (!recorded_ids_take(&card->requests, recorded_word(message, len, 8), &id) || id.left_out)
		return false;
	ours = (uint32_t)id.ours;
	memcpy(message + 8, &ours, sizeof(ours));
	return true;
}

static void leave_transfer_out(struct recorded *r, struct recorded_channel *ch, uint64_t id)
{
	recorded_ids_add(r, &ch->card->acks, id, 0, true);
	r->result->left_out++;
}

/* reader: behind the packet. */
static void deliver_control(struct recorded *r, struct recorded_channel *ch, const uint8_t *packet,
			    uint32_t len, const struct vmb_dev_trace_reader *reader)
{
	const uint64_t id = vmb_dev_trace_desc(packet).transaction_id;
	struct recorded_card *card = ch->card;
	uint32_t message_len;
	uint8_t *message = NULL;

	if (card->started && write_buffer(ch, card, id, *reader))
		message = first_message(card, packet, len, &message_len);
	if (!message || !translate_reply(card, message, message_len)) {
		leave_transfer_out(r, ch, id);
		return;
	}
	r->result->played++;
	recorded_ring_deliver(r, ch, packet, len);
}

static void deliver_frames(struct recorded *r, struct recorded_channel *ch, const uint8_t *packet,
			   uint32_t len)
{
	struct recorded_channel *primary = recorded_primary(r, ch);
	const uint64_t id = vmb_dev_trace_desc(packet).transaction_id;
	const uint32_t at = sizeof(struct vmb_pkt_desc);
	uint64_t frames = ch->card->frames;
	uint32_t ranges = recorded_word(packet, len, at + 4);
	bool whole;

	if (!primary || !primary->card->started ||
	    primary->card->core.state != VMB_GUEST_NETWORK_READY) {
		leave_transfer_out(r, ch, id);
		return;
	}
	whole = write_buffer(ch, primary->card, id, r->reader);
	r->result->played++;
	recorded_ring_deliver(r, ch, packet, len);
	frames = ch->card->frames - frames;
	if (whole && frames != ranges && !primary->card->core.config.rsc)
		recorded_differ(r, "of %u frames our guest takes %u", ranges, (uint32_t)frames);
}

static void deliver_completion(struct recorded *r, struct recorded_channel *ch,
			       const uint8_t *packet, uint32_t len)
{
	struct vmb_pkt_desc desc = vmb_dev_trace_desc(packet);
	struct recorded_id id;
	uint8_t *copy;

	if (!recorded_ids_take(&ch->ids, desc.transaction_id, &id))
		id = (struct recorded_id){ .ours = desc.transaction_id };
	copy = id.left_out ? NULL : malloc(len);
	if (!copy) {
		r->failed |= !id.left_out;
		r->result->left_out++;
		return;
	}
	desc.transaction_id = id.ours;
	memcpy(copy, packet, len);
	memcpy(copy, &desc, sizeof(desc));
	r->result->played++;
	recorded_ring_deliver(r, ch, copy, len);
	free(copy);
}

static bool carries_frames(const uint8_t *packet, uint32_t len)
{
	uint32_t payload_len;
	const uint8_t *payload = recorded_payload(packet, len, &payload_len);

	return recorded_word(payload, payload_len, 0) == VMB_NET_SEND_RNDIS_PACKET &&
	       recorded_word(payload, payload_len, 4) == VMB_NET_DATA;
}

static void deliver(struct recorded *r, struct recorded_channel *ch,
		    const struct vmb_dev_trace_record *record,
		    const struct vmb_dev_trace_reader *reader)
{
	switch (vmb_dev_trace_desc(record->bytes).type) {
	case VMB_PKT_COMPLETION: deliver_completion(r, ch, record->bytes, record->len); break;
	case VMB_PKT_TRANSFER_PAGES:
		if (carries_frames(record->bytes, record->len))
			deliver_frames(r, ch, record->bytes, record->len);
		else
			deliver_control(r, ch, record->bytes, record->len, reader);
		break;
	default:
		if (!ch->card->started) {
			r->result->left_out++;
			break;
		}
		r->result->played++;
		recorded_ring_deliver(r, ch, record->bytes, record->len);
	}
}

void recorded_card_to_guest(struct recorded *r, struct recorded_channel *ch)
{
	if (!was_taken(ch->card, r->record.number, true))
		deliver(r, ch, &r->record, &r->reader);
}

/* The guest core has said something that is not its turn yet. */

/* Whether a packet of the host answers the recorded question. */
static bool answers(const struct recorded_channel *ch, const struct vmb_dev_trace_record *record,
		    const struct vmb_dev_trace_reader *reader, uint64_t transaction_id,
		    const struct question *q)
{
	const struct vmb_pkt_desc desc = vmb_dev_trace_desc(record->bytes);
	struct vmb_dev_trace_reader after = *reader;
	struct vmb_dev_trace_record data;
	const uint8_t *message;
	uint32_t len;

	if (desc.type == VMB_PKT_COMPLETION)
		return desc.transaction_id == transaction_id;
	if (desc.type != VMB_PKT_TRANSFER_PAGES || carries_frames(record->bytes, record->len) ||
	    !next_data(ch, VMB_DEV_TRACE_TO_GUEST, desc.transaction_id, &after, &data))
		return false;
	message = data.bytes + sizeof(struct vmb_dev_trace_data);
	len = data.len - sizeof(struct vmb_dev_trace_data);
	return recorded_word(message, len, 0) == (q->rndis | RNDIS_COMPLETION) &&
	       recorded_word(message, len, 8) == recorded_word(q->message, q->message_len, 8);
}

/* Plays the answers to the question of that record, which stands at from. */
static void play_answers(struct recorded *r, struct recorded_channel *ch,
			 const struct vmb_dev_trace_record *asked, struct vmb_dev_trace_reader from,
			 const struct question *q)
{
	const uint64_t id = vmb_dev_trace_desc(asked->bytes).transaction_id;
	uint32_t left = q->nvsp == VMB_NET_SEND_RNDIS_PACKET && q->rndis != RNDIS_HALT ? 2 : 1;
	struct vmb_dev_trace_record record;

	if (!(vmb_dev_trace_desc(asked->bytes).flags & VMB_PKT_FLAG_COMPLETION_REQUESTED))
		return;
	while (left && next_packet(ch, VMB_DEV_TRACE_TO_GUEST, &from, &record)) {
		if (was_taken(ch->card, record.number, false) ||
		    !answers(ch, &record, &from, id, q))
			continue;
		take_ahead(r, ch->card, record.number);
		deliver(r, ch, &record, &from);
		left--;
	}
}

/* Finds the record with the same question. reader is then behind it. */
static bool find_asked(const struct recorded *r, const struct recorded_channel *ch,
		       const struct question *q, struct vmb_dev_trace_reader *reader,
		       struct vmb_dev_trace_record *record, struct question *found)
{
	*reader = r->reader;
	while (next_packet(ch, VMB_DEV_TRACE_TO_HOST, reader, record)) {
		if (vmb_dev_trace_desc(record->bytes).type == VMB_PKT_COMPLETION ||
		    carries_frames(record->bytes, record->len) ||
		    was_taken(ch->card, record->number, false))
			continue;
		*found = question_of_record(ch, record, reader);
		if (is_same(q, found))
			return true;
	}
	return false;
}

/* A host may refuse whatever a guest asks of a card. */
static void refuse(struct recorded *r, struct recorded_channel *ch, uint64_t transaction_id)
{
	struct {
		struct vmb_pkt_desc desc;
		struct vmb_net_rndis_packet_complete complete;
	} packet = { .desc = { .type = VMB_PKT_COMPLETION,
			       .offset8 = sizeof(packet.desc) / 8,
			       .len8 = sizeof(packet) / 8,
			       .transaction_id = transaction_id },
		     .complete = { .type = VMB_NET_SEND_RNDIS_PACKET_COMPLETE,
				   .status = VMB_NET_STATUS_INVALID_RNDIS_PACKET } };

	recorded_ring_deliver(r, ch, (const uint8_t *)&packet, sizeof(packet));
}

/* Answers what was said at *at, and drops it. */
static void answer_ahead(struct recorded *r, struct recorded_channel *ch, struct recorded_said **at)
{
	struct recorded_said *said = *at;
	struct question q = question_of_said(said), found;
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record record;

	*at = said->next;
	if (!*at)
		ch->said.end = at;
	if (find_asked(r, ch, &q, &reader, &record, &found)) {
		recorded_tolerate(r, VMB_USER_RECORDED_ORDER);
		take_ahead(r, ch->card, record.number);
		compare_control(r, ch, &record, &found, said);
		play_answers(r, ch, &record, reader, &found);
	} else if (q.nvsp == VMB_NET_SEND_RNDIS_PACKET) {
		recorded_tolerate(r, VMB_USER_RECORDED_ASKED);
		refuse(r, ch, vmb_dev_trace_desc(said->bytes).transaction_id);
	} else {
		recorded_differ(r, "our guest also sends %s 0x%x", kind_of(&q), number_of(&q));
	}
	free(said);
}

/* What the recorded guest wanted beside starting the card. */

static int decide_rndis(struct recorded_card *card, const struct question *q)
{
	const uint32_t at = RNDIS_OFFSET_BASE + recorded_word(q->message, q->message_len, 20);
	const uint32_t len = recorded_word(q->message, q->message_len, 16);
	const uint8_t *data = NULL;

	if (q->cut)
		return VMB_EOVERFLOW;
	if (at <= q->message_len && len <= q->message_len - at)
		data = q->message + at;
	switch (q->rndis) {
	case RNDIS_QUERY:
		return vmb_guest_network_query(&card->core, q->what, data, data ? len : 0);
	case RNDIS_SET: return vmb_guest_network_set(&card->core, q->what, data, data ? len : 0);
	case RNDIS_HALT: return vmb_guest_network_halt(&card->core);
	case RNDIS_RESET: return vmb_guest_network_reset(&card->core);
	case RNDIS_KEEPALIVE: return vmb_guest_network_keepalive(&card->core);
	default: return VMB_EINVAL;
	}
}

static int decide(struct recorded_card *card, const struct question *q)
{
	if (!card->started)
		return VMB_ENODEV;
	switch (q->nvsp) {
	case VMB_NET_SEND_RNDIS_PACKET: return decide_rndis(card, q);
	case VMB_NET_REVOKE_RECEIVE_BUFFER:
	case VMB_NET_REVOKE_SEND_BUFFER: return vmb_guest_network_revoke(&card->core);
	default: return VMB_EINVAL;
	}
}

/* Lets the guest core come to the recorded question. Returns where it said it, or the end. */
static struct recorded_said **come_to(struct recorded *r, struct recorded_channel *ch,
				      const struct question *q, int *error)
{
	struct recorded_said **at;

	*error = 0;
	for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
		say_control(r, ch);
		at = find_said(ch, q);
		if (*at || *error)
			return at;
		at = find_said(ch, NULL);
		if (*at)
			answer_ahead(r, ch, at);
		else
			*error = decide(ch->card, q);
	}
	return find_said(ch, q);
}

/* Our guest has not asked that: the answers are not for it. */
static void leave_question_out(struct recorded *r, struct recorded_channel *ch,
			       const struct question *q)
{
	recorded_ids_add(r, &ch->ids, vmb_dev_trace_desc(r->record.bytes).transaction_id, 0, true);
	if (q->message_len >= 12 && q->rndis != RNDIS_RESET)
		recorded_ids_add(r, &ch->card->requests,
				 recorded_word(q->message, q->message_len, 8), 0, true);
	r->result->left_out++;
}

static void control_to_host(struct recorded *r, struct recorded_channel *ch)
{
	struct question q = question_of_record(ch, &r->record, &r->reader);
	struct recorded_said **at;
	int error = VMB_ENODEV;

	start_once(r, ch);
	if (ch->card->given_up) {
		leave_question_out(r, ch, &q);
		return;
	}
	at = come_to(r, ch, &q, &error);
	if (*at) {
		compare_control(r, ch, &r->record, &q, *at);
		recorded_drop(&ch->said, at);
		return;
	}
	leave_question_out(r, ch, &q);
	if (q.cut)
		r->result->cut++;
	else if (error == VMB_EBUSY && ch->card->core.state == VMB_GUEST_NETWORK_READY)
		recorded_tolerate(r, VMB_USER_RECORDED_WAITS);
	else
		recorded_differ(r, "%s 0x%x: our guest does not say it now (error %d)", kind_of(&q),
				number_of(&q), error);
}

static void ack_to_host(struct recorded *r, struct recorded_channel *ch)
{
	const uint64_t id = vmb_dev_trace_desc(r->record.bytes).transaction_id;
	struct recorded_said **at = &ch->said.first;
	struct recorded_id left;

	while (*at && !(is_ack(*at) && vmb_dev_trace_desc((*at)->bytes).transaction_id == id))
		at = &(*at)->next;
	if (*at) {
		recorded_compare(r, "acknowledgement", r->record.bytes, r->record.len, (*at)->bytes,
				 (*at)->len);
		recorded_drop(&ch->said, at);
	} else if (recorded_ids_take(&ch->card->acks, id, &left)) {
		r->result->left_out++;
	} else {
		recorded_differ(r, "our guest does not acknowledge packet 0x%llx of the host",
				(unsigned long long)id);
	}
}

void recorded_card_to_host(struct recorded *r, struct recorded_channel *ch)
{
	if (was_taken(ch->card, r->record.number, true))
		return;
	if (vmb_dev_trace_desc(r->record.bytes).type == VMB_PKT_COMPLETION) {
		ack_to_host(r, ch);
	} else if (carries_frames(r->record.bytes, r->record.len) ||
		   ch->core.offer.sub_channel_index) {
		recorded_ids_add(r, &ch->ids, vmb_dev_trace_desc(r->record.bytes).transaction_id, 0,
				 true);
		r->result->left_out++;
	} else {
		control_to_host(r, ch);
	}
}

/* The guest reads */

static void take_event(struct recorded *r, struct recorded_channel *ch,
		       const struct vmb_guest_network_event *event)
{
	if (event->type != VMB_GUEST_NETWORK_HAS_FAILED)
		return;
	ch->card->given_up = true;
	recorded_differ(r, "our guest gives the card up (failure %d)", ch->card->core.failure);
}

static void count_frames(struct vmb_guest_network *n, struct recorded_card *card)
{
	struct vmb_guest_network_frame frame;

	while (vmb_guest_network_receive_next(n, &card->queue, &card->receive, &frame))
		card->frames++;
}

static void take_transfer(struct recorded *r, struct recorded_channel *ch,
			  struct vmb_guest_network *n, const struct vmb_ring_received *received)
{
	struct recorded_card *card = ch->card;
	struct vmb_guest_network_receive *in = &card->receive;
	uint32_t header_len = received->header_len, payload_len = received->payload_len;
	struct vmb_guest_network_event event;
	int what;

	if (header_len > sizeof(in->header))
		header_len = sizeof(in->header);
	if (payload_len > sizeof(in->message))
		payload_len = sizeof(in->message);
	vmb_ring_copy(&ch->guest_rx, received, sizeof(struct vmb_pkt_desc), &in->header,
		      header_len);
	vmb_ring_copy(&ch->guest_rx, received, sizeof(struct vmb_pkt_desc) + received->header_len,
		      in->message, payload_len);
	what = vmb_guest_network_receive(n, &card->queue, in, received->header_len,
					 received->payload_len);
	if (what == VMB_GUEST_NETWORK_FRAMES)
		count_frames(n, card);
	else if (what == VMB_GUEST_NETWORK_CONTROL && !vmb_guest_network_control(n, in, &event))
		take_event(r, ch, &event);
	else
		recorded_differ(r, "packet of the host to the card: our guest refuses it");
	if (vmb_guest_network_owe(&card->queue, received->transaction_id))
		recorded_differ(r, "the host has more packets under way than it has places");
	say_acks(r, ch);
}

void recorded_card_take(struct recorded *r, struct recorded_channel *ch,
			const struct vmb_ring_received *received)
{
	struct recorded_channel *primary = recorded_primary(r, ch);
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
	struct vmb_guest_network_event event;
	uint32_t len = received->payload_len;

	if (!primary || !primary->card->started)
		return;
	if (received->type == VMB_PKT_TRANSFER_PAGES) {
		take_transfer(r, ch, &primary->card->core, received);
		return;
	}
	if (len > sizeof(payload))
		len = sizeof(payload);
	vmb_ring_copy(&ch->guest_rx, received, sizeof(struct vmb_pkt_desc) + received->header_len,
		      payload, len);
	if (vmb_guest_network_input(&primary->card->core, &ch->card->queue, received->type,
				    received->transaction_id, payload, len, &event))
		recorded_differ(r,
				"packet of type %u of the host to the card: our guest refuses "
				"it",
				received->type);
	else
		take_event(r, ch, &event);
}

void recorded_card_opened(struct recorded *r, struct recorded_channel *ch)
{
	struct recorded_channel *primary = recorded_primary(r, ch);

	if (!ch->core.offer.sub_channel_index)
		return;
	if (!primary || !primary->card->started ||
	    vmb_guest_network_queue_init(&primary->card->core, &ch->card->queue,
					 ch->core.offer.sub_channel_index, NULL, NULL, 0, 0,
					 ch->card->owed, RECORDED_CARD_OWED))
		recorded_differ(r, "a sub-channel opens before its card is ready");
}
