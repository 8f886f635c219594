/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A network card's worker thread without KVM. The test is the guest: it fills rings in guest memory
 * by hand, so it can also be a hostile one. Bus and backend are played here; what they are told is
 * kept. For one test program: everything is static.
 */
#ifndef TESTS_VMM_NETWORK_BED_H
#define TESTS_VMM_NETWORK_BED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/network_frame.h"
#include "devices/network.h"
#include "vmm/memory.h"

#define BED		__attribute__((unused)) static
#define MIB		(1ull << 20)
#define PAGE		4096u
#define RING_PAGES	9u /* each way: 32 KiB of data */
#define RING_LEN	((RING_PAGES - 1) * PAGE)
#define RING_GPA(queue) (0x100000ull + (queue)*0x20000ull)
#define DATA_GPA	0x400000ull
#define RECEIVE_GPA	0x1000000ull
#define SEND_GPA	0x2000000ull
#define SEND_LEN	(16 * PAGE)
#define RECEIVE_ID	1u /* GPADLs */
#define SEND_ID		2u
#define QUEUES		4u
#define KEPT_MAX	512u
#define WAIT_MS		5000

struct kept { /* a frame that went to the backend */
	uint8_t bytes[66000];
	uint32_t len;
	struct virtio_net_hdr_v1 header;
};

/* Shared with the worker, under mutex. */
static struct {
	pthread_mutex_t mutex;
	struct kept *frames; /* at the backend */
	uint32_t frame_count;
	bool full;
	bool unplugged;
	struct vmb_dev_net_frame in; /* for the guest; iov NULL: none */
	int event;
	struct vmb_dev_channel *subs[QUEUES]; /* offered */
	uint32_t offer_count;
	uint32_t stopped_count;
	uint32_t mapped_count; /* shared and not unshared */
} bed = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static struct vmb_dev_machine machine;
static struct vmb_dev_bus bus;
static struct vmb_dev_device device;
static struct vmb_dev_network *card; /* its state */
static struct vmb_ring_writer tx[QUEUES];
static struct vmb_ring_reader rx[QUEUES];
static uint32_t receive_len = 64 * PAGE;
static bool backend_takes_large;
/* On the worker's thread, after each frame that the backend took. number: of the frame, from 0. */
static void (*after_send)(uint32_t number, uint32_t len);
/* The same, before a frame from the backend reaches the card. */
static void (*before_receive)(void);

BED void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

BED uint32_t peek(const uint32_t *value)
{
	uint32_t now;

	pthread_mutex_lock(&bed.mutex);
	now = *value;
	pthread_mutex_unlock(&bed.mutex);
	return now;
}

/* Waits until *value is at least this. */
BED void await(const uint32_t *value, uint32_t least)
{
	for (int ms = WAIT_MS; peek(value) < least; ms--) {
		assert_int_not_equal(ms, 0);
		nap();
	}
}

/* The bus */

int vmb_dev_bus_attach(struct vmb_dev_bus *b, struct vmb_dev_channel *channel)
{
	uint16_t index = channel->host.sub_channel_index;

	channel->bus = b;
	channel->bell = (struct vmb_dev_bell){ .fd = vmb_dev_event_create() };
	assert_true(channel->bell.fd >= 0);
	if (!index)
		return 0;
	pthread_mutex_lock(&bed.mutex);
	bed.subs[index] = channel;
	bed.offer_count++;
	pthread_mutex_unlock(&bed.mutex);
	return 0;
}

void vmb_dev_bus_detach(struct vmb_dev_channel *channel)
{
	if (channel->bus)
		close(channel->bell.fd);
	channel->bus = NULL;
}

void vmb_dev_bus_signal(struct vmb_dev_channel *channel)
{
	__atomic_fetch_add(&channel->signals, 1, __ATOMIC_RELAXED);
}

void vmb_dev_bus_stopped(struct vmb_dev_channel *channel)
{
	pthread_mutex_lock(&bed.mutex);
	bed.stopped_count++;
	pthread_mutex_unlock(&bed.mutex);
}

int vmb_dev_bus_share(struct vmb_dev_channel *channel, uint32_t gpadl_id,
		      struct vmb_dev_shared *shared)
{
	bool receive = gpadl_id == RECEIVE_ID;

