// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The network loopback's listener: turns what crosses rings and buffers into records. */
#include <stdio.h>
#include <string.h>

#include "tests/conformance_bytes.h"
#include "tests/conformance_card.h"

#define PAGE_LEN       4096u
#define DATA_LEN       (CARD_RING_LEN - PAGE_LEN)
#define PACKET_MAX     2048u
#define TRANSFER_PAGES 7u
#define GPA_DIRECT     9u
#define SECTION_LEN    6144u

/* The one that listens. */
static struct card *current;

/* The listener. */

static void say(struct card *c, enum transcript_way way, enum transcript_kind kind, uint64_t arg0,
		uint64_t arg1, const void *bytes, uint32_t len)
{
	if (!play_is_scripted(&c->play, way))
		play_say(&c->play, way, kind, arg0, arg1, bytes, len);
}

static uint8_t *shared(struct card *c, uint32_t id, uint64_t offset, uint32_t len)
{
	uint32_t shared_len;
	uint8_t *memory = vmb_user_network_bus_find(&c->l.bus, id, &shared_len);

	if (memory && offset + len <= shared_len)
		return memory + offset;
	fail_msg("GPADL %u has no %u bytes at %llu", id, len, (unsigned long long)offset);
	return NULL;
}

static uint8_t *page(struct card *c, uint64_t pfn)
{
	uint8_t *at = vmb_user_memory_page(&c->l.bus.machine.memory, pfn);

	if (!at)
		fail_msg("page %llx is no memory", (unsigned long long)pfn);
	return at;
}

/* Ranges of pages, each of one page or more. */
static void hear_pages(struct card *c, const uint8_t *packet)
{
	uint32_t ranges = get32(packet + 20), len, offset, piece;
	const uint8_t *at = packet + 24;

	for (; ranges; ranges--) {
		len = get32(at);
		offset = get32(at + 4);
		for (at += 8; len; len -= piece, offset = 0, at += 8) {
			piece = len < PAGE_LEN - offset ? len : PAGE_LEN - offset;
			say(c, GUEST_TO_HOST, MEMORY, get64(at), offset,
			    page(c, get64(at)) + offset, piece);
		}
	}
}

static void hear_ranges(struct card *c, const uint8_t *packet)
{
	uint32_t ranges = get32(packet + 20), len, offset, i;

	for (i = 0; i < ranges; i++) {
		len = get32(packet + 24 + 8 * i);
		offset = get32(packet + 28 + 8 * i);
		assert_int_equal(offset % c->suballoc_len, 0);
		if (!i)
			assert_int_equal(get64(packet + 8), offset / c->suballoc_len);
		say(c, HOST_TO_GUEST, A_SUBALLOCATION, offset / c->suballoc_len, 0,
		    shared(c, c->receive_id, offset, len), len);
	}
}

static void hear_section(struct card *c, const uint8_t *message)
{
	uint32_t section = get32(message + 8), len = get32(message + 12);

	if (section != 0xFFFFFFFF)
		say(c, GUEST_TO_HOST, A_SECTION, section, 0,
		    shared(c, c->send_id, (uint64_t)section * SECTION_LEN, len), len);
}

/* What a packet tells of buffers, and what it brings along. */
static void hear_packet(struct card *c, const uint8_t *packet)
{
	const uint8_t *message = packet + get16(packet + 2) * 8;
	uint32_t kind = get32(message);

	if (kind == 101)
		c->receive_id = get32(message + 4);
	if (kind == 102)
		c->suballoc_len = get32(message + 16);
	if (kind == 104)
		c->send_id = get32(message + 4);
	if (kind == 133 && get16(packet) == 11 && get32(message + 4) == 1)
		c->open_sub = true;
	if (kind == 107 && get16(packet) != TRANSFER_PAGES)
		hear_section(c, message);
	if (get16(packet) == GPA_DIRECT)
		hear_pages(c, packet);
	if (get16(packet) == TRANSFER_PAGES)
		hear_ranges(c, packet);
}

