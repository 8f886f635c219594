// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest that opens and closes whatever it is offered, against a host that says anything: answers
 * as it should, answers with changes, or bytes out of nowhere.
 */
#include "fuzz/fuzz.h"
#include "guest/connect.h"
#include "guest/doorbell.h"
#include "guest/socket.h"

#define DEVICE_COUNT 24u
#define RING_PAGES   40u
#define DIAL_COUNT   4u

struct device {
	struct vmb_guest_channel channel;
	struct vmb_guest_gpadl gpadl;
	bool used;
};

struct bed {
	struct vmb_guest_connect c;
	struct device devices[DEVICE_COUNT];
	uint64_t pfns[RING_PAGES];
	struct vmb_guest_dial dials[DIAL_COUNT];
	bool dialled[DIAL_COUNT];
	uint8_t said[VMB_MSG_LEN_MAX]; /* what the guest posted last */
	uint32_t said_len;
	struct vmb_interrupt_page interrupt;
	struct vmb_monitor_page monitor;
};

static void take_event(struct bed *b, const struct vmb_guest_event *event)
{
	struct device *d;
	uint32_t i;

	if (event->dial) {
		i = (uint32_t)(event->dial - b->dials);
		FUZZ_CHECK(i < DIAL_COUNT && b->dialled[i]);
		b->dialled[i] = false;
	}
	if (event->type != VMB_GUEST_EVENT_OFFER)
		return;
	FUZZ_CHECK(event->offer.relid && event->offer.relid < VMB_CHANNEL_COUNT_MAX);
	FUZZ_CHECK(!vmb_guest_channel_find(&b->c, event->offer.relid));
	for (i = 0; i < DEVICE_COUNT && b->devices[i].used; i++)
		;
	if (i == DEVICE_COUNT)
		return;
	d = &b->devices[i];
	memset(d, 0, sizeof(*d));
	d->used = !vmb_guest_channel_add(&b->c, &d->channel, &event->offer);
}

static bool is_ours(const struct bed *b, const struct vmb_guest_channel *ch)
{
	const struct device *d;

	for (d = b->devices; ch && d < b->devices + DEVICE_COUNT; d++)
		if (&d->channel == ch)
			return d->used;
	return !ch;
}

static void deliver(struct bed *b, const void *bytes, uint32_t len)
{
	struct vmb_guest_event event;
	void *exact = malloc(len ? len : 1);
	int err;

	memcpy(exact, bytes, len);
	err = vmb_guest_connect_input(&b->c, exact, len, &event);
	free(exact);
	FUZZ_CHECK(err == 0 || err == VMB_EPROTO);
	FUZZ_CHECK(!err || event.type == VMB_GUEST_EVENT_NOTHING);
	if (err)
		return;
	FUZZ_CHECK(is_ours(b, event.channel));
	FUZZ_CHECK(!event.gpadl || is_ours(b, event.gpadl->channel));
	FUZZ_CHECK(!event.dial || event.type == VMB_GUEST_EVENT_OFFER ||
		   event.type == VMB_GUEST_EVENT_DIAL_REFUSED);
	if (event.type == VMB_GUEST_EVENT_GPADL_TORNDOWN)
		memset(event.gpadl, 0, sizeof(*event.gpadl));
	take_event(b, &event);
}

static void op_raw(struct bed *b, struct fuzz *f)
{
	uint32_t len = fuzz_u8(f);
	uint8_t message[256] = { 0 };

	message[0] = fuzz_u8(f) % 32;
	if (len > 4)
		fuzz_take(f, message + 4, len - 4);
	deliver(b, message, len);
}

