// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The smallest guest: it connects, opens the storage device that the host offers, reads the first
 * block of its disk, and leaves. docs/porting.md goes through it step by step.
 *
 *   minimal [DISK]      a file, or "ram:1M", which is an empty disk in memory
 *
 * The guest is all that is written with guest/ and ring/. The machine that it runs on is
 * ports/user/machine.h: functions stand for hypercalls, an eventfd for the interrupt, and the host
 * with its disk is a thread of the same process. A port to an operating system replaces the calls
 * that begin with vmb_user_, and wait_interrupt().
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/storage.h"
#include "guest/connect.h"
#include "guest/doorbell.h"
#include "guest/storage.h"
#include "ports/user/machine.h"
#include "ring/ring.h"

#define RING_PAGES   4u /* of each ring: one of control, the others of data */
#define RING_LEN     (RING_PAGES * VMB_PAGE_LEN)
#define WAIT_SECONDS 10

struct guest {
	struct vmb_user_machine machine;
	struct vmb_guest_connect connect;
	struct vmb_guest_channel channel;
	struct vmb_guest_gpadl gpadl;
	uint64_t pfns[2 * RING_PAGES], data_pfn;
	uint8_t *rings, *data;
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
	struct vmb_guest_storage storage;
	struct vmb_guest_storage_slot slots[1];
};

/*
 * The interrupt. The flag is taken before the ring is looked at, because the host interrupts again
 * only when it finds the flag clear. False: nothing came for a long time.
 */
static bool wait_interrupt(struct guest *g)
{
	struct pollfd interrupt = { .fd = g->machine.synic.guest_fd, .events = POLLIN };
	eventfd_t count;

	if (poll(&interrupt, 1, WAIT_SECONDS * 1000) != 1 || eventfd_read(interrupt.fd, &count))
		return false;
	vmb_user_synic_take_flag(&g->machine.synic, g->channel.relid);
	return true;
}

/* Messages: what the core wants to say, and what the host says. */

static void post_messages(struct guest *g)
{
	const struct vmb_guest_connect_output *out;
	uint32_t status;

	while ((out = vmb_guest_connect_output(&g->connect))) {
		status = vmb_user_machine_post(&g->machine, out->connection_id, out->payload,
					       out->len);
		if (!status)
			vmb_guest_connect_output_done(&g->connect);
		else if (vmb_guest_connect_output_refused(&g->connect, status) == VMB_EAGAIN)
			usleep(1000); /* the host is busy: the same message once more */
	}
}

/* False: the slot is empty. */
static bool take_message(struct guest *g, struct vmb_guest_event *event)
{
	uint8_t message[VMB_SYNIC_PAYLOAD_MAX];
	uint32_t len = vmb_user_synic_take(&g->machine.synic, message);

	if (!len)
		return false;
	vmb_user_machine_eom(&g->machine);
	vmb_guest_connect_input(&g->connect, message, len, event);
	return true;
}

/* The first SCSI controller is taken. A channel must be added before the next message is put in. */
static void take_offer(struct guest *g, const struct vmb_msg_offer *offer)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI;

	if (!g->channel.connect && vmb_guid_equal(&offer->type_id, &scsi))
		vmb_guest_channel_add(&g->connect, &g->channel, offer);
}

/* Waits for an event of this type with status 0. */
static bool wait_event(struct guest *g, enum vmb_guest_event_type type)
{
	struct vmb_guest_event event;

	do {
		post_messages(g);
		while (take_message(g, &event)) {
			if (event.type == VMB_GUEST_EVENT_OFFER)
				take_offer(g, &event.offer);
			if (event.type == type)
				return !event.status;
			if (event.type == VMB_GUEST_EVENT_RESCIND ||
			    event.type == VMB_GUEST_EVENT_REFUSED)
				return false;
			post_messages(g);
		}
	} while (wait_interrupt(g));
	return false;
}

static bool negotiate(struct guest *g)
{
	const struct vmb_guest_connect_config config = { 0 }; /* newest version first, VP 0 */

	if (vmb_guest_connect_init(&g->connect, &config) || vmb_guest_connect_start(&g->connect) ||
	    !wait_event(g, VMB_GUEST_EVENT_CONNECTED))
		return false;
	printf("connected: VMBus %u.%u\n", g->connect.version >> 16, g->connect.version & 0xffff);
	return !vmb_guest_connect_request_offers(&g->connect) &&
	       wait_event(g, VMB_GUEST_EVENT_OFFERS_DELIVERED) && g->channel.connect;
}

