// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The storage loopback's listener: reads messages, rings and signals by their layout alone. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/vsock/vsock.h"
#include "tests/conformance_bytes.h"
#include "tests/conformance_stage.h"

#define PAGE_LEN     4096u
#define PACKET_MAX   1024u
#define MSG_OFFER    1u
#define MSG_OPEN     5u
#define MSG_RESULT   6u
#define MSG_CONTACT  14u
#define MSG_HEADER   8u
#define MSG_BODY     9u
#define GPA_DIRECT   9u
#define A_COMPLETION 11u

/* The one that listens. */
static struct stage *current;

static uint8_t *page(struct stage *s, uint64_t pfn)
{
	uint8_t *at = vmb_user_memory_page(&s->l.machine.memory, pfn);

	if (!at)
		fail_msg("page %llx is no memory", (unsigned long long)pfn);
	return at;
}

/* The listener: messages. */

static struct stage_gpadl *gpadl_of(struct stage *s, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < STAGE_GPADLS_MAX; i++)
		if (s->gpadls[i].id == id)
			return &s->gpadls[i];
	return NULL;
}

static void hear_pfns(struct stage_gpadl *g, const uint8_t *at, uint32_t len)
{
	for (; len >= 8 && g->pfn_count < g->want_count; at += 8, len -= 8)
		g->pfns[g->pfn_count++] = get64(at);
}

static void hear_gpadl(struct stage *s, const uint8_t *message, uint32_t len)
{
	struct stage_gpadl *g = gpadl_of(s, 0);

	assert_non_null(g);
	assert_true(len >= 28);
	memset(g, 0, sizeof(*g));
	g->id = get32(message + 12);
	g->want_count = get16(message + 16) / 8 - 1;
	assert_true(g->want_count <= 2 * STAGE_RING_PAGES_MAX);
	hear_pfns(g, message + 28, len - 28);
}

static void hear_body(struct stage *s, const uint8_t *message, uint32_t len)
{
	struct stage_gpadl *g = gpadl_of(s, get32(message + 12));

	if (g)
		hear_pfns(g, message + 16, len - 16);
}

static void hear_open(struct stage *s, const uint8_t *message)
{
	struct stage_gpadl *g = gpadl_of(s, get32(message + 16));
	uint32_t down = get32(message + 24), i;

	assert_non_null(g);
	assert_true(down && down < g->pfn_count);
	s->relid = get32(message + 8);
	memset(s->rings, 0, sizeof(s->rings));
	s->rings[GUEST_TO_HOST].page_count = down;
	s->rings[HOST_TO_GUEST].page_count = g->pfn_count - down;
	for (i = 0; i < g->pfn_count; i++)
		s->rings[i >= down].pfns[i >= down ? i - down : i] = g->pfns[i];
}

/* The interrupt page's place means something else from 5.0 on. */
static void hear_contact(struct stage *s, const uint8_t *message)
{
	s->interrupt_page = get32(message + 8) < VMB_VERSION_5_0 ? get64(message + 16) / PAGE_LEN :
								   0;
	s->monitor_page = get64(message + 32) / PAGE_LEN;
}

static void hear_offer(struct stage *s, const uint8_t *message)
{
	s->has_monitor = s->monitors && message[189] & 1;
	s->monitor_id = message[188];
}

static void hear_message(struct stage *s, const uint8_t *message, uint32_t len)
{
	switch (get32(message)) {
	case MSG_CONTACT: hear_contact(s, message); break;
	case MSG_OFFER: hear_offer(s, message); break;
	case MSG_OPEN: hear_open(s, message); break;
	case MSG_HEADER: hear_gpadl(s, message, len); break;
	case MSG_BODY: hear_body(s, message, len); break;
	default: break;
	}
}

/* The listener: rings. */

static uint32_t data_len(const struct stage_ring *r)
{
	return (r->page_count - 1) * PAGE_LEN;
}

static uint8_t *ring_byte(struct stage *s, struct stage_ring *r, uint32_t at)
{
	at %= data_len(r);
	return page(s, r->pfns[1 + at / PAGE_LEN]) + at % PAGE_LEN;
}

