// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's storage controller, or its IDE unit, against any packet in any order. Each request is
 * answered at most once.
 */
#include "fuzz/disk.h"
#include "host/storage.h"

struct bed {
	struct vmb_host_storage s;
	struct fuzz_disks disks;
	struct vmb_host_storage_io io;
	bool broken;
};

static void finish(struct bed *b, struct fuzz *f, int step)
{
	struct vmb_host_scsi_task *task = &b->io.task;

	if (step == VMB_HOST_STORAGE_WANT_DATA) {
		FUZZ_CHECK(task->want_len <= VMB_HOST_SCSI_DATA_MAX);
		FUZZ_CHECK(task->want_len <= task->transfer_len);
		fuzz_parameters(f, task);
		step = vmb_host_storage_data(&b->s, &b->io);
	}
	if (step == VMB_HOST_STORAGE_DO) {
		fuzz_check_backend(task);
		step = vmb_host_storage_done(&b->s, &b->io, fuzz_u8(f) % 5);
		FUZZ_CHECK(step == VMB_HOST_STORAGE_REPLY);
	}
	FUZZ_CHECK(step == VMB_HOST_STORAGE_REPLY || step == VMB_HOST_STORAGE_NOTHING ||
		   step == VMB_EPROTO);
	if (step == VMB_HOST_STORAGE_REPLY) {
		FUZZ_CHECK(b->io.reply_len && b->io.reply_len <= VMB_STOR_PACKET_LEN);
		FUZZ_CHECK(task->data_len <= VMB_HOST_SCSI_DATA_MAX);
	}
	b->broken = step == VMB_EPROTO;
}

static void run_packet(struct bed *b, struct fuzz *f, const struct vmb_host_storage_packet *packet,
		       uint32_t memory_len)
{
	int step = vmb_host_storage_input(&b->s, &b->io, packet);

	FUZZ_CHECK(step < 0 || b->io.transaction_id == packet->transaction_id);
	if (step == VMB_HOST_STORAGE_DO || step == VMB_HOST_STORAGE_WANT_DATA)
		FUZZ_CHECK(b->io.task.transfer_len <= memory_len);
	if (step == VMB_HOST_STORAGE_REPLY)
		FUZZ_CHECK(b->io.task.data_len <= memory_len);
	finish(b, f, step);
	FUZZ_CHECK(!b->s.config.ide || !b->s.sub_channel_wanted);
}

static void op_packet(struct bed *b, struct fuzz *f)
{
	static const uint16_t types[] = { VMB_PKT_INBAND, VMB_PKT_GPA_DIRECT };
	struct vmb_host_storage_packet packet;
	uint8_t how = fuzz_u8(f), *payload;
	uint32_t memory_len = 0, have;

	memset(&packet, 0, sizeof(packet));
	packet.type = how & 0x80 ? fuzz_u16(f) : types[how & 1];
	packet.flags = how & 0x40 ? fuzz_u16(f) : VMB_PKT_FLAG_COMPLETION_REQUESTED;
	packet.transaction_id = fuzz_u8(f);
	packet.payload_len = how & 0x20 ? fuzz_u8(f) : VMB_STOR_PACKET_LEN;
	if (packet.type == VMB_PKT_GPA_DIRECT) {
		packet.range_count = how & 0x10 ? fuzz_u32(f) : 1;
		packet.range.byte_count = how & 8 ? fuzz_u32(f) : fuzz_u16(f);
		packet.range.byte_offset = how & 4 ? fuzz_u32(f) : 0;
		packet.pfn_count = fuzz_u16(f) % 300;
		have = packet.pfn_count * VMB_PAGE_LEN;
		if (packet.range.byte_offset < VMB_PAGE_LEN && have > packet.range.byte_offset)
			memory_len = have - packet.range.byte_offset;
		if (memory_len > packet.range.byte_count)
			memory_len = packet.range.byte_count;
	}
	packet.sub_channel = (how & 0x82) == 0x82; /* where a type is any, and the header exact */
	payload = fuzz_exact(f, packet.payload_len);
	if (packet.payload_len > 3 && how & 2)
		payload[1] = payload[2] = payload[3] = 0;
	packet.payload = payload;
	run_packet(b, f, &packet, memory_len);
	free(payload);
}

