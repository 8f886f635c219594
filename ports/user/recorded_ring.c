// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The rings of a channel under a recorded host, and disks: the recorded guest's commands are given
 * to the guest core, whose packets are compared; the handshake is the guest core's own.
 */
#include <stdlib.h>
#include <string.h>

#include "ports/user/recorded_internal.h"

#define LOOK_MAX 4096u /* packets that one delivery may lead to */

/* Rings */

bool recorded_ring_open(struct recorded *r, struct recorded_channel *ch,
			const struct recorded_gpadl *g, uint32_t downstream_page)
{
	uint8_t *up = g->memory, *down = g->memory + (size_t)downstream_page * VMB_PAGE_LEN;
	uint32_t up_len = (downstream_page - 1) * VMB_PAGE_LEN;
	uint32_t down_len = (g->page_count - downstream_page - 1) * VMB_PAGE_LEN;

	memset(g->memory, 0, (size_t)g->page_count * VMB_PAGE_LEN);
	ch->rings = g;
	return !vmb_ring_writer_init(&ch->guest_tx, up, up + VMB_PAGE_LEN, up_len, true) &&
	       !vmb_ring_reader_init(&ch->host_rx, up, up + VMB_PAGE_LEN, up_len, true) &&
	       !vmb_ring_writer_init(&ch->host_tx, down, down + VMB_PAGE_LEN, down_len, true) &&
	       !vmb_ring_reader_init(&ch->guest_rx, down, down + VMB_PAGE_LEN, down_len, true);
}

void recorded_ring_close(struct recorded_channel *ch)
{
	ch->open = false;
	ch->rings = NULL;
	recorded_drop_all(&ch->said);
	recorded_ids_free(&ch->ids);
	if (!ch->card)
		return;
	ch->card->started = ch->card->given_up = false;
	recorded_ids_free(&ch->card->requests);
	recorded_ids_free(&ch->card->acks);
	ch->card->taken_count = 0;
}

/* The host takes a packet as soon as it is there. */
static void hear(struct recorded *r, struct recorded_channel *ch, const void *data,
		 uint32_t data_len)
{
	struct vmb_ring_received received;
	uint32_t len;

	vmb_ring_commit(&ch->guest_tx);
	if (vmb_ring_read(&ch->host_rx, &received))
		return;
	len = sizeof(struct vmb_pkt_desc) + received.header_len + received.payload_len;
	if (vmb_ring_copy(&ch->host_rx, &received, 0, r->scratch,
			  len < sizeof(r->scratch) ? len : sizeof(r->scratch)))
		recorded_keep(r, &ch->said, r->scratch,
			      len < sizeof(r->scratch) ? len : sizeof(r->scratch), data, data_len);
	vmb_ring_next(&ch->host_rx, &received);
	vmb_ring_release(&ch->host_rx);
}

void recorded_ring_say(struct recorded *r, struct recorded_channel *ch,
		       const struct vmb_ring_packet *packet, const void *data, uint32_t data_len)
{
	int error = vmb_ring_write(&ch->guest_tx, packet);

	if (error)
		recorded_differ(r, "our guest's packet does not fit in the ring (error %d)", error);
	else
		hear(r, ch, data, data_len);
}

/* Disks */

static bool is_primary(const struct recorded_channel *ch)
{
	return !ch->core.offer.sub_channel_index;
}

static void say_control(struct recorded *r, struct recorded_channel *ch)
{
	const struct vmb_guest_storage_output *out;
	struct vmb_ring_part payload;
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &payload,
					  .payload_count = 1 };

	while ((out = vmb_guest_storage_output(&ch->disk->core))) {
		packet.transaction_id = out->transaction_id;
		payload = (struct vmb_ring_part){ &out->packet, out->payload_len };
		recorded_ring_say(r, ch, &packet, NULL, 0);
		vmb_guest_storage_output_done(&ch->disk->core);
	}
}

static uint32_t operation_of(const uint8_t *packet, uint32_t len)
{
	uint32_t payload_len;
	const uint8_t *payload = recorded_payload(packet, len, &payload_len);

	return recorded_word(payload, payload_len, 0);
}

/* The next packet of the guest on that channel with this operation; NULL: none before it closes. */
static const uint8_t *find_operation(const struct recorded *r, uint32_t relid, uint32_t operation,
				     uint32_t *payload_len)
{
	struct vmb_dev_trace_reader ahead = r->reader;
	struct vmb_dev_trace_record record;

	for (uint32_t i = 0; i < RECORDED_AHEAD && vmb_dev_trace_read(&ahead, &record) > 0; i++) {
		if (record.header.kind == VMB_DEV_TRACE_CONTROL && record.header.id == relid &&
		    record.header.detail == VMB_DEV_TRACE_CLOSED)
			break;
		if (record.header.kind == VMB_DEV_TRACE_PACKET && record.header.id == relid &&
		    record.header.direction == VMB_DEV_TRACE_TO_HOST &&
		    record.len >= sizeof(struct vmb_pkt_desc) &&
		    vmb_dev_trace_desc(record.bytes).offset8 * 8u <= record.len &&
		    operation_of(record.bytes, record.len) == operation)
			return recorded_payload(record.bytes, record.len, payload_len);
	}
	return NULL;
}