static void hear_memory(struct stage *s, enum transcript_way way, const uint64_t *pfns,
			uint32_t offset, uint32_t len)
{
	uint32_t piece;

	if (play_is_scripted(&s->play, way))
		return;
	for (; len; len -= piece, offset = 0, pfns++) {
		piece = len < PAGE_LEN - offset ? len : PAGE_LEN - offset;
		play_say(&s->play, way, MEMORY, *pfns, offset, page(s, *pfns) + offset, piece);
	}
}

/* A request with data: what it writes is heard now, what it reads with its completion. */
static void hear_request(struct stage *s, const uint8_t *packet)
{
	const uint8_t *payload = packet + get16(packet + 2) * 8;
	uint32_t len = get32(packet + 24), i;
	struct stage_request *q = s->requests;

	while (q->used)
		q++;
	assert_true(q < s->requests + STAGE_REQUESTS_MAX);
	*q = (struct stage_request){ .used = true,
				     .reads = payload[12 + 10] == 1,
				     .id = get64(packet + 8),
				     .offset = get32(packet + 28) };
	q->pfn_count = (q->offset + len + PAGE_LEN - 1) / PAGE_LEN;
	assert_true(q->pfn_count <= VMB_ARRAY_COUNT(q->pfns));
	for (i = 0; i < q->pfn_count; i++)
		q->pfns[i] = get64(packet + 32 + 8 * i);
	if (!q->reads)
		hear_memory(s, GUEST_TO_HOST, q->pfns, q->offset, len);
}

static void hear_completion(struct stage *s, const uint8_t *packet)
{
	const uint8_t *payload = packet + get16(packet + 2) * 8;
	struct stage_request *q;

	for (q = s->requests; q < s->requests + STAGE_REQUESTS_MAX; q++) {
		if (!q->used || q->id != get64(packet + 8))
			continue;
		if (q->reads)
			hear_memory(s, HOST_TO_GUEST, q->pfns, q->offset, get32(payload + 12 + 12));
		q->used = false;
		return;
	}
}

/* All packets that were published since the last look. */
static void listen_to(struct stage *s, enum transcript_way way)
{
	struct stage_ring *r = &s->rings[way];
	uint8_t packet[PACKET_MAX];
	uint32_t len, i;

	if (!r->page_count || play_is_scripted(&s->play, way))
		return;
	while (r->heard != get32(page(s, r->pfns[0]))) {
		for (i = 0; i < 16; i++)
			packet[i] = *ring_byte(s, r, r->heard + i);
		len = get16(packet + 4) * 8 + 8;
		assert_true(len >= 24 && len <= PACKET_MAX);
		for (; i < len; i++)
			packet[i] = *ring_byte(s, r, r->heard + i);
		r->heard = (r->heard + len) % data_len(r);
		if (get16(packet) == GPA_DIRECT)
			hear_request(s, packet);
		if (get16(packet) == A_COMPLETION)
			hear_completion(s, packet);
		play_say(&s->play, way, A_PACKET, s->relid, 0, packet, len);
	}
	/* Who reads by script has read it. */
	if (play_is_scripted(&s->play, way == GUEST_TO_HOST ? HOST_TO_GUEST : GUEST_TO_HOST))
		put32(page(s, r->pfns[0]) + 4, r->heard);
}

static void listen_now(struct stage *s)
{
	listen_to(s, GUEST_TO_HOST);
	listen_to(s, HOST_TO_GUEST);
}

/*
 * The listener: interrupts. Below 2.4 the guest's are bits in the first half of a page, below 1.1
 * the host's in the second.
 */

static uint8_t *interrupt_bits(struct stage *s, enum transcript_way way)
{
	assert_true(s->interrupt_page);
	return page(s, s->interrupt_page) + (way == GUEST_TO_HOST ? PAGE_LEN / 2 : 0) +
	       s->relid / 8;
}

