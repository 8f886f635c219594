// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's message engine against a guest that posts anything, while devices come, go, and answer
 * late. After a reset everything that the guest lent is released.
 */
#include "fuzz/fuzz.h"
#include "host/doorbell.h"

#define DEVICE_COUNT 12u
#define FIRST_PFN    0x100u
#define RAM_PAGES    0x1000u

enum duty { NOTHING, OPENING, CLOSING }; /* what the port owes the server */

struct device {
	struct vmb_host_channel channel;
	enum duty duty;
	bool modifying;
	bool used;
};

struct bed {
	struct vmb_host_server s;
	struct vmb_host_ram ram;
	struct device devices[DEVICE_COUNT];
	uint32_t gpadl_count;
	struct vmb_host_socket_request asked; /* what the guest asked for last */
	struct vmb_interrupt_page interrupt;
	struct vmb_monitor_page monitor;
};

static struct device *device_of(struct bed *b, struct vmb_host_channel *channel)
{
	struct device *d = VMB_CONTAINER_OF(channel, struct device, channel);

	FUZZ_CHECK(d >= b->devices && d < b->devices + DEVICE_COUNT && d->used);
	return d;
}

static void supply(struct bed *b, uint32_t ranges_len, bool memory)
{
	struct vmb_host_gpadl *gpadl = memory ? calloc(1, sizeof(*gpadl)) : NULL;

	FUZZ_CHECK(ranges_len && ranges_len % 8 == 0 && ranges_len <= VMB_GPADL_RANGES_LEN_MAX);
	if (gpadl) {
		gpadl->port = malloc(ranges_len);
		b->gpadl_count++;
	}
	vmb_host_gpadl_supply(&b->s, gpadl, gpadl ? gpadl->port : NULL);
}

static void check_ring(const struct vmb_host_channel *channel)
{
	struct vmb_host_gpadl_range range;
	uint32_t i;

	FUZZ_CHECK(channel->ring && vmb_host_gpadl_range(channel->ring, 0, &range));
	for (i = 0; i < range.pfn_count; i++)
		FUZZ_CHECK(range.pfns[i] >= FIRST_PFN && range.pfns[i] < FIRST_PFN + RAM_PAGES);
}

static void take_events(struct bed *b, bool memory)
{
	struct vmb_host_event event;

	while (vmb_host_server_event(&b->s, &event)) {
		switch (event.type) {
		case VMB_HOST_EVENT_OPEN:
			FUZZ_CHECK(device_of(b, event.channel)->duty == NOTHING);
			device_of(b, event.channel)->duty = OPENING;
			check_ring(event.channel);
			break;
		case VMB_HOST_EVENT_CLOSE:
			FUZZ_CHECK(device_of(b, event.channel)->duty == NOTHING);
			device_of(b, event.channel)->duty = CLOSING;
			break;
		case VMB_HOST_EVENT_MODIFY: device_of(b, event.channel)->modifying = true; break;
		case VMB_HOST_EVENT_GPADL_WANTED: supply(b, event.ranges_len, memory); break;
		case VMB_HOST_EVENT_GPADL_RELEASED:
			b->gpadl_count--;
			free(event.gpadl->port);
			free(event.gpadl);
			break;
		case VMB_HOST_EVENT_SOCKET: b->asked = *event.request; break;
		case VMB_HOST_EVENT_RELEASED: device_of(b, event.channel)->used = false; break;
		default: break;
		}
	}
}

static void post(struct bed *b, uint32_t connection_id, const void *bytes, uint32_t len)
{
	void *exact = malloc(len ? len : 1);

	memcpy(exact, bytes, len);
	vmb_host_server_input(&b->s, connection_id, 1, exact, len);
	free(exact);
	take_events(b, true);
}

static void op_raw(struct bed *b, struct fuzz *f)
{
	uint8_t message[256] = { 0 }, len = fuzz_u8(f), how = fuzz_u8(f);

	message[0] = how % 32;
	if (len > 8)
		fuzz_take(f, message + 8, len - 8);
	post(b, how & 0x80 ? 4 : 1, message, len);
}

/* Mostly a page of RAM; now and then the one before, the one behind, or anything. */
static uint64_t any_pfn(struct fuzz *f)
{
	uint8_t choice = fuzz_u8(f);

	switch (choice) {
	case 255: return FIRST_PFN - 1;
	case 254: return FIRST_PFN + RAM_PAGES;
	case 253: return fuzz_u64(f);
	default: return FIRST_PFN + choice;
	}
}