/* A well-formed command, mostly over as much memory as it says. */
static void op_command(struct bed *b, struct fuzz *f)
{
	struct vmb_stor_packet payload = { .operation = VMB_STOR_EXECUTE_SRB,
					   .flags = VMB_STOR_FLAG_REQUEST_COMPLETION };
	struct vmb_host_storage_packet packet = { .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
						  .transaction_id = 9,
						  .payload = &payload,
						  .payload_len = sizeof(payload) };
	uint32_t len = fuzz_u16(f), memory_len = fuzz_u8(f) < 224 ? len : fuzz_u16(f);

	payload.u.srb.length = VMB_STOR_SRB_LEN;
	payload.u.srb.target_id = b->s.config.target_id;
	payload.u.srb.lun = fuzz_u8(f) % 5;
	payload.u.srb.sense_len = VMB_STOR_SENSE_LEN;
	payload.u.srb.data_in = fuzz_u8(f) % 3;
	payload.u.srb.data_transfer_len = len;
	payload.u.srb.cdb_len =
		fuzz_known_cdb(f, payload.u.srb.lun == 2 ? VMB_HOST_SCSI_DVD : VMB_HOST_SCSI_DISK,
			       payload.u.srb.u.cdb);
	packet.type = memory_len ? VMB_PKT_GPA_DIRECT : VMB_PKT_INBAND;
	packet.range_count = !!memory_len;
	packet.range.byte_count = memory_len;
	packet.pfn_count = (memory_len + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
	run_packet(b, f, &packet, memory_len);
	if (b->s.config.ide && b->s.state == VMB_HOST_STORAGE_READY)
		FUZZ_CHECK(b->io.reply.u.srb.path_id == 1 && b->io.reply.u.srb.target_id == 1);
}

static void op_handshake(struct bed *b, struct fuzz *f)
{
	static const uint32_t operations[] = { VMB_STOR_BEGIN_INITIALIZATION,
					       VMB_STOR_QUERY_PROTOCOL_VERSION,
					       VMB_STOR_QUERY_PROPERTIES,
					       VMB_STOR_END_INITIALIZATION };
	static const uint16_t versions[] = { VMB_STOR_VERSION_6_2, VMB_STOR_VERSION_6_0,
					     VMB_STOR_VERSION_5_1, VMB_STOR_VERSION_4_2,
					     VMB_STOR_VERSION_2_0 };
	struct vmb_stor_packet payload = { .flags = VMB_STOR_FLAG_REQUEST_COMPLETION };
	struct vmb_host_storage_packet packet = { .type = VMB_PKT_INBAND,
						  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
						  .payload = &payload,
						  .payload_len = sizeof(payload) };
	uint16_t version = versions[fuzz_u8(f) % 5];
	uint32_t i;

	vmb_host_storage_reset(&b->s);
	for (i = 0; i < 4; i++) {
		payload.operation = operations[i];
		payload.u.version.major_minor = i == 1 ? version : 0;
		run_packet(b, f, &packet, 0);
	}
	FUZZ_CHECK(b->s.state == VMB_HOST_STORAGE_READY);
}

static void op_device(struct bed *b, struct fuzz *f)
{
	struct vmb_stor_packet event;
	uint32_t lun = fuzz_u8(f) % (b->s.config.ide ? 1 : 4), len;

	switch (fuzz_u8(f) % 4) {
	case 0: vmb_host_storage_detach(&b->s, lun); break;
	case 1: vmb_host_storage_attach(&b->s, lun, &b->disks.units[lun]); break;
	case 2:
		if (b->s.bus.luns[lun])
			vmb_host_storage_resized(&b->s, lun);
		break;
	case 3:
		while (vmb_host_storage_event(&b->s, &event, &len)) {
			FUZZ_CHECK(len && len <= sizeof(event));
			vmb_host_storage_event_done(&b->s);
		}
		break;
	}
}

/* The length says which, so that all bytes mean what they always did. */
static void be_ide(struct bed *b, bool dvd)
{
	const struct vmb_host_storage_config config = { .ide = true, .path_id = 1, .target_id = 1 };
	struct vmb_host_scsi_lun *unit = &b->disks.units[dvd ? 2 : 0];

	FUZZ_CHECK(!vmb_host_storage_init(&b->s, &config));
	b->s.bus.luns[0] = unit;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_packet, op_packet, op_command, op_command, op_command, op_handshake, op_device,
	};
	static struct bed b;
	struct vmb_host_storage_config config = { .max_sub_channel_count = 4 };
	struct fuzz f = { bytes, len };

	memset(&b, 0, sizeof(b));
	FUZZ_CHECK(!vmb_host_storage_init(&b.s, &config));
	fuzz_disks_init(&b.disks, &b.s.bus);
	if (len % 4 >= 2)
		be_ide(&b, len % 2);
	while (f.len && !b.broken)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	return 0;
}