static void listen_to(struct card *c, uint32_t queue, enum transcript_way way)
{
	struct card_ring *r = &c->rings[queue][way];
	uint8_t packet[PACKET_MAX];
	uint32_t len, i;

	if (!r->base || play_is_scripted(&c->play, way))
		return;
	while (r->heard != get32(r->base)) {
		for (i = 0; i < 16; i++)
			packet[i] = r->base[PAGE_LEN + (r->heard + i) % DATA_LEN];
		len = get16(packet + 4) * 8 + 8;
		assert_true(len >= 24 && len <= PACKET_MAX);
		for (; i < len; i++)
			packet[i] = r->base[PAGE_LEN + (r->heard + i) % DATA_LEN];
		r->heard = (r->heard + len) % DATA_LEN;
		hear_packet(c, packet);
		say(c, way, A_PACKET, queue, 0, packet, len);
	}
	/* Who reads by script has read it. */
	if (play_is_scripted(&c->play, way == GUEST_TO_HOST ? HOST_TO_GUEST : GUEST_TO_HOST))
		put32(r->base + 4, r->heard);
}

static void listen_for_signals(struct card *c, uint32_t queue)
{
	struct card_ring *r = c->rings[queue];

	for (; r[GUEST_TO_HOST].signals < c->l.guest.queues[queue].end.signals;
	     r[GUEST_TO_HOST].signals++)
		say(c, GUEST_TO_HOST, A_SIGNAL, queue, 0, NULL, 0);
	for (; r[HOST_TO_GUEST].signals < vmb_user_network_interrupts(&c->l, queue);
	     r[HOST_TO_GUEST].signals++)
		say(c, HOST_TO_GUEST, AN_EVENT, queue, 0, NULL, 0);
}

/* One end has done a step: all of it is new. */
static void listen_now(struct card *c)
{
	uint32_t i;

	for (i = 0; i < CARD_QUEUES; i++) {
		listen_to(c, i, GUEST_TO_HOST);
		listen_to(c, i, HOST_TO_GUEST);
		listen_for_signals(c, i);
	}
}

/* Where the linker lets us listen. */

int __real_vmb_user_network_bus_open(struct vmb_user_network_bus *bus, uint16_t queue,
				     uint8_t *rings, uint32_t ring_len);
void __real_vmb_user_network_bus_close(struct vmb_user_network_bus *bus, uint16_t queue);
int __wrap_vmb_user_network_bus_open(struct vmb_user_network_bus *bus, uint16_t queue,
				     uint8_t *rings, uint32_t ring_len);
void __wrap_vmb_user_network_bus_close(struct vmb_user_network_bus *bus, uint16_t queue);

int __wrap_vmb_user_network_bus_open(struct vmb_user_network_bus *bus, uint16_t queue,
				     uint8_t *rings, uint32_t ring_len)
{
	int err;

	assert_true(queue < CARD_QUEUES && ring_len == CARD_RING_LEN);
	current->rings[queue][GUEST_TO_HOST] = (struct card_ring){ .base = rings };
	current->rings[queue][HOST_TO_GUEST] = (struct card_ring){ .base = rings + ring_len };
	err = __real_vmb_user_network_bus_open(bus, queue, rings, ring_len);
	listen_now(current);
	return err;
}

/* Also of a host that is a script: nobody touches the rings, but the bus has them open. */
void __wrap_vmb_user_network_bus_close(struct vmb_user_network_bus *bus, uint16_t queue)
{
	listen_now(current);
	current->rings[queue][GUEST_TO_HOST].base = NULL;
	current->rings[queue][HOST_TO_GUEST].base = NULL;
	current->closing = true;
	__real_vmb_user_network_bus_close(bus, queue);
	current->closing = false;
}

/* What the bus waits by: it opens and closes channels whoever plays the card. */
static bool step_bus(void *arg)
{
	struct card *c = arg;

	if (play_has_host(&c->play) || c->closing)
		return vmb_user_machine_step(&c->l.bus.machine);
	return false;
}

/* The guest that is not there. */

