// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The storage protocol's host side: handshake, checks, and the frame around the SCSI target. What
 * an operation may do in which state is the table `operations`.
 */
#include "host/storage.h"

#define TRANSFER_DEFAULT (1u << 20)
#define PACKET_SLACK	 16u /* bytes that a packet may have more than the protocol's longest */

void vmb_host_storage_ide_offer(uint8_t path_id, uint8_t target_id, struct vmb_guid *instance_id,
				struct vmb_stor_offer *user)
{
	const struct vmb_stor_ide_instance instance = { .channel = path_id,
							.device = target_id,
							.mark = VMB_STOR_IDE_MARK };

	memcpy(instance_id, &instance, sizeof(*instance_id));
	memset(user, 0, sizeof(*user));
	user->path_id = path_id;
	user->target_id = target_id;
	user->flags = VMB_STOR_OFFER_EMULATED_IDE;
}

static bool address_valid(const struct vmb_host_storage_config *config)
{
	if (config->ide)
		return config->path_id <= 1 && config->target_id <= 1 &&
		       !config->max_sub_channel_count;
	return !config->path_id && !config->target_id;
}

int vmb_host_storage_init(struct vmb_host_storage *s, const struct vmb_host_storage_config *config)
{
	uint32_t max_len = config->max_transfer_len ? config->max_transfer_len : TRANSFER_DEFAULT;

	if (config->version_max && !vmb_stor_version_known(config->version_max))
		return VMB_EINVAL;
	if (max_len < VMB_HOST_STORAGE_TRANSFER_MIN || max_len % VMB_PAGE_LEN ||
	    !address_valid(config))
		return VMB_EINVAL;
	memset(s, 0, sizeof(*s));
	s->config = *config;
	s->config.max_transfer_len = max_len;
	if (!config->version_max)
		s->config.version_max = VMB_STOR_VERSION_NEWEST;
	s->bus.max_transfer_len = max_len;
	return 0;
}

void vmb_host_storage_reset(struct vmb_host_storage *s)
{
	uint32_t lun;

	s->state = VMB_HOST_STORAGE_BEGIN;
	s->version = 0;
	s->enumerate_waiting = false;
	s->sub_channels_created = false;
	s->sub_channel_wanted = 0;
	for (lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!s->bus.luns[lun])
			continue;
		vmb_host_scsi_reset(s->bus.luns[lun]);
		s->bus.luns[lun]->attention = 0; /* nobody is there who could be surprised */
	}
}

static int reply(struct vmb_host_storage *s, struct vmb_host_storage_io *io, uint32_t status)
{
	io->reply.status = status;
	if (status != VMB_STOR_STATUS_SUCCESS)
		s->counters.refused++;
	return VMB_HOST_STORAGE_REPLY;
}

static const struct {
	uint8_t srb_status;
	uint32_t status;
} statuses[] = {
	/* what the target can say; anything else is an I/O error */
	{ VMB_SRB_SUCCESS, VMB_STOR_STATUS_SUCCESS },
	{ VMB_SRB_INVALID_LUN, VMB_STOR_STATUS_DEVICE_DOES_NOT_EXIST },
	{ VMB_SRB_DATA_OVERRUN, VMB_STOR_STATUS_BUFFER_OVERFLOW },
	{ VMB_SRB_ABORTED, VMB_STOR_STATUS_CANCELLED },
};

static uint32_t status_of(uint8_t srb_status)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(statuses); i++)
		if (statuses[i].srb_status == (srb_status & VMB_SRB_STATUS_MASK))
			return statuses[i].status;
	return VMB_STOR_STATUS_IO_DEVICE_ERROR;
}

/* Turns the task's result into the completion. The reply was zeroed when the request came. */
static int complete(struct vmb_host_storage_io *io)
{
	struct vmb_host_scsi_task *task = &io->task;
	struct vmb_stor_srb *srb = &io->reply.u.srb;
	uint8_t sense_len = task->sense_len < io->sense_room ? task->sense_len : io->sense_room;

	io->reply.status = status_of(task->srb_status);
	srb->srb_status = task->srb_status;
	srb->scsi_status = task->scsi_status;
	srb->sense_len = sense_len;
	srb->data_transfer_len = task->moved_len;
	memcpy(srb->u.sense, task->sense, sense_len);
	return VMB_HOST_STORAGE_REPLY;
}