/* The answer that a good host has for what the guest said last; 0: none. */
static uint32_t good_answer(const struct bed *b, uint8_t answer[VMB_MSG_LEN_MAX])
{
	struct vmb_msg_header *header = (void *)answer;
	const struct vmb_msg_header *asked = (const void *)b->said;

	memset(answer, 0, VMB_MSG_LEN_MAX);
	switch (asked->type) {
	case VMB_MSG_INITIATE_CONTACT:
		header->type = VMB_MSG_VERSION_RESPONSE;
		answer[8] = 1;
		memcpy(answer + 12, b->said + 8, 4);
		return b->c.version >= VMB_VERSION_6_0 ? 20 : 16;
	case VMB_MSG_REQUEST_OFFERS: header->type = VMB_MSG_OFFERS_DELIVERED; return 8;
	case VMB_MSG_OPEN:
		header->type = VMB_MSG_OPEN_RESULT;
		memcpy(answer + 8, b->said + 8, 8);
		return 20;
	case VMB_MSG_GPADL_HEADER:
		header->type = VMB_MSG_GPADL_CREATED;
		memcpy(answer + 8, b->said + 8, 8);
		return 20;
	case VMB_MSG_GPADL_BODY: /* its relid stood in the header: take the first device's */
		header->type = VMB_MSG_GPADL_CREATED;
		memcpy(answer + 8, &b->devices[0].channel.relid, 4);
		memcpy(answer + 12, b->said + 12, 4);
		return 20;
	case VMB_MSG_GPADL_TEARDOWN:
		header->type = VMB_MSG_GPADL_TORNDOWN;
		memcpy(answer + 8, b->said + 12, 4);
		return 12;
	case VMB_MSG_MODIFY_CHANNEL:
		header->type = VMB_MSG_MODIFY_CHANNEL_RESPONSE;
		memcpy(answer + 8, b->said + 8, 4);
		return 16;
	case VMB_MSG_UNLOAD: header->type = VMB_MSG_UNLOAD_COMPLETE; return 8;
	default: return 0;
	}
}

static void op_answer(struct bed *b, struct fuzz *f)
{
	uint8_t answer[VMB_MSG_LEN_MAX], changes = fuzz_u8(f);
	uint32_t len = good_answer(b, answer);

	for (changes = changes < 192 ? 0 : changes & 3; len && changes; changes--)
		answer[fuzz_u8(f) % len] = fuzz_u8(f);
	if (len)
		deliver(b, answer, len);
}

static void op_offer(struct bed *b, struct fuzz *f)
{
	struct vmb_msg_offer offer = { .header.type = VMB_MSG_OFFER };

	offer.relid = fuzz_u8(f) & 0x80 ? fuzz_u32(f) : fuzz_u8(f) % 16;
	offer.instance_id.bytes[0] = fuzz_u8(f) % 16;
	offer.sub_channel_index = fuzz_u8(f) < 200 ? 0 : fuzz_u8(f);
	offer.monitor_allocated = fuzz_u8(f) & 1;
	offer.monitor_id = fuzz_u8(f);
	offer.is_dedicated = fuzz_u8(f);
	deliver(b, &offer, fuzz_u8(f) < 200 ? sizeof(offer) : VMB_MSG_OFFER_LEN_0_13);
}

static void op_rescind(struct bed *b, struct fuzz *f)
{
	struct vmb_msg_relid rescind = { .header.type = VMB_MSG_RESCIND, .relid = fuzz_u8(f) % 16 };

	deliver(b, &rescind, sizeof(rescind));
}

static void op_device(struct bed *b, struct fuzz *f)
{
	struct device *d = &b->devices[fuzz_u8(f) % DEVICE_COUNT];
	uint32_t pages = 4 + fuzz_u8(f) % (RING_PAGES - 3);

	if (!d->used)
		return;
	switch (fuzz_u8(f) % 7) {
	case 0:
		vmb_guest_gpadl_establish(&d->channel, &d->gpadl, b->pfns, pages,
					  pages * VMB_PAGE_LEN, 0);
		break;
	case 1: vmb_guest_channel_open(&d->channel, &d->gpadl, 2, 0, b->said, 100); break;
	case 2: vmb_guest_channel_close(&d->channel); break;
	case 3: vmb_guest_gpadl_teardown(&d->gpadl); break;
	case 4: vmb_guest_channel_modify(&d->channel, fuzz_u8(f)); break;
	case 5: vmb_guest_channel_release(&d->channel); break;
	case 6:
		vmb_guest_channel_remove(&d->channel);
		d->used = !vmb_guest_channel_gone(&d->channel);
		break;
	}
	d->used = d->used && !vmb_guest_channel_gone(&d->channel);
}

/* Dials are taken back before their memory is used again, as any caller must. */
static void op_dial(struct bed *b, struct fuzz *f)
{
	uint32_t i = fuzz_u8(f) % DIAL_COUNT;
	uint8_t how = fuzz_u8(f);

	vmb_guest_socket_hang_up(&b->c, &b->dials[i]);
	memset(&b->dials[i], 0, sizeof(b->dials[i]));
	b->dials[i].endpoint_id = vmb_socket_guid(how % 4);
	b->dials[i].service_id = vmb_socket_guid(how / 4 % 4);
	b->dialled[i] = how < 192 && !vmb_guest_socket_dial(&b->c, &b->dials[i]);
}

