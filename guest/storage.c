// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's side of the storage protocol: handshake, requests, completions, events. */
#include "guest/storage.h"

#define TRANSFER_LEN_MIN     VMB_PAGE_LEN
#define TRANSFER_LEN_DEFAULT (8u << 20)
/* What a GPA-direct packet can describe: its length counts in a 16-bit field of qwords. */
#define TRANSFER_LEN_FORMAT  (60000u * VMB_PAGE_LEN)
#define SCSI_CHECK_CONDITION 0x02u
#define NTSTATUS_ERROR	     0xC0000000u /* both top bits */

/* Newest first, with the sizes that each uses on the wire. */
static const struct storage_version {
	uint16_t number;
	uint16_t packet_len;
	uint16_t srb_len;
	uint8_t sense_len;
} versions[] = {
	{ VMB_STOR_VERSION_6_2, VMB_STOR_PACKET_LEN, VMB_STOR_SRB_LEN, VMB_STOR_SENSE_LEN },
	{ VMB_STOR_VERSION_6_0, VMB_STOR_PACKET_LEN, VMB_STOR_SRB_LEN, VMB_STOR_SENSE_LEN },
	{ VMB_STOR_VERSION_5_1, VMB_STOR_PACKET_LEN, VMB_STOR_SRB_LEN, VMB_STOR_SENSE_LEN },
	{ VMB_STOR_VERSION_4_2, VMB_STOR_PACKET_LEN_OLD, VMB_STOR_SRB_LEN_OLD,
	  VMB_STOR_SENSE_LEN_OLD },
	{ VMB_STOR_VERSION_2_0, VMB_STOR_PACKET_LEN_OLD, VMB_STOR_SRB_LEN_OLD,
	  VMB_STOR_SENSE_LEN_OLD },
};

/* A slot's word: generation << 2 | one of these. BUSY: the other fields are in use. */
enum slot_state {
	SLOT_FREE = 0,
	SLOT_BUSY = 1,
	SLOT_IN_FLIGHT = 2,
	SLOT_ABANDONED = 3,
};
#define SLOT_STATE_MASK	      3u
#define SLOT_GENERATION_SHIFT 2

/* Low half of a transaction id: slot index + 1, so that no id is 0, or this. */
#define ID_CONTROL	      0xFFFFFFFFu

static uint64_t make_id(uint32_t word, uint32_t low)
{
	return (uint64_t)(word >> SLOT_GENERATION_SHIFT) << 32 | low;
}

/* Moves the slot from state `from` to BUSY, if it still has this generation. */
static bool slot_take(struct vmb_guest_storage_slot *slot, uint32_t generation,
		      enum slot_state from)
{
	uint32_t word = generation << SLOT_GENERATION_SHIFT;

	if (word >> SLOT_GENERATION_SHIFT != generation)
		return false; /* no such id was sent */
	return vmb_compare_swap_u32(&slot->state, word | (uint32_t)from, word | SLOT_BUSY);
}

static uint32_t slot_generation(const struct vmb_guest_storage_slot *slot)
{
	return vmb_load_acquire_u32(&slot->state) >> SLOT_GENERATION_SHIFT;
}

/* Frees a BUSY slot for use under the next generation. */
static void slot_free(struct vmb_guest_storage_slot *slot)
{
	uint32_t generation = slot_generation(slot) + 1;

	slot->cookie = NULL;
	vmb_store_release_u32(&slot->state, generation << SLOT_GENERATION_SHIFT | SLOT_FREE);
}

static void slot_launch(struct vmb_guest_storage_slot *slot)
{
	vmb_store_release_u32(&slot->state,
			      slot_generation(slot) << SLOT_GENERATION_SHIFT | SLOT_IN_FLIGHT);
}

static int find_version(uint16_t number, uint32_t *step)
{
	for (*step = 0; *step < VMB_ARRAY_COUNT(versions); (*step)++)
		if (versions[*step].number == number)
			return 0;
	return VMB_EINVAL;
}