static int go_on(struct vmb_host_storage_io *io, enum vmb_host_scsi_step step)
{
	switch (step) {
	case VMB_HOST_SCSI_WANT_DATA: return VMB_HOST_STORAGE_WANT_DATA;
	case VMB_HOST_SCSI_BACKEND: return VMB_HOST_STORAGE_DO;
	default: return complete(io);
	}
}

static int begin(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		 const struct vmb_stor_packet *request)
{
	s->state = VMB_HOST_STORAGE_BEGAN;
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

static int query_version(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			 const struct vmb_stor_packet *request)
{
	uint16_t version = request->u.version.major_minor;

	if (!vmb_stor_version_known(version) || version > s->config.version_max)
		return reply(s, io, VMB_STOR_STATUS_REVISION_MISMATCH);
	s->version = version;
	s->state = VMB_HOST_STORAGE_VERSIONED;
	/* The firmware of Generation 2 stops if it does not read there what it asked for. */
	io->reply.u.version.major_minor = version;
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

static bool multi_channel(const struct vmb_host_storage *s)
{
	return s->version >= VMB_STOR_VERSION_5_1 && s->config.max_sub_channel_count > 0;
}

/* How it was before 5.1: there bit 0 of the flags means a removable device. */
static void fill_old_properties(const struct vmb_host_storage *s,
				struct vmb_stor_properties_old *properties)
{
	const struct vmb_host_scsi_lun *unit = s->bus.luns[0];

	properties->version = s->version;
	properties->path_id = s->config.path_id;
	properties->target_id = s->config.target_id;
	properties->max_transfer_bytes = s->config.max_transfer_len;
	if (!s->config.ide)
		return;
	properties->flags = VMB_STOR_PROPERTY_OLD_EMULATED_IDE;
	if (unit && unit->kind == VMB_HOST_SCSI_DVD)
		properties->flags |= VMB_STOR_PROPERTY_OLD_REMOVABLE;
}

static int query_properties(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			    const struct vmb_stor_packet *request)
{
	struct vmb_stor_properties *properties = &io->reply.u.properties;

	if (s->version < VMB_STOR_VERSION_5_1)
		fill_old_properties(s, &io->reply.u.properties_old);
	else
		properties->max_transfer_bytes = s->config.max_transfer_len;
	if (multi_channel(s)) {
		properties->flags = VMB_STOR_PROPERTY_MULTI_CHANNEL;
		properties->max_sub_channel_count = s->config.max_sub_channel_count;
	}
	s->state = VMB_HOST_STORAGE_PROPERTIED;
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

static int end(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
	       const struct vmb_stor_packet *request)
{
	s->state = VMB_HOST_STORAGE_READY;
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

static int create_sub_channels(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			       const struct vmb_stor_packet *request)
{
	uint16_t count = request->u.sub_channel_count;

	if (s->sub_channels_created)
		return reply(s, io, VMB_STOR_STATUS_INVALID_DEVICE_STATE);
	if (!multi_channel(s) || count > s->config.max_sub_channel_count)
		return reply(s, io, VMB_STOR_STATUS_INVALID_PARAMETER);
	s->sub_channels_created = true;
	s->sub_channel_wanted = count;
	io->reply.u.sub_channel_count = count;
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

/* We have no fibre. */
static int refuse_fibre(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			const struct vmb_stor_packet *request)
{
	return reply(s, io, VMB_STOR_STATUS_INVALID_DEVICE_REQUEST);
}

/* What resets a unit. An IDE channel is one device's: there is no other that could be meant. */
static bool address_is_ours(const struct vmb_host_storage *s, const struct vmb_stor_srb *srb)
{
	return s->config.ide || (srb->path_id == 0 && srb->target_id == 0);
}

static int reset_unit(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		      const struct vmb_stor_packet *request)
{
	const struct vmb_stor_srb *srb = &request->u.srb;

	if (address_is_ours(s, srb) && srb->lun < VMB_HOST_SCSI_LUN_MAX && s->bus.luns[srb->lun])
		vmb_host_scsi_reset(s->bus.luns[srb->lun]);
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

static int reset_all(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		     const struct vmb_stor_packet *request)
{
	uint32_t lun;

	for (lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->bus.luns[lun])
			vmb_host_scsi_reset(s->bus.luns[lun]);
	return reply(s, io, VMB_STOR_STATUS_SUCCESS);
}

/* The flags are there from 5.1 on. Of a packet that ends before them, zeros were read. */
static bool autosense_disabled(const struct vmb_host_storage *s, const struct vmb_stor_srb *srb)
{
	return s->version >= VMB_STOR_VERSION_5_1 &&
	       srb->srb_flags & VMB_SRB_FLAG_DISABLE_AUTOSENSE;
}

/*
 * Of IDE guests get the path wrong, and some scan several targets: the unit is at one, which is the
 * bus's 0.
 */
static void fill_address(const struct vmb_host_storage *s, struct vmb_host_scsi_task *task,
			 const struct vmb_stor_srb *srb)
{
	task->path_id = s->config.ide ? 0 : srb->path_id;
	task->target_id = srb->target_id ^ s->config.target_id;
	task->lun = srb->lun;
}

static void fill_task(const struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		      const struct vmb_stor_srb *srb)
{
	struct vmb_host_scsi_task *task = &io->task;

	fill_address(s, task, srb);
	task->cdb_len = srb->cdb_len;
	memcpy(task->cdb, srb->u.cdb, sizeof(task->cdb));
	task->direction = srb->data_in;
	task->transfer_len = srb->data_transfer_len;
	io->sense_room = srb->sense_len < VMB_STOR_SENSE_LEN ? srb->sense_len : VMB_STOR_SENSE_LEN;
	task->no_autosense = autosense_disabled(s, srb) || io->sense_room == 0;
}

static void fill_reply(const struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		       const struct vmb_stor_srb *request)
{
	struct vmb_stor_srb *srb = &io->reply.u.srb;

	srb->length = s->version >= VMB_STOR_VERSION_5_1 ? VMB_STOR_SRB_LEN : VMB_STOR_SRB_LEN_OLD;
	srb->path_id = s->config.ide ? s->config.path_id : request->path_id;
	srb->target_id = request->target_id;
	srb->lun = request->lun;
	srb->cdb_len = VMB_STOR_CDB_LEN_MAX;
}

/* Both statuses say so, since a guest may look at one of them only. */
static int refuse_srb(struct vmb_host_storage *s, struct vmb_host_storage_io *io, uint32_t status)
{
	io->reply.u.srb.srb_status = VMB_SRB_INVALID_REQUEST;
	return reply(s, io, status);
}

/* Guest memory of a request: all there, one range, no more than we take, as much as it says. */
static bool memory_valid(const struct vmb_host_storage *s,
			 const struct vmb_host_storage_packet *packet, uint32_t transfer_len)
{
	const struct vmb_gpa_range *range = &packet->range;

	if (packet->type == VMB_PKT_INBAND)
		return transfer_len == 0;
	if (packet->range_count != 1 || range->byte_offset >= VMB_PAGE_LEN)
		return false;
	if (range->byte_count > s->config.max_transfer_len || range->byte_count < transfer_len)
		return false;
	return packet->pfn_count >=
	       (range->byte_offset + range->byte_count + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
}

static int execute(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		   const struct vmb_host_storage_packet *packet,
		   const struct vmb_stor_packet *request)
{
	const struct vmb_stor_srb *srb = &request->u.srb;

	fill_reply(s, io, srb);
	if (s->state != VMB_HOST_STORAGE_READY)
		return refuse_srb(s, io, VMB_STOR_STATUS_INVALID_DEVICE_STATE);
	s->counters.requests++;
	if (!memory_valid(s, packet, srb->data_transfer_len))
		return refuse_srb(s, io, status_of(VMB_SRB_INVALID_REQUEST));
	fill_task(s, io, srb);
	return go_on(io, vmb_host_scsi_execute(&s->bus, &io->task));
}

#define IN_STATE(state) (1u << VMB_HOST_STORAGE_##state)

/* Control operations: those without a row break the protocol, EXECUTE_SRB apart. */
static const struct {
	uint32_t states;
	bool anywhere; /* also on a sub-channel; the handshake is the primary's */
	int (*run)(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		   const struct vmb_stor_packet *request);
} operations[VMB_STOR_OPERATION_COUNT] = {
	[VMB_STOR_RESET_LUN] = { IN_STATE(READY), true, reset_unit },
	[VMB_STOR_RESET_ADAPTER] = { IN_STATE(READY), true, reset_all },
	[VMB_STOR_RESET_BUS] = { IN_STATE(READY), true, reset_all },
	[VMB_STOR_BEGIN_INITIALIZATION] = { IN_STATE(BEGIN), false, begin },
	[VMB_STOR_END_INITIALIZATION] = { IN_STATE(PROPERTIED), false, end },
	[VMB_STOR_QUERY_PROTOCOL_VERSION] = { IN_STATE(BEGAN), false, query_version },
	[VMB_STOR_QUERY_PROPERTIES] = { IN_STATE(VERSIONED), false, query_properties },
	[VMB_STOR_FCHBA_DATA] = { IN_STATE(PROPERTIED), false, refuse_fibre },
	[VMB_STOR_CREATE_SUB_CHANNELS] = { IN_STATE(PROPERTIED) | IN_STATE(READY), false,
					   create_sub_channels },
};

static int control(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
		   const struct vmb_stor_packet *request, bool sub_channel)
{
	if (!(operations[request->operation].states & 1u << s->state) ||
	    (sub_channel && !operations[request->operation].anywhere))
		return reply(s, io, VMB_STOR_STATUS_INVALID_DEVICE_STATE);
	return operations[request->operation].run(s, io, request);
}

static bool packet_valid(const struct vmb_host_storage_packet *packet)
{
	if (packet->type != VMB_PKT_INBAND && packet->type != VMB_PKT_GPA_DIRECT)
		return false;
	return packet->flags & VMB_PKT_FLAG_COMPLETION_REQUESTED &&
	       packet->payload_len >= VMB_STOR_PACKET_LEN_OLD &&
	       packet->payload_len <= VMB_STOR_PACKET_LEN + PACKET_SLACK;
}

static int broken(struct vmb_host_storage *s)
{
	s->counters.broken++;
	return VMB_EPROTO;
}

int vmb_host_storage_input(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			   const struct vmb_host_storage_packet *packet)
{
	struct vmb_stor_packet request = { 0 };

	if (!packet_valid(packet))
		return broken(s);
	io->transaction_id = packet->transaction_id;
	io->reply_len = packet->payload_len < sizeof(request) ? packet->payload_len :
								sizeof(request);
	memcpy(&request, packet->payload, io->reply_len);
	memset(&io->reply, 0, sizeof(io->reply));
	io->reply.operation = VMB_STOR_COMPLETE_IO;
	io->task.data_len = 0;
	if (request.operation == VMB_STOR_EXECUTE_SRB)
		return execute(s, io, packet, &request);
	if (packet->type != VMB_PKT_INBAND || request.operation >= VMB_STOR_OPERATION_COUNT ||
	    !operations[request.operation].run)
		return broken(s);
	return control(s, io, &request, packet->sub_channel);
}

int vmb_host_storage_data(struct vmb_host_storage *s, struct vmb_host_storage_io *io)
{
	return go_on(io, vmb_host_scsi_data(&s->bus, &io->task));
}

int vmb_host_storage_done(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			  enum vmb_host_scsi_error error)
{
	vmb_host_scsi_done(&io->task, error);
	return complete(io);
}

/* A guest that is still shaking hands scans the bus afterwards anyhow. */
static void bus_changed(struct vmb_host_storage *s)
{
	if (s->state == VMB_HOST_STORAGE_READY && s->version >= VMB_STOR_VERSION_4_2)
		s->enumerate_waiting = true;
}

static void luns_changed(struct vmb_host_storage *s, uint32_t except)
{
	uint32_t lun;

	bus_changed(s);
	if (s->state != VMB_HOST_STORAGE_READY)
		return;
	for (lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (lun != except && s->bus.luns[lun])
			s->bus.luns[lun]->attention |= VMB_HOST_SCSI_LUNS_CHANGED;
}

void vmb_host_storage_attach(struct vmb_host_storage *s, uint32_t lun,
			     struct vmb_host_scsi_lun *unit)
{
	s->bus.luns[lun] = unit;
	luns_changed(s, lun);
}

void vmb_host_storage_detach(struct vmb_host_storage *s, uint32_t lun)
{
	s->bus.luns[lun] = NULL;
	luns_changed(s, lun);
}

void vmb_host_storage_resized(struct vmb_host_storage *s, uint32_t lun)
{
	if (s->state != VMB_HOST_STORAGE_READY || !s->bus.luns[lun])
		return;
	vmb_host_scsi_changed(s->bus.luns[lun]);
	bus_changed(s);
}

bool vmb_host_storage_event(const struct vmb_host_storage *s, struct vmb_stor_packet *packet,
			    uint32_t *len)
{
	if (!s->enumerate_waiting)
		return false;
	memset(packet, 0, sizeof(*packet));
	packet->operation = VMB_STOR_ENUMERATE_BUS;
	*len = s->version >= VMB_STOR_VERSION_5_1 ? VMB_STOR_PACKET_LEN : VMB_STOR_PACKET_LEN_OLD;
	return true;
}

void vmb_host_storage_event_done(struct vmb_host_storage *s)
{
	s->enumerate_waiting = false;
}
