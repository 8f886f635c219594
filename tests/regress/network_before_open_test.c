// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host may use a channel before the guest's call to open it returns. Drivers that made their
 * receive path ready after the call lost that packet, and with it the signal: the ring was never
 * empty again.
 */
#include "tests/network_bed.h"

/*
 * A frame that the host puts into the ring at the moment when the guest's call to open it is under
 * way.
 */
static void frame_at_open(struct vmb_user_network *l, struct vmb_dev_channel *ch)
{
	static struct vmb_dev_packet p;
	struct vmb_host_network *n = &l->card->host;
	uint16_t queue = ch->host.sub_channel_index;
	struct vmb_host_rndis_frame frame = { .len = 60 };
	struct vmb_pkt_transfer_pages pages = { .set_id = n->receive_buffer.id, .range_count = 1 };
	struct vmb_gpa_range range = { .byte_count = VMB_HOST_RNDIS_DATA_OFFSET + 60,
				       .byte_offset =
					       (n->suballoc_count / 2 + queue) * n->suballoc_len };
	struct vmb_net_rndis_packet message = { .type = VMB_NET_SEND_RNDIS_PACKET,
						.section_index = VMB_NET_SECTION_NONE };

	if (!queue)
		return;
	vmb_host_rndis_wrap(n->receive_buffer.memory + range.byte_offset, &frame);
	net_frame_to_guest(n->receive_buffer.memory + range.byte_offset +
				   VMB_HOST_RNDIS_DATA_OFFSET,
			   60, queue);
	memset(&p, 0, sizeof(p));
	p.type = VMB_PKT_TRANSFER_PAGES;
	p.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED;
	p.transaction_id = n->suballoc_count / 2 + queue;
	p.header_len = sizeof(pages) + sizeof(range);
	p.payload_len = n->message_len;
	memcpy(p.header, &pages, sizeof(pages));
	memcpy(p.header + sizeof(pages), &range, sizeof(range));
	memcpy(p.payload, &message, sizeof(message));
	assert_int_equal(vmb_dev_fault_inject(ch, &p), 0);
}

static void test_packet_in_the_ring_before_open_returns_is_received(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 8,
						  .host.opened = frame_at_open };
	struct net_bed *b = net_new_open(config);
	uint8_t bytes[60];
	uint32_t i;

	vmb_user_network_settle(&b->l);
	assert_int_equal(b->received.count, 7);
	for (i = 0; i < 7; i++) {
		net_frame_to_guest(bytes, sizeof(bytes), b->received.list[i].queue);
		assert_int_equal(b->received.list[i].len, sizeof(bytes));
		assert_memory_equal(b->received.list[i].bytes, bytes, sizeof(bytes));
	}
	/* Nothing was lent for them: seven acknowledgements of nothing. */
	assert_int_equal(b->l.card->host.counters.forged, 7);
	net_expect_traffic(b, 16);
	net_free(b);
}

static void unknown_at_open(struct vmb_user_network *l, struct vmb_dev_channel *ch)
{
	struct vmb_dev_packet p = { .type = VMB_PKT_INBAND,
				    .payload_len = VMB_NET_MESSAGE_LEN,
				    .payload = { 0xE7, 3 } };

	assert_int_equal(vmb_dev_fault_inject(ch, &p), 0);
}

static void test_first_packet_of_a_channel_may_be_of_no_known_kind(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4,
						  .host.opened = unknown_at_open };
	struct net_bed *b = net_new_open(config);

	net_expect_traffic(b, 16);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_in_the_ring_before_open_returns_is_received),
		cmocka_unit_test(test_first_packet_of_a_channel_may_be_of_no_known_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