int vmb_guest_storage_init(struct vmb_guest_storage *s, struct vmb_guest_storage_slot *slots,
			   uint32_t slot_count, const struct vmb_guest_storage_config *config)
{
	uint32_t newest;
	uint32_t oldest;

	memset(s, 0, sizeof(*s));
	s->config = *config;
	s->slots = slots;
	s->slot_count = slot_count;
	if (!s->config.version_max)
		s->config.version_max = versions[0].number;
	if (!s->config.version_min)
		s->config.version_min = versions[VMB_ARRAY_COUNT(versions) - 1].number;
	if (!s->config.max_transfer_len)
		s->config.max_transfer_len = TRANSFER_LEN_DEFAULT;
	if (s->config.max_transfer_len > TRANSFER_LEN_FORMAT)
		s->config.max_transfer_len = TRANSFER_LEN_FORMAT;
	if (!slots || !slot_count || slot_count >= ID_CONTROL ||
	    s->config.max_transfer_len < TRANSFER_LEN_MIN ||
	    find_version(s->config.version_max, &newest) ||
	    find_version(s->config.version_min, &oldest) || newest > oldest)
		return VMB_EINVAL;
	s->version_step = newest;
	return 0;
}

/* No driver has ever read what is behind the device number. */
int vmb_guest_storage_ide_address(const struct vmb_guid *instance_id,
				  struct vmb_guest_storage_address *address)
{
	struct vmb_stor_ide_instance instance;

	memcpy(&instance, instance_id, sizeof(instance));
	if (instance.channel > 0xFFu || instance.device > 0xFFu)
		return VMB_EPROTO;
	address->path_id = (uint8_t)instance.channel;
	address->target_id = (uint8_t)instance.device;
	address->lun = 0;
	return 0;
}

/* ---- the handshake ---- */

static void set_version(struct vmb_guest_storage *s)
{
	const struct storage_version *version = &versions[s->version_step];

	s->version = version->number;
	s->packet_len = version->packet_len;
	s->srb_len = version->srb_len;
	s->sense_len = version->sense_len;
}

/* As many as both ends allow. */
static uint16_t sub_channels_wanted(const struct vmb_guest_storage *s)
{
	return s->max_sub_channel_count < s->config.sub_channel_max ? s->max_sub_channel_count :
								      s->config.sub_channel_max;
}

/* Builds the next control packet; the control slot is BUSY. */
static void queue_control(struct vmb_guest_storage *s, enum vmb_stor_operation operation)
{
	memset(&s->out, 0, sizeof(s->out));
	s->out.transaction_id = make_id(s->control.state, ID_CONTROL);
	s->out.payload_len = s->packet_len;
	s->out.packet.operation = operation;
	s->out.packet.flags = VMB_STOR_FLAG_REQUEST_COMPLETION;
	if (operation == VMB_STOR_QUERY_PROTOCOL_VERSION)
		s->out.packet.u.version.major_minor = s->version;
	if (operation == VMB_STOR_CREATE_SUB_CHANNELS)
		s->out.packet.u.sub_channel_count = sub_channels_wanted(s);
	s->output_waiting = true;
}

/* What each step of the handshake sends, and the step after the host agrees. */
static const struct {
	enum vmb_stor_operation operation;
	enum vmb_guest_storage_state next;
} steps[] = {
	[VMB_GUEST_STORAGE_BEGIN] = { VMB_STOR_BEGIN_INITIALIZATION, VMB_GUEST_STORAGE_VERSION },
	[VMB_GUEST_STORAGE_VERSION] = { VMB_STOR_QUERY_PROTOCOL_VERSION,
					VMB_GUEST_STORAGE_PROPERTIES },
	[VMB_GUEST_STORAGE_PROPERTIES] = { VMB_STOR_QUERY_PROPERTIES, VMB_GUEST_STORAGE_END },
	[VMB_GUEST_STORAGE_END] = { VMB_STOR_END_INITIALIZATION, VMB_GUEST_STORAGE_CREATE },
	[VMB_GUEST_STORAGE_CREATE] = { VMB_STOR_CREATE_SUB_CHANNELS, VMB_GUEST_STORAGE_READY },
};

static void enter(struct vmb_guest_storage *s, enum vmb_guest_storage_state state)
{
	if (state == VMB_GUEST_STORAGE_CREATE && !sub_channels_wanted(s))
		state = VMB_GUEST_STORAGE_READY;
	s->state = state;
	if (state == VMB_GUEST_STORAGE_READY || state == VMB_GUEST_STORAGE_FAILED)
		return;
	slot_take(&s->control, slot_generation(&s->control), SLOT_FREE);
	queue_control(s, steps[state].operation);
}

int vmb_guest_storage_start(struct vmb_guest_storage *s)
{
	if (s->state != VMB_GUEST_STORAGE_IDLE)
		return VMB_EBUSY;
	set_version(s);
	enter(s, VMB_GUEST_STORAGE_BEGIN);
	return 0;
}