static uint8_t *lend(struct card *c, uint32_t len)
{
	uint8_t *memory = vmb_user_network_bus_alloc(&c->l.bus, len);

	assert_non_null(memory);
	c->memory[c->memory_count++] = memory;
	return memory;
}

static void open_scripted(struct card *c, uint16_t queue)
{
	uint8_t *rings;

	assert_int_equal(vmb_user_network_bus_connect(&c->l.bus), 0);
	assert_int_equal(vmb_user_network_bus_await(&c->l.bus, queue), 0);
	rings = lend(c, 2 * CARD_RING_LEN);
	assert_int_equal(vmb_user_network_end_init(&c->l.guest.queues[queue].end, &c->l.bus, queue,
						   rings, CARD_RING_LEN),
			 0);
	assert_int_equal(vmb_user_network_bus_open(&c->l.bus, queue, rings, CARD_RING_LEN), 0);
}

void card_open_scripted(struct card *c)
{
	open_scripted(c, 0);
}

static bool step(void *arg)
{
	struct card *c = arg;
	bool any = false;

	listen_now(c); /* a verb of the guest's may have spoken */
	if (play_has_host(&c->play))
		any = vmb_user_machine_step(&c->l.bus.machine);
	listen_now(c);
	any |= vmb_user_network_bus_step(&c->l.bus);
	if (c->open_sub && !play_has_host(&c->play)) {
		c->l.card->host.sub_channel_count = CARD_QUEUES - 1;
		vmb_dev_network_offer(c->l.card);
	}
	if (play_has_guest(&c->play))
		any |= vmb_user_network_guest_step(&c->l.guest);
	else if (c->open_sub)
		open_scripted(c, 1);
	any |= c->open_sub;
	c->open_sub = false;
	listen_now(c);
	return any;
}

/* What the guest's verbs wait by. */
static bool step_and_play(void *arg)
{
	struct card *c = arg;
	bool any = step(c);

	return play_go_on(&c->play) || any;
}

/* Buffers and pages are real, numbers of pieces of them lie inside. */
static uint64_t choose(void *arg, const char *name)
{
	struct card *c = arg;
	char slot[24];
	uint64_t pfn;

	if (!strcmp(name, "receive_gpadl"))
		return vmb_user_network_bus_share(&c->l.bus, lend(c, CARD_RECEIVE_LEN));
	if (!strcmp(name, "send_gpadl"))
		return vmb_user_network_bus_share(&c->l.bus, lend(c, CARD_SEND_LEN));
	if (!strcmp(name, "control") || !strncmp(name, "page", 4)) {
		assert_true(vmb_user_memory_alloc(&c->l.bus.machine.memory, &pfn, 1));
		return pfn;
	}
	if (!strncmp(name, "slot", 4) || !strncmp(name, "section", 7))
		return 7 * ++c->chosen % 170;
	if (!strncmp(name, "offset", 6)) {
		snprintf(slot, sizeof(slot), "slot%s", name + 6);
		return transcript_value(&c->play.names, slot) * c->suballoc_len;
	}
	return strcmp(name, "longest_transfer") ? 0 : 0x40000;
}

static void put_packet(struct card *c, const struct transcript_said *said)
{
	struct card_ring *r = &c->rings[said->args[0]][said->way];
	uint32_t i;

	assert_non_null(r->base);
	for (i = 0; i < said->len; i++)
		r->base[PAGE_LEN + (r->heard + i) % DATA_LEN] = said->bytes[i];
	r->heard = (r->heard + said->len) % DATA_LEN;
	put32(r->base, r->heard);
	hear_packet(c, said->bytes);
}

static void put(void *arg, const struct transcript_said *said)
{
	struct card *c = arg;
	uint8_t *at = NULL;

	switch (said->kind) {
	case A_PACKET: put_packet(c, said); return;
	case A_SIGNAL:
		vmb_user_machine_signal(&c->l.bus.machine,
					c->l.guest.queues[said->args[0]].end.connection_id);
		return;
	case AN_EVENT: c->l.guest.queues[said->args[0]].end.rung = 1; return;
	case MEMORY: at = page(c, said->args[0]) + said->args[1]; break;
	case A_SECTION: at = shared(c, c->send_id, said->args[0] * SECTION_LEN, said->len); break;
	case A_SUBALLOCATION:
		at = shared(c, c->receive_id, said->args[0] * c->suballoc_len, said->len);
		break;
	default: break;
	}
	assert_non_null(at);
	memcpy(at, said->bytes, said->len);
}