static uint8_t interrupt_bit(const struct stage *s)
{
	return (uint8_t)(1u << s->relid % 8);
}

static void hear_signal(struct stage *s, uint32_t connection_id)
{
	listen_now(s);
	if (s->bus_version < VMB_VERSION_1_1) {
		assert_int_equal(connection_id, 2);
		assert_true(*interrupt_bits(s, GUEST_TO_HOST) & interrupt_bit(s));
	}
	play_say(&s->play, GUEST_TO_HOST, A_SIGNAL, connection_id, 0, NULL, 0);
}

static void hear_event(struct stage *s, uint32_t flag)
{
	listen_now(s);
	if (s->bus_version < VMB_VERSION_2_4) {
		assert_int_equal(flag, 0);
		assert_true(*interrupt_bits(s, HOST_TO_GUEST) & interrupt_bit(s));
		flag = s->relid;
	}
	play_say(&s->play, HOST_TO_GUEST, AN_EVENT, flag, 0, NULL, 0);
}

/*
 * The listener: monitors. Of the page: group enable bits at 0, pending bits of group g at 8 + 8g,
 * parameters from 1088 on, 8 bytes an id.
 */

static uint8_t *pending_byte(struct stage *s)
{
	return page(s, s->monitor_page) + 8 + s->monitor_id / 32 * 8 + s->monitor_id % 32 / 8;
}

static uint8_t pending_bit(const struct stage *s)
{
	return (uint8_t)(1u << s->monitor_id % 8);
}

static uint8_t *monitor_parameters(struct stage *s)
{
	return page(s, s->monitor_page) + 1088 + 8 * s->monitor_id;
}

static void hear_monitor(struct stage *s)
{
	assert_true(page(s, s->monitor_page)[0] >> s->monitor_id / 32 & 1);
	play_say(&s->play, HOST_TO_GUEST, A_MONITOR, s->monitor_id, 0, monitor_parameters(s), 8);
}

static void listen_for_pending(struct stage *s)
{
	bool pending;

	if (!s->has_monitor || play_is_scripted(&s->play, GUEST_TO_HOST))
		return;
	pending = *pending_byte(s) & pending_bit(s);
	if (pending && !s->pending)
		play_say(&s->play, GUEST_TO_HOST, PENDING, s->monitor_id, 0, NULL, 0);
	/* Who monitors by script has taken it. */
	if (pending && play_is_scripted(&s->play, HOST_TO_GUEST)) {
		*pending_byte(s) &= (uint8_t)~pending_bit(s);
		pending = false;
	}
	s->pending = pending;
}

/* Where the linker lets us listen. */

uint32_t __real_vmb_user_machine_post(struct vmb_user_machine *m, uint32_t connection_id,
				      const void *payload, uint32_t len);
uint32_t __real_vmb_user_machine_signal(struct vmb_user_machine *m, uint32_t connection_id);
bool __real_vmb_user_synic_post(struct vmb_user_synic *s, const void *payload, uint32_t len);
void __real_vmb_user_synic_interrupt(struct vmb_user_synic *s, uint32_t flag);

uint32_t __wrap_vmb_user_machine_post(struct vmb_user_machine *m, uint32_t connection_id,
				      const void *payload, uint32_t len);
uint32_t __wrap_vmb_user_machine_signal(struct vmb_user_machine *m, uint32_t connection_id);
bool __wrap_vmb_user_synic_post(struct vmb_user_synic *s, const void *payload, uint32_t len);
void __wrap_vmb_user_synic_interrupt(struct vmb_user_synic *s, uint32_t flag);

uint32_t __wrap_vmb_user_machine_post(struct vmb_user_machine *m, uint32_t connection_id,
				      const void *payload, uint32_t len)
{
	uint32_t status = VMB_HV_SUCCESS, before;

	listen_now(current);
	before = current->play.said_count;
	play_say(&current->play, GUEST_TO_HOST, A_MESSAGE, connection_id, 0, payload, len);
	if (play_has_host(&current->play))
		status = __real_vmb_user_machine_post(m, connection_id, payload, len);
	if (!status)
		hear_message(current, payload, len);
	else if (current->play.said_count > before)
		play_unsay(&current->play);
	return status;
}