void vmb_guest_storage_join(struct vmb_guest_storage *s, const struct vmb_guest_storage *primary)
{
	*s = *primary;
	s->output_waiting = false;
	s->control.state = SLOT_BUSY; /* for good: control packets are the primary's */
	memset(&s->counters, 0, sizeof(s->counters));
	s->reset_repeats = 0;
}

/* The first eight bytes have the negotiated version's layout; the limit is at 12 in all of them. */
static enum vmb_guest_storage_state read_properties(struct vmb_guest_storage *s,
						    const struct vmb_stor_packet *packet)
{
	uint32_t limit = packet->u.properties.max_transfer_bytes;

	if (limit < TRANSFER_LEN_MIN)
		return VMB_GUEST_STORAGE_FAILED;
	if (limit > s->config.max_transfer_len)
		limit = s->config.max_transfer_len;
	s->max_transfer_len = limit - limit % VMB_PAGE_LEN;
	if (s->version < VMB_STOR_VERSION_5_1) {
		s->path_id = packet->u.properties_old.path_id;
		s->target_id = packet->u.properties_old.target_id;
	} else if (packet->u.properties.flags & VMB_STOR_PROPERTY_MULTI_CHANNEL) {
		s->max_sub_channel_count = packet->u.properties.max_sub_channel_count;
	}
	return VMB_GUEST_STORAGE_END;
}

/*
 * The host refused: for a version there may be an older one, and one channel does without others;
 * all else is fatal.
 */
static enum vmb_guest_storage_state refused(struct vmb_guest_storage *s)
{
	if (s->state == VMB_GUEST_STORAGE_CREATE)
		return VMB_GUEST_STORAGE_READY;
	if (s->state != VMB_GUEST_STORAGE_VERSION || s->version == s->config.version_min)
		return VMB_GUEST_STORAGE_FAILED;
	s->version_step++;
	set_version(s);
	return VMB_GUEST_STORAGE_VERSION;
}

static void step_done(struct vmb_guest_storage *s, const struct vmb_stor_packet *packet,
		      struct vmb_guest_storage_event *event)
{
	enum vmb_guest_storage_state next = steps[s->state].next;

	if (packet->status != VMB_STOR_STATUS_SUCCESS)
		next = refused(s);
	else if (s->state == VMB_GUEST_STORAGE_PROPERTIES)
		next = read_properties(s, packet);
	else if (s->state == VMB_GUEST_STORAGE_CREATE)
		s->sub_channel_count = s->out.packet.u.sub_channel_count;
	enter(s, next);
	if (s->state == VMB_GUEST_STORAGE_READY)
		event->type = VMB_GUEST_STORAGE_IS_READY;
	else if (s->state == VMB_GUEST_STORAGE_FAILED)
		event->type = VMB_GUEST_STORAGE_HAS_FAILED;
}

const struct vmb_guest_storage_output *vmb_guest_storage_output(struct vmb_guest_storage *s)
{
	if (!s->output_waiting)
		return NULL;
	/* From here on the host may answer, also before output_done. */
	if (s->shown_id != s->out.transaction_id) {
		s->shown_id = s->out.transaction_id;
		slot_launch(&s->control);
	}
	return &s->out;
}

void vmb_guest_storage_output_done(struct vmb_guest_storage *s)
{
	/* A faster answer has put the next packet there, which was not returned yet. */
	if (s->shown_id == s->out.transaction_id)
		s->output_waiting = false;
}

int vmb_guest_storage_reset(struct vmb_guest_storage *s)
{
	if (s->state != VMB_GUEST_STORAGE_READY ||
	    !slot_take(&s->control, slot_generation(&s->control), SLOT_FREE))
		return VMB_EBUSY;
	queue_control(s, VMB_STOR_RESET_BUS);
	s->reset_repeats = 0;
	return 0;
}

int vmb_guest_storage_reset_again(struct vmb_guest_storage *s)
{
	if (s->state != VMB_GUEST_STORAGE_READY || s->output_waiting ||
	    (vmb_load_u32(&s->control.state) & SLOT_STATE_MASK) != SLOT_IN_FLIGHT)
		return VMB_EBUSY;
	s->output_waiting = true;
	s->reset_repeats++;
	return 0;
}

/* ---- requests ---- */