	assert_ptr_equal(channel, &card->channel);
	memset(shared, 0, sizeof(*shared));
	if (!receive && gpadl_id != SEND_ID)
		return -ENOENT;
	shared->len = receive ? receive_len : SEND_LEN;
	shared->memory =
		vmb_dev_memory_at(&machine.memory, receive ? RECEIVE_GPA : SEND_GPA, shared->len);
	pthread_mutex_lock(&bed.mutex);
	bed.mapped_count++;
	pthread_mutex_unlock(&bed.mutex);
	return 0;
}

void vmb_dev_bus_unshare(struct vmb_dev_channel *channel, struct vmb_dev_shared *shared)
{
	if (!shared->memory)
		return;
	memset(shared, 0, sizeof(*shared));
	pthread_mutex_lock(&bed.mutex);
	bed.mapped_count--;
	pthread_mutex_unlock(&bed.mutex);
}

/* The backend */

static uint32_t backend_fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max,
			     int *timeout)
{
	fds[0] = (struct pollfd){ .fd = bed.event, .events = POLLIN };
	return 1;
}

static void backend_take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
	struct vmb_dev_net_frame frame;
	uint64_t value;

	assert_int_equal(count, 1);
	if (!fds[0].revents || read(bed.event, &value, sizeof(value)) < 0)
		return;
	pthread_mutex_lock(&bed.mutex);
	frame = bed.in;
	net->link_up = !bed.unplugged;
	pthread_mutex_unlock(&bed.mutex);
	if (!frame.iov)
		return;
	if (before_receive)
		before_receive();
	net->receive(net->arg, &frame);
	pthread_mutex_lock(&bed.mutex);
	bed.in.iov = NULL;
	pthread_mutex_unlock(&bed.mutex);
}

static const struct vmb_dev_net_ops backend_ops = { .name = "bed",
						    .fill = backend_fill,
						    .take = backend_take };

int vmb_dev_net_open(struct vmb_dev_net *net, const struct vmb_dev_net_option *option,
		     vmb_dev_net_receive *receive, void *arg)
{
	memset(net, 0, sizeof(*net));
	net->ops = &backend_ops;
	net->receive = receive;
	net->arg = arg;
	net->takes_large = backend_takes_large;
	net->link_up = true;
	net->mtu_max = option->mtu_max;
	return 0;
}

int vmb_dev_net_prepare(struct vmb_dev_net *net)
{
	return 0;
}

void vmb_dev_net_close(struct vmb_dev_net *net)
{
}

enum vmb_dev_net_sent vmb_dev_net_send(struct vmb_dev_net *net,
				       const struct vmb_dev_net_frame *frame)
{
	enum vmb_dev_net_sent sent = VMB_DEV_NET_FULL;
	struct kept *kept;
	uint32_t number;

	pthread_mutex_lock(&bed.mutex);
	number = bed.frame_count;
	if (!bed.full) {
		sent = VMB_DEV_NET_SENT;
		kept = &bed.frames[bed.frame_count++ % KEPT_MAX];
		kept->header = frame->header;
		kept->len = 0;
		for (uint32_t i = 0; i < frame->iov_count; i++) {
			memcpy(kept->bytes + kept->len, frame->iov[i].iov_base,
			       frame->iov[i].iov_len);
			kept->len += frame->iov[i].iov_len;
		}
		assert_int_equal(kept->len, frame->len);
	}
	pthread_mutex_unlock(&bed.mutex);
	if (after_send && sent == VMB_DEV_NET_SENT)
		after_send(number, frame->len);
	return sent;
}

BED void poke_backend(void)
{
	const uint64_t one = 1;

	assert_int_equal(write(bed.event, &one, sizeof(one)), sizeof(one));
}

/* Hands a frame to the card and waits until it has seen it. */
BED void inject(const void *bytes, uint32_t len, const struct virtio_net_hdr_v1 *header)
{
	/* Two pieces, so that headers need not be in one. */
	struct iovec iov[2] = { { (void *)bytes, 20 }, { (uint8_t *)bytes + 20, len - 20 } };

	pthread_mutex_lock(&bed.mutex);
	bed.in = (struct vmb_dev_net_frame){ .iov = iov, .iov_count = 2, .len = len };
	if (header)
		bed.in.header = *header;
	pthread_mutex_unlock(&bed.mutex);
	poke_backend();
	for (int ms = WAIT_MS;; ms--) {
		pthread_mutex_lock(&bed.mutex);
		if (!bed.in.iov)
			break;
		pthread_mutex_unlock(&bed.mutex);
		assert_int_not_equal(ms, 0);
		nap();
	}
	pthread_mutex_unlock(&bed.mutex);
}