static void op_contact(struct bed *b, struct fuzz *f)
{
	static const uint32_t versions[] = { VMB_VERSION_2_4, VMB_VERSION_3_0, VMB_VERSION_4_1,
					     VMB_VERSION_5_0, VMB_VERSION_5_3, VMB_VERSION_6_0,
					     VMB_VERSION_1_1, VMB_VERSION_0_13 };
	struct vmb_msg_initiate_contact contact = { .header.type = VMB_MSG_INITIATE_CONTACT };

	contact.version = versions[fuzz_u8(f) % 8];
	contact.target_vp = fuzz_u8(f) % 8;
	if (contact.version >= VMB_VERSION_5_0)
		contact.u.v5.target_sint = 2;
	else
		contact.u.interrupt_page_gpa = any_pfn(f) << VMB_PAGE_SHIFT;
	if (b->s.config.monitors) {
		contact.parent_to_child_monitor_gpa = any_pfn(f) << VMB_PAGE_SHIFT;
		contact.child_to_parent_monitor_gpa = any_pfn(f) << VMB_PAGE_SHIFT;
	}
	post(b, contact.version >= VMB_VERSION_5_0 ? 4 : 1, &contact, 40);
}

/* A GPADL header with one range of up to 26 pages, all or some of them. */
static void op_gpadl(struct bed *b, struct fuzz *f)
{
	struct {
		struct vmb_msg_gpadl_header header;
		struct vmb_gpa_range range;
		uint64_t pfns[26];
	} VMB_PACKED m = { .header.header.type = VMB_MSG_GPADL_HEADER, .header.range_count = 1 };
	uint32_t pages = 1 + fuzz_u8(f) % 32, i;

	m.header.relid = 1 + fuzz_u8(f) % DEVICE_COUNT;
	m.header.gpadl_id = fuzz_u8(f) % 8;
	m.header.ranges_len = (uint16_t)(8 + 8 * pages);
	m.range.byte_count = pages * VMB_PAGE_LEN;
	for (i = 0; i < 26; i++)
		m.pfns[i] = any_pfn(f);
	post(b, 1, &m, 28 + 8 * (pages < 26 ? pages : 26));
}

static void op_body(struct bed *b, struct fuzz *f)
{
	struct {
		struct vmb_msg_gpadl_body body;
		uint64_t pfns[28];
	} VMB_PACKED m = { .body.header.type = VMB_MSG_GPADL_BODY };
	uint32_t count = fuzz_u8(f) % 29, i;

	m.body.gpadl_id = fuzz_u8(f) % 8;
	for (i = 0; i < count; i++)
		m.pfns[i] = any_pfn(f);
	post(b, 1, &m, 16 + 8 * count);
}

static void op_open(struct bed *b, struct fuzz *f)
{
	struct vmb_msg_open open = { .header.type = VMB_MSG_OPEN };

	open.relid = 1 + fuzz_u8(f) % DEVICE_COUNT;
	open.gpadl_id = fuzz_u8(f) % 8;
	open.downstream_page = fuzz_u8(f) % 16;
	open.target_vp = fuzz_u8(f) % 5;
	post(b, 1, &open, VMB_MSG_OPEN_LEN);
}

static void op_short(struct bed *b, struct fuzz *f)
{
	static const uint32_t types[] = { VMB_MSG_CLOSE,	  VMB_MSG_RELID_RELEASED,
					  VMB_MSG_GPADL_TEARDOWN, VMB_MSG_MODIFY_CHANNEL,
					  VMB_MSG_REQUEST_OFFERS, VMB_MSG_UNLOAD };
	struct vmb_msg_gpadl_teardown m = { .header.type = types[fuzz_u8(f) % 6] };

	m.relid = 1 + fuzz_u8(f) % DEVICE_COUNT;
	m.gpadl_id = fuzz_u8(f) % 8;
	post(b, 1, &m, sizeof(m));
}

static void answer(struct bed *b, struct device *d, uint32_t status)
{
	enum duty duty = d->duty;

	d->duty = NOTHING;
	if (duty == OPENING)
		vmb_host_channel_opened(&d->channel, status);
	else if (duty == CLOSING)
		vmb_host_channel_closed(&d->channel);
	take_events(b, true);
}

static void op_answer(struct bed *b, struct fuzz *f)
{
	struct device *d = &b->devices[fuzz_u8(f) % DEVICE_COUNT];
	uint8_t how = fuzz_u8(f);

	if (d->used && d->modifying && how & 1) {
		d->modifying = false;
		vmb_host_channel_modified(&d->channel, how & 2);
		take_events(b, true);
	} else if (d->used) {
		answer(b, d, how < 200 ? 0 : VMB_STATUS_FAILURE);
	}
}

static void op_device(struct bed *b, struct fuzz *f)
{
	struct device *d = &b->devices[fuzz_u8(f) % DEVICE_COUNT];

	if (d->used) {
		vmb_host_channel_rescind(&d->channel);
	} else {
		memset(d, 0, sizeof(*d));
		d->channel.instance_id.bytes[0] = fuzz_u8(f) % 8;
		d->channel.sub_channel_index = fuzz_u8(f) < 200 ? 0 : fuzz_u8(f) % 4;
		d->used = !vmb_host_channel_offer(&b->s, &d->channel);
	}
	take_events(b, true);
}