uint32_t __wrap_vmb_user_machine_signal(struct vmb_user_machine *m, uint32_t connection_id)
{
	hear_signal(current, connection_id);
	return play_has_host(&current->play) ? __real_vmb_user_machine_signal(m, connection_id) :
					       VMB_HV_SUCCESS;
}

bool __wrap_vmb_user_synic_post(struct vmb_user_synic *synic, const void *payload, uint32_t len)
{
	listen_now(current);
	hear_message(current, payload, len);
	if (current->has_monitor && get32(payload) == MSG_RESULT)
		hear_monitor(current);
	if (play_has_guest(&current->play) && !__real_vmb_user_synic_post(synic, payload, len))
		return false;
	play_say(&current->play, HOST_TO_GUEST, A_MESSAGE, 0, 0, payload, len);
	return true;
}

void __wrap_vmb_user_synic_interrupt(struct vmb_user_synic *synic, uint32_t flag)
{
	hear_event(current, flag);
	if (play_has_guest(&current->play))
		__real_vmb_user_synic_interrupt(synic, flag);
}

/* The player. */

static bool step(void *arg)
{
	struct stage *s = arg;
	bool any = false;

	listen_now(s);
	listen_for_pending(s);
	if (play_has_host(&s->play))
		any = vmb_user_machine_step(&s->l.machine);
	listen_now(s);
	listen_for_pending(s);
	if (play_has_guest(&s->play))
		any |= vmb_user_guest_step(&s->l.guest);
	listen_now(s);
	listen_for_pending(s);
	return any;
}

static uint64_t new_page(struct stage *s)
{
	uint64_t pfn;

	assert_true(vmb_user_memory_alloc(&s->l.machine.memory, &pfn, 1));
	return pfn;
}

/*
 * Pages are real, what stands for a channel is small, and the oldest hosts have one connection for
 * all signals.
 */
static uint64_t choose(void *arg, const char *name)
{
	struct stage *s = arg;

	if (!strncmp(name, "pfn", 3) || !strncmp(name, "page", 4))
		return new_page(s);
	if (!strcmp(name, "interrupt_page?") ||
	    (s->monitors && (!strcmp(name, "monitor1?") || !strcmp(name, "monitor2?"))))
		return new_page(s) * PAGE_LEN;
	if (!strncmp(name, "relid", 5))
		return 77u + (uint64_t)(name[5] - '0');
	if (!strcmp(name, "monitor0?"))
		return 70; /* of the third group */
	if (!strncmp(name, "signal", 6))
		return s->bus_version < VMB_VERSION_1_1 ? 2 : 0xABCDEF;
	return !strncmp(name, "connection", 10) ? 0x123456 : 0;
}

static void put_signal(struct stage *s, uint32_t connection_id)
{
	if (s->bus_version < VMB_VERSION_1_1)
		*interrupt_bits(s, GUEST_TO_HOST) |= interrupt_bit(s);
	assert_int_equal(__real_vmb_user_machine_signal(&s->l.machine, connection_id),
			 VMB_HV_SUCCESS);
}

static void put_event(struct stage *s, uint32_t flag)
{
	if (s->bus_version < VMB_VERSION_2_4) {
		*interrupt_bits(s, HOST_TO_GUEST) |= interrupt_bit(s);
		flag = 0;
	}
	__real_vmb_user_synic_interrupt(&s->l.machine.synic, flag);
}

static void put_packet(struct stage *s, const struct transcript_said *said)
{
	struct stage_ring *r = &s->rings[said->way];
	uint32_t i;

	assert_true(r->page_count);
	if (get16(said->bytes) == GPA_DIRECT)
		hear_request(s, said->bytes);
	for (i = 0; i < said->len; i++)
		*ring_byte(s, r, r->heard + i) = said->bytes[i];
	r->heard = (r->heard + said->len) % data_len(r);
	put32(page(s, r->pfns[0]), r->heard);
}