/* The guest */

BED uint8_t *at(uint64_t gpa)
{
	return vmb_dev_memory_at(&machine.memory, gpa, 1);
}

BED struct vmb_dev_channel *channel_of(uint32_t queue)
{
	return queue ? bed.subs[queue] : &card->channel;
}

BED void open_queue(uint32_t queue)
{
	struct vmb_dev_channel *ch = channel_of(queue);
	uint8_t *up = at(RING_GPA(queue)), *down = up + RING_PAGES * PAGE;

	assert_int_equal(vmb_ring_writer_init(&tx[queue], up, up + PAGE, RING_LEN, true), 0);
	assert_int_equal(vmb_ring_reader_init(&rx[queue], down, down + PAGE, RING_LEN, true), 0);
	assert_int_equal(vmb_ring_reader_init(&ch->rx, up, up + PAGE, RING_LEN, false), 0);
	assert_int_equal(vmb_ring_writer_init(&ch->tx, down, down + PAGE, RING_LEN, false), 0);
	assert_int_equal(ch->ops->start(ch), 0);
}

BED void close_queue(uint32_t queue)
{
	struct vmb_dev_channel *ch = channel_of(queue);
	uint32_t before = peek(&bed.stopped_count);

	ch->ops->stop(ch);
	await(&bed.stopped_count, before + 1);
}

/* The guest has let go of a sub-channel. */
BED void release_queue(uint32_t queue)
{
	struct vmb_dev_channel *ch = channel_of(queue);

	bed.subs[queue] = NULL;
	ch->ops->released(ch);
}

BED void ring_doorbell(uint32_t queue)
{
	const uint64_t one = 1;

	assert_int_equal(write(channel_of(queue)->bell.fd, &one, sizeof(one)), sizeof(one));
}

BED int post(uint32_t queue, uint16_t type, const void *header, uint32_t header_len,
	     const void *payload, uint32_t payload_len, uint64_t id)
{
	const struct vmb_ring_part head = { header, header_len }, body = { payload, payload_len };
	const struct vmb_ring_packet packet = {
		.type = type,
		.flags = type == VMB_PKT_COMPLETION ? 0 : VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = id,
		.header = &head,
		.header_count = header_len ? 1 : 0,
		.payload = &body,
		.payload_count = payload_len ? 1 : 0,
	};

	return vmb_ring_write(&tx[queue], &packet);
}

/* Also where the protocol needs no signal: the worker must cope. */
BED void publish(uint32_t queue)
{
	vmb_ring_commit(&tx[queue]);
	ring_doorbell(queue);
}

struct got { /* a packet of the host's */
	uint16_t type;
	uint64_t id;
	uint8_t header[4600], payload[128];
	uint32_t header_len, payload_len;
};

/* False: none came within the time. */
BED bool receive(uint32_t queue, struct got *got, int ms)
{
	struct vmb_ring_received received;
	int error;

	while ((error = vmb_ring_read(&rx[queue], &received)) == VMB_EAGAIN && ms-- > 0)
		nap();
	if (error == VMB_EAGAIN)
		return false;
	assert_int_equal(error, 0);
	got->type = received.type;
	got->id = received.transaction_id;
	got->header_len = received.header_len;
	got->payload_len = received.payload_len;
	assert_true(received.header_len <= sizeof(got->header));
	assert_true(received.payload_len <= sizeof(got->payload));
	assert_true(vmb_ring_copy(&rx[queue], &received, 16, got->header, received.header_len));
	assert_true(vmb_ring_copy(&rx[queue], &received, 16 + received.header_len, got->payload,
				  received.payload_len));
	vmb_ring_next(&rx[queue], &received);
	if (vmb_ring_release(&rx[queue]))
		ring_doorbell(queue);
	return true;
}

BED uint32_t word(const void *bytes, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)bytes + offset, sizeof(value));
	return value;
}

