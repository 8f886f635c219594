// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The adapter against any control messages in any order. Each is answered with one reply that says
 * its own length and the request's id; what was set stays within what there is.
 */
#include "fuzz/fuzz.h"
#include "host/rndis.h"

struct bed {
	struct vmb_host_rndis r;
	uint8_t *reply; /* of exactly the size that is promised */
	uint32_t reply_len;
};

static void check_state(const struct vmb_host_rndis *r)
{
	uint32_t i;

	FUZZ_CHECK(!(r->mac[0] & 1));
	FUZZ_CHECK(!(r->offload & ~r->offload_caps));
	FUZZ_CHECK(!(r->filter & ~0x2Fu));
	FUZZ_CHECK(r->state == VMB_HOST_RNDIS_INITIALIZED || !r->filter);
	FUZZ_CHECK(!r->rss.enabled || (r->rss.table_count == NDIS_RSS_TABLE_COUNT_MAX &&
				       r->rss.has_key && r->rss.hash & 0xFF));
	for (i = 0; i < r->rss.table_count; i++)
		FUZZ_CHECK(r->rss.table[i] < r->config.queue_count_max);
}

static void check_reply(const struct bed *b, const uint8_t *message)
{
	uint32_t words[4], request[3];

	memcpy(request, message, sizeof(request[0]));
	if (!b->reply_len) {
		FUZZ_CHECK(request[0] == RNDIS_HALT);
		return;
	}
	FUZZ_CHECK(b->reply_len >= 16 && b->reply_len <= VMB_HOST_RNDIS_REPLY_LEN_MAX);
	memcpy(words, b->reply, sizeof(words));
	memcpy(request, message, sizeof(request));
	FUZZ_CHECK(words[0] == (request[0] | RNDIS_COMPLETION) && words[1] == b->reply_len);
	FUZZ_CHECK(request[0] == RNDIS_RESET || words[2] == request[2]);
}

static void run(struct bed *b, const uint8_t *message, uint32_t len)
{
	memset(b->reply, 0xA5, VMB_HOST_RNDIS_REPLY_LEN_MAX);
	if (!vmb_host_rndis_control(&b->r, message, len, b->reply, &b->reply_len))
		check_reply(b, message);
	else
		FUZZ_CHECK(!b->reply_len);
	check_state(&b->r);
}

static void op_raw(struct bed *b, struct fuzz *f)
{
	uint32_t len = fuzz_u16(f) % 5000;
	uint8_t *message = fuzz_exact(f, len);

	if (len >= 8 && fuzz_u8(f) & 1) {
		memset(message, 0, 8);
		message[0] = fuzz_u8(f) % 10;
		memcpy(message + 4, &len, 4);
	}
	run(b, message, len);
	free(message);
}

static const uint32_t oids[] = {
	0x00010101, 0x00010106, 0x0001010D, 0x0001010E, 0x00010114, 0x00010203, 0x00010204,
	0x00010204, 0x00010207, 0x0001021B, 0x0001021B, 0x00020216, 0x01010102, 0x01010103,
	0x0101010A, 0xFC01020B, 0xFC01020C, 0xFC01020C, 0xFC01020D,
};

/* A QUERY or SET, well-formed but for what its data holds; its length is that of the data. */
static void ask(struct bed *b, struct fuzz *f, uint32_t type, uint32_t oid, const void *data,
		uint32_t data_len)
{
	uint32_t head[7] = { type, 28 + data_len, 0, oid, data_len, 20, 0 };
	uint8_t *message = malloc(28 + data_len);

	head[2] = fuzz_u16(f);
	if (fuzz_u8(f) > 220)
		head[4 + fuzz_u8(f) % 2] = fuzz_u8(f) & 1 ? fuzz_u8(f) : ~(uint32_t)fuzz_u8(f);
	memcpy(message, head, sizeof(head));
	if (data_len)
		memcpy(message + 28, data, data_len);
	run(b, message, 28 + data_len);
	free(message);
}

static void op_ask(struct bed *b, struct fuzz *f)
{
	uint32_t type = fuzz_u8(f) & 1 ? RNDIS_QUERY : RNDIS_SET, oid, len;
	uint8_t *data;

	oid = oids[fuzz_u8(f) % (sizeof(oids) / sizeof(*oids))];
	len = fuzz_u8(f) * 3u;
	data = fuzz_exact(f, len);
	ask(b, f, type, oid, data, len);
	free(data);
}