static bool request_sane(const struct vmb_guest_storage_request *request)
{
	if (!request->cdb_len || request->cdb_len > VMB_STOR_CDB_LEN_MAX)
		return false;
	if (!request->data_len)
		return request->direction == VMB_STOR_NO_DATA;
	return request->data_offset < VMB_PAGE_LEN &&
	       (request->direction == VMB_STOR_READ || request->direction == VMB_STOR_WRITE);
}

static uint32_t srb_flags(uint8_t direction)
{
	static const uint32_t by_direction[] = {
		[VMB_STOR_WRITE] = VMB_SRB_FLAG_DATA_OUT,
		[VMB_STOR_READ] = VMB_SRB_FLAG_DATA_IN,
		[VMB_STOR_NO_DATA] = 0,
	};

	return by_direction[direction] | VMB_SRB_FLAG_DISABLE_SYNCH_TRANSFER |
	       VMB_SRB_FLAG_QUEUE_ACTION_ENABLE | VMB_SRB_FLAG_NO_QUEUE_FREEZE;
}

static void fill_srb(const struct vmb_guest_storage *s, struct vmb_stor_srb *srb,
		     const struct vmb_guest_storage_request *request)
{
	*srb = (struct vmb_stor_srb){
		.length = s->srb_len,
		.path_id = request->path_id,
		.target_id = request->target_id,
		.lun = request->lun,
		.cdb_len = request->cdb_len,
		.sense_len = s->sense_len,
		.data_in = request->direction,
		.data_transfer_len = request->data_len,
		.queue_tag = VMB_SRB_QUEUE_TAG_UNTAGGED,
		.queue_action = VMB_SRB_QUEUE_ACTION_SIMPLE,
		.srb_flags = srb_flags(request->direction),
		.timeout_s = request->timeout_s,
	};
	/* All of it: a copy of a fixed length is a few moves, and the rest of a CDB is 0. */
	memcpy(srb->u.cdb, request->cdb, sizeof(srb->u.cdb));
}

static void fill_packet(const struct vmb_guest_storage *s,
			const struct vmb_guest_storage_request *request,
			struct vmb_guest_storage_packet *packet)
{
	packet->type = request->data_len ? VMB_PKT_GPA_DIRECT : VMB_PKT_INBAND;
	packet->gpa.direct = (struct vmb_pkt_gpa_direct){ .range_count = !!request->data_len };
	packet->gpa.range.byte_count = request->data_len;
	packet->gpa.range.byte_offset = request->data_offset;
	packet->pfn_count = 0;
	if (request->data_len)
		packet->pfn_count = (request->data_offset + request->data_len + VMB_PAGE_LEN - 1) /
				    VMB_PAGE_LEN;
	packet->payload_len = s->packet_len;
	packet->payload.operation = VMB_STOR_EXECUTE_SRB;
	packet->payload.flags = VMB_STOR_FLAG_REQUEST_COMPLETION;
	packet->payload.status = 0;
	fill_srb(s, &packet->payload.u.srb, request);
}

int vmb_guest_storage_submit(struct vmb_guest_storage *s, uint32_t slot,
			     const struct vmb_guest_storage_request *request,
			     struct vmb_guest_storage_packet *packet)
{
	struct vmb_guest_storage_slot *at;

	if (slot >= s->slot_count || !request_sane(request))
		return VMB_EINVAL;
	if (s->state != VMB_GUEST_STORAGE_READY)
		return VMB_EBUSY;
	if (request->data_len > s->max_transfer_len)
		return VMB_EOVERFLOW;
	at = &s->slots[slot];
	if (!slot_take(at, slot_generation(at), SLOT_FREE))
		return VMB_EBUSY;
	fill_packet(s, request, packet);
	packet->transaction_id = make_id(vmb_load_u32(&at->state), slot + 1);
	at->cookie = request->cookie;
	at->data_len = request->data_len;
	at->sense_len = s->sense_len;
	slot_launch(at);
	return 0;
}

bool vmb_guest_storage_cancel(struct vmb_guest_storage *s, uint32_t slot)
{
	struct vmb_guest_storage_slot *at;

	if (slot >= s->slot_count)
		return false;
	at = &s->slots[slot];
	if (!slot_take(at, slot_generation(at), SLOT_IN_FLIGHT))
		return false;
	slot_free(at);
	return true;
}

