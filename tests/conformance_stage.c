/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "tests/conformance_stage.h"

#define PAGE_LEN     4096u
#define PACKET_MAX   1024u
#define MSG_OPEN     5u
#define MSG_HEADER   8u
#define MSG_BODY     9u
#define GPA_DIRECT   9u
#define A_COMPLETION 11u

/* The one that listens. */
static struct stage *current;

bool stage_has_guest(const struct stage *s)
{
	return s->config.cast != HOST_REAL;
}

bool stage_has_host(const struct stage *s)
{
	return s->config.cast != GUEST_REAL;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | get16(at + 2) << 16;
}

static uint64_t get64(const uint8_t *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static void put32(uint8_t *at, uint32_t value)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint8_t *page(struct stage *s, uint64_t pfn)
{
	uint8_t *at = vmb_user_memory_page(&s->l.memory, pfn);

	if (!at)
		fail_msg("page %llx is no memory", (unsigned long long)pfn);
	return at;
}

/* What was said. */

static void say(struct stage *s, enum transcript_way way, enum transcript_kind kind, uint64_t arg0,
		uint64_t arg1, const void *bytes, uint32_t len)
{
	struct transcript_said *said;

	if (!(s->config.kinds & 1u << kind))
		return;
	s->said = realloc(s->said, (s->said_count + 1) * sizeof(*s->said));
	assert_non_null(s->said);
	said = &s->said[s->said_count++];
	*said = (struct transcript_said){ .way = way,
					  .kind = kind,
					  .arg_count = 2,
					  .args = { arg0, arg1 },
					  .len = len,
					  .bytes = malloc(len ? len : 1) };
	assert_non_null(said->bytes);
	if (len)
		memcpy(said->bytes, bytes, len);
}

/* Takes the last one back: it was refused, and will be said again. */
static void unsay(struct stage *s)
{
	free(s->said[--s->said_count].bytes);
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

static void hear_message(struct stage *s, const uint8_t *message, uint32_t len)
{
	switch (get32(message)) {
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

static bool is_scripted(const struct stage *s, enum transcript_way way)
{
	return way == GUEST_TO_HOST ? !stage_has_guest(s) : !stage_has_host(s);
}

static void hear_memory(struct stage *s, enum transcript_way way, const uint64_t *pfns,
			uint32_t offset, uint32_t len)
{
	uint32_t piece;

	if (is_scripted(s, way))
		return;
	for (; len; len -= piece, offset = 0, pfns++) {
		piece = len < PAGE_LEN - offset ? len : PAGE_LEN - offset;
		say(s, way, MEMORY, *pfns, offset, page(s, *pfns) + offset, piece);
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

	if (!r->page_count || is_scripted(s, way))
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
		say(s, way, A_PACKET, s->relid, 0, packet, len);
	}
	/* Who reads by script has read it. */
	if (is_scripted(s, way == GUEST_TO_HOST ? HOST_TO_GUEST : GUEST_TO_HOST))
		put32(page(s, r->pfns[0]) + 4, r->heard);
}

static void listen(struct stage *s)
{
	listen_to(s, GUEST_TO_HOST);
	listen_to(s, HOST_TO_GUEST);
}

/* Where the linker lets us listen. */

uint32_t __real_vmb_user_host_post(struct vmb_user_host *h, uint32_t connection_id,
				   const void *payload, uint32_t len);
uint32_t __real_vmb_user_host_signal(struct vmb_user_host *h, uint32_t connection_id);
bool __real_vmb_user_synic_post(struct vmb_user_synic *s, const void *payload, uint32_t len);
void __real_vmb_user_synic_interrupt(struct vmb_user_synic *s, uint32_t flag);

uint32_t __wrap_vmb_user_host_post(struct vmb_user_host *h, uint32_t connection_id,
				   const void *payload, uint32_t len);
uint32_t __wrap_vmb_user_host_signal(struct vmb_user_host *h, uint32_t connection_id);
bool __wrap_vmb_user_synic_post(struct vmb_user_synic *s, const void *payload, uint32_t len);
void __wrap_vmb_user_synic_interrupt(struct vmb_user_synic *s, uint32_t flag);

uint32_t __wrap_vmb_user_host_post(struct vmb_user_host *h, uint32_t connection_id,
				   const void *payload, uint32_t len)
{
	uint32_t status = VMB_HV_SUCCESS, before;

	listen(current);
	before = current->said_count;
	say(current, GUEST_TO_HOST, A_MESSAGE, connection_id, 0, payload, len);
	if (stage_has_host(current))
		status = __real_vmb_user_host_post(h, connection_id, payload, len);
	if (!status)
		hear_message(current, payload, len);
	else if (current->said_count > before)
		unsay(current);
	return status;
}

uint32_t __wrap_vmb_user_host_signal(struct vmb_user_host *h, uint32_t connection_id)
{
	listen(current);
	say(current, GUEST_TO_HOST, A_SIGNAL, connection_id, 0, NULL, 0);
	return stage_has_host(current) ? __real_vmb_user_host_signal(h, connection_id) :
					 VMB_HV_SUCCESS;
}

bool __wrap_vmb_user_synic_post(struct vmb_user_synic *synic, const void *payload, uint32_t len)
{
	listen(current);
	if (stage_has_guest(current) && !__real_vmb_user_synic_post(synic, payload, len))
		return false;
	say(current, HOST_TO_GUEST, A_MESSAGE, 0, 0, payload, len);
	return true;
}

void __wrap_vmb_user_synic_interrupt(struct vmb_user_synic *synic, uint32_t flag)
{
	listen(current);
	say(current, HOST_TO_GUEST, AN_EVENT, flag, 0, NULL, 0);
	if (stage_has_guest(current))
		__real_vmb_user_synic_interrupt(synic, flag);
}

/* The player. */

static bool step(struct stage *s)
{
	bool any = false;

	if (stage_has_host(s))
		any = vmb_user_host_step(&s->l.host);
	listen(s);
	if (stage_has_guest(s))
		any |= vmb_user_guest_step(&s->l.guest);
	listen(s);
	return any;
}

static uint64_t random64(struct stage *s)
{
	s->random = s->random * 6364136223846793005ull + 1442695040888963407ull;
	return s->random >> 16 ^ s->random << 24;
}

/* What the transcript's side takes for a name: pages are real, everything else is any number that fits. */
static uint64_t choose(void *arg, const char *name, uint32_t width)
{
	struct stage *s = arg;
	uint64_t pfn, limit = 1ull << (8 * width - 1);

	if (!strncmp(name, "pfn", 3) || !strncmp(name, "page", 4)) {
		assert_true(vmb_user_memory_alloc(&s->l.memory, &pfn, 1));
		return pfn;
	}
	if (name[strlen(name) - 1] == '?')
		return 0;
	if (!strncmp(name, "relid", 5))
		limit = 256;
	if (!strncmp(name, "connection", 10) || !strncmp(name, "signal", 6))
		limit = 1u << 24;
	return 1 + random64(s) % (limit - 1);
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
		while (!vmb_user_synic_is_free(&s->l.synic))
			step(s);
		assert_true(__real_vmb_user_synic_post(&s->l.synic, said->bytes, said->len));
		return;
	}
	hear_message(s, said->bytes, said->len);
	assert_int_equal(__real_vmb_user_host_post(&s->l.host, (uint32_t)said->args[0], said->bytes,
						   said->len),
			 VMB_HV_SUCCESS);
}

static void put(struct stage *s, const struct transcript_said *said)
{
	switch (said->kind) {
	case A_MESSAGE: put_message(s, said); break;
	case A_PACKET: put_packet(s, said); break;
	case A_SIGNAL: __real_vmb_user_host_signal(&s->l.host, (uint32_t)said->args[0]); break;
	case AN_EVENT: __real_vmb_user_synic_interrupt(&s->l.synic, (uint32_t)said->args[0]); break;
	default: memcpy(page(s, said->args[0]) + said->args[1], said->bytes, said->len); break;
	}
}

static void perform(struct stage *s, const struct transcript_record *r)
{
	struct transcript_said said;

	transcript_render(&s->names, r, choose, s, &said);
	put(s, &said);
	free(said.bytes);
}

static void compare(struct stage *s, const struct transcript *t, const struct transcript_record *r)
{
	struct transcript_said *said = &s->said[s->said_first++];
	char why[TRANSCRIPT_WHY_MAX];
	bool good = transcript_match(t, &s->names, r, said, why);

	free(said->bytes);
	if (!good)
		fail_msg("%s", why);
}

static bool is_heard(const struct stage *s)
{
	return s->said_first < s->said_count;
}

static void wait_for(struct stage *s, const struct transcript *t, const struct transcript_record *r)
{
	char where[256];

	while (!is_heard(s))
		if (!step(s) && !is_heard(s)) {
			transcript_describe(t, r, where, sizeof(where));
			fail_msg("%s: it is never said", where);
		}
}

void stage_play(struct stage *s, const struct transcript *t, const char *section,
		void (*act)(struct stage *s))
{
	const struct transcript_section *at = transcript_section(t, section);
	const struct transcript_record *r;
	uint32_t i;

	if (!at)
		fail_msg("tests/transcripts/%s has no section %s", t->file, section);
	if (act) {
		/* What was said last is still to be taken in. */
		while (step(s))
			;
		act(s);
	}
	for (i = 0; i < at->count; i++) {
		r = &t->records[at->first + i];
		if (is_scripted(s, r->way)) {
			perform(s, r);
			continue;
		}
		wait_for(s, t, r);
		compare(s, t, r);
	}
}

void stage_end(struct stage *s)
{
	while (step(s))
		;
	if (is_heard(s))
		fail_msg("a message, packet or signal more: kind %u, %u bytes, direction %u",
			 s->said[s->said_first].kind, s->said[s->said_first].len,
			 s->said[s->said_first].way);
}

struct stage *stage_new(const struct stage_config *config)
{
	struct vmb_user_loopback_config loopback = { .host.version_max = config->bus_version,
						     .host.storage_version_max =
							     config->storage_version,
						     .host.version_min = VMB_VERSION_0_13,
						     .guest.version_min = VMB_VERSION_0_13,
						     .guest.ring_pages = 2 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	current = s;
	s->config = *config;
	s->random = 0x2545F4914F6CDD1Dull;
	assert_int_equal(vmb_user_disk_init_ram(&s->disk, 512, 32768, 1), 0);
	loopback.disks[0] = &s->disk;
	assert_int_equal(vmb_user_loopback_init(&s->l, &loopback), 0);
	return s;
}

void stage_free(struct stage *s)
{
	for (; s->said_first < s->said_count; s->said_first++)
		free(s->said[s->said_first].bytes);
	free(s->said);
	s->config.kinds = 0;
	s->config.cast = BOTH_REAL;
	memset(s->rings, 0, sizeof(s->rings));
	vmb_user_loopback_destroy(&s->l);
	vmb_user_disk_destroy(&s->disk);
	free(s);
	current = NULL;
}