/* Answers the completion of id, whose first word is type. */
BED struct got expect_completion(uint32_t queue, uint64_t id, uint32_t type)
{
	struct got got;

	assert_true(receive(queue, &got, WAIT_MS));
	assert_int_equal(got.type, VMB_PKT_COMPLETION);
	assert_int_equal(got.id, id);
	assert_int_equal(word(got.payload, 0), type);
	return got;
}

BED void acknowledge(uint32_t queue, uint64_t id)
{
	const struct vmb_net_rndis_packet_complete done = { VMB_NET_SEND_RNDIS_PACKET_COMPLETE,
							    VMB_NET_STATUS_SUCCESS };

	assert_int_equal(post(queue, VMB_PKT_COMPLETION, NULL, 0, &done, sizeof(done), id), 0);
	publish(queue);
}

BED void command(const void *message, uint32_t len, uint32_t answer_type)
{
	uint8_t bytes[40] = { 0 };

	memcpy(bytes, message, len);
	assert_int_equal(post(0, VMB_PKT_INBAND, NULL, 0, bytes, sizeof(bytes), 7), 0);
	publish(0);
	if (answer_type) {
		expect_completion(0, 7, answer_type);
	} else {
		struct got got;

		assert_true(receive(0, &got, WAIT_MS));
		assert_int_equal(got.payload_len, 0);
	}
}

/* Ranges of a GPA-direct packet: len bytes from DATA_GPA + offset on. */
struct ranges {
	uint32_t reserved, range_count;
	struct vmb_gpa_range range;
	uint64_t pfns[20];
};

BED uint32_t make_ranges(struct ranges *r, uint32_t offset, uint32_t len)
{
	uint32_t count = (offset % PAGE + len + PAGE - 1) / PAGE;

	memset(r, 0, sizeof(*r));
	r->range_count = 1;
	r->range.byte_count = len;
	r->range.byte_offset = offset % PAGE;
	for (uint32_t i = 0; i < count; i++)
		r->pfns[i] = (DATA_GPA + offset) / PAGE + i;
	return 16 + 8 * count;
}

/* Sends the RNDIS message of len bytes that lies at DATA_GPA + offset. */
BED void send_pages(uint32_t queue, uint32_t channel_type, uint32_t offset, uint32_t len,
		    uint64_t id)
{
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, channel_type,
						      VMB_NET_SECTION_NONE, 0 };
	struct ranges ranges;
	uint32_t header_len = make_ranges(&ranges, offset, len);
	uint8_t payload[40] = { 0 };

	memcpy(payload, &message, sizeof(message));
	assert_int_equal(post(queue, VMB_PKT_GPA_DIRECT, &ranges, header_len, payload,
			      sizeof(payload), id),
			 0);
	publish(queue);
}

/* A transfer-page packet: range number index of the receive buffer. */
BED const uint8_t *received_at(const struct got *got, uint32_t index, uint32_t *len)
{
	assert_int_equal(got->type, VMB_PKT_TRANSFER_PAGES);
	assert_int_equal(word(got->header, 0) & 0xFFFF, 0xCAFE);
	assert_true(index < word(got->header, 4));
	*len = word(got->header, 8 + 8 * index);
	return at(RECEIVE_GPA) + word(got->header, 12 + 8 * index);
}

/* One RNDIS request and its reply's status. */
BED uint32_t control(const void *message, uint32_t len, uint32_t status_at)
{
	struct got got;
	uint32_t reply_len, status;
	const uint8_t *reply;
	bool replied = false, completed = false;

	memcpy(at(DATA_GPA), message, len);
	send_pages(0, VMB_NET_CONTROL, 0, len, 9);
	status = ~0u;
	while (!replied || !completed) {
		assert_true(receive(0, &got, WAIT_MS));
		if (got.type == VMB_PKT_COMPLETION) {
			assert_int_equal(word(got.payload, 4), VMB_NET_STATUS_SUCCESS);
			completed = true;
		} else if (got.type == VMB_PKT_TRANSFER_PAGES) {
			reply = received_at(&got, 0, &reply_len);
			if (word(reply, 0) & RNDIS_COMPLETION) {
				status = word(reply, status_at);
				replied = true;
			}
			acknowledge(0, got.id);
		}
	}
	return status;
}