/* Lends the rings to the host and opens the channel over them. */
static bool open_channel(struct guest *g)
{
	printf("offered: a SCSI controller, channel %u\n", g->channel.relid);
	if (!vmb_user_memory_alloc(&g->machine.memory, g->pfns, 2 * RING_PAGES))
		return false;
	g->rings = vmb_user_memory_map(&g->machine.memory, g->pfns, 2 * RING_PAGES);
	if (!g->rings || vmb_guest_gpadl_establish(&g->channel, &g->gpadl, g->pfns, 2 * RING_PAGES,
						   2 * RING_LEN, 0))
		return false;
	if (!wait_event(g, VMB_GUEST_EVENT_GPADL_CREATED))
		return false;
	vmb_ring_writer_init(&g->tx, g->rings, g->rings + VMB_PAGE_LEN, RING_LEN - VMB_PAGE_LEN,
			     true);
	vmb_ring_reader_init(&g->rx, g->rings + RING_LEN, g->rings + RING_LEN + VMB_PAGE_LEN,
			     RING_LEN - VMB_PAGE_LEN, true);
	if (vmb_guest_channel_open(&g->channel, &g->gpadl, RING_PAGES, 0, NULL, 0) ||
	    !wait_event(g, VMB_GUEST_EVENT_OPEN_RESULT))
		return false;
	printf("open: two rings of %u bytes\n", RING_LEN - VMB_PAGE_LEN);
	return true;
}

/* Packets: through the rings. */

static bool send_packet(struct guest *g, const struct vmb_ring_packet *packet)
{
	if (vmb_ring_write(&g->tx, packet))
		return false;
	if (vmb_ring_commit(&g->tx) && vmb_guest_doorbell_ring(&g->channel, NULL, NULL, false))
		vmb_user_machine_signal(&g->machine, g->channel.connection_id);
	return true;
}

static void send_control(struct guest *g)
{
	const struct vmb_guest_storage_output *out = vmb_guest_storage_output(&g->storage);
	struct vmb_ring_part payload;
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &payload,
					  .payload_count = 1 };

	if (!out)
		return;
	payload = (struct vmb_ring_part){ &out->packet, out->payload_len };
	packet.transaction_id = out->transaction_id;
	if (send_packet(g, &packet))
		vmb_guest_storage_output_done(&g->storage);
}

/* Reads one packet, from a private copy. False: there is none. */
static bool receive_packet(struct guest *g, struct vmb_guest_storage_event *event)
{
	struct vmb_ring_received received;
	uint8_t payload[128];
	uint32_t len;

	if (vmb_ring_read(&g->rx, &received))
		return false;
	len = received.payload_len < sizeof(payload) ? received.payload_len : sizeof(payload);
	vmb_ring_copy(&g->rx, &received, 16 + received.header_len, payload, len);
	vmb_ring_next(&g->rx, &received);
	if (vmb_ring_release(&g->rx))
		vmb_user_machine_signal(&g->machine, g->channel.connection_id);
	if (vmb_guest_storage_input(&g->storage, received.type, received.transaction_id, payload,
				    len, event))
		event->type = VMB_GUEST_STORAGE_NOTHING;
	return true;
}

/* Waits for an event of this type. */
static bool wait_storage(struct guest *g, enum vmb_guest_storage_event_type type,
			 struct vmb_guest_storage_event *event)
{
	struct vmb_guest_event message;

	do {
		send_control(g);
		while (receive_packet(g, event)) {
			if (event->type == type)
				return true;
			send_control(g);
		}
		if (take_message(g, &message) && message.type == VMB_GUEST_EVENT_RESCIND)
			return false;
	} while (wait_interrupt(g));
	return false;
}

static bool shake_hands(struct guest *g)
{
	const struct vmb_guest_storage_config config = { 0 };
	struct vmb_guest_storage_event event;

	if (vmb_guest_storage_init(&g->storage, g->slots, 1, &config) ||
	    vmb_guest_storage_start(&g->storage) ||
	    !wait_storage(g, VMB_GUEST_STORAGE_IS_READY, &event))
		return false;
	printf("ready: storage protocol %u.%u\n", g->storage.version >> 8,
	       g->storage.version & 0xff);
	return true;
}