/* It proposes the version that the recorded guest proposed first, and wants as many channels. */
static void start_disk(struct recorded *r, struct recorded_channel *ch)
{
	struct vmb_guest_storage_config config = { 0 };
	const uint8_t *payload;
	uint32_t len;

	payload = find_operation(r, ch->core.relid, VMB_STOR_QUERY_PROTOCOL_VERSION, &len);
	if (payload)
		config.version_max = (uint16_t)recorded_word(payload, len, 12);
	payload = find_operation(r, ch->core.relid, VMB_STOR_CREATE_SUB_CHANNELS, &len);
	if (payload)
		config.sub_channel_max = (uint16_t)recorded_word(payload, len, 12);
	memset(ch->disk->slots, 0, sizeof(ch->disk->slots));
	for (uint32_t i = 0; i < RECORDED_SLOT_COUNT; i++)
		ch->disk->free_slots[i] = RECORDED_SLOT_COUNT - 1 - i;
	ch->disk->free_count = RECORDED_SLOT_COUNT;
	if (vmb_guest_storage_init(&ch->disk->core, ch->disk->slots, RECORDED_SLOT_COUNT,
				   &config) ||
	    vmb_guest_storage_start(&ch->disk->core))
		recorded_differ(r, "our guest proposes no storage version 0x%x",
				config.version_max);
	else
		say_control(r, ch);
}

void recorded_ring_opened(struct recorded *r, struct recorded_channel *ch)
{
	struct recorded_channel *primary = recorded_primary(r, ch);

	ch->open = true;
	if (ch->kind == RECORDED_CARD)
		recorded_card_opened(r, ch);
	if (ch->kind != RECORDED_DISK)
		return;
	if (is_primary(ch))
		start_disk(r, ch);
	else if (primary && primary->open)
		vmb_guest_storage_join(&ch->disk->core, &primary->disk->core);
	else
		recorded_differ(r, "a sub-channel opens before its primary");
}

/* The guest reads what the host put into its ring. */

static void end_request(struct recorded *r, struct recorded_channel *ch,
			const struct vmb_guest_storage_event *event)
{
	struct recorded_channel *primary = recorded_primary(r, ch);

	if (event->type == VMB_GUEST_STORAGE_COMPLETED && primary &&
	    primary->disk->free_count < RECORDED_SLOT_COUNT)
		primary->disk->free_slots[primary->disk->free_count++] = event->slot;
	if (event->type == VMB_GUEST_STORAGE_HAS_FAILED)
		recorded_differ(r, "our guest gives the disk's handshake up");
}

static void take_storage(struct recorded *r, struct recorded_channel *ch,
			 const struct vmb_ring_received *received)
{
	struct vmb_guest_storage_event event;
	uint8_t payload[128];
	uint32_t len = received->payload_len;

	if (len > sizeof(payload))
		len = sizeof(payload);
	vmb_ring_copy(&ch->guest_rx, received, sizeof(struct vmb_pkt_desc) + received->header_len,
		      payload, len);
	if (vmb_guest_storage_input(&ch->disk->core, received->type, received->transaction_id,
				    payload, len, &event))
		recorded_differ(r, "packet of type %u of the host: our guest refuses it",
				received->type);
	else
		end_request(r, ch, &event);
	say_control(r, ch);
}

static void look(struct recorded *r, struct recorded_channel *ch)
{
	struct vmb_ring_received received;

	for (uint32_t i = 0; i < LOOK_MAX && !vmb_ring_read(&ch->guest_rx, &received); i++) {
		if (ch->kind == RECORDED_DISK)
			take_storage(r, ch, &received);
		else
			recorded_card_take(r, ch, &received);
		vmb_ring_next(&ch->guest_rx, &received);
		vmb_ring_release(&ch->guest_rx);
	}
}

void recorded_ring_deliver(struct recorded *r, struct recorded_channel *ch, const uint8_t *packet,
			   uint32_t len)
{
	int error = vmb_dev_trace_write_packet(&ch->host_tx, packet, len);

	if (error) {
		recorded_differ(r, "the ring to the guest takes no packet (error %d)", error);
		return;
	}
	vmb_ring_commit(&ch->host_tx);
	look(r, ch);
}

/* Commands */