BED void set_oid(uint32_t oid, const void *value, uint32_t len)
{
	struct {
		struct rndis_query query;
		uint8_t value[300];
	} set = { .query = { .header = { RNDIS_SET, sizeof(struct rndis_query) + len },
			     .request_id = 3,
			     .oid = oid,
			     .buffer_len = len,
			     .buffer_offset = 20 } };

	memcpy(set.value, value, len);
	assert_int_equal(control(&set, sizeof(set.query) + len, 12), RNDIS_STATUS_SUCCESS);
}

/* Up to a card that receives. parameters: NDIS_PARAMETER_* for checksums, the rest off. */
BED void handshake(uint32_t mtu, uint8_t checksums, uint8_t rsc)
{
	const struct vmb_net_init init = { VMB_NET_INIT, VMB_NET_VERSION_6_1, VMB_NET_VERSION_6_1 };
	const struct vmb_net_ndis_config config = { VMB_NET_SEND_NDIS_CONFIG, mtu + 14, 0,
						    VMB_NET_CAP_VLAN | VMB_NET_CAP_RSC };
	const struct vmb_net_ndis_version version = { VMB_NET_SEND_NDIS_VERSION, 6, 30 };
	const struct vmb_net_buffer receive_buffer = { VMB_NET_SEND_RECEIVE_BUFFER, RECEIVE_ID,
						       0xCAFE };
	const struct vmb_net_buffer send_buffer = { VMB_NET_SEND_SEND_BUFFER, SEND_ID, 0 };
	const struct rndis_initialize initialize = { { RNDIS_INITIALIZE, 24 }, 1, 1, 0, 0x4000 };
	struct ndis_offload_parameters offload = {
		.object = { NDIS_OBJECT_DEFAULT, 3, 28 },
		.ipv4_checksum = checksums,
		.tcp4_checksum = checksums,
		.udp4_checksum = checksums,
		.tcp6_checksum = checksums,
		.udp6_checksum = checksums,
		.lso_ipv4 = NDIS_PARAMETER_ON,
		.lso_ipv6 = NDIS_PARAMETER_ON,
		.rsc_ipv4 = rsc,
		.rsc_ipv6 = rsc,
	};
	const uint32_t filter = RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST;

	command(&init, sizeof(init), VMB_NET_INIT_COMPLETE);
	command(&config, sizeof(config), 0);
	command(&version, sizeof(version), 0);
	command(&receive_buffer, sizeof(receive_buffer), VMB_NET_SEND_RECEIVE_BUFFER_COMPLETE);
	command(&send_buffer, sizeof(send_buffer), VMB_NET_SEND_SEND_BUFFER_COMPLETE);
	assert_int_equal(control(&initialize, sizeof(initialize), 12), RNDIS_STATUS_SUCCESS);
	set_oid(RNDIS_OID_OFFLOAD_PARAMETERS, &offload, sizeof(offload));
	set_oid(RNDIS_OID_PACKET_FILTER, &filter, sizeof(filter));
}

BED int set_up(void **state)
{
	struct vmb_dev_net_option option = { .mtu_max = 9000, .queue_count = QUEUES };

	memcpy(option.mac, net_guest_mac, sizeof(option.mac));
	if (!bed.frames)
		bed.frames = malloc(KEPT_MAX * sizeof(*bed.frames));
	bed.frame_count = bed.offer_count = bed.stopped_count = bed.mapped_count = 0;
	bed.full = bed.unplugged = false;
	memset(bed.subs, 0, sizeof(bed.subs));
	bed.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bus.machine = &machine;
	bus.memory = &machine.memory;
	if (vmb_vmm_memory_create(&machine.memory, 64 * MIB, 64 * MIB) ||
	    vmb_dev_network_open(&device, &option, 0))
		return -1;
	card = device.state;
	if (device.ops->attach(card, &bus))
		return -1;
	open_queue(0);
	return 0;
}

BED int set_up_large(void **state)
{
	backend_takes_large = true;
	return set_up(state);
}

BED int tear_down(void **state)
{
	close_queue(0);
	assert_int_equal(peek(&bed.mapped_count), 0);
	device.ops->close(card);
	vmb_vmm_memory_destroy(&machine.memory);
	close(bed.event);
	backend_takes_large = false;
	after_send = NULL;
	before_receive = NULL;
	receive_len = 64 * PAGE;
	return 0;
}

#endif