static void put_message(struct stage *s, const struct transcript_said *said)
{
	if (said->way == HOST_TO_GUEST) {
		hear_message(s, said->bytes, said->len);
		while (!vmb_user_synic_is_free(&s->l.machine.synic))
			step(s);
		assert_true(
			__real_vmb_user_synic_post(&s->l.machine.synic, said->bytes, said->len));
		return;
	}
	hear_message(s, said->bytes, said->len);
	assert_int_equal(__real_vmb_user_machine_post(&s->l.machine, (uint32_t)said->args[0],
						      said->bytes, said->len),
			 VMB_HV_SUCCESS);
}

static void put(void *arg, const struct transcript_said *said)
{
	struct stage *s = arg;

	switch (said->kind) {
	case A_MESSAGE: put_message(s, said); break;
	case A_PACKET: put_packet(s, said); break;
	case A_SIGNAL: put_signal(s, (uint32_t)said->args[0]); break;
	case PENDING: *pending_byte(s) |= pending_bit(s); break;
	case A_MONITOR:
		memcpy(monitor_parameters(s), said->bytes, said->len);
		page(s, s->monitor_page)[0] |= (uint8_t)(1u << s->monitor_id / 32);
		break;
	case AN_EVENT: put_event(s, (uint32_t)said->args[0]); break;
	default: memcpy(page(s, said->args[0]) + said->args[1], said->bytes, said->len); break;
	}
}

void stage_play(struct stage *s, const struct transcript *t, const char *section,
		void (*act)(struct stage *s))
{
	if (act) {
		/* What was said last is still to be taken in. */
		while (step(s))
			;
	}
	play_begin(&s->play, t, section);
	if (act)
		act(s);
	play_finish(&s->play);
}

static void add_sockets(struct stage *s)
{
	struct vmb_dev_vsock_config config = { .path = s->path };
	struct vmb_dev_device device;

	strcpy(s->folder, "/tmp/stage-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/s", s->folder);
	assert_int_equal(vmb_dev_vsock_open(&device, &config), 0);
	assert_int_equal(vmb_user_machine_add(&s->l.machine, &device), 0);
}

static void remove_sockets(struct stage *s)
{
	char path[64];

	if (!*s->folder)
		return;
	snprintf(path, sizeof(path), "%s_78", s->path);
	unlink(path);
	if (s->server >= 0)
		close(s->server);
	if (s->peer >= 0)
		close(s->peer);
	rmdir(s->folder);
}

struct stage *stage_new(const struct stage_config *config)
{
	struct vmb_user_loopback_config loopback = {
		.machine = { .version_min = VMB_VERSION_0_13,
			     .version_max = config->bus_version,
			     .monitors = config->monitors },
		.storage_version_max = config->storage_version,
		.queue_count = config->queue_count,
		.guest = { .version_min = VMB_VERSION_0_13,
			   .storage_version_max = config->guest_storage_version,
			   .tolerant = config->monitors,
			   .ring_pages = 2 },
	};
	struct vmb_dev_disk_option disk = { .path = "ram:16M", .ide = config->ide };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	current = s;
	s->bus_version = config->bus_version;
	s->monitors = config->monitors;
	s->play = (struct play){ .cast = config->cast,
				 .kinds = config->kinds,
				 .doubt = config->doubt,
				 .step = step,
				 .put = put,
				 .choose = choose,
				 .arg = s };
	if (config->ide)
		loopback.ides[3] = disk;
	else
		loopback.disks[0] = disk;
	assert_int_equal(vmb_user_loopback_init(&s->l, &loopback), 0);
	s->server = s->peer = -1;
	if (config->sockets)
		add_sockets(s);
	return s;
}

void stage_free(struct stage *s)
{
	play_free(&s->play);
	s->play.cast = BOTH_REAL;
	memset(s->rings, 0, sizeof(s->rings));
	vmb_user_loopback_destroy(&s->l);
	remove_sockets(s);
	free(s);
	current = NULL;
}