/* The recorded packet's one range and its page numbers. False: it has not one. */
static bool read_range(const uint8_t *packet, struct vmb_gpa_range *range, uint64_t *pfns,
		       uint32_t room)
{
	const uint32_t at = sizeof(struct vmb_pkt_desc) + sizeof(struct vmb_pkt_gpa_direct);
	const uint32_t end = vmb_dev_trace_desc(packet).offset8 * 8u;
	uint64_t count;

	if (end < at + sizeof(*range) || recorded_word(packet, end, 20) != 1)
		return false;
	memcpy(range, packet + at, sizeof(*range));
	count = ((uint64_t)range->byte_offset + range->byte_count + VMB_PAGE_LEN - 1) /
		VMB_PAGE_LEN;
	if (count > room || count * sizeof(*pfns) > end - at - sizeof(*range))
		return false;
	memcpy(pfns, packet + at + sizeof(*range), count * sizeof(*pfns));
	return true;
}

static struct vmb_guest_storage_request request_of(const struct vmb_stor_srb *srb,
						   const struct vmb_gpa_range *range)
{
	struct vmb_guest_storage_request request = {
		.path_id = srb->path_id,
		.target_id = srb->target_id,
		.lun = srb->lun,
		.cdb_len = srb->cdb_len < VMB_STOR_CDB_LEN_MAX ? srb->cdb_len :
								 VMB_STOR_CDB_LEN_MAX,
		.direction = srb->data_in,
		.data_len = srb->data_transfer_len,
		.data_offset = range->byte_offset,
		.timeout_s = srb->timeout_s,
	};

	memcpy(request.cdb, srb->u.cdb, request.cdb_len);
	return request;
}

static int submit(struct recorded *r, struct recorded_channel *ch,
		  struct vmb_guest_storage_request *request, const uint64_t *pfns)
{
	struct recorded_channel *primary = recorded_primary(r, ch);
	struct vmb_guest_storage_packet p;
	struct vmb_ring_part header[2], payload;
	struct vmb_ring_packet packet = { .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .header = header,
					  .payload = &payload,
					  .payload_count = 1 };
	int error;

	if (!primary || !primary->disk->free_count)
		return VMB_EAGAIN;
	request->cookie = ch;
	error = vmb_guest_storage_submit(&ch->disk->core,
					 primary->disk->free_slots[primary->disk->free_count - 1],
					 request, &p);
	if (error)
		return error;
	primary->disk->free_count--;
	header[0] = (struct vmb_ring_part){ &p.gpa, sizeof(p.gpa) };
	header[1] = (struct vmb_ring_part){ pfns, p.pfn_count * sizeof(*pfns) };
	payload = (struct vmb_ring_part){ &p.payload, p.payload_len };
	packet.type = p.type;
	packet.transaction_id = p.transaction_id;
	packet.header_count = p.type == VMB_PKT_GPA_DIRECT ? 2 : 0;
	recorded_ring_say(r, ch, &packet, NULL, 0);
	return 0;
}

/* Gives the recorded command to our guest. */
static int decide_command(struct recorded *r, struct recorded_channel *ch, const uint8_t *packet,
			  uint32_t len)
{
	uint64_t pfns[VMB_PAGE_LEN / sizeof(uint64_t) * 4];
	struct vmb_guest_storage_request request;
	struct vmb_gpa_range range = { 0 };
	struct vmb_stor_packet stor = { 0 };
	uint32_t payload_len;
	const uint8_t *payload = recorded_payload(packet, len, &payload_len);

	memcpy(&stor, payload, payload_len < sizeof(stor) ? payload_len : sizeof(stor));
	if (vmb_dev_trace_desc(packet).type == VMB_PKT_GPA_DIRECT &&
	    !read_range(packet, &range, pfns, VMB_ARRAY_COUNT(pfns)))
		return VMB_EINVAL;
	request = request_of(&stor.u.srb, &range);
	/* Of a command without data only "no data" is said. */
	if (!request.data_len)
		request.direction = VMB_STOR_NO_DATA;
	return submit(r, ch, &request, pfns);
}

static struct recorded_said **find_said(struct recorded_channel *ch, uint32_t operation)
{
	struct recorded_said **at = &ch->said.first;

	while (*at && operation_of((*at)->bytes, (*at)->len) != operation)
		at = &(*at)->next;
	return at;
}

/* Where our guest's word is put in the recorded one's place, and noted. */
static void accept(struct recorded *r, uint8_t *expected, const uint8_t *got, uint32_t at,
		   uint32_t len, enum vmb_user_recorded_tolerance which)
{
	if (memcmp(expected + at, got + at, len) == 0)
		return;
	recorded_tolerate(r, which);
	memcpy(expected + at, got + at, len);
}

