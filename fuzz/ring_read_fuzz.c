// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Both ends of a ring against a peer that writes what it likes into shared memory, between any two
 * calls.
 */
#include "fuzz/fuzz.h"
#include "ring/ring.h"

#define DATA_LEN 512u

struct bed {
	struct vmb_ring_control *control;
	uint8_t *data;
	struct vmb_ring_writer w;
	struct vmb_ring_reader r;
	struct vmb_ring_received packet; /* last one read */
	bool have_packet;
};

static void op_scribble(struct bed *b, struct fuzz *f)
{
	uint32_t at = fuzz_u16(f) % DATA_LEN, len = fuzz_u8(f) % 64;

	if (len > DATA_LEN - at)
		len = DATA_LEN - at;
	fuzz_take(f, b->data + at, len);
}

static void op_descriptor(struct bed *b, struct fuzz *f)
{
	uint32_t at = b->r.read_index;

	if (at <= DATA_LEN - sizeof(struct vmb_pkt_desc))
		fuzz_take(f, b->data + at, 8);
}

static void op_index(struct bed *b, struct fuzz *f)
{
	uint8_t which = fuzz_u8(f);
	uint32_t value = which & 0x80 ? fuzz_u32(f) : fuzz_u8(f) * 8u % DATA_LEN;

	switch (which & 3) {
	case 0: b->control->write_index = value; break;
	case 1: b->control->read_index = value; break;
	case 2: b->control->pending_send_size = value; break;
	case 3: b->control->interrupt_mask = value; break;
	}
}

static void op_read(struct bed *b, struct fuzz *f)
{
	uint32_t before = b->r.read_index;
	int err = vmb_ring_read(&b->r, &b->packet);

	b->have_packet = !err;
	FUZZ_CHECK(b->r.read_index == before);
	FUZZ_CHECK(err == 0 || err == VMB_EAGAIN || err == VMB_EPROTO);
	FUZZ_CHECK((err == VMB_EPROTO) == b->r.broken);
	if (err)
		return;
	FUZZ_CHECK(b->packet.header_len % 8 == 0 && b->packet.payload_len % 8 == 0);
	FUZZ_CHECK(16 + b->packet.header_len + b->packet.payload_len + 8 < DATA_LEN);
}

static void op_copy(struct bed *b, struct fuzz *f)
{
	uint32_t offset = fuzz_u8(f) & 0x80 ? fuzz_u32(f) : fuzz_u8(f);
	uint32_t len = fuzz_u16(f) % (2 * DATA_LEN), total;
	uint8_t *dst;

	if (!b->have_packet)
		return;
	total = 16 + b->packet.header_len + b->packet.payload_len;
	dst = malloc(len ? len : 1);
	FUZZ_CHECK(vmb_ring_copy(&b->r, &b->packet, offset, dst, len) ==
		   (!b->r.broken && (uint64_t)offset + len <= total));
	free(dst);
}

static void op_next(struct bed *b, struct fuzz *f)
{
	if (b->have_packet)
		vmb_ring_next(&b->r, &b->packet);
	b->have_packet = false;
}

static void op_reader(struct bed *b, struct fuzz *f)
{
	switch (fuzz_u8(f) % 3) {
	case 0: FUZZ_CHECK(!vmb_ring_release(&b->r) || !b->r.broken); break;
	case 1: vmb_ring_mask(&b->r); break;
	case 2: FUZZ_CHECK(!vmb_ring_unmask(&b->r) || !b->r.broken); break;
	}
}

static void op_write(struct bed *b, struct fuzz *f)
{
	uint32_t header_len = fuzz_u8(f), payload_len = fuzz_u16(f) % (2 * DATA_LEN);
	void *header = calloc(1, header_len + 1), *payload = calloc(1, payload_len + 1);
	struct vmb_ring_part parts[2] = { { header, header_len }, { payload, payload_len } };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .header = &parts[0],
					  .header_count = 1,
					  .payload = &parts[1],
					  .payload_count = 1 };
	uint32_t before = b->w.write_index;

	if (vmb_ring_write(&b->w, &packet))
		FUZZ_CHECK(b->w.write_index == before);
	free(header);
	free(payload);
}

static void op_writer(struct bed *b, struct fuzz *f)
{
	switch (fuzz_u8(f) % 3) {
	case 0: FUZZ_CHECK(!vmb_ring_commit(&b->w) || !b->w.broken); break;
	case 1: vmb_ring_wait_room(&b->w, fuzz_u16(f)); break;
	case 2: FUZZ_CHECK(vmb_ring_room(&b->w) <= DATA_LEN); break;
	}
}

static void op_attach(struct bed *b, struct fuzz *f)
{
	bool fresh = fuzz_u8(f) & 1;

	b->have_packet = false;
	vmb_ring_writer_init(&b->w, b->control, b->data, DATA_LEN, fresh);
	vmb_ring_reader_init(&b->r, b->control, b->data, DATA_LEN, fresh);
}

static void check(const struct bed *b)
{
	FUZZ_CHECK(b->w.broken || (b->w.write_index < DATA_LEN && b->w.write_index % 8 == 0));
	FUZZ_CHECK(b->r.broken || (b->r.read_index < DATA_LEN && b->r.read_index % 8 == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_scribble, op_descriptor, op_index, op_read,	 op_copy,
		op_next,     op_reader,	    op_write, op_writer, op_attach,
	};
	struct fuzz f = { bytes, len };
	struct bed b = { .control = calloc(1, sizeof(*b.control)), .data = calloc(1, DATA_LEN) };

	vmb_ring_writer_init(&b.w, b.control, b.data, DATA_LEN, true);
	vmb_ring_reader_init(&b.r, b.control, b.data, DATA_LEN, true);
	while (f.len) {
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
		check(&b);
	}
	free(b.control);
	free(b.data);
	return 0;
}