void card_play(struct card *c, const struct transcript *t, const char *section,
	       void (*act)(struct card *c))
{
	/* What was said last is still to be taken in. */
	while (step(c))
		;
	play_begin(&c->play, t, section);
	act(c);
	play_finish(&c->play);
	while (step(c))
		;
}

/* What comes out. */

static void on_wire(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes, uint32_t len,
		    uint32_t mss)
{
	struct card *c = l->config.host.arg;
	struct card_frame *f = &c->at_host[c->host_count++];

	assert_true(c->host_count <= CARD_FRAMES_MAX && len <= sizeof(f->bytes));
	memcpy(f->bytes, bytes, len);
	f->len = len;
}

static void on_received(struct vmb_user_network_queue *q,
			const struct vmb_guest_network_frame *frame)
{
	struct card *c = q->guest->config.arg;
	struct card_frame *f = &c->at_guest[c->guest_count++];
	uint32_t i;

	assert_true(c->guest_count <= CARD_FRAMES_MAX);
	for (i = 0; i < frame->piece_count; f->len += frame->pieces[i++].len) {
		assert_true(f->len + frame->pieces[i].len <= sizeof(f->bytes));
		memcpy(f->bytes + f->len,
		       q->guest->network.config.receive_buffer + frame->pieces[i].offset,
		       frame->pieces[i].len);
	}
}

static void on_sent(struct vmb_user_network_queue *q, const struct vmb_guest_network_event *event)
{
	struct card *c = q->guest->config.arg;

	assert_int_equal(event->status, VMB_NET_STATUS_SUCCESS);
	c->sent_count += event->frame_count;
}

struct card *card_new(uint32_t version, enum play_cast cast)
{
	static const uint8_t mac[6] = { 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03 };
	/* The card's fields stand on cache lines of their own. */
	struct card *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
	struct vmb_user_network_config config = {
		.guest = { .queue_count = CARD_QUEUES,
			   .rsc = true,
			   .ring_pages = 2,
			   .receive_len = CARD_RECEIVE_LEN,
			   .send_len = CARD_SEND_LEN,
			   .received = on_received,
			   .sent = on_sent },
		.host = { .network = { .version_max = version,
				       .rndis = { .mtu_max = 9000,
						  .link_speed = 100000000,
						  .offload = VMB_HOST_RNDIS_TX_CHECKSUM |
							     VMB_HOST_RNDIS_RX_CHECKSUM |
							     VMB_HOST_RNDIS_LSO | VMB_HOST_RNDIS_RSC,
						  .queue_count_max = CARD_QUEUES } },
			  .wire = on_wire },
	};

	assert_non_null(c);
	memset(c, 0, sizeof(*c));
	current = c;
	memcpy(config.host.network.rndis.mac, mac, sizeof(mac));
	config.host.arg = config.guest.arg = c;
	assert_int_equal(vmb_user_network_init(&c->l, &config), 0);
	c->l.guest.config.step = step_and_play;
	c->l.guest.config.step_arg = c;
	c->l.bus.step = step_bus;
	c->l.bus.step_arg = c;
	c->play = (struct play){ .cast = cast,
				 .kinds = UINT32_MAX,
				 .step = step,
				 .put = put,
				 .choose = choose,
				 .arg = c };
	return c;
}

void card_free(struct card *c)
{
	uint16_t i;

	play_free(&c->play);
	for (i = CARD_QUEUES; i-- > 0 && !play_has_guest(&c->play);)
		__wrap_vmb_user_network_bus_close(&c->l.bus, i);
	for (i = 0; i < c->memory_count; i++)
		vmb_user_network_bus_free(&c->l.bus, c->memory[i]);
	vmb_user_network_destroy(&c->l);
	free(c);
	current = NULL;
}