bool vmb_guest_storage_abandon_slot(struct vmb_guest_storage_slot *slot)
{
	uint32_t word = slot_generation(slot) << SLOT_GENERATION_SHIFT;

	return vmb_compare_swap_u32(&slot->state, word | SLOT_IN_FLIGHT, word | SLOT_ABANDONED);
}

bool vmb_guest_storage_abandon(struct vmb_guest_storage *s, uint32_t slot)
{
	return slot < s->slot_count && vmb_guest_storage_abandon_slot(&s->slots[slot]);
}

/* ---- packets from the host ---- */

/* Statuses whose sense data may report a change of the unit. */
static bool may_say_changed(uint8_t srb_status)
{
	return srb_status == VMB_SRB_ERROR || srb_status == VMB_SRB_ABORTED ||
	       srb_status == VMB_SRB_INVALID_REQUEST || srb_status == VMB_SRB_INTERNAL_ERROR;
}

/* Sense data that says that the unit has changed; in fixed or descriptor format. */
static bool says_changed(const uint8_t *sense, uint32_t len)
{
	uint32_t format = len ? sense[0] & 0x7Fu : 0;
	uint32_t at = format == 0x70 || format == 0x71 ? 12 : 2;

	if (format < 0x70 || format > 0x73 || len < at + 2)
		return false;
	if (sense[at] == 0x2A)
		return sense[at + 1] == 0x09;
	return sense[at] == 0x3F && sense[at + 1] != 0x03 && sense[at + 1] != 0x0E;
}

static void read_sense(const struct vmb_stor_srb *srb, uint32_t offered,
		       struct vmb_guest_storage_event *event)
{
	uint32_t len = srb->sense_len;

	if (srb->scsi_status != SCSI_CHECK_CONDITION ||
	    !(srb->srb_status & VMB_SRB_AUTOSENSE_VALID))
		return;
	if (len > offered)
		len = offered;
	event->sense_len = (uint8_t)len;
	memcpy(event->sense, srb->u.sense, len);
	event->capacity_changed = may_say_changed(event->srb_status) &&
				  says_changed(event->sense, len);
}

/* If one status says success and the other error, the data has not moved. */
static uint8_t settle_status(const struct vmb_stor_packet *packet)
{
	uint8_t status = packet->u.srb.srb_status & VMB_SRB_STATUS_MASK;

	if (status == VMB_SRB_PENDING)
		return VMB_SRB_ERROR;
	if (status == VMB_SRB_SUCCESS && (packet->status & NTSTATUS_ERROR) == NTSTATUS_ERROR)
		return VMB_SRB_ERROR;
	return status;
}

static void read_completion(const struct vmb_guest_storage_slot *slot,
			    const struct vmb_stor_packet *packet,
			    struct vmb_guest_storage_event *event)
{
	uint32_t moved = packet->u.srb.data_transfer_len;

	event->srb_status = settle_status(packet);
	event->scsi_status = packet->u.srb.scsi_status;
	if (event->srb_status == VMB_SRB_SUCCESS || event->srb_status == VMB_SRB_DATA_OVERRUN)
		event->data_len = moved < slot->data_len ? moved : slot->data_len;
	read_sense(&packet->u.srb, slot->sense_len, event);
}

static int malformed(struct vmb_guest_storage *s)
{
	s->counters.malformed++;
	return VMB_EPROTO;
}

static int forged(struct vmb_guest_storage *s)
{
	s->counters.forged++;
	return VMB_EPROTO;
}

static int request_completed(struct vmb_guest_storage *s, uint64_t id,
			     const struct vmb_stor_packet *packet, uint32_t len,
			     struct vmb_guest_storage_event *event)
{
	uint32_t index = (uint32_t)id - 1;
	uint32_t generation = (uint32_t)(id >> 32);
	struct vmb_guest_storage_slot *slot;
	bool abandoned = false;

	if (index >= s->slot_count)
		return forged(s);
	if (len < s->packet_len)
		return malformed(s);
	slot = &s->slots[index];
	if (!slot_take(slot, generation, SLOT_IN_FLIGHT)) {
		abandoned = slot_take(slot, generation, SLOT_ABANDONED);
		if (!abandoned)
			return forged(s);
	}
	s->counters.completed++;
	event->type = VMB_GUEST_STORAGE_COMPLETED;
	event->slot = index;
	event->cookie = abandoned ? NULL : slot->cookie;
	read_completion(slot, packet, event);
	slot_free(slot);
	return 0;
}