static void op_rss(struct bed *b, struct fuzz *f)
{
	struct ndis_rss_parameters p = { .object = { 0x89, 2, 40 } };
	uint32_t count = fuzz_u8(f) % 130, i, entry;
	uint8_t *data = calloc(1, 40 + 4 * count + 40);

	p.flags = fuzz_u8(f) & 0x1E;
	p.hash = fuzz_u8(f) & 1 ? 0x1701 : fuzz_u32(f);
	p.table_len = (uint16_t)(4 * count);
	p.table_offset = fuzz_u8(f) < 230 ? 40 : fuzz_u32(f);
	p.key_len = fuzz_u8(f) < 240 ? 40 : fuzz_u16(f);
	p.key_offset = fuzz_u8(f) < 230 ? 40 + 4 * count : fuzz_u32(f);
	memcpy(data, &p, sizeof(p));
	for (i = 0; i < count; i++) {
		entry = fuzz_u8(f) % 5;
		memcpy(data + 40 + 4 * i, &entry, 4);
	}
	fuzz_take(f, data + 40 + 4 * count, 40);
	ask(b, f, RNDIS_SET, RNDIS_OID_RSS_PARAMETERS, data, 80 + 4 * count);
	free(data);
}

static void op_parameter(struct bed *b, struct fuzz *f)
{
	static const char *const names[] = { "NetworkAddress", "*LsoV2IPv4",
					     "*TCPChecksumOffloadIPv6", "x" };
	const char *name = names[fuzz_u8(f) % 4];
	uint32_t p[5] = { 20, 2 * (uint32_t)strlen(name), 0, 0, 0 }, i;
	uint8_t *data;

	p[2] = fuzz_u8(f) % 3;
	p[3] = 20 + p[1];
	p[4] = fuzz_u8(f) % 40;
	data = calloc(1, p[3] + p[4]);
	for (i = 0; name[i]; i++)
		data[20 + 2 * i] = (uint8_t)name[i];
	for (i = 0; i < p[4]; i++)
		data[p[3] + i] = i & 1 && p[2] ? 0 : fuzz_u8(f);
	i = p[3] + p[4];
	if (fuzz_u8(f) > 200)
		p[fuzz_u8(f) % 5] = fuzz_u32(f);
	memcpy(data, p, sizeof(p));
	ask(b, f, RNDIS_SET, RNDIS_OID_CONFIG_PARAMETER, data, i);
	free(data);
}

static void op_around(struct bed *b, struct fuzz *f)
{
	uint32_t type, len;
	uint8_t *frame;

	switch (fuzz_u8(f) % 4) {
	case 0: vmb_host_rndis_set_link(&b->r, fuzz_u8(f) & 1); break;
	case 1:
		while (vmb_host_rndis_indication(&b->r, b->reply, &len))
			FUZZ_CHECK(len >= 20 && len <= VMB_HOST_RNDIS_REPLY_LEN_MAX);
		break;
	case 2: b->r.queue_count = fuzz_u8(f) % 4 + 1; break;
	case 3:
		len = fuzz_u8(f);
		frame = fuzz_exact(f, len);
		vmb_host_rndis_hash(&b->r, frame, len, &type);
		FUZZ_CHECK(!type || b->r.rss.enabled);
		vmb_host_rndis_wants(&b->r, b->r.mac);
		free(frame);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *,
				   struct fuzz *) = { op_raw, op_ask,	    op_ask,
						      op_rss, op_parameter, op_around };
	static const uint32_t initialize[6] = { 2, 24, 1, 1, 0, 0x4000 };
	const struct vmb_host_rndis_config config = {
		.mac = { 2, 0, 0, 0, 0, 1 }, .mtu_max = 9000, .offload = 0xF, .queue_count_max = 4
	};
	static struct bed b;
	struct fuzz f = { bytes, len };

	memset(&b, 0, sizeof(b));
	b.reply = malloc(VMB_HOST_RNDIS_REPLY_LEN_MAX);
	FUZZ_CHECK(!vmb_host_rndis_init(&b.r, &config));
	b.r.ndis_version = fuzz_u8(&f) & 1 ? 6u << 16 | 30 : fuzz_u32(&f);
	b.r.offload_revision = fuzz_u8(&f) % 3 + 1;
	b.r.queue_count = 4;
	if (fuzz_u8(&f))
		run(&b, (const uint8_t *)initialize, sizeof(initialize));
	while (f.len)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	free(b.reply);
	return 0;
}