/* expected and got: payloads of len bytes. */
static void accept_srb(struct recorded *r, uint8_t *expected, const uint8_t *got, uint32_t len)
{
	const uint32_t srb = offsetof(struct vmb_stor_packet, u);
	uint32_t cdb_len = got[srb + offsetof(struct vmb_stor_srb, cdb_len)];

	if (len < VMB_STOR_PACKET_LEN_OLD || cdb_len > VMB_STOR_CDB_LEN_MAX)
		return;
	accept(r, expected, got, srb + offsetof(struct vmb_stor_srb, port_number), 1,
	       VMB_USER_RECORDED_QUEUEING);
	accept(r, expected, got, srb + offsetof(struct vmb_stor_srb, u) + cdb_len,
	       VMB_STOR_SENSE_LEN - cdb_len, VMB_USER_RECORDED_CDB_REST);
	if (len < VMB_STOR_PACKET_LEN)
		return;
	accept(r, expected, got, srb + offsetof(struct vmb_stor_srb, queue_tag), 2,
	       VMB_USER_RECORDED_QUEUEING);
	accept(r, expected, got, srb + offsetof(struct vmb_stor_srb, srb_flags), 4,
	       VMB_USER_RECORDED_FLAGS);
	accept(r, expected, got, srb + offsetof(struct vmb_stor_srb, timeout_s), 4,
	       VMB_USER_RECORDED_TIMEOUT);
	accept(r, expected, got, srb + offsetof(struct vmb_stor_srb, queue_sort_key), 4,
	       VMB_USER_RECORDED_QUEUEING);
}

static void compare_storage(struct recorded *r, struct recorded_channel *ch, uint32_t operation,
			    const struct recorded_said *said)
{
	const uint64_t ours = vmb_dev_trace_desc(said->bytes).transaction_id;
	uint32_t len = r->record.len, at = vmb_dev_trace_desc(r->record.bytes).offset8 * 8u;
	uint8_t *expected = malloc(len);

	if (!expected) {
		r->failed = true;
		return;
	}
	memcpy(expected, r->record.bytes, len);
	recorded_ids_add(r, &ch->ids, vmb_dev_trace_desc(expected).transaction_id, ours, false);
	memcpy(expected + offsetof(struct vmb_pkt_desc, transaction_id), &ours, sizeof(ours));
	if (operation == VMB_STOR_EXECUTE_SRB && said->len == len &&
	    vmb_dev_trace_desc(said->bytes).offset8 * 8u == at)
		accept_srb(r, expected + at, said->bytes + at, len - at);
	recorded_compare(r, "packet to the disk", expected, len, said->bytes, said->len);
	free(expected);
}

static void disk_to_host(struct recorded *r, struct recorded_channel *ch)
{
	const struct vmb_pkt_desc desc = vmb_dev_trace_desc(r->record.bytes);
	uint32_t operation = operation_of(r->record.bytes, r->record.len);
	struct recorded_said **said;
	int error = 0;

	if (operation == VMB_STOR_EXECUTE_SRB)
		error = decide_command(r, ch, r->record.bytes, r->record.len);
	else if (operation == VMB_STOR_RESET_BUS)
		error = vmb_guest_storage_reset(&ch->disk->core);
	say_control(r, ch);
	said = find_said(ch, operation);
	if (*said) {
		compare_storage(r, ch, operation, *said);
		recorded_drop(&ch->said, said);
		return;
	}
	recorded_ids_add(r, &ch->ids, desc.transaction_id, 0, true);
	if (error)
		recorded_differ(r,
				"storage operation %u: our guest does not do that now (error "
				"%d)",
				operation, error);
	else
		recorded_differ(r, "storage operation %u: our guest does not say it", operation);
}

/* A completion goes to the request that it is of. */
static void disk_to_guest(struct recorded *r, struct recorded_channel *ch)
{
	struct vmb_pkt_desc desc = vmb_dev_trace_desc(r->record.bytes);
	struct recorded_id id;
	uint8_t *packet;

	if (desc.type == VMB_PKT_COMPLETION &&
	    recorded_ids_take(&ch->ids, desc.transaction_id, &id)) {
		desc.transaction_id = id.ours;
		if (id.left_out) {
			r->result->left_out++;
			return;
		}
	}
	packet = malloc(r->record.len);
	if (!packet) {
		r->failed = true;
		return;
	}
	memcpy(packet, r->record.bytes, r->record.len);
	memcpy(packet, &desc, sizeof(desc));
	r->result->played++;
	recorded_ring_deliver(r, ch, packet, r->record.len);
	free(packet);
}

void recorded_ring_play(struct recorded *r, struct recorded_channel *ch)
{
	bool to_host = r->record.header.direction == VMB_DEV_TRACE_TO_HOST;

	if (!ch->open)
		recorded_differ(r, "a packet on a channel that is not open here");
	else if (ch->kind == RECORDED_CARD)
		(to_host ? recorded_card_to_host : recorded_card_to_guest)(r, ch);
	else if (to_host)
		disk_to_host(r, ch);
	else
		disk_to_guest(r, ch);
}