/* What answers it: an offer, or a refusal; sometimes for one that was never made. */
static void op_answer_dial(struct bed *b, struct fuzz *f)
{
	struct vmb_msg_tl_connect_result result = { .header.type = VMB_MSG_TL_CONNECT_RESULT };
	struct vmb_msg_offer offer = { .header.type = VMB_MSG_OFFER };
	uint8_t how = fuzz_u8(f);

	result.endpoint_id = offer.instance_id = vmb_socket_guid(how % 4);
	result.service_id = offer.type_id = vmb_socket_guid(how / 4 % 4);
	result.status = fuzz_u8(f);
	offer.flags = VMB_SOCKET_OFFER_FLAGS;
	offer.user[4] = how >> 6;
	offer.relid = fuzz_u8(f) % 16;
	if (how & 0x20)
		deliver(b, &result, sizeof(result));
	else
		deliver(b, &offer, sizeof(offer));
}

static void op_connection(struct bed *b, struct fuzz *f)
{
	switch (fuzz_u8(f) % 3) {
	case 0: vmb_guest_connect_start(&b->c); break;
	case 1: vmb_guest_connect_request_offers(&b->c); break;
	case 2: vmb_guest_connect_unload(&b->c); break;
	}
}

static void op_post(struct bed *b, struct fuzz *f)
{
	const struct vmb_guest_connect_output *out = vmb_guest_connect_output(&b->c);
	uint8_t how = fuzz_u8(f);

	if (!out)
		return;
	FUZZ_CHECK(out->len >= 8 && out->len <= VMB_MSG_LEN_MAX);
	memcpy(b->said, out->payload, out->len);
	b->said_len = out->len;
	if (how < 230)
		FUZZ_CHECK(!vmb_guest_connect_output_done(&b->c) ||
			   (b->c.state == VMB_GUEST_IDLE && b->c.version < VMB_VERSION_1_1));
	else
		vmb_guest_connect_output_refused(&b->c, how & 1 ? VMB_HV_INVALID_CONNECTION_ID :
								  fuzz_u8(f));
}

/* The host writes the pages at will. */
static void op_doorbell(struct bed *b, struct fuzz *f)
{
	struct device *d = &b->devices[fuzz_u8(f) % DEVICE_COUNT];
	uint8_t how = fuzz_u8(f);

	b->monitor.trigger_state = fuzz_u8(f);
	b->interrupt.to_guest[how % 16] = fuzz_u32(f);
	vmb_guest_doorbell_take(&b->interrupt, how);
	FUZZ_CHECK(how >= VMB_INTERRUPT_WORD_COUNT || !b->interrupt.to_guest[how]);
	if (!d->used)
		return;
	FUZZ_CHECK(d->channel.monitor_id < VMB_MONITOR_COUNT_MAX ||
		   d->channel.monitor_id == VMB_OFFER_MONITOR_NONE);
	vmb_guest_doorbell_ring(&d->channel, how & 1 ? &b->interrupt : NULL,
				how & 2 ? &b->monitor : NULL, how & 4);
}

static void check(const struct bed *b)
{
	const struct vmb_guest_gpadl *gpadl;
	uint32_t relid;

	for (relid = 0; relid < VMB_CHANNEL_COUNT_MAX; relid++)
		if (b->c.channels[relid]) {
			FUZZ_CHECK(is_ours(b, b->c.channels[relid]));
			FUZZ_CHECK(b->c.channels[relid]->relid == relid);
		}
	for (gpadl = b->c.gpadls; gpadl; gpadl = gpadl->next)
		FUZZ_CHECK(is_ours(b, gpadl->channel));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_raw,	 op_answer,	op_answer_dial, op_offer, op_rescind,  op_device,
		op_dial, op_connection, op_post,	op_post,  op_doorbell,
	};
	static struct bed b;
	struct vmb_guest_connect_config config = { 0 };
	struct fuzz f = { bytes, len };
	static const uint32_t versions[] = { 0, VMB_VERSION_0_13, VMB_VERSION_1_1, VMB_VERSION_2_4,
					     VMB_VERSION_4_0 };

	memset(&b, 0, sizeof(b));
	config.version_max = versions[fuzz_u8(&f) % 5];
	config.interrupt_page_gpa = 0x5000;
	config.monitor_gpa[0] = 0x6000;
	config.monitor_gpa[1] = 0x7000;
	if (vmb_guest_connect_init(&b.c, &config))
		return 0;
	vmb_guest_connect_start(&b.c);
	while (f.len)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	check(&b);
	return 0;
}
