// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sessions that the tests of traces record: everything in them is known, times apart. */
#include "tests/loopback_bed.h"
#include "tests/network_bed.h"
#include "tests/trace_session.h"

void trace_session_storage(struct vmb_dev_trace *trace)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_guest_storage_event event;
	struct vmb_user_device *d;
	uint8_t data[512];

	vmb_dev_trace_attach(trace, b->l.machine.bus);
	d = loop_open(b);
	loop_verify(b, d, TRACE_SESSION_BLOCK, TRACE_SESSION_LEN);
	assert_int_equal(loop_move(b, d, LOOP_READ, LOOP_BLOCK_COUNT, data, 512, &event), 0);
	assert_int_equal(event.scsi_status, 2);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
	assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
	vmb_dev_trace_detach(b->l.machine.bus);
	loop_free(b);
}

/* An IPv4 UDP frame each way, with fixed contents. */
void trace_session_network(struct vmb_dev_trace *trace)
{
	const struct net_spec spec = { .len = 120, .ip = 4, .protocol = NET_UDP, .flow = 1 };
	struct net_bed *b = net_new((struct vmb_user_network_config){ .guest.queue_count = 2 });
	uint8_t bytes[200];

	vmb_dev_trace_attach(trace, b->l.bus.machine.bus);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(net_send(b, 0, &spec, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	net_frame_to_guest(bytes, sizeof(bytes), 2);
	assert_int_equal(net_deliver(b, bytes, sizeof(bytes), 0), 0);
	net_close(b);
	vmb_dev_trace_detach(b->l.bus.machine.bus);
	net_free(b);
}
