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

void trace_session_machine(struct vmb_dev_trace *trace)
{
	static const char options[] =
		"--memory\000128M\0--disk\0ram:16777216,lun=0\0--disk-queues\0001";
	static struct vmb_dev_disk_option disks[1] = { { .path = TRACE_SESSION_DISK } };
	const struct vmb_dev_storage_config config = { .disks = disks, .disk_count = 1 };
	struct vmb_user_loopback l = { .config.machine.page_count = 16384 };
	struct vmb_guest_storage_event event;
	struct vmb_dev_device device;
	struct vmb_user_device *d;
	uint8_t cdb[10], data[512];

	vmb_dev_trace_options(trace, options, sizeof(options));
	assert_int_equal(vmb_user_machine_init(&l.machine, &l.config.machine), 0);
	vmb_dev_trace_attach(trace, l.machine.bus);
	assert_int_equal(vmb_dev_storage_open(&device, &config), 0);
	assert_int_equal(vmb_user_machine_add(&l.machine, &device), 0);
	assert_int_equal(vmb_user_guest_init(&l.guest, &l.machine, &l.config.guest), 0);
	assert_int_equal(vmb_user_guest_start(&l.guest), 0);
	d = vmb_user_guest_device(&l.guest);
	assert_int_equal(vmb_user_guest_open(&l.guest, d), 0);
	loop_cdb(cdb, LOOP_READ, TRACE_SESSION_BLOCK, 1);
	assert_int_equal(vmb_user_loopback_scsi(&l, d, 0, cdb, sizeof(cdb), VMB_STOR_READ, data,
						sizeof(data), &event),
			 0);
	assert_int_equal(vmb_user_guest_close(&l.guest, d), 0);
	assert_int_equal(vmb_user_guest_unload(&l.guest), 0);
	vmb_dev_trace_detach(l.machine.bus);
	vmb_user_guest_destroy(&l.guest);
	vmb_user_machine_destroy(&l.machine);
}