/* One SCSI command of LUN 0 that reads data_len bytes into the data page. */
static bool command(struct guest *g, uint8_t code, uint8_t blocks, uint32_t data_len)
{
	const struct vmb_guest_storage_request request = { .cdb_len = 10,
							   .cdb = { code, [8] = blocks },
							   .direction = VMB_STOR_READ,
							   .data_len = data_len,
							   .timeout_s = WAIT_SECONDS };
	struct vmb_guest_storage_packet p;
	struct vmb_guest_storage_event event;
	struct vmb_ring_part header[2] = { { &p.gpa, sizeof(p.gpa) },
					   { &g->data_pfn, sizeof(g->data_pfn) } };
	struct vmb_ring_part payload = { &p.payload, 0 };
	struct vmb_ring_packet packet = { .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .header = header,
					  .header_count = 2,
					  .payload = &payload,
					  .payload_count = 1 };

	if (vmb_guest_storage_submit(&g->storage, 0, &request, &p))
		return false;
	packet.type = p.type;
	packet.transaction_id = p.transaction_id;
	payload.len = p.payload_len;
	return send_packet(g, &packet) && wait_storage(g, VMB_GUEST_STORAGE_COMPLETED, &event) &&
	       event.srb_status == VMB_SRB_SUCCESS && event.data_len == data_len;
}

static bool read_block(struct guest *g)
{
	uint32_t block_len;

	if (!vmb_user_memory_alloc(&g->machine.memory, &g->data_pfn, 1))
		return false;
	g->data = vmb_user_memory_page(&g->machine.memory, g->data_pfn);
	if (!command(g, 0x25, 0, 8)) /* READ CAPACITY(10): last block and block length */
		return false;
	block_len = (uint32_t)g->data[6] << 8 | g->data[7];
	if (!block_len || block_len > VMB_PAGE_LEN) /* the host says so, and there is one page */
		return false;
	if (!command(g, 0x28, 1, block_len)) /* READ(10) of block 0 */
		return false;
	printf("read: block 0, %u bytes, %02x %02x %02x %02x ...\n", block_len, g->data[0],
	       g->data[1], g->data[2], g->data[3]);
	return true;
}

/* The rings are the guest's again when the GPADL is torn down, and not before. */
static bool leave(struct guest *g)
{
	if (vmb_guest_channel_close(&g->channel) || vmb_guest_gpadl_teardown(&g->gpadl) ||
	    !wait_event(g, VMB_GUEST_EVENT_GPADL_TORNDOWN))
		return false;
	vmb_user_memory_unmap(g->rings, 2 * RING_PAGES);
	vmb_user_memory_free(&g->machine.memory, g->pfns, 2 * RING_PAGES);
	vmb_user_memory_free(&g->machine.memory, &g->data_pfn, 1);
	printf("closed\n");
	if (vmb_guest_connect_unload(&g->connect) || !wait_event(g, VMB_GUEST_EVENT_UNLOADED))
		return false;
	vmb_guest_channel_remove(&g->channel);
	printf("unloaded, %u pages left with the host\n", g->machine.memory.used_count);
	return !g->machine.memory.used_count;
}

/* The host's half: a machine with one disk. */
static bool make_machine(struct guest *g, const struct vmb_dev_disk_option *disk)
{
	const struct vmb_user_machine_config config = { .page_count = 64, .threads = true };
	const struct vmb_dev_storage_config storage = { .disks = disk, .disk_count = 1 };
	struct vmb_dev_device device;

	if (vmb_user_machine_init(&g->machine, &config))
		return false;
	if (!vmb_dev_storage_open(&device, &storage) && !vmb_user_machine_add(&g->machine, &device))
		return true;
	vmb_user_machine_destroy(&g->machine);
	return false;
}

int main(int argc, char **argv)
{
	const struct vmb_dev_disk_option disk = { .path = argc > 1 ? argv[1] : "ram:1M" };
	struct guest *g = calloc(1, sizeof(*g));
	bool good = false;

	if (g && make_machine(g, &disk)) {
		good = negotiate(g) && open_channel(g) && shake_hands(g) && read_block(g) &&
		       leave(g);
		if (!good)
			fprintf(stderr, "minimal: the step after the last one printed failed\n");
		vmb_user_machine_destroy(&g->machine);
	}
	free(g);
	return good ? 0 : 1;
}