/* The guest asks for a connection, or the port answers the last one, or connects by itself. */
static void op_socket(struct bed *b, struct fuzz *f)
{
	struct vmb_msg_tl_connect_request m = { .header.type = VMB_MSG_TL_CONNECT_REQUEST };
	struct device *d = &b->devices[fuzz_u8(f) % DEVICE_COUNT];
	uint8_t how = fuzz_u8(f);

	if (how & 1) {
		m.endpoint_id = vmb_socket_guid(how >> 4);
		m.service_id = vmb_socket_guid(how >> 2 & 3);
		post(b, 1, &m, sizeof(m));
	} else if (how & 2) {
		vmb_host_socket_refuse(&b->s, &b->asked.endpoint_id, &b->asked.service_id);
	} else if (!d->used) {
		memset(d, 0, sizeof(*d));
		d->channel.type_id = b->asked.service_id;
		d->channel.instance_id = b->asked.endpoint_id;
		d->used = !vmb_host_socket_offer(&b->s, &d->channel, how & 4);
	}
	if (how == 255)
		vmb_host_socket_serve(&b->s, false);
	take_events(b, true);
}

static void op_send(struct bed *b, struct fuzz *f)
{
	const struct vmb_host_server_output *out;
	uint32_t count = fuzz_u8(f) % 8;

	while (count-- && (out = vmb_host_server_output(&b->s))) {
		FUZZ_CHECK(out->len >= 8 && out->len <= VMB_MSG_LEN_MAX);
		FUZZ_CHECK(out->target_vp < 4);
		vmb_host_server_output_done(&b->s);
		take_events(b, true);
	}
}

static bool in_ram(uint64_t gpa)
{
	return gpa % VMB_PAGE_LEN == 0 && gpa / VMB_PAGE_LEN >= FIRST_PFN &&
	       gpa / VMB_PAGE_LEN < FIRST_PFN + RAM_PAGES;
}

/* The pages that the port may touch are the guest's, and the guest writes them at will. */
static void op_doorbell(struct bed *b, struct fuzz *f)
{
	const struct vmb_host_channel *ch;
	uint8_t how = fuzz_u8(f);

	FUZZ_CHECK(!b->s.interrupt_page_gpa || in_ram(b->s.interrupt_page_gpa));
	FUZZ_CHECK(!b->s.monitor_gpa[0] == !b->s.monitor_gpa[1]);
	FUZZ_CHECK(!b->s.monitor_gpa[1] || in_ram(b->s.monitor_gpa[1]));
	FUZZ_CHECK(b->s.state != VMB_HOST_CONNECTED || b->s.version >= VMB_VERSION_2_4 ||
		   b->s.interrupt_page_gpa);
	b->interrupt.to_host[how % 16] = fuzz_u32(f);
	vmb_host_doorbell_take(&b->interrupt, how);
	vmb_host_doorbell_set(&b->interrupt, how * 2u);
	b->monitor.groups[how % 4].pending = fuzz_u32(f);
	vmb_host_doorbell_monitor_take(&b->monitor, how);
	ch = vmb_host_doorbell_monitored(&b->s, how);
	FUZZ_CHECK(!ch || (ch->state == VMB_HOST_CHANNEL_OPEN && ch->monitor_id == how));
	if (ch)
		vmb_host_doorbell_monitor_enable(&b->monitor, ch, how);
}

static void op_reset(struct bed *b, struct fuzz *f)
{
	if (fuzz_u8(f) < 32)
		vmb_host_server_reset(&b->s);
	take_events(b, true);
}

/* The machine is reset and every device does its duty: nothing may be left. */
static void finish(struct bed *b)
{
	uint32_t i, round;

	vmb_host_server_reset(&b->s);
	take_events(b, true);
	for (round = 0; round < 4; round++)
		for (i = 0; i < DEVICE_COUNT; i++)
			if (b->devices[i].used && b->devices[i].modifying) {
				b->devices[i].modifying = false;
				vmb_host_channel_modified(&b->devices[i].channel, 0);
				take_events(b, true);
			} else if (b->devices[i].used) {
				answer(b, &b->devices[i], 0);
			}
	FUZZ_CHECK(b->s.state == VMB_HOST_DISCONNECTED);
	for (i = 0; i < VMB_HOST_SOCKET_REQUEST_MAX; i++)
		FUZZ_CHECK(b->s.requests[i].state == VMB_HOST_SOCKET_FREE);
	for (i = 0; i < DEVICE_COUNT; i++)
		FUZZ_CHECK(!b->devices[i].used ||
			   !vmb_socket_is_offer(b->devices[i].channel.flags));
	FUZZ_CHECK(b->gpadl_count == 0 && b->s.gpadl_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_raw,	  op_contact, op_gpadl,	 op_socket, op_body, op_open,  op_open,
		op_short, op_short,   op_answer, op_device, op_send, op_reset, op_doorbell,
	};
	static struct bed b;
	struct vmb_host_server_config config = { .vp_count = 4, .ram_count = 1 };
	struct fuzz f = { bytes, len };

	memset(&b, 0, sizeof(b));
	b.ram = (struct vmb_host_ram){ FIRST_PFN, RAM_PAGES };
	config.ram = &b.ram;
	config.monitors = len & 1;
	FUZZ_CHECK(!vmb_host_server_init(&b.s, &config));
	vmb_host_socket_serve(&b.s, true);
	while (f.len)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	finish(&b);
	return 0;
}
