// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A header that crosses a page boundary becomes two ranges. Hosts refused such frames; ours gathers
 * the envelope from wherever it lies, and what it gathers must be the frame.
 */
#include "tests/network_bed.h"

static struct vmb_user_network_config no_config;

/*
 * Rewrites a section's message into pages, from a page offset on, cut into two ranges at a place.
 */
struct mover {
	struct net_bed *b;
	uint64_t pfns[3];
	uint32_t offset, cut;
};

static void put_range(struct vmb_dev_packet *p, uint64_t pfn, uint32_t offset, uint32_t len)
{
	struct vmb_gpa_range range = { .byte_count = len, .byte_offset = offset };

	memcpy(p->header + p->header_len, &range, sizeof(range));
	memcpy(p->header + p->header_len + sizeof(range), &pfn, sizeof(pfn));
	p->header_len += sizeof(range) + sizeof(pfn);
}

/* Bytes at .. at + len of the message go where its offset says, page by page. */
static uint32_t move_piece(struct mover *m, struct vmb_dev_packet *p, const uint8_t *bytes,
			   uint32_t at, uint32_t len)
{
	uint32_t count = 0, piece, page, in_page;

	for (; len; len -= piece, at += piece, count++) {
		page = (m->offset + at) / VMB_PAGE_LEN;
		in_page = (m->offset + at) % VMB_PAGE_LEN;
		piece = VMB_PAGE_LEN - in_page < len ? VMB_PAGE_LEN - in_page : len;
		memcpy(vmb_user_memory_page(&m->b->l.bus.machine.memory, m->pfns[page]) + in_page,
		       bytes + at, piece);
		put_range(p, m->pfns[page], in_page, piece);
	}
	return count;
}

static enum vmb_dev_fault_verdict move(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	const struct vmb_guest_network *n;
	struct vmb_pkt_gpa_direct direct = { 0 };
	struct vmb_net_rndis_packet message;
	struct mover *m = arg;
	const uint8_t *section;

	if (!net_is_data(p))
		return VMB_DEV_FAULT_PASS;
	n = &m->b->l.guest.network;
	memcpy(&message, p->payload, sizeof(message));
	section = n->config.send_buffer + message.section_index * n->agreed.section_len;
	p->type = VMB_PKT_GPA_DIRECT;
	p->header_len = sizeof(direct);
	direct.range_count = move_piece(m, p, section, 0, m->cut);
	direct.range_count += move_piece(m, p, section, m->cut, message.section_len - m->cut);
	memcpy(p->header, &direct, sizeof(direct));
	message.section_index = VMB_NET_SECTION_NONE;
	message.section_len = 0;
	memcpy(p->payload, &message, sizeof(message));
	return VMB_DEV_FAULT_PASS;
}

static void expect_moved(struct net_bed *b, const struct net_spec *s)
{
	struct net_verdict v;

	assert_int_equal(net_send(b, 0, s, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_bad, 0);
	assert_int_equal(b->wire.count, 1);
	v = net_frame_judge(b->wire.list[0].bytes, b->wire.list[0].len);
	assert_null(v.wrong);
	assert_int_equal(net_payload_differs(b->wire.list[0].bytes + v.payload_at, v.payload_len,
					     s->flow, s->sequence),
			 s->len - net_head_len(s));
	net_forget(b);
}

static void test_envelope_may_lie_anywhere_and_in_pieces(void **state)
{
	struct net_spec s = {
		.len = 300, .ip = 4, .protocol = NET_TCP, .checksums = NET_CHECKSUMS_OPEN
	};
	struct net_bed *b = net_new_open(no_config);
	struct mover m = { .b = b };

	assert_true(vmb_user_memory_alloc(&b->l.bus.machine.memory, m.pfns, 3));
	net_hook_guest(b, move, &m);
	m.cut = 1;
	for (m.offset = 0; m.offset < VMB_PAGE_LEN; m.offset++)
		expect_moved(b, &s);
	for (m.offset = 0; m.offset < 2; m.offset++)
		for (m.cut = 1; m.cut < 360; m.cut++)
			expect_moved(b, &s);
	m.offset = VMB_PAGE_LEN - 40;
	for (m.cut = 1; m.cut < 360; m.cut++)
		expect_moved(b, &s);
	net_hook_guest(b, NULL, NULL);
	vmb_user_memory_free(&b->l.bus.machine.memory, m.pfns, 3);
	net_expect_quiet(b);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope_may_lie_anywhere_and_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