/* A host that comes back answers all that it was asked meanwhile. */
static bool reset_answered_again(struct vmb_guest_storage *s, uint64_t id)
{
	if (!s->reset_repeats || id != s->out.transaction_id)
		return false;
	s->reset_repeats--;
	return true;
}

static int control_completed(struct vmb_guest_storage *s, uint64_t id,
			     const struct vmb_stor_packet *packet,
			     struct vmb_guest_storage_event *event)
{
	if (!slot_take(&s->control, (uint32_t)(id >> 32), SLOT_IN_FLIGHT))
		return reset_answered_again(s, id) ? 0 : forged(s);
	slot_free(&s->control);
	if (s->state == VMB_GUEST_STORAGE_READY)
		event->type = VMB_GUEST_STORAGE_RESET_DONE;
	else
		step_done(s, packet, event);
	return 0;
}

static int completed(struct vmb_guest_storage *s, uint64_t id, const struct vmb_stor_packet *packet,
		     uint32_t len, struct vmb_guest_storage_event *event)
{
	if (len < VMB_STOR_PACKET_LEN_OLD || packet->operation != VMB_STOR_COMPLETE_IO)
		return malformed(s);
	if ((uint32_t)id == ID_CONTROL)
		return control_completed(s, id, packet, event);
	return request_completed(s, id, packet, len, event);
}

/* Unsolicited packets of the host; NOTHING: known and ignored. */
static const struct {
	bool legal;
	enum vmb_guest_storage_event_type event;
} unasked[VMB_STOR_OPERATION_COUNT] = {
	[VMB_STOR_REMOVE_DEVICE] = { true, VMB_GUEST_STORAGE_RESCAN },
	[VMB_STOR_ENUMERATE_BUS] = { true, VMB_GUEST_STORAGE_RESCAN },
	[VMB_STOR_EVENT_NOTIFICATION] = { true, VMB_GUEST_STORAGE_NOTHING },
};

static int said_unasked(struct vmb_guest_storage *s, const struct vmb_stor_packet *packet,
			uint32_t len, struct vmb_guest_storage_event *event)
{
	if (len < offsetof(struct vmb_stor_packet, u) ||
	    packet->operation >= VMB_STOR_OPERATION_COUNT || !unasked[packet->operation].legal)
		return malformed(s);
	s->counters.events++;
	/* Before the handshake is over nothing could be scanned again. */
	if (s->state == VMB_GUEST_STORAGE_READY)
		event->type = unasked[packet->operation].event;
	return 0;
}

bool vmb_guest_storage_ends_request(const struct vmb_guest_storage *s, uint16_t type,
				    uint64_t transaction_id)
{
	return type == VMB_PKT_COMPLETION && (uint32_t)transaction_id - 1 < s->slot_count;
}

/* No field that is read lies behind the packet's old length. */
VMB_ASSERT_OFFSET(struct vmb_stor_packet, u.srb.u.sense[VMB_STOR_SENSE_LEN],
		  VMB_STOR_PACKET_LEN_OLD);

int vmb_guest_storage_input(struct vmb_guest_storage *s, uint16_t type, uint64_t transaction_id,
			    const void *payload, uint32_t len,
			    struct vmb_guest_storage_event *event)
{
	const struct vmb_stor_packet *packet = payload;

	memset(event, 0, sizeof(*event));
	if (type == VMB_PKT_COMPLETION)
		return completed(s, transaction_id, packet, len, event);
	if (type == VMB_PKT_INBAND)
		return said_unasked(s, packet, len, event);
	return malformed(s);
}

int vmb_guest_storage_fail_next(struct vmb_guest_storage *s, struct vmb_guest_storage_event *event)
{
	struct vmb_guest_storage_slot *slot;
	uint32_t index;
	bool lost;

	memset(event, 0, sizeof(*event));
	for (index = 0; index < s->slot_count; index++) {
		slot = &s->slots[index];
		lost = slot_take(slot, slot_generation(slot), SLOT_ABANDONED);
		if (!lost && !slot_take(slot, slot_generation(slot), SLOT_IN_FLIGHT))
			continue;
		event->type = VMB_GUEST_STORAGE_COMPLETED;
		event->slot = index;
		event->cookie = lost ? NULL : slot->cookie;
		event->srb_status = VMB_SRB_NO_DEVICE;
		slot_free(slot);
		return 0;
	}
	return VMB_EAGAIN;
}
